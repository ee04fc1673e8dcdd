/* ring: how many messages a second go from one node to another through a queue in FAM.
 *
 * One producer, one consumer, and no lock, as Lamport showed (Specifying Concurrent Program Modules,
 * TOPLAS 1983): the producer alone writes the tail, the consumer alone the head, each in a line of its own.
 * Each keeps a copy of the other's index and looks anew only when the copy says full or empty, as in
 * FastForward's successors and folly's ProducerConsumerQueue. A message is its number and words that follow
 * from it; the consumer checks every one, and that is part of the time.
 *
 * The consumer times. Between batches it stops taking: the ring fills, and a producer that finds it full
 * looks whether it is asked something. So the asking costs nothing while messages flow. What had gathered
 * in the ring is taken before the next batch, lest it be counted as quickly sent. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "commands.h"
#include "meeting.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINES_APART = 128, SLOTS_AT = 2 * LINES_APART, SLOTS_MAX = 1 << 16, SIZE_MAX_BYTES = 1 << 20 };

/* In the control lines: the consumer's questions count up, the producer's answers follow. */
static const uint64_t STOP = UINT64_MAX;
struct consumer_line {
	uint64_t head, question;
};
struct producer_line {
	uint64_t tail, answer;
};

struct ring {
	struct region region;
	struct meeting *meeting;
	struct consumer_line *consumer;
	struct producer_line *producer;
	char *slots;
	uint64_t mask, words; /* slots less one, which are a power of two; 8-byte words in a message */
	bool fences;          /* write-combining stores linger and pass each other */
	uint64_t done, other; /* messages sent or received, and the other's index as last seen */
	uint64_t asked;
	/* the consumer's finds: */
	uint64_t wrong, first, first_word, expected, found;
};

static uint64_t *slot(const struct ring *ring, uint64_t number)
{
	return (uint64_t *)(ring->slots + (number & ring->mask) * ring->words * sizeof(uint64_t));
}

/* Word 0 is the message's number, from 1: memory that nobody wrote is no message. */
static inline uint64_t word_of(uint64_t number, uint64_t position)
{
	return position == 0 ? number : number * 0x9e3779b97f4a7c15u + position;
}

static inline void fence(const struct ring *ring)
{
	if (ring->fences)
		__asm__ volatile("mfence" : : : "memory");
}

static inline void publish(const struct ring *ring, uint64_t *index, uint64_t value)
{
	fence(ring);
	store64(index, value);
	fence(ring);
}

static void mismatch(struct ring *ring, uint64_t number, uint64_t position, uint64_t found)
{
	if (ring->first != 0)
		return;
	ring->first = number;
	ring->first_word = position;
	ring->expected = word_of(number, position);
	ring->found = found;
}

/* The other's index is ours to check: outside the ring it would never be reached. */
static void check_index(const struct ring *ring, uint64_t ahead, const char *whose)
{
	if (ahead > ring->mask + 1)
		fail("the %s is %" PRIu64 " messages ahead in a ring of %" PRIu64 ": someone else wrote to it", whose,
		     ahead, ring->mask + 1);
}

static inline void receive(struct ring *ring)
{
	if (ring->done == ring->other) {
		for (struct wait wait = { 0 }; (ring->other = load64(&ring->producer->tail)) == ring->done;)
			waiting(ring->meeting, &wait, "a message");
		check_index(ring, ring->other - ring->done, "tail");
		fence(ring);
	}
	const uint64_t *at = slot(ring, ring->done);
	uint64_t number = ring->done + 1, words = ring->words;
	bool wrong = false;
	for (uint64_t i = 0; i < words; i++) {
		uint64_t found = load64(at + i);
		if (found != word_of(number, i)) {
			mismatch(ring, number, i, found);
			wrong = true;
		}
	}
	ring->wrong += wrong;
	ring->done = number;
	publish(ring, &ring->consumer->head, number);
}

static void receive_many(struct ring *ring, uint64_t messages)
{
	while (messages-- > 0)
		receive(ring);
}

/* A batch is whole laps of the ring: where the nodes take turns on a core, it holds whole turns. */
static void laps(void *context, uint64_t rounds)
{
	struct ring *ring = context;
	receive_many(ring, rounds * (ring->mask + 1));
}

/* Takes what had gathered, and as much again, so that the batch begins as it goes on. */
static void flow(void *context)
{
	laps(context, 2);
}

/* Makes the producer look whether it was preempted, or end; it answers once the ring is full. */
static void ask(struct ring *ring, uint64_t question)
{
	publish(ring, &ring->consumer->question, question);
	for (struct wait wait = { 0 }; load64(&ring->producer->answer) != question;)
		waiting(ring->meeting, &wait, "the producer's answer");
}

static void mark(void *context)
{
	struct ring *ring = context;
	ask(ring, ++ring->asked);
}

static void consume(struct ring *ring, struct batches *batches)
{
	batches->work = laps;
	batches->before = flow;
	batches->after = mark;
	batches->context = ring;
	batches->meeting = ring->meeting;
	batches_run(batches);
	ask(ring, STOP);
	uint64_t tail = load64(&ring->producer->tail);
	check_index(ring, tail - ring->done, "tail");
	receive_many(ring, tail - ring->done);
	printf("\"messages\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"first_wrong\": %" PRIu64
	       ", \"first_word\": %" PRIu64 ", \"expected\": %" PRIu64 ", \"found\": %" PRIu64 ", ",
	       ring->done, ring->wrong, ring->first, ring->first_word, ring->expected, ring->found);
	printf("\"batch_messages\": %" PRIu64 ", ", batches->rounds * (ring->mask + 1));
	batches_print(batches);
}

/* The producer's marks of the batches that count, which are the last. */
struct marks {
	bool preempted[BATCHES_MAX];
	uint64_t count, wanted;
	struct preemption before;
};

/* While the ring is full. False if the consumer wants no more. */
static bool answer(struct ring *ring, struct marks *marks)
{
	uint64_t question = load64(&ring->consumer->question);
	if (question == ring->asked)
		return true;
	ring->asked = question;
	if (question != STOP) {
		marks->preempted[marks->count++ % marks->wanted] = preempted_since(marks->before);
		marks->before = preemption_look();
		meeting_progress(ring->meeting, marks->count);
	}
	publish(ring, &ring->producer->answer, question);
	return question != STOP;
}

/* Waits until the ring has room. False if the consumer wants no more. */
static inline bool make_room(struct ring *ring, struct marks *marks)
{
	if (ring->done - ring->other <= ring->mask)
		return true;
	for (struct wait wait = { 0 }; ring->done - (ring->other = load64(&ring->consumer->head)) > ring->mask;) {
		check_index(ring, ring->done - ring->other, "head");
		if (!answer(ring, marks))
			return false;
		waiting(ring->meeting, &wait, "room in the ring");
	}
	return true;
}

static void produce(struct ring *ring, const struct batches *batches)
{
	static struct marks marks;
	marks = (struct marks){ .wanted = batches->count, .before = preemption_look() };
	while (make_room(ring, &marks)) {
		uint64_t *at = slot(ring, ring->done), number = ring->done + 1, words = ring->words;
		for (uint64_t i = 0; i < words; i++)
			store64(at + i, word_of(number, i));
		ring->done = number;
		publish(ring, &ring->producer->tail, number);
	}
	if (marks.count < marks.wanted)
		fail("the consumer stopped after %" PRIu64 " batches", marks.count);
	printf("\"messages\": %" PRIu64 ", \"preempted\": [", ring->done);
	for (uint64_t i = 0; i < marks.wanted; i++)
		printf("%s%d", i == 0 ? "" : ", ", marks.preempted[(marks.count + i) % marks.wanted]);
	printf("]");
}

static void measure(struct ring *ring, bool produces, uint64_t size, struct batches *batches)
{
	ring->words = size / sizeof(uint64_t);
	ring->done = ring->other = ring->asked = ring->wrong = ring->first = 0;
	ring->first_word = ring->expected = ring->found = 0;
	publish(ring, produces ? &ring->producer->tail : &ring->consumer->head, 0);
	publish(ring, produces ? &ring->producer->answer : &ring->consumer->question, 0);
	meeting_start(ring->meeting);
	printf("{\"probe\": \"ring\", \"role\": \"%s\", \"slots\": %" PRIu64 ", \"message_size\": %" PRIu64 ", ",
	       produces ? "producer" : "consumer", ring->mask + 1, size);
	if (produces)
		produce(ring, batches);
	else
		consume(ring, batches);
	printf(", ");
	region_print(&ring->region);
	printf("}\n");
	/* Nobody clears what the other still reads. */
	meeting_start(ring->meeting);
}

COMMAND(ring, "FAM --role producer|consumer --sizes LIST [--slots N] [--offset OFFSET] [BATCHES] MEETING\n"
	      "      Messages of each size through a queue of N slots between two nodes, every word checked.")
{
	struct fam_request request = { 0 };
	struct meeting meeting = MEETING_DEFAULTS;
	const char *role = NULL;
	struct list sizes = { 0 };
	uint64_t offset = 0, slots = 64, largest = 0;
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--role", TEXT, &role, true, false },
		{ "--sizes", U64_LIST, &sizes, true, false },
		{ "--slots", U64, &slots, false, false },
		{ "--offset", U64, &offset, false, false },
		MEETING_OPTIONS(meeting),
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	bool produces = strcmp(role, "producer") == 0;
	if (!produces && strcmp(role, "consumer") != 0)
		usage_error("--role is producer or consumer, not '%.40s'", role);
	if (slots < 2 || slots > SLOTS_MAX || (slots & (slots - 1)) != 0)
		usage_error("--slots is a power of two from 2 to %d, not %" PRIu64, SLOTS_MAX, slots);
	for (size_t i = 0; i < sizes.count; i++) {
		if (sizes.at[i] == 0 || sizes.at[i] % sizeof(uint64_t) != 0 || sizes.at[i] > SIZE_MAX_BYTES)
			usage_error("a message has a multiple of 8 bytes, up to %d, not %" PRIu64, SIZE_MAX_BYTES,
				    sizes.at[i]);
		largest = sizes.at[i] > largest ? sizes.at[i] : largest;
	}
	if (offset % LINES_APART != 0)
		usage_error("offset %" PRIu64 " is not a multiple of %d", offset, LINES_APART);
	struct fam fam = fam_open(&request);
	meeting_open(&meeting, &fam);
	if (meeting.parties != 2)
		usage_error("--parties is 2 for a ring, not %" PRIu64, meeting.parties);
	uint64_t length = (SLOTS_AT + slots * largest + LINE - 1) / LINE * LINE;
	struct ring ring = { .meeting = &meeting, .mask = slots - 1 };
	ring.region = region_open(&request, "fam", offset, length);
	ring.fences = request.mapping != NULL && strcmp(request.mapping, "wc") == 0;
	ring.consumer = (struct consumer_line *)ring.region.at;
	ring.producer = (struct producer_line *)(ring.region.at + LINES_APART);
	ring.slots = ring.region.at + SLOTS_AT;
	for (size_t i = 0; i < sizes.count; i++)
		measure(&ring, produces, sizes.at[i], &batches);
	return 0;
}
