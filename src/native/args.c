#include "args.h"

#include <errno.h>
#include <inttypes.h>

_Thread_local double call_registers[ARGUMENTS_MAX];

void call_refuse_number(struct call *call, int index, const char *what, uint64_t max) {
  double number;
  if (call_double(call, index, &number)) {
    throw_range(call->env, "%s: argument %d (%s) is %.17g; pass an integer in [0, %" PRIu64 "]",
                call->name, index, what, number, max);
  } else {
    throw_type(call->env,
               "%s: argument %d (%s) is not a number; pass an integer in [0, %" PRIu64 "]",
               call->name, index, what, max);
  }
}

void call_refuse_memory(struct call *call, const char *what, uint64_t id) {
  throw_errno(call->env, EINVAL, call->name,
              "pass an id of a memory that this thread made and has not unmapped",
              "%s: %s %" PRIu64 " is not a live memory", call->name, what, id);
}

void call_refuse_range(struct call *call, const struct memory *memory, uint64_t offset,
                       uint64_t length) {
  throw_range(call->env,
              "%s: 0x%" PRIx64 " bytes at offset 0x%" PRIx64 " do not fit memory %" PRIu64
              " of 0x%" PRIx64 " bytes; stay inside its byteLength",
              call->name, length, offset, memory->id, memory->length);
}

bool call_fd(struct call *call, int index, int *fd) {
  uint64_t number;
  if (!call_integer(call, index, "fd", FD_MAX, &number)) return false;
  *fd = (int)number;
  return true;
}

bool call_boolean(struct call *call, int index, const char *what, bool *out) {
  if (napi_get_value_bool(call->env, call->values[index], out) == napi_ok) return true;
  return throw_type(call->env, "%s: argument %d (%s) is not a boolean; pass true or false",
                    call->name, index, what);
}

bool call_array(struct call *call, napi_value array, uint64_t start, uint64_t length,
                uint8_t **out) {
  napi_typedarray_type type;
  size_t size;
  void *data;
  if (napi_get_typedarray_info(call->env, array, &type, &size, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    return throw_type(call->env, "%s: an argument is not a Uint8Array; pass one", call->name);
  }
  if (start > size || length > size - start) {
    return throw_range(call->env,
                       "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
                       " do not fit the Uint8Array of 0x%zx bytes; stay inside its length",
                       call->name, length, start, size);
  }
  /* A detached or empty array has no data: no arithmetic on NULL. */
  *out = length == 0 ? (uint8_t *)call : (uint8_t *)data + start;
  return true;
}

bool call_bytes(struct call *call, napi_callback_info info, int index, uint8_t **out,
                uint64_t *length) {
  size_t count = 1;
  napi_value bytes;
  uint64_t start;
  return napi_get_cb_info(call->env, info, &count, &bytes, NULL, NULL) == napi_ok &&
         call_integer(call, index, "start", SAFE_MAX, &start) &&
         call_integer(call, index + 1, "length", SAFE_MAX, length) &&
         call_array(call, bytes, start, *length, out);
}
