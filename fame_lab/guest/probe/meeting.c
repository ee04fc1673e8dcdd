#include "meeting.h"

#include "atomic.h"
#include "clock.h"

#include <inttypes.h>

enum { PATIENCE_NS = 1000000, SLEEP_NS = 50000 };

struct barrier {
	uint32_t arrived;
	char pad[60];
	uint32_t generation; /* in a line of its own: waiting nodes read it, arriving ones write the other */
	char pad_too[60];
};

void meeting_open(struct meeting *meeting, const struct fam *fam)
{
	if (meeting->timeout_s == 0 || meeting->timeout_s > 3600)
		usage_error("--timeout is from 1 to 3600 seconds, not %" PRIu64, meeting->timeout_s);
	if (meeting->release_at != 0)
		meeting->release = fam_word(fam, meeting->release_at);
	if (meeting->progress_at != 0)
		meeting->progress = fam_word(fam, meeting->progress_at);
	if (meeting->parties == 0)
		return;
	if (meeting->parties > 1024)
		usage_error("--parties is from 1 to 1024, not %" PRIu64, meeting->parties);
	if (meeting->barrier_at % 128 != 0)
		usage_error("--barrier %" PRIu64 " is not a multiple of 128", meeting->barrier_at);
	meeting->barrier = fam_map(fam, meeting->barrier_at, sizeof(struct barrier));
}

bool meeting_released(const struct meeting *meeting)
{
	return meeting->release != NULL && load64(meeting->release) != 0;
}

uint64_t waits_on(const struct meeting *meeting, uint64_t began, const char *what)
{
	if (meeting_released(meeting))
		fail("released while it waited for %s", what);
	uint64_t now = now_ns();
	if (began == 0)
		began = now;
	if (now - began > meeting->timeout_s * 1000000000u)
		fail("no sign of %s within %" PRIu64 " s: another node is gone", what, meeting->timeout_s);
	return began;
}

uint64_t waited_long(const struct meeting *meeting, uint64_t began, const char *what)
{
	began = waits_on(meeting, began, what);
	/* So long a wait means that the other is not running, and it may be this CPU that it lacks. Nothing
	 * is timed that this would disturb, and the sleep shows as a preemption. The patience before it is
	 * far longer than the sleep, or two nodes that once slept would find each other asleep ever after. */
	if (meeting->yields && now_ns() - began > PATIENCE_NS)
		nanosleep(&(struct timespec){ .tv_nsec = SLEEP_NS }, NULL);
	return began;
}

void meeting_progress(struct meeting *meeting, uint64_t done)
{
	if (meeting->progress != NULL)
		store64(meeting->progress, done);
}

void meeting_start(struct meeting *meeting)
{
	struct barrier *barrier = meeting->barrier;
	if (barrier == NULL)
		return;
	uint32_t parties = (uint32_t)meeting->parties;
	uint32_t generation = load32(&barrier->generation);
	uint32_t here = fetch_add32(&barrier->arrived, 1) + 1;
	if (here > parties)
		fail("the barrier at %" PRIu64 " has %" PRIu32 " of %" PRIu32 " parties: was it cleared?",
		     meeting->barrier_at, here, parties);
	if (here == parties) {
		*(volatile uint32_t *)&barrier->arrived = 0;
		fetch_add32(&barrier->generation, 1);
		return;
	}
	uint64_t deadline = now_ns() + meeting->timeout_s * 1000000000u;
	for (uint64_t spins = 0; load32(&barrier->generation) == generation; spins++) {
		if (meeting_released(meeting))
			fail("released at the barrier");
		if (now_ns() > deadline)
			fail("%" PRIu32 " of %" PRIu32 " parties came to the barrier within %" PRIu64 " s",
			     load32(&barrier->arrived), parties, meeting->timeout_s);
		/* With more nodes than host cores, the waiting ones must let the others run. */
		if (spins > 2000)
			nanosleep(&(struct timespec){ .tv_nsec = SLEEP_NS }, NULL);
	}
}
