/* What Node does not say about files of the host: holes, special files, times, attributes. */
#define _GNU_SOURCE
#include "addon.h"
#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The kernel's XATTR_SIZE_MAX, XATTR_LIST_MAX and XATTR_NAME_MAX. */
enum { VALUE_MAX = 65536, ATTRIBUTE_NAME_MAX = 255 };

/* The bytes of a Uint8Array as a C string; empty, longer ones and those with a NUL are refused. */
static bool call_text(struct call *call, int index, const char *what, char *text, size_t max) {
  napi_typedarray_type type;
  size_t size;
  void *data;
  if (napi_get_typedarray_info(call->env, call->values[index], &type, &size, &data, NULL, NULL) !=
          napi_ok ||
      type != napi_uint8_array) {
    return throw_type(call->env, "%s: argument %d (%s) is not a Uint8Array; pass one", call->name,
                      index, what);
  }
  if (size == 0 || size > max || memchr(data, 0, size) != NULL) {
    return throw_range(call->env, "%s: the %s has %zu bytes or a zero byte; at most %zu, without",
                       call->name, what, size, max);
  }
  memcpy(text, data, size);
  text[size] = 0;
  return true;
}

static bool call_path(struct call *call, char path[PATH_MAX]) {
  return call_text(call, 0, "path", path, PATH_MAX - 1);
}

static napi_value bytes_of(struct call *call, const void *data, size_t length) {
  napi_value buffer = NULL;
  napi_create_buffer_copy(call->env, length, data, NULL, &buffer);
  return buffer;
}

napi_value js_seek(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t fd, offset;
  bool data;
  if (!call_begin(&call, env, info, "seek", 3) || !call_integer(&call, 0, "fd", FD_MAX, &fd) ||
      !call_integer(&call, 1, "offset", SAFE_MAX, &offset) ||
      !call_boolean(&call, 2, "data", &data)) {
    return NULL;
  }
  off_t found = lseek((int)fd, (off_t)offset, data ? SEEK_DATA : SEEK_HOLE);
  if (found >= 0) return call_number(&call, (double)found);
  if (errno == ENXIO) return call_number(&call, -1);
  return throw_errno(env, errno, "lseek", NULL, "seek to 0x%" PRIx64 " of fd %d", offset, (int)fd);
}

napi_value js_makeNode(napi_env env, napi_callback_info info) {
  struct call call;
  char path[PATH_MAX];
  uint64_t mode, major_number, minor_number;
  if (!call_begin(&call, env, info, "makeNode", 4) || !call_path(&call, path) ||
      !call_integer(&call, 1, "mode", U32_MAX, &mode) ||
      !call_integer(&call, 2, "major", U32_MAX, &major_number) ||
      !call_integer(&call, 3, "minor", U32_MAX, &minor_number)) {
    return NULL;
  }
  dev_t device = makedev((unsigned)major_number, (unsigned)minor_number);
  if (mknod(path, (mode_t)mode, device) == 0) return NULL;
  return throw_errno(env, errno, "mknod", NULL, "mknod '%s'", path);
}

/* Seconds may be negative, and doubles hold them whole. */
static bool call_time(struct call *call, int index, struct timespec *time) {
  double seconds;
  uint64_t nanoseconds;
  if (!call_double(call, index, &seconds) || seconds != (double)(int64_t)seconds) {
    call_refuse_number(call, index, "seconds", SAFE_MAX);
    return false;
  }
  if (!call_integer(call, index + 1, "nanoseconds", 999999999, &nanoseconds)) return false;
  time->tv_sec = (time_t)seconds;
  time->tv_nsec = (long)nanoseconds;
  return true;
}

napi_value js_setTimes(napi_env env, napi_callback_info info) {
  struct call call;
  char path[PATH_MAX];
  struct timespec times[2];
  if (!call_begin(&call, env, info, "setTimes", 5) || !call_path(&call, path) ||
      !call_time(&call, 1, &times[0]) || !call_time(&call, 3, &times[1])) {
    return NULL;
  }
  if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0) return NULL;
  return throw_errno(env, errno, "utimensat", NULL, "setTimes of '%s'", path);
}

napi_value js_listXattrs(napi_env env, napi_callback_info info) {
  struct call call;
  char path[PATH_MAX];
  static _Thread_local char names[VALUE_MAX];
  if (!call_begin(&call, env, info, "listXattrs", 1) || !call_path(&call, path)) return NULL;
  ssize_t length = llistxattr(path, names, sizeof names);
  if (length >= 0) return bytes_of(&call, names, (size_t)length);
  return throw_errno(env, errno, "llistxattr", NULL, "listXattrs of '%s'", path);
}

napi_value js_getXattr(napi_env env, napi_callback_info info) {
  struct call call;
  char path[PATH_MAX], name[ATTRIBUTE_NAME_MAX + 1];
  static _Thread_local char value[VALUE_MAX];
  if (!call_begin(&call, env, info, "getXattr", 2) || !call_path(&call, path) ||
      !call_text(&call, 1, "name", name, ATTRIBUTE_NAME_MAX)) {
    return NULL;
  }
  ssize_t length = lgetxattr(path, name, value, sizeof value);
  if (length >= 0) return bytes_of(&call, value, (size_t)length);
  return throw_errno(env, errno, "lgetxattr", NULL, "getXattr %s of '%s'", name, path);
}

napi_value js_setXattr(napi_env env, napi_callback_info info) {
  struct call call;
  char path[PATH_MAX], name[ATTRIBUTE_NAME_MAX + 1];
  napi_typedarray_type type;
  size_t size;
  void *value;
  if (!call_begin(&call, env, info, "setXattr", 3) || !call_path(&call, path) ||
      !call_text(&call, 1, "name", name, ATTRIBUTE_NAME_MAX)) {
    return NULL;
  }
  if (napi_get_typedarray_info(env, call.values[2], &type, &size, &value, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    throw_type(env, "setXattr: argument 2 (value) is not a Uint8Array; pass one");
    return NULL;
  }
  if (lsetxattr(path, name, size == 0 ? "" : value, size, 0) == 0) return NULL;
  return throw_errno(env, errno, "lsetxattr", NULL, "setXattr %s of '%s'", name, path);
}
