/*
 * The guard against faults in memories. A file that shrinks under its mapping, a medium that
 * returns poison, a page that was never mapped: each would kill the process. The guard puts a zero
 * page there, counts and records the fault, and lets the access go on; whoever read must look at
 * the counter before it believes what it read.
 */
#ifndef HOLDFAST_GUARD_H
#define HOLDFAST_GUARD_H

#include <stdatomic.h>
#include <stdint.h>

/* Faults in any memory since the process began. JavaScript reads it in place. */
extern _Atomic(int32_t) guard_count;

void guard_start(void);

#endif
