/* How long a line is under way on a fabric, and the wait for it: what makes distance felt. */
#ifndef FAME_FABRIC_H
#define FAME_FABRIC_H

#include "directory.h"

/* The host's clock [ns]. */
uint64_t fabric_now(void);

/* Waits until a line that `node` asked for at `since` would have come from its home, by the host's figures; counts it.
 * Whatever was done since then is part of the wait. */
void fabric_wait(const struct directory *directory, unsigned node, uint64_t line, uint64_t since);

#endif
