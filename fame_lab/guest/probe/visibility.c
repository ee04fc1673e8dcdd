/* visibility: when a store on one node is first seen on another, by both their clocks.
 *
 * The writer reads its clock and stores a number; the reader, which looks again and again, reads its own
 * clock at first sight and answers; the writer reads its clock when it sees the answer. What the three
 * times prove of the way between is worked out later: the two clocks have an offset that nobody knows.
 * Exchanges come in bursts without a pause, for the offset drifts; between bursts both sides look whether
 * they were preempted. No fence follows a store: how long it lingers is part of what is asked.
 *
 * As an echo, a node answers whoever stores to the first word, which may be the host. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "clock.h"
#include "commands.h"
#include "mapping.h"
#include "meeting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A message is its number times four and what it is; the answer is the same message. */
enum { STORE = 0, MARK = 2 };
static const uint64_t STOP = UINT64_MAX;

enum { LINES_APART = 128, EXCHANGES_MAX = 1000, ALL_MAX = 100000 };

struct exchanges {
	const char *role;
	uint64_t offset, bursts, count; /* count: exchanges in a burst */
	struct fam fam;
	struct meeting meeting;
	uint64_t *there, *back; /* the writer's word and the reader's, in lines of their own */
	uint64_t number;        /* of messages so far */
	bool preempted[BATCHES_MAX];
};

/* The clock before the store and at the answer, or at first sight. */
static uint64_t first[ALL_MAX], second[ALL_MAX];

static void print_times(const char *name, const uint64_t *times, uint64_t count)
{
	printf(", \"%s\": [", name);
	for (uint64_t i = 0; i < count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", times[i]);
	printf("]");
}

/* Two readings that differ are a step of the clock apart, or more: no step is larger than this. */
static uint64_t largest_step(void)
{
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		uint64_t before = now_ns(), after = now_ns();
		if (after > before && after - before < least)
			least = after - before;
	}
	return least;
}

static void print(const struct exchanges *exchanges, bool writes)
{
	char mapping[MAPPING_TEXT];
	mapping_type(&exchanges->fam, exchanges->offset, mapping);
	double timer_ns = timer_cost();
	uint64_t step_ns = largest_step();
	for (uint64_t burst = 0; burst < exchanges->bursts; burst++) {
		uint64_t at = burst * exchanges->count;
		printf("{\"probe\": \"visibility\", \"role\": \"%s\", \"burst\": %" PRIu64 ", \"preempted\": %d",
		       exchanges->role, burst, exchanges->preempted[burst]);
		printf(", \"timer_ns\": %.2f, \"step_ns\": %" PRIu64 ", \"mapping\": ", timer_ns, step_ns);
		mapping_print(mapping);
		print_times(writes ? "store" : "sight", first + at, exchanges->count);
		if (writes)
			print_times("answer", second + at, exchanges->count);
		printf("}\n");
	}
}

static inline void exchange(struct exchanges *exchanges, int what, uint64_t *before, uint64_t *after)
{
	uint64_t message = ++exchanges->number * 4 + (uint64_t)what;
	struct wait wait = { 0 };
	*before = now_ns();
	store64(exchanges->there, message);
	while (load64(exchanges->back) != message)
		waiting(&exchanges->meeting, &wait, "an answer");
	*after = now_ns();
}

static void write_all(struct exchanges *exchanges)
{
	uint64_t ignored;
	for (uint64_t burst = 0; burst < WARM_UP + exchanges->bursts; burst++) {
		/* The warm-up is written over. */
		uint64_t kept = burst < WARM_UP ? 0 : burst - WARM_UP, at = kept * exchanges->count;
		struct preemption before = preemption_look();
		for (uint64_t i = 0; i < exchanges->count; i++)
			exchange(exchanges, STORE, &first[at + i], &second[at + i]);
		exchanges->preempted[kept] = preempted_since(before);
		exchange(exchanges, MARK, &ignored, &ignored);
		meeting_progress(&exchanges->meeting, kept + 1);
	}
	store64(exchanges->there, STOP);
}

/* Waits for a message; gives the time at which it was seen. */
static inline uint64_t sight(struct exchanges *exchanges, uint64_t *message)
{
	uint64_t expected = ++exchanges->number * 4;
	for (struct wait wait = { 0 };; waiting(&exchanges->meeting, &wait, "a store")) {
		*message = load64(exchanges->there);
		if (*message == expected || *message == expected + MARK || *message == STOP)
			return now_ns();
	}
}

static void read_all(struct exchanges *exchanges)
{
	uint64_t burst = 0, i = 0, message, seen;
	struct preemption before = preemption_look();
	for (;;) {
		seen = sight(exchanges, &message);
		if (message == STOP)
			break;
		uint64_t kept = burst < WARM_UP ? 0 : burst - WARM_UP;
		if (message % 4 == MARK) {
			if (i != exchanges->count || kept >= exchanges->bursts)
				fail("the writer's burst %" PRIu64 " has not %" PRIu64 " stores", burst, exchanges->count);
			exchanges->preempted[kept] = preempted_since(before);
			meeting_progress(&exchanges->meeting, kept + 1);
			burst++;
			i = 0;
			before = preemption_look();
		} else if (i == exchanges->count || kept >= exchanges->bursts) {
			fail("the writer stores more often than it was to");
		} else {
			first[kept * exchanges->count + i++] = seen;
		}
		store64(exchanges->back, message);
	}
	if (burst != WARM_UP + exchanges->bursts)
		fail("the writer stopped after %" PRIu64 " bursts", burst);
}

static void echo_all(struct exchanges *exchanges)
{
	uint64_t seen, last = 0;
	for (struct wait wait = { 0 }; (seen = load64(exchanges->there)) != STOP;) {
		if (seen == last) {
			waiting(&exchanges->meeting, &wait, "a store");
			continue;
		}
		store64(exchanges->back, seen);
		last = seen;
		wait = (struct wait){ 0 };
		exchanges->number++;
	}
	printf("{\"probe\": \"visibility\", \"role\": \"echo\", \"messages\": %" PRIu64 "}\n", exchanges->number);
}

COMMAND(visibility, "FAM --role writer|reader|echo [--offset OFFSET] [--batches N] [--exchanges M] MEETING\n"
		    "      N bursts of M exchanges between two nodes, in 256 bytes of FAM, each timed by both clocks;\n"
		    "      or, as an echo, answers to whoever stores.")
{
	struct exchanges exchanges = { .meeting = MEETING_DEFAULTS, .bursts = 50, .count = 100 };
	struct fam_request request = { 0 };
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--role", TEXT, &exchanges.role, true, false },
		{ "--offset", U64, &exchanges.offset, false, false },
		{ "--batches", U64, &exchanges.bursts, false, false },
		{ "--exchanges", U64, &exchanges.count, false, false },
		MEETING_OPTIONS(exchanges.meeting),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	bool writes = strcmp(exchanges.role, "writer") == 0, reads = strcmp(exchanges.role, "reader") == 0;
	if (!writes && !reads && strcmp(exchanges.role, "echo") != 0)
		usage_error("--role is writer, reader or echo, not '%.40s'", exchanges.role);
	if (exchanges.bursts < BATCHES_MIN || exchanges.bursts > BATCHES_MAX)
		usage_error("--batches is from %d to %d, not %" PRIu64, BATCHES_MIN, BATCHES_MAX, exchanges.bursts);
	if (exchanges.count < 1 || exchanges.count > EXCHANGES_MAX || exchanges.bursts * exchanges.count > ALL_MAX)
		usage_error("--exchanges is from 1 to %d, and %d in all, not %" PRIu64, EXCHANGES_MAX, ALL_MAX,
			    exchanges.count);
	if (exchanges.offset % LINES_APART != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", exchanges.offset, LINES_APART);
	exchanges.fam = fam_open(&request);
	exchanges.there = fam_map(&exchanges.fam, exchanges.offset, 2 * LINES_APART);
	exchanges.back = exchanges.there + LINES_APART / sizeof(uint64_t);
	meeting_open(&exchanges.meeting, &exchanges.fam);
	if ((writes || reads) && exchanges.meeting.parties != 2)
		usage_error("--parties is 2 for a writer and a reader, not %" PRIu64, exchanges.meeting.parties);
	if (writes) {
		store64(exchanges.there, 0);
		store64(exchanges.back, 0);
	}
	meeting_start(&exchanges.meeting);
	if (writes)
		write_all(&exchanges);
	else if (reads)
		read_all(&exchanges);
	else
		echo_all(&exchanges);
	if (writes || reads)
		print(&exchanges, writes);
	return 0;
}
