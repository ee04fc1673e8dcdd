/* Many timed batches instead of one long run: a distribution, not one mean. */
#ifndef FAME_BATCHES_H
#define FAME_BATCHES_H

#include "args.h"
#include "meeting.h"

#include <stdbool.h>
#include <stdint.h>

enum { BATCHES_MIN = 30, BATCHES_MAX = 1000, WARM_UP = 3 };

struct batches {
	/* asked for: */
	uint64_t count;
	uint64_t least_us; /* a batch lasts at least this long */
	/* what one batch does `rounds` times, and what follows each batch untimed (or NULL): */
	void (*work)(void *context, uint64_t rounds);
	void (*after)(void *context);
	void *context;
	struct meeting *meeting; /* told how many batches are done; or NULL */
	/* found: */
	uint64_t rounds;
	double fastest_ns; /* the fastest round so far, calibration and warm-up included */
	double timer_ns;   /* what reading the clock costs */
	uint64_t ns[BATCHES_MAX];
	bool preempted[BATCHES_MAX];
};

#define BATCH_DEFAULTS .count = 50, .least_us = 1000
#define BATCH_OPTIONS(batches) \
	{ "--batches", U64, &(batches).count, false, false }, \
	{ "--batch-us", U64, &(batches).least_us, false, false }

/* Ends the program if what was asked for cannot be. */
void batches_check(const struct batches *batches);

/* Finds how many rounds make a batch, drops the warm-up, times the batches. None is shorter than was
 * asked for, nor than a hundred times what reading the clock costs, or the program ends. */
void batches_run(struct batches *batches);

/* The members of a JSON object that hold what was found. */
void batches_print(const struct batches *batches);

/* Nanoseconds that reading the clock costs. */
double timer_cost(void);

/* How often, and for how long in ticks, something else has had this CPU: two looks that differ mean
 * that the guest was preempted between them. */
struct preemption {
	long switches;
	uint64_t steal;
};
struct preemption preemption_look(void);
bool preempted_since(struct preemption earlier);

#endif
