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

#else

static inline void flush_line(const uint8_t *line) {
  if (cpu.flush == FLUSH_CVAP) {
    /* dc cvap, spelled so that an assembler for plain ARMv8.0 takes it. */
    __asm__ volatile("sys #3, c7, c12, #1, %0" ::"r"(line) : "memory");
  } else {
    __asm__ volatile("dc cvac, %0" ::"r"(line) : "memory");
  }
}

/* The full system, not the inner domain alone: the medium is outside of it. */
static inline void flush_fence(void) { __asm__ volatile("dsb sy" ::: "memory"); }

#endif

/* Writes back every line that touches [start, start + length); returns how many. No fence. */
static inline uint64_t flush_run(const uint8_t *start, size_t length) {
  if (length == 0) return 0;
  const uint8_t *line = (const uint8_t *)((uintptr_t)start & ~(uintptr_t)(LINE_BYTES - 1));
  const uint8_t *end = start + length;
  uint64_t count = 0;
  for (; line < end; line += LINE_BYTES, count++) flush_line(line);
  return count;
}

#endif
