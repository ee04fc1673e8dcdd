/* locks: nodes that take turns under a lock in FAM, by one of three algorithms.
 *
 * tas: test and test-and-set. A node looks until the word is 0 and then exchanges it; whoever is quickest
 * has it. ticket: a node draws a number and waits until it is served, so that all come in order, and all
 * look at the same word. mcs: each waits in a line of its own, linked into a queue (Mellor-Crummey and
 * Scott, Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors, TOCS 1991); nodes are
 * linked by number, for pointers mean nothing to another node.
 *
 * Under the lock a node increments a counter by a plain load and store, which must not lose any, and looks
 * who had it before. After its release it stays outside for a while, if asked to: else a node that has just
 * had a test-and-set lock is the quickest to have it again. Nodes contend as contest.h says. A wait naps now and then once it is long, for whoever
 * is next in a queue may have no core. */
#include "args.h"
#include "atomic.h"
#include "commands.h"
#include "contest.h"
#include "linger.h"
#include "mapping.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STRIDE = 128, NOBODY = 0, OUTSIDE_MAX = 1000000 };
enum { ACQUISITIONS, REPEATS, HAND_OVERS };

/* In FAM, each part in lines of its own. A node is known by its rank plus 1. */
struct place {
	uint64_t word; /* tas: who has it; ticket: the next number; mcs: the last in the queue */
	char pad[STRIDE - 8];
	uint64_t serving;
	char pad_too[STRIDE - 8];
	struct {
		uint64_t counter, owner, hand_overs;
		char pad[STRIDE - 24];
	} guarded;
	struct {
		uint64_t next, must_wait;
		char pad[STRIDE - 16];
	} queue[];
};

struct locker {
	const struct algorithm *algorithm;
	struct place *place;
	struct meeting *meeting;
	uint64_t me, parties, outside;
	uint64_t number; /* ticket: the one drawn */
};

struct algorithm {
	const char *name;
	void (*acquire)(struct locker *locker);
	void (*release)(struct locker *locker);
};

static void tas_acquire(struct locker *locker)
{
	uint64_t *word = &locker->place->word;
	struct wait wait = { 0 };
	while (load64(word) != NOBODY || exchange64(word, locker->me) != NOBODY)
		waiting_idly(locker->meeting, &wait, "the lock");
}

static void tas_release(struct locker *locker)
{
	store64(&locker->place->word, NOBODY);
}

static void ticket_acquire(struct locker *locker)
{
	struct wait wait = { 0 };
	locker->number = fetch_add64(&locker->place->word, 1);
	while (load64(&locker->place->serving) != locker->number)
		waiting_idly(locker->meeting, &wait, "its turn at the lock");
}

static void ticket_release(struct locker *locker)
{
	store64(&locker->place->serving, locker->number + 1);
}

static void mcs_acquire(struct locker *locker)
{
	struct place *place = locker->place;
	uint64_t mine = locker->me - 1;
	store64(&place->queue[mine].next, NOBODY);
	store64(&place->queue[mine].must_wait, 1);
	uint64_t before = exchange64(&place->word, locker->me);
	if (before == NOBODY)
		return;
	if (before > locker->parties)
		fail("the lock's queue holds %" PRIu64 ", which is no node: someone else wrote there", before);
	store64(&place->queue[before - 1].next, locker->me);
	struct wait wait = { 0 };
	while (load64(&place->queue[mine].must_wait) != 0)
		waiting_idly(locker->meeting, &wait, "its turn at the lock");
}

static void mcs_release(struct locker *locker)
{
	struct place *place = locker->place;
	uint64_t *next = &place->queue[locker->me - 1].next, after;
	if (load64(next) == NOBODY && compare_swap64(&place->word, locker->me, NOBODY) == locker->me)
		return;
	struct wait wait = { 0 };
	while ((after = load64(next)) == NOBODY)
		waiting_idly(locker->meeting, &wait, "the next in the lock's queue");
	if (after > locker->parties)
		fail("the lock's queue holds %" PRIu64 ", which is no node: someone else wrote there", after);
	store64(&place->queue[after - 1].must_wait, 0);
}

static const struct algorithm algorithms[] = {
	{ "tas", tas_acquire, tas_release },
	{ "ticket", ticket_acquire, ticket_release },
	{ "mcs", mcs_acquire, mcs_release },
};

static void take_turns(void *context, uint64_t rounds, uint64_t *counts)
{
	struct locker *locker = context;
	struct place *place = locker->place;
	uint64_t repeats = 0;
	for (uint64_t i = 0; i < rounds; i++) {
		locker->algorithm->acquire(locker);
		store64(&place->guarded.counter, load64(&place->guarded.counter) + 1);
		uint64_t before = load64(&place->guarded.owner);
		if (before == locker->me) {
			repeats++;
		} else {
			store64(&place->guarded.owner, locker->me);
			if (before != NOBODY)
				store64(&place->guarded.hand_overs, load64(&place->guarded.hand_overs) + 1);
		}
		locker->algorithm->release(locker);
		linger(locker->outside);
	}
	counts[ACQUISITIONS] += rounds;
	counts[REPEATS] += repeats;
	/* Of all nodes: what has passed in this node's time is the difference between two looks. */
	counts[HAND_OVERS] = load64(&place->guarded.hand_overs);
}

COMMAND(locks, "FAM --lock tas|ticket|mcs --offset OFFSET [--outside N] [BATCHES] MEETING STEPS\n"
	       "      Take turns with other nodes under a lock, in 384 bytes of FAM and 128 for each node. Between two\n"
	       "      turns a node stays outside for N turns of an empty loop; default 0.")
{
	static struct contest contest = { CONTEST_DEFAULTS,
					  .work = take_turns,
					  .names = { "acquisitions", "repeats", "hand_overs" } };
	struct fam_request request = { 0 };
	struct locker locker = { 0 };
	const char *lock = NULL;
	uint64_t offset = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--lock", TEXT, &lock, true, false },
		{ "--offset", U64, &offset, true, false },
		{ "--outside", U64, &locker.outside, false, false },
		CONTEST_OPTIONS(contest),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
		if (strcmp(algorithms[i].name, lock) == 0)
			locker.algorithm = &algorithms[i];
	if (locker.algorithm == NULL)
		usage_error("--lock is tas, ticket or mcs, not '%.40s'", lock);
	if (locker.outside > OUTSIDE_MAX)
		usage_error("--outside is from 0 to %d, not %" PRIu64, OUTSIDE_MAX, locker.outside);
	if (offset % STRIDE != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", offset, STRIDE);
	struct fam fam = fam_open(&request);
	contest_open(&contest, &fam);
	locker.parties = contest.meeting.parties;
	locker.place = fam_map(&fam, offset, sizeof *locker.place + locker.parties * STRIDE);
	locker.meeting = &contest.meeting;
	locker.me = contest.lockstep.rank + 1;
	contest.context = &locker;
	contest_run(&contest);

	char mapping[MAPPING_TEXT];
	mapping_type(&fam, offset, mapping);
	printf("{\"probe\": \"locks\", \"lock\": \"%s\", \"offset\": %" PRIu64 ", \"mapping\": ", lock, offset);
	mapping_print(mapping);
	printf(", ");
	contest_print(&contest);
	printf("}\n");
	return 0;
}
