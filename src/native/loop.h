/*
 * What the addon takes of libuv. The headers of Node-API leave it out, so that it is declared here:
 * opaque handles, whose sizes libuv tells, and the functions that the program exports since
 * libuv 1.19. The numbers of the kinds of handles are found by their names.
 */
#ifndef HOLDFAST_LOOP_H
#define HOLDFAST_LOOP_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct uv_loop_s uv_loop_t;
/* Of any kind; those of libuv begin with the same members, and are cast. */
typedef struct uv_handle_s uv_handle_t;

enum { UV_READABLE = 1, UV_WRITABLE = 2 };

size_t uv_handle_size(int type);
const char *uv_handle_type_name(int type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, void (*closed)(uv_handle_t *handle));
int uv_async_init(uv_loop_t *loop, uv_handle_t *handle, void (*woken)(uv_handle_t *handle));
int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
int uv_poll_start(uv_handle_t *handle, int events,
                  void (*ready)(uv_handle_t *handle, int status, int events));
int uv_poll_stop(uv_handle_t *handle);

#endif
