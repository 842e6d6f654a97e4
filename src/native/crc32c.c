/*
 * A CRC register is a polynomial over GF(2) of degree < 32, reflected: bit 31-i holds the
 * coefficient of x^i. Eating a 64-bit word w is  state' = (state + w) * x^32 mod P  with the word's
 * own x^63..x^0.
 *
 * The crc32 instruction takes 3 cycles but a new one starts every cycle, so three runs of n words
 * go side by side:
 *
 *     |---- a: n words ----|---- b: n words ----|---- c: n words ----|
 *
 *     state = a * x^(128n) + b * x^(64n) + c   (mod P)
 *
 * where b and c began with 0. The carry-less product of two reflected registers is A*K*x as a
 * reflected 64-bit word, and one crc32 of that word multiplies by x^32 and reduces; so the factor
 * for a shift by m bits is K = x^(m-33) mod P.
 */
#include "crc32c.h"

#include "addon.h"
#include "args.h"
#include "cpu.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define FAST __attribute__((target("sse4.2,pclmul")))
#define FAST_NAME "sse4.2"
#else
#include <arm_acle.h>
#include <arm_neon.h>
#define FAST __attribute__((target("+crc+crypto")))
#define FAST_NAME "armv8"
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78)

enum {
  /* 4 KiB in one go: 3 * 170 words. */
  WORDS_MAX = 256,
  /* Below it the recombination costs more than it saves. */
  WORDS_MIN = 8,
};

/* factors[n] = x^(64n - 33) mod P. */
static uint32_t factors[2 * WORDS_MAX + 1];
/* tables[k][b]: the register after the byte b and k zero bytes. */
static uint32_t tables[8][256];

static uint64_t load8(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static uint32_t update_portable(uint32_t state, const uint8_t *bytes, size_t length) {
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word = load8(bytes) ^ state;
    state = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
            tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^
            tables[2][word >> 40 & 255] ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; length > 0; bytes++, length--) state = state >> 8 ^ tables[0][(state ^ *bytes) & 255];
  return state;
}

#if defined(__x86_64__)

FAST static inline uint32_t eat8(uint32_t state, uint64_t word) {
  return (uint32_t)_mm_crc32_u64(state, word);
}

FAST static inline uint32_t eat4(uint32_t state, uint32_t word) {
  return _mm_crc32_u32(state, word);
}

FAST static inline uint32_t eat1(uint32_t state, uint8_t byte) {
  return _mm_crc32_u8(state, byte);
}

FAST static inline uint64_t multiply(uint32_t state, uint32_t factor) {
  return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(
      _mm_cvtsi32_si128((int)state), _mm_cvtsi32_si128((int)factor), 0));
}

#else

FAST static inline uint32_t eat8(uint32_t state, uint64_t word) { return __crc32cd(state, word); }

FAST static inline uint32_t eat4(uint32_t state, uint32_t word) { return __crc32cw(state, word); }

FAST static inline uint32_t eat1(uint32_t state, uint8_t byte) { return __crc32cb(state, byte); }

FAST static inline uint64_t multiply(uint32_t state, uint32_t factor) {
  return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(state, factor)), 0);
}

#endif

FAST static uint32_t update_three_way(uint32_t a, const uint8_t *bytes, size_t words) {
  const uint8_t *second = bytes + words * 8, *third = second + words * 8;
  uint32_t b = 0, c = 0;
  for (size_t i = 0; i < words * 8; i += 8) {
    a = eat8(a, load8(bytes + i));
    b = eat8(b, load8(second + i));
    c = eat8(c, load8(third + i));
  }
  return eat8(0, multiply(a, factors[2 * words]) ^ multiply(b, factors[words])) ^ c;
}

FAST static uint32_t update_fast(uint32_t state, const uint8_t *bytes, size_t length) {
  while (cpu.clmul && length >= 3 * 8 * WORDS_MIN) {
    size_t words = length / (3 * 8);
    if (words > WORDS_MAX) words = WORDS_MAX;
    state = update_three_way(state, bytes, words);
    bytes += words * 3 * 8;
    length -= words * 3 * 8;
  }
  for (; length >= 8; bytes += 8, length -= 8) state = eat8(state, load8(bytes));
  if (length & 4) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    state = eat4(state, word);
    bytes += 4;
  }
  for (length &= 3; length > 0; bytes++, length--) state = eat1(state, *bytes);
  return state;
}

uint32_t crc32c_update(uint32_t state, const uint8_t *bytes, size_t length) {
  return cpu.crc32c ? update_fast(state, bytes, length) : update_portable(state, bytes, length);
}

const char *crc32c_name(void) { return cpu.crc32c ? FAST_NAME : "portable"; }

void crc32c_start(void) {
  static const uint8_t zeros[8];
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t state = byte;
    for (int bit = 0; bit < 8; bit++) state = state >> 1 ^ (state & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = state;
  }
  for (int zero = 1; zero < 8; zero++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t state = tables[zero - 1][byte];
      tables[zero][byte] = state >> 8 ^ tables[0][state & 255];
    }
  }
  /* x^31, the first, is the lowest bit; eight zero bytes multiply by x^64. */
  factors[1] = 1;
  for (int n = 2; n <= 2 * WORDS_MAX; n++) factors[n] = update_portable(factors[n - 1], zeros, 8);
}

napi_value js_crc32c(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length, seed;
  (void)info;
  call_begin_hot(&call, env, "crc32c");
  if (!call_range(&call, 0, &memory, &offset, &length) ||
      !call_integer(&call, 3, "seed", U32_MAX, &seed)) {
    return NULL;
  }
  uint32_t state = crc32c_update(~(uint32_t)seed, memory_base(memory) + offset, length);
  return call_result(&call, (double)(uint32_t)~state);
}

/* (bytes; start, length, seed) */
static napi_value crc_of(napi_env env, napi_callback_info info, const char *name,
                         uint32_t (*update)(uint32_t, const uint8_t *, size_t)) {
  struct call call;
  uint8_t *bytes;
  uint64_t length, seed;
  call_begin_hot(&call, env, name);
  if (!call_bytes(&call, info, 0, &bytes, &length) ||
      !call_integer(&call, 2, "seed", U32_MAX, &seed)) {
    return NULL;
  }
  return call_result(&call, (double)(uint32_t)~update(~(uint32_t)seed, bytes, length));
}

napi_value js_crc32cOf(napi_env env, napi_callback_info info) {
  return crc_of(env, info, "crc32cOf", crc32c_update);
}

napi_value js_crc32cPortable(napi_env env, napi_callback_info info) {
  return crc_of(env, info, "crc32cPortable", update_portable);
}
