/* Words of FAM that are spread over homes and used as one array, every access counted by home.
 *
 * The array is cut into stripes, a power of two of bytes, which go round the homes in turn. A home's books
 * lie at equal distances in FAM, from its first on; its stripes fill them in order. They are mapped one
 * after the other, so that the hardware finds a word and this program need not.
 * Every access is counted: by the functions here as they make it, or by whoever makes many, through
 * spread_loaded() and spread_stored(), so that counting is not what is timed. */
#ifndef FAME_SPREAD_H
#define FAME_SPREAD_H

#include "args.h"
#include "atomic.h"
#include "fam.h"

#include <stdint.h>

/* Where the books of one home lie: bytes of a book, and how many books it is from one to the next. */
struct books {
	uint64_t size, every;
};

struct spread {
	/* asked for: */
	struct list shape; /* bytes of the array, bytes of a home that are left out before it, bytes of a stripe */
	struct list homes; /* where in FAM the first book of each begins */
	/* found: */
	uint64_t *at;
	uint64_t words; /* 0: none was asked for */
	uint64_t offset; /* of the first word, in FAM */
	uint64_t stripe_words;
	unsigned stripe_shift;
	uint8_t *home_of; /* of each stripe: its place in the list of homes */
	uint64_t loads[LIST_MAX], stores[LIST_MAX];
};

#define BOOKS_OPTIONS(books) \
	{ "--book", U64, &(books).size, true, false }, \
	{ "--every", U64, &(books).every, true, false }
/* WHICH is "private" or "shared". */
#define SPREAD_OPTIONS(spread, WHICH) \
	{ "--" WHICH, U64_LIST, &(spread).shape, false, false }, \
	{ "--" WHICH "-homes", U64_LIST, &(spread).homes, false, false }

/* Checks what was asked for and maps it. */
void spread_open(struct spread *spread, const struct books *books, const struct fam *fam);

/* Loads one word of each page, and tells how many there are. */
uint64_t spread_touch(struct spread *spread);

/* All accesses so far. */
uint64_t spread_accesses(const struct spread *spread);

/* The members of a JSON object that tell the accesses by home. */
void spread_print(const struct spread *spread, const char *which);

static inline unsigned spread_home(const struct spread *spread, uint64_t index)
{
	return spread->home_of[index >> spread->stripe_shift];
}

static inline uint64_t spread_load(struct spread *spread, uint64_t index)
{
	spread->loads[spread_home(spread, index)]++;
	return load64(spread->at + index);
}

static inline void spread_store(struct spread *spread, uint64_t index, uint64_t value)
{
	spread->stores[spread_home(spread, index)]++;
	store64(spread->at + index, value);
}

/* An atomic, a failed one too, is a load and a store. */
static inline uint64_t spread_add(struct spread *spread, uint64_t index, uint64_t value)
{
	unsigned home = spread_home(spread, index);
	spread->loads[home]++;
	spread->stores[home]++;
	return fetch_add64(spread->at + index, value);
}

static inline uint64_t spread_swap(struct spread *spread, uint64_t index, uint64_t expected, uint64_t wanted)
{
	unsigned home = spread_home(spread, index);
	spread->loads[home]++;
	spread->stores[home]++;
	return compare_swap64(spread->at + index, expected, wanted);
}

/* How many words from index on lie in one stripe, `most` at most. */
static inline uint64_t spread_piece(const struct spread *spread, uint64_t index, uint64_t most)
{
	uint64_t left = spread->stripe_words - (index & (spread->stripe_words - 1));
	return left < most ? left : most;
}

/* Counts accesses to words of the stripe that has this one. */
static inline void spread_loaded(struct spread *spread, uint64_t index, uint64_t loads)
{
	spread->loads[spread_home(spread, index)] += loads;
}

static inline void spread_stored(struct spread *spread, uint64_t index, uint64_t stores)
{
	spread->stores[spread_home(spread, index)] += stores;
}

#endif
