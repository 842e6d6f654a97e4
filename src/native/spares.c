#define _GNU_SOURCE
#include "spares.h"

#include "memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { SPARES = 16 };

/*
 * Page 2 i + 1 can be read and its neighbours cannot, so each page is a mapping of its own; made
 * like them it is one with both, and the process has two mappings fewer. No address is given back,
 * so that nobody else's mapping can come between.
 */
static uint8_t *run;
static _Atomic(bool) there[SPARES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint8_t *page_of(size_t i) {
  return run + (2 * i + 1) * memory_page_size;
}

static void reserve_run(void) {
  void *start = mmap(NULL, (2 * SPARES + 1) * memory_page_size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return;
  run = start;
  spares_refill();
}

void spares_start(void) {
  pthread_once(&once, reserve_run);
}

bool spares_spend(void) {
  for (size_t i = 0; i < SPARES; i++) {
    if (atomic_exchange(&there[i], false) &&
        mprotect(page_of(i), memory_page_size, PROT_NONE) == 0) {
      return true;
    }
  }
  return false;
}

/* Another thread that spends meanwhile may undo what is noted here: then that one helps nobody. */
void spares_refill(void) {
  if (run == NULL) return;
  for (size_t i = 0; i < SPARES; i++) {
    if (atomic_load(&there[i])) continue;
    if (mprotect(page_of(i), memory_page_size, PROT_READ) != 0) return;
    atomic_store(&there[i], true);
  }
}
