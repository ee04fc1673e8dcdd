/* chase: the latency of a load that waits for the one before it.
 *
 * Each 64-byte line of the working set holds the address of the next, in one random cycle through
 * all of them (Sattolo's shuffle), so that no prefetcher guesses it and no load starts before its
 * predecessor ended. Time over loads is the latency. */
#include "args.h"
#include "batches.h"
#include "commands.h"
#include "random.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>

enum { UNROLL = 64 };

struct chase {
	struct region region;
	uint64_t lines;
	void *at;
};

static void *volatile *line(const struct chase *chase, uint64_t index)
{
	return (void *volatile *)(chase->region.at + index * LINE);
}

static void shuffle(struct chase *chase, uint64_t seed)
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

/* Walks the cycle once. Before the timing it warms the lines; after it, it tells whether they were
 * still ours: FAM is everyone's. */
static void verify(const struct chase *chase)
{
	uintptr_t first = (uintptr_t)chase->region.at, at = first;
	uint64_t steps = 0;
	do {
		at = (uintptr_t) * (void *volatile *)at;
		steps++;
		if (at < first || at - first >= chase->region.length || (at - first) % LINE != 0)
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

static void measure(const struct fam_request *fam, const char *memory, uint64_t offset, uint64_t size, uint64_t seed,
		    struct batches *batches)
{
	struct chase chase = { .region = region_open(fam, memory, offset, size), .lines = size / LINE };
	shuffle(&chase, seed);
	verify(&chase);
	chase.at = chase.region.at;
	batches->work = walk;
	batches->context = &chase;
	batches_run(batches);
	verify(&chase);
	printf("{\"probe\": \"chase\", ");
	region_print(&chase.region);
	printf(", \"seed\": %" PRIu64 ", \"loads\": %" PRIu64 ", ", seed, batches->rounds * UNROLL);
	batches_print(batches);
	printf("}\n");
	region_close(&chase.region);
}

COMMAND(chase, "FAM --memory dram|fam --sizes LIST [--offset OFFSET] [--seed N] [BATCHES]\n"
	       "      Latency of dependent loads, one random cycle through the 64-byte lines of each size.")
{
	struct fam_request fam = { 0 };
	const char *memory = NULL;
	uint64_t offset = 0, seed = 1;
	struct list sizes = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(fam),
		{ "--memory", TEXT, &memory, true, false },
		{ "--offset", U64, &offset, false, false },
		{ "--sizes", U64_LIST, &sizes, true, false },
		{ "--seed", U64, &seed, false, false },
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	for (size_t i = 0; i < sizes.count; i++)
		measure(&fam, memory, offset, sizes.at[i], seed, &batches);
	return 0;
}
