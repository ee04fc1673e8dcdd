#include "spread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGE_WORDS = PAGE / sizeof(uint64_t) };

static bool power_of_two(uint64_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

static void check(const struct spread *spread, const struct books *books)
{
	uint64_t size = spread->shape.at[0], start = spread->shape.at[1], stripe = spread->shape.at[2];
	if (spread->shape.count != 3 || spread->homes.count == 0)
		usage_error("memory is spread by SIZE,START,STRIPE and a list of homes");
	if (size == 0 || size % sizeof(uint64_t) != 0 || size > UINT64_C(1) << 50)
		usage_error("%" PRIu64 " bytes cannot be spread: the size is a multiple of 8, above 0", size);
	if (!power_of_two(books->size) || books->size < PAGE || books->every == 0)
		usage_error("books of %" PRIu64 " bytes, every %" PRIu64 ": a power of two from %d, every 1 or more",
			    books->size, books->every, PAGE);
	if (!power_of_two(stripe) || stripe < PAGE || stripe > books->size || start % stripe != 0)
		usage_error("a stripe of %" PRIu64 " bytes from %" PRIu64 " on: a power of two from %d to a book, from a "
			    "multiple of it on", stripe, start, PAGE);
}

/* Where in FAM a stripe is. */
static uint64_t stripe_offset(const struct spread *spread, const struct books *books, uint64_t stripe)
{
	uint64_t home = stripe % spread->homes.count;
	uint64_t into = spread->shape.at[1] + stripe / spread->homes.count * spread->shape.at[2];
	return spread->homes.at[home] + into / books->size * books->every * books->size + into % books->size;
}

static void map_stripes(struct spread *spread, const struct books *books, const struct fam *fam, uint64_t stripes)
{
	uint64_t bytes = spread->shape.at[2];
	char *at = mmap(NULL, stripes * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		fail("cannot set %" PRIu64 " bytes of addresses aside: %s", stripes * bytes, strerror(errno));
	for (uint64_t first = 0, after; first < stripes; first = after) {
		uint64_t offset = stripe_offset(spread, books, first);
		/* Stripes that lie side by side are mapped at once. */
		for (after = first + 1; after < stripes; after++)
			if (stripe_offset(spread, books, after) != offset + (after - first) * bytes)
				break;
		fam_map_at(fam, offset, (after - first) * bytes, at + first * bytes);
	}
	madvise(at, stripes * bytes, MADV_DONTFORK);
	spread->at = (uint64_t *)at;
}

void spread_open(struct spread *spread, const struct books *books, const struct fam *fam)
{
	if (spread->shape.count == 0 && spread->homes.count == 0)
		return;
	check(spread, books);
	uint64_t bytes = spread->shape.at[2], stripes = (spread->shape.at[0] + bytes - 1) / bytes;
	spread->words = spread->shape.at[0] / sizeof(uint64_t);
	spread->stripe_words = bytes / sizeof(uint64_t);
	spread->stripe_shift = (unsigned)__builtin_ctzll(spread->stripe_words);
	spread->offset = stripe_offset(spread, books, 0);
	spread->home_of = malloc(stripes);
	if (spread->home_of == NULL)
		fail("no memory to note the homes of %" PRIu64 " stripes", stripes);
	for (uint64_t i = 0; i < stripes; i++)
		spread->home_of[i] = (uint8_t)(i % spread->homes.count);
	map_stripes(spread, books, fam, stripes);
}

uint64_t spread_touch(struct spread *spread)
{
	for (uint64_t i = 0; i < spread->words; i += PAGE_WORDS)
		(void)spread_load(spread, i);
	return (spread->words + PAGE_WORDS - 1) / PAGE_WORDS;
}

uint64_t spread_accesses(const struct spread *spread)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < spread->homes.count; i++)
		sum += spread->loads[i] + spread->stores[i];
	return sum;
}

static void print_list(const char *which, const char *what, const uint64_t *list, size_t count)
{
	printf("\"%s_%s\": [", which, what);
	for (size_t i = 0; i < count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", list[i]);
	printf("], ");
}

void spread_print(const struct spread *spread, const char *which)
{
	print_list(which, "loads", spread->loads, spread->homes.count);
	print_list(which, "stores", spread->stores, spread->homes.count);
}
