/*
 * A process that maps parts of a file whose descriptor it got (3), and keeps them: node cannot
 * fork, and what happens to mappings then is the question. Commands are lines on descriptor 4,
 * each is answered by one line on standard output.
 *
 *     map OFFSET LENGTH      maps a part of the file, behind what is mapped: "mapped TOTAL"
 *     read AT LENGTH         "bytes HEX" of what is mapped
 *     write AT HEX           "written"
 *     lock START             a read lock of the open file description: "locked", or "refused ERRNO"
 *     probe START            whether others hold a lock there: "held" or "free"
 *     close                  closes the descriptor, and keeps the mappings: "closed"
 *     fork                   goes on in a child, and ends: "forked PID"
 *     exit                   ends
 *
 * Its input at an end ends it, and so does a minute.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DESCRIPTOR = 3, COMMANDS = 4, MAPPED_MAX = 1 << 30, LINE_MAX = 1 << 17, SECONDS = 60 };

static unsigned char *base;
static size_t mapped;

static void fail(const char *what) {
  fprintf(stderr, "keeper: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Byte by byte: what is read ahead would be the parent's, and lost with it. */
static bool next_line(char *line) {
  size_t length = 0;
  for (;;) {
    ssize_t got = read(COMMANDS, line + length, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || length == LINE_MAX - 1) return false;
    if (line[length] == '\n') break;
    length++;
  }
  line[length] = 0;
  return true;
}

static void demand(size_t at, size_t length) {
  if (at <= mapped && length <= mapped - at) return;
  errno = ERANGE;
  fail("not mapped");
}

static void map(off_t offset, size_t length) {
  if (length > MAPPED_MAX - mapped) fail("too much");
  int protection = PROT_READ | PROT_WRITE;
  void *at = mmap(base + mapped, length, protection, MAP_SHARED | MAP_FIXED, DESCRIPTOR, offset);
  if (at == MAP_FAILED) fail("mmap");
  mapped += length;
  printf("mapped %zu\n", mapped);
}

static void show(size_t at, size_t length) {
  demand(at, length);
  fputs("bytes ", stdout);
  for (size_t i = 0; i < length; i++) printf("%02x", base[at + i]);
  putchar('\n');
}

static void put(size_t at, const char *hex) {
  size_t length = strlen(hex) / 2;
  demand(at, length);
  for (size_t i = 0; i < length; i++) {
    unsigned byte;
    if (sscanf(hex + 2 * i, "%2x", &byte) != 1) fail("not hexadecimal");
    base[at + i] = (unsigned char)byte;
  }
  puts("written");
}

static struct flock lock_at(off_t start, short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
}

static void lock(off_t start) {
  struct flock wanted = lock_at(start, F_RDLCK);
  if (fcntl(DESCRIPTOR, F_OFD_SETLK, &wanted) == 0) puts("locked");
  else printf("refused %d\n", errno);
}

static void probe(off_t start) {
  struct flock wanted = lock_at(start, F_WRLCK);
  if (fcntl(DESCRIPTOR, F_OFD_GETLK, &wanted) != 0) fail("F_OFD_GETLK");
  puts(wanted.l_type == F_UNLCK ? "free" : "held");
}

static void go_on_in_child(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child > 0) _exit(0);
  alarm(SECONDS);
  printf("forked %d\n", (int)getpid());
}

static void do_line(char *line) {
  unsigned long long a = 0, b = 0;
  int text = 0;
  if (sscanf(line, "map %llu %llu", &a, &b) == 2) map((off_t)a, b);
  else if (sscanf(line, "read %llu %llu", &a, &b) == 2) show(a, b);
  else if (sscanf(line, "write %llu %n", &a, &text) == 1 && text > 0) put(a, line + text);
  else if (sscanf(line, "lock %llu", &a) == 1) lock((off_t)a);
  else if (sscanf(line, "probe %llu", &a) == 1) probe((off_t)a);
  else if (strcmp(line, "close") == 0) puts(close(DESCRIPTOR) == 0 ? "closed" : "not open");
  else if (strcmp(line, "fork") == 0) go_on_in_child();
  else if (strcmp(line, "exit") == 0) exit(0);
  else printf("unknown %s\n", line);
  fflush(stdout);
}

int main(void) {
  static char line[LINE_MAX];
  alarm(SECONDS);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  base = mmap(NULL, MAPPED_MAX, PROT_NONE, flags, -1, 0);
  if (base == MAP_FAILED) fail("mmap");
  puts("ready");
  fflush(stdout);
  while (next_line(line)) do_line(line);
  return 0;
}
