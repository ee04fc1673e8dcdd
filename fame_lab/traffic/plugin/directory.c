#include "directory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES ((UINT64_C(1) << MOST_NODES) - 1)

/* The same bits, as what the processor compares and swaps at once. */
union word {
	struct record record;
	unsigned __int128 whole;
};

static char *part_of(const struct directory *directory, unsigned node)
{
	const struct directory_header *header = directory->header;
	return (char *)directory->header + header->nodes_at + node * header->stride;
}

struct node_totals *node_totals(const struct directory *directory, unsigned node)
{
	return (struct node_totals *)part_of(directory, node);
}

struct loss *node_loss(const struct directory *directory, unsigned node, uint64_t line)
{
	return (struct loss *)(part_of(directory, node) + directory->header->losses_at) + line;
}

uint8_t *node_past(const struct directory *directory, unsigned node, uint64_t line)
{
	return (uint8_t *)part_of(directory, node) + directory->header->pasts_at + line;
}

uint64_t *node_ways(const struct directory *directory, unsigned node)
{
	return (uint64_t *)(part_of(directory, node) + directory->header->ways_at);
}

static struct counts *book_of(const struct directory *directory, unsigned node, uint64_t line)
{
	const struct directory_header *header = directory->header;
	struct counts *first = (struct counts *)(part_of(directory, node) + header->books_at);
	return first + (line << LINE_SHIFT >> header->book_shift);
}

static struct counts *granule_of(const struct directory *directory, unsigned node, uint64_t line)
{
	const struct directory_header *header = directory->header;
	struct counts *first = (struct counts *)(part_of(directory, node) + header->granules_at);
	return first + (line << LINE_SHIFT >> header->granule_shift);
}

void node_count(const struct directory *directory, unsigned node, enum count count, uint64_t line, uint64_t times)
{
	book_of(directory, node, line)->of[count] += times;
	granule_of(directory, node, line)->of[count] += times;
}

void node_write_back(const struct directory *directory, unsigned node, uint64_t line)
{
	__atomic_fetch_add(&book_of(directory, node, line)->of[WRITE_BACK], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&granule_of(directory, node, line)->of[WRITE_BACK], 1, __ATOMIC_RELAXED);
}

static struct before before_of(const struct directory *directory, struct record record, unsigned node)
{
	uint64_t alive = __atomic_load_n(&directory->header->alive, __ATOMIC_RELAXED);
	uint64_t holders = record.holders & NODES & alive, me = UINT64_C(1) << node;
	return (struct before){
		.others = holders & ~me,
		.held = (holders & me) != 0,
		.state = holders ? (enum line_state)(record.holders >> STATE_SHIFT & 3) : NOBODYS,
		.taker = (unsigned)(record.holders >> TAKER_SHIFT & 63),
		.bytes = record.bytes,
	};
}

static struct record record_of(uint64_t holders, enum line_state state, unsigned taker, uint64_t bytes)
{
	return (struct record){
		.holders = holders | (uint64_t)state << STATE_SHIFT | (uint64_t)taker << TAKER_SHIFT,
		.bytes = bytes,
	};
}

/* Each change is a function of what was before, tried until nothing came in between. */
typedef struct record change(struct before before, unsigned node, uint64_t bytes);

static struct record loaded(struct before before, unsigned node, uint64_t bytes)
{
	(void)bytes;
	uint64_t me = UINT64_C(1) << node;
	return record_of(before.others | me, before.others ? SHARED : EXCLUSIVE, before.taker, before.bytes);
}

static struct record stored(struct before before, unsigned node, uint64_t bytes)
{
	uint64_t me = UINT64_C(1) << node;
	if (before.others)
		return record_of(me, MODIFIED, node, bytes);
	return record_of(me, MODIFIED, before.taker, before.bytes);
}

static struct record taken(struct before before, unsigned node, uint64_t bytes)
{
	if (before.others)
		return record_of(0, NOBODYS, node, bytes);
	return record_of(0, NOBODYS, before.taker, before.bytes);
}

static struct record left(struct before before, unsigned node, uint64_t bytes)
{
	(void)node;
	(void)bytes;
	return record_of(before.others, before.others ? before.state : NOBODYS, before.taker, before.bytes);
}

static inline struct before apply(const struct directory *directory, change *change, unsigned node, uint64_t line,
				  uint64_t bytes)
{
	struct record *record = &directory->records[line];
	union word old, new;
	/* The halves may be of two times: then the swap fails, and says what there is. */
	old.record.holders = __atomic_load_n(&record->holders, __ATOMIC_ACQUIRE);
	old.record.bytes = __atomic_load_n(&record->bytes, __ATOMIC_ACQUIRE);
	struct before before;
	do {
		before = before_of(directory, old.record, node);
		new.record = change(before, node, bytes);
	} while (!__atomic_compare_exchange_n((unsigned __int128 *)record, &old.whole, new.whole, 0, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return before;
}

struct before directory_look(const struct directory *directory, unsigned node, uint64_t line)
{
	struct record *record = &directory->records[line];
	struct record seen;
	do { /* both halves of one time, as far as it is not changed to and fro in between */
		seen.holders = __atomic_load_n(&record->holders, __ATOMIC_ACQUIRE);
		seen.bytes = __atomic_load_n(&record->bytes, __ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&record->holders, __ATOMIC_RELAXED) != seen.holders);
	return before_of(directory, seen, node);
}

struct before directory_load(const struct directory *directory, unsigned node, uint64_t line)
{
	return apply(directory, loaded, node, line, 0);
}

struct before directory_store(const struct directory *directory, unsigned node, uint64_t line, uint64_t bytes)
{
	return apply(directory, stored, node, line, bytes);
}

struct before directory_take(const struct directory *directory, unsigned node, uint64_t line, uint64_t bytes)
{
	return apply(directory, taken, node, line, bytes);
}

struct before directory_leave(const struct directory *directory, unsigned node, uint64_t line)
{
	return apply(directory, left, node, line, 0);
}

int directory_open(struct directory *directory, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < DIRECTORY_HEADER_SIZE)
		return 1;
	uint64_t length = (uint64_t)status.st_size;
	struct directory_header *header = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (header == MAP_FAILED)
		return 1;
	if (memcmp(header->magic, DIRECTORY_MAGIC, sizeof header->magic) != 0 || header->version != DIRECTORY_VERSION)
		return 1;
	if (header->nodes == 0 || header->nodes > MOST_NODES || header->nodes_at > length)
		return 1;
	*directory = (struct directory){
		.header = header,
		.records = (struct record *)((char *)header + header->lines_at),
		.fabric = (struct fabric *)((char *)header + header->fabric_at),
		.lines = header->user_size >> LINE_SHIFT,
	};
	return (length - header->nodes_at) / header->nodes < header->stride;
}
