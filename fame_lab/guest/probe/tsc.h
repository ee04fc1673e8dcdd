/* The time stamp counter and the clock, read so close together that a preemption in between does not count. */
#ifndef FAME_TSC_H
#define FAME_TSC_H

#include <stdint.h>

struct tsc_pair {
	uint64_t tsc, ns;
};

/* The closest together of several. */
struct tsc_pair tsc_pair(void);

/* How fast the counter ran from one pair to a later one. */
double tsc_khz(struct tsc_pair first, struct tsc_pair last);

#endif
