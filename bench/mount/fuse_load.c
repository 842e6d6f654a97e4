/*
 * The load of `bench -- mount`: the same calls in the same order on any directory.
 *
 * Lines of standard input say what to do, each is answered with one of JSON; it ends with its
 * input, or at the first byte that is not what it should be.
 *
 *     open SLOT BYTES FLAG PATH     a file of that many bytes, opened; FLAG direct: by O_DIRECT
 *     fill SLOT                     all of it written anew
 *     read SLOT SIZE COUNT SEED     preads of SIZE, one after the other; SEED 0: in order, else not
 *     write SLOT SIZE COUNT SEED    pwrites
 *     check SLOT                    every byte compared
 *     close SLOT
 *     drop SLOT                     the kernel has no page of it any more
 *     create COUNT SEED DIRECTORY   so many empty files, in the order of the seed; create + close
 *     stat, unlink                  as create
 *
 * Every 512 bytes of a file begin with a word that says which file, which ones, and how often they
 * were written; each read is compared by its first and its last such word when it comes, the last
 * MiB or more of a round byte by byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  SLOTS = 64,
  PIECE = 512,
  LARGEST = 1 << 20,
  /* Where reads go to and writes come from, by turns: four of the largest. */
  RING = 4 * LARGEST,
  COUNT_MAX = 1 << 20,
};

/* A file that is open, and how often each of its pieces was written. */
static struct file {
  int fd;
  uint64_t bytes;
  uint32_t *written;
} files[SLOTS];

static unsigned char *ring;
static uint64_t pattern[PIECE / sizeof(uint64_t)];
static uint64_t offsets[COUNT_MAX];
static double times[COUNT_MAX];

static void fail(const char *what) {
  fprintf(stderr, "fuse_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void refuse(const char *what, uint64_t at) {
  fprintf(stderr, "fuse_load: %s at %llu is not what it should be\n", what,
          (unsigned long long)at);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Of Marsaglia: xorshift64. */
static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Below `different`: in order, from the start again and again; with a seed all over, shuffled. */
static void order(size_t count, size_t different, uint64_t seed) {
  if (count == 0 || count > COUNT_MAX || different == 0) refuse("a count", count);
  bool scattered = seed != 0 && count < different;
  for (size_t i = 0; i < count; i++) {
    offsets[i] = scattered ? i * different / count : i % different;
  }
  for (size_t i = count - 1; seed != 0 && i > 0; i--) {
    size_t j = next(&seed) % (i + 1);
    uint64_t swapped = offsets[i];
    offsets[i] = offsets[j];
    offsets[j] = swapped;
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* `times` has when each ended, `start` when the first began. */
static void tell(double start, size_t count) {
  double nanoseconds = times[count - 1] - start;
  for (size_t i = count - 1; i > 0; i--) times[i] -= times[i - 1];
  times[0] -= start;
  qsort(times, count, sizeof *times, ascending);
  printf("{\"nanoseconds\":%.0f,\"p50\":%.0f,\"p99\":%.0f}\n", nanoseconds, times[count / 2],
         times[count * 99 / 100]);
}

/* ---- files ---------------------------------------------------------------------------------- */

static uint64_t stamp(const struct file *file, uint64_t piece) {
  return (uint64_t)(file - files + 1) << 56 | (uint64_t)file->written[piece] << 32 | piece;
}

static bool stamped(const struct file *file, const unsigned char *bytes, uint64_t offset) {
  uint64_t wanted = stamp(file, offset / PIECE);
  return memcmp(bytes, &wanted, sizeof wanted) == 0;
}

static void put_stamps(struct file *file, unsigned char *bytes, uint64_t offset, size_t size) {
  for (size_t at = 0; at < size; at += PIECE) {
    uint64_t piece = (offset + at) / PIECE;
    file->written[piece]++;
    uint64_t word = stamp(file, piece);
    memcpy(bytes + at, &word, sizeof word);
  }
}

static void compare(const struct file *file, const unsigned char *bytes, uint64_t offset,
                    size_t size) {
  for (size_t at = 0; at < size; at += PIECE) {
    const unsigned char *piece = bytes + at;
    if (!stamped(file, piece, offset + at) ||
        memcmp(piece + sizeof *pattern, pattern + 1, PIECE - sizeof *pattern) != 0) {
      refuse("a piece", offset + at);
    }
  }
}

static void open_file(struct file *file, const char *path, int flags) {
  file->fd = open(path, O_RDWR | O_CREAT | flags, 0644);
  if (file->fd < 0) fail(path);
  file->written = calloc(file->bytes / PIECE, sizeof *file->written);
  if (file->written == NULL) fail("memory");
}

static void write_piece(struct file *file, unsigned char *bytes, uint64_t offset, size_t size) {
  put_stamps(file, bytes, offset, size);
  if (pwrite(file->fd, bytes, size, (off_t)offset) != (ssize_t)size) fail("pwrite");
}

static void read_piece(struct file *file, unsigned char *bytes, uint64_t offset, size_t size) {
  if (pread(file->fd, bytes, size, (off_t)offset) != (ssize_t)size) fail("pread");
}

static void fresh_ring(void) {
  for (size_t at = 0; at < RING; at += PIECE) memcpy(ring + at, pattern, PIECE);
}

static void fill(struct file *file) {
  fresh_ring();
  for (uint64_t at = 0; at < file->bytes; at += LARGEST) write_piece(file, ring, at, LARGEST);
}

static void check(struct file *file) {
  for (uint64_t at = 0; at < file->bytes; at += LARGEST) {
    read_piece(file, ring, at, LARGEST);
    compare(file, ring, at, LARGEST);
  }
}

static void write_round(struct file *file, size_t size, size_t count, uint64_t seed) {
  fresh_ring();
  order(count, file->bytes / size, seed);
  double start = now();
  for (size_t i = 0; i < count; i++) {
    write_piece(file, ring + i * size % RING, offsets[i] * size, size);
    times[i] = now();
  }
  tell(start, count);
}

static void read_round(struct file *file, size_t size, size_t count, uint64_t seed) {
  memset(ring, 0, RING);
  order(count, file->bytes / size, seed);
  double start = now();
  for (size_t i = 0; i < count; i++) {
    unsigned char *bytes = ring + i * size % RING;
    uint64_t at = offsets[i] * size;
    read_piece(file, bytes, at, size);
    if (!stamped(file, bytes, at)) refuse("the first piece read", at);
    at += size - PIECE;
    if (!stamped(file, bytes + size - PIECE, at)) refuse("the last piece read", at);
    times[i] = now();
  }
  size_t kept = RING / size < count ? RING / size : count;
  for (size_t i = count - kept; i < count; i++) {
    compare(file, ring + i * size % RING, offsets[i] * size, size);
  }
  tell(start, count);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Each number has a mode: a stat that shows another file's is noticed. */
static mode_t mode_of(uint64_t number) { return 0600 | (mode_t)(number & 077); }

static void create_one(int directory, const char *name, uint64_t number) {
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, mode_of(number));
  if (fd < 0 || close(fd) != 0) fail(name);
}

static void stat_one(int directory, const char *name, uint64_t number) {
  struct stat status;
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) fail(name);
  if (status.st_mode != (S_IFREG | mode_of(number)) || status.st_size != 0) refuse(name, number);
}

static void unlink_one(int directory, const char *name, uint64_t number) {
  (void)number;
  if (unlinkat(directory, name, 0) != 0) fail(name);
}

static void names_round(const char *path, size_t count, uint64_t seed,
                        void (*each)(int, const char *, uint64_t)) {
  int directory = open(path, O_RDONLY | O_DIRECTORY);
  if (directory < 0) fail(path);
  order(count, count, seed);
  double start = now();
  for (size_t i = 0; i < count; i++) {
    char name[32];
    snprintf(name, sizeof name, "object%08u", (unsigned)offsets[i]);
    each(directory, name, offsets[i]);
    times[i] = now();
  }
  close(directory);
  tell(start, count);
}

/* ---- what is asked -------------------------------------------------------------------------- */

static void done(void) { puts("{\"done\":true}"); }

static void on_open(struct file *file, const char *flag, const char *path) {
  if (file->bytes == 0 || file->bytes % LARGEST != 0) refuse("a size", file->bytes);
  open_file(file, path, strcmp(flag, "direct") == 0 ? O_DIRECT : 0);
  done();
}

static void on_file(const char *verb, struct file *file) {
  if (strcmp(verb, "fill") == 0) {
    fill(file);
  } else if (strcmp(verb, "check") == 0) {
    check(file);
  } else if (strcmp(verb, "close") == 0) {
    if (close(file->fd) != 0) fail(verb);
    free(file->written);
  } else if (posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
    fail(verb);
  }
  done();
}

static void on_line(const char *line) {
  char verb[16], word[16], path[1024];
  unsigned slot;
  size_t size, count;
  unsigned long long bytes, seed;
  if (sscanf(line, "open %u %llu %15s %1023s", &slot, &bytes, word, path) == 4) {
    files[slot % SLOTS].bytes = bytes;
    on_open(&files[slot % SLOTS], word, path);
  } else if (sscanf(line, "read %u %zu %zu %llu", &slot, &size, &count, &seed) == 4) {
    read_round(&files[slot % SLOTS], size, count, seed);
  } else if (sscanf(line, "write %u %zu %zu %llu", &slot, &size, &count, &seed) == 4) {
    write_round(&files[slot % SLOTS], size, count, seed);
  } else if (sscanf(line, "create %zu %llu %1023s", &count, &seed, path) == 3) {
    names_round(path, count, seed, create_one);
  } else if (sscanf(line, "stat %zu %llu %1023s", &count, &seed, path) == 3) {
    names_round(path, count, seed, stat_one);
  } else if (sscanf(line, "unlink %zu %llu %1023s", &count, &seed, path) == 3) {
    names_round(path, count, seed, unlink_one);
  } else if (sscanf(line, "%15s %u", verb, &slot) == 2) {
    on_file(verb, &files[slot % SLOTS]);
  } else {
    refuse(line, 0);
  }
}

int main(void) {
  ring = aligned_alloc(LARGEST, RING);
  if (ring == NULL) fail("memory");
  uint64_t state = 88172645463325252;
  for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) pattern[i] = next(&state);
  setvbuf(stdout, NULL, _IOLBF, 0);
  umask(0);
  done();
  char line[2048];
  while (fgets(line, sizeof line, stdin) != NULL) on_line(line);
  return 0;
}
