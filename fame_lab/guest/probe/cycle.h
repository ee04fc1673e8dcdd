/* A cycle of pointers through a working set: each load's address comes from the load before. */
#ifndef FAME_CYCLE_H
#define FAME_CYCLE_H

#include "batches.h"
#include "region.h"

#include <stdint.h>

/* No divisor in common with the lines of a page, or each instruction would always load the line that is the
 * same in the order of its page, which is something to learn for a host's prefetchers. */
enum { LOADS_A_ROUND = 125 };

struct cycle {
	struct region region;
	uint64_t stride, lines;
	void *at; /* where the next walk begins */
};

/* Ends the program if there is no such order or stride. */
void cycle_check(const char *order, uint64_t stride);

/* One cycle through a line every stride bytes of the region, and proof that it is one, which warms it. */
struct cycle cycle_make(struct region region, const char *order, uint64_t stride, uint64_t seed);

/* Walks it once, and ends the program unless it is whole: FAM is everyone's. */
void cycle_verify(const struct cycle *cycle);

/* A batch's work, with a cycle as its context. */
TIMED_LOOP void cycle_walk(void *cycle, uint64_t rounds);

#endif
