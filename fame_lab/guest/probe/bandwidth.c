/* bandwidth: bytes a second that one node moves, in order.
 *
 * Bytes are counted as STREAM does: what the program asked for. A read counts what it loads, a write
 * what it stores (not what a cache fetches first), a copy both, a triad a[i] = b[i] + s * c[i] all three
 * arrays. The size is the whole working set: a copy goes from its first half to its second, a triad's
 * arrays are its thirds, in whole pairs of lines, so that a pass goes through it once. A nontemporal write
 * asks the CPU to leave its caches out of it, and is over when a fence says so, at the end of each pass. */
#include "args.h"
#include "batches.h"
#include "commands.h"
#include "region.h"

#include <emmintrin.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Volatile, so that no compiler drops a load nobody uses, makes a call of memset out of a loop, or moves
 * more at a time than was asked for. Doubles, as in STREAM: they go through SSE2 registers, which an
 * emulator has in memory. */
typedef volatile uint64_t word;
typedef volatile __m128i wide;
typedef volatile double number;
typedef volatile __m128d pair;

static const double SCALAR = 3.0;
#define BYTES UINT64_C(0x0102030405060708)

/* A third of the working set, in whole turns of the longest loop: eight times 16 bytes. */
enum { TURN = 128 };
static uint64_t third(const struct region *region)
{
	return region->length / 3 / TURN * TURN;
}

/* The element of an array that the loop is at, and the K-th from there. */
#define AT(ARRAY, K) ((__typeof__(ARRAY))((uintptr_t)(ARRAY) + (uintptr_t)i))[K]
#define READ(K) (void)AT(at, K);
#define WRITE(K) AT(at, K) = value;
/* Spelt out: a compiler may make one wide store of two narrow ones. */
#define WRITE_NT_8(K) __asm__ volatile("movnti %1, %0" : "=m"(AT(at, K)) : "r"(value));
#define WRITE_NT_16(K) __asm__ volatile("movntdq %1, %0" : "=m"(AT(at, K)) : "x"(value));
#define COPY(K) AT(into, K) = AT(at, K);
#define TRIAD_8(K) AT(at, K) = AT(b, K) + SCALAR * AT(c, K);
#define TRIAD_16(K) AT(at, K) = _mm_add_pd(AT(b, K), _mm_mul_pd(_mm_set1_pd(SCALAR), AT(c, K)));

#define ONCE(MOVE) MOVE(0)
#define EIGHT_TIMES(MOVE) MOVE(0) MOVE(1) MOVE(2) MOVE(3) MOVE(4) MOVE(5) MOVE(6) MOVE(7)
#define NO_UNROLL _Pragma("clang loop unroll(disable)")

/* A function that goes through its arrays pass after pass. SETUP tells how many bytes one has, and where
 * they begin; the loop counts from minus that up to zero, whose end needs no comparison. Emulated, comparing
 * with a register is 6 % of a copy, and STREAM does without it by a bound that its compiler knows. */
#define DEFINE(NAME, TYPE, SETUP, MOVE, UNROLL, TIMES, END) \
	static TIMED_LOOP void NAME##_by_##UNROLL(void *context, uint64_t passes) \
	{ \
		const struct region *region = context; \
		TYPE *at = (TYPE *)region->at; \
		SETUP \
		at += bytes / (int64_t)sizeof *at; \
		NO_UNROLL while (passes-- > 0) { \
			NO_UNROLL for (int64_t i = -bytes; i != 0; i += UNROLL * (int64_t)sizeof *at) { \
				TIMES(MOVE) \
				/* Opaque, or the compiler counts upwards again. */ \
				__asm__("" : "+r"(i)); \
			} \
			END \
		} \
	}
#define DEFINE_BOTH(NAME, TYPE, SETUP, MOVE, END) \
	DEFINE(NAME, TYPE, SETUP, MOVE, 1, ONCE, END) \
	DEFINE(NAME, TYPE, SETUP, MOVE, 8, EIGHT_TIMES, END)

#define ALL int64_t bytes = (int64_t)region->length;
#define ALL_WITH(VALUE) \
	ALL __typeof__(VALUE) value = VALUE;
#define HALVES \
	int64_t bytes = (int64_t)region->length / 2; \
	__typeof__(at) into = at + region->length / sizeof *at;
/* What is loaded for an addition can be its operand, as in STREAM: such loads are not volatile. */
#define THIRDS(TYPE) \
	int64_t bytes = (int64_t)third(region); \
	const TYPE *b = (const TYPE *)at + 2 * third(region) / sizeof *at; \
	const TYPE *c = (const TYPE *)at + 3 * third(region) / sizeof *at;

DEFINE_BOTH(read_8, word, ALL, READ, )
DEFINE_BOTH(read_16, wide, ALL, READ, )
DEFINE_BOTH(write_8, word, ALL_WITH(BYTES), WRITE, )
DEFINE_BOTH(write_16, wide, ALL_WITH(_mm_set1_epi64x(BYTES)), WRITE, )
DEFINE_BOTH(write_nt_8, word, ALL_WITH(BYTES), WRITE_NT_8, _mm_sfence();)
DEFINE_BOTH(write_nt_16, wide, ALL_WITH(_mm_set1_epi64x(BYTES)), WRITE_NT_16, _mm_sfence();)
DEFINE_BOTH(copy_8, number, HALVES, COPY, )
DEFINE_BOTH(copy_16, pair, HALVES, COPY, )
DEFINE_BOTH(triad_8, number, THIRDS(double), TRIAD_8, )
DEFINE_BOTH(triad_16, pair, THIRDS(__m128d), TRIAD_16, )

struct operation {
	const char *name;
	uint64_t width, unroll;
	void (*work)(void *context, uint64_t passes);
};

#define BOTH(NAME, FUNCTION, WIDTH) \
	{ NAME, WIDTH, 1, FUNCTION##_##WIDTH##_by_1 }, { NAME, WIDTH, 8, FUNCTION##_##WIDTH##_by_8 }

static const struct operation operations[] = {
	BOTH("read", read, 8),         BOTH("read", read, 16),
	BOTH("write", write, 8),       BOTH("write", write, 16),
	BOTH("nt-write", write_nt, 8), BOTH("nt-write", write_nt, 16),
	BOTH("copy", copy, 8),         BOTH("copy", copy, 16),
	BOTH("triad", triad, 8),       BOTH("triad", triad, 16),
};

static const struct operation *choose(const char *name, uint64_t width, uint64_t unroll)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		const struct operation *each = &operations[i];
		if (strcmp(each->name, name) == 0 && each->width == width && each->unroll == unroll)
			return each;
	}
	usage_error("no operation '%.40s' in moves of %" PRIu64 " bytes, %" PRIu64 " a turn of the loop: read, write, "
		    "nt-write, copy or triad, in 8 or 16, by 1 or 8", name, width, unroll);
}

static void measure(const struct operation *operation, struct region *region, struct batches *batches)
{
	uint64_t pass = region->length;
	if (strcmp(operation->name, "triad") == 0) {
		pass = 3 * third(region);
		/* What lies there may be no numbers, and arithmetic on those takes another time. */
		for (uint64_t i = 0; i < pass / sizeof(double); i++)
			((number *)region->at)[i] = 1.0;
	}
	batches->work = operation->work;
	batches->context = region;
	batches_run(batches);
	printf("{\"probe\": \"bandwidth\", \"op\": \"%s\", \"width\": %" PRIu64 ", \"unroll\": %" PRIu64 ", ",
	       operation->name, operation->width, operation->unroll);
	region_print(region);
	printf(", \"bytes\": %" PRIu64 ", ", batches->rounds * pass);
	batches_print(batches);
	printf("}\n");
}

COMMAND(bandwidth, "FAM --memory dram|fam --op read|write|nt-write|copy|triad --sizes LIST [--width 8|16]\n"
		   "      [--unroll 1|8] [--offset OFFSET] [BATCHES]\n"
		   "      Bytes moved in order, in moves of 8 or 16 bytes, 1 or 8 a turn of the loop. A copy goes from a size's first half to its\n"
		   "      second and counts the bytes read and the bytes written; a triad's three arrays are a size's\n"
		   "      thirds, and count all.")
{
	struct fam_request fam = { 0 };
	const char *memory = NULL, *name = NULL;
	uint64_t offset = 0, width = 8, unroll = 1;
	struct list sizes = { 0 };
	static struct batches batches = { BATCH_DEFAULTS };
	struct option options[] = {
		FAM_OPTIONS(fam),
		{ "--memory", TEXT, &memory, true, false },
		{ "--offset", U64, &offset, false, false },
		{ "--sizes", U64_LIST, &sizes, true, false },
		{ "--op", TEXT, &name, true, false },
		{ "--width", U64, &width, false, false },
		{ "--unroll", U64, &unroll, false, false },
		BATCH_OPTIONS(batches),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	const struct operation *operation = choose(name, width, unroll);
	for (size_t i = 0; i < sizes.count; i++) {
		/* A half of it is whole turns too, and a third is one at the least. */
		if (sizes.at[i] % (2 * TURN) != 0)
			usage_error("size %" PRIu64 " is not a multiple of %d", sizes.at[i], 2 * TURN);
		if (strcmp(name, "triad") == 0 && sizes.at[i] < 3 * TURN)
			usage_error("size %" PRIu64 " is too small for the three arrays of a triad", sizes.at[i]);
		struct region region = region_open(&fam, memory, offset, sizes.at[i]);
		measure(operation, &region, &batches);
		region_close(&region);
	}
	return 0;
}
