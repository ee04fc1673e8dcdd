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
#include "cycle.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>

struct request {
	struct fam_request fam;
	const char *memory, *order;
	uint64_t offset, stride, seed;
	struct list sizes;
};

static void measure(const struct request *asked, uint64_t size, struct batches *batches)
{
	struct region region = region_open(&asked->fam, asked->memory, asked->offset, size);
	struct cycle cycle = cycle_make(region, asked->order, asked->stride, asked->seed);
	batches->work = cycle_walk;
	batches->context = &cycle;
	batches_run(batches);
	cycle_verify(&cycle);
	printf("{\"probe\": \"chase\", \"order\": \"%s\", \"stride\": %" PRIu64 ", ", asked->order, asked->stride);
	region_print(&cycle.region);
	printf(", \"seed\": %" PRIu64 ", \"loads\": %" PRIu64 ", ", asked->seed, batches->rounds * LOADS_A_ROUND);
	batches_print(batches);
	printf("}\n");
	region_close(&cycle.region);
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
	cycle_check(asked.order, asked.stride);
	for (size_t i = 0; i < asked.sizes.count; i++)
		measure(&asked, asked.sizes.at[i], &batches);
	return 0;
}
