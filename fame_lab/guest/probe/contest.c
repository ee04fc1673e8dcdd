#include "contest.h"

#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A stretch lasts at least this many times what reading the clock costs, which is then half a percent of
 * it; and not very much longer, for it is also how late a batch ends. */
enum { STRETCH = 200, STRETCH_MOST = 8 * STRETCH };

void contest_open(struct contest *contest, const struct fam *fam)
{
	batches_check(&contest->batches);
	meeting_open(&contest->meeting, fam);
	lockstep_open(&contest->lockstep, &contest->meeting, fam);
}

static void stretch(struct contest *contest)
{
	uint64_t began = contest->now;
	contest->work(contest->context, contest->rounds, contest->counts);
	contest->now = now_ns();
	double took = (double)(contest->now - began), timer = contest->batches.timer_ns;
	if (took < STRETCH * timer)
		contest->rounds *= 2;
	else if (took > STRETCH_MOST * timer && contest->rounds > 1)
		contest->rounds /= 2;
}

static void note(struct contest *contest, uint64_t number, uint64_t began, const uint64_t *before, uint64_t readings)
{
	struct batches *batches = &contest->batches;
	batches->ns[number] = contest->now - began;
	for (int i = 0; i < COUNTS_MAX; i++)
		contest->counted[i][number] = contest->counts[i] - before[i];
	double share = (double)readings * batches->timer_ns / (double)batches->ns[number];
	if (share > contest->timer_share)
		contest->timer_share = share;
}

static void batch(struct contest *contest, uint64_t number)
{
	struct batches *batches = &contest->batches;
	struct lockstep *lockstep = &contest->lockstep;
	uint64_t before[COUNTS_MAX], readings = 1;
	struct preemption preemption = preemption_look();
	preemption.switches -= naps_taken();
	lockstep_wait(lockstep, "another node to begin a batch");

	contest->work(contest->context, 0, contest->counts); /* what others have done meanwhile is not this batch's */
	memcpy(before, contest->counts, sizeof before);
	uint64_t began = contest->now = now_ns();
	do {
		stretch(contest);
		readings++;
	} while (contest->now - began < batches->least_us * 1000);
	note(contest, number, began, before, readings);

	uint64_t waits = 0;
	lockstep_next(lockstep);
	while (!lockstep_together(lockstep)) {
		stretch(contest);
		waits = waits_on(&contest->meeting, waits, "another node to end a batch");
	}
	contest->window_ns += now_ns() - began;
	for (int i = 0; i < COUNTS_MAX; i++)
		contest->in_window[i] += contest->counts[i] - before[i];
	preemption.switches += naps_taken();
	batches->preempted[number] = preempted_since(preemption);
	if (meeting_released(&contest->meeting))
		fail("released between two batches");
}

void contest_run(struct contest *contest)
{
	struct batches *batches = &contest->batches;
	batches->timer_ns = timer_cost();
	contest->rounds = 1;
	meeting_start(&contest->meeting);
	for (int i = 0; i < WARM_UP; i++)
		batch(contest, 0);
	contest->timer_share = 0;
	contest->window_ns = 0;
	memset(contest->in_window, 0, sizeof contest->in_window);
	for (uint64_t i = 0; i < batches->count; i++) {
		batch(contest, i);
		meeting_progress(&contest->meeting, i + 1);
	}
}

void contest_print(const struct contest *contest)
{
	batches_print(&contest->batches);
	printf(", \"timer_share\": %.6f, \"window_ns\": %" PRIu64, contest->timer_share, contest->window_ns);
	for (int i = 0; i < COUNTS_MAX && contest->names[i] != NULL; i++) {
		const char *name = contest->names[i];
		printf(", \"%s\": [", name);
		for (uint64_t j = 0; j < contest->batches.count; j++)
			printf("%s%" PRIu64, j == 0 ? "" : ", ", contest->counted[i][j]);
		printf("], \"window_%s\": %" PRIu64 ", \"all_%s\": %" PRIu64, name, contest->in_window[i], name,
		       contest->counts[i]);
	}
}
