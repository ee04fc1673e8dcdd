/* histogram-shared, histogram-private: how often each value occurs among random samples, each as likely.
 *
 * Shared: every sample is one atomic add to bins that all nodes share. Private: it is a load and a store in
 * bins of the node's own; at the end of each batch what is in them is added atomically to the shared ones,
 * and they are emptied. Either way the shared bins have all the samples of all nodes in the end. */
#include "workload.h"

#include "batches.h"

static void empty(struct spread *bins)
{
	for (uint64_t i = 0; i < bins->words; i++)
		spread_store(bins, i, 0);
}

static void shared_set_up(struct job *job)
{
	if (job->rank == 0)
		empty(&job->shared);
}

static void private_set_up(struct job *job)
{
	if (job->private.words != job->shared.words)
		usage_error("histogram-private takes as many private bins as shared ones");
	shared_set_up(job);
	empty(&job->private);
}

/* A load and a store for each sample, be it an atomic add or not. */
static void draw(struct job *job, struct spread *bins)
{
	for (uint64_t i = 0; i < job->operations; i++) {
		job->drawn[i] = random_below(&job->random, bins->words);
		spread_loaded(bins, job->drawn[i], 1);
		spread_stored(bins, job->drawn[i], 1);
	}
}

static void shared_draw(struct job *job)
{
	draw(job, &job->shared);
}

static void private_draw(struct job *job)
{
	draw(job, &job->private);
}

static TIMED_LOOP void shared_work(void *context, uint64_t samples)
{
	struct job *job = context;
	for (uint64_t i = 0; i < samples; i++)
		fetch_add64(job->shared.at + job->drawn[i], 1);
}

static TIMED_LOOP void private_work(void *context, uint64_t samples)
{
	struct job *job = context;
	uint64_t *bins = job->private.at;
	for (uint64_t i = 0; i < samples; i++) {
		uint64_t *bin = bins + job->drawn[i];
		store64(bin, load64(bin) + 1);
	}
	for (uint64_t i = 0; i < job->private.words; i++) {
		spread_add(&job->shared, i, spread_load(&job->private, i));
		spread_store(&job->private, i, 0);
	}
}

const struct workload histogram_shared_workload = { .name = "histogram-shared",
						    .shared = true,
						    .set_up = shared_set_up,
						    .draw = shared_draw,
						    .work = shared_work };

const struct workload histogram_private_workload = { .name = "histogram-private",
						     .private = true,
						     .shared = true,
						     .set_up = private_set_up,
						     .draw = private_draw,
						     .work = private_work };
