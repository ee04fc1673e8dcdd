/* litmus: small programs that several nodes play at once in the same cell of memory, and whose outcomes
 * tell which orders of loads and stores can be seen.
 *
 * In the manner of litmus7 (Alglave, Maranget, Sarkar, Sewell, "Litmus: running tests against hardware",
 * TACAS 2011): the nodes walk through an array of fresh cells, and an outcome that needs two stores in
 * flight at once is seen where they collide in one. So they wait for each other every few cells, and
 * each begins each cell after a short random time, which the seed decides. What a node saw it keeps in its
 * own memory, then puts into FAM; when all have, each node counts the outcomes, so that the caller can see
 * that all counted the same. */
#include "args.h"
#include "commands.h"
#include "linger.h"
#include "litmus_tests.h"
#include "lockstep.h"
#include "mapping.h"
#include "random.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>

enum { CELLS = 1024 };
static const uint64_t ITERATIONS_MAX = 1000000000;

struct litmus {
	const struct litmus_test *test;
	uint64_t iterations, burst, delay, random;
	unsigned role;
	char *cells;
	volatile unsigned char *seen; /* CELLS for each role, in FAM */
	struct meeting meeting;
	struct lockstep lockstep;
	uint64_t counts[OUTCOMES_MAX];
};

/* Plays this node's role in the first cells, and tells the others what it saw. */
static void play(struct litmus *litmus, uint64_t cells)
{
	static unsigned char seen[CELLS];
	unsigned (*body)(char *) = litmus->test->role[litmus->role].play;
	for (uint64_t i = 0; i < cells; i++) {
		if (i % litmus->burst == 0)
			lockstep_wait(&litmus->lockstep, "another node to come to the same cell");
		linger(random_below(&litmus->random, litmus->delay + 1));
		seen[i] = (unsigned char)body(litmus->cells + i * CELL);
	}
	for (uint64_t i = 0; i < cells; i++)
		litmus->seen[litmus->role * CELLS + i] = seen[i];
}

static void count(struct litmus *litmus, uint64_t cells)
{
	const struct litmus_test *test = litmus->test;
	for (uint64_t i = 0; i < cells; i++) {
		unsigned outcome = 0;
		for (unsigned role = 0; role < test->roles; role++) {
			unsigned seen = litmus->seen[role * CELLS + i], results = test->role[role].results;
			if (seen >= results)
				fail("role %u of %s saw what the test never stores: someone else wrote there", role,
				     test->name);
			outcome = outcome * results + seen;
		}
		litmus->counts[outcome]++;
	}
}

static void run(struct litmus *litmus)
{
	meeting_start(&litmus->meeting);
	for (uint64_t done = 0, cells; done < litmus->iterations; done += cells) {
		cells = litmus->iterations - done < CELLS ? litmus->iterations - done : CELLS;
		for (uint64_t i = litmus->role; i < cells; i += litmus->test->roles)
			litmus_clear(litmus->cells + i * CELL);
		play(litmus, cells);
		lockstep_wait(&litmus->lockstep, "what another node saw");
		count(litmus, cells);
		meeting_progress(&litmus->meeting, done + cells);
	}
}

static bool has_avx(void)
{
	unsigned a, b, c = 0, d;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AVX) != 0;
}

COMMAND(litmus, "FAM --test NAME --offset OFFSET --iterations N [--burst N] [--delay N] [--seed N] MEETING STEPS\n"
		"      Play SB, SB+mfences, MP, LB, IRIW, torn-8, torn-16 or torn-8-split N times, one role a node, and\n"
		"      count the outcomes, in 260 KiB of FAM. Nodes wait for each other every --burst cells, and\n"
		"      begin each after up to --delay turns of an empty loop.")
{
	static struct litmus litmus = { .burst = 8, .delay = 32, .meeting = MEETING_DEFAULTS };
	struct fam_request request = { 0 };
	const char *name = NULL;
	uint64_t offset = 0, seed = 1;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--test", TEXT, &name, true, false },
		{ "--offset", U64, &offset, true, false },
		{ "--iterations", U64, &litmus.iterations, true, false },
		{ "--burst", U64, &litmus.burst, false, false },
		{ "--delay", U64, &litmus.delay, false, false },
		{ "--seed", U64, &seed, false, false },
		MEETING_OPTIONS(litmus.meeting),
		LOCKSTEP_OPTIONS(litmus.lockstep),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	litmus.test = litmus_find(name);
	if (litmus.test == NULL)
		usage_error("there is no litmus test '%.40s'; see --help", name);
	if (litmus.iterations == 0 || litmus.iterations > ITERATIONS_MAX)
		usage_error("--iterations is from 1 to %" PRIu64, ITERATIONS_MAX);
	if (litmus.burst == 0 || litmus.burst > CELLS || litmus.delay > 1000000)
		usage_error("--burst is from 1 to %d, --delay from 0 to 1000000", CELLS);
	if (offset % VARIABLE != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", offset, VARIABLE);
	struct fam fam = fam_open(&request);
	litmus.cells = fam_map(&fam, offset, CELLS * CELL + ROLES_MAX * CELLS);
	litmus.seen = (unsigned char *)litmus.cells + CELLS * CELL;
	meeting_open(&litmus.meeting, &fam);
	lockstep_open(&litmus.lockstep, &litmus.meeting, &fam);
	if (litmus.meeting.parties != litmus.test->roles)
		usage_error("%s takes %u nodes, not %" PRIu64, name, litmus.test->roles, litmus.meeting.parties);
	litmus.role = (unsigned)litmus.lockstep.rank;
	/* The nodes' delays are to differ; the state of one seed is not that of another's but for a step. */
	litmus.random = seed ^ (litmus.lockstep.rank + 1) * 0xd1342543de82ef95u;
	run(&litmus);

	char mapping[MAPPING_TEXT];
	mapping_type(&fam, offset, mapping);
	printf("{\"probe\": \"litmus\", \"test\": \"%s\", \"role\": %u, \"iterations\": %" PRIu64 ", \"mapping\": ", name,
	       litmus.role, litmus.iterations);
	mapping_print(mapping);
	printf(", \"avx\": %d, \"counts\": [", has_avx());
	for (unsigned i = 0; i < litmus_outcomes(litmus.test); i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", litmus.counts[i]);
	printf("]}\n");
	return 0;
}
