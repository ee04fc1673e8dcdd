/* lockstep: nodes of which none gets a step ahead of the others.
 *
 * Each says in a line of its own at which step it is, and looks at the others' lines. Unlike the barrier
 * of meeting.h it counts nothing with an atomic operation, which may be the very thing that is in doubt;
 * a node can look without waiting; and the last to come leaves no sooner than a line takes to travel. */
#ifndef FAME_LOCKSTEP_H
#define FAME_LOCKSTEP_H

#include "meeting.h"

#include <stdbool.h>
#include <stdint.h>

struct lockstep {
	/* asked for: */
	uint64_t lines_at; /* 128 bytes for each of the meeting's parties, cleared by the caller */
	uint64_t rank;     /* which of them is this node's, from 0 */
	/* while it lasts: */
	struct meeting *meeting;
	char *lines;
	uint64_t step;
};

#define LOCKSTEP_OPTIONS(lockstep) \
	{ "--steps", U64, &(lockstep).lines_at, true, false }, \
	{ "--rank", U64, &(lockstep).rank, true, false }

/* Checks what was asked for and maps it; the meeting is open already. */
void lockstep_open(struct lockstep *lockstep, struct meeting *meeting, const struct fam *fam);

/* Says that this node is at the next step. */
void lockstep_next(struct lockstep *lockstep);

/* Whether all are at this node's step, or further. */
bool lockstep_together(const struct lockstep *lockstep);

/* Goes to the next step and waits there for all; ends the program as waiting() does. */
void lockstep_wait(struct lockstep *lockstep, const char *what);

/* As waiting(), for a wait that may be for a node that has no core: it sleeps for a moment once in SPINS
 * vain looks, which is long after a node that has one would have answered. */
void waited_in_vain(struct meeting *meeting, struct wait *wait, const char *what);

/* How often it has: each is one voluntary switch, in which nobody took the CPU from this node. */
long naps_taken(void);

static inline void waiting_idly(struct meeting *meeting, struct wait *wait, const char *what)
{
	if (++wait->looks % SPINS == 0)
		waited_in_vain(meeting, wait, what);
}

#endif
