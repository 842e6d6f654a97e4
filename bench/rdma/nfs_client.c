/*
 * nfs_client PORT MOUNT_PORT CONTENT
 *
 * The client of rdma/nfs.ts: ranges of two files on an NFS server, by libnfs's asynchronous
 * interface. It takes the lines that rdma/client.ts takes, and gives the same answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <nfsc/libnfs.h>

#define SLOTS_MAX 4096

static struct nfs_context *nfs;
static struct nfsfh *fixed_file, *changing_file;
static unsigned char *fixed, *source, *destination;
static size_t area_bytes;

/* A round, and how far it is. */
static struct {
  int put;
  size_t bytes, outstanding, count, slots;
  size_t begun, ended;
  struct nfsfh *file;
  unsigned char *memory;
  double *each;
} work;

static void fail(const char *what) {
  fprintf(stderr, "nfs_client: %s: %s\n", what, nfs_get_error(nfs));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void begin(void);

struct one {
  double start;
  size_t index;
};

static void done(int status, struct nfs_context *context, void *data, void *given) {
  (void)context;
  struct one *one = given;
  if (status != (int)work.bytes) {
    fprintf(stderr, "nfs_client: %d of %zu bytes: %s\n", status, work.bytes,
        status < 0 ? (char *)data : "");
    exit(1);
  }
  size_t slot = one->index % work.slots;
  if (!work.put) memcpy(work.memory + slot * work.bytes, data, work.bytes);
  work.each[one->index] = now() - one->start;
  work.ended++;
  free(one);
  if (work.begun < work.count) begin();
}

static void begin(void) {
  struct one *one = malloc(sizeof *one);
  one->index = work.begun++;
  one->start = now();
  size_t at = one->index % work.slots * work.bytes;
  int status = work.put
    ? nfs_pwrite_async(nfs, work.file, at, work.bytes, work.memory + at, done, one)
    : nfs_pread_async(nfs, work.file, at, work.bytes, done, one);
  if (status != 0) fail("a request");
}

/* All of the work, `outstanding` requests at a time. */
static void run(int put, struct nfsfh *file, unsigned char *memory, size_t count) {
  work.put = put;
  work.file = file;
  work.memory = memory;
  work.count = count;
  work.begun = work.ended = 0;
  while (work.begun < work.outstanding && work.begun < count) begin();
  while (work.ended < count) {
    struct pollfd p = {.fd = nfs_get_fd(nfs), .events = (short)nfs_which_events(nfs)};
    if (poll(&p, 1, 30000) <= 0) fail("nothing comes for 30 s");
    if (nfs_service(nfs, p.revents) != 0) fail("the connection");
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void prepare(int put, uint32_t round) {
  work.put = put;
  work.slots = area_bytes / work.bytes;
  if (work.slots > SLOTS_MAX) work.slots = SLOTS_MAX;
  free(work.each);
  work.each = calloc(work.count + work.slots, sizeof *work.each);
  if (!put) {
    memset(destination, 0, area_bytes);
    return;
  }
  size_t step = work.bytes < 4096 ? work.bytes : 4096;
  for (size_t at = 0; at < work.slots * work.bytes; at += step)
    memcpy(source + at, &round, sizeof round);
}

static void verify(int put) {
  size_t slots = work.count < work.slots ? work.count : work.slots;
  if (put) {
    memset(destination, 0, area_bytes);
    run(0, changing_file, destination, slots);
  }
  if (memcmp(destination, put ? source : fixed, slots * work.bytes) == 0) return;
  fprintf(stderr, "nfs_client: the objects differ\n");
  exit(1);
}

static void timed(int put) {
  double start = now();
  run(put, put ? changing_file : fixed_file, put ? source : destination, work.count);
  double nanoseconds = now() - start;
  qsort(work.each, work.count, sizeof *work.each, ascending);
  printf("{\"nanoseconds\":%.0f,\"p50\":%.0f,\"p99\":%.0f}\n", nanoseconds,
           work.each[work.count / 2], work.each[work.count * 99 / 100]);
}

static void mount(const char *port, const char *mount_port) {
  char url[128];
  nfs = nfs_init_context();
  snprintf(url, sizeof url, "nfs://127.0.0.1/export?version=3&nfsport=%s&mountport=%s",
             port, mount_port);
  struct nfs_url *parts = nfs_parse_url_dir(nfs, url);
  if (parts == NULL) fail(url);
  if (nfs_mount(nfs, parts->server, parts->path) != 0) fail("mount");
  nfs_destroy_url(parts);
  if (nfs_open(nfs, "/fixed", O_RDONLY, &fixed_file) != 0) fail("/fixed");
  if (nfs_open(nfs, "/changing", O_RDWR, &changing_file) != 0) fail("/changing");
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  struct stat status;
  int fd = open(argv[3], O_RDONLY);
  if (fd < 0 || fstat(fd, &status) != 0) {
    fprintf(stderr, "nfs_client: %s: %s\n", argv[3], strerror(errno));
    return 1;
  }
  area_bytes = (size_t)status.st_size;
  fixed = mmap(NULL, area_bytes, PROT_READ, MAP_SHARED, fd, 0);
  source = malloc(area_bytes);
  destination = malloc(area_bytes);
  if (fixed == MAP_FAILED || source == NULL || destination == NULL) return 1;
  memcpy(source, fixed, area_bytes);
  mount(argv[1], argv[2]);
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("{\"connected\":true}");
  char line[128], operation[8];
  int put = 0;
  uint32_t round = 0;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "prepare %7s %zu %zu %zu", operation, &work.bytes, &work.outstanding,
                   &work.count) == 4) {
      put = strcmp(operation, "put") == 0;
      prepare(put, ++round);
      puts("{\"prepared\":true}");
    } else if (strncmp(line, "run", 3) == 0) {
      timed(put);
    } else {
      verify(put);
      puts("{\"verified\":true}");
    }
  }
  nfs_close(nfs, fixed_file);
  nfs_close(nfs, changing_file);
  nfs_destroy_context(nfs);
  return 0;
}
