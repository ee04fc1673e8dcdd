/* A short time in which a node does nothing. */
#ifndef FAME_LINGER_H
#define FAME_LINGER_H

#include <stdint.h>

/* Turns of an empty loop. Not `pause`, at which an emulator leaves its translated code. */
static inline void linger(uint64_t turns)
{
	while (turns-- > 0)
		__asm__ volatile("");
}

#endif
