/* Page caches and what is behind them: msync and fdatasync, also on a thread; forget. */
#define _GNU_SOURCE
#include "addon.h"
#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct job {
  /* NULL for fdatasync. */
  struct memory *memory;
  uint8_t *start;
  size_t length;
  int fd;
  int error;
  napi_async_work work;
  napi_deferred deferred;
  char what[128];
};

static int run_msync(uint8_t *start, size_t length) {
  return msync(start, length, MS_SYNC) == 0 ? 0 : errno;
}

static int run_fdatasync(int fd) {
  while (fdatasync(fd) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

static const char *job_syscall(const struct job *job) {
  return job->memory ? "msync" : "fdatasync";
}

/* Reads (memory, offset, length); msync wants the address of a page, so the run begins earlier. */
static bool read_msync(struct call *call, struct job *job) {
  uint64_t offset;
  uint64_t length;
  if (!call_range(call, 0, &job->memory, &offset, &length)) return false;
  uint64_t before = offset % memory_page_size;
  job->start = memory_base(job->memory) + offset - before;
  job->length = length == 0 ? 0 : length + before;
  snprintf(job->what, sizeof job->what,
           "msync of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of memory %" PRIu64, length, offset,
           job->memory->id);
  return true;
}

static bool read_fdatasync(struct call *call, struct job *job) {
  uint64_t fd;
  if (!call_integer(call, 0, "fd", FD_MAX, &fd)) return false;
  job->fd = (int)fd;
  snprintf(job->what, sizeof job->what, "fdatasync of fd %d", job->fd);
  return true;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct job *job = data;
  job->error = job->memory ? run_msync(job->start, job->length) : run_fdatasync(job->fd);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct job *job = data;
  if (job->memory) job->memory->syncs--;
  if (status == napi_cancelled) job->error = ECANCELED;
  napi_value value = NULL;
  if (job->error == 0) {
    napi_get_undefined(env, &value);
    napi_resolve_deferred(env, job->deferred, value);
  } else {
    value = error_make(env, job->error, job_syscall(job), NULL, job->what);
    if (value) napi_reject_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
  free(job);
}

static napi_value start(napi_env env, const struct job *prepared) {
  napi_value promise, name;
  struct job *job = malloc(sizeof *job);
  if (job == NULL) return throw_errno(env, ENOMEM, "malloc", NULL, "%s", prepared->what);
  *job = *prepared;
  if (napi_create_string_utf8(env, "holdfast.sync", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, execute, complete, job, &job->work) != napi_ok) {
    free(job);
    return throw_errno(env, ENOMEM, job_syscall(prepared), NULL, "%s", prepared->what);
  }
  if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
      napi_queue_async_work(env, job->work) != napi_ok) {
    napi_delete_async_work(env, job->work);
    free(job);
    return throw_errno(env, ENOMEM, job_syscall(prepared), NULL, "%s", prepared->what);
  }
  if (job->memory) job->memory->syncs++;
  return promise;
}

napi_value js_msync(napi_env env, napi_callback_info info) {
  struct call call;
  struct job job = {.memory = NULL};
  if (!call_begin(&call, env, info, "msync", 3) || !read_msync(&call, &job)) return NULL;
  int error = run_msync(job.start, job.length);
  return error ? throw_errno(env, error, "msync", NULL, "%s", job.what) : NULL;
}

/* Pages that are dirty stay; those that nobody else maps go, and the next load fetches them. */
static int run_forget(uint8_t *start, size_t length, int fd, off_t position) {
  if (length == 0) return 0;
  if (madvise(start, length, MADV_DONTNEED) != 0) return errno;
  /* Parts of pages would be left out. */
  size_t pages = (length + memory_page_size - 1) / memory_page_size * memory_page_size;
  return posix_fadvise(fd, position, (off_t)pages, POSIX_FADV_DONTNEED);
}

napi_value js_forget(napi_env env, napi_callback_info info) {
  struct call call;
  struct job job = {.memory = NULL};
  uint64_t fd;
  if (!call_begin(&call, env, info, "forget", 4) || !read_msync(&call, &job) ||
      !call_integer(&call, 3, "fd", FD_MAX, &fd)) {
    return NULL;
  }
  off_t position = job.start - memory_base(job.memory);
  int error = run_forget(job.start, job.length, (int)fd, position);
  return error ? throw_errno(env, error, "posix_fadvise", NULL, "%s", job.what) : NULL;
}

napi_value js_fdatasync(napi_env env, napi_callback_info info) {
  struct call call;
  struct job job = {.memory = NULL};
  if (!call_begin(&call, env, info, "fdatasync", 1) || !read_fdatasync(&call, &job)) return NULL;
  int error = run_fdatasync(job.fd);
  return error ? throw_errno(env, error, "fdatasync", NULL, "%s", job.what) : NULL;
}

napi_value js_msyncAsync(napi_env env, napi_callback_info info) {
  struct call call;
  struct job job = {.memory = NULL};
  if (!call_begin(&call, env, info, "msyncAsync", 3) || !read_msync(&call, &job)) return NULL;
  return start(env, &job);
}

napi_value js_fdatasyncAsync(napi_env env, napi_callback_info info) {
  struct call call;
  struct job job = {.memory = NULL};
  if (!call_begin(&call, env, info, "fdatasyncAsync", 1) || !read_fdatasync(&call, &job)) {
    return NULL;
  }
  return start(env, &job);
}
