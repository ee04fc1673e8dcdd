/* pattern: a known number of 8-byte loads and stores to each 64-byte line of one page of FAM, and none
 * elsewhere: line i, from 0, is loaded i + 1 times and stored to 2 * i + 1 times. What counts a node's
 * accesses must come to just these, or it counts something else. */
#include "args.h"
#include "atomic.h"
#include "commands.h"
#include "fam.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINES = 64, WORDS_A_LINE = 8 };

COMMAND(pattern, "FAM --offset OFFSET\n"
		 "      Load and store the lines of one page a known number of times, to prove a trace.")
{
	struct fam_request request = { 0 };
	uint64_t offset = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (offset % 4096 != 0)
		usage_error("offset %" PRIu64 " is not a multiple of 4096", offset);
	struct fam fam = fam_open(&request);
	uint64_t *page = fam_map(&fam, offset, 4096);
	for (uint64_t line = 0; line < LINES; line++) {
		uint64_t *word = page + line * WORDS_A_LINE;
		for (uint64_t i = 0; i <= line; i++)
			(void)load64(word);
		for (uint64_t i = 0; i <= 2 * line; i++)
			store64(word, i);
	}
	printf("{\"probe\": \"pattern\", \"offset\": %" PRIu64 ", \"lines\": %d}\n", offset, LINES);
	return 0;
}
