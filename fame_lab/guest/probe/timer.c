/* timer: what the clock is worth that all else is measured with.
 *
 * What a read of the clock costs, and one of the time stamp counter, as batches of reads. The clock's step:
 * the differences of reads that follow each other, whose smallest above zero it is, or the cost of a read if
 * that is more. Then, for as long as asked, the node answers the host: again and again it loads a question
 * from FAM, reads its clock, and stores both in one word. Whoever stored the question and sees it answered
 * knows that the clock was read in between, so that the guest's clock is set against the host's with an error
 * that is known, where SSH would add one that is not. Meanwhile the counter is set against the clock. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "clock.h"
#include "commands.h"
#include "mapping.h"
#include "tsc.h"

#include <inttypes.h>
#include <stdio.h>
#include <x86intrin.h>

enum { READS = 100, DIFFERENCES = 1000, NUMBER_BITS = 24, ENOUGH = 24 };
/* Nanoseconds that it answers at most beyond what was asked. */
static const uint64_t PATIENCE = 5000000000;

static TIMED_LOOP void read_clock(void *context, uint64_t rounds)
{
	(void)context;
	for (uint64_t i = 0; i < rounds * READS; i++)
		(void)now_ns();
}

static TIMED_LOOP void read_tsc(void *context, uint64_t rounds)
{
	(void)context;
	for (uint64_t i = 0; i < rounds * READS; i++)
		(void)__rdtsc();
}

static void cost(const char *what, void (*work)(void *context, uint64_t rounds), struct batches *batches)
{
	batches->work = work;
	batches_run(batches);
	printf("{\"probe\": \"timer\", \"of\": \"%s\", \"reads\": %" PRIu64 ", ", what, batches->rounds * READS);
	batches_print(batches);
	printf("}\n");
}

static void differences(void)
{
	static uint64_t reads[DIFFERENCES + 1];
	for (int warm = 0; warm < 2; warm++)
		for (int i = 0; i <= DIFFERENCES; i++)
			reads[i] = now_ns();
	printf("{\"probe\": \"timer\", \"of\": \"step\", \"difference_ns\": [");
	for (int i = 0; i < DIFFERENCES; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", reads[i + 1] - reads[i]);
	printf("]}\n");
}

/* The time since it began, at which the question was known, and the question: one store cannot be seen half.
 * Longer if hardly a question came, as where the host's processors are busy. */
static void answer(const uint64_t *question, uint64_t *answer, uint64_t ns)
{
	uint64_t began = now_ns(), since = 0, last = 0, questions = 0;
	while (since < ns || (questions < ENOUGH && since < ns + PATIENCE)) {
		uint64_t asked = load64(question) & ((UINT64_C(1) << NUMBER_BITS) - 1);
		since = now_ns() - began;
		store64(answer, since << NUMBER_BITS | asked);
		questions += asked != last;
		last = asked;
	}
}

COMMAND(timer, "FAM --question OFFSET --answer OFFSET [--ms 10..10000] [BATCHES, from 100 us on]\n"
	       "      What reading the clock costs, its step, and the time stamp counter. Then, for 100 ms, the node\n"
	       "      answers, or longer if it is hardly asked: it stores the time since then [ns] * 2^24 + the question.")
{
	struct fam_request request = { 0 };
	uint64_t question_at = 0, answer_at = 0, ms = 100;
	/* Such a batch does nothing but read clocks, and there need not be much of it. */
	static struct batches batches = { BATCH_DEFAULTS, .shortest_us = 100 };
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--question", U64, &question_at, true, false },
		{ "--answer", U64, &answer_at, true, false },
		{ "--ms", U64, &ms, false, false },
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	if (ms < 10 || ms > 10000)
		usage_error("--ms is from 10 to 10000, not %" PRIu64, ms);
	batches_check(&batches);
	struct fam fam = fam_open(&request);
	const uint64_t *question = fam_word(&fam, question_at);
	uint64_t *answers = fam_word(&fam, answer_at);
	char mapping[MAPPING_TEXT];
	mapping_type(&fam, answer_at, mapping);
	cost("clock", read_clock, &batches);
	cost("tsc", read_tsc, &batches);
	differences();
	struct tsc_pair first = tsc_pair();
	answer(question, answers, ms * 1000000);
	printf("{\"probe\": \"timer\", \"of\": \"clocks\", \"khz\": %.3f, \"mapping\": ", tsc_khz(first, tsc_pair()));
	mapping_print(mapping);
	printf("}\n");
	return 0;
}
