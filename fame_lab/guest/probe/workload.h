/* What the workloads have in common: their memory, their random numbers, and how one is run. */
#ifndef FAME_WORKLOAD_H
#define FAME_WORKLOAD_H

#include "meeting.h"
#include "random.h"
#include "spread.h"
#include "zipf.h"

#include <stdbool.h>
#include <stdint.h>

struct job {
	/* asked for: */
	uint64_t rank; /* this node's number among those that take part, from 0 */
	uint64_t seed;
	uint64_t operations; /* of one batch */
	uint64_t stride;     /* bytes */
	uint64_t theta_ppm;  /* how uneven zipf is, in millionths */
	uint64_t reads_ppm;  /* how many of a key-value store's operations read, in millionths */
	struct spread private; /* this node's own data */
	struct spread shared;  /* data of all; the node of rank 0 makes it ready */
	struct meeting meeting;
	/* while it lasts: */
	uint64_t random; /* the state of this node's random numbers: the seed's number of its rank, from 0 */
	uint64_t *drawn; /* what the next batch needs of them, a number for each operation */
	uint64_t place;  /* where a walk is */
	struct zipf zipf;
	uint64_t writes, retries, torn; /* of a key-value store */
};

struct workload {
	const char *name;
	bool private, shared; /* what memory it takes */
	/* Checks and makes ready; or NULL. Every node does, before the barrier. */
	void (*set_up)(struct job *job);
	/* Draws a batch's random numbers, untimed, and counts the accesses that they decide. Or NULL. */
	void (*draw)(struct job *job);
	/* Does one batch's operations, and counts what was not counted when it was drawn. */
	void (*work)(void *job, uint64_t operations);
	/* How many operations a batch has if not those asked for; or NULL. */
	uint64_t (*operations)(const struct job *job);
};

extern const struct workload sequential_workload, strided_workload, random_workload, zipf_workload;
extern const struct workload stream_workload, gups_workload;
extern const struct workload histogram_shared_workload, histogram_private_workload, kv_workload;

#endif
