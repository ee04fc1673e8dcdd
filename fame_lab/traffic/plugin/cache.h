/* The cache that a node has for lines of FAM: private, write-back, write-allocate, set-associative, empty at the start
 * of a recording. Which transactions an access causes is in traffic/transactions/cache.py, in words. */
#ifndef FAME_CACHE_H
#define FAME_CACHE_H

#include "directory.h"

#include <stdatomic.h>

struct cache {
	struct directory directory;
	unsigned node;
	int shared;       /* whether the node has several vCPUs */
	atomic_flag busy; /* then one of them at a time */
	/* Where the line of the access before is, which is mostly that of the next one. */
	uint64_t recent_line;
	uint32_t recent_way;
};

enum { ACCESS_LOAD = 1, ACCESS_STORE = 2, ACCESS_LOCKED = 4 };

/* 0 if the directory is what it should be, and has a part for the node, which has so many vCPUs. */
int cache_open(struct cache *cache, const char *path, unsigned node, unsigned vcpus);

/* One access of the node, which may lie across lines; what is in the control area does not count. A locked
 * instruction is one access, a store that loads too. */
void cache_access(struct cache *cache, uint64_t offset, uint64_t size, int access);

#endif
