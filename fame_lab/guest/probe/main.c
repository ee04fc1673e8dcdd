/* fame-probe: what runs inside a node to measure FAM.
 *
 * One JSON object a line on stdout, complaints on stderr. Status 2: the arguments cannot be right;
 * status 1: they can, and what they ask cannot be done here. No number is printed that is not meant. */
#include "args.h"
#include "commands.h"

#include <stdio.h>
#include <string.h>

#ifndef SOURCES
#define SOURCES "unknown"
#endif

/* build_probe.py looks for this text to tell whether the program is that of the sources beside it. */
static const char identity[] = "fame-probe-sources:" SOURCES;

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "prove", prove,
	  "--fam PATH --size BYTES --read OFFSET --write OFFSET VALUE\n"
	  "      Check FAM's size, read the 64-bit word at one offset, store VALUE at the other." },
	{ "add", add,
	  "--fam PATH --offset OFFSET --count N [--barrier OFFSET --parties N] [--timeout S]\n"
	  "      Add 1 to a 64-bit word N times with `lock xadd`." },
	{ "chase", chase,
	  "--fam PATH --memory dram|fam --sizes LIST [--offset OFFSET] [--seed N] [BATCHES]\n"
	  "      Latency of dependent loads, one random cycle through the 64-byte lines of each size." },
	{ "bandwidth", bandwidth,
	  "--fam PATH --memory dram|fam --op read|write|copy --sizes LIST [--width 8|16] [--offset OFFSET]\n"
	  "      [BATCHES]\n"
	  "      Bytes moved in order, in moves of 8 or 16 bytes. A copy goes from a size's first half to its\n"
	  "      second and counts the bytes read and the bytes written." },
	{ "pingpong", pingpong,
	  "--fam PATH --role ping|pong --variant one-line|two-lines --barrier OFFSET [--offset OFFSET]\n"
	  "      [--timeout S] [BATCHES]\n"
	  "      Round trips between two nodes, in 256 bytes of FAM: one plays ping, one pong." },
	{ "load", load,
	  "--fam PATH --offset OFFSET --size BYTES\n"
	  "      Print up to 4096 bytes of FAM." },
	{ "store", store,
	  "--fam PATH --offset OFFSET TEXT\n"
	  "      Store the bytes of TEXT in FAM." },
	{ "tsc", tsc,
	  "\n"
	  "      Measure the time stamp counter against the clock, in kHz." },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(void)
{
	puts("fame-probe COMMAND --fam PATH ...\n\n"
	     "Measures fabric-attached memory from inside a node. PATH is /dev/fam in a guest, or a plain file.\n"
	     "Numbers are decimal or 0x...; sizes are bytes; lists are joined by commas. Probes overwrite the\n"
	     "range of FAM that they measure. Nodes meet at a barrier of 128 bytes that the caller has cleared.\n"
	     "BATCHES: [--batches 30..1000] [--batch-us 1000..1000000], default 50 batches of 1000 us or more.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %s %s\n", commands[i].name, commands[i].usage);
	puts("\n  --version\n      Print what this program was built from.");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage_error("no command; see --help");
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0)
			return help();
	if (strcmp(argv[1], "--version") == 0)
		return puts(identity) < 0;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		int status = commands[i].run(argc - 2, argv + 2);
		/* A full pipe or a closed connection must not look like a measurement. */
		if (fflush(stdout) != 0 || ferror(stdout))
			fail("cannot write the result");
		return status;
	}
	usage_error("unknown command '%.40s'; see --help", argv[1]);
}
