/*
 * Records of the log, many at a time: which of them are whole, and what they store where.
 *
 * A mount walks through as many records as the log holds before the engine has compiled anything,
 * so the loop is here. The layout is that of src/media/log.ts; a test holds the two against each
 * other, record by record.
 */
#include "addon.h"
#include "args.h"
#include "crc32c.h"

#include <string.h>

enum { LINE_BYTES = 64, KIND_TRANSACTION = 1, KIND_PAD = 2 };
#define RECORD_MAGIC UINT32_C(0x31524648) /* 'HFR1' */

struct record {
  uint32_t magic;
  uint32_t checksum;
  uint64_t sequence;
  uint64_t position;
  uint32_t lines;
  uint32_t kind;
  uint32_t pages;
  uint32_t volume;
  uint32_t reserved[6];
};
_Static_assert(sizeof(struct record) == LINE_BYTES, "a header is a line");

struct descriptor {
  uint32_t block;
  uint32_t flags;
  uint64_t present;
  uint64_t zero;
};
_Static_assert(sizeof(struct descriptor) == 24, "descriptors stand one after another");

/* What the next record must be; a sequence of 0 is any. */
struct expected {
  uint64_t position;
  uint64_t sequence;
  uint64_t to_end;
  uint64_t seed;
  uint64_t first_block;
  uint64_t end_block;
  uint64_t state_block;
};

/* A command of storeLines (pages.c). */
struct command {
  uint32_t block;
  uint32_t source;
  uint64_t present;
  uint64_t zero;
};
_Static_assert(sizeof(struct command) <= sizeof(struct descriptor), "they fit where lines were");

enum verdict { VALID, END, LONGER, FORGED };

static uint64_t lines_before_payload(uint64_t pages) {
  return 1 + (pages * sizeof(struct descriptor) + LINE_BYTES - 1) / LINE_BYTES;
}

static struct record read_header(const uint8_t *bytes) {
  struct record record;
  memcpy(&record, bytes, sizeof record);
  return record;
}

static bool header_fits(const struct record *record, const struct expected *expected) {
  if (record->magic != RECORD_MAGIC || record->position != expected->position) return false;
  if (expected->sequence != 0 && record->sequence != expected->sequence) return false;
  if (record->lines < 1 || record->lines > expected->to_end) return false;
  if (record->kind == KIND_PAD) return record->pages == 0;
  return record->kind == KIND_TRANSACTION && lines_before_payload(record->pages) <= record->lines;
}

static bool sealed(const uint8_t *bytes, const struct record *record, uint32_t seed) {
  static const uint8_t zero_field[4];
  uint64_t length = (record->kind == KIND_PAD ? 1 : (uint64_t)record->lines) * LINE_BYTES;
  uint32_t state = crc32c_update(~seed, bytes, 4);
  state = crc32c_update(state, zero_field, sizeof zero_field);
  return ~crc32c_update(state, bytes + 8, length - 8) == record->checksum;
}

/*
 * Appends what a record stores to the commands. -1; or the block of a descriptor that leads
 * outside, or -2 when the lines are not those of the pages.
 */
static double obey(const uint8_t *bytes, const struct record *record, uint64_t offset,
                   const struct expected *expected, uint8_t *commands) {
  uint64_t line = lines_before_payload(record->pages);
  for (uint64_t i = 0; i < record->pages; i++) {
    struct descriptor descriptor;
    memcpy(&descriptor, bytes + LINE_BYTES + i * sizeof descriptor, sizeof descriptor);
    uint32_t block = descriptor.block;
    bool inside = block >= expected->first_block && block < expected->end_block;
    if (!inside && block != expected->state_block) return block;
    struct command command = {block, (uint32_t)(offset + line * LINE_BYTES), descriptor.present,
                              descriptor.zero & ~descriptor.present};
    memcpy(commands + i * sizeof command, &command, sizeof command);
    line += (uint64_t)__builtin_popcountll(descriptor.present);
  }
  return line == record->lines ? -1 : -2;
}

static bool read_expected(struct call *call, int index, struct expected *expected) {
  return call_integer(call, index, "position", SAFE_MAX, &expected->position) &&
         call_integer(call, index + 1, "sequence", SAFE_MAX, &expected->sequence) &&
         call_integer(call, index + 2, "linesToEnd", U32_MAX, &expected->to_end) &&
         call_integer(call, index + 3, "seed", U32_MAX, &expected->seed) &&
         call_integer(call, index + 4, "firstBlock", U32_MAX, &expected->first_block) &&
         call_integer(call, index + 5, "endBlock", U32_MAX, &expected->end_block) &&
         call_integer(call, index + 6, "stateBlock", U32_MAX, &expected->state_block);
}

napi_value js_scanRecords(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory, *commands;
  struct expected expected;
  uint64_t offset, length, used = 0, records = 0, count = 0;
  double detail = 0;
  enum verdict verdict = VALID;
  (void)info;
  call_begin_hot(&call, env, "scanRecords");
  if (!call_range(&call, 0, &memory, &offset, &length) || !read_expected(&call, 3, &expected) ||
      !call_memory(&call, 10, "commands", &commands) || !call_fits(&call, commands, 0, length)) {
    return NULL;
  }
  if (offset + length > U32_MAX) {
    call_refuse_range(&call, memory, offset, length); /* commands say where in 32 bits */
    return NULL;
  }
  uint64_t lines = length / LINE_BYTES;
  while (used < lines) {
    const uint8_t *bytes = memory_base(memory) + offset + used * LINE_BYTES;
    struct record record = read_header(bytes);
    verdict = END;
    if (!header_fits(&record, &expected)) break;
    if (record.kind == KIND_TRANSACTION && record.lines > lines - used) {
      verdict = LONGER;
      detail = record.lines;
      break;
    }
    if (!sealed(bytes, &record, (uint32_t)expected.seed)) break;
    if (record.kind == KIND_TRANSACTION) {
      detail = obey(bytes, &record, offset + used * LINE_BYTES, &expected,
                    memory_base(commands) + count * sizeof(struct command));
      verdict = FORGED;
      if (detail != -1) break;
      count += record.pages;
    }
    verdict = VALID;
    used += record.lines;
    expected.position += record.lines;
    expected.to_end -= record.lines;
    expected.sequence = record.sequence + 1;
    records++;
  }
  call.registers[1] = (double)records;
  call.registers[2] = (double)expected.sequence;
  call.registers[3] = verdict;
  call.registers[4] = detail;
  call.registers[5] = (double)count;
  return call_result(&call, (double)used);
}
