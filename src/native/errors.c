#include "errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 512 };

/* strerrorname_np is in glibc only, and too new there: these are the ones our calls can return. */
#define NAMES(X)                                                                                  \
  X(E2BIG) X(EACCES) X(EAGAIN) X(EBADF) X(EBUSY) X(ECANCELED) X(EDEADLK) X(EDQUOT) X(EEXIST)      \
  X(EFAULT) X(EFBIG) X(EINTR) X(EINVAL) X(EIO) X(EISDIR) X(EMFILE) X(ENAMETOOLONG) X(ENFILE)      \
  X(ELOOP) X(ENODATA)                                                                             \
  X(ENODEV) X(ENOENT) X(ENOLCK) X(ENOMEM) X(ENOSPC) X(ENOSYS) X(ENOTDIR) X(ENOTTY) X(ENXIO)       \
  X(EOPNOTSUPP) X(EOVERFLOW) X(EPERM) X(EPIPE) X(ERANGE) X(EROFS) X(ESPIPE) X(ESTALE) X(ETXTBSY)  \
  X(EADDRINUSE) X(EADDRNOTAVAIL) X(EAFNOSUPPORT) X(ECONNREFUSED) X(ECONNRESET) X(EHOSTDOWN)       \
  X(EHOSTUNREACH) X(ENETDOWN) X(ENETUNREACH) X(ENOBUFS) X(ENOTCONN) X(ENOTSOCK) X(EPROTO)         \
  X(EPROTOTYPE) X(ETIMEDOUT) X(ETOOMANYREFS)

const char *error_name(int error) {
  switch (error) {
#define X(name)                                                                                   \
  case name:                                                                                      \
    return #name;
    NAMES(X)
#undef X
  default:
    return "EUNKNOWN";
  }
}

static const char *usual_remedy(int error) {
  switch (error) {
  case EBADF:
    return "pass an open file descriptor of a file that permits this";
  case EACCES:
  case EPERM:
    return "open the file with the access that is needed, or remove the seal";
  case ENOMEM:
    return "free memory, or raise vm.max_map_count, vm.nr_hugepages or RLIMIT_AS";
  case EMFILE:
  case ENFILE:
    return "close file descriptors or raise RLIMIT_NOFILE";
  case ENOSPC:
  case EDQUOT:
    return "free space on the filesystem that holds the file";
  case EOPNOTSUPP:
  case ENODEV:
  case ENOSYS:
    return "use a filesystem and a kernel that support it";
  case ECONNREFUSED:
  case ECONNRESET:
  case EPIPE:
  case ETIMEDOUT:
    return "look whether the peer is there, and connect again";
  case EHOSTUNREACH:
  case ENETUNREACH:
    return "check the address and the routes to it";
  case EADDRINUSE:
    return "choose another port, or end who listens there";
  case EIO:
    return "check the medium and the kernel log";
  default:
    return "correct the arguments";
  }
}

static bool set_number(napi_env env, napi_value object, const char *key, int number) {
  napi_value value;
  return napi_create_int32(env, number, &value) == napi_ok &&
         napi_set_named_property(env, object, key, value) == napi_ok;
}

static bool set_text(napi_env env, napi_value object, const char *key, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, object, key, value) == napi_ok;
}

napi_value error_make(napi_env env, int error, const char *syscall, const char *remedy,
                      const char *what) {
  char message[MESSAGE_MAX * 2];
  snprintf(message, sizeof message, "%s: %s (%s); %s", what, strerror(error), error_name(error),
           remedy ? remedy : usual_remedy(error));
  napi_value code, text, result;
  if (napi_create_string_utf8(env, error_name(error), NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) != napi_ok ||
      napi_create_error(env, code, text, &result) != napi_ok ||
      !set_number(env, result, "errno", error) || !set_text(env, result, "syscall", syscall)) {
    return NULL;
  }
  return result;
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *remedy,
                       const char *format, ...) {
  char what[MESSAGE_MAX];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  napi_value thrown = error_make(env, error, syscall, remedy, what);
  if (thrown) napi_throw(env, thrown);
  return NULL;
}

bool throw_range(napi_env env, const char *format, ...) {
  char message[MESSAGE_MAX];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

bool throw_type(napi_env env, const char *format, ...) {
  char message[MESSAGE_MAX];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}
