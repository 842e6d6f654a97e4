/*
 * Reading the arguments of a call.
 *
 * Each number that Node-API hands over costs 7 ns, asking for the arguments 10 and a returned
 * number 10 more, on top of 12 for the call. So the hot calls pass numbers through registers: a
 * Float64Array over memory of this thread, which JavaScript writes (1 ns each) before it calls
 * without arguments, and from which it reads the result. Nothing is allocated, and what formats a
 * message is out of line.
 */
#ifndef HOLDFAST_ARGS_H
#define HOLDFAST_ARGS_H

#include "errors.h"
#include "memory.h"

enum { ARGUMENTS_MAX = 11 };

/* Number.MAX_SAFE_INTEGER. */
#define SAFE_MAX ((UINT64_C(1) << 53) - 1)
#define U32_MAX UINT64_C(0xffffffff)
#define FD_MAX UINT64_C(0x7fffffff)

extern _Thread_local double call_registers[ARGUMENTS_MAX];

struct call {
  napi_env env;
  /* The function's name in the face. */
  const char *name;
  /* Where the numbers are; NULL when they are in `values`. */
  double *registers;
  napi_value values[ARGUMENTS_MAX];
};

/* These throw. They return nothing, so that the compiler sees each caller return false. */
COLD void call_refuse_number(struct call *call, int index, const char *what, uint64_t max);
COLD void call_refuse_memory(struct call *call, const char *what, uint64_t id);
COLD void call_refuse_range(struct call *call, const struct memory *memory, uint64_t offset,
                            uint64_t length);

/* The number of an open file descriptor, as far as its size goes. */
bool call_fd(struct call *call, int index, int *fd);
bool call_boolean(struct call *call, int index, const char *what, bool *out);
/*
 * The bytes [start, start + length) of a Uint8Array: the only argument, with `start` and `length`
 * in two registers in a row.
 */
bool call_bytes(struct call *call, napi_callback_info info, int index, uint8_t **out,
                uint64_t *length);
/* The bytes [start, start + length) of a Uint8Array. */
bool call_array(struct call *call, napi_value array, uint64_t start, uint64_t length,
                uint8_t **out);

static inline bool call_begin(struct call *call, napi_env env, napi_callback_info info,
                              const char *name, size_t count) {
  call->env = env;
  call->name = name;
  call->registers = NULL;
  return napi_get_cb_info(env, info, &count, call->values, NULL, NULL) == napi_ok;
}

/* A call whose arguments are all numbers, in registers. */
static inline void call_begin_hot(struct call *call, napi_env env, const char *name) {
  *call = (struct call){.env = env, .name = name, .registers = call_registers};
}

/* Its result. */
static inline napi_value call_result(struct call *call, double number) {
  call->registers[0] = number;
  return NULL;
}

/* The argument as a double; false when it is not a number. */
static inline bool call_double(struct call *call, int index, double *out) {
  if (call->registers) {
    *out = call->registers[index];
    return true;
  }
  return napi_get_value_double(call->env, call->values[index], out) == napi_ok;
}

/* An integer in [0, max]; max <= SAFE_MAX. Fractions, NaN and infinities are refused. */
static inline bool call_integer(struct call *call, int index, const char *what, uint64_t max,
                                uint64_t *out) {
  double number;
  if (call_double(call, index, &number) && number >= 0 && number <= (double)max) {
    uint64_t integer = (uint64_t)number;
    if ((double)integer == number) {
      *out = integer;
      return true;
    }
  }
  call_refuse_number(call, index, what, max);
  return false;
}

static inline bool call_memory(struct call *call, int index, const char *what,
                               struct memory **out) {
  uint64_t id;
  if (!call_integer(call, index, what, SAFE_MAX, &id)) return false;
  *out = memory_find(call->env, id);
  if (*out != NULL) return true;
  call_refuse_memory(call, what, id);
  return false;
}

/* A run of a memory that is known. Nothing is added, so nothing overflows. */
static inline bool call_fits(struct call *call, const struct memory *memory, uint64_t offset,
                             uint64_t length) {
  if (offset <= memory->length && length <= memory->length - offset) return true;
  call_refuse_range(call, memory, offset, length);
  return false;
}

/* (memory, offset, length) at three arguments in a row. */
static inline bool call_range(struct call *call, int index, struct memory **memory,
                              uint64_t *offset, uint64_t *length) {
  return call_memory(call, index, "memory", memory) &&
         call_integer(call, index + 1, "offset", SAFE_MAX, offset) &&
         call_integer(call, index + 2, "length", SAFE_MAX, length) &&
         call_fits(call, *memory, *offset, *length);
}

static inline napi_value call_number(struct call *call, double number) {
  napi_value value = NULL;
  napi_create_double(call->env, number, &value);
  return value;
}

static inline napi_value call_truth(struct call *call, bool truth) {
  napi_value value = NULL;
  napi_get_boolean(call->env, truth, &value);
  return value;
}

#endif
