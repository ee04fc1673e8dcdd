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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

/* A message is its number times four and what it is. After each batch a mark makes both sides look
 * whether they were preempted in it, untimed. */
enum { PING = 0, PONG = 1, MARK = 2 };
static const uint64_t STOP = UINT64_MAX;
static uint64_t message(uint64_t number, int what)
{
	return number * 4 + (uint64_t)what;
}

enum { LINES_APART = 128 };
#define OTHERS "someone else wrote to the lines that are measured"

enum variant { ONE_LINE, TWO_LINES, CAS, FETCH_ADD, VARIANTS };

/* What a message changes. The loops keep a copy of their own, which stays in registers. */
struct turn {
	uint64_t *ping, *pong; /* the same word if they share a line */
	uint64_t number;       /* of messages so far */
	uint64_t left;         /* what the responder left, or found, where it waits for the next */
};

struct match {
	const char *role;
	enum variant variant;
	uint64_t offset;
	struct fam fam;
	struct meeting meeting;
	struct turn turn;
};

/* Puts a message in the place of the one that its writer has just seen. */
static inline void put(uint64_t *word, uint64_t seen, uint64_t next, enum variant variant)
{
	uint64_t held = seen;
	if (variant == CAS)
		held = compare_swap64(word, seen, next);
	else if (variant == FETCH_ADD)
		held = fetch_add64(word, next - seen);
	else
		store64(word, next);
	if (held != seen)
		fail(OTHERS);
}

/* What follows a swap that fails decides how hard a side pulls at the line, and so how long the other's swap
 * takes: a counter of looks makes half a round trip a tenth shorter. So nothing but the next swap follows, as
 * in core-to-core-latency, and what waiting() looks after is for an alarm, now and then. */
static struct {
	const struct meeting *meeting;
	const uint64_t *word;
	uint64_t held, began; /* what the word held at the last alarm, and since when, if it was the same before */
} swaps;

static void on_alarm(int number)
{
	(void)number;
	uint64_t held = load64(swaps.word);
	if (held != swaps.held)
		swaps.began = 0;
	swaps.held = held;
	swaps.began = waited_long(swaps.meeting, swaps.began, "the other side");
}

static void watch_swaps(const struct match *match)
{
	long period_us = match->meeting.yields ? 1000 : 20000;
	struct itimerval period = { { 0, period_us }, { 0, period_us } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	swaps.meeting = &match->meeting;
	swaps.word = match->turn.ping;
	if (match->variant != CAS)
		return;
	if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &period, NULL) != 0)
		fail("cannot set an alarm");
}

static void leave_swaps(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL);
}

static inline void await_answer(struct meeting *meeting, const struct turn *turn)
{
	uint64_t answer = message(turn->number, PONG);
	for (struct wait wait = { 0 }; load64(turn->pong) != answer;)
		waiting(meeting, &wait, "an answer");
}

/* Waits for the answer to the last message, and puts in the next. */
static inline void serve(struct meeting *meeting, struct turn *turn, int what, enum variant variant)
{
	uint64_t answer = message(turn->number, PONG), next = message(turn->number + 1, what);
	if (variant == CAS) {
		while (compare_swap64(turn->ping, answer, next) != answer)
			;
	} else {
		await_answer(meeting, turn);
		put(turn->ping, answer, next, variant);
	}
	turn->number++;
}

/* Serves so often, and waits for the last answer. */
static inline void serve_all(struct match *match, uint64_t rounds, int what, enum variant variant)
{
	struct turn turn = match->turn;
	while (rounds-- > 0)
		serve(&match->meeting, &turn, what, variant);
	await_answer(&match->meeting, &turn);
	match->turn = turn;
}

static void mark(void *context)
{
	struct match *match = context;
	serve_all(match, 1, MARK, match->variant);
}

/* Answers pings until something else is there, and gives that. */
static inline uint64_t answer_all(struct match *match, enum variant variant)
{
	struct turn turn = match->turn;
	uint64_t ping, pong, seen;
	do {
		turn.number++;
		ping = message(turn.number, PING), pong = message(turn.number, PONG);
		if (variant == CAS) {
			while ((seen = compare_swap64(turn.ping, ping, pong)) == turn.left)
				;
		} else {
			for (struct wait wait = { 0 }; (seen = load64(turn.ping)) == turn.left;)
				waiting(&match->meeting, &wait, "a message");
			if (seen == ping)
				put(turn.pong, seen, pong, variant);
		}
		turn.left = turn.ping == turn.pong ? pong : seen;
	} while (seen == ping);
	match->turn = turn;
	return seen;
}

/* Each variant has loops of its own, in which it is a constant. */
#define LOOPS(NAME, VARIANT) \
	static TIMED_LOOP void NAME##_pings(void *context, uint64_t rounds) \
	{ \
		serve_all(context, rounds, PING, VARIANT); \
	} \
	static TIMED_LOOP uint64_t NAME##_pongs(struct match *match) \
	{ \
		return answer_all(match, VARIANT); \
	}
LOOPS(store, ONE_LINE)
LOOPS(cas, CAS)
LOOPS(fetch_add, FETCH_ADD)

static const struct {
	const char *name;
	void (*pings)(void *context, uint64_t rounds);
	uint64_t (*pongs)(struct match *match);
} variants[VARIANTS] = {
	[ONE_LINE] = { "one-line", store_pings, store_pongs },
	[TWO_LINES] = { "two-lines", store_pings, store_pongs },
	[CAS] = { "cas", cas_pings, cas_pongs },
	[FETCH_ADD] = { "fetch-add", fetch_add_pings, fetch_add_pongs },
};

static void print_head(const struct match *match, uint64_t messages)
{
	char mapping[MAPPING_TEXT];
	mapping_type(&match->fam, match->offset, mapping);
	printf("{\"probe\": \"pingpong\", \"role\": \"%s\", \"variant\": \"%s\", \"offset\": %" PRIu64
	       ", \"mapping\": ", match->role, variants[match->variant].name, match->offset);
	mapping_print(mapping);
	printf(", \"messages\": %" PRIu64 ", ", messages);
}

static void lead(struct match *match, struct batches *batches)
{
	batches->work = variants[match->variant].pings;
	batches->after = mark;
	batches->context = match;
	batches->meeting = &match->meeting;
	watch_swaps(match);
	batches_run(batches);
	leave_swaps();
	store64(match->turn.ping, STOP);
	print_head(match, match->turn.number);
	printf("\"round_trips\": %" PRIu64 ", ", batches->rounds);
	batches_print(batches);
}

static void follow(struct match *match, const struct batches *batches)
{
	static bool preempted[BATCHES_MAX]; /* a ring: the last marks are those of the batches that count */
	uint64_t marks = 0;
	watch_swaps(match);
	struct preemption before = preemption_look();
	for (uint64_t seen; (seen = variants[match->variant].pongs(match)) != STOP;) {
		if (seen != message(match->turn.number, MARK))
			fail(OTHERS);
		preempted[marks++ % batches->count] = preempted_since(before);
		before = preemption_look();
		meeting_progress(&match->meeting, marks);
		put(match->turn.pong, seen, message(match->turn.number, PONG), match->variant);
	}
	leave_swaps();
	if (marks < batches->count)
		fail("the other node gave up after %" PRIu64 " batches", marks);
	print_head(match, match->turn.number - 1);
	printf("\"preempted\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%d", i == 0 ? "" : ", ", preempted[(marks + i) % batches->count]);
	printf("]");
}

static enum variant find_variant(const char *name)
{
	for (int variant = 0; variant < VARIANTS; variant++)
		if (strcmp(name, variants[variant].name) == 0)
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
	struct turn *turn = &match.turn;
	turn->ping = (uint64_t *)lines;
	turn->pong = match.variant == TWO_LINES ? (uint64_t *)(lines + LINES_APART) : turn->ping;
	turn->left = message(0, PONG);
	meeting_open(&match.meeting, &match.fam);
	if (match.meeting.parties != 2)
		usage_error("--parties is 2 for a match, not %" PRIu64, match.meeting.parties);
	if (leads) {
		store64(turn->ping, turn->left);
		store64(turn->pong, turn->left);
	}
	meeting_start(&match.meeting);
	if (leads)
		lead(&match, &batches);
	else
		follow(&match, &batches);
	printf("}\n");
	return 0;
}
