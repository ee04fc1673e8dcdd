/* Numbers that a seed decides, the same on every node. */
#ifndef FAME_RANDOM_H
#define FAME_RANDOM_H

#include <stdint.h>

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014); the state is the seed, and any will do. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* From 0 to limit - 1: the high half of the product. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)random_next(state) * limit) >> 64);
}

#endif
