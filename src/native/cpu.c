#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
/* From the kernel's asm/hwcap.h, which old C libraries have only in part. */
#define HAS_PMULL (1UL << 4)
#define HAS_CRC32 (1UL << 7)
#define HAS_DCPOP (1UL << 16)
#else
#error "Holdfast runs on x86-64 and arm64"
#endif

struct cpu cpu;

#if defined(__x86_64__)

void cpu_start(void) {
  unsigned a, b, c, d;
  cpu.flush = FLUSH_CLFLUSH;
  if (__get_cpuid(1, &a, &b, &c, &d)) {
    cpu.clmul = c >> 1 & 1;
    cpu.crc32c = (c >> 20 & 1) && cpu.clmul;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    if (b >> 23 & 1) cpu.flush = FLUSH_CLFLUSHOPT;
    if (b >> 24 & 1) cpu.flush = FLUSH_CLWB;
  }
  /* The builtin also asks whether the kernel saves the wide registers. */
  cpu.avx2 = __builtin_cpu_supports("avx2");
}

const char *cpu_stream_name(void) { return "non-temporal"; }

#else

void cpu_start(void) {
  unsigned long capabilities = getauxval(AT_HWCAP);
  cpu.crc32c = capabilities & HAS_CRC32;
  cpu.clmul = capabilities & HAS_PMULL;
  cpu.flush = capabilities & HAS_DCPOP ? FLUSH_CVAP : FLUSH_CVAC;
}

const char *cpu_stream_name(void) { return "cached"; }

#endif

const char *cpu_flush_name(void) {
  switch (cpu.flush) {
  case FLUSH_CLFLUSH:
    return "clflush";
  case FLUSH_CLFLUSHOPT:
    return "clflushopt";
  case FLUSH_CLWB:
    return "clwb";
  case FLUSH_CVAC:
    return "dc cvac";
  case FLUSH_CVAP:
    return "dc cvap";
  }
  return "none";
}
