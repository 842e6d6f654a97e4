/*
 * Writing cache lines back, and the fence that waits for them. A line is 64 bytes everywhere: where
 * the hardware's is longer the same one is written back twice, which costs but does not harm.
 */
#ifndef HOLDFAST_FLUSH_H
#define HOLDFAST_FLUSH_H

#include "cpu.h"

#include <stddef.h>
#include <stdint.h>

enum { LINE_BYTES = 64 };

#if defined(__x86_64__)

#define FLUSH_LINE(instruction, line)                                                             \
  __asm__ volatile(instruction " %0" : "+m"(*(volatile char *)(uintptr_t)(line)))

static inline void flush_line(const uint8_t *line) {
  if (cpu.flush == FLUSH_CLWB) {
    FLUSH_LINE("clwb", line);
  } else if (cpu.flush == FLUSH_CLFLUSHOPT) {
    FLUSH_LINE("clflushopt", line);
  } else {
    FLUSH_LINE("clflush", line);
  }
}

static inline void flush_fence(void) { __asm__ volatile("sfence" ::: "memory"); }

/* Writes a line back and drops it, whatever way is best to write one back alone. */
static inline void evict_line(const uint8_t *line) {
  if (cpu.flush == FLUSH_CLFLUSH) {
    FLUSH_LINE("clflush", line);
  } else {
    FLUSH_LINE("clflushopt", line);
  }
}

/* No load that comes later is made before the lines are gone: sfence orders stores alone. */
static inline void evict_fence(void) { __asm__ volatile("mfence; lfence" ::: "memory"); }

#else

static inline void flush_line(const uint8_t *line) {
  if (cpu.flush == FLUSH_CVAP) {
    /* dc cvap, spelled so that an assembler for plain ARMv8.0 takes it. */
    __asm__ volatile("sys #3, c7, c12, #1, %0" ::"r"(line) : "memory");
  } else {
    __asm__ volatile("dc cvac, %0" ::"r"(line) : "memory");
  }
}

static inline void evict_line(const uint8_t *line) {
  __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
}

/* The full system, not the inner domain alone: the medium is outside of it. */
static inline void flush_fence(void) { __asm__ volatile("dsb sy" ::: "memory"); }

static inline void evict_fence(void) { __asm__ volatile("dsb sy; isb" ::: "memory"); }

#endif

static inline const uint8_t *first_line(const uint8_t *start) {
  return (const uint8_t *)((uintptr_t)start & ~(uintptr_t)(LINE_BYTES - 1));
}

/* Writes back every line that touches [start, start + length); returns how many. No fence. */
static inline uint64_t flush_run(const uint8_t *start, size_t length) {
  if (length == 0) return 0;
  const uint8_t *end = start + length;
  uint64_t count = 0;
  for (const uint8_t *line = first_line(start); line < end; line += LINE_BYTES, count++) {
    flush_line(line);
  }
  return count;
}

/* Writes them back and drops them; what is loaded afterwards comes from the memory. */
static inline void evict_run(const uint8_t *start, size_t length) {
  if (length == 0) return;
  const uint8_t *end = start + length;
  /* Loads before it are done: none of them brings a line back that is gone. */
  evict_fence();
  for (const uint8_t *line = first_line(start); line < end; line += LINE_BYTES) evict_line(line);
  evict_fence();
}

#endif
