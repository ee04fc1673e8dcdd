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

/* native.py looks for this text to tell whether the program is that of the sources beside it. */
static const char identity[] = "fame-sources:" SOURCES;

static const struct command *commands; /* by name */

void command_add(struct command *command)
{
	const struct command **at = &commands;
	while (*at != NULL && strcmp((*at)->name, command->name) < 0)
		at = (const struct command **)&(*at)->next;
	command->next = *at;
	*at = command;
}

static int help(void)
{
	puts("fame-probe COMMAND --fam PATH ...\n\n"
	     "Measures fabric-attached memory from inside a node. PATH is /dev/fam in a guest, or a plain file.\n"
	     "Numbers are decimal or 0x...; sizes are bytes; lists are joined by commas. Probes overwrite the\n"
	     "range of FAM that they measure.\n\n"
	     "FAM:     --fam PATH [--mapping uc|wc|wb], how the CPU is asked to treat a PCI BAR; default uc.\n"
	     "BATCHES: [--batches 30..1000] [--batch-us 1000..1000000], default 50 batches of 1000 us or more.\n"
	     "MEETING: [--barrier OFFSET --parties N] 128 bytes, cleared by the caller, at which N nodes start\n"
	     "         together; [--timeout S] how long a node waits for another, default 10; [--release OFFSET]\n"
	     "         a 64-bit word that somebody sets to end the wait; [--progress OFFSET] one where the node\n"
	     "         tells how far it got; [--yield 1] if the nodes are more than the host's cores.\n"
	     "STEPS:   --steps OFFSET --rank R, 128 bytes for each of the N nodes, cleared by the caller, and which of\n"
	     "         them is this node's, from 0.\n");
	for (const struct command *each = commands; each != NULL; each = each->next)
		printf("  %s %s\n", each->name, each->usage);
	puts("\n  --version\n      Print what this program was built from.");
	return 0;
}

static int help_on(const struct command *command)
{
	return printf("fame-probe %s %s\n\nFAM, BATCHES, MEETING, STEPS: see fame-probe --help\n", command->name,
		      command->usage) < 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage_error("no command; see --help");
	if (strcmp(argv[1], "--help") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0)
		return puts(identity) < 0;
	for (const struct command *each = commands; each != NULL; each = each->next) {
		if (strcmp(argv[1], each->name) != 0)
			continue;
		for (int i = 2; i < argc; i++)
			if (strcmp(argv[i], "--help") == 0)
				return help_on(each);
		int status = each->run(argc - 2, argv + 2);
		/* A full pipe or a closed connection must not look like a measurement. */
		if (fflush(stdout) != 0 || ferror(stdout))
			fail("cannot write the result");
		return status;
	}
	usage_error("unknown command '%.40s'; see --help", argv[1]);
}
