/* The file in which a node's accesses are counted. The host makes it, and maps it with numpy while this
 * plugin counts: counter_layout.py has the same layout. All of it little-endian.
 *
 * A page of header; then for each vCPU, so that two threads never add to one counter: a struct tally for each
 * book of FAM, from its own page on, and one for each granule, again from its own page on. */
#ifndef FAME_COUNTERS_H
#define FAME_COUNTERS_H

#include <stdint.h>

enum { COUNTERS_VERSION = 3, HEADER_SIZE = 4096 };
#define COUNTERS_MAGIC "FAMETRAC"

struct tally {
	uint64_t loads, stores, load_bytes, store_bytes;
};

/* What the plugin is doing. */
enum state { LOADED = 1, COUNTING_POSSIBLE = 2, RESTING = 3 };

/* What the host wants it to be ready for: to instrument code, of which there is none before; or as well, but the code
 * that was instrumented earlier is kept apart and good. */
enum wanted { WANTED_ANEW = 1, WANTED_AGAIN = 2 };

struct header {
	char magic[8];
	uint32_t version;
	uint32_t vcpus;      /* how many vCPUs have a place */
	uint64_t fam_size;   /* bytes */
	uint64_t books_at;   /* offset of the first vCPU's tallies of books */
	uint64_t granules_at; /* offset of the first vCPU's tallies of granules */
	uint64_t stride;     /* bytes from one vCPU's to the next one's */
	uint32_t book_shift; /* log2 of a book's bytes */
	uint32_t unused;
	uint64_t user_size; /* bytes of FAM before its control area, which is in no book */
	/* a line of what the host says while the node runs: */
	uint64_t base;          /* the physical address, as QEMU tells it to plugins, of FAM's first byte */
	uint32_t granule_shift; /* log2 of a granule's bytes; changed while nothing is recorded */
	uint32_t recording;     /* whether to count */
	uint32_t wanted;        /* of enum wanted; 0 for nothing */
	uint32_t instrument;    /* whether each access in code that is translated from now on calls the plugin */
	uint32_t short_cut;     /* whether to find FAM by fam_place, and not by base */
	uint32_t caching;       /* whether accesses go through the node's cache, too (cache.h) */
	uint32_t timing;        /* whether to take the time of accesses */
	char pad_too[28];
	/* a line of what the plugin says: */
	uint32_t state;
	uint32_t pid;
	uint64_t fam_place; /* what a place in FAM's first byte looks like to the short cut; 0: not known */
	uint32_t doubts;    /* whether the short cut was seen to go wrong; this and the above are the host's to clear */
	uint32_t unused_too;
	uint64_t timed;    /* how many accesses were timed, */
	uint64_t timed_ns; /* and the time from the first to the last; the host's to clear, too */
};

#endif
