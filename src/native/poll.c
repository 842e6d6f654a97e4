#include "poll.h"

#include "addon.h"
#include "loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  SLOT_BITS = 24,
  SLOT_MASK = (1 << SLOT_BITS) - 1,
  /* Ids stay exact as numbers of JavaScript; a slot that was used so often is used no more. */
  USES_MAX = (1 << (53 - SLOT_BITS)) - 1,
  SLOTS_FIRST = 64,
  /* More kinds of handles than libuv has. */
  TYPES_MAX = 64,
};

struct poll {
  struct polls *owner;
  napi_ref callback;
  napi_async_context context;
  int fd;
  uint32_t slot;
  /* UV_READABLE, UV_WRITABLE: what is asked for, and what libuv watches for. */
  int wanted;
  int watched;
  bool calling;
  bool closed;
  /* uv_poll_t */
  max_align_t handle[];
};

struct slot {
  struct poll *poll;
  uint32_t uses;
  /* In the list of free ones; 0 ends it. */
  uint32_t next;
};

/* The polls of an environment. */
struct polls {
  napi_env env;
  uv_loop_t *loop;
  struct polls *next;
  struct slot *slots;
  uint32_t end;
  uint32_t capacity;
  uint32_t free;
  uint32_t open;
  /* Handles that libuv has not let go of. */
  uint32_t handles;
  /* Does nothing: the loop ends only when it is without a reference, which open polls are. */
  uv_handle_t *keeper;
  /* Set when the environment ends. */
  napi_async_cleanup_hook_handle ending;
};

/* Those of this thread; more than one only where the addon was loaded more than once. */
static _Thread_local struct polls *first_polls;

static int poll_type = -1;
static int async_type = -1;

static int type_named(const char *name) {
  for (int type = 1; type < TYPES_MAX; type++) {
    const char *found = uv_handle_type_name(type);
    if (found != NULL && strcmp(found, name) == 0) return type;
  }
  return -1;
}

bool poll_start(void) {
  poll_type = type_named("poll");
  async_type = type_named("async");
  return poll_type > 0 && async_type > 0;
}

static uv_handle_t *handle_of(struct poll *poll) {
  return (uv_handle_t *)(void *)poll->handle;
}

static struct polls *find_polls(napi_env env) {
  struct polls *polls = first_polls;
  while (polls != NULL && polls->env != env) polls = polls->next;
  return polls;
}

static void end_polls(struct polls *polls) {
  napi_remove_async_cleanup_hook(polls->ending);
  free(polls->slots);
  free(polls);
}

static void drop_handle(struct polls *polls) {
  if (--polls->handles == 0 && polls->ending != NULL) end_polls(polls);
}

static void poll_closed(uv_handle_t *handle) {
  struct poll *poll = uv_handle_get_data(handle);
  struct polls *polls = poll->owner;
  free(poll);
  drop_handle(polls);
}

static void keeper_closed(uv_handle_t *handle) {
  struct polls *polls = uv_handle_get_data(handle);
  free(handle);
  drop_handle(polls);
}

static void keeper_dropped(uv_handle_t *handle) {
  free(handle);
}

/* The environment ends: its JavaScript is over. Node turns the loop until the hook is removed. */
static void end_environment(napi_async_cleanup_hook_handle hook, void *data) {
  struct polls *polls = data;
  struct polls **link = &first_polls;
  while (*link != polls) link = &(*link)->next;
  *link = polls->next;
  for (uint32_t slot = 1; slot < polls->end; slot++) {
    if (polls->slots[slot].poll != NULL) poll_close(polls->slots[slot].poll);
  }
  polls->ending = hook;
  uv_close(polls->keeper, keeper_closed);
}

/* NULL when there is no memory. */
static struct polls *make_polls(napi_env env) {
  struct polls *polls = calloc(1, sizeof *polls);
  uv_handle_t *keeper = calloc(1, uv_handle_size(async_type));
  if (polls == NULL || keeper == NULL || napi_get_uv_event_loop(env, &polls->loop) != napi_ok ||
      uv_async_init(polls->loop, keeper, NULL) != 0) {
    free(keeper);
    free(polls);
    return NULL;
  }
  if (napi_add_async_cleanup_hook(env, end_environment, polls, NULL) != napi_ok) {
    uv_close(keeper, keeper_dropped);
    free(polls);
    return NULL;
  }
  uv_handle_set_data(keeper, polls);
  uv_unref(keeper);
  polls->env = env;
  polls->keeper = keeper;
  polls->handles = 1;
  polls->end = 1;
  polls->next = first_polls;
  first_polls = polls;
  return polls;
}

/* A free slot; 0 when there is no memory. */
static uint32_t take_slot(struct polls *polls) {
  uint32_t slot = polls->free;
  if (slot != 0) {
    polls->free = polls->slots[slot].next;
    return slot;
  }
  if (polls->end >= polls->capacity) {
    uint32_t capacity = polls->capacity == 0 ? SLOTS_FIRST : polls->capacity * 2;
    if (capacity > SLOT_MASK) return 0;
    struct slot *slots = realloc(polls->slots, capacity * sizeof *slots);
    if (slots == NULL) return 0;
    polls->slots = slots;
    polls->capacity = capacity;
  }
  slot = polls->end++;
  polls->slots[slot] = (struct slot){.poll = NULL};
  return slot;
}

static void give_slot(struct polls *polls, uint32_t slot) {
  polls->slots[slot].poll = NULL;
  if (polls->slots[slot].uses == USES_MAX) return;
  polls->slots[slot].uses++;
  polls->slots[slot].next = polls->free;
  polls->free = slot;
}

static void release(struct poll *poll) {
  napi_env env = poll->owner->env;
  napi_delete_reference(env, poll->callback);
  napi_async_destroy(env, poll->context);
}

static bool refer(struct poll *poll, napi_env env, napi_value callback) {
  napi_value name;
  if (napi_create_string_utf8(env, "holdfast.poll", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, callback, 1, &poll->callback) != napi_ok) {
    return false;
  }
  if (napi_async_init(env, NULL, name, &poll->context) == napi_ok) return true;
  napi_delete_reference(env, poll->callback);
  return false;
}

static double refuse_open(napi_env env, int error, const char *what, int fd) {
  throw_errno(env, error, "poll", NULL, "%s: poll of fd %d", what, fd);
  return 0;
}

double poll_open(napi_env env, int fd, napi_value callback, const char *what) {
  struct polls *polls = find_polls(env);
  if (polls == NULL) polls = make_polls(env);
  if (polls == NULL) return refuse_open(env, ENOMEM, what, fd);
  struct poll *poll = calloc(1, offsetof(struct poll, handle) + uv_handle_size(poll_type));
  uint32_t slot = poll == NULL ? 0 : take_slot(polls);
  if (slot == 0) {
    free(poll);
    return refuse_open(env, ENOMEM, what, fd);
  }
  poll->owner = polls;
  poll->fd = fd;
  poll->slot = slot;
  if (!refer(poll, env, callback)) {
    give_slot(polls, slot);
    free(poll);
    return refuse_open(env, ENOMEM, what, fd);
  }
  int result = uv_poll_init(polls->loop, handle_of(poll), fd);
  if (result != 0) {
    release(poll);
    give_slot(polls, slot);
    free(poll);
    return refuse_open(env, -result, what, fd);
  }
  uv_handle_set_data(handle_of(poll), poll);
  uv_unref(handle_of(poll));
  polls->slots[slot].poll = poll;
  polls->handles++;
  if (polls->open++ == 0) uv_ref(polls->keeper);
  return (double)((uint64_t)polls->slots[slot].uses << SLOT_BITS | slot);
}

napi_value poll_owning(struct call *call, int fd, napi_value callback) {
  double id = poll_open(call->env, fd, callback, call->name);
  if (id != 0) return call_number(call, id);
  close(fd);
  return NULL;
}

void poll_close(struct poll *poll) {
  struct polls *polls = poll->owner;
  poll->closed = true;
  give_slot(polls, poll->slot);
  if (--polls->open == 0) uv_unref(polls->keeper);
  uv_close(handle_of(poll), poll_closed);
  /* The kernel lets go of a descriptor even where it says EINTR. */
  close(poll->fd);
  if (!poll->calling) release(poll);
}

int poll_fd(const struct poll *poll) {
  return poll->fd;
}

static void call_back(struct poll *poll, int events) {
  napi_env env = poll->owner->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, ready[2];
  poll->calling = true;
  if (napi_get_reference_value(env, poll->callback, &callback) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok &&
      napi_get_boolean(env, events & UV_READABLE, &ready[0]) == napi_ok &&
      napi_get_boolean(env, events & UV_WRITABLE, &ready[1]) == napi_ok &&
      napi_make_callback(env, poll->context, receiver, callback, 2, ready, NULL) ==
          napi_pending_exception) {
    napi_value thrown;
    if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
      napi_fatal_exception(env, thrown);
    }
  }
  poll->calling = false;
  if (poll->closed) release(poll);
  napi_close_handle_scope(env, scope);
}

static void on_ready(uv_handle_t *handle, int status, int events);

/* Each change costs system calls. */
static void watch(struct poll *poll) {
  if (poll->watched == poll->wanted) return;
  if (poll->wanted == 0) {
    uv_poll_stop(handle_of(poll));
  } else {
    uv_poll_start(handle_of(poll), poll->wanted, on_ready);
  }
  poll->watched = poll->wanted;
}

/*
 * An error is all that libuv says of EPOLLERR, and it watches no longer. Who wants something finds
 * the error by trying it. Where nothing is wanted, nothing is watched for: there is no busy loop.
 */
static void on_ready(uv_handle_t *handle, int status, int events) {
  struct poll *poll = uv_handle_get_data(handle);
  if (status < 0) {
    uv_poll_stop(handle);
    poll->watched = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  if ((events & poll->wanted) != 0) call_back(poll, events & poll->wanted);
  if (!poll->closed) watch(poll);
}

bool call_poll(struct call *call, int index, struct poll **out) {
  uint64_t id;
  if (!call_integer(call, index, "poll", SAFE_MAX, &id)) return false;
  struct polls *polls = find_polls(call->env);
  uint32_t slot = id & SLOT_MASK;
  if (polls != NULL && slot > 0 && slot < polls->end &&
      polls->slots[slot].uses == id >> SLOT_BITS) {
    *out = polls->slots[slot].poll;
    if (*out != NULL) return true;
  }
  throw_errno(call->env, EBADF, call->name, "pass one that this thread opened and has not closed",
              "%s: %" PRIu64 " is no open poll", call->name, id);
  return false;
}

bool call_function(struct call *call, int index, const char *what) {
  napi_valuetype type;
  if (napi_typeof(call->env, call->values[index], &type) == napi_ok && type == napi_function) {
    return true;
  }
  return throw_type(call->env, "%s: argument %d (%s) is not a function; pass one", call->name,
                    index, what);
}

napi_value js_poll(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t fd;
  if (!call_begin(&call, env, info, "poll", 2) || !call_integer(&call, 0, "fd", FD_MAX, &fd) ||
      !call_function(&call, 1, "callback")) {
    return NULL;
  }
  double id = poll_open(env, (int)fd, call.values[1], "poll");
  return id == 0 ? NULL : call_number(&call, id);
}

/*
 * What is wanted more is watched for at once. What is wanted no more is dropped when it comes,
 * once, and tells nobody: who stops reading often goes on before anything has come.
 */
napi_value js_watch(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  uint64_t wanted;
  (void)info;
  call_begin_hot(&call, env, "watch");
  if (!call_poll(&call, 0, &poll) ||
      !call_integer(&call, 1, "wanted", UV_READABLE | UV_WRITABLE, &wanted)) {
    return NULL;
  }
  poll->wanted = (int)wanted;
  if (!poll->calling && (poll->wanted & ~poll->watched) != 0) watch(poll);
  return NULL;
}

napi_value js_closePoll(napi_env env, napi_callback_info info) {
  struct call call;
  struct poll *poll;
  if (call_begin(&call, env, info, "closePoll", 1) && call_poll(&call, 0, &poll)) {
    poll_close(poll);
  }
  return NULL;
}
