/* The file through which a node's accesses go to the host in their order, one bounded ring a vCPU. The host
 * makes it and drains it (ring_buffer.py has the same layout); when a ring is full, what comes is lost and
 * counted. All of it little-endian. */
#ifndef FAME_ORDER_H
#define FAME_ORDER_H

#include <stdint.h>

enum { ORDER_VERSION = 1, ORDER_HEADER_SIZE = 8192, ORDER_MOST_VCPUS = 32 };
#define ORDER_MAGIC "FAMEORDR"

enum { ORDER_LOAD = 1, ORDER_STORE = 2, ORDER_CONTINUED = 4 };

struct access {
	uint64_t ns;     /* CLOCK_MONOTONIC of the host: one clock for every node */
	uint64_t offset; /* in FAM */
	uint32_t size;   /* bytes, of this page */
	uint32_t kind;   /* ORDER_LOAD or ORDER_STORE, with ORDER_CONTINUED for the rest on another page */
};

struct order_header {
	char magic[8];
	uint32_t version;
	uint32_t vcpus;
	uint64_t capacity; /* records a ring, a power of two */
	uint32_t wanted;   /* by the host: whether to write at all */
	char pad[36];
	struct {
		/* a line that the plugin writes, and one that the host does: */
		uint64_t written, lost;
		char pad[48];
		uint64_t drained;
		char pad_too[56];
	} rings[ORDER_MOST_VCPUS];
};

/* Maps the file; 0 if it is what it should be. */
int order_open(const char *path);

/* Writes down one access, if that is wanted. */
void order_add(unsigned vcpu, uint64_t offset, uint32_t size, uint32_t kind);

#endif
