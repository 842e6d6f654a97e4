/* Unix sockets: listening at a path, connecting, accepting, and who is at the other end. */
#define _GNU_SOURCE
#include "addon.h"
#include "poll.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum {
  /* With the zero byte after it. */
  PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
  MODE_MAX = 0777,
};

struct place {
  char path[PATH_BYTES + 1];
  struct sockaddr_un address;
  socklen_t length;
};

/* A path; with '@' before it a name without a file (unix(7), abstract). */
static bool call_place(struct call *call, int index, struct place *place) {
  size_t size;
  if (napi_get_value_string_utf8(call->env, call->values[index], place->path, sizeof place->path,
                                 &size) != napi_ok) {
    return throw_type(call->env, "%s: argument %d (path) is not a string; pass one", call->name,
                      index);
  }
  /* Cut off, or with a zero byte inside, it is another's. */
  if (size == 0 || size >= PATH_BYTES || strlen(place->path) != size) {
    throw_errno(call->env, size == 0 ? EINVAL : ENAMETOOLONG, "socket",
                "pass a path of 1 to 107 bytes without a zero byte", "%s: '%s'", call->name,
                place->path);
    return false;
  }
  place->address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(place->address.sun_path, place->path, size);
  if (place->path[0] == '@') place->address.sun_path[0] = '\0';
  place->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
  /* The zero byte belongs to a path, and to the name of no abstract one. */
  if (place->path[0] != '@') place->length++;
  return true;
}

static const struct sockaddr *address_of(const struct place *place) {
  return (const struct sockaddr *)(const void *)&place->address;
}

/* An error once more, with the descriptor closed. */
static napi_value refuse(struct call *call, int fd, const char *syscall, const char *remedy,
                         const struct place *place) {
  int error = errno;
  if (fd >= 0) close(fd);
  return throw_errno(call->env, error, syscall, remedy, "%s to %s", call->name, place->path);
}

static int open_socket(void) {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Connected on return. EAGAIN: as many connections wait there as may. */
napi_value js_connectUnix(napi_env env, napi_callback_info info) {
  struct call call;
  struct place to;
  int result;
  if (!call_begin(&call, env, info, "connectUnix", 2) || !call_place(&call, 0, &to) ||
      !call_function(&call, 1, "callback")) {
    return NULL;
  }
  int fd = open_socket();
  if (fd < 0) return refuse(&call, fd, "socket", NULL, &to);
  do {
    result = connect(fd, address_of(&to), to.length);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return refuse(&call, fd, "connect", NULL, &to);
  return poll_owning(&call, fd, call.values[1]);
}

/*
 * Whether nobody listens at a socket file: true, or false with errno. Between bind(2) and listen(2)
 * of another it looks the same, which is why all that listen here hold the directory's lock.
 */
static bool abandoned(const struct place *at) {
  struct stat stat;
  if (lstat(at->path, &stat) != 0) return errno == ENOENT;
  if (!S_ISSOCK(stat.st_mode)) {
    errno = EEXIST;
    return false;
  }
  int fd = open_socket();
  if (fd < 0) return false;
  int error = connect(fd, address_of(at), at->length) == 0 ? EADDRINUSE : errno;
  close(fd);
  if (error == ECONNREFUSED) return true;
  /* Its queue is full, or it is of another type: somebody has it. */
  errno = error == EAGAIN || error == EPROTOTYPE ? EADDRINUSE : error;
  return false;
}

/* The name of the system call that failed, NULL none. */
static const char *bind_path(int fd, const struct place *at) {
  if (bind(fd, address_of(at), at->length) == 0) return NULL;
  if (errno != EADDRINUSE || !abandoned(at)) return "bind";
  if (unlink(at->path) != 0 && errno != ENOENT) return "unlink";
  return bind(fd, address_of(at), at->length) == 0 ? NULL : "bind";
}

/*
 * Nobody can connect before listen(2), so that the mode is right by then; and what umask(2) leaves
 * open meanwhile is not more than is asked for.
 */
static const char *listen_path(int fd, const struct place *at, mode_t mode) {
  if (fchmod(fd, mode) != 0) return "fchmod";
  const char *failed = bind_path(fd, at);
  if (failed != NULL) return failed;
  failed = chmod(at->path, mode) != 0 ? "chmod" : listen(fd, BACKLOG) != 0 ? "listen" : NULL;
  if (failed == NULL) return NULL;
  int error = errno;
  unlink(at->path);
  errno = error;
  return failed;
}

/* A descriptor of the directory, locked; -1 with errno. EAGAIN: another has the lock. */
static int lock_directory(const struct place *at) {
  char path[PATH_BYTES + 1];
  memcpy(path, at->path, sizeof path);
  int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static const char *listen_remedy(int error) {
  switch (error) {
  case EADDRINUSE:
    return "a process listens there: end it, or choose another path";
  case EEXIST:
    return "what is there is no socket, and stays: choose another path";
  case EAGAIN:
    return "another process has locked the directory (flock(2)): try again";
  default:
    return NULL;
  }
}

napi_value js_listenUnix(napi_env env, napi_callback_info info) {
  struct call call;
  struct place at;
  uint64_t mode;
  if (!call_begin(&call, env, info, "listenUnix", 3) || !call_place(&call, 0, &at) ||
      !call_integer(&call, 1, "mode", MODE_MAX, &mode) || !call_function(&call, 2, "callback")) {
    return NULL;
  }
  if (at.path[0] == '@') {
    errno = EINVAL;
    return refuse(&call, -1, "bind", "pass a path: its mode says who may connect", &at);
  }
  int fd = open_socket();
  if (fd < 0) return refuse(&call, fd, "socket", NULL, &at);
  int directory = lock_directory(&at);
  if (directory < 0) return refuse(&call, fd, "flock", listen_remedy(errno), &at);
  const char *failed = listen_path(fd, &at, (mode_t)mode);
  int error = errno;
  close(directory);
  errno = error;
  if (failed != NULL) return refuse(&call, fd, failed, listen_remedy(error), &at);
  return poll_owning(&call, fd, call.values[2]);
}

static bool option_is(int fd, int name, int wanted) {
  int value;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 && value == wanted;
}

napi_value js_adoptUnix(napi_env env, napi_callback_info info) {
  struct call call;
  int fd;
  if (!call_begin(&call, env, info, "adoptUnix", 2) || !call_fd(&call, 0, &fd) ||
      !call_function(&call, 1, "callback")) {
    return NULL;
  }
  if (!option_is(fd, SO_DOMAIN, AF_UNIX) || !option_is(fd, SO_TYPE, SOCK_STREAM) ||
      !option_is(fd, SO_ACCEPTCONN, 1)) {
    return throw_errno(env, EINVAL, "getsockopt", "pass a Unix stream socket that listens",
                       "adoptUnix of fd %d", fd);
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return throw_errno(env, errno, "fcntl", NULL, "adoptUnix of fd %d", fd);
  }
  double id = poll_open(env, fd, call.values[1], "adoptUnix");
  return id == 0 ? NULL : call_number(&call, id);
}

napi_value js_acceptUnix(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *listener;
  if (!call_begin(&call, env, info, "acceptUnix", 2) || !call_poll(&call, 0, &listener) ||
      !call_function(&call, 1, "callback")) {
    return NULL;
  }
  int fd = accept_next(poll_fd(listener), NULL, NULL);
  if (fd >= 0) return poll_owning(&call, fd, call.values[1]);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return NULL;
  return throw_errno(env, errno, "accept4", NULL, "acceptUnix: fd %d", poll_fd(listener));
}

napi_value js_unixPath(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* A path may fill its place without a zero byte. */
  char path[PATH_BYTES + 1] = {0};
  socklen_t length = sizeof address;
  if (!call_begin(&call, env, info, "unixPath", 1) || !call_poll(&call, 0, &poll)) return NULL;
  if (getsockname(poll_fd(poll), (struct sockaddr *)(void *)&address, &length) != 0) {
    return throw_errno(env, errno, "getsockname", NULL, "unixPath: fd %d", poll_fd(poll));
  }
  size_t size = length - offsetof(struct sockaddr_un, sun_path);
  memcpy(path, address.sun_path, size);
  if (size > 0 && path[0] == '\0') {
    path[0] = '@';
  } else {
    size = strlen(path);
  }
  napi_value text;
  return napi_create_string_utf8(env, path, size, &text) == napi_ok ? text : NULL;
}

/* An array of the peer's supplementary groups; NULL after it threw. */
static napi_value groups_of(struct call *call, int fd) {
  napi_value array;
  socklen_t length = 0;
  gid_t *groups = NULL;
  /* ERANGE says how much it takes. */
  while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0) {
    int error = errno;
    free(groups);
    groups = error == ERANGE ? malloc(length) : NULL;
    if (groups != NULL) continue;
    return throw_errno(call->env, error == ERANGE ? ENOMEM : error, "getsockopt", NULL,
                       "%s: groups of the peer of fd %d", call->name, fd);
  }
  bool good = napi_create_array(call->env, &array) == napi_ok;
  for (uint32_t i = 0; good && i < length / sizeof *groups; i++) {
    good = napi_set_element(call->env, array, i, call_number(call, groups[i])) == napi_ok;
  }
  free(groups);
  return good ? array : NULL;
}

napi_value js_peerOf(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct ucred who;
  napi_value result;
  socklen_t length = sizeof who;
  if (!call_begin(&call, env, info, "peerOf", 1) || !call_poll(&call, 0, &poll)) return NULL;
  if (getsockopt(poll_fd(poll), SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) {
    return throw_errno(env, errno, "getsockopt", NULL, "peerOf: fd %d", poll_fd(poll));
  }
  napi_value groups = groups_of(&call, poll_fd(poll));
  if (groups != NULL && napi_create_object(env, &result) == napi_ok &&
      napi_set_named_property(env, result, "pid", call_number(&call, who.pid)) == napi_ok &&
      napi_set_named_property(env, result, "uid", call_number(&call, who.uid)) == napi_ok &&
      napi_set_named_property(env, result, "gid", call_number(&call, who.gid)) == napi_ok &&
      napi_set_named_property(env, result, "groups", groups) == napi_ok) {
    return result;
  }
  return NULL;
}

/* (path, bytes, start, length): one datagram, which does not wait for room. */
napi_value js_sendDatagram(napi_env env, napi_callback_info info) {
  struct call call;
  struct place to;
  uint64_t start, length;
  uint8_t *bytes;
  if (!call_begin(&call, env, info, "sendDatagram", 4) || !call_place(&call, 0, &to) ||
      !call_integer(&call, 2, "start", SAFE_MAX, &start) ||
      !call_integer(&call, 3, "length", SAFE_MAX, &length) ||
      !call_array(&call, call.values[1], start, length, &bytes)) {
    return NULL;
  }
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return refuse(&call, fd, "socket", NULL, &to);
  if (sendto(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT, address_of(&to), to.length) < 0) {
    return refuse(&call, fd, "sendto", NULL, &to);
  }
  close(fd);
  return NULL;
}
