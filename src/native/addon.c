/* Registration: what `require` of the addon returns. */
#include "addon.h"

#include "args.h"
#include "cpu.h"
#include "crc32c.h"
#include "guard.h"
#include "memory.h"
#include "poll.h"

#include <pthread.h>

static bool started;

static void start_process(void) {
  cpu_start();
  crc32c_start();
  guard_start();
  started = poll_start();
}

static bool set_text(napi_env env, napi_value object, const char *key, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, object, key, value) == napi_ok;
}

static bool add_cpu(napi_env env, napi_value exports) {
  napi_value features;
  return napi_create_object(env, &features) == napi_ok &&
         set_text(env, features, "flush", cpu_flush_name()) &&
         set_text(env, features, "crc32c", crc32c_name()) &&
         set_text(env, features, "stream", cpu_stream_name()) &&
         napi_set_named_property(env, exports, "cpu", features) == napi_ok;
}

static bool add_fault_counter(napi_env env, napi_value exports) {
  napi_value buffer, counter;
  return napi_create_external_arraybuffer(env, (void *)&guard_count, sizeof guard_count, NULL,
                                          NULL, &buffer) == napi_ok &&
         napi_create_typedarray(env, napi_int32_array, 1, buffer, 0, &counter) == napi_ok &&
         napi_set_named_property(env, exports, "faultCounter", counter) == napi_ok;
}

static bool add_registers(napi_env env, napi_value hot) {
  napi_value buffer, registers;
  return napi_create_external_arraybuffer(env, call_registers, sizeof call_registers, NULL, NULL,
                                          &buffer) == napi_ok &&
         napi_create_typedarray(env, napi_float64_array, ARGUMENTS_MAX, buffer, 0, &registers) ==
             napi_ok &&
         napi_set_named_property(env, hot, "registers", registers) == napi_ok;
}

static const napi_property_descriptor methods[] = {
#define X(name) {#name, NULL, js_##name, NULL, NULL, NULL, napi_enumerable, NULL},
    METHODS(X)
#undef X
};

static const napi_property_descriptor hot_methods[] = {
#define X(name) {#name, NULL, js_##name, NULL, NULL, NULL, napi_enumerable, NULL},
    HOT_METHODS(X)
#undef X
};

static bool add_hot(napi_env env, napi_value exports) {
  napi_value hot;
  return napi_create_object(env, &hot) == napi_ok && add_registers(env, hot) &&
         napi_define_properties(env, hot, sizeof hot_methods / sizeof hot_methods[0],
                                hot_methods) == napi_ok &&
         napi_set_named_property(env, exports, "hot", hot) == napi_ok;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start_process);
  if (!started || !memory_start(env) || !add_cpu(env, exports) ||
      !add_fault_counter(env, exports) || !add_hot(env, exports) ||
      napi_define_properties(env, exports, sizeof methods / sizeof methods[0], methods) !=
          napi_ok) {
    napi_throw_error(env, "ERR_HOLDFAST_ADDON", "the native addon could not register itself");
    return NULL;
  }
  return exports;
}
