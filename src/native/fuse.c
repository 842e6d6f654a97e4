/* /dev/fuse: requests and replies, and what waits for a filesystem on a thread of its own. */
#define _GNU_SOURCE
#include "addon.h"
#include "socket_io.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  TEXT_MAX = 4096,
  /* A notification is a header and a name at most. */
  NOTICE_MAX = 1024,
};

/* ---- hot: one request in, one reply out -------------------------------------------------- */

/*
 * read(2) and writev(2) themselves: in a process with threads those of the library are points of
 * cancellation (pthreads(7)), which costs two atomic operations a call.
 */

/* (poll, memory, offset, length): bytes of a request, 0 when none is there, or -errno. */
napi_value js_readRequest(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct memory *memory;
  uint64_t offset, length;
  ssize_t got;
  (void)info;
  call_begin_hot(&call, env, "readRequest");
  if (!call_poll(&call, 0, &poll) || !call_range(&call, 1, &memory, &offset, &length)) return NULL;
  do {
    got = syscall(SYS_read, poll_fd(poll), memory_base(memory) + offset, length);
    /* ENOENT: the request was interrupted before it was read (fs/fuse/dev.c). */
  } while (got < 0 && (errno == EINTR || errno == ENOENT));
  if (got >= 0) return call_result(&call, (double)got);
  return call_result(&call, would_wait(errno) ? 0 : -(double)errno);
}

static double write_all(int fd, const struct iovec *parts, int count) {
  ssize_t sent;
  do sent = syscall(SYS_writev, fd, parts, count);
  while (sent < 0 && errno == EINTR);
  return sent >= 0 ? 0 : (double)errno;
}

/* (poll; memory, offset, length; memory, offset, length): header and data. 0 or an errno. */
napi_value js_writeReply(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct memory *memories[2];
  uint64_t offsets[2], lengths[2];
  (void)info;
  call_begin_hot(&call, env, "writeReply");
  if (!call_poll(&call, 0, &poll) ||
      !call_range(&call, 1, &memories[0], &offsets[0], &lengths[0]) ||
      !call_range(&call, 4, &memories[1], &offsets[1], &lengths[1])) {
    return NULL;
  }
  struct iovec parts[2];
  for (int i = 0; i < 2; i++) {
    parts[i] = (struct iovec){memory_base(memories[i]) + offsets[i], lengths[i]};
  }
  return call_result(&call, write_all(poll_fd(poll), parts, lengths[1] == 0 ? 1 : 2));
}

/* (parts; poll, count): a reply of so many parts. 0 or an errno. */
napi_value js_writeReplyParts(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  struct iovec parts[PARTS_MAX];
  uint64_t count, total;
  size_t arguments = 1;
  napi_value array;
  call_begin_hot(&call, env, "writeReplyParts");
  if (!call_poll(&call, 0, &poll) || !call_integer(&call, 1, "count", PARTS_MAX, &count) ||
      napi_get_cb_info(env, info, &arguments, &array, NULL, NULL) != napi_ok ||
      !call_parts(&call, array, count, parts, &total)) {
    return NULL;
  }
  return call_result(&call, write_all(poll_fd(poll), parts, (int)count));
}

/* ---- mounting ----------------------------------------------------------------------------- */

/* A path or options, as text without a zero byte. */
static bool call_words(struct call *call, int index, const char *what, char *out) {
  size_t size;
  if (napi_get_value_string_utf8(call->env, call->values[index], out, TEXT_MAX, &size) !=
      napi_ok) {
    return throw_type(call->env, "%s: argument %d (%s) is not a string; pass one", call->name,
                      index, what);
  }
  if (size < TEXT_MAX - 1 && strlen(out) == size) return true;
  throw_errno(call->env, ENAMETOOLONG, call->name, "pass a text of at most 4094 bytes",
              "%s: argument %d (%s)", call->name, index, what);
  return false;
}

napi_value js_mount(napi_env env, napi_callback_info info) {
  struct call call;
  char source[TEXT_MAX], target[TEXT_MAX], type[TEXT_MAX], data[TEXT_MAX];
  uint64_t flags;
  if (!call_begin(&call, env, info, "mount", 5) || !call_words(&call, 0, "source", source) ||
      !call_words(&call, 1, "target", target) || !call_words(&call, 2, "type", type) ||
      !call_integer(&call, 3, "flags", U32_MAX, &flags) ||
      !call_words(&call, 4, "data", data)) {
    return NULL;
  }
  if (mount(source, target, type, flags, data) == 0) return NULL;
  return throw_errno(env, errno, "mount", NULL, "mount of %s at %s", type, target);
}

/* Two ends of a stream, the first close-on-exec. */
napi_value js_socketPair(napi_env env, napi_callback_info info) {
  struct call call;
  int ends[2];
  napi_value pair;
  if (!call_begin(&call, env, info, "socketPair", 0)) return NULL;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return throw_errno(env, errno, "socketpair", NULL, "socketPair");
  }
  if (napi_create_array_with_length(env, 2, &pair) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, pair, i, call_number(&call, ends[i]));
  return pair;
}

/*
 * ---- on a thread: the filesystem may have to answer first -----------------------------------
 *
 * Notices have threads of their own, not those of libuv's pool, which are few, and which what they
 * wait for may need.
 */

enum kind { NOTIFY, UNMOUNT, TAKE };

struct job {
  enum kind kind;
  int fd;
  int flags;
  size_t length;
  /* The error, or what was asked for. */
  int error;
  int result;
  /* Of a notice. */
  napi_threadsafe_function back;
  /* Of the others. */
  napi_async_work work;
  napi_deferred deferred;
  char bytes[TEXT_MAX];
};

static const char *job_name(const struct job *job) {
  return job->kind == NOTIFY ? "write" : job->kind == UNMOUNT ? "umount2" : "recvmsg";
}

static int run_notify(const struct job *job) {
  while (write(job->fd, job->bytes, job->length) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/* Who was asked to mount sends the descriptor with a byte, or ends. */
static int run_take(struct job *job) {
  char byte;
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  ssize_t got;
  do got = recvmsg(job->fd, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (got == 0 || head == NULL || head->cmsg_type != SCM_RIGHTS) return ENOTCONN;
  memcpy(&job->result, CMSG_DATA(head), sizeof job->result);
  return 0;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct job *job = data;
  if (job->kind == TAKE) job->error = run_take(job);
  else job->error = umount2(job->bytes, job->flags) == 0 ? 0 : errno;
}

static void complete(napi_env env, napi_status status, void *data) {
  struct job *job = data;
  napi_value value = NULL;
  if (status == napi_cancelled) job->error = ECANCELED;
  if (job->error == 0) {
    if (napi_create_int32(env, job->result, &value) == napi_ok) {
      napi_resolve_deferred(env, job->deferred, value);
    }
  } else {
    const char *what = job->kind == UNMOUNT ? job->bytes : "the descriptor of a mount";
    value = error_make(env, job->error, job_name(job), NULL, what);
    if (value) napi_reject_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
  free(job);
}

static napi_value start(napi_env env, struct job *job) {
  napi_value promise, name;
  if (napi_create_string_utf8(env, "holdfast.fuse", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, execute, complete, job, &job->work) == napi_ok) {
    if (napi_create_promise(env, &job->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, job->work) == napi_ok) {
      return promise;
    }
    napi_delete_async_work(env, job->work);
  }
  free(job);
  return throw_errno(env, ENOMEM, "malloc", NULL, "a thread for /dev/fuse");
}

static void *notify_thread(void *data) {
  struct job *job = data;
  napi_threadsafe_function back = job->back;
  job->result = run_notify(job);
  close(job->fd);
  /* An environment that has ended takes nothing: nobody waits. */
  if (napi_call_threadsafe_function(back, job, napi_tsfn_nonblocking) != napi_ok) free(job);
  napi_release_threadsafe_function(back, napi_tsfn_release);
  return NULL;
}

static void notified(napi_env env, napi_value callback, void *context, void *data) {
  struct job *job = data;
  napi_value value;
  (void)callback;
  (void)context;
  if (env != NULL && napi_create_int32(env, job->result, &value) == napi_ok) {
    napi_resolve_deferred(env, job->deferred, value);
  }
  free(job);
}

static napi_value start_notice(napi_env env, struct job *job) {
  napi_value promise, name;
  pthread_attr_t detached;
  pthread_t thread;
  int error = ENOMEM;
  if (napi_create_string_utf8(env, "holdfast.fuse", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, notified,
                                      &job->back) == napi_ok) {
    napi_unref_threadsafe_function(env, job->back);
    napi_threadsafe_function back = job->back;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (napi_create_promise(env, &job->deferred, &promise) == napi_ok) {
      error = pthread_create(&thread, &detached, notify_thread, job);
    }
    pthread_attr_destroy(&detached);
    if (error == 0) return promise;
    napi_release_threadsafe_function(back, napi_tsfn_abort);
  }
  close(job->fd);
  free(job);
  return throw_errno(env, error, "pthread_create", NULL, "a thread for a notice");
}

static struct job *make_job(napi_env env, enum kind kind) {
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) throw_errno(env, ENOMEM, "malloc", NULL, "a thread for /dev/fuse");
  else job->kind = kind;
  return job;
}

/* (poll, bytes): resolves with 0, or with the errno that the kernel has of it. */
napi_value js_notifyFuse(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  void *bytes;
  size_t length;
  napi_typedarray_type type;
  if (!call_begin(&call, env, info, "notifyFuse", 2) || !call_poll(&call, 0, &poll)) return NULL;
  if (napi_get_typedarray_info(env, call.values[1], &type, &length, &bytes, NULL, NULL) !=
          napi_ok ||
      type != napi_uint8_array || length > NOTICE_MAX) {
    throw_type(env, "notifyFuse: argument 1 is no Uint8Array of at most %d bytes", NOTICE_MAX);
    return NULL;
  }
  struct job *job = make_job(env, NOTIFY);
  if (job == NULL) return NULL;
  memcpy(job->bytes, bytes, length);
  job->length = length;
  /* Its own, as the poll may be closed before; and no child's, which would keep the connection
     open. */
  job->fd = fcntl(poll_fd(poll), F_DUPFD_CLOEXEC, 0);
  if (job->fd >= 0) return start_notice(env, job);
  free(job);
  return throw_errno(env, errno, "dup", NULL, "notifyFuse");
}

napi_value js_unmount(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t flags;
  char target[TEXT_MAX];
  if (!call_begin(&call, env, info, "unmount", 2) || !call_words(&call, 0, "target", target) ||
      !call_integer(&call, 1, "flags", U32_MAX, &flags)) {
    return NULL;
  }
  struct job *job = make_job(env, UNMOUNT);
  if (job == NULL) return NULL;
  memcpy(job->bytes, target, sizeof target);
  job->flags = (int)flags;
  return start(env, job);
}

napi_value js_takeDescriptor(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t fd;
  if (!call_begin(&call, env, info, "takeDescriptor", 1) ||
      !call_integer(&call, 0, "fd", FD_MAX, &fd)) {
    return NULL;
  }
  struct job *job = make_job(env, TAKE);
  if (job == NULL) return NULL;
  job->fd = (int)fd;
  return start(env, job);
}
