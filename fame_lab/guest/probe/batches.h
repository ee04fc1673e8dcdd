/* Many timed batches instead of one long run: a distribution, not one mean. */
#ifndef FAME_BATCHES_H
#define FAME_BATCHES_H

#include "args.h"
#include "meeting.h"

#include <stdbool.h>
#include <stdint.h>

/* For a function that is one timed loop: where an emulator translates code page by page, a loop across
 * the border of two is another loop, and whether it is would change with every line of this program. */
#define TIMED_LOOP __attribute__((aligned(512), noinline))

enum { BATCHES_MIN = 30, BATCHES_MAX = 1000, WARM_UP = 3 };

struct batches {
	/* asked for: */
	uint64_t count;
	uint64_t least_us; /* a batch lasts at least this long */
	/* the probe's own: */
	uint64_t shortest_us; /* what may be asked for; 0: 1000 */
	/* what one batch does `rounds` times, and what precedes and follows each untimed (or NULL): */
	void (*work)(void *context, uint64_t rounds);
	void (*before)(void *context);
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

/* Times batches of as many rounds as `rounds` says, whatever they take, for work whose amount must not
 * depend on time; the warm-up too. If one is shorter than a hundred times what reading the clock costs,
 * the program ends. */
void batches_run_exactly(struct batches *batches);

/* The members of a JSON object that hold what was found. */
void batches_print(const struct batches *batches);

/* What reading the clock costs, in nanoseconds. */
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
