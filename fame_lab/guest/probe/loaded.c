/* loaded: the latency of a load that waits for the one before it, while other nodes load FAM.
 *
 * The same cycle as chase, walked in batches that begin when all are there. After each batch, untimed, it
 * reads how many lines the others have moved by then, so that each batch has the load that it was under,
 * counted between the same two moments of the same clock. At the end it tells the others to stop. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "clock.h"
#include "commands.h"
#include "cycle.h"
#include "meeting.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>

struct mark {
	uint64_t ns, lines;
};

struct loaded {
	struct cycle cycle;
	struct meeting meeting;
	size_t others;
	const uint64_t *moved[LIST_MAX];
	/* A ring: the last are those around the batches that count. */
	struct mark marks[BATCHES_MAX + 1];
	uint64_t made, kept;
};

static void walk(void *context, uint64_t rounds)
{
	struct loaded *loaded = context;
	cycle_walk(&loaded->cycle, rounds);
}

static void mark(void *context)
{
	struct loaded *loaded = context;
	struct mark now = { .ns = now_ns() };
	for (size_t i = 0; i < loaded->others; i++)
		now.lines += load64(loaded->moved[i]);
	loaded->marks[loaded->made++ % loaded->kept] = now;
	if (meeting_released(&loaded->meeting))
		fail("released: another node is gone");
}

static struct mark between(const struct loaded *loaded, uint64_t batch)
{
	/* The oldest of the ring is the one before the first batch that counts. */
	struct mark before = loaded->marks[(loaded->made + batch) % loaded->kept];
	struct mark after = loaded->marks[(loaded->made + batch + 1) % loaded->kept];
	return (struct mark){ after.ns - before.ns, after.lines - before.lines };
}

static void print(const struct loaded *loaded, const struct batches *batches, uint64_t seed)
{
	printf("{\"probe\": \"loaded\", ");
	region_print(&loaded->cycle.region);
	printf(", \"seed\": %" PRIu64 ", \"loads\": %" PRIu64 ", ", seed, batches->rounds * LOADS_A_ROUND);
	batches_print(batches);
	printf(", \"window_ns\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", between(loaded, i).ns);
	printf("], \"lines\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", between(loaded, i).lines);
	printf("]}\n");
}

COMMAND(loaded, "FAM --size BYTES --stop OFFSET [--others LIST] [--order random|page-grouped] [--offset OFFSET]\n"
		"      [--seed N] [BATCHES] MEETING\n"
		"      Latency of dependent loads while others move lines and count them in the words of --others; then\n"
		"      store 1 at --stop.")
{
	static struct loaded loaded = { .meeting = MEETING_DEFAULTS };
	struct fam_request request = { 0 };
	const char *order = "page-grouped";
	uint64_t offset = 0, size = 0, stop_at = 0, seed = 1;
	struct list others = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, false, false },
		{ "--size", U64, &size, true, false },
		{ "--stop", U64, &stop_at, true, false },
		{ "--others", U64_LIST, &others, false, false },
		{ "--order", TEXT, &order, false, false },
		{ "--seed", U64, &seed, false, false },
		MEETING_OPTIONS(loaded.meeting),
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	cycle_check(order, LINE);
	struct fam fam = fam_open(&request);
	uint64_t *stop = fam_word(&fam, stop_at);
	loaded.others = others.count;
	for (size_t i = 0; i < others.count; i++)
		loaded.moved[i] = fam_word(&fam, others.at[i]);
	loaded.kept = batches.count + 1;
	meeting_open(&loaded.meeting, &fam);
	loaded.cycle = cycle_make(region_open(&request, "fam", offset, size), order, LINE, seed);
	meeting_start(&loaded.meeting);

	batches.work = walk;
	batches.after = mark;
	batches.context = &loaded;
	batches.meeting = &loaded.meeting;
	batches_run(&batches);
	store64(stop, 1);
	cycle_verify(&loaded.cycle);
	print(&loaded, &batches, seed);
	return 0;
}
