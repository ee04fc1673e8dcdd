#include "cycle.h"

#include "args.h"
#include "random.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

/* The word of a line that leads on: any of its eight, as multichase does it, and always the same one. Where
 * all are the first of their lines a host's prefetchers guess more of them right. */
static void *volatile *line(const struct cycle *cycle, uint64_t index)
{
	uint64_t state = index;
	return (void *volatile *)(cycle->region.at + index * cycle->stride) + random_below(&state, LINE / 8);
}

static void link_random(struct cycle *cycle, uint64_t seed)
{
	for (uint64_t i = 0; i < cycle->lines; i++)
		*line(cycle, i) = (void *)line(cycle, i);
	for (uint64_t i = cycle->lines - 1; i > 0; i--) {
		/* Below i, and never i itself, which makes it one cycle. */
		uint64_t j = random_below(&seed, i);
		void *kept = *line(cycle, i);
		*line(cycle, i) = *line(cycle, j);
		*line(cycle, j) = kept;
	}
}

/* For each page, the next: one random cycle too. */
static uint32_t *cycle_of_pages(uint64_t pages, uint64_t *seed)
{
	uint32_t *next = malloc(pages * sizeof *next);
	if (next == NULL)
		fail("no memory for the order of %" PRIu64 " pages", pages);
	for (uint64_t i = 0; i < pages; i++)
		next[i] = (uint32_t)i;
	for (uint64_t i = pages - 1; i > 0; i--) {
		uint64_t j = random_below(seed, i);
		uint32_t kept = next[i];
		next[i] = next[j];
		next[j] = kept;
	}
	return next;
}

static void link_page_grouped(struct cycle *cycle, uint64_t seed)
{
	uint64_t in_a_page = PAGE / cycle->stride;
	/* The first line need not be the first of its page. */
	uint64_t ahead = (uintptr_t)cycle->region.at % PAGE / cycle->stride;
	uint64_t pages = (ahead + cycle->lines + in_a_page - 1) / in_a_page;
	uint32_t *next = cycle_of_pages(pages, &seed);
	void *volatile *first = NULL, *volatile *last = NULL;
	uint64_t page = 0;
	do {
		uint64_t begin = page == 0 ? ahead : page * in_a_page, end = (page + 1) * in_a_page;
		if (end > ahead + cycle->lines)
			end = ahead + cycle->lines;
		uint64_t order[PAGE / LINE], count = end - begin;
		for (uint64_t i = 0; i < count; i++) {
			uint64_t j = random_below(&seed, i + 1);
			order[i] = order[j];
			order[j] = begin - ahead + i;
		}
		for (uint64_t i = 0; i < count; i++) {
			void *volatile *at = line(cycle, order[i]);
			if (last == NULL)
				first = at;
			else
				*last = (void *)at;
			last = at;
		}
		page = next[page];
	} while (page != 0);
	*last = (void *)first;
	free(next);
}

void cycle_verify(const struct cycle *cycle)
{
	uintptr_t base = (uintptr_t)cycle->region.at, first = (uintptr_t)line(cycle, 0), at = first;
	uint64_t steps = 0;
	do {
		at = (uintptr_t) * (void *volatile *)at;
		steps++;
		if (at < base || at - base >= cycle->region.length ||
		    at != (uintptr_t)line(cycle, (at - base) / cycle->stride))
			fail("someone else wrote to the working set at offset %" PRIu64, cycle->region.offset);
	} while (at != first && steps < cycle->lines);
	if (at != first || steps != cycle->lines)
		fail("the cycle has not all %" PRIu64 " lines: someone else wrote to them", cycle->lines);
}

void cycle_check(const char *order, uint64_t stride)
{
	if (strcmp(order, "random") != 0 && strcmp(order, "page-grouped") != 0)
		usage_error("--order is random or page-grouped, not '%.40s'", order);
	if (stride < LINE || stride > PAGE || (stride & (stride - 1)) != 0)
		usage_error("--stride is a power of two from %d to %d, not %" PRIu64, LINE, PAGE, stride);
}

struct cycle cycle_make(struct region region, const char *order, uint64_t stride, uint64_t seed)
{
	if (region.length % stride != 0)
		usage_error("size %" PRIu64 " is not a multiple of the stride, %" PRIu64, region.length, stride);
	struct cycle cycle = { .region = region, .stride = stride, .lines = region.length / stride };
	cycle.at = (void *)line(&cycle, 0);
	if (strcmp(order, "random") == 0)
		link_random(&cycle, seed);
	else
		link_page_grouped(&cycle, seed);
	cycle_verify(&cycle);
	return cycle;
}

void cycle_walk(void *context, uint64_t rounds)
{
	struct cycle *cycle = context;
	void *at = cycle->at;
#define STEP at = *(void *volatile *)at;
#define STEPS STEP STEP STEP STEP STEP
#define MANY STEPS STEPS STEPS STEPS STEPS
	while (rounds-- > 0) {
		MANY MANY MANY MANY MANY
	}
	cycle->at = at;
}
