/*
 * Pieces of address space that are set aside.
 *
 * The kernel gives a process so many mappings (vm.max_map_count) and then no new one, even where it
 * would replace others. Addresses must be cut off from a file all the same: a few are kept for it.
 */
#ifndef HOLDFAST_SPARES_H
#define HOLDFAST_SPARES_H

#include <stdbool.h>

/* Sets them aside, once a process. */
void spares_start(void);

/* Gives some to the next mmap; false when none is left. Async-signal-safe. */
bool spares_spend(void);

/* Sets aside again what was spent, as far as the kernel lets it. */
void spares_refill(void);

#endif
