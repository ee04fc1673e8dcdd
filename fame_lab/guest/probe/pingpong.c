/* pingpong: how long a store on one node takes to be seen on another, as half a round trip.
 *
 * One node stores a number and waits for the answer, the other waits for the number and answers: on
 * one line that both write, or on two, each with one writer. Two nodes' clocks have an offset that
 * nobody knows, so that only the round trip can be timed, and its half is a mean of both ways. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "commands.h"
#include "mapping.h"
#include "meeting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A message is its number times four and what it is. After each batch a mark makes both sides look
 * whether they were preempted in it, untimed. */
enum { PING = 0, PONG = 1, MARK = 2 };
static const uint64_t STOP = UINT64_MAX;
static uint64_t message(uint64_t number, int what)
{
	return number * 4 + (uint64_t)what;
}

enum { LINES_APART = 128 };

struct match {
	const char *role, *variant;
	uint64_t offset;
	struct fam fam;
	struct meeting meeting;
	uint64_t *ping, *pong; /* the same word if they share a line */
	uint64_t number;       /* of messages so far */
};

static void send(struct match *match, int what)
{
	match->number++;
	uint64_t answer = message(match->number, PONG);
	struct wait wait = { 0 };
	store64(match->ping, message(match->number, what));
	while (load64(match->pong) != answer)
		waiting(&match->meeting, &wait, "an answer");
}

static void rally(void *context, uint64_t rounds)
{
	while (rounds-- > 0)
		send(context, PING);
}

static void mark(void *context)
{
	send(context, MARK);
}

/* Waits for a message and says which; does not answer it. */
static uint64_t receive(struct match *match)
{
	match->number++;
	uint64_t ping = message(match->number, PING);
	for (struct wait wait = { 0 };; waiting(&match->meeting, &wait, "a message")) {
		uint64_t seen = load64(match->ping);
		if (seen == ping || seen == ping + MARK || seen == STOP)
			return seen;
	}
}

static void print_head(const struct match *match, uint64_t messages)
{
	char mapping[MAPPING_TEXT];
	mapping_type(&match->fam, match->offset, mapping);
	printf("{\"probe\": \"pingpong\", \"role\": \"%s\", \"variant\": \"%s\", \"offset\": %" PRIu64
	       ", \"mapping\": ", match->role, match->variant, match->offset);
	mapping_print(mapping);
	printf(", \"messages\": %" PRIu64 ", ", messages);
}

static void lead(struct match *match, struct batches *batches)
{
	batches->work = rally;
	batches->after = mark;
	batches->context = match;
	batches->meeting = &match->meeting;
	batches_run(batches);
	store64(match->ping, STOP);
	print_head(match, match->number);
	printf("\"round_trips\": %" PRIu64 ", ", batches->rounds);
	batches_print(batches);
}

static void follow(struct match *match, const struct batches *batches)
{
	static bool preempted[BATCHES_MAX]; /* a ring: the last marks are those of the batches that count */
	uint64_t marks = 0;
	struct preemption before = preemption_look();
	for (;;) {
		uint64_t seen = receive(match);
		if (seen == STOP)
			break;
		if (seen == message(match->number, MARK)) {
			preempted[marks++ % batches->count] = preempted_since(before);
			before = preemption_look();
			meeting_progress(&match->meeting, marks);
		}
		store64(match->pong, message(match->number, PONG));
	}
	if (marks < batches->count)
		fail("the other node gave up after %" PRIu64 " batches", marks);
	print_head(match, match->number - 1);
	printf("\"preempted\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%d", i == 0 ? "" : ", ", preempted[(marks + i) % batches->count]);
	printf("]");
}

COMMAND(pingpong, "FAM --role ping|pong --variant one-line|two-lines [--offset OFFSET] [BATCHES] MEETING\n"
		  "      Round trips between two nodes, in 256 bytes of FAM: one plays ping, one pong.")
{
	struct match match = { .meeting = MEETING_DEFAULTS };
	struct fam_request request = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &match.offset, false, false },
		{ "--role", TEXT, &match.role, true, false },
		{ "--variant", TEXT, &match.variant, true, false },
		MEETING_OPTIONS(match.meeting),
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	bool leads = strcmp(match.role, "ping") == 0, one_line = strcmp(match.variant, "one-line") == 0;
	if (!leads && strcmp(match.role, "pong") != 0)
		usage_error("--role is ping or pong, not '%.40s'", match.role);
	if (!one_line && strcmp(match.variant, "two-lines") != 0)
		usage_error("--variant is one-line or two-lines, not '%.40s'", match.variant);
	if (match.offset % LINES_APART != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", match.offset, LINES_APART);
	match.fam = fam_open(&request);
	char *lines = fam_map(&match.fam, match.offset, 2 * LINES_APART);
	match.ping = (uint64_t *)lines;
	match.pong = one_line ? match.ping : (uint64_t *)(lines + LINES_APART);
	meeting_open(&match.meeting, &match.fam);
	if (match.meeting.parties != 2)
		usage_error("--parties is 2 for a match, not %" PRIu64, match.meeting.parties);
	if (leads) {
		store64(match.ping, 0);
		store64(match.pong, 0);
	}
	meeting_start(&match.meeting);
	if (leads)
		lead(&match, &batches);
	else
		follow(&match, &batches);
	printf("}\n");
	return 0;
}
