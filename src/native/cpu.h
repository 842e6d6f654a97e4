/* What this processor can do, asked once. */
#ifndef HOLDFAST_CPU_H
#define HOLDFAST_CPU_H

#include <stdbool.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Holdfast's media are little-endian, and so must be the machine"
#endif

enum cpu_flush { FLUSH_CLFLUSH, FLUSH_CLFLUSHOPT, FLUSH_CLWB, FLUSH_CVAC, FLUSH_CVAP };

struct cpu {
  enum cpu_flush flush;
  /* Both of the instructions that the fast crc32c needs; the second may be missing on arm64. */
  bool crc32c;
  bool clmul;
  bool avx2;
};

extern struct cpu cpu;

void cpu_start(void);
const char *cpu_flush_name(void);
const char *cpu_stream_name(void);

#endif
