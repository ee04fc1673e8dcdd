/* kv: a key-value store that all nodes share: a table in which each key has one 64-byte record of its own, and
 * reads and writes of whole records, the keys by zipf, scattered over the table.
 *
 * A record is a version and seven words of value, kept by a sequence lock: a writer makes the version odd by
 * compare-and-swap, stores the value, and makes it even again; a reader loads the version, the value and the
 * version again, and tries anew unless both were the same even number. The seven words of a value follow from
 * the first, in which its key is: a value torn or another key's is seen by each read, and counted. Fences, for
 * a write-combining mapping keeps no order by itself. A record lies in one stripe, and so at one home. */
#include "workload.h"

#include "batches.h"

#include <emmintrin.h>

enum { RECORD = 8, VALUE = 7 };

static uint64_t word_of(uint64_t first, uint64_t number)
{
	return first ^ number * 0x9e3779b97f4a7c15u;
}

static void kv_set_up(struct job *job)
{
	struct spread *table = &job->shared;
	if (table->words % RECORD != 0 || table->words / RECORD > UINT32_MAX)
		usage_error("a key-value store takes whole records of %d bytes, 2^32 at most", RECORD * 8);
	job->zipf = zipf_open(table->words / RECORD, (double)job->theta_ppm / 1e6);
	for (uint64_t i = 0; job->rank == 0 && i < table->words; i++)
		spread_store(table, i, i % RECORD == 0 ? 0 : word_of(i / RECORD, i % RECORD - 1));
}

/* Twice the key, and one more to write. */
static void kv_draw(struct job *job)
{
	for (uint64_t i = 0; i < job->operations; i++) {
		uint64_t key = zipf_scattered(&job->zipf, zipf_next(&job->zipf, &job->random));
		job->drawn[i] = key * 2 + (random_below(&job->random, 1000000) >= job->reads_ppm);
	}
}

static void try_again(struct job *job, struct wait *wait)
{
	job->retries++;
	waiting(&job->meeting, wait, "the end of a write to a record");
}

static void get(struct job *job, uint64_t key)
{
	const uint64_t *record = job->shared.at + key * RECORD;
	uint64_t value[VALUE];
	for (struct wait wait = { 0 };; try_again(job, &wait)) {
		uint64_t version = load64(record);
		spread_loaded(&job->shared, key * RECORD, 1);
		if (version % 2 != 0)
			continue;
		_mm_lfence();
		for (uint64_t i = 0; i < VALUE; i++)
			value[i] = load64(record + 1 + i);
		_mm_lfence();
		bool unchanged = load64(record) == version;
		spread_loaded(&job->shared, key * RECORD, VALUE + 1);
		if (unchanged)
			break;
	}
	bool whole = (uint32_t)value[0] == key;
	for (uint64_t i = 1; i < VALUE; i++)
		whole = whole && value[i] == word_of(value[0], i);
	job->torn += !whole;
}

static void put(struct job *job, uint64_t key)
{
	uint64_t *record = job->shared.at + key * RECORD, version;
	for (struct wait wait = { 0 };; try_again(job, &wait)) {
		version = spread_load(&job->shared, key * RECORD);
		if (version % 2 == 0 && spread_swap(&job->shared, key * RECORD, version, version + 1) == version)
			break;
	}
	/* No two writes of all nodes store the same. */
	uint64_t first = (++job->writes * job->meeting.parties + job->rank) << 32 | key;
	for (uint64_t i = 0; i < VALUE; i++)
		store64(record + 1 + i, word_of(first, i));
	_mm_sfence();
	store64(record, version + 2);
	_mm_sfence();
	spread_stored(&job->shared, key * RECORD, VALUE + 1);
}

static TIMED_LOOP void kv_work(void *context, uint64_t operations)
{
	struct job *job = context;
	for (uint64_t i = 0; i < operations; i++) {
		if (job->drawn[i] % 2 == 0)
			get(job, job->drawn[i] / 2);
		else
			put(job, job->drawn[i] / 2);
	}
}

const struct workload kv_workload = {
	.name = "kv", .shared = true, .set_up = kv_set_up, .draw = kv_draw, .work = kv_work
};
