/* false_sharing: each node adds to a counter that is its own, and pays if the line is not.
 *
 * The counters lie some bytes apart: in one line, in lines of their own, or in pairs of lines of their own,
 * for CPUs fetch lines in pairs. An addition is a plain load and a plain store, with no lock between them:
 * nobody else stores there, so that none may get lost. Nodes contend as contest.h says. */
#include "args.h"
#include "atomic.h"
#include "commands.h"
#include "contest.h"
#include "mapping.h"

#include <inttypes.h>
#include <stdio.h>

enum { DISTANCE_MAX = 4096 };

static void add(void *context, uint64_t rounds, uint64_t *counts)
{
	uint64_t *counter = context;
	for (uint64_t i = 0; i < rounds; i++)
		store64(counter, load64(counter) + 1);
	counts[0] += rounds;
}

COMMAND(false_sharing, "FAM --offset OFFSET --distance BYTES [BATCHES] MEETING STEPS\n"
		       "      Add 1 to a 64-bit counter of this node's own, at OFFSET plus its rank times BYTES, by a plain\n"
		       "      load and a plain store.")
{
	static struct contest contest = { CONTEST_DEFAULTS, .work = add, .names = { "additions" } };
	struct fam_request request = { 0 };
	uint64_t offset = 0, distance = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, true, false },
		{ "--distance", U64, &distance, true, false },
		CONTEST_OPTIONS(contest),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (distance == 0 || distance % sizeof(uint64_t) != 0 || distance > DISTANCE_MAX)
		usage_error("--distance is a multiple of 8 up to %d, not %" PRIu64, DISTANCE_MAX, distance);
	struct fam fam = fam_open(&request);
	contest_open(&contest, &fam);
	offset += contest.lockstep.rank * distance;
	contest.context = fam_word(&fam, offset);
	contest_run(&contest);

	char mapping[MAPPING_TEXT];
	mapping_type(&fam, offset, mapping);
	printf("{\"probe\": \"false_sharing\", \"offset\": %" PRIu64 ", \"distance\": %" PRIu64 ", \"mapping\": ", offset,
	       distance);
	mapping_print(mapping);
	printf(", ");
	contest_print(&contest);
	printf("}\n");
	return 0;
}
