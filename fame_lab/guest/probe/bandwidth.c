/* bandwidth: bytes a second that one node moves, in order.
 *
 * Bytes are counted as STREAM does: what the program asked for. A read counts what it loads, a write
 * what it stores (not what a cache fetches first), a copy both. The size is the whole working set: a
 * copy goes from its first half to its second, so that every operation counts its size once a pass. */
#include "args.h"
#include "batches.h"
#include "commands.h"
#include "region.h"

#include <emmintrin.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Volatile, so that no compiler drops a load nobody uses or makes a call of memset out of a loop. */
typedef volatile uint64_t word;
typedef volatile __m128i wide;

#define EIGHT(MOVE) MOVE(0) MOVE(1) MOVE(2) MOVE(3) MOVE(4) MOVE(5) MOVE(6) MOVE(7)
#define READ(I) (void)at[I];
#define WRITE(I) at[I] = value;
#define COPY(I) into[I] = at[I];

#define DEFINE_READ(NAME, TYPE) \
	static void NAME(void *context, uint64_t passes) \
	{ \
		const struct region *region = context; \
		while (passes-- > 0) \
			for (TYPE *at = (TYPE *)region->at, *end = at + region->length / sizeof *at; at < end; at += 8) { \
				EIGHT(READ) \
			} \
	}

#define DEFINE_WRITE(NAME, TYPE, VALUE) \
	static void NAME(void *context, uint64_t passes) \
	{ \
		const struct region *region = context; \
		__typeof__(VALUE) value = VALUE; \
		while (passes-- > 0) \
			for (TYPE *at = (TYPE *)region->at, *end = at + region->length / sizeof *at; at < end; at += 8) { \
				EIGHT(WRITE) \
			} \
	}

#define DEFINE_COPY(NAME, TYPE) \
	static void NAME(void *context, uint64_t passes) \
	{ \
		const struct region *region = context; \
		uint64_t half = region->length / sizeof(TYPE) / 2; \
		while (passes-- > 0) \
			for (TYPE *at = (TYPE *)region->at, *into = at + half, *end = into; at < end; at += 8, into += 8) { \
				EIGHT(COPY) \
			} \
	}

DEFINE_READ(read_8, word)
DEFINE_READ(read_16, wide)
DEFINE_WRITE(write_8, word, UINT64_C(0x0102030405060708))
DEFINE_WRITE(write_16, wide, _mm_set1_epi64x(0x0102030405060708))
DEFINE_COPY(copy_8, word)
DEFINE_COPY(copy_16, wide)

static const struct {
	const char *name;
	uint64_t width;
	void (*work)(void *context, uint64_t passes);
} operations[] = {
	{ "read", 8, read_8 },   { "read", 16, read_16 }, { "write", 8, write_8 },
	{ "write", 16, write_16 }, { "copy", 8, copy_8 }, { "copy", 16, copy_16 },
};

static void choose(struct batches *batches, const char *operation, uint64_t width)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (strcmp(operations[i].name, operation) == 0 && operations[i].width == width)
			batches->work = operations[i].work;
	if (batches->work == NULL)
		usage_error("no operation '%.40s' in moves of %" PRIu64 " bytes: read, write or copy, in 8 or 16",
			    operation, width);
}

COMMAND(bandwidth, "FAM --memory dram|fam --op read|write|copy --sizes LIST [--width 8|16]\n"
		   "      [--offset OFFSET] [BATCHES]\n"
		   "      Bytes moved in order, in moves of 8 or 16 bytes. A copy goes from a size's first half to its\n"
		   "      second and counts the bytes read and the bytes written.")
{
	struct fam_request fam = { 0 };
	const char *memory = NULL, *operation = NULL;
	uint64_t offset = 0, width = 8;
	struct list sizes = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(fam),
		{ "--memory", TEXT, &memory, true, false },
		{ "--offset", U64, &offset, false, false },
		{ "--sizes", U64_LIST, &sizes, true, false },
		{ "--op", TEXT, &operation, true, false },
		{ "--width", U64, &width, false, false },
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	choose(&batches, operation, width);
	for (size_t i = 0; i < sizes.count; i++) {
		/* Eight moves to a half of it, at the least. */
		if (sizes.at[i] % 256 != 0)
			usage_error("size %" PRIu64 " is not a multiple of 256", sizes.at[i]);
		struct region region = region_open(&fam, memory, offset, sizes.at[i]);
		batches.context = &region;
		batches_run(&batches);
		printf("{\"probe\": \"bandwidth\", \"op\": \"%s\", \"width\": %" PRIu64 ", ", operation, width);
		region_print(&region);
		printf(", \"bytes\": %" PRIu64 ", ", batches.rounds * region.length);
		batches_print(&batches);
		printf("}\n");
		region_close(&region);
	}
	return 0;
}
