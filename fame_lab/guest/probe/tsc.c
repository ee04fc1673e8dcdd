/* tsc: how fast the time stamp counter runs against the raw monotonic clock. Both are read as a pair
 * twice, 50 ms apart; of several pairs the closest together counts, so that a preemption between the two
 * reads does not. Run on the host, it tells what to put on a guest's kernel command line. */
#include "tsc.h"

#include "args.h"
#include "clock.h"
#include "commands.h"

#include <stdio.h>
#include <x86intrin.h>

enum { PAIRS = 64, APART_NS = 50000000 };

struct tsc_pair tsc_pair(void)
{
	struct tsc_pair best = { 0, 0 };
	uint64_t width = UINT64_MAX;
	for (int i = 0; i < PAIRS; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();
		if (after - before < width) {
			width = after - before;
			best = (struct tsc_pair){ before + width / 2, ns };
		}
	}
	return best;
}

double tsc_khz(struct tsc_pair first, struct tsc_pair last)
{
	return (double)(last.tsc - first.tsc) * 1e6 / (double)(last.ns - first.ns);
}

COMMAND(tsc, "\n"
	     "      Measure the time stamp counter against the clock, in kHz.")
{
	args_parse(argc, argv, NULL, 0);
	struct tsc_pair first = tsc_pair();
	while (now_ns() - first.ns < APART_NS)
		;
	printf("{\"probe\": \"tsc\", \"khz\": %.3f}\n", tsc_khz(first, tsc_pair()));
	return 0;
}
