/* prove: that this node and the host have the same FAM. Reads the nonce that the host left, and
 * leaves its own for the host to read. */
#include "args.h"
#include "atomic.h"
#include "commands.h"
#include "fam.h"

#include <inttypes.h>
#include <stdio.h>

COMMAND(prove, "FAM --size BYTES --read OFFSET --write OFFSET VALUE\n"
	       "      Check FAM's size, read the 64-bit word at one offset, store VALUE at the other.")
{
	struct fam_request request = { 0 };
	uint64_t size = 0, read_at = 0, write_at = 0, value = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--size", U64, &size, true, false },
		{ "--read", U64, &read_at, true, false },
		{ "--write", U64, &write_at, true, false },
		{ "VALUE", U64, &value, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	struct fam fam = fam_open(&request);
	if (fam.size != size)
		fail("FAM has %" PRIu64 " bytes here, not %" PRIu64, fam.size, size);
	uint64_t nonce = load64(fam_word(&fam, read_at));
	store64(fam_word(&fam, write_at), value);
	printf("{\"probe\": \"prove\", \"size\": %" PRIu64 ", \"read\": \"0x%016" PRIx64 "\"}\n", fam.size, nonce);
	return 0;
}
