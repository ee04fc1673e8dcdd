/* Where nodes start together. Its place is told by the caller, who also clears it before each use. */
#ifndef FAME_BARRIER_H
#define FAME_BARRIER_H

#include "fam.h"

struct barrier_request {
	uint64_t offset;
	uint64_t parties; /* 0: no barrier was asked for */
	uint64_t timeout_s;
};

/* Checks the request and maps the barrier; call it before the measurement touches anything. */
struct barrier *barrier_open(const struct fam *fam, const struct barrier_request *request);

/* Waits until all parties are here; ends the program if they are not in time. No-op for NULL. */
void barrier_wait(struct barrier *barrier, const struct barrier_request *request);

#endif
