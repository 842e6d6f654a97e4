#include "views.h"

#include "addon.h"
#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct view {
  struct memory *memory;
  /* The id of the memory: the entry may be another's when the finalizer comes. */
  uint64_t id;
  uint64_t offset;
  uint64_t length;
  /* Weak. NULL once detached. */
  napi_ref reference;
  /* Whether memory->stores counts it, and memory->loose. */
  bool counted;
  bool loose;
  struct view *previous;
  struct view *next;
};

static void link_view(struct memory *memory, struct view *view) {
  view->next = memory->views;
  if (view->next) view->next->previous = view;
  memory->views = view;
}

/* Forgets the ArrayBuffer; what remains waits for the engine to drop the backing store. */
static void unlink_view(napi_env env, struct view *view) {
  if (view->reference == NULL) return;
  napi_delete_reference(env, view->reference);
  view->reference = NULL;
  if (view->previous) {
    view->previous->next = view->next;
  } else {
    view->memory->views = view->next;
  }
  if (view->next) view->next->previous = view->previous;
}

/* Runs some time after the last ArrayBuffer over the backing store is gone. It never unmaps. */
static void finalize(napi_env env, void *data, void *hint) {
  (void)data;
  struct view *view = hint;
  unlink_view(env, view);
  if (view->counted) memory_drop_store(view->memory, view->id, view->loose);
  free(view);
}

/* ArrayBuffer.prototype.transfer; NULL where the engine has none (Node 20). */
static napi_value transfer_function(napi_env env) {
  napi_value value;
  napi_valuetype type;
  if (napi_get_global(env, &value) != napi_ok ||
      napi_get_named_property(env, value, "ArrayBuffer", &value) != napi_ok ||
      napi_get_named_property(env, value, "prototype", &value) != napi_ok ||
      napi_get_named_property(env, value, "transfer", &value) != napi_ok ||
      napi_typeof(env, value, &type) != napi_ok || type != napi_function) {
    return NULL;
  }
  return value;
}

/*
 * Detaches by moving no bytes at all to a new ArrayBuffer, where the engine can: somebody may have
 * called markAsUntransferable, which from Node 24 on sets a key. `transfer` then throws, and the
 * ArrayBuffer stays; napi_detach_arraybuffer would abort the process.
 */
static bool detach_buffer(napi_env env, napi_value transfer, napi_value buffer) {
  napi_value zero, moved;
  if (transfer == NULL || napi_create_uint32(env, 0, &zero) != napi_ok) {
    return napi_detach_arraybuffer(env, buffer) == napi_ok;
  }
  if (napi_call_function(env, buffer, transfer, 1, &zero, &moved) == napi_ok) return true;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) napi_get_and_clear_last_exception(env, &moved);
  return false;
}

/* No ArrayBuffer leads to its backing store any more, and none ever will. */
static void settle(struct view *view) {
  if (!view->loose) return;
  view->loose = false;
  view->memory->loose--;
}

/*
 * An ArrayBuffer that is detached already was moved by somebody, and one that was collected may
 * have been moved before, where the engine can: then another leads to the same bytes, which we do
 * not know.
 */
uint32_t views_detach(napi_env env, struct memory *memory, uint64_t offset, uint64_t length) {
  uint32_t count = 0;
  napi_value transfer = memory->views ? transfer_function(env) : NULL;
  for (struct view *view = memory->views, *next; view != NULL; view = next) {
    next = view->next;
    if (view->offset >= offset + length || offset >= view->offset + view->length) continue;
    napi_handle_scope scope;
    napi_value buffer = NULL;
    if (napi_open_handle_scope(env, &scope) != napi_ok) break;
    bool known = napi_get_reference_value(env, view->reference, &buffer) == napi_ok;
    if (known && buffer != NULL) {
      bool detached = false;
      napi_is_detached_arraybuffer(env, buffer, &detached);
      if (!detached && detach_buffer(env, transfer, buffer)) {
        settle(view);
        count++;
      }
    } else if (known && transfer == NULL) {
      settle(view);
    }
    unlink_view(env, view);
    napi_close_handle_scope(env, scope);
  }
  return count;
}

static napi_value refuse_view(napi_env env, const struct memory *memory, uint64_t offset,
                              uint64_t length) {
  /* Node 20 throws above 4 GiB: take its exception away, ours says what to do. */
  bool pending = false;
  napi_value exception;
  napi_is_exception_pending(env, &pending);
  if (pending) napi_get_and_clear_last_exception(env, &exception);
  return throw_errno(env, EFBIG, "view", "use windows: several views of at most 4 GiB",
                     "view of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of memory %" PRIu64
                     " is more than this engine allows in one ArrayBuffer",
                     length, offset, memory->id);
}

napi_value js_view(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  napi_value buffer = NULL;
  if (!call_begin(&call, env, info, "view", 3) ||
      !call_range(&call, 0, &memory, &offset, &length)) {
    return NULL;
  }
  if (length == 0) {
    /* It reaches nothing, so there is nothing to track. */
    napi_create_arraybuffer(env, 0, NULL, &buffer);
    return buffer;
  }
  struct view *view = calloc(1, sizeof *view);
  if (view == NULL) return throw_errno(env, ENOMEM, "calloc", NULL, "view");
  view->memory = memory;
  view->id = memory->id;
  view->offset = offset;
  view->length = length;
  /*
   * Made by way of node::Buffer, which marks it untransferable: postMessage and structuredClone
   * never move it. On failure the finalizer runs too, at once or later, and frees `view`: it is
   * gone here.
   */
  if (napi_create_external_arraybuffer(env, memory_base(memory) + offset, length, finalize, view,
                                       &buffer) != napi_ok) {
    return refuse_view(env, memory, offset, length);
  }
  view->counted = true;
  view->loose = true;
  memory->stores++;
  memory->loose++;
  if (napi_create_reference(env, buffer, 0, &view->reference) != napi_ok) {
    view->reference = NULL;
    napi_detach_arraybuffer(env, buffer);
    return throw_errno(env, ENOMEM, "view", NULL, "view of memory %" PRIu64, memory->id);
  }
  link_view(memory, view);
  return buffer;
}

napi_value js_detach(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  if (!call_begin(&call, env, info, "detach", 3) ||
      !call_range(&call, 0, &memory, &offset, &length)) {
    return NULL;
  }
  return call_number(&call, views_detach(env, memory, offset, length));
}

napi_value js_viewCount(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint32_t count = 0;
  if (!call_begin(&call, env, info, "viewCount", 1) || !call_memory(&call, 0, "memory", &memory)) {
    return NULL;
  }
  for (struct view *view = memory->views; view != NULL; view = view->next) {
    napi_value buffer = NULL;
    bool detached = true;
    napi_get_reference_value(env, view->reference, &buffer);
    if (buffer) napi_is_detached_arraybuffer(env, buffer, &detached);
    if (!detached) count++;
  }
  return call_number(&call, count);
}
