/* atomics: one word of FAM that several nodes increment at once, by `lock xadd`, or by loading it and
 * `lock cmpxchg`, which fails if another was quicker.
 *
 * A failed compare-and-swap tells what the word holds now, and the next attempt starts from that. Every
 * attempt and every success is counted, those of the warm-up too: the successes of all nodes are what the
 * word must hold in the end. Nodes contend as contest.h says. */
#include "args.h"
#include "atomic.h"
#include "commands.h"
#include "contest.h"
#include "mapping.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ATTEMPTS, SUCCESSES };

static void fetch_add(void *context, uint64_t rounds, uint64_t *counts)
{
	for (uint64_t i = 0; i < rounds; i++)
		fetch_add64(context, 1);
	counts[ATTEMPTS] += rounds;
	counts[SUCCESSES] += rounds;
}

static void compare_and_swap(void *context, uint64_t rounds, uint64_t *counts)
{
	uint64_t expected = load64(context), successes = 0;
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t seen = compare_swap64(context, expected, expected + 1);
		bool succeeded = seen == expected;
		successes += succeeded;
		expected = seen + succeeded;
	}
	counts[ATTEMPTS] += rounds;
	counts[SUCCESSES] += successes;
}

COMMAND(atomics, "FAM --op fetch-add|cas --offset OFFSET [BATCHES] MEETING STEPS\n"
		 "      Add 1 to a 64-bit word, at once with other nodes, and count attempts and successes.")
{
	static struct contest contest = { CONTEST_DEFAULTS, .names = { "attempts", "successes" } };
	struct fam_request request = { 0 };
	const char *operation = NULL;
	uint64_t offset = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--op", TEXT, &operation, true, false },
		{ "--offset", U64, &offset, true, false },
		CONTEST_OPTIONS(contest),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (strcmp(operation, "fetch-add") == 0)
		contest.work = fetch_add;
	else if (strcmp(operation, "cas") == 0)
		contest.work = compare_and_swap;
	else
		usage_error("--op is fetch-add or cas, not '%.40s'", operation);
	struct fam fam = fam_open(&request);
	contest.context = fam_word(&fam, offset);
	contest_open(&contest, &fam);
	contest_run(&contest);

	char mapping[MAPPING_TEXT];
	mapping_type(&fam, offset, mapping);
	printf("{\"probe\": \"atomics\", \"op\": \"%s\", \"offset\": %" PRIu64 ", \"mapping\": ", operation, offset);
	mapping_print(mapping);
	printf(", ");
	contest_print(&contest);
	printf("}\n");
	return 0;
}
