/* sequential, strided, random, zipf: loads from this node's own data, one an operation.
 *
 * Sequential loads word after word and begins anew at the end. Strided loads a word every so many bytes;
 * each time that it reaches the end it begins one word further, so that it comes to all words in the end.
 * Random loads any word, each as likely; zipf a few often and most seldom, those scattered over the data. */
#include "workload.h"

#include "batches.h"

#include <inttypes.h>

static TIMED_LOOP void sequential_work(void *context, uint64_t operations)
{
	struct job *job = context;
	struct spread *data = &job->private;
	while (operations > 0) {
		uint64_t left = data->words - job->place;
		uint64_t piece = spread_piece(data, job->place, left < operations ? left : operations);
		const uint64_t *at = data->at + job->place, *end = at + piece;
#pragma clang loop unroll_count(8)
		while (at < end)
			(void)load64(at++);
		spread_loaded(data, job->place, piece);
		operations -= piece;
		job->place = piece == left ? 0 : job->place + piece;
	}
}

static void strided_set_up(struct job *job)
{
	uint64_t size = job->private.words * sizeof(uint64_t);
	if (job->stride == 0 || job->stride % sizeof(uint64_t) != 0 || size % job->stride != 0)
		usage_error("--stride %" PRIu64 " is not a multiple of 8 that divides the %" PRIu64 " bytes", job->stride,
			    size);
}

static TIMED_LOOP void strided_work(void *context, uint64_t operations)
{
	struct job *job = context;
	struct spread *data = &job->private;
	uint64_t stride = job->stride / sizeof(uint64_t);
	while (operations > 0) {
		uint64_t words = spread_piece(data, job->place, data->words - job->place);
		uint64_t piece = (words + stride - 1) / stride;
		piece = piece < operations ? piece : operations;
		const uint64_t *at = data->at + job->place, *end = at + piece * stride;
#pragma clang loop unroll_count(8)
		for (; at < end; at += stride)
			(void)load64(at);
		spread_loaded(data, job->place, piece);
		operations -= piece;
		job->place += piece * stride;
		if (job->place >= data->words)
			job->place = (job->place - data->words + 1) % stride;
	}
}

static void random_draw(struct job *job)
{
	for (uint64_t i = 0; i < job->operations; i++) {
		job->drawn[i] = random_below(&job->random, job->private.words);
		spread_loaded(&job->private, job->drawn[i], 1);
	}
}

static TIMED_LOOP void drawn_work(void *context, uint64_t operations)
{
	struct job *job = context;
	const uint64_t *at = job->private.at;
#pragma clang loop unroll_count(8)
	for (uint64_t i = 0; i < operations; i++)
		(void)load64(at + job->drawn[i]);
}

static void zipf_set_up(struct job *job)
{
	if (job->private.words > UINT32_MAX)
		usage_error("zipf takes 2^32 words at most");
	job->zipf = zipf_open(job->private.words, (double)job->theta_ppm / 1e6);
}

static void zipf_draw(struct job *job)
{
	for (uint64_t i = 0; i < job->operations; i++) {
		job->drawn[i] = zipf_scattered(&job->zipf, zipf_next(&job->zipf, &job->random));
		spread_loaded(&job->private, job->drawn[i], 1);
	}
}

const struct workload sequential_workload = { .name = "sequential", .private = true, .work = sequential_work };

const struct workload strided_workload = {
	.name = "strided", .private = true, .set_up = strided_set_up, .work = strided_work
};

const struct workload random_workload = {
	.name = "random", .private = true, .draw = random_draw, .work = drawn_work
};

const struct workload zipf_workload = {
	.name = "zipf", .private = true, .set_up = zipf_set_up, .draw = zipf_draw, .work = drawn_work
};
