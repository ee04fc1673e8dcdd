/* Ranks of which a few are had often and most seldom: rank k, from 1 to n, as often as k to the -theta. */
#ifndef FAME_ZIPF_H
#define FAME_ZIPF_H

#include <stdint.h>

struct zipf {
	double theta, n;
	double low, high; /* what the inversion begins with */
	double surely;    /* so near to a rank, it is had without asking */
	uint64_t step;    /* ranks are scattered by steps of it */
};

/* theta 0 makes all ranks alike; n is at least 1 and at most 2^32. */
struct zipf zipf_open(uint64_t n, double theta);

/* A rank, from 0 to n - 1, 0 the most frequent. It takes as many random numbers as it needs. */
uint64_t zipf_next(const struct zipf *zipf, uint64_t *random);

/* Where that rank lies, from 0 to n - 1, each in a place of its own: those had often, far from each other. */
static inline uint64_t zipf_scattered(const struct zipf *zipf, uint64_t rank)
{
	return rank * zipf->step % (uint64_t)zipf->n;
}

#endif
