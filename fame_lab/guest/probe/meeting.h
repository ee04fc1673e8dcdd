/* What a node needs that measures together with others: where they start together, how long it waits for
 * another, where it is told to give up, and where it tells how far it got. Every place is told by the
 * caller, who also clears it before each use. */
#ifndef FAME_MEETING_H
#define FAME_MEETING_H

#include "args.h"
#include "fam.h"

struct meeting {
	/* asked for: */
	uint64_t barrier_at;
	uint64_t parties;   /* 0: no barrier was asked for */
	uint64_t timeout_s;
	uint64_t release_at;  /* 0: nobody will tell */
	uint64_t progress_at; /* 0: nobody wants to know */
	uint64_t yields;      /* whether long waits sleep now and then: more nodes wait than the host has cores */
	/* while it lasts: */
	struct barrier *barrier;
	const uint64_t *release;
	uint64_t *progress;
};

#define MEETING_DEFAULTS { .timeout_s = 10 }
#define MEETING_OPTIONS(meeting) \
	{ "--barrier", U64, &(meeting).barrier_at, false, false }, \
	{ "--parties", U64, &(meeting).parties, false, false }, \
	{ "--timeout", U64, &(meeting).timeout_s, false, false }, \
	{ "--release", U64, &(meeting).release_at, false, false }, \
	{ "--progress", U64, &(meeting).progress_at, false, false }, \
	{ "--yield", U64, &(meeting).yields, false, false }

/* Checks what was asked for and maps it; call it before the measurement touches anything. */
void meeting_open(struct meeting *meeting, const struct fam *fam);

/* Waits until all parties are here; ends the program if they are not in time, or it is released.
 * Does nothing if no barrier was asked for. It can be called again, by all parties. */
void meeting_start(struct meeting *meeting);

/* Tells how far this node got, in whatever unit the probe counts. */
void meeting_progress(struct meeting *meeting, uint64_t done);

/* A wait for another node. Begin with { 0 }; look again and again, calling waiting() after each vain
 * look. Once in SPINS looks only, so that none of it is part of a wait that goes well, it reads the clock
 * and the release word, ends the program if the patience is spent or the node is released, and, where the
 * nodes are more than the host's cores and must take turns, sleeps now and then after a millisecond. */
enum { SPINS = 1 << 14 };
struct wait {
	uint64_t looks, began;
};
/* Takes and gives when the wait began, so that no wait need lie in memory: it would be part of each look. */
uint64_t waited_long(const struct meeting *meeting, uint64_t began, const char *what);
/* The same without the sleep, for who does something else meanwhile. */
uint64_t waits_on(const struct meeting *meeting, uint64_t began, const char *what);
static inline void waiting(struct meeting *meeting, struct wait *wait, const char *what)
{
	if (++wait->looks % SPINS == 0)
		wait->began = waited_long(meeting, wait->began, what);
}

/* Whether somebody has released this node: another is gone, or what it did is no longer wanted. */
bool meeting_released(const struct meeting *meeting);

#endif
