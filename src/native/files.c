/* Files by descriptor: locks, memory files, seals, space. */
#define _GNU_SOURCE
#include "addon.h"
#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x080000
#endif

/* memfd_create(2): 249 bytes, the terminating zero not counted. */
enum { MEMFD_NAME_MAX = 249 };

/*
 * (fd, offset, length) as a struct flock. A length of 0 would mean "to the end, however the file
 * may grow" to fcntl, which is not what an empty range says: refused.
 */
static bool call_lock(struct call *call, int *fd, struct flock *lock) {
  uint64_t offset, length;
  if (!call_fd(call, 0, fd) || !call_integer(call, 1, "offset", SAFE_MAX, &offset) ||
      !call_integer(call, 2, "length", SAFE_MAX, &length)) {
    return false;
  }
  if (length == 0) {
    throw_errno(call->env, EINVAL, "fcntl", "pass a length of at least 1",
                "%s of 0 bytes at 0x%" PRIx64 " of fd %d", call->name, offset, *fd);
    return false;
  }
  memset(lock, 0, sizeof *lock);
  lock->l_whence = SEEK_SET;
  lock->l_start = (off_t)offset;
  lock->l_len = (off_t)length;
  return true;
}

static napi_value refuse_lock(struct call *call, int fd, const struct flock *lock, int error) {
  return throw_errno(call->env, error, "fcntl", NULL,
                     "%s of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of fd %d", call->name,
                     (uint64_t)lock->l_len, (uint64_t)lock->l_start, fd);
}

napi_value js_lock(napi_env env, napi_callback_info info) {
  struct call call;
  struct flock lock;
  int fd;
  bool exclusive;
  if (!call_begin(&call, env, info, "lock", 4) || !call_lock(&call, &fd, &lock) ||
      !call_boolean(&call, 3, "exclusive", &exclusive)) {
    return NULL;
  }
  lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return call_truth(&call, true);
  if (errno == EAGAIN || errno == EACCES) return call_truth(&call, false);
  return refuse_lock(&call, fd, &lock, errno);
}

napi_value js_unlock(napi_env env, napi_callback_info info) {
  struct call call;
  struct flock lock;
  int fd;
  if (!call_begin(&call, env, info, "unlock", 3) || !call_lock(&call, &fd, &lock)) return NULL;
  lock.l_type = F_UNLCK;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return NULL;
  return refuse_lock(&call, fd, &lock, errno);
}

napi_value js_locked(napi_env env, napi_callback_info info) {
  struct call call;
  struct flock lock;
  int fd;
  bool exclusive;
  if (!call_begin(&call, env, info, "locked", 4) || !call_lock(&call, &fd, &lock) ||
      !call_boolean(&call, 3, "exclusive", &exclusive)) {
    return NULL;
  }
  lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return refuse_lock(&call, fd, &lock, errno);
  return call_truth(&call, lock.l_type != F_UNLCK);
}

/*
 * The kernel tells of any one lock in the way, not of the first; so it is asked again for what is
 * before that, until nothing is.
 */
napi_value js_firstLock(napi_env env, napi_callback_info info) {
  struct call call;
  struct flock lock;
  int fd;
  if (!call_begin(&call, env, info, "firstLock", 3) || !call_lock(&call, &fd, &lock)) return NULL;
  const off_t offset = lock.l_start;
  off_t length = lock.l_len, first = -1;
  while (length > 0) {
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset,
                          .l_len = length};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return refuse_lock(&call, fd, &lock, errno);
    if (lock.l_type == F_UNLCK) break;
    first = lock.l_start > offset ? lock.l_start : offset;
    length = first - offset;
  }
  return call_number(&call, (double)first);
}

/* The text of an argument, whole: a longer one, or one with a zero byte inside, is refused. */
static bool call_name(struct call *call, int index, char name[MEMFD_NAME_MAX + 2]) {
  size_t size;
  if (napi_get_value_string_utf8(call->env, call->values[index], name, MEMFD_NAME_MAX + 2,
                                 &size) != napi_ok) {
    return throw_type(call->env, "%s: argument %d (name) is not a string; pass one", call->name,
                      index);
  }
  if (size <= MEMFD_NAME_MAX && strlen(name) == size) return true;
  return throw_range(call->env, "%s: the name is longer than %d bytes or has a zero byte; shorten "
                     "it", call->name, MEMFD_NAME_MAX);
}

napi_value js_memfd(napi_env env, napi_callback_info info) {
  struct call call;
  char name[MEMFD_NAME_MAX + 2];
  uint64_t length;
  bool huge;
  if (!call_begin(&call, env, info, "memfd", 3) || !call_name(&call, 0, name) ||
      !call_integer(&call, 1, "length", SAFE_MAX, &length) ||
      !call_boolean(&call, 2, "hugeTlb", &huge)) {
    return NULL;
  }
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0));
  if (fd < 0) return throw_errno(env, errno, "memfd_create", NULL, "memfd '%s'", name);
  if (ftruncate(fd, (off_t)length) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "ftruncate", NULL, "memfd '%s' of 0x%" PRIx64 " bytes", name,
                       length);
  }
  return call_number(&call, fd);
}

napi_value js_addSeals(napi_env env, napi_callback_info info) {
  struct call call;
  int fd;
  uint64_t seals;
  if (!call_begin(&call, env, info, "addSeals", 2) || !call_fd(&call, 0, &fd) ||
      !call_integer(&call, 1, "seals", FD_MAX, &seals)) {
    return NULL;
  }
  if (fcntl(fd, F_ADD_SEALS, (int)seals) == 0) return NULL;
  const char *remedy = errno == EBUSY ? "unmap its writable mappings first" : NULL;
  return throw_errno(env, errno, "fcntl", remedy, "addSeals 0x%" PRIx64 " to fd %d", seals, fd);
}

napi_value js_seals(napi_env env, napi_callback_info info) {
  struct call call;
  int fd;
  if (!call_begin(&call, env, info, "seals", 1) || !call_fd(&call, 0, &fd)) return NULL;
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals >= 0) return call_number(&call, seals);
  return throw_errno(env, errno, "fcntl", NULL, "seals of fd %d", fd);
}

napi_value js_statfs(napi_env env, napi_callback_info info) {
  struct call call;
  struct statfs stat;
  napi_value result;
  int fd;
  if (!call_begin(&call, env, info, "statfs", 1) || !call_fd(&call, 0, &fd)) return NULL;
  if (fstatfs(fd, &stat) != 0) {
    return throw_errno(env, errno, "fstatfs", NULL, "statfs of fd %d", fd);
  }
  const struct {
    const char *key;
    double value;
  } fields[] = {
      {"type", (uint32_t)stat.f_type},         {"blockSize", (double)stat.f_bsize},
      {"blocks", (double)stat.f_blocks},       {"blocksFree", (double)stat.f_bfree},
      {"blocksAvailable", (double)stat.f_bavail},
  };
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    napi_set_named_property(env, result, fields[i].key, call_number(&call, fields[i].value));
  }
  return result;
}

napi_value js_fallocate(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t offset, length;
  int fd, result;
  if (!call_begin(&call, env, info, "fallocate", 3) || !call_fd(&call, 0, &fd) ||
      !call_integer(&call, 1, "offset", SAFE_MAX, &offset) ||
      !call_integer(&call, 2, "length", SAFE_MAX, &length)) {
    return NULL;
  }
  do {
    result = fallocate(fd, 0, (off_t)offset, (off_t)length);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return NULL;
  return throw_errno(env, errno, "fallocate", NULL,
                     "fallocate of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of fd %d", length, offset,
                     fd);
}

napi_value js_canMapSync(napi_env env, napi_callback_info info) {
  /* Device DAX maps nothing smaller than its alignment, which is one of these. */
  static const size_t sizes[] = {(size_t)64 << 10, (size_t)2 << 20, (size_t)1 << 30};
  struct call call;
  int fd;
  if (!call_begin(&call, env, info, "canMapSync", 1) || !call_fd(&call, 0, &fd)) return NULL;
  size_t length = memory_page_size;
  for (size_t i = 0; i <= sizeof sizes / sizeof sizes[0]; i++) {
    void *at = mmap(NULL, length, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (at != MAP_FAILED) {
      munmap(at, length);
      return call_truth(&call, true);
    }
    if (errno != EINVAL || i == sizeof sizes / sizeof sizes[0]) break;
    length = sizes[i];
  }
  if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENODEV) return call_truth(&call, false);
  return throw_errno(env, errno, "mmap", NULL, "canMapSync of fd %d", fd);
}
