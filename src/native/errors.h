/*
 * How the addon fails: every error is a JavaScript Error with `code`, `errno` and `syscall`, or a
 * RangeError with code ERR_OUT_OF_RANGE for a number that does not fit. The message names the
 * thing, the place and the remedy.
 */
#ifndef HOLDFAST_ERRORS_H
#define HOLDFAST_ERRORS_H

#include <node_api.h>
#include <stdbool.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define COLD __attribute__((cold, noinline))

/* The name of an errno: "EINVAL". */
const char *error_name(int error);

/*
 * Builds "<what>: <strerror> (<code>); <remedy>". A NULL remedy takes the usual one of that errno.
 * Returns NULL when the engine itself fails (an exception is then pending).
 */
COLD napi_value error_make(napi_env env, int error, const char *syscall, const char *remedy,
                           const char *what);

/* Throws what error_make builds. Always returns NULL, so that callers can return it. */
COLD napi_value throw_errno(napi_env env, int error, const char *syscall, const char *remedy,
                            const char *format, ...) PRINTF_LIKE(5, 6);

/* Throws a RangeError with code ERR_OUT_OF_RANGE. Always returns false. */
COLD bool throw_range(napi_env env, const char *format, ...) PRINTF_LIKE(2, 3);

/* Throws a TypeError with code ERR_INVALID_ARG_TYPE. Always returns false. */
COLD bool throw_type(napi_env env, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
