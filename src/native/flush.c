#include "flush.h"

#include "addon.h"
#include "args.h"

napi_value js_flush(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  (void)info;
  call_begin_hot(&call, env, "flush");
  if (!call_range(&call, 0, &memory, &offset, &length)) {
    return NULL;
  }
  return call_result(&call, (double)flush_run(memory_base(memory) + offset, length));
}

napi_value js_evict(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length;
  (void)info;
  call_begin_hot(&call, env, "evict");
  if (!call_range(&call, 0, &memory, &offset, &length)) {
    return NULL;
  }
  evict_run(memory_base(memory) + offset, length);
  return NULL;
}

napi_value js_fence(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  flush_fence();
  return NULL;
}
