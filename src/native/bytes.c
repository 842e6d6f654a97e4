/* Moving bytes into, out of and between memories. */
#include "addon.h"
#include "args.h"
#include "flush.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * `to` is aligned to a line. Whole lines, so that each leaves the write-combining buffer at once.
 */
static void stream_lines_sse2(uint8_t *to, const uint8_t *from, size_t lines) {
  for (; lines > 0; lines--, to += LINE_BYTES, from += LINE_BYTES) {
    __m128i a = _mm_loadu_si128((const __m128i *)from);
    __m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
    __m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
    __m128i d = _mm_loadu_si128((const __m128i *)(from + 48));
    _mm_stream_si128((__m128i *)to, a);
    _mm_stream_si128((__m128i *)(to + 16), b);
    _mm_stream_si128((__m128i *)(to + 32), c);
    _mm_stream_si128((__m128i *)(to + 48), d);
  }
}

__attribute__((target("avx2"))) static void stream_lines_avx2(uint8_t *to, const uint8_t *from,
                                                              size_t lines) {
  for (; lines > 0; lines--, to += LINE_BYTES, from += LINE_BYTES) {
    __m256i a = _mm256_loadu_si256((const __m256i *)from);
    __m256i b = _mm256_loadu_si256((const __m256i *)(from + 32));
    _mm256_stream_si256((__m256i *)to, a);
    _mm256_stream_si256((__m256i *)(to + 32), b);
  }
}

static void stream_lines(uint8_t *to, const uint8_t *from, size_t lines) {
  if (cpu.avx2) {
    stream_lines_avx2(to, from, lines);
  } else {
    stream_lines_sse2(to, from, lines);
  }
}

static void stream_zero_lines(uint8_t *to, size_t lines) {
  const __m128i zero = _mm_setzero_si128();
  for (uint8_t *end = to + lines * LINE_BYTES; to < end; to += 16) {
    _mm_stream_si128((__m128i *)to, zero);
  }
}

#else

static void stream_lines(uint8_t *to, const uint8_t *from, size_t lines) {
  memcpy(to, from, lines * LINE_BYTES);
  flush_run(to, lines * LINE_BYTES);
}

static void stream_zero_lines(uint8_t *to, size_t lines) {
  memset(to, 0, lines * LINE_BYTES);
  flush_run(to, lines * LINE_BYTES);
}

#endif

/* A part of a line: a cached store, so that the rest of the line stays, then written back. */
static void stream_part(uint8_t *to, const uint8_t *from, size_t length) {
  if (length == 0) return;
  if (from) {
    memcpy(to, from, length);
  } else {
    memset(to, 0, length);
  }
  flush_run(to, length);
}

/* `from` NULL means zeros. */
static void stream_bytes(uint8_t *to, const uint8_t *from, size_t length) {
  size_t head = (size_t)(-(uintptr_t)to & (LINE_BYTES - 1));
  if (head > length) head = length;
  stream_part(to, from, head);
  to += head;
  if (from) from += head;
  length -= head;
  size_t lines = length / LINE_BYTES, body = lines * LINE_BYTES;
  if (from) {
    stream_lines(to, from, lines);
    from += body;
  } else {
    stream_zero_lines(to, lines);
  }
  stream_part(to + body, from, length - body);
}

/* (bytes; memory, offset, start, length): a memory on one side, a Uint8Array on the other. */
static bool memory_and_bytes(struct call *call, napi_callback_info info, uint8_t **inside,
                             uint8_t **outside, uint64_t *length) {
  struct memory *memory;
  uint64_t offset;
  if (!call_memory(call, 0, "memory", &memory) ||
      !call_integer(call, 1, "offset", SAFE_MAX, &offset) ||
      !call_bytes(call, info, 2, outside, length) || !call_fits(call, memory, offset, *length)) {
    return false;
  }
  *inside = memory_base(memory) + offset;
  return true;
}

napi_value js_copyOut(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *inside, *outside;
  uint64_t length;
  call_begin_hot(&call, env, "copyOut");
  if (memory_and_bytes(&call, info, &inside, &outside, &length)) {
    memmove(outside, inside, length);
  }
  return NULL;
}

napi_value js_copyIn(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *inside, *outside;
  uint64_t length;
  call_begin_hot(&call, env, "copyIn");
  if (memory_and_bytes(&call, info, &inside, &outside, &length)) {
    memmove(inside, outside, length);
  }
  return NULL;
}

napi_value js_streamIn(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *inside, *outside;
  uint64_t length;
  call_begin_hot(&call, env, "streamIn");
  if (memory_and_bytes(&call, info, &inside, &outside, &length)) {
    stream_bytes(inside, outside, length);
  }
  return NULL;
}

/* (target, targetOffset, source, sourceOffset, length) */
static bool two_memories(struct call *call, uint8_t **to, const uint8_t **from, uint64_t *length) {
  struct memory *target, *source;
  uint64_t target_offset, source_offset;
  if (!call_memory(call, 0, "target", &target) ||
      !call_integer(call, 1, "targetOffset", SAFE_MAX, &target_offset) ||
      !call_memory(call, 2, "source", &source) ||
      !call_integer(call, 3, "sourceOffset", SAFE_MAX, &source_offset) ||
      !call_integer(call, 4, "length", SAFE_MAX, length) ||
      !call_fits(call, target, target_offset, *length) ||
      !call_fits(call, source, source_offset, *length)) {
    return false;
  }
  *to = memory_base(target) + target_offset;
  *from = memory_base(source) + source_offset;
  return true;
}

napi_value js_copy(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *to;
  const uint8_t *from;
  uint64_t length;
  (void)info;
  call_begin_hot(&call, env, "copy");
  if (two_memories(&call, &to, &from, &length)) {
    memmove(to, from, length);
  }
  return NULL;
}

napi_value js_stream(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *to;
  const uint8_t *from;
  uint64_t length;
  (void)info;
  call_begin_hot(&call, env, "stream");
  if (!two_memories(&call, &to, &from, &length)) {
    return NULL;
  }
  if (to < from + length && from < to + length) {
    return throw_errno(env, EINVAL, "stream", "use copy and flush",
                       "stream of 0x%" PRIx64 " bytes between ranges that overlap", length);
  }
  stream_bytes(to, from, length);
  return NULL;
}

/* One byte of a line tells of all of it: poison is by lines, or larger. */
napi_value js_touch(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  (void)info;
  call_begin_hot(&call, env, "touch");
  if (!call_range(&call, 0, &memory, &offset, &length) || length == 0) return NULL;
  const uint8_t *start = memory_base(memory) + offset;
  for (uint64_t at = 0; at < length; at += LINE_BYTES) *(const volatile uint8_t *)(start + at);
  *(const volatile uint8_t *)(start + length - 1);
  return NULL;
}

napi_value js_zero(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  (void)info;
  call_begin_hot(&call, env, "zero");
  if (call_range(&call, 0, &memory, &offset, &length)) {
    memset(memory_base(memory) + offset, 0, length);
  }
  return NULL;
}

napi_value js_streamZero(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  (void)info;
  call_begin_hot(&call, env, "streamZero");
  if (call_range(&call, 0, &memory, &offset, &length)) {
    stream_bytes(memory_base(memory) + offset, NULL, length);
  }
  return NULL;
}

napi_value js_store8(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, low, high;
  (void)info;
  call_begin_hot(&call, env, "store8");
  if (!call_memory(&call, 0, "memory", &memory) ||
      !call_integer(&call, 1, "offset", SAFE_MAX, &offset) ||
      !call_integer(&call, 2, "low", U32_MAX, &low) ||
      !call_integer(&call, 3, "high", U32_MAX, &high) || !call_fits(&call, memory, offset, 8)) {
    return NULL;
  }
  if (offset % 8 != 0) {
    throw_range(env, "store8: offset 0x%" PRIx64 " of memory %" PRIu64
                " is not a multiple of 8; an unaligned store could be torn", offset, memory->id);
    return NULL;
  }
  uint64_t *at = (uint64_t *)(void *)(memory_base(memory) + offset);
  __atomic_store_n(at, high << 32 | low, __ATOMIC_RELEASE);
  return NULL;
}

/* (target, source; targetStart, sourceStart, length): from one Uint8Array to another. */
napi_value js_copyBytes(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t start[2], length;
  uint8_t *data[2];
  size_t count = 2;
  napi_value arrays[2];
  call_begin_hot(&call, env, "copyBytes");
  if (napi_get_cb_info(env, info, &count, arrays, NULL, NULL) != napi_ok ||
      !call_integer(&call, 0, "targetStart", SAFE_MAX, &start[0]) ||
      !call_integer(&call, 1, "sourceStart", SAFE_MAX, &start[1]) ||
      !call_integer(&call, 2, "length", SAFE_MAX, &length) ||
      !call_array(&call, arrays[0], start[0], length, &data[0]) ||
      !call_array(&call, arrays[1], start[1], length, &data[1])) {
    return NULL;
  }
  memmove(data[0], data[1], length);
  return NULL;
}
