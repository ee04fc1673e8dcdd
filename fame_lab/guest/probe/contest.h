/* contest: nodes that do the same at once, for a time in which none of them is out of it.
 *
 * Each warms up, says so, and goes on. When all are warm the window opens and each takes its batches; one
 * that has them all says so, and goes on. When all have them the window closes. So each batch of each node
 * was contended from its beginning to its end, and what the nodes did in the window can be compared.
 *
 * A batch ends with the first stretch of work that ends after the time asked for. Were the work fixed and
 * not the time, a node that the others starve would never be through with it, and one whose rivals lack a
 * core would be through too soon for the clock. A stretch grows until reading the clock after it is a small
 * part of it. Between two batches a node looks whether it was preempted, and does not contend. */
#ifndef FAME_CONTEST_H
#define FAME_CONTEST_H

#include "batches.h"
#include "lockstep.h"

#include <stdint.h>

enum { COUNTS_MAX = 3 };

struct contest {
	/* what a stretch does, and what it counts, by name: */
	void (*work)(void *context, uint64_t rounds, uint64_t *counts);
	void *context;
	const char *names[COUNTS_MAX]; /* NULL where there are fewer */
	/* found: */
	struct batches batches; /* how many and how long is asked for; its work is not used */
	uint64_t counted[COUNTS_MAX][BATCHES_MAX];
	uint64_t counts[COUNTS_MAX];    /* so far; in the end of all that was done, warm-up included */
	uint64_t in_window[COUNTS_MAX];
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

/* From the barrier to the end of the window. Ends the program if another node is gone or this one is
 * released. */
void contest_run(struct contest *contest);

/* The members of a JSON object that hold what was found: of each count the batches as NAME, what fell into
 * the window as window_NAME, and all as all_NAME. */
void contest_print(const struct contest *contest);

#endif
