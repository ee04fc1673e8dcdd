/* add: one word of FAM, incremented by `lock xadd` as often as asked. Nodes that do so at once must
 * lose nothing; under single-vCPU emulation they do. */
#include "args.h"
#include "atomic.h"
#include "clock.h"
#include "commands.h"
#include "meeting.h"

#include <inttypes.h>
#include <stdio.h>

COMMAND(add, "FAM --offset OFFSET --count N [MEETING]\n"
	     "      Add 1 to a 64-bit word N times with `lock xadd`.")
{
	struct fam_request request = { 0 };
	uint64_t offset = 0, count = 0;
	struct meeting meeting = MEETING_DEFAULTS;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, true, false },
		{ "--count", U64, &count, true, false },
		MEETING_OPTIONS(meeting),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (count == 0)
		usage_error("--count is 1 or more");
	struct fam fam = fam_open(&request);
	uint64_t *word = fam_word(&fam, offset);
	meeting_open(&meeting, &fam);
	meeting_start(&meeting);

	uint64_t last = 0, began = now_ns();
	for (uint64_t i = 0; i < count; i++)
		last = fetch_add64(word, 1) + 1;
	uint64_t elapsed = now_ns() - began;
	printf("{\"probe\": \"add\", \"offset\": %" PRIu64 ", \"count\": %" PRIu64 ", \"last\": %" PRIu64
	       ", \"elapsed_ns\": %" PRIu64 "}\n",
	       offset, count, last, elapsed);
	return 0;
}
