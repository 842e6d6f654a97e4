/*
 * Eight aligned bytes changed as one: what local Atomics, other processes and devices see is the
 * whole of a change or nothing of it. Numbers are this machine's, as memory has them.
 */
#include "addon.h"
#include "args.h"

#include <inttypes.h>

enum { WORD_BYTES = 8, OPERATION_FETCH_ADD = 0, OPERATION_COMPARE_SWAP = 2 };

struct change {
  uint64_t operation, data, mask, compare, compare_mask;
};

/* A sum of fields: a bit that is set in `mask` is the highest of one, and carries nothing on. */
static uint64_t add_fields(uint64_t value, uint64_t data, uint64_t mask) {
  if (mask == 0) return value + data;
  uint64_t sum = 0, carry = 0;
  for (uint64_t bit = 1; bit != 0; bit <<= 1) {
    uint64_t a = (value & bit) != 0, b = (data & bit) != 0, ones = a + b + carry;
    if (ones & 1) sum |= bit;
    carry = (mask & bit) ? 0 : ones >> 1;
  }
  return sum;
}

static uint64_t changed(const struct change *change, uint64_t value) {
  if (change->operation == OPERATION_FETCH_ADD) {
    return add_fields(value, change->data, change->mask);
  }
  if ((value & change->compare_mask) != (change->compare & change->compare_mask)) return value;
  return (value & ~change->mask) | (change->data & change->mask);
}

/* Returns what was there before. */
static uint64_t apply(const struct change *change, uint64_t *place) {
  uint64_t old = __atomic_load_n(place, __ATOMIC_SEQ_CST);
  while (!__atomic_compare_exchange_n(place, &old, changed(change, old), false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST)) {
  }
  return old;
}

static bool read_word(struct call *call, int index, const char *what, uint64_t *out) {
  uint64_t low, high;
  if (!call_integer(call, index, what, U32_MAX, &low) ||
      !call_integer(call, index + 1, what, U32_MAX, &high)) {
    return false;
  }
  *out = high << 32 | low;
  return true;
}

/* (place; ., ., operation, data, mask, compare, compareMask): each of the four low and high. */
static bool read_change(struct call *call, struct change *change) {
  if (!call_integer(call, 2, "operation", OPERATION_COMPARE_SWAP, &change->operation) ||
      !read_word(call, 3, "data", &change->data) || !read_word(call, 5, "mask", &change->mask) ||
      !read_word(call, 7, "compare", &change->compare) ||
      !read_word(call, 9, "compareMask", &change->compare_mask)) {
    return false;
  }
  if (change->operation != 1) return true;
  return throw_range(call->env, "%s: operation 1; pass 0 to add, 2 to compare and swap",
                     call->name);
}

static bool aligned(const void *place) {
  return ((uintptr_t)place & (WORD_BYTES - 1)) == 0;
}

static bool demand_word(struct call *call, uint64_t length) {
  if (length == WORD_BYTES) return true;
  return throw_range(call->env, "%s: %" PRIu64 " bytes; pass 8", call->name, length);
}

/* The result: low half, high half, and whether the place was aligned. */
static napi_value change_word(struct call *call, uint8_t *place) {
  struct change change;
  if (!read_change(call, &change)) return NULL;
  call->registers[2] = aligned(place);
  if (!aligned(place)) return NULL;
  uint64_t old = apply(&change, (uint64_t *)(void *)place);
  call->registers[1] = (double)(old >> 32);
  return call_result(call, (double)(uint32_t)old);
}

napi_value js_atomic8(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset;
  (void)info;
  call_begin_hot(&call, env, "atomic8");
  if (!call_memory(&call, 0, "memory", &memory) ||
      !call_integer(&call, 1, "offset", SAFE_MAX, &offset) ||
      !call_fits(&call, memory, offset, WORD_BYTES)) {
    return NULL;
  }
  return change_word(&call, memory_base(memory) + offset);
}

napi_value js_atomic8Of(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *place;
  uint64_t length;
  call_begin_hot(&call, env, "atomic8Of");
  if (!call_bytes(&call, info, 0, &place, &length) || !demand_word(&call, length)) return NULL;
  return change_word(&call, place);
}

napi_value js_store8Of(napi_env env, napi_callback_info info) {
  struct call call;
  uint8_t *place;
  uint64_t length, word;
  call_begin_hot(&call, env, "store8Of");
  if (!call_bytes(&call, info, 0, &place, &length) || !demand_word(&call, length) ||
      !read_word(&call, 2, "word", &word)) {
    return NULL;
  }
  if (!aligned(place)) return call_result(&call, 0);
  __atomic_store_n((uint64_t *)(void *)place, word, __ATOMIC_RELEASE);
  return call_result(&call, 1);
}
