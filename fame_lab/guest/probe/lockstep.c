#include "lockstep.h"

#include "atomic.h"

#include <inttypes.h>
#include <time.h>

enum { STRIDE = 128, NAP_NS = 20000 };

static uint64_t *line(const struct lockstep *lockstep, uint64_t rank)
{
	return (uint64_t *)(lockstep->lines + rank * STRIDE);
}

void lockstep_open(struct lockstep *lockstep, struct meeting *meeting, const struct fam *fam)
{
	if (meeting->parties == 0)
		usage_error("--parties is missing; see --help");
	if (lockstep->rank >= meeting->parties)
		usage_error("--rank is from 0 to %" PRIu64 ", not %" PRIu64, meeting->parties - 1, lockstep->rank);
	if (lockstep->lines_at % STRIDE != 0)
		usage_error("--steps %" PRIu64 " is not a multiple of %d", lockstep->lines_at, STRIDE);
	lockstep->meeting = meeting;
	lockstep->lines = fam_map(fam, lockstep->lines_at, meeting->parties * STRIDE);
}

void lockstep_next(struct lockstep *lockstep)
{
	/* Nobody else stores there. Exchanged so that all stores before it, write-combining ones too, are out. */
	exchange64(line(lockstep, lockstep->rank), ++lockstep->step);
}

bool lockstep_together(const struct lockstep *lockstep)
{
	for (uint64_t rank = 0; rank < lockstep->meeting->parties; rank++)
		if (load64(line(lockstep, rank)) < lockstep->step)
			return false;
	return true;
}

void lockstep_wait(struct lockstep *lockstep, const char *what)
{
	struct wait wait = { 0 };
	lockstep_next(lockstep);
	while (!lockstep_together(lockstep))
		waiting_idly(lockstep->meeting, &wait, what);
}

static long naps;

long naps_taken(void)
{
	return naps;
}

void waited_in_vain(struct meeting *meeting, struct wait *wait, const char *what)
{
	wait->began = waits_on(meeting, wait->began, what);
	naps++;
	nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
}
