#include "barrier.h"

#include "args.h"
#include "atomic.h"
#include "clock.h"

#include <inttypes.h>

struct barrier {
	uint32_t arrived;
	char pad[60];
	uint32_t generation; /* in a line of its own: waiting nodes read it, arriving ones write the other */
	char pad_too[60];
};

struct barrier *barrier_open(const struct fam *fam, const struct barrier_request *request)
{
	if (request->timeout_s == 0 || request->timeout_s > 3600)
		usage_error("--timeout is from 1 to 3600 seconds, not %" PRIu64, request->timeout_s);
	if (request->parties == 0)
		return NULL;
	if (request->parties > 1024)
		usage_error("--parties is from 1 to 1024, not %" PRIu64, request->parties);
	if (request->offset % 128 != 0)
		usage_error("--barrier %" PRIu64 " is not a multiple of 128", request->offset);
	return fam_map(fam, request->offset, sizeof(struct barrier));
}

void barrier_wait(struct barrier *barrier, const struct barrier_request *request)
{
	if (barrier == NULL)
		return;
	uint32_t parties = (uint32_t)request->parties;
	uint32_t generation = load32(&barrier->generation);
	uint32_t here = fetch_add32(&barrier->arrived, 1) + 1;
	if (here > parties)
		fail("the barrier at %" PRIu64 " has %" PRIu32 " of %" PRIu32 " parties: was it cleared?",
		     request->offset, here, parties);
	if (here == parties) {
		*(volatile uint32_t *)&barrier->arrived = 0;
		fetch_add32(&barrier->generation, 1);
		return;
	}
	uint64_t deadline = now_ns() + request->timeout_s * 1000000000u;
	for (uint64_t spins = 0; load32(&barrier->generation) == generation; spins++) {
		if (now_ns() > deadline)
			fail("%" PRIu32 " of %" PRIu32 " parties came to the barrier within %" PRIu64 " s",
			     load32(&barrier->arrived), parties, request->timeout_s);
		/* With more nodes than host cores, the waiting ones must let the others run. */
		if (spins > 2000)
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
}
