/* load, store: bytes of FAM one at a time, for a person to look and to leave a word. They measure nothing. */
#include "args.h"
#include "commands.h"
#include "fam.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 4096 };

COMMAND(load, "FAM --offset OFFSET --size BYTES\n"
	      "      Print up to 4096 bytes of FAM.")
{
	struct fam_request request = { 0 };
	uint64_t offset = 0, size = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, true, false },
		{ "--size", U64, &size, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (size == 0 || size > MOST)
		usage_error("--size is 1 to %d", MOST);
	struct fam fam = fam_open(&request);
	const volatile unsigned char *from = fam_map(&fam, offset, size);
	printf("{\"probe\": \"load\", \"offset\": %" PRIu64 ", \"bytes\": [", offset);
	for (uint64_t i = 0; i < size; i++)
		printf(i ? ", %u" : "%u", from[i]);
	puts("]}");
	return 0;
}

COMMAND(store, "FAM --offset OFFSET TEXT\n"
	       "      Store the bytes of TEXT in FAM.")
{
	struct fam_request request = { 0 };
	const char *text = NULL;
	uint64_t offset = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, true, false },
		{ "TEXT", TEXT, &text, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	size_t size = strlen(text);
	if (size == 0 || size > MOST)
		usage_error("TEXT has 1 to %d bytes", MOST);
	struct fam fam = fam_open(&request);
	volatile unsigned char *to = fam_map(&fam, offset, size);
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)text[i];
	printf("{\"probe\": \"store\", \"offset\": %" PRIu64 ", \"size\": %zu}\n", offset, size);
	return 0;
}
