/*
 * Polls: descriptors whose readiness the event loop watches.
 *
 * Invariants:
 *  - a poll owns its descriptor: it is closed with the poll, and with the environment;
 *  - an id is a slot of the environment's table, counted from 1, and how often the slot was in use
 *    before: a stale id finds nothing, never a stranger's descriptor;
 *  - only the environment (main thread or worker) that made a poll finds it;
 *  - an open poll keeps the event loop alive, whatever it watches for;
 *  - libuv has a handle until the closing phase of a turn, so that a poll that is closed while it
 *    is called lives on until the call is over.
 */
#ifndef HOLDFAST_POLL_H
#define HOLDFAST_POLL_H

#include "args.h"

struct poll;

/* Once a process; false where libuv has no such handles. */
bool poll_start(void);

/*
 * A poll of `fd`, which watches for nothing yet. Returns its id; 0 after it threw, and the
 * descriptor is the caller's still.
 */
double poll_open(napi_env env, int fd, napi_value callback, const char *what);
/* The same of a call, as its result; the descriptor is closed where it threw. */
napi_value poll_owning(struct call *call, int fd, napi_value callback);
void poll_close(struct poll *poll);
int poll_fd(const struct poll *poll);

/* The argument as a poll; throws when it is none, or closed. */
bool call_poll(struct call *call, int index, struct poll **out);
/* Whether an argument can be called back; throws when it cannot. */
bool call_function(struct call *call, int index, const char *what);

#endif
