/* contest: nodes that do the same at once, for batches of time in which none of them is out of it.
 *
 * The nodes begin each batch together. When a node's time is up it notes what it did, says so, and goes on
 * until all have said so; then all pause together to look whether they were preempted. So each batch was
 * contended from its beginning to its end, and what the nodes did until the last one's time was up, in the
 * windows that they had in common, can be compared.
 *
 * A batch ends with the first stretch of work that ends after the time asked for. Were the work fixed and
 * not the time, a node that the others starve would never be through with it, and one whose rivals lack a
 * core would be through too soon for the clock. A stretch is made so long that reading the clock after it is
 * a small part of it. */
#ifndef FAME_CONTEST_H
#define FAME_CONTEST_H

#include "batches.h"
#include "lockstep.h"

#include <stdint.h>

enum { COUNTS_MAX = 3 };

struct contest {
	/* what a stretch does in so many rounds (none: it only brings the counts up to date), and what it
	 * counts, by name: */
	void (*work)(void *context, uint64_t rounds, uint64_t *counts);
	void *context;
	const char *names[COUNTS_MAX]; /* NULL where there are fewer */
	/* found: */
	struct batches batches; /* how many and how long is asked for; its work is not used */
	uint64_t counted[COUNTS_MAX][BATCHES_MAX];
	uint64_t counts[COUNTS_MAX];    /* so far; in the end of all that was done, warm-up included */
	uint64_t in_window[COUNTS_MAX]; /* of all batches, each until the last node's time was up */
	uint64_t window_ns;
	double timer_share; /* of a batch, at most, that went into reading the clock */
	/* while it lasts: */
	struct lockstep lockstep;
	struct meeting meeting;
	uint64_t rounds, now;
};

#define CONTEST_DEFAULTS .batches = { BATCH_DEFAULTS }, .meeting = MEETING_DEFAULTS
#define CONTEST_OPTIONS(contest) \
	BATCH_OPTIONS((contest).batches), MEETING_OPTIONS((contest).meeting), LOCKSTEP_OPTIONS((contest).lockstep)

/* Checks what was asked for and maps what nodes need to meet. */
void contest_open(struct contest *contest, const struct fam *fam);

/* From the barrier to the last batch. Ends the program if another node is gone or this one is released. */
void contest_run(struct contest *contest);

/* The members of a JSON object that hold what was found: of each count the batches as NAME, what fell into
 * the common windows as window_NAME, and all as all_NAME. */
void contest_print(const struct contest *contest);

#endif
