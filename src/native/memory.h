/*
 * The table of memories.
 *
 * Invariants:
 *  - an id is the slot of an entry, counted from 1, and how often the entry was in use before; it
 *    is never given out twice in a process: a stale id finds a dead entry or another id, never a
 *    stranger's memory;
 *  - an entry never moves and is never freed, so that finalizers and the fault handler may keep
 *    pointers to it; it is used again when the addresses of its memory are given back. A finalizer
 *    that comes later knows by the id that the entry is another's;
 *  - addresses are given back only when no ArrayBuffer leads to them;
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
  MEMORY_SLOT_BITS = 24,
  MEMORY_SLOT_MASK = (1 << MEMORY_SLOT_BITS) - 1,
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
  /* Slot, and above MEMORY_SLOT_BITS the uses before this one. */
  _Atomic(uint64_t) id;
  /* What was mapped last into it, and worked. */
  int mapped_fd;
  int mapped_flags;
  int mapped_protection;
  /* msync calls that run on other threads. */
  uint32_t syncs;
  /* Backing stores of ArrayBuffers that the engine has not let go of, detached or not. */
  uint32_t stores;
  /* Those of them that an ArrayBuffer may still lead to: we did not detach it. */
  uint32_t loose;
  struct view *views;
  /* After unmap: addresses that are not given back yet. */
  uint8_t *retired;
  /* In the list of retired entries, or of those to be used again. */
  struct memory *next;
};

extern struct memory *memory_chunks[MEMORY_CHUNKS_MAX];
/* One past the greatest slot. */
extern _Atomic(uint64_t) memory_end;
extern size_t memory_page_size;

/* The live memory of that id, or NULL. */
static inline struct memory *memory_find(napi_env env, uint64_t id) {
  uint64_t slot = id & MEMORY_SLOT_MASK;
  if (slot == 0 || slot >= atomic_load_explicit(&memory_end, memory_order_acquire)) return NULL;
  struct memory *memory =
      &memory_chunks[slot >> MEMORY_CHUNK_SHIFT][slot & (MEMORY_CHUNK - 1)];
  if (atomic_load_explicit(&memory->base, memory_order_relaxed) == NULL) return NULL;
  if (atomic_load_explicit(&memory->id, memory_order_relaxed) != id) return NULL;
  return memory->env == env ? memory : NULL;
}

static inline uint8_t *memory_base(const struct memory *memory) {
  return atomic_load_explicit(&((struct memory *)memory)->base, memory_order_relaxed);
}

/*
 * The engine has let go of a backing store over the memory that had this id; `loose` says that it
 * was counted as such.
 */
void memory_drop_store(struct memory *memory, uint64_t id, bool loose);

/* Puts private anonymous pages over a page-aligned run. Async-signal-safe. 0 or an errno. */
int memory_overlay(uint8_t *start, size_t length);

/* Once a process and once an environment, when the addon is loaded. */
bool memory_start(napi_env env);

#endif
