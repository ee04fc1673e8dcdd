/* gups: HPCC's RandomAccess, updates of random words of one table that all nodes share. Word i begins as i;
 * each random number is exclusive-ored into the word that it picks, by a load and a store. That is not atomic,
 * as HPCC has it: of two nodes' updates to one word at once, one may be lost. Which words they should have
 * come to, anyone who knows the seed can work out. */
#include "workload.h"

#include "batches.h"

static void gups_set_up(struct job *job)
{
	if (job->rank == 0)
		for (uint64_t i = 0; i < job->shared.words; i++)
			spread_store(&job->shared, i, i);
}

/* A number's word: the high half of the product, as random_below() has it. */
static inline uint64_t picked(uint64_t number, uint64_t words)
{
	return (uint64_t)(((unsigned __int128)number * words) >> 64);
}

static void gups_draw(struct job *job)
{
	struct spread *table = &job->shared;
	for (uint64_t i = 0; i < job->operations; i++) {
		uint64_t word = picked(job->drawn[i] = random_next(&job->random), table->words);
		spread_loaded(table, word, 1);
		spread_stored(table, word, 1);
	}
}

static TIMED_LOOP void gups_work(void *context, uint64_t operations)
{
	struct job *job = context;
	uint64_t *table = job->shared.at, words = job->shared.words;
	for (uint64_t i = 0; i < operations; i++) {
		uint64_t number = job->drawn[i], *word = table + picked(number, words);
		store64(word, load64(word) ^ number);
	}
}

const struct workload gups_workload = {
	.name = "gups", .shared = true, .set_up = gups_set_up, .draw = gups_draw, .work = gups_work
};
