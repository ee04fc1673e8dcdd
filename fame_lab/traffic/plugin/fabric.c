#include "fabric.h"

#include <time.h>

uint64_t fabric_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* As Books does it in spec/fam_layout.py. */
static unsigned home_of(const struct directory *directory, uint64_t line)
{
	const struct directory_header *header = directory->header;
	uint64_t book = line << LINE_SHIFT >> header->book_shift;
	return (unsigned)(header->interleaved ? book % header->nodes : book * header->nodes / header->books);
}

/* Takes a link for the time of one line, from `ready` on or when it is free. Returns when the line has begun [ps].
 * One word a link, so a QEMU that is killed leaves none taken. */
static uint64_t take(uint64_t *next_free, uint64_t ready, uint64_t line_ps)
{
	uint64_t free = __atomic_load_n(next_free, __ATOMIC_RELAXED), begin;
	do
		begin = free > ready ? free : ready;
	while (!__atomic_compare_exchange_n(next_free, &free, begin + line_ps, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return begin;
}

/* Several vCPUs of the node may wait at once. */
static void add(uint64_t *total, uint64_t value)
{
	__atomic_fetch_add(total, value, __ATOMIC_RELAXED);
}

void fabric_wait(const struct directory *directory, unsigned node, uint64_t line, uint64_t since)
{
	struct fabric *fabric = directory->fabric;
	struct node_totals *totals = node_totals(directory, node);
	unsigned home = home_of(directory, line);
	uint64_t began = since * 1000 - fabric->start_ns * 1000, arrives = began;
	if (home != node) {
		uint64_t sent = take(&fabric->outward[home].next_ps, began, fabric->line_ps);
		arrives = take(&fabric->inward[node].next_ps, sent, fabric->line_ps) + fabric->line_ps;
	}
	uint64_t asked = (arrives - began + 999) / 1000 + fabric->latency_ns[node][home], now = fabric_now();
	add(&totals->late, now - since >= asked);
	for (; now - since < asked; now = fabric_now())
		__builtin_ia32_pause();
	add(&totals->waits, 1);
	add(&totals->asked_ns, asked);
	add(&totals->waited_ns, now - since);
}
