/* TCP sockets: connecting, listening, accepting, and what the kernel says of them. */
#define _GNU_SOURCE
#include "addon.h"
#include "poll.h"
#include "sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  /* An IPv6 address, '%', and the name of an interface. */
  HOST_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE,
  /*
   * A peer that says nothing is asked after so many seconds, and again; one that has acknowledged
   * nothing of what was sent, or left no room for it, for so many milliseconds is gone.
   */
  KEEPALIVE_IDLE_SECONDS = 30,
  KEEPALIVE_INTERVAL_SECONDS = 10,
  UNANSWERED_MILLISECONDS = 60000,
  /* Bytes that are thrown away at a time, and how many times, by `close`. */
  DRAIN_BYTES = 65536,
  DRAINS_MAX = 256,
  /* Connections that were gone before they were accepted, in one call. */
  LOST_MAX = 64,
};

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_storage space;
};

struct endpoint {
  char host[HOST_MAX];
  uint64_t port;
  union address address;
  socklen_t length;
};

/* (address, port): a numeric address, so that nothing is looked up. */
static bool call_endpoint(struct call *call, int index, struct endpoint *endpoint) {
  size_t size;
  if (napi_get_value_string_utf8(call->env, call->values[index], endpoint->host, HOST_MAX,
                                 &size) != napi_ok) {
    return throw_type(call->env, "%s: argument %d (address) is not a string; pass one", call->name,
                      index);
  }
  if (!call_integer(call, index + 1, "port", UINT16_MAX, &endpoint->port)) return false;
  const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  /* Cut off, or with a zero byte inside, it is another's address. */
  bool whole = size < HOST_MAX - 1 && strlen(endpoint->host) == size;
  if (!whole || getaddrinfo(endpoint->host, NULL, &hints, &found) != 0) {
    throw_errno(call->env, EINVAL, "getaddrinfo", "pass an IPv4 or IPv6 address",
                "%s: '%s' is no numeric address", call->name, endpoint->host);
    return false;
  }
  endpoint->length = found->ai_addrlen;
  memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  /* At the same place in both. */
  endpoint->address.v4.sin_port = htons((uint16_t)endpoint->port);
  return true;
}

/* An error once more, with the descriptor closed. */
static napi_value refuse(struct call *call, int fd, const char *syscall,
                         const struct endpoint *endpoint) {
  int error = errno;
  if (fd >= 0) close(fd);
  return throw_errno(call->env, error, syscall, NULL, "%s to %s port %" PRIu64, call->name,
                     endpoint->host, endpoint->port);
}

static bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* A peer that has acknowledged nothing for so many milliseconds is gone, and asked until then. */
static bool limit_silence(int fd, uint64_t milliseconds) {
  int pause = milliseconds < 3000 ? 1 : (int)(milliseconds / 3000);
  return set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, pause) &&
         set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, pause) &&
         set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)milliseconds);
}

/* Sockets that a listener accepts have its options. */
static int open_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return -1;
  if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
      set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
      set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS) &&
      set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS) &&
      set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MILLISECONDS)) {
    return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

napi_value js_connectSocket(napi_env env, napi_callback_info info) {
  struct call call;
  struct endpoint to;
  if (!call_begin(&call, env, info, "connectSocket", 3) || !call_endpoint(&call, 0, &to) ||
      !call_function(&call, 2, "callback")) {
    return NULL;
  }
  int fd = open_socket(to.address.any.sa_family);
  if (fd < 0) return refuse(&call, fd, "socket", &to);
  /* Interrupted, it goes on all the same. */
  if (connect(fd, &to.address.any, to.length) != 0 && errno != EINPROGRESS && errno != EINTR) {
    return refuse(&call, fd, "connect", &to);
  }
  return poll_owning(&call, fd, call.values[2]);
}

napi_value js_connected(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  if (!call_begin(&call, env, info, "connected", 1) || !call_poll(&call, 0, &poll)) return NULL;
  int fd = poll_fd(poll), error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error) return throw_errno(env, error, "connect", NULL, "connected: fd %d", fd);
  union address address;
  length = sizeof address;
  if (getpeername(fd, &address.any, &length) == 0) return call_truth(&call, true);
  if (errno == ENOTCONN) return call_truth(&call, false);
  return throw_errno(env, errno, "getpeername", NULL, "connected: fd %d", fd);
}

napi_value js_listenSocket(napi_env env, napi_callback_info info) {
  struct call call;
  struct endpoint at;
  uint64_t silence;
  if (!call_begin(&call, env, info, "listenSocket", 4) || !call_endpoint(&call, 0, &at) ||
      !call_integer(&call, 2, "silence", INT32_MAX, &silence) ||
      !call_function(&call, 3, "callback")) {
    return NULL;
  }
  int fd = open_socket(at.address.any.sa_family);
  if (fd < 0) return refuse(&call, fd, "socket", &at);
  if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return refuse(&call, fd, "setsockopt", &at);
  if (silence > 0 && !limit_silence(fd, silence)) return refuse(&call, fd, "setsockopt", &at);
  if (bind(fd, &at.address.any, at.length) != 0) return refuse(&call, fd, "bind", &at);
  if (listen(fd, BACKLOG) != 0) return refuse(&call, fd, "listen", &at);
  return poll_owning(&call, fd, call.values[3]);
}

/* {host, port} of an address. */
static napi_value endpoint_of(struct call *call, const union address *address, socklen_t length) {
  char host[HOST_MAX];
  napi_value result, text;
  if (getnameinfo(&address->any, length, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0) {
    return throw_errno(call->env, EAFNOSUPPORT, "getnameinfo", NULL, "%s", call->name);
  }
  napi_value port = call_number(call, ntohs(address->v4.sin_port));
  if (napi_create_object(call->env, &result) == napi_ok &&
      napi_create_string_utf8(call->env, host, NAPI_AUTO_LENGTH, &text) == napi_ok &&
      napi_set_named_property(call->env, result, "host", text) == napi_ok &&
      napi_set_named_property(call->env, result, "port", port) == napi_ok) {
    return result;
  }
  return NULL;
}

/*
 * Linux hands over what befell a connection before it was accepted as an error of accept(2): that
 * connection is gone, others wait behind it.
 */
static bool befell_another(int error) {
  switch (error) {
  case EINTR:
  case ECONNABORTED:
  case EPROTO:
  case ENOPROTOOPT:
  case ENETDOWN:
  case ENETUNREACH:
  case EHOSTDOWN:
  case EHOSTUNREACH:
  case EPERM:
    return true;
  default:
    return false;
  }
}

int accept_next(int listener, struct sockaddr *address, socklen_t *length) {
  const socklen_t room = length == NULL ? 0 : *length;
  for (int lost = 0;; lost++) {
    if (length != NULL) *length = room;
    int fd = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || !befell_another(errno) || lost >= LOST_MAX) return fd;
  }
}

napi_value js_acceptSocket(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *listener;
  union address address;
  socklen_t length = sizeof address;
  if (!call_begin(&call, env, info, "acceptSocket", 2) || !call_poll(&call, 0, &listener) ||
      !call_function(&call, 1, "callback")) {
    return NULL;
  }
  int fd = accept_next(poll_fd(listener), &address.any, &length);
  if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return NULL;
  if (fd < 0) {
    return throw_errno(env, errno, "accept4", NULL, "acceptSocket: fd %d", poll_fd(listener));
  }
  napi_value result = endpoint_of(&call, &address, length);
  napi_value id = result == NULL ? NULL : poll_owning(&call, fd, call.values[1]);
  if (result == NULL) close(fd);
  if (id == NULL || napi_set_named_property(env, result, "poll", id) != napi_ok) return NULL;
  return result;
}

napi_value js_boundTo(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  union address address;
  socklen_t length = sizeof address;
  if (!call_begin(&call, env, info, "boundTo", 1) || !call_poll(&call, 0, &poll)) return NULL;
  if (getsockname(poll_fd(poll), &address.any, &length) == 0) {
    return endpoint_of(&call, &address, length);
  }
  return throw_errno(env, errno, "getsockname", NULL, "boundTo: fd %d", poll_fd(poll));
}

napi_value js_segmentBytes(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  int bytes;
  socklen_t length = sizeof bytes;
  if (!call_begin(&call, env, info, "segmentBytes", 1) || !call_poll(&call, 0, &poll)) return NULL;
  if (getsockopt(poll_fd(poll), IPPROTO_TCP, TCP_MAXSEG, &bytes, &length) == 0) {
    return call_number(&call, bytes);
  }
  return throw_errno(env, errno, "getsockopt", NULL, "segmentBytes: fd %d", poll_fd(poll));
}

/* What may be queued, without what is queued and not acknowledged (tcp(7)). */
napi_value js_roomToSend(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  int most, queued;
  socklen_t length = sizeof most;
  if (!call_begin(&call, env, info, "roomToSend", 1) || !call_poll(&call, 0, &poll)) return NULL;
  if (getsockopt(poll_fd(poll), SOL_SOCKET, SO_SNDBUF, &most, &length) != 0) {
    return throw_errno(env, errno, "getsockopt", NULL, "roomToSend: fd %d", poll_fd(poll));
  }
  if (ioctl(poll_fd(poll), SIOCOUTQ, &queued) != 0) {
    return throw_errno(env, errno, "ioctl", NULL, "roomToSend: fd %d", poll_fd(poll));
  }
  return call_number(&call, most > queued ? most - queued : 0);
}

napi_value js_endSocket(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  if (!call_begin(&call, env, info, "endSocket", 1) || !call_poll(&call, 0, &poll)) return NULL;
  /* A connection that is gone has ended already; why, the next call says. */
  if (shutdown(poll_fd(poll), SHUT_WR) == 0 || errno == ENOTCONN) return NULL;
  return throw_errno(env, errno, "shutdown", NULL, "endSocket: fd %d", poll_fd(poll));
}

/*
 * Closed with bytes that nobody received, a socket is reset, and what was to be sent is dropped. So
 * they are received first; those that come later are not waited for.
 */
static void drain(int fd) {
  static _Thread_local uint8_t nowhere[DRAIN_BYTES];
  for (int i = 0; i < DRAINS_MAX; i++) {
    ssize_t got = recv(fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
  }
}

napi_value js_closeSocket(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  bool reset;
  if (!call_begin(&call, env, info, "closeSocket", 2) || !call_poll(&call, 0, &poll) ||
      !call_boolean(&call, 1, "reset", &reset)) {
    return NULL;
  }
  if (reset) {
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(poll_fd(poll), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  } else {
    drain(poll_fd(poll));
  }
  poll_close(poll);
  return NULL;
}
