/* memory: how much of the node's DRAM a probe may have now, so that whoever asks for a measurement can
 * leave out what there is no room for. It measures nothing. */
#include "args.h"
#include "commands.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>

COMMAND(memory, "\n"
		"      Tell how many bytes of DRAM can be measured.")
{
	args_parse(argc, argv, NULL, 0);
	printf("{\"probe\": \"memory\", \"spare\": %" PRIu64 "}\n", region_spare_dram());
	return 0;
}
