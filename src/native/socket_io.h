/* What the calls that move bytes through sockets share. */
#ifndef HOLDFAST_SOCKET_IO_H
#define HOLDFAST_SOCKET_IO_H

#include "poll.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Parts of one call: 16 KiB of stack. */
enum { PARTS_MAX = 1024 };

bool would_wait(int error);
/* `count` parts of an array, three elements each (base/byte_stream.ts), and their bytes. */
bool call_parts(struct call *call, napi_value array, uint64_t count, struct iovec *parts,
                uint64_t *total);
/* A number that is what was received: 0 when nothing is there now, -1 at the peer's end. */
bool receive_result(struct call *call, const struct poll *poll, ssize_t got, uint64_t length,
                    double *result);

#endif
