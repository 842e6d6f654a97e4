/*
 * ArrayBuffers over memories. Each is tracked by a weak reference, so that all that overlap a range
 * can be detached before the range changes its meaning or goes away.
 */
#ifndef HOLDFAST_VIEWS_H
#define HOLDFAST_VIEWS_H

#include "memory.h"

/* Detaches every view that overlaps [offset, offset + length). Returns how many. */
uint32_t views_detach(napi_env env, struct memory *memory, uint64_t offset, uint64_t length);

#endif
