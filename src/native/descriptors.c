/*
 * Descriptors through Unix sockets (SCM_RIGHTS, unix(7)).
 *
 * The kernel ends what one call receives behind the bytes of the send that descriptors came with,
 * but begins it with bytes of sends before. So they are sent with one byte alone: then that is the
 * last byte of the call that receives them, and the receiver knows their place in the stream.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "socket_io.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

enum {
  /* The kernel's SCM_MAX_FD. */
  DESCRIPTORS_MAX = 253,
  /* Room for all of them, and for what options that somebody else has set bring along. */
  CONTROL_BYTES = 4096,
};

union control {
  struct cmsghdr first;
  char bytes[CONTROL_BYTES];
};

/* An Int32Array. */
static bool call_int32s(struct call *call, int index, const char *what, int32_t **out,
                        size_t *count) {
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(call->env, call->values[index], &type, count, &data, NULL, NULL) ==
          napi_ok &&
      type == napi_int32_array) {
    *out = data;
    return true;
  }
  return throw_type(call->env, "%s: argument %d (%s) is not an Int32Array; pass one", call->name,
                    index, what);
}

/* (socket, bytes, start, descriptors): the byte at `start`. 1, or 0 when there is no room. */
napi_value js_sendDescriptors(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  union control control;
  uint64_t start;
  uint8_t *byte;
  int32_t *fds;
  size_t count;
  ssize_t sent;
  if (!call_begin(&call, env, info, "sendDescriptors", 4) || !call_poll(&call, 0, &poll) ||
      !call_integer(&call, 2, "start", SAFE_MAX, &start) ||
      !call_array(&call, call.values[1], start, 1, &byte) ||
      !call_int32s(&call, 3, "descriptors", &fds, &count)) {
    return NULL;
  }
  if (count == 0 || count > DESCRIPTORS_MAX) {
    throw_range(env, "sendDescriptors of %zu descriptors; pass 1 to %d", count, DESCRIPTORS_MAX);
    return NULL;
  }
  struct iovec part = {byte, 1};
  struct msghdr message = {
      .msg_iov = &part,
      .msg_iovlen = 1,
      .msg_control = &control,
      .msg_controllen = CMSG_SPACE(count * sizeof(int)),
  };
  memset(&control, 0, message.msg_controllen);
  control.first = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET,
      .cmsg_type = SCM_RIGHTS,
      .cmsg_len = CMSG_LEN(count * sizeof(int)),
  };
  memcpy(CMSG_DATA(&control.first), fds, count * sizeof(int));
  do {
    sent = sendmsg(poll_fd(poll), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0 || would_wait(errno)) return call_number(&call, sent < 0 ? 0 : 1);
  return throw_errno(env, errno, "sendmsg", NULL, "sendDescriptors of %zu to fd %d", count,
                     poll_fd(poll));
}

static void close_all(const int32_t *fds, size_t count) {
  for (size_t i = 0; i < count; i++) close(fds[i]);
}

/* Keeps the first `room` of the descriptors that came, and closes the others. */
static size_t take_descriptors(struct msghdr *message, int32_t *fds, size_t room) {
  size_t kept = 0;
  for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each)) {
    if (each->cmsg_level != SOL_SOCKET) continue;
    if (each->cmsg_type != SCM_RIGHTS && each->cmsg_type != SCM_PIDFD) continue;
    size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
      if (each->cmsg_type == SCM_RIGHTS && kept < room) {
        fds[kept++] = fd;
      } else if (fd >= 0) {
        close(fd);
      }
    }
  }
  return kept;
}

/*
 * (socket, parts, count, into): as receiveParts. `into`: how many descriptors came and were kept,
 * and behind that room for them.
 */
napi_value js_receiveDescriptors(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct iovec parts[PARTS_MAX];
  union control control;
  uint64_t count, total;
  int32_t *into;
  size_t size;
  ssize_t got;
  double result;
  if (!call_begin(&call, env, info, "receiveDescriptors", 4) || !call_poll(&call, 0, &poll) ||
      !call_integer(&call, 2, "count", PARTS_MAX, &count) ||
      !call_parts(&call, call.values[1], count, parts, &total) ||
      !call_int32s(&call, 3, "into", &into, &size)) {
    return NULL;
  }
  if (size == 0) {
    throw_range(env, "receiveDescriptors: the Int32Array has no element; it takes 1 at least");
    return NULL;
  }
  into[0] = 0;
  if (total == 0) return call_number(&call, 0);
  struct msghdr message = {
      .msg_iov = parts,
      .msg_iovlen = count,
      .msg_control = &control,
      .msg_controllen = sizeof control,
  };
  do {
    got = recvmsg(poll_fd(poll), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    size_t kept = take_descriptors(&message, into + 1, size - 1);
    if (message.msg_flags & MSG_CTRUNC) {
      close_all(into + 1, kept);
      return throw_errno(env, EMFILE, "recvmsg", NULL,
                         "receiveDescriptors from fd %d: some that came are lost",
                         poll_fd(poll));
    }
    into[0] = (int32_t)kept;
  }
  return receive_result(&call, poll, got, total, &result) ? call_number(&call, result) : NULL;
}
