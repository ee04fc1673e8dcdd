/* chase: the latency of a load that waits for the one before it.
 *
 * A line every stride bytes of the working set holds the address of the next, in one random cycle through
 * all of them, so that no prefetcher guesses it and no load starts before its predecessor ended. Time over
 * loads is the latency. The cycle is random throughout (Sattolo's shuffle), where nearly every load of a
 * large set goes to another page; or it is grouped by pages, as multichase's TLB locality does: all lines of
 * one page at random, then all of another, the pages in random order. What the two differ by is the cost of
 * finding pages. */
#include "args.h"
#include "batches.h"
#include "commands.h"
#include "random.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNROLL = 64, PAGE = 4096 };

struct chase {
	struct region region;
	uint64_t stride, lines;
	void *at;
};

static void *volatile *line(const struct chase *chase, uint64_t index)
{
	return (void *volatile *)(chase->region.at + index * chase->stride);
}

static void link_random(struct chase *chase, uint64_t seed)
{
	for (uint64_t i = 0; i < chase->lines; i++)
		*line(chase, i) = (void *)line(chase, i);
	for (uint64_t i = chase->lines - 1; i > 0; i--) {
		/* Below i, and never i itself, which makes it one cycle. */
		uint64_t j = random_below(&seed, i);
		void *kept = *line(chase, i);
		*line(chase, i) = *line(chase, j);
		*line(chase, j) = kept;
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

static void link_page_grouped(struct chase *chase, uint64_t seed)
{
	uint64_t in_a_page = PAGE / chase->stride;
	/* The first line need not be the first of its page. */
	uint64_t ahead = (uintptr_t)chase->region.at % PAGE / chase->stride;
	uint64_t pages = (ahead + chase->lines + in_a_page - 1) / in_a_page;
	uint32_t *next = cycle_of_pages(pages, &seed);
	void *volatile *first = NULL, *volatile *last = NULL;
	uint64_t page = 0;
	do {
		uint64_t begin = page == 0 ? ahead : page * in_a_page, end = (page + 1) * in_a_page;
		if (end > ahead + chase->lines)
			end = ahead + chase->lines;
		uint64_t order[PAGE / LINE], count = end - begin;
		for (uint64_t i = 0; i < count; i++) {
			uint64_t j = random_below(&seed, i + 1);
			order[i] = order[j];
			order[j] = begin - ahead + i;
		}
		for (uint64_t i = 0; i < count; i++) {
			void *volatile *at = line(chase, order[i]);
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

/* Walks the cycle once. Before the timing it proves that it is one and warms the lines; after it, it tells
 * whether they were still ours: FAM is everyone's. */
static void verify(const struct chase *chase)
{
	uintptr_t first = (uintptr_t)chase->region.at, at = first;
	uint64_t steps = 0;
	do {
		at = (uintptr_t) * (void *volatile *)at;
		steps++;
		if (at < first || at - first >= chase->region.length || (at - first) % chase->stride != 0)
			fail("someone else wrote to the working set at offset %" PRIu64, chase->region.offset);
	} while (at != first && steps < chase->lines);
	if (at != first || steps != chase->lines)
		fail("the cycle has not all %" PRIu64 " lines: someone else wrote to them", chase->lines);
}

static TIMED_LOOP void walk(void *context, uint64_t rounds)
{
	struct chase *chase = context;
	void *at = chase->at;
#define STEP at = *(void *volatile *)at;
#define STEPS STEP STEP STEP STEP STEP STEP STEP STEP
	while (rounds-- > 0) {
		STEPS STEPS STEPS STEPS STEPS STEPS STEPS STEPS
	}
	chase->at = at;
}

struct request {
	struct fam_request fam;
	const char *memory, *order;
	uint64_t offset, stride, seed;
	struct list sizes;
};

static void measure(const struct request *asked, uint64_t size, struct batches *batches)
{
	if (size % asked->stride != 0)
		usage_error("size %" PRIu64 " is not a multiple of the stride, %" PRIu64, size, asked->stride);
	struct chase chase = { .region = region_open(&asked->fam, asked->memory, asked->offset, size),
			       .stride = asked->stride, .lines = size / asked->stride };
	if (strcmp(asked->order, "random") == 0)
		link_random(&chase, asked->seed);
	else
		link_page_grouped(&chase, asked->seed);
	verify(&chase);
	chase.at = chase.region.at;
	batches->work = walk;
	batches->context = &chase;
	batches_run(batches);
	verify(&chase);
	printf("{\"probe\": \"chase\", \"order\": \"%s\", \"stride\": %" PRIu64 ", ", asked->order, asked->stride);
	region_print(&chase.region);
	printf(", \"seed\": %" PRIu64 ", \"loads\": %" PRIu64 ", ", asked->seed, batches->rounds * UNROLL);
	batches_print(batches);
	printf("}\n");
	region_close(&chase.region);
}

COMMAND(chase, "FAM --memory dram|fam --sizes LIST [--order random|page-grouped] [--stride BYTES]\n"
	       "      [--offset OFFSET] [--seed N] [BATCHES]\n"
	       "      Latency of dependent loads, one random cycle through each size: a line every 64 to 4096 bytes,\n"
	       "      at random throughout or within a page and from page to page.")
{
	struct request asked = { .order = "random", .stride = LINE, .seed = 1 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(asked.fam),
		{ "--memory", TEXT, &asked.memory, true, false },
		{ "--offset", U64, &asked.offset, false, false },
		{ "--sizes", U64_LIST, &asked.sizes, true, false },
		{ "--order", TEXT, &asked.order, false, false },
		{ "--stride", U64, &asked.stride, false, false },
		{ "--seed", U64, &asked.seed, false, false },
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	if (strcmp(asked.order, "random") != 0 && strcmp(asked.order, "page-grouped") != 0)
		usage_error("--order is random or page-grouped, not '%.40s'", asked.order);
	if (asked.stride < LINE || asked.stride > PAGE || (asked.stride & (asked.stride - 1)) != 0)
		usage_error("--stride is a power of two from %d to %d, not %" PRIu64, LINE, PAGE, asked.stride);
	for (size_t i = 0; i < asked.sizes.count; i++)
		measure(&asked, asked.sizes.at[i], &batches);
	return 0;
}
