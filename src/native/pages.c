/*
 * Batches over metadata pages. Commands are four u32 each in a memory that others may be writing,
 * so every command is read once into registers, checked there and then obeyed: entries before a bad
 * one have been done when the error is thrown.
 */
#include "addon.h"
#include "args.h"
#include "crc32c.h"
#include "flush.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { PAGE_BYTES = 4096, COMMAND_BYTES = 16, MODE_CACHED = 0, MODE_FLUSHED = 1 };

struct command {
  uint32_t words[4];
};

static struct command read_command(const uint8_t *commands, uint64_t index) {
  struct command command;
  memcpy(&command, commands + index * COMMAND_BYTES, sizeof command);
  return command;
}

static uint64_t command_mask(const struct command *command) {
  return (uint64_t)command->words[2] << 32 | command->words[1];
}

static bool fits(const struct memory *memory, uint64_t offset, uint64_t length) {
  return offset <= memory->length && length <= memory->length - offset;
}

/* Through registers: the two lines may be the same one, which memcpy does not permit. */
static inline void copy_line(uint8_t *to, const uint8_t *from) {
  struct line {
    uint64_t words[LINE_BYTES / 8];
  } line;
  memcpy(&line, from, sizeof line);
  memcpy(to, &line, sizeof line);
}

/* (commands, commandsOffset, count) at three arguments in a row. */
static bool call_commands(struct call *call, int index, const uint8_t **commands,
                          uint64_t *count) {
  struct memory *memory;
  uint64_t offset;
  if (!call_memory(call, index, "commands", &memory) ||
      !call_integer(call, index + 1, "commandsOffset", SAFE_MAX, &offset) ||
      !call_integer(call, index + 2, "count", U32_MAX, count) ||
      !call_fits(call, memory, offset, *count * COMMAND_BYTES)) {
    return false;
  }
  *commands = memory_base(memory) + offset;
  return true;
}

static COLD napi_value refuse_command(struct call *call, uint64_t index,
                                      const struct command *command, const char *why,
                                      const struct memory *memory) {
  throw_range(call->env,
              "%s: command %" PRIu64 " (0x%" PRIx32 ", 0x%" PRIx32 ", 0x%" PRIx32 ", 0x%" PRIx32
              ") %s memory %" PRIu64 " of 0x%" PRIx64 " bytes; stay inside its byteLength",
              call->name, index, command->words[0], command->words[1], command->words[2],
              command->words[3], why, memory->id, memory->length);
  return NULL;
}

napi_value js_gatherLines(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *target, *source;
  uint64_t target_offset, count;
  const uint8_t *commands;
  (void)info;
  call_begin_hot(&call, env, "gatherLines");
  if (!call_memory(&call, 0, "target", &target) ||
      !call_integer(&call, 1, "targetOffset", SAFE_MAX, &target_offset) ||
      !call_memory(&call, 2, "source", &source) || !call_commands(&call, 3, &commands, &count) ||
      !call_fits(&call, target, target_offset, 0)) {
    return NULL;
  }
  uint8_t *to = memory_base(target) + target_offset;
  uint64_t room = target->length - target_offset, appended = 0;
  for (uint64_t i = 0; i < count; i++) {
    struct command command = read_command(commands, i);
    uint64_t mask = command_mask(&command), page = (uint64_t)command.words[0] * PAGE_BYTES;
    if (!fits(source, page, PAGE_BYTES)) {
      return refuse_command(&call, i, &command, "reads a page outside", source);
    }
    if ((uint64_t)__builtin_popcountll(mask) * LINE_BYTES > room - appended) {
      return refuse_command(&call, i, &command, "has more lines than are left in", target);
    }
    const uint8_t *from = memory_base(source) + page;
    for (; mask != 0; mask &= mask - 1, appended += LINE_BYTES) {
      copy_line(to + appended, from + __builtin_ctzll(mask) * LINE_BYTES);
    }
  }
  return call_result(&call, (double)appended);
}

napi_value js_writePages(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *target, *source;
  uint64_t count, mode, lines = 0;
  const uint8_t *commands;
  (void)info;
  call_begin_hot(&call, env, "writePages");
  if (!call_memory(&call, 0, "target", &target) || !call_memory(&call, 1, "source", &source) ||
      !call_commands(&call, 2, &commands, &count) ||
      !call_integer(&call, 5, "mode", MODE_FLUSHED, &mode)) {
    return NULL;
  }
  for (uint64_t i = 0; i < count; i++) {
    struct command command = read_command(commands, i);
    uint64_t mask = command_mask(&command), page = (uint64_t)command.words[0] * PAGE_BYTES;
    uint64_t block = (uint64_t)command.words[3] * PAGE_BYTES;
    if (!fits(source, page, PAGE_BYTES)) {
      return refuse_command(&call, i, &command, "reads a page outside", source);
    }
    if (!fits(target, block, PAGE_BYTES)) {
      return refuse_command(&call, i, &command, "writes a block outside", target);
    }
    const uint8_t *from = memory_base(source) + page;
    uint8_t *to = memory_base(target) + block;
    for (; mask != 0; mask &= mask - 1, lines++) {
      uint64_t at = (uint64_t)__builtin_ctzll(mask) * LINE_BYTES;
      copy_line(to + at, from + at);
      if (mode == MODE_FLUSHED) flush_line(to + at);
    }
  }
  return call_result(&call, (double)lines);
}

/* A command of storeLines: the lines that are set stand one after another from `source` on. */
struct lines_command {
  uint32_t block;
  uint32_t source;
  uint64_t present;
  uint64_t zero;
};

static uint64_t store_lines(const struct lines_command *command, uint8_t *page,
                            const uint8_t *source, bool flushed) {
  uint64_t zero = command->zero & ~command->present;
  for (uint64_t mask = command->present; mask != 0; mask &= mask - 1, source += LINE_BYTES) {
    uint8_t *line = page + __builtin_ctzll(mask) * LINE_BYTES;
    copy_line(line, source);
    if (flushed) flush_line(line);
  }
  for (uint64_t mask = zero; mask != 0; mask &= mask - 1) {
    uint8_t *line = page + __builtin_ctzll(mask) * LINE_BYTES;
    memset(line, 0, LINE_BYTES);
    if (flushed) flush_line(line);
  }
  return (uint64_t)__builtin_popcountll(command->present | zero);
}

napi_value js_storeLines(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *target, *source, *commands;
  uint64_t offset, count, mode, lines = 0;
  (void)info;
  call_begin_hot(&call, env, "storeLines");
  if (!call_memory(&call, 0, "target", &target) || !call_memory(&call, 1, "source", &source) ||
      !call_memory(&call, 2, "commands", &commands) ||
      !call_integer(&call, 3, "commandsOffset", SAFE_MAX, &offset) ||
      !call_integer(&call, 4, "count", U32_MAX, &count) ||
      !call_integer(&call, 5, "mode", MODE_FLUSHED, &mode) ||
      !call_fits(&call, commands, offset, count * sizeof(struct lines_command))) {
    return NULL;
  }
  for (uint64_t i = 0; i < count; i++) {
    struct lines_command command;
    memcpy(&command, memory_base(commands) + offset + i * sizeof command, sizeof command);
    struct command shown = {{command.block, (uint32_t)command.present,
                             (uint32_t)(command.present >> 32), command.source}};
    uint64_t length = (uint64_t)__builtin_popcountll(command.present) * LINE_BYTES;
    uint64_t block = (uint64_t)command.block * PAGE_BYTES;
    if (!fits(source, command.source, length)) {
      return refuse_command(&call, i, &shown, "reads lines outside", source);
    }
    if (!fits(target, block, PAGE_BYTES)) {
      return refuse_command(&call, i, &shown, "writes a block outside", target);
    }
    lines += store_lines(&command, memory_base(target) + block,
                         memory_base(source) + command.source, mode == MODE_FLUSHED);
  }
  return call_result(&call, (double)lines);
}

napi_value js_sealBatch(napi_env env, napi_callback_info info) {
  static const uint8_t zero_field[4];
  struct call call;
  struct memory *memory;
  uint64_t count;
  const uint8_t *commands;
  (void)info;
  call_begin_hot(&call, env, "sealBatch");
  if (!call_memory(&call, 0, "memory", &memory) || !call_commands(&call, 1, &commands, &count)) {
    return NULL;
  }
  for (uint64_t i = 0; i < count; i++) {
    struct command command = read_command(commands, i);
    uint64_t offset = command.words[0], length = command.words[1], field = command.words[2];
    if (!fits(memory, offset, length)) {
      return refuse_command(&call, i, &command, "seals a structure outside", memory);
    }
    if (field > length || length - field < sizeof zero_field) {
      return refuse_command(&call, i, &command, "has its checksum field outside the structure in",
                            memory);
    }
    uint8_t *bytes = memory_base(memory) + offset;
    uint64_t after = field + sizeof zero_field;
    uint32_t state = crc32c_update(UINT32_MAX, bytes, field);
    state = crc32c_update(state, zero_field, sizeof zero_field);
    state = ~crc32c_update(state, bytes + after, length - after);
    memcpy(bytes + field, &state, sizeof state);
  }
  return NULL;
}
