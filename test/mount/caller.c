/*
 * A program in a mount, that does what it is told by lines: one system call each, so that a test
 * knows its errno, and one process, whose locks, mappings and descriptors are its own.
 *
 *     caller
 *
 * A line is `call arguments...`, divided by blanks. The answer is `=` and a value, or `!` and an
 * errno. SIGUSR1 interrupts a call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SLOTS 64
#define WORDS 12
#define BYTES (4 << 20)
#define EXTENTS 170

/* As docs/MOUNT.md has them. */
struct holdfast_pin {
  uint64_t offset, length, id;
};
struct holdfast_extents {
  uint64_t from, epoch, generation;
  uint32_t count, more;
  struct {
    uint64_t file, region, length;
  } extents[EXTENTS];
};
#define HOLDFAST_IOC_CLONE _IOW('H', 1, struct file_clone_range)
#define HOLDFAST_IOC_PIN _IOWR('H', 2, struct holdfast_pin)
#define HOLDFAST_IOC_UNPIN _IOW('H', 3, struct holdfast_pin)
#define HOLDFAST_IOC_EXTENTS _IOWR('H', 4, struct holdfast_extents)

static char *words[WORDS];
static char answer[2 * BYTES + 16];
static unsigned char bytes[BYTES];
static int slots[SLOTS];
static struct {
  unsigned char *at;
  size_t length;
} maps[SLOTS];

static long long number(int i) { return words[i] == NULL ? 0 : strtoll(words[i], NULL, 0); }

static int *slot(int i) { return &slots[number(i) & (SLOTS - 1)]; }

static bool says(int i, const char *word) {
  return words[i] != NULL && strcmp(words[i], word) == 0;
}

static long told(long value) {
  if (value >= 0) snprintf(answer, sizeof answer, "%ld", value);
  return value;
}

static long hex(const unsigned char *from, long length) {
  char *out = answer;
  for (long i = 0; i < length; i++) out += sprintf(out, "%02x", from[i]);
  return length;
}

static long bad(void) {
  errno = EINVAL;
  return -1;
}

/* The first that differs; "same" when none does. */
static long compared(const unsigned char *at, long length, int byte) {
  for (long i = 0; i < length; i++) {
    if (at[i] != byte) return told(i);
  }
  strcpy(answer, "same");
  return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static long do_open(void) {
  if (*slot(1) >= 0) close(*slot(1));
  *slot(1) = open(words[2], (int)number(3), (mode_t)number(4));
  return *slot(1);
}

static long do_close(void) {
  int fd = *slot(1);
  *slot(1) = -1;
  return close(fd);
}

static long do_dup(void) {
  *slot(2) = dup(*slot(1));
  return *slot(2);
}

static long do_read(void) {
  long got = pread(*slot(1), bytes, (size_t)number(3), number(2));
  return got < 0 ? got : hex(bytes, got);
}

static long do_write(void) { return told(pwrite(*slot(1), words[3], strlen(words[3]), number(2))); }

static long do_append(void) { return told(write(*slot(1), words[2], strlen(words[2]))); }

static long do_fill(void) {
  memset(bytes, (int)number(4), (size_t)number(3));
  return told(pwrite(*slot(1), bytes, (size_t)number(3), number(2)));
}

static long do_check(void) {
  long length = number(3), got = pread(*slot(1), bytes, (size_t)length, number(2));
  if (got < 0) return got;
  return got < length ? told(got) : compared(bytes, length, (int)number(4));
}

static long do_truncate(void) { return truncate(words[1], number(2)); }

static long do_ftruncate(void) { return ftruncate(*slot(1), number(2)); }

static long do_fallocate(void) {
  return fallocate(*slot(1), (int)number(2), number(3), number(4));
}

static long do_fsync(void) { return fsync(*slot(1)); }

static long do_copy(void) {
  off_t from = number(2), to = number(4);
  return told(copy_file_range(*slot(1), &from, *slot(3), &to, (size_t)number(5), 0));
}

static long do_stat(void) {
  struct stat s;
  if (stat(words[1], &s) != 0) return -1;
  sprintf(answer, "%ju %jd %ju %o %u %jd", (uintmax_t)s.st_ino, (intmax_t)s.st_size,
          (uintmax_t)s.st_nlink, s.st_mode, s.st_uid, (intmax_t)s.st_mtime);
  return 0;
}

static long do_free(void) {
  struct statvfs s;
  return statvfs(words[1], &s) != 0 ? -1 : told((long)s.f_bfree);
}

/* Of the free blocks, those that programs may have. */
static long do_available(void) {
  struct statvfs s;
  return statvfs(words[1], &s) != 0 ? -1 : told((long)s.f_bavail);
}

static long do_rename(void) { return rename(words[1], words[2]); }

static long do_link(void) { return link(words[1], words[2]); }

/* setxattr PATH NAME LENGTH */
static long do_setxattr(void) {
  memset(bytes, 'x', (size_t)number(3));
  return setxattr(words[1], words[2], bytes, (size_t)number(3), 0);
}

static long do_unlink(void) { return unlink(words[1]); }

static long do_mkdir(void) { return mkdir(words[1], 0755); }

/* Names, but `.` and `..`, with a blank before each but the first. */
static long do_list(void) {
  DIR *directory = opendir(words[1]);
  if (directory == NULL) return -1;
  char *out = answer;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    out += sprintf(out, out == answer ? "%s" : " %s", entry->d_name);
  }
  return closedir(directory);
}

static long do_cd(void) { return chdir(words[1]); }

/* ---- mappings -------------------------------------------------------------------------------- */

/* map MAPPING SLOT OFFSET LENGTH [w] */
static long do_map(void) {
  int protection = PROT_READ | (says(5, "w") ? PROT_WRITE : 0);
  size_t length = (size_t)number(4);
  void *at = mmap(NULL, length, protection, MAP_SHARED, *slot(2), number(3));
  if (at == MAP_FAILED) return -1;
  maps[number(1) & (SLOTS - 1)].at = at;
  maps[number(1) & (SLOTS - 1)].length = length;
  return 0;
}

static unsigned char *at_mapping(void) { return maps[number(1) & (SLOTS - 1)].at + number(2); }

static long do_load(void) { return hex(at_mapping(), number(3)); }

static long do_store(void) {
  memcpy(at_mapping(), words[3], strlen(words[3]));
  return 0;
}

static long do_store_fill(void) {
  memset(at_mapping(), (int)number(4), (size_t)number(3));
  return 0;
}

static long do_load_check(void) { return compared(at_mapping(), number(3), (int)number(4)); }

/* Stores the same in every page, again and again: storm MAPPING ROUNDS BYTE */
static long do_storm(void) {
  unsigned char *at = maps[number(1) & (SLOTS - 1)].at;
  size_t length = maps[number(1) & (SLOTS - 1)].length;
  for (long round = 0; round < number(2); round++) {
    for (size_t i = 0; i < length; i += 4096) at[i] = (unsigned char)number(3);
  }
  return 0;
}

static long do_msync(void) {
  int i = (int)number(1) & (SLOTS - 1);
  return msync(maps[i].at, maps[i].length, MS_SYNC);
}

static long do_unmap(void) {
  int i = (int)number(1) & (SLOTS - 1);
  return munmap(maps[i].at, maps[i].length);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static int type_of(int i) {
  return says(i, "read") ? F_RDLCK : says(i, "write") ? F_WRLCK : F_UNLCK;
}

static struct flock range(int type, int start) {
  struct flock lock = {.l_type = (short)type_of(type), .l_whence = SEEK_SET};
  lock.l_start = number(start);
  lock.l_len = number(start + 1);
  return lock;
}

/* lock SLOT posix|ofd read|write|unlock START LENGTH [wait] */
static long do_lock(void) {
  struct flock lock = range(3, 4);
  bool ofd = says(2, "ofd"), wait = says(6, "wait");
  int command = ofd ? (wait ? F_OFD_SETLKW : F_OFD_SETLK) : (wait ? F_SETLKW : F_SETLK);
  return fcntl(*slot(1), command, &lock);
}

/* getlk SLOT posix|ofd read|write START LENGTH: the lock in the way */
static long do_getlk(void) {
  struct flock lock = range(3, 4);
  if (fcntl(*slot(1), says(2, "ofd") ? F_OFD_GETLK : F_GETLK, &lock) != 0) return -1;
  if (lock.l_type == F_UNLCK) strcpy(answer, "free");
  else {
    sprintf(answer, "%s %jd %jd %d", lock.l_type == F_RDLCK ? "read" : "write",
            (intmax_t)lock.l_start, (intmax_t)lock.l_len, (int)lock.l_pid);
  }
  return 0;
}

/* fork: a child has all that is open here, and does nothing; its pid */
static long do_fork(void) {
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  sprintf(answer, "%d", (int)child);
  return child < 0 ? -1 : 0;
}

/* reap PID: a child is killed, and its descriptors are closed */
static long do_reap(void) {
  pid_t child = (pid_t)number(1);
  if (child <= 0 || kill(child, SIGKILL) != 0) return -1;
  return waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* flock SLOT read|write|unlock [wait] */
static long do_flock(void) {
  int how = says(2, "read") ? LOCK_SH : says(2, "write") ? LOCK_EX : LOCK_UN;
  return flock(*slot(1), how | (says(3, "wait") ? 0 : LOCK_NB));
}

/* ---- ioctl ----------------------------------------------------------------------------------- */

/* clone TO FROM OFFSET LENGTH TO_OFFSET */
static long do_clone(void) {
  struct file_clone_range range = {.src_fd = *slot(2), .src_offset = (uint64_t)number(3)};
  range.src_length = (uint64_t)number(4);
  range.dest_offset = (uint64_t)number(5);
  return ioctl(*slot(1), HOLDFAST_IOC_CLONE, &range);
}

static long do_ficlone(void) { return ioctl(*slot(1), FICLONE, *slot(2)); }

static long do_pin(void) {
  struct holdfast_pin pin = {(uint64_t)number(2), (uint64_t)number(3), 0};
  return ioctl(*slot(1), HOLDFAST_IOC_PIN, &pin) != 0 ? -1 : told((long)pin.id);
}

static long do_unpin(void) {
  struct holdfast_pin pin = {0, 0, (uint64_t)number(2)};
  return ioctl(*slot(1), HOLDFAST_IOC_UNPIN, &pin);
}

/* extents SLOT FROM: epoch.generation, whether there are more, file:region:length ... */
static long do_extents(void) {
  static struct holdfast_extents list;
  memset(&list, 0, sizeof list);
  list.from = (uint64_t)number(2);
  if (ioctl(*slot(1), HOLDFAST_IOC_EXTENTS, &list) != 0) return -1;
  char *out = answer + sprintf(answer, "%ju.%ju %u", (uintmax_t)list.epoch,
                               (uintmax_t)list.generation, list.more);
  for (uint32_t i = 0; i < list.count && i < EXTENTS; i++) {
    out += sprintf(out, " %ju:%ju:%ju", (uintmax_t)list.extents[i].file,
                   (uintmax_t)list.extents[i].region, (uintmax_t)list.extents[i].length);
  }
  return 0;
}

static long do_getflags(void) {
  int flags = 0;
  return ioctl(*slot(1), FS_IOC_GETFLAGS, &flags) != 0 ? -1 : told(flags);
}

static long do_setflags(void) {
  int flags = (int)number(2);
  return ioctl(*slot(1), FS_IOC_SETFLAGS, &flags);
}

static long do_getxflags(void) {
  struct fsxattr found;
  return ioctl(*slot(1), FS_IOC_FSGETXATTR, &found) != 0 ? -1 : told((long)found.fsx_xflags);
}

static long do_setxflags(void) {
  struct fsxattr wanted = {.fsx_xflags = (uint32_t)number(2)};
  return ioctl(*slot(1), FS_IOC_FSSETXATTR, &wanted);
}

static long do_version(void) {
  int version = 0;
  return ioctl(*slot(1), FS_IOC_GETVERSION, &version) != 0 ? -1 : told(version);
}

static long do_ioctl(void) { return ioctl(*slot(1), (unsigned long)number(2), bytes); }

/* ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  long (*run)(void);
} CALLS[] = {
    {"open", do_open},           {"close", do_close},         {"dup", do_dup},
    {"read", do_read},           {"write", do_write},         {"append", do_append},
    {"fill", do_fill},           {"check", do_check},         {"truncate", do_truncate},
    {"ftruncate", do_ftruncate}, {"fallocate", do_fallocate}, {"fsync", do_fsync},
    {"copy", do_copy},           {"stat", do_stat},           {"free", do_free},
    {"available", do_available}, {"link", do_link},           {"setxattr", do_setxattr},
    {"rename", do_rename},       {"unlink", do_unlink},       {"mkdir", do_mkdir},
    {"cd", do_cd},               {"list", do_list},
                  {"map", do_map},             {"load", do_load},
    {"store", do_store},         {"storefill", do_store_fill}, {"loadcheck", do_load_check},
    {"storm", do_storm},         {"msync", do_msync},         {"unmap", do_unmap},
    {"lock", do_lock},           {"getlk", do_getlk},         {"flock", do_flock},
    {"fork", do_fork},           {"reap", do_reap},
    {"clone", do_clone},         {"ficlone", do_ficlone},     {"pin", do_pin},
    {"unpin", do_unpin},         {"extents", do_extents},     {"getflags", do_getflags},
    {"setflags", do_setflags},   {"getxflags", do_getxflags}, {"setxflags", do_setxflags},
    {"version", do_version},     {"ioctl", do_ioctl},
};

static long call(const char *name) {
  for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++) {
    if (strcmp(CALLS[i].name, name) == 0) return CALLS[i].run();
  }
  return bad();
}

static void interrupted(int signal) { (void)signal; }

int main(void) {
  struct sigaction action = {.sa_handler = interrupted};
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; i < SLOTS; i++) slots[i] = -1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    memset(words, 0, sizeof words);
    int count = 0;
    char *rest = line;
    for (char *word; (word = strsep(&rest, " \n")) != NULL && count < WORDS - 1;) {
      if (*word != 0) words[count++] = word;
    }
    if (count == 0) return 2;
    answer[0] = 0;
    errno = 0;
    long result = call(words[0]);
    if (result < 0) printf("!%d\n", errno);
    else printf("=%s\n", answer);
  }
  free(line);
  return 0;
}
