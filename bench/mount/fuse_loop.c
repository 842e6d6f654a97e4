/*
 * The floor of `bench -- mount`: the least that a program can do that serves a file by FUSE.
 *
 *     fuse_loop DIRECTORY BYTES
 *
 * One thread: a blocking read of /dev/fuse, a switch, an answer. One file, `file`, of a size that
 * does not change, whose bytes are one mapped memfd: a READ is answered by one writev of a header
 * and of the bytes where they are, what a WRITE brings is copied to where it belongs. Opened with
 * FOPEN_DIRECT_IO; names and attributes are good for an hour. It ends when it is unmounted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  LARGEST = 1 << 20,
  PAGE = 4096,
  FILE_INODE = 2,
  FILE_HANDLE = 1,
  VALID_SECONDS = 3600,
  BLOCKS_FREE = 1 << 20,
};

/* What a request has before the bytes of the largest WRITE. */
static const size_t request_bytes = LARGEST + PAGE;

static const char file_name[] = "file";

static int device;
static unsigned char *region;
static uint64_t region_bytes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* An answer that nobody waits for any more is ENOENT. */
static void send_parts(const struct iovec *parts, int count) {
  if (writev(device, parts, count) < 0 && errno != ENOENT && errno != ENODEV) fail("an answer");
}

static void answer(const struct fuse_in_header *in, int error, void *body, size_t bytes) {
  struct fuse_out_header out = {
      .len = (uint32_t)(sizeof out + bytes), .error = -error, .unique = in->unique};
  struct iovec parts[] = {{&out, sizeof out}, {body, bytes}};
  send_parts(parts, bytes == 0 ? 1 : 2);
}

static void answer_error(const struct fuse_in_header *in, int error) {
  answer(in, error, NULL, 0);
}

static struct fuse_attr attributes(uint64_t inode) {
  bool root = inode == FUSE_ROOT_ID;
  return (struct fuse_attr){
      .ino = inode,
      .size = root ? 0 : region_bytes,
      .blocks = root ? 0 : region_bytes / 512,
      .mode = root ? S_IFDIR | 0755 : S_IFREG | 0644,
      .nlink = root ? 2 : 1,
      .blksize = PAGE,
  };
}

static void on_init(const struct fuse_in_header *in, const struct fuse_init_in *asked) {
  struct fuse_init_out out = {
      .major = FUSE_KERNEL_VERSION,
      .minor = FUSE_KERNEL_MINOR_VERSION,
      .max_readahead = asked->max_readahead,
      .flags = asked->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES),
      .max_background = 64,
      .congestion_threshold = 48,
      .max_write = LARGEST,
      .time_gran = 1,
      .max_pages = LARGEST / PAGE,
  };
  answer(in, 0, &out, sizeof out);
}

static void on_lookup(const struct fuse_in_header *in, const char *name) {
  if (in->nodeid != FUSE_ROOT_ID || strcmp(name, file_name) != 0) {
    answer_error(in, ENOENT);
    return;
  }
  struct fuse_entry_out out = {
      .nodeid = FILE_INODE,
      .entry_valid = VALID_SECONDS,
      .attr_valid = VALID_SECONDS,
      .attr = attributes(FILE_INODE),
  };
  answer(in, 0, &out, sizeof out);
}

static void on_getattr(const struct fuse_in_header *in) {
  struct fuse_attr_out out = {.attr_valid = VALID_SECONDS, .attr = attributes(in->nodeid)};
  answer(in, 0, &out, sizeof out);
}

static void on_open(const struct fuse_in_header *in) {
  struct fuse_open_out out = {.fh = FILE_HANDLE, .open_flags = FOPEN_DIRECT_IO};
  answer(in, 0, &out, sizeof out);
}

static void on_read(const struct fuse_in_header *in, const struct fuse_read_in *asked) {
  uint64_t left = asked->offset < region_bytes ? region_bytes - asked->offset : 0;
  uint64_t bytes = asked->size < left ? asked->size : left;
  answer(in, 0, region + asked->offset, bytes);
}

static void on_write(const struct fuse_in_header *in, const struct fuse_write_in *asked) {
  if (asked->offset > region_bytes || asked->size > region_bytes - asked->offset) {
    answer_error(in, ENOSPC);
    return;
  }
  memcpy(region + asked->offset, asked + 1, asked->size);
  struct fuse_write_out out = {.size = asked->size};
  answer(in, 0, &out, sizeof out);
}

static void on_statfs(const struct fuse_in_header *in) {
  struct fuse_statfs_out out = {
      .st = {.blocks = region_bytes / PAGE, .bfree = BLOCKS_FREE, .bsize = PAGE, .namelen = 255}};
  answer(in, 0, &out, sizeof out);
}

static void on_request(const struct fuse_in_header *in) {
  const void *body = in + 1;
  switch (in->opcode) {
    case FUSE_INIT: on_init(in, body); break;
    case FUSE_LOOKUP: on_lookup(in, body); break;
    case FUSE_GETATTR: on_getattr(in); break;
    case FUSE_OPEN: on_open(in); break;
    case FUSE_READ: on_read(in, body); break;
    case FUSE_WRITE: on_write(in, body); break;
    case FUSE_STATFS: on_statfs(in); break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_FSYNC: answer_error(in, 0); break;
    /* Nobody waits for an answer to these. */
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break;
    default: answer_error(in, ENOSYS);
  }
}

static void make_region(void) {
  int fd = memfd_create("fuse_loop", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, (off_t)region_bytes) != 0) fail("memfd_create");
  region = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (region == MAP_FAILED) fail("mmap");
  close(fd);
}

static void mount_at(const char *directory) {
  char options[128];
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) fail("/dev/fuse");
  snprintf(options, sizeof options,
           "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device);
  if (mount("fuse_loop", directory, "fuse.fuse_loop", MS_NOSUID | MS_NODEV, options) != 0) {
    fail(directory);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: fuse_loop DIRECTORY BYTES\n");
    return 2;
  }
  region_bytes = strtoull(argv[2], NULL, 10);
  make_region();
  void *request = aligned_alloc(PAGE, request_bytes);
  if (request == NULL) fail("memory");
  mount_at(argv[1]);
  for (;;) {
    ssize_t bytes = read(device, request, request_bytes);
    if (bytes >= (ssize_t)sizeof(struct fuse_in_header)) {
      on_request(request);
    } else if (bytes < 0 && errno == ENODEV) {
      return 0;
    } else if (bytes >= 0 || (errno != EINTR && errno != ENOENT && errno != EAGAIN)) {
      fail("a request");
    }
  }
}
