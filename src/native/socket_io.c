/* Bytes into and out of sockets: the hot calls of a connection. None of them waits. */
#define _GNU_SOURCE
#include "addon.h"
#include "poll.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/uio.h>

static bool would_wait(int error) {
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

/* What was received, 0 when nothing is there now, -1 at the peer's end. */
static napi_value received(struct call *call, const struct poll *poll, ssize_t got,
                           uint64_t length) {
  if (got > 0) return call_result(call, (double)got);
  if (got == 0) return call_result(call, -1);
  if (would_wait(errno)) return call_result(call, 0);
  return throw_errno(call->env, errno, "recv", NULL, "%s of 0x%" PRIx64 " bytes from fd %d",
                     call->name, length, poll_fd(poll));
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

/* (bytes; poll, memory, offset, length, start, more) */
napi_value js_receiveInto(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct memory *memory;
  uint8_t *bytes;
  uint64_t offset, length, more;
  ssize_t got;
  call_begin_hot(&call, env, "receiveInto");
  if (!call_poll(&call, 0, &poll) || !call_range(&call, 1, &memory, &offset, &length) ||
      !call_bytes(&call, info, 4, &bytes, &more)) {
    return NULL;
  }
  if (length + more == 0) return call_result(&call, 0);
  struct iovec parts[2] = {{memory_base(memory) + offset, length}, {bytes, more}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  do {
    got = recvmsg(poll_fd(poll), &message, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return received(&call, poll, got, length + more);
}
