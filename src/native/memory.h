/*
 * The table of memories.
 *
 * Invariants:
 *  - an id is the index of an entry, counted from 1, and is never used twice in a process: a stale
 *    id finds a dead entry, never a stranger's memory;
 *  - an entry never moves and is never freed, so that finalizers and the fault handler may keep
 *    pointers to it;
 *  - only the JavaScript environment (main thread or worker) that made a memory may use it, so that
 *    nothing here but creation, death and the fault handler has to think of other threads;
 *  - [base, base + span) belongs to the addon from `reserve` until munmap, without a hole: whatever
 *    happens to be mapped there, no other mapping of the process can be.
 */
#ifndef HOLDFAST_MEMORY_H
#define HOLDFAST_MEMORY_H

#include <node_api.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MEMORY_CHUNK_SHIFT = 8,
  MEMORY_CHUNK = 1 << MEMORY_CHUNK_SHIFT,
  MEMORY_CHUNKS_MAX = 1 << 16,
};

struct view;

struct memory {
  /* NULL when dead. The fault handler reads it from any thread. */
  _Atomic(uint8_t *) base;
  /* Bytes asked for: what offsets are checked against. */
  uint64_t length;
  /* `length` rounded up to whole pages: what is mapped. */
  uint64_t span;
  napi_env env;
  uint32_t id;
  /* msync calls that run on other threads. */
  uint32_t syncs;
  /* Backing stores of ArrayBuffers that the engine has not let go of, detached or not. */
  uint32_t stores;
  struct view *views;
  /* After unmap: addresses that wait for the last backing store to go. */
  uint8_t *retired;
  struct memory *retired_next;
};

extern struct memory *memory_chunks[MEMORY_CHUNKS_MAX];
/* One past the greatest id. */
extern _Atomic(uint64_t) memory_end;
extern size_t memory_page_size;

/* The live memory of that id, or NULL. */
static inline struct memory *memory_find(napi_env env, uint64_t id) {
  if (id == 0 || id >= atomic_load_explicit(&memory_end, memory_order_acquire)) return NULL;
  struct memory *memory =
      &memory_chunks[id >> MEMORY_CHUNK_SHIFT][id & (MEMORY_CHUNK - 1)];
  if (atomic_load_explicit(&memory->base, memory_order_relaxed) == NULL) return NULL;
  return memory->env == env ? memory : NULL;
}

static inline uint8_t *memory_base(const struct memory *memory) {
  return atomic_load_explicit(&((struct memory *)memory)->base, memory_order_relaxed);
}

/* Puts private anonymous pages over a page-aligned run. Async-signal-safe. 0 or an errno. */
int memory_overlay(uint8_t *start, size_t length);

/* Once a process and once an environment, when the addon is loaded. */
bool memory_start(napi_env env);

#endif
