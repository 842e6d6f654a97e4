/* Bytes into and out of sockets: the hot calls of a connection. None of them waits. */
#define _GNU_SOURCE
#include "addon.h"
#include "socket_io.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>

bool would_wait(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

/* (bytes; poll, start, length) */
static bool poll_and_bytes(struct call *call, napi_callback_info info, struct poll **poll,
                           uint8_t **bytes, uint64_t *length) {
  return call_poll(call, 0, poll) && call_bytes(call, info, 1, bytes, length);
}

napi_value js_send(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  uint8_t *bytes;
  uint64_t length;
  ssize_t sent;
  call_begin_hot(&call, env, "send");
  if (!poll_and_bytes(&call, info, &poll, &bytes, &length)) return NULL;
  if (length == 0) return call_result(&call, 0);
  do {
    sent = send(poll_fd(poll), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return call_result(&call, (double)sent);
  if (would_wait(errno)) return call_result(&call, 0);
  return throw_errno(env, errno, "send", NULL, "send of 0x%" PRIx64 " bytes to fd %d", length,
                     poll_fd(poll));
}

bool receive_result(struct call *call, const struct poll *poll, ssize_t got, uint64_t length,
                    double *result) {
  if (got >= 0 || would_wait(errno)) {
    *result = got > 0 ? (double)got : got == 0 ? -1 : 0;
    return true;
  }
  throw_errno(call->env, errno, "recv", NULL, "%s of 0x%" PRIx64 " bytes from fd %d", call->name,
              length, poll_fd(poll));
  return false;
}

static napi_value received(struct call *call, const struct poll *poll, ssize_t got,
                           uint64_t length) {
  double result;
  return receive_result(call, poll, got, length, &result) ? call_result(call, result) : NULL;
}

napi_value js_receive(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  uint8_t *bytes;
  uint64_t length;
  ssize_t got;
  call_begin_hot(&call, env, "receive");
  if (!poll_and_bytes(&call, info, &poll, &bytes, &length)) return NULL;
  if (length == 0) return call_result(&call, 0);
  do {
    got = recv(poll_fd(poll), bytes, length, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return received(&call, poll, got, length);
}

/* A number from place `index` of an array. */
static bool element_integer(struct call *call, napi_value array, uint32_t index, uint64_t *out) {
  napi_value value;
  double number;
  if (napi_get_element(call->env, array, index, &value) == napi_ok &&
      napi_get_value_double(call->env, value, &number) == napi_ok && number >= 0 &&
      number <= (double)SAFE_MAX && (double)(uint64_t)number == number) {
    *out = (uint64_t)number;
    return true;
  }
  return throw_range(call->env, "%s: element %" PRIu32 " is no integer in [0, 2^53)", call->name,
                     index);
}

/* Three elements of an array: a memory's id or a Uint8Array, an offset in it, a length. */
static bool part_of(struct call *call, napi_value array, uint32_t index, struct iovec *part) {
  napi_value where;
  napi_valuetype type;
  struct memory *memory;
  uint64_t id, offset, length;
  uint8_t *bytes;
  if (!element_integer(call, array, index + 1, &offset) ||
      !element_integer(call, array, index + 2, &length)) {
    return false;
  }
  if (napi_get_element(call->env, array, index, &where) != napi_ok ||
      napi_typeof(call->env, where, &type) != napi_ok) {
    return throw_type(call->env, "%s: there is no element %" PRIu32, call->name, index);
  }
  if (type == napi_number) {
    if (!element_integer(call, array, index, &id)) return false;
    memory = memory_find(call->env, id);
    if (memory == NULL) {
      call_refuse_memory(call, "memory", id);
      return false;
    }
    if (!call_fits(call, memory, offset, length)) return false;
    bytes = memory_base(memory) + offset;
  } else if (!call_array(call, where, offset, length, &bytes)) {
    return false;
  }
  *part = (struct iovec){bytes, length};
  return true;
}

bool call_parts(struct call *call, napi_value array, uint64_t count, struct iovec *parts,
                uint64_t *total) {
  *total = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!part_of(call, array, 3 * i, &parts[i])) return false;
    *total += parts[i].iov_len;
  }
  return true;
}

/* (array; poll, count): so many parts. Returns their bytes in `total`. */
static bool poll_and_parts(struct call *call, napi_callback_info info, struct poll **poll,
                           struct iovec *parts, uint64_t *count, uint64_t *total) {
  size_t arguments = 1;
  napi_value array;
  return call_poll(call, 0, poll) && call_integer(call, 1, "count", PARTS_MAX, count) &&
         napi_get_cb_info(call->env, info, &arguments, &array, NULL, NULL) == napi_ok &&
         call_parts(call, array, *count, parts, total);
}

napi_value js_sendParts(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct iovec parts[PARTS_MAX];
  uint64_t count, total;
  ssize_t sent;
  call_begin_hot(&call, env, "sendParts");
  if (!poll_and_parts(&call, info, &poll, parts, &count, &total)) return NULL;
  if (total == 0) return call_result(&call, 0);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  do {
    sent = sendmsg(poll_fd(poll), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return call_result(&call, (double)sent);
  if (would_wait(errno)) return call_result(&call, 0);
  return throw_errno(env, errno, "send", NULL, "sendParts of 0x%" PRIx64 " bytes to fd %d", total,
                     poll_fd(poll));
}

napi_value js_receiveParts(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct iovec parts[PARTS_MAX];
  uint64_t count, total;
  ssize_t got;
  call_begin_hot(&call, env, "receiveParts");
  if (!poll_and_parts(&call, info, &poll, parts, &count, &total)) return NULL;
  if (total == 0) return call_result(&call, 0);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  do {
    got = recvmsg(poll_fd(poll), &message, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return received(&call, poll, got, total);
}
