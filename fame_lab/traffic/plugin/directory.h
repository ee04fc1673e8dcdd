/* The line directory: one file a lab, mapped by the plugin of every node. It says which nodes hold which line of FAM
 * in their caches, and has each node's cache and counts. The host makes it: transactions/layout.py has the same
 * layout. All of it little-endian, and a hole until it is touched.
 *
 * A page of header; the figures of a fabric; a record for each line; then a part for each node: a page of totals, its counts by book and by
 * granule, what it lost of each line, how it lost each line last, and the ways of its cache. */
#ifndef FAME_DIRECTORY_H
#define FAME_DIRECTORY_H

#include <stdint.h>

enum { DIRECTORY_VERSION = 1, DIRECTORY_HEADER_SIZE = 4096, MOST_NODES = 40, MOST_WAYS = 64, LINE_SHIFT = 6 };
#define DIRECTORY_MAGIC "FAMELINE"

/* What is counted: transactions, and the causes of misses. */
enum count {
	FILL,           /* 64 bytes from the line's home */
	FILL_OWNERSHIP, /* 64 bytes from the line's home, to be changed */
	FORWARD,        /* 64 bytes from the node that had changed them */
	WRITE_BACK,     /* 64 bytes to the line's home */
	UPGRADE,        /* a copy may be changed now */
	INVALIDATE,     /* another node's copy is no more */
	ATOMIC,         /* done by the home's memory itself */
	COLD,           /* a miss: this node never had the line */
	CAPACITY,       /* a miss: its cache had no room for it any more */
	COHERENCE,      /* a miss: it lost the line to another node, or gave it up for an atomic */
	COUNTS
};

struct counts {
	uint64_t of[COUNTS];
};

/* A line's state over all nodes, as in MESI. */
enum line_state { NOBODYS, SHARED, EXCLUSIVE, MODIFIED };

/* A line's record, changed as a whole by compare-and-swap, so that no killed QEMU can leave it locked or torn. */
struct record {
	uint64_t holders; /* a bit a node; then from STATE_SHIFT on the state, and from TAKER_SHIFT on the node that last
	                     took the line from others */
	uint64_t bytes;   /* which bytes its store stored that took it; 0 if none ever did */
};
enum { STATE_SHIFT = 40, TAKER_SHIFT = 42, TAKER_END = 48 };

/* How a node parted with a line that it had. */
enum past { NEVER_HAD, EVICTED, LOST };

/* What a node lost of one line, added up. */
struct loss {
	uint64_t takers;                  /* a bit a node */
	uint64_t own_bytes, taken_bytes;  /* which bytes this node had accessed, and which the takers stored */
	uint32_t false_sharing, sharing;  /* losses without a common byte, and with one */
};

/* A node's page of totals, which it alone changes. */
struct node_totals {
	uint64_t invalidations[MOST_NODES]; /* copies that this node's stores took, by the node that had them */
	uint64_t evictions, losses, drops;  /* lines that left its cache: for want of room, taken, given up */
	uint64_t accesses;                  /* of lines, hits too; also the clock for what was used least recently */
	/* waits for lines, how long they should be and were, and how many were over before they began: */
	uint64_t waits, asked_ns, waited_ns, late;
};

struct directory_header {
	char magic[8];
	uint32_t version;
	uint32_t nodes;
	uint64_t user_size;  /* bytes of FAM before its control area, which has no records */
	uint64_t lines_at;   /* offset of the first record */
	uint64_t nodes_at;   /* offset of the first node's part */
	uint64_t stride;     /* bytes from one node's part to the next one's */
	uint64_t books_at;   /* in a node's part: its struct counts of books */
	uint64_t granules_at; /* and of granules */
	uint64_t losses_at;  /* a struct loss a line */
	uint64_t pasts_at;   /* a byte a line, of enum past */
	uint64_t ways_at;    /* its cache */
	uint32_t book_shift; /* log2 of a book's bytes */
	uint32_t interleaved; /* whether neighbouring books are at home on neighbouring nodes */
	/* what the host says while nothing is recorded: */
	uint64_t sets;          /* of each cache, a power of two */
	uint32_t ways;          /* of each set */
	uint32_t granule_shift; /* log2 of a granule's bytes */
	uint32_t hardware;      /* whether caches are coherent */
	uint32_t memory_atomics; /* whether the home's memory does locked instructions */
	/* and at any time: */
	uint64_t alive; /* a bit a node that takes part: what others held counts no more */
	/* fixed again: */
	uint64_t fabric_at; /* offset of the fabric's figures */
	uint64_t books;     /* how many there are */
	/* while nothing is recorded: */
	uint32_t waits; /* whether a miss waits for its line */
};

/* The figures of a fabric, by the host, dilated; and its links, one a line of the host's caches. */
struct link {
	uint64_t next_ps; /* when it is free, since start_ns */
	char pad[56];
};
struct fabric {
	uint64_t start_ns; /* of the host's clock */
	uint64_t line_ps;  /* time of a line on a link */
	char pad[48];
	uint32_t latency_ns[MOST_NODES][MOST_NODES]; /* by initiator and home */
	struct link inward[MOST_NODES], outward[MOST_NODES];
};

struct directory {
	struct directory_header *header;
	struct record *records;
	struct fabric *fabric;
	uint64_t lines;
};

/* What a record said before it was changed. */
struct before {
	uint64_t others; /* the other nodes that held the line */
	int held;        /* whether this one did */
	enum line_state state;
	unsigned taker;
	uint64_t bytes;
};

/* Maps the file; 0 if it is what it should be. */
int directory_open(struct directory *directory, const char *path);

/* Whether the node holds the line, as far as the record's first half says; and all that it says. */
static inline int directory_has(const struct directory *directory, unsigned node, uint64_t line)
{
	return __atomic_load_n(&directory->records[line].holders, __ATOMIC_ACQUIRE) >> node & 1;
}
struct before directory_look(const struct directory *directory, unsigned node, uint64_t line);
/* The node loads the line: it is one of its holders then. */
struct before directory_load(const struct directory *directory, unsigned node, uint64_t line);
/* The node stores `bytes` of the line: it is its only holder then. */
struct before directory_store(const struct directory *directory, unsigned node, uint64_t line, uint64_t bytes);
/* The line's home changes `bytes` for the node: nobody holds it then. */
struct before directory_take(const struct directory *directory, unsigned node, uint64_t line, uint64_t bytes);
/* The node parts with the line. */
struct before directory_leave(const struct directory *directory, unsigned node, uint64_t line);

/* Parts of a node. */
struct node_totals *node_totals(const struct directory *directory, unsigned node);
struct loss *node_loss(const struct directory *directory, unsigned node, uint64_t line);
uint8_t *node_past(const struct directory *directory, unsigned node, uint64_t line);
uint64_t *node_ways(const struct directory *directory, unsigned node);
/* What the node itself does is counted by itself alone; its write-backs also by a node that takes a line from it. */
void node_count(const struct directory *directory, unsigned node, enum count count, uint64_t line, uint64_t times);
void node_write_back(const struct directory *directory, unsigned node, uint64_t line);

#endif
