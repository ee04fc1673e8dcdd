#include "contest.h"

#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A stretch lasts at least this many times what reading the clock costs: half a percent. */
enum { STRETCH = 200 };

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
	if ((double)(contest->now - began) < STRETCH * contest->batches.timer_ns)
		contest->rounds *= 2;
}

static void batch(struct contest *contest, uint64_t number)
{
	struct batches *batches = &contest->batches;
	uint64_t before[COUNTS_MAX], readings = 1;
	memcpy(before, contest->counts, sizeof before);
	struct preemption preemption = preemption_look();
	uint64_t began = contest->now = now_ns();
	do {
		stretch(contest);
		readings++;
	} while (contest->now - began < batches->least_us * 1000);
	batches->ns[number] = contest->now - began;
	batches->preempted[number] = preempted_since(preemption);
	for (int i = 0; i < COUNTS_MAX; i++)
		contest->counted[i][number] = contest->counts[i] - before[i];
	double share = (double)readings * batches->timer_ns / (double)batches->ns[number];
	if (share > contest->timer_share)
		contest->timer_share = share;
	if (meeting_released(&contest->meeting))
		fail("released in the middle of its batches");
}

/* Goes to the next step, and goes on contending until all are there. */
static void go_on(struct contest *contest, const char *what)
{
	struct wait wait = { 0 };
	lockstep_next(&contest->lockstep);
	while (!lockstep_together(&contest->lockstep)) {
		contest->now = now_ns();
		stretch(contest);
		waited_long(&contest->meeting, &wait, what);
	}
}

void contest_run(struct contest *contest)
{
	struct batches *batches = &contest->batches;
	batches->timer_ns = timer_cost();
	contest->rounds = 1;
	meeting_start(&contest->meeting);
	for (int i = 0; i < WARM_UP; i++)
		batch(contest, 0);
	go_on(contest, "the others' warm-up");
	contest->timer_share = 0;
	memcpy(contest->in_window, contest->counts, sizeof contest->counts);
	uint64_t opened = now_ns();
	for (uint64_t i = 0; i < batches->count; i++) {
		batch(contest, i);
		meeting_progress(&contest->meeting, i + 1);
	}
	go_on(contest, "the others' batches");
	contest->window_ns = now_ns() - opened;
	for (int i = 0; i < COUNTS_MAX; i++)
		contest->in_window[i] = contest->counts[i] - contest->in_window[i];
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
