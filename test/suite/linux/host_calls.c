/*
 * System calls that a FileSystem over a directory of the host needs beside those of calls.c: all of
 * stat, bytes in shared memory, directories from a cookie on, locks, and ioctls of a mount.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static char *shared;
static size_t shared_bytes;

int share(int fd, size_t bytes) {
  shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  shared_bytes = bytes;
  return shared == MAP_FAILED ? -1 : 0;
}

static long add_number(long long value) {
  size_t used = strlen(answer);
  snprintf(answer + used, sizeof answer - used, "%lld ", value);
  return 0;
}

static void add_time(const struct statx_timestamp *time) {
  add_number(time->tv_sec);
  add_number(time->tv_nsec);
}

/* The generation of a file or directory; the others cannot be opened without effects. */
static long generation_of(int fd) {
  long number = 0;
  return ioctl(fd, FS_IOC_GETVERSION, &number) == 0 ? number : 0;
}

static long statx_answer(int at, const char *path, int flags) {
  struct statx s;
  if (statx(at, path, flags, STATX_BASIC_STATS | STATX_BTIME, &s) != 0) return -1;
  long generation = 0;
  if (path[0] == 0) generation = generation_of(at);
  else if (S_ISREG(s.stx_mode) || S_ISDIR(s.stx_mode)) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
    if (fd >= 0) generation = generation_of(fd);
    if (fd >= 0) close(fd);
  }
  add_number((long long)s.stx_ino);
  add_number(generation);
  add_number(s.stx_mode);
  add_number(s.stx_nlink);
  add_number(s.stx_uid);
  add_number(s.stx_gid);
  add_number(((long long)s.stx_rdev_major << 20) | s.stx_rdev_minor);
  add_number((long long)s.stx_size);
  add_number((long long)s.stx_blocks);
  add_number(s.stx_blksize);
  add_time(&s.stx_atime);
  add_time(&s.stx_mtime);
  add_time(&s.stx_ctime);
  add_time(&s.stx_btime);
  return 0;
}

/* An empty path means a descriptor here, and nothing to those who ask for one. */
static long do_statx(void) {
  if (lengths[0] == 0) {
    errno = ENOENT;
    return -1;
  }
  return statx_answer(AT_FDCWD, PATH(0), NUMBER(1) != 0 ? 0 : AT_SYMLINK_NOFOLLOW);
}

static long do_fstatx(void) { return statx_answer(FILE_OF(0), "", AT_EMPTY_PATH); }

static long do_statfs(void) {
  struct statfs s;
  if (statfs("/", &s) != 0) return -1;
  add_number(s.f_bsize);
  add_number((long long)s.f_blocks);
  add_number((long long)s.f_bfree);
  add_number((long long)s.f_bavail);
  add_number((long long)s.f_files);
  add_number((long long)s.f_ffree);
  add_number(s.f_namelen);
  return 0;
}

static size_t bytes_asked(void) {
  size_t length = (size_t)NUMBER(1);
  return length < shared_bytes ? length : shared_bytes;
}

static long do_take(void) { return number_answer(read(FILE_OF(0), shared, bytes_asked())); }
static long do_put(void) { return number_answer(write(FILE_OF(0), shared, bytes_asked())); }

static long do_takeat(void) {
  return number_answer(pread(FILE_OF(0), shared, bytes_asked(), NUMBER(2)));
}

static long do_putat(void) {
  return number_answer(pwrite(FILE_OF(0), shared, bytes_asked(), NUMBER(2)));
}

static long do_fsync(void) { return fsync(FILE_OF(0)); }

static long do_syncfs(void) {
  int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long failed = fd < 0 ? -1 : syncfs(fd);
  int why = errno;
  if (fd >= 0) close(fd);
  errno = why;
  return failed;
}

/* Entries after a cookie, `name inode type cookie` each, as many as one call of the kernel has. */
static long do_getdents(void) {
  static char entries[32768];
  if (lseek(FILE_OF(0), NUMBER(1), SEEK_SET) < 0) return -1;
  for (;;) {
    long n = syscall(SYS_getdents64, FILE_OF(0), entries, sizeof entries);
    if (n <= 0) return n;
    for (long at = 0; at < n;) {
      struct dirent64 *e = (struct dirent64 *)(entries + at);
      at += e->d_reclen;
      if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
      hex_answer(e->d_name, strlen(e->d_name));
      strcat(answer, " ");
      add_number((long long)e->d_ino);
      add_number(e->d_type);
      add_number(e->d_off);
    }
    if (answer[0] != 0) return 0;
  }
}

/* src/fuse/wire/ioctl.ts */
struct extents {
  uint64_t from, epoch, generation;
  uint32_t count, more;
  struct {
    uint64_t file, region, length;
  } extents[170];
};

static long do_extents(void) {
  struct extents e = {.from = (uint64_t)NUMBER(1)};
  if (ioctl(FILE_OF(0), _IOWR('H', 4, struct extents), &e) != 0) return -1;
  add_number((long long)e.epoch);
  add_number((long long)e.generation);
  add_number(e.more);
  for (uint32_t i = 0; i < e.count; i++) {
    add_number((long long)e.extents[i].file);
    add_number((long long)e.extents[i].region);
    add_number((long long)e.extents[i].length);
  }
  return 0;
}

static long do_clonerange(void) {
  struct file_clone_range range = {
      .src_fd = FILE_OF(0),
      .src_offset = (uint64_t)NUMBER(1),
      .src_length = (uint64_t)NUMBER(4),
      .dest_offset = (uint64_t)NUMBER(3),
  };
  return ioctl(FILE_OF(2), _IOW('H', 1, struct file_clone_range), &range);
}

/*
 * A wait for a lock of an open file, in a process of its own: what it locks is the open file's, not
 * the process's. The answer is the process's number, and `@number errno` when the wait is over.
 */
static long in_background(int fd, long (*run)(void)) {
  pid_t caller = getpid();
  signal(SIGCHLD, SIG_IGN);
  pid_t child = fork();
  if (child != 0) return number_answer(child);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(1);
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i] >= 0 && slots[i] != fd) close(slots[i]);
  }
  errno = 0;
  run();
  char line[64];
  int n = snprintf(line, sizeof line, "@%d %d\n", getpid(), errno);
  close(fd);
  _exit(write(STDOUT_FILENO, line, (size_t)n) == n ? 0 : 1);
}

/* Slot, F_RDLCK, F_WRLCK or F_UNLCK, first byte, bytes (0: to the end), whether it waits. */
static struct flock lock_asked(void) {
  return (struct flock){
      .l_type = (short)NUMBER(1),
      .l_whence = SEEK_SET,
      .l_start = NUMBER(2),
      .l_len = NUMBER(3),
  };
}

static long wait_ofd(void) {
  struct flock lock = lock_asked();
  return fcntl(FILE_OF(0), F_OFD_SETLKW, &lock);
}

static long do_ofdlock(void) {
  struct flock lock = lock_asked();
  if (NUMBER(4) == 0) return fcntl(FILE_OF(0), F_OFD_SETLK, &lock);
  return in_background(FILE_OF(0), wait_ofd);
}

static long do_ofdtest(void) {
  struct flock lock = lock_asked();
  if (fcntl(FILE_OF(0), F_OFD_GETLK, &lock) != 0) return -1;
  add_number(lock.l_type);
  add_number(lock.l_start);
  add_number(lock.l_len);
  return 0;
}

/* Locks of this process; who waits here answers nobody else. */
static long do_ownlock(void) {
  struct flock lock = lock_asked();
  return fcntl(FILE_OF(0), NUMBER(4) != 0 ? F_SETLKW : F_SETLK, &lock);
}

static long wait_flock(void) { return flock(FILE_OF(0), (int)NUMBER(1)); }

/* Slot, LOCK_SH, LOCK_EX or LOCK_UN, whether it waits. */
static long do_flock(void) {
  if (NUMBER(2) == 0) return flock(FILE_OF(0), (int)NUMBER(1) | LOCK_NB);
  return in_background(FILE_OF(0), wait_flock);
}

static char value[TEXT];

static long value_answer(ssize_t n) {
  if (n >= 0) hex_answer(value, (size_t)n);
  return n;
}

static long do_fgetxattr(void) {
  return value_answer(fgetxattr(FILE_OF(0), PATH(1), value, sizeof value));
}

static long do_flistxattr(void) {
  return value_answer(flistxattr(FILE_OF(0), value, sizeof value));
}

static long do_llistxattr(void) {
  return value_answer(llistxattr(PATH(0), value, sizeof value));
}

static long do_fsetxattr(void) {
  return fsetxattr(FILE_OF(0), PATH(1), texts[2], lengths[2], (int)NUMBER(3));
}

static long do_fremovexattr(void) { return fremovexattr(FILE_OF(0), PATH(1)); }

const struct call HOST_CALLS[] = {
    {"statx", do_statx},           {"fstatx", do_fstatx},
    {"statfs", do_statfs},         {"take", do_take},
    {"takeat", do_takeat},         {"put", do_put},
    {"putat", do_putat},           {"fsync", do_fsync},
    {"syncfs", do_syncfs},         {"getdents", do_getdents},
    {"extents", do_extents},       {"clonerange", do_clonerange},
    {"ofdlock", do_ofdlock},       {"ofdtest", do_ofdtest},
    {"ownlock", do_ownlock},       {"flock", do_flock},
    {"fgetxattr", do_fgetxattr},   {"flistxattr", do_flistxattr},
    {"llistxattr", do_llistxattr}, {"fsetxattr", do_fsetxattr},
    {"fremovexattr", do_fremovexattr}, {NULL, NULL},
};
