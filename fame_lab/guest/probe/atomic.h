/* The instructions that the probes mean, spelt out so that no compiler picks others. */
#ifndef FAME_ATOMIC_H
#define FAME_ATOMIC_H

#include <stdint.h>

static inline uint64_t load64(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}

static inline void store64(uint64_t *word, uint64_t value)
{
	*(volatile uint64_t *)word = value;
}

static inline uint32_t load32(const uint32_t *word)
{
	return *(const volatile uint32_t *)word;
}

static inline uint64_t fetch_add64(uint64_t *word, uint64_t value)
{
	__asm__ volatile("lock xaddq %0, %1" : "+r"(value), "+m"(*word) : : "memory", "cc");
	return value;
}

/* Stores `wanted` if the word holds `expected`; gives what it held, either way. */
static inline uint64_t compare_swap64(uint64_t *word, uint64_t expected, uint64_t wanted)
{
	__asm__ volatile("lock cmpxchgq %2, %1" : "+a"(expected), "+m"(*word) : "r"(wanted) : "memory", "cc");
	return expected;
}

static inline uint32_t fetch_add32(uint32_t *word, uint32_t value)
{
	__asm__ volatile("lock xaddl %0, %1" : "+r"(value), "+m"(*word) : : "memory", "cc");
	return value;
}

/* Stores `value` and gives what was there; xchg is locked without the prefix, and a full fence. */
static inline uint64_t exchange64(uint64_t *word, uint64_t value)
{
	__asm__ volatile("xchgq %0, %1" : "+r"(value), "+m"(*word) : : "memory");
	return value;
}

#endif
