/* pingpong: how long it takes until what one node does to a line is seen on another, as half a round trip.
 *
 * Two nodes take turns. Each waits for the other's message and puts its own in: by a store, on one line
 * that both write or on two with one writer each; by compare-and-swap, which waits and puts in at once,
 * so that the waiting node pulls at the line too, as core-to-core-latency does; or by a fetch-and-add.
 * Two nodes' clocks have an offset that nobody knows, so that only the round trip can be timed, and its
 * half is a mean of both ways: it is the pair's, whichever of the two begins. */
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

enum variant { ONE_LINE, TWO_LINES, CAS, FETCH_ADD, VARIANTS };
static const char *const names[VARIANTS] = { "one-line", "two-lines", "cas", "fetch-add" };

struct match {
	const char *role;
	enum variant variant;
	uint64_t offset;
	struct fam fam;
	struct meeting meeting;
	uint64_t *ping, *pong; /* the same word if they share a line */
	uint64_t number;       /* of messages so far */
};

/* Puts a message in the place of the one that its writer has just seen. */
static inline void put(struct match *match, uint64_t *word, uint64_t seen, uint64_t next,
		       enum variant variant)
{
	uint64_t held = seen;
	if (variant == CAS)
		held = compare_swap64(word, seen, next);
	else if (variant == FETCH_ADD)
		held = fetch_add64(word, next - seen);
	else
		store64(word, next);
	if (held != seen)
		fail("someone else wrote to the line at offset %" PRIu64, match->offset);
}

static inline void await_answer(struct match *match)
{
	uint64_t answer = message(match->number, PONG);
	for (struct wait wait = { 0 }; load64(match->pong) != answer;)
		waiting(&match->meeting, &wait, "an answer");
}

/* Waits for the answer to the last message, and puts in the next. */
static inline void serve(struct match *match, int what, enum variant variant)
{
	uint64_t answer = message(match->number, PONG), next = message(match->number + 1, what);
	if (variant == CAS) {
		for (struct wait wait = { 0 }; compare_swap64(match->ping, answer, next) != answer;)
			waiting(&match->meeting, &wait, "an answer");
	} else {
		await_answer(match);
		put(match, match->ping, answer, next, variant);
	}
	match->number++;
}

/* The variant is a constant in each of the loops that this becomes. */
__attribute__((always_inline)) static inline void rally_by(struct match *match, uint64_t rounds,
							   enum variant variant)
{
	while (rounds-- > 0)
		serve(match, PING, variant);
	await_answer(match);
}

static void rally(void *context, uint64_t rounds)
{
	struct match *match = context;
	switch (match->variant) {
	case CAS:
		return rally_by(match, rounds, CAS);
	case FETCH_ADD:
		return rally_by(match, rounds, FETCH_ADD);
	default:
		return rally_by(match, rounds, ONE_LINE);
	}
}

static void mark(void *context)
{
	struct match *match = context;
	serve(match, MARK, match->variant);
	await_answer(match);
}

/* Waits for a message and says which. A ping is answered, anything else is not. */
__attribute__((always_inline)) static inline uint64_t receive_by(struct match *match, enum variant variant)
{
	match->number++;
	uint64_t ping = message(match->number, PING), pong = message(match->number, PONG), seen;
	for (struct wait wait = { 0 };; waiting(&match->meeting, &wait, "a message")) {
		seen = variant == CAS ? compare_swap64(match->ping, ping, pong) : load64(match->ping);
		if (seen == ping || seen == ping + MARK || seen == STOP)
			break;
	}
	if (seen == ping && variant != CAS)
		put(match, match->pong, seen, pong, variant);
	return seen;
}

static uint64_t receive(struct match *match)
{
	switch (match->variant) {
	case CAS:
		return receive_by(match, CAS);
	case FETCH_ADD:
		return receive_by(match, FETCH_ADD);
	default:
		return receive_by(match, ONE_LINE);
	}
}

static void print_head(const struct match *match, uint64_t messages)
{
	char mapping[MAPPING_TEXT];
	mapping_type(&match->fam, match->offset, mapping);
	printf("{\"probe\": \"pingpong\", \"role\": \"%s\", \"variant\": \"%s\", \"offset\": %" PRIu64
	       ", \"mapping\": ", match->role, names[match->variant], match->offset);
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
	for (uint64_t seen; (seen = receive(match)) != STOP;) {
		if (seen != message(match->number, MARK))
			continue;
		preempted[marks++ % batches->count] = preempted_since(before);
		before = preemption_look();
		meeting_progress(&match->meeting, marks);
		put(match, match->pong, seen, message(match->number, PONG), match->variant);
	}
	if (marks < batches->count)
		fail("the other node gave up after %" PRIu64 " batches", marks);
	print_head(match, match->number - 1);
	printf("\"preempted\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%d", i == 0 ? "" : ", ", preempted[(marks + i) % batches->count]);
	printf("]");
}

static enum variant find_variant(const char *name)
{
	for (int variant = 0; variant < VARIANTS; variant++)
		if (strcmp(name, names[variant]) == 0)
			return (enum variant)variant;
	usage_error("--variant is one-line, two-lines, cas or fetch-add, not '%.40s'", name);
}

COMMAND(pingpong, "FAM --role ping|pong --variant one-line|two-lines|cas|fetch-add [--offset OFFSET]\n"
		  "      [BATCHES] MEETING\n"
		  "      Round trips between two nodes, in 256 bytes of FAM: one plays ping, one pong.")
{
	struct match match = { .meeting = MEETING_DEFAULTS };
	struct fam_request request = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	const char *variant = NULL;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &match.offset, false, false },
		{ "--role", TEXT, &match.role, true, false },
		{ "--variant", TEXT, &variant, true, false },
		MEETING_OPTIONS(match.meeting),
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	bool leads = strcmp(match.role, "ping") == 0;
	if (!leads && strcmp(match.role, "pong") != 0)
		usage_error("--role is ping or pong, not '%.40s'", match.role);
	match.variant = find_variant(variant);
	if (match.offset % LINES_APART != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", match.offset, LINES_APART);
	match.fam = fam_open(&request);
	char *lines = fam_map(&match.fam, match.offset, 2 * LINES_APART);
	match.ping = (uint64_t *)lines;
	match.pong = match.variant == TWO_LINES ? (uint64_t *)(lines + LINES_APART) : match.ping;
	meeting_open(&match.meeting, &match.fam);
	if (match.meeting.parties != 2)
		usage_error("--parties is 2 for a match, not %" PRIu64, match.meeting.parties);
	if (leads) {
		store64(match.ping, message(0, PONG));
		store64(match.pong, message(0, PONG));
	}
	meeting_start(&match.meeting);
	if (leads)
		lead(&match, &batches);
	else
		follow(&match, &batches);
	printf("}\n");
	return 0;
}
