/* Each body is one piece of assembly, so that no compiler orders or merges what the test is about. Names
 * are those of the literature: SB store buffering, MP message passing, LB load buffering, IRIW independent
 * reads of independent writes. */
#include "litmus_tests.h"

#include "atomic.h"

#include <emmintrin.h>
#include <string.h>

enum { ALIEN = 255 };

/* Eight bytes across the border of two lines. */
enum { SPLIT = 60 };

#define X (*(uint64_t *)cell)
#define Y (*(uint64_t *)(cell + VARIABLE))

static unsigned one(uint64_t first)
{
	return first > 1 ? ALIEN : (unsigned)first;
}

static unsigned two(uint64_t first, uint64_t second)
{
	return first > 1 || second > 1 ? ALIEN : (unsigned)(2 * first + second);
}

/* 0: as it was; 1: as it was stored, all ones; 2: some of each. */
static unsigned torn(uint64_t some, uint64_t others)
{
	return some == 0 && others == 0 ? 0 : some == UINT64_MAX && others == UINT64_MAX ? 1 : 2;
}

#define STORE_THEN_LOAD(NAME, STORED, FENCE, LOADED) \
	static unsigned NAME(char *cell) \
	{ \
		uint64_t seen; \
		__asm__ volatile("movq $1, %1\n\t" FENCE "movq %2, %0" \
				 : "=&r"(seen), "=m"(STORED) : "m"(LOADED) : "memory"); \
		return one(seen); \
	}

#define LOAD_THEN_STORE(NAME, LOADED, STORED) \
	static unsigned NAME(char *cell) \
	{ \
		uint64_t seen; \
		__asm__ volatile("movq %2, %0\n\tmovq $1, %1" \
				 : "=&r"(seen), "=m"(STORED) : "m"(LOADED) : "memory"); \
		return one(seen); \
	}

#define LOAD_BOTH(NAME, FIRST, SECOND) \
	static unsigned NAME(char *cell) \
	{ \
		uint64_t first, second; \
		__asm__ volatile("movq %2, %0\n\tmovq %3, %1" \
				 : "=&r"(first), "=&r"(second) : "m"(FIRST), "m"(SECOND) : "memory"); \
		return two(first, second); \
	}

#define STORE_ONE(NAME, STORED) \
	static unsigned NAME(char *cell) \
	{ \
		__asm__ volatile("movq $1, %0" : "=m"(STORED) : : "memory"); \
		return 0; \
	}

STORE_THEN_LOAD(store_x_load_y, X, "", Y)
STORE_THEN_LOAD(store_y_load_x, Y, "", X)
STORE_THEN_LOAD(store_x_fence_load_y, X, "mfence\n\t", Y)
STORE_THEN_LOAD(store_y_fence_load_x, Y, "mfence\n\t", X)
LOAD_THEN_STORE(load_x_store_y, X, Y)
LOAD_THEN_STORE(load_y_store_x, Y, X)
LOAD_BOTH(load_x_load_y, X, Y)
LOAD_BOTH(load_y_load_x, Y, X)
STORE_ONE(store_x, X)
STORE_ONE(store_y, Y)

static unsigned store_x_store_y(char *cell)
{
	__asm__ volatile("movq $1, %0\n\tmovq $1, %1" : "=m"(X), "=m"(Y) : : "memory");
	return 0;
}

static unsigned store_8(char *cell)
{
	__asm__ volatile("movq $-1, %0" : "=m"(X) : : "memory");
	return 0;
}

static unsigned load_8(char *cell)
{
	uint64_t seen;
	__asm__ volatile("movq %1, %0" : "=r"(seen) : "m"(X) : "memory");
	return torn(seen, seen);
}

static unsigned store_split(char *cell)
{
	return store_8(cell + SPLIT);
}

static unsigned load_split(char *cell)
{
	return load_8(cell + SPLIT);
}

static unsigned store_16(char *cell)
{
	__asm__ volatile("movdqa %1, %0" : "=m"(*(__m128i *)cell) : "x"(_mm_set1_epi64x(-1)) : "memory");
	return 0;
}

static unsigned load_16(char *cell)
{
	__m128i seen;
	uint64_t halves[2];
	__asm__ volatile("movdqa %1, %0" : "=x"(seen) : "m"(*(__m128i *)cell) : "memory");
	_mm_storeu_si128((__m128i *)halves, seen);
	return torn(halves[0], halves[1]);
}

static const struct litmus_test tests[] = {
	{ "SB", 2, { { store_x_load_y, 2 }, { store_y_load_x, 2 } } },
	{ "SB+mfences", 2, { { store_x_fence_load_y, 2 }, { store_y_fence_load_x, 2 } } },
	{ "MP", 2, { { store_x_store_y, 1 }, { load_y_load_x, 4 } } },
	{ "LB", 2, { { load_x_store_y, 2 }, { load_y_store_x, 2 } } },
	{ "IRIW", 4, { { store_x, 1 }, { store_y, 1 }, { load_x_load_y, 4 }, { load_y_load_x, 4 } } },
	{ "torn-8", 2, { { store_8, 1 }, { load_8, 3 } } },
	{ "torn-16", 2, { { store_16, 1 }, { load_16, 3 } } },
	{ "torn-8-split", 2, { { store_split, 1 }, { load_split, 3 } } },
};

const struct litmus_test *litmus_find(const char *name)
{
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (strcmp(tests[i].name, name) == 0)
			return &tests[i];
	return NULL;
}

void litmus_clear(char *cell)
{
	static const unsigned at[] = { 0, 8, 56, 64, VARIABLE };
	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		store64((uint64_t *)(cell + at[i]), 0);
}

unsigned litmus_outcomes(const struct litmus_test *test)
{
	unsigned outcomes = 1;
	for (unsigned role = 0; role < test->roles; role++)
		outcomes *= test->role[role].results;
	return outcomes;
}
