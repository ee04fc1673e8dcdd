/* add: one word of FAM, incremented by `lock xadd` as often as asked. Nodes that do so at once must
 * lose nothing; under single-vCPU emulation they do. */
#include "args.h"
#include "atomic.h"
#include "barrier.h"
#include "clock.h"
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>

int add(int argc, char **argv)
{
	const char *path = NULL;
	uint64_t offset = 0, count = 0;
	struct barrier_request start = { .timeout_s = 10 };
	struct option options[] = {
		{ "--fam", TEXT, &path, true, false },
		{ "--offset", U64, &offset, true, false },
		{ "--count", U64, &count, true, false },
		{ "--barrier", U64, &start.offset, false, false },
		{ "--parties", U64, &start.parties, false, false },
		{ "--timeout", U64, &start.timeout_s, false, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (count == 0)
		usage_error("--count is 1 or more");
	struct fam fam = fam_open(path);
	uint64_t *word = fam_word(&fam, offset);
	struct barrier *barrier = barrier_open(&fam, &start);
	barrier_wait(barrier, &start);

	uint64_t last = 0, began = now_ns();
	for (uint64_t i = 0; i < count; i++)
		last = fetch_add64(word, 1) + 1;
	uint64_t elapsed = now_ns() - began;
	printf("{\"probe\": \"add\", \"offset\": %" PRIu64 ", \"count\": %" PRIu64 ", \"last\": %" PRIu64
	       ", \"elapsed_ns\": %" PRIu64 "}\n",
	       offset, count, last, elapsed);
	return 0;
}
