/* stream: McCalpin's STREAM, three arrays of doubles in this node's own data and four kernels in turn: copy
 * c = a, scale b = s c, add c = a + b, triad a = b + s c. An operation is one element of one kernel; a batch
 * holds whole rounds of the four. With s = sqrt(2) - 1 a round leaves a as it was, but for rounding, so that
 * the numbers neither overflow nor vanish however often it is done. */
#include "workload.h"

#include "batches.h"

enum { KERNELS = 4 };
static const double SCALAR = 0.4142135623730951;

static uint64_t elements(const struct job *job)
{
	return job->private.words / 3;
}

static uint64_t stream_operations(const struct job *job)
{
	uint64_t round = KERNELS * elements(job), rounds = job->operations / round;
	return (rounds == 0 ? 1 : rounds) * round;
}

static void stream_set_up(struct job *job)
{
	static const double first[] = { 1, 2, 0 };
	if (elements(job) == 0)
		usage_error("stream takes 24 bytes or more");
	for (uint64_t array = 0, n = elements(job); array < 3; array++)
		for (uint64_t i = 0; i < n; i++) {
			uint64_t bits;
			__builtin_memcpy(&bits, &first[array], sizeof bits);
			spread_store(&job->private, array * n + i, bits);
		}
}

typedef volatile double *numbers;

/* One kernel, over `count` elements. */
#define DEFINE_KERNEL(NAME, STATEMENT) \
	static TIMED_LOOP void NAME(numbers a, numbers b, numbers c, uint64_t count) \
	{ \
		(void)a, (void)b, (void)c; \
		_Pragma("clang loop unroll_count(8)") for (uint64_t i = 0; i < count; i++) { STATEMENT; } \
	}
DEFINE_KERNEL(copy, c[i] = a[i])
DEFINE_KERNEL(scale, b[i] = SCALAR * c[i])
DEFINE_KERNEL(add, c[i] = a[i] + b[i])
DEFINE_KERNEL(triad, a[i] = b[i] + SCALAR * c[i])

static const struct {
	void (*run)(numbers a, numbers b, numbers c, uint64_t count);
	uint64_t loads[3], stores[3]; /* of a, b and c, for one element */
} kernels[KERNELS] = {
	{ copy, { 1, 0, 0 }, { 0, 0, 1 } },
	{ scale, { 0, 0, 1 }, { 0, 1, 0 } },
	{ add, { 1, 1, 0 }, { 0, 0, 1 } },
	{ triad, { 0, 1, 1 }, { 1, 0, 0 } },
};

static void pass(struct job *job, int kernel)
{
	struct spread *data = &job->private;
	uint64_t n = elements(job), piece;
	for (uint64_t done = 0; done < n; done += piece) {
		uint64_t at[3] = { done, n + done, 2 * n + done };
		piece = n - done;
		for (int array = 0; array < 3; array++)
			piece = spread_piece(data, at[array], piece);
		double *words = (double *)data->at;
		kernels[kernel].run(words + at[0], words + at[1], words + at[2], piece);
		for (int array = 0; array < 3; array++) {
			spread_loaded(data, at[array], piece * kernels[kernel].loads[array]);
			spread_stored(data, at[array], piece * kernels[kernel].stores[array]);
		}
	}
}

static void stream_work(void *context, uint64_t operations)
{
	struct job *job = context;
	for (uint64_t done = 0; done < operations; done += KERNELS * elements(job))
		for (int kernel = 0; kernel < KERNELS; kernel++)
			pass(job, kernel);
}

const struct workload stream_workload = { .name = "stream",
					  .private = true,
					  .set_up = stream_set_up,
					  .work = stream_work,
					  .operations = stream_operations };
