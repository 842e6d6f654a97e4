/*
 * Does system calls for the tests, each as the user that its line names, in a directory of its own:
 * what Linux answers is what a volume has to answer.
 *
 *     calls DIRECTORY [BYTES]
 *
 * BYTES: of a file at descriptor 3, the memory in which bytes of files come and go (host_calls.c).
 *
 * A line is `uid gid groups umask call arguments...`; groups are divided by commas, `-` for none.
 * Paths and texts are in hex with an `x` before. The answer is `=` and a value, or `!` and an
 * errno.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Where the memory is that the caller has too. */
#define SHARED 3

int slots[SLOTS];
char answer[4 * TEXT];
char texts[ARGUMENTS][TEXT];
size_t lengths[ARGUMENTS];
long long numbers[ARGUMENTS];
static int own_files; /* /proc/self/fd, opened before the chroot */

long number_answer(long value) {
  if (value >= 0) snprintf(answer, sizeof answer, "%ld", value);
  return value;
}

void hex_answer(const char *bytes, size_t length) {
  char *out = answer + strlen(answer);
  *out++ = 'x';
  for (size_t i = 0; i < length; i++) out += sprintf(out, "%02x", (unsigned char)bytes[i]);
  *out = 0;
}

static long stat_answer(int failed, const struct stat *s) {
  if (failed != 0) return failed;
  snprintf(answer, sizeof answer,
           "%o %ju %u %u %lld %u,%u %lld.%09ld %lld.%09ld %lld.%09ld %ju", s->st_mode,
           (uintmax_t)s->st_nlink, s->st_uid, s->st_gid, (long long)s->st_size, major(s->st_rdev),
           minor(s->st_rdev), (long long)s->st_atim.tv_sec, s->st_atim.tv_nsec,
           (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (long long)s->st_ctim.tv_sec,
           s->st_ctim.tv_nsec, (uintmax_t)s->st_ino);
  return 0;
}

static long do_stat(void) {
  struct stat s;
  return stat_answer(stat(PATH(0), &s), &s);
}

static long do_lstat(void) {
  struct stat s;
  return stat_answer(lstat(PATH(0), &s), &s);
}

static long do_fstat(void) {
  struct stat s;
  return stat_answer(fstat(FILE_OF(0), &s), &s);
}

static long do_open(void) {
  /* Without O_NONBLOCK a FIFO would wait for somebody. */
  int fd = open(PATH(1), (int)NUMBER(2) | O_CLOEXEC | O_NONBLOCK, (mode_t)NUMBER(3));
  if (fd < 0) return -1;
  if (FILE_OF(0) >= 0) close(FILE_OF(0));
  FILE_OF(0) = fd;
  return 0;
}

static long do_close(void) {
  int fd = FILE_OF(0);
  FILE_OF(0) = -1;
  return close(fd);
}

static long do_read(void) {
  static char bytes[TEXT];
  size_t length = NUMBER(1) < TEXT ? (size_t)NUMBER(1) : TEXT;
  int fd = FILE_OF(0);
  ssize_t n = NUMBER(2) < 0 ? read(fd, bytes, length) : pread(fd, bytes, length, NUMBER(2));
  if (n >= 0) hex_answer(bytes, (size_t)n);
  return n;
}

static long do_write(void) {
  int fd = FILE_OF(0);
  return number_answer(NUMBER(2) < 0 ? write(fd, texts[1], lengths[1])
                                     : pwrite(fd, texts[1], lengths[1], NUMBER(2)));
}

static long do_ftruncate(void) { return ftruncate(FILE_OF(0), NUMBER(1)); }
static long do_truncate(void) { return truncate(PATH(0), NUMBER(1)); }
static long do_mkdir(void) { return mkdir(PATH(0), (mode_t)NUMBER(1)); }
static long do_rmdir(void) { return rmdir(PATH(0)); }
static long do_unlink(void) { return unlink(PATH(0)); }
static long do_symlink(void) { return symlink(PATH(0), PATH(1)); }
static long do_chmod(void) { return chmod(PATH(0), (mode_t)NUMBER(1)); }
static long do_fchmod(void) { return fchmod(FILE_OF(0), (mode_t)NUMBER(1)); }
static long do_chown(void) { return chown(PATH(0), (uid_t)NUMBER(1), (gid_t)NUMBER(2)); }
static long do_lchown(void) { return lchown(PATH(0), (uid_t)NUMBER(1), (gid_t)NUMBER(2)); }
static long do_fchown(void) { return fchown(FILE_OF(0), (uid_t)NUMBER(1), (gid_t)NUMBER(2)); }
static long do_removexattr(void) { return removexattr(PATH(0), PATH(1)); }
static long do_lremovexattr(void) { return lremovexattr(PATH(0), PATH(1)); }

static long do_rename(void) {
  return renameat2(AT_FDCWD, PATH(0), AT_FDCWD, PATH(1), (unsigned)NUMBER(2));
}

static long do_link(void) {
  return linkat(AT_FDCWD, PATH(0), AT_FDCWD, PATH(1), NUMBER(2) != 0 ? AT_SYMLINK_FOLLOW : 0);
}

static long do_linkfd(void) {
  char name[16];
  if (FILE_OF(0) < 0) {
    errno = EBADF;
    return -1;
  }
  snprintf(name, sizeof name, "%d", FILE_OF(0));
  return linkat(own_files, name, AT_FDCWD, PATH(1), AT_SYMLINK_FOLLOW);
}

static long do_readlink(void) {
  static char target[TEXT];
  ssize_t n = readlink(PATH(0), target, sizeof target);
  if (n >= 0) hex_answer(target, (size_t)n);
  return n;
}

static long do_mknod(void) {
  dev_t device = makedev((unsigned)(NUMBER(2) >> 20), (unsigned)(NUMBER(2) & 0xfffff));
  return mknod(PATH(0), (mode_t)NUMBER(1), device);
}

/* A time is seconds and nanoseconds, the latter UTIME_NOW or UTIME_OMIT too. */
static long set_times(const char *path, int fd, int flags) {
  struct timespec times[2] = {{NUMBER(1), (long)NUMBER(2)}, {NUMBER(3), (long)NUMBER(4)}};
  return path == NULL ? futimens(fd, times) : utimensat(AT_FDCWD, path, times, flags);
}

static long do_utimes(void) { return set_times(PATH(0), -1, 0); }
static long do_lutimes(void) { return set_times(PATH(0), -1, AT_SYMLINK_NOFOLLOW); }
static long do_futimes(void) { return set_times(NULL, FILE_OF(0), 0); }

static long do_access(void) {
  return faccessat(AT_FDCWD, PATH(0), (int)NUMBER(1), AT_EACCESS);
}

static long value_answer(ssize_t n, const char *value) {
  if (n >= 0) hex_answer(value, (size_t)n);
  return n;
}

static char value[TEXT];

static long do_getxattr(void) {
  return value_answer(getxattr(PATH(0), PATH(1), value, sizeof value), value);
}

static long do_lgetxattr(void) {
  return value_answer(lgetxattr(PATH(0), PATH(1), value, sizeof value), value);
}

static long do_listxattr(void) {
  return value_answer(listxattr(PATH(0), value, sizeof value), value);
}

static long do_setxattr(void) {
  return setxattr(PATH(0), PATH(1), texts[2], lengths[2], (int)NUMBER(3));
}

static long do_lsetxattr(void) {
  return lsetxattr(PATH(0), PATH(1), texts[2], lengths[2], (int)NUMBER(3));
}

static long do_readdir(void) {
  DIR *directory = opendir(PATH(0));
  if (directory == NULL) return -1;
  strcpy(answer, "");
  for (struct dirent *e; (e = readdir(directory)) != NULL;) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    hex_answer(e->d_name, strlen(e->d_name));
    strcat(answer, " ");
  }
  return closedir(directory);
}

static long do_fallocate(void) {
  return fallocate(FILE_OF(0), (int)NUMBER(1), NUMBER(2), NUMBER(3));
}

/* The volume's seek does not move the handle's position. */
static long do_seek(void) {
  off_t before = lseek(FILE_OF(0), 0, SEEK_CUR);
  off_t place = lseek(FILE_OF(0), NUMBER(1), NUMBER(2) == 0 ? SEEK_DATA : SEEK_HOLE);
  int why = errno;
  if (before >= 0) lseek(FILE_OF(0), before, SEEK_SET);
  errno = why;
  return number_answer(place);
}

static long do_copy(void) {
  off64_t from = NUMBER(1), to = NUMBER(3);
  return number_answer(
      copy_file_range(FILE_OF(0), &from, FILE_OF(2), &to, (size_t)NUMBER(4), 0));
}

/*
 * Bits to set and to clear. Whoever asks must be able to walk there; root opens the file, so that
 * permission to read it does not count, as with file_setattr(2).
 */
static long do_chattr(void) {
  struct stat s;
  if (stat(PATH(0), &s) != 0) return -1;
  if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) {
    errno = EOPNOTSUPP;
    return -1;
  }
  uid_t asks = geteuid();
  if (seteuid(0) != 0) abort();
  int fd = open(PATH(0), O_RDONLY | O_CLOEXEC);
  if (seteuid(asks) != 0) abort();
  if (fd < 0) return -1;
  int flags = 0;
  long failed = ioctl(fd, FS_IOC_GETFLAGS, &flags);
  flags = (flags | (int)NUMBER(1)) & ~(int)NUMBER(2);
  if (failed == 0) failed = ioctl(fd, FS_IOC_SETFLAGS, &flags);
  int why = errno;
  close(fd);
  errno = why;
  return failed;
}

static int unflag(const char *path, const struct stat *s, int type, struct FTW *at) {
  (void)at;
  (void)type;
  if (!S_ISREG(s->st_mode) && !S_ISDIR(s->st_mode)) return 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
  if (fd < 0) return 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_APPEND_FL | FS_IMMUTABLE_FL)) != 0) {
    flags &= ~(FS_APPEND_FL | FS_IMMUTABLE_FL);
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0) perror(path);
  }
  close(fd);
  return 0;
}

/* So that the directory can be removed. */
static long do_unflag(void) { return nftw("/", unflag, 16, FTW_PHYS); }

/* Times of files are those of the coarse clock, which moves some hundred times a second. */
static void wait_for_clock(void) {
  struct timespec first, now;
  clock_gettime(CLOCK_REALTIME_COARSE, &first);
  do clock_gettime(CLOCK_REALTIME_COARSE, &now);
  while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec);
}

/* Twice: where times are also taken from the fine clock, those are ahead of the coarse one. */
static long do_tick(void) {
  wait_for_clock();
  wait_for_clock();
  return 0;
}

/* The directory is a mount of its own, and everything in it is closed. */
static long do_readonly(void) {
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i] >= 0) close(slots[i]);
    slots[i] = -1;
  }
  return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static long do_writable(void) { return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL); }

static const struct call CALLS[] = {
    {"stat", do_stat},           {"lstat", do_lstat},         {"fstat", do_fstat},
    {"open", do_open},           {"close", do_close},         {"read", do_read},
    {"write", do_write},         {"ftruncate", do_ftruncate}, {"truncate", do_truncate},
    {"mkdir", do_mkdir},         {"rmdir", do_rmdir},         {"unlink", do_unlink},
    {"symlink", do_symlink},     {"chmod", do_chmod},         {"fchmod", do_fchmod},
    {"chown", do_chown},         {"lchown", do_lchown},       {"fchown", do_fchown},
    {"rename", do_rename},       {"link", do_link},           {"linkfd", do_linkfd},
    {"readlink", do_readlink},   {"mknod", do_mknod},         {"utimes", do_utimes},
    {"lutimes", do_lutimes},     {"futimes", do_futimes},     {"access", do_access},
    {"getxattr", do_getxattr},   {"lgetxattr", do_lgetxattr}, {"listxattr", do_listxattr},
    {"setxattr", do_setxattr},   {"lsetxattr", do_lsetxattr}, {"removexattr", do_removexattr},
    {"lremovexattr", do_lremovexattr}, {"readdir", do_readdir}, {"fallocate", do_fallocate},
    {"seek", do_seek},           {"copy", do_copy},           {"chattr", do_chattr},
    {"unflag", do_unflag},       {"tick", do_tick},
    {"readonly", do_readonly},   {"writable", do_writable},   {NULL, NULL},
};

static void become(uid_t uid, gid_t gid, char *groups) {
  gid_t list[32];
  size_t count = 0;
  for (char *one = strtok(groups, ","); one != NULL && count < 32; one = strtok(NULL, ",")) {
    if (*one != '-') list[count++] = (gid_t)strtoul(one, NULL, 10);
  }
  if (setgroups(count, list) != 0 || setegid(gid) != 0 || seteuid(uid) != 0) {
    perror("become");
    exit(1);
  }
}

static void become_root(void) {
  if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(0, NULL) != 0) {
    perror("root");
    exit(1);
  }
}

static void read_argument(int i, const char *text) {
  if (*text != 'x') {
    numbers[i] = strtoll(text, NULL, 10);
    return;
  }
  size_t n = 0;
  for (text++; text[0] != 0 && text[1] != 0 && n < TEXT - 1; text += 2) {
    char pair[3] = {text[0], text[1], 0};
    texts[i][n++] = (char)strtoul(pair, NULL, 16);
  }
  texts[i][n] = 0;
  lengths[i] = n;
}

static const struct call *find(const struct call *calls, const char *name) {
  while (calls->name != NULL && strcmp(calls->name, name) != 0) calls++;
  return calls->name == NULL ? NULL : calls;
}

static void call(const char *name) {
  const struct call *found = find(CALLS, name);
  if (found == NULL) found = find(HOST_CALLS, name);
  if (found == NULL) found = find(PROGRAM_CALLS, name);
  if (found == NULL) {
    fprintf(stderr, "no call %s\n", name);
    exit(1);
  }
  answer[0] = 0;
  errno = 0;
  long result = found->run();
  int why = errno;
  become_root();
  if (result < 0) printf("!%d\n", why);
  else printf("=%s\n", answer);
  fflush(stdout);
}

/* Nobody else sees the mount, and it goes with the process. */
static int enter(const char *directory) {
  own_files = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own_files < 0 || unshare(CLONE_NEWNS) != 0) return -1;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  if (mount(directory, directory, NULL, MS_BIND, NULL) != 0) return -1;
  return chdir(directory) != 0 || chroot(".") != 0 ? -1 : 0;
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) return 2;
  if ((argc == 3 && share(SHARED, strtoul(argv[2], NULL, 10)) != 0) || enter(argv[1]) != 0) {
    perror(argv[1]);
    return 1;
  }
  /* Errnos are what is asked for, not signals. */
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGIO, SIG_IGN);
  for (int i = 0; i < SLOTS; i++) slots[i] = -1;
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    char *rest = line, *words[5 + ARGUMENTS] = {0};
    int count = 0;
    for (char *word; (word = strsep(&rest, " \n")) != NULL && count < 5 + ARGUMENTS;) {
      if (*word != 0) words[count++] = word;
    }
    if (count < 5) return 2;
    memset(lengths, 0, sizeof lengths);
    for (int i = 5; i < count; i++) read_argument(i - 5, words[i]);
    umask((mode_t)strtoul(words[3], NULL, 10));
    become((uid_t)strtoul(words[0], NULL, 10), (gid_t)strtoul(words[1], NULL, 10), words[2]);
    call(words[4]);
  }
  free(line);
  return 0;
}
