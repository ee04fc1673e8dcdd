/* workload: what programs do to memory, by name, on data in FAM that is at home where the caller says.
 *
 * Every access to FAM is one load or store of 8 bytes, or one atomic, which is both, and each is counted by
 * home: touching the pages, making the data ready, warm-up and retries too. The barrier and the words of a
 * meeting lie in the control area and are not counted. A batch is a fixed number of operations, so that the
 * seed decides all accesses but those of retries. Where a random number decides an address, it is drawn,
 * and its accesses are counted, before the batch: neither is timed. */
#include "workload.h"

#include "batches.h"
#include "commands.h"
#include "mapping.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { OPERATIONS_MAX = 1 << 20, PAGE = 4096 };

static const struct workload *const workloads[] = {
	&sequential_workload,
	&strided_workload,
	&random_workload,
	&zipf_workload,
	&stream_workload,
	&gups_workload,
	&histogram_shared_workload,
	&histogram_private_workload,
	&kv_workload,
};

static const struct workload *find(const char *name)
{
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		if (strcmp(workloads[i]->name, name) == 0)
			return workloads[i];
	usage_error("there is no workload '%.40s'; see --help", name);
}

/* One run of a workload, for batches to call back. */
struct running {
	const struct workload *workload;
	struct job *job;
	uint64_t batches, done;
	uint64_t so_far;                /* accesses, when the last batch ended */
	uint64_t accesses[BATCHES_MAX]; /* in each batch that counts */
};

static uint64_t accesses_of(const struct job *job)
{
	return spread_accesses(&job->private) + spread_accesses(&job->shared);
}

static void work(void *context, uint64_t operations)
{
	struct running *running = context;
	running->workload->work(running->job, operations);
}

/* After a batch, and before the first: notes the batch's accesses, and draws for the next. */
static void between(void *context)
{
	struct running *running = context;
	uint64_t now = accesses_of(running->job);
	if (running->done > WARM_UP)
		running->accesses[running->done - WARM_UP - 1] = now - running->so_far;
	running->so_far = now;
	if (meeting_released(&running->job->meeting))
		fail("released after %" PRIu64 " batches", running->done);
	if (running->done++ < WARM_UP + running->batches && running->workload->draw != NULL)
		running->workload->draw(running->job);
}

static uint64_t touch(struct job *job)
{
	uint64_t bytes = job->drawn == NULL ? 0 : job->operations * sizeof *job->drawn;
	for (uint64_t i = 0; i < bytes / sizeof *job->drawn; i += PAGE / sizeof *job->drawn)
		store64(job->drawn + i, 0);
	return spread_touch(&job->private) + spread_touch(&job->shared) + (bytes + PAGE - 1) / PAGE;
}

static void touch_again(void *job)
{
	touch(job);
}

static void make_ready(struct job *job, const struct workload *workload)
{
	for (uint64_t i = 0, state = job->seed; i <= job->rank; i++)
		job->random = random_next(&state);
	if (workload->draw != NULL) {
		uint64_t bytes = job->operations * sizeof *job->drawn;
		job->drawn = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (job->drawn == MAP_FAILED)
			fail("no memory for %" PRIu64 " random numbers", job->operations);
		madvise(job->drawn, bytes, MADV_NOHUGEPAGE);
		madvise(job->drawn, bytes, MADV_DONTFORK);
	}
	settle(touch(job), touch_again, job);
	if (workload->set_up != NULL)
		workload->set_up(job);
}

static void print(const struct running *running, const struct batches *batches, const struct fam *fam)
{
	const struct job *job = running->job;
	char mapping[MAPPING_TEXT];
	mapping_type(fam, job->private.words != 0 ? job->private.offset : job->shared.offset, mapping);
	printf("{\"probe\": \"workload\", \"name\": \"%s\", \"rank\": %" PRIu64 ", \"mapping\": ",
	       running->workload->name, job->rank);
	mapping_print(mapping);
	printf(", \"operations\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"retries\": %" PRIu64 ", \"torn\": %" PRIu64
	       ", ", batches->rounds, job->writes, job->retries, job->torn);
	spread_print(&job->private, "private");
	spread_print(&job->shared, "shared");
	printf("\"accesses\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", running->accesses[i]);
	printf("], ");
	batches_print(batches);
	printf("}\n");
}

static void check(const struct job *job, const struct workload *workload)
{
	if (workload->private != (job->private.shape.count != 0) || workload->shared != (job->shared.shape.count != 0))
		usage_error("%s takes %s", workload->name,
			    workload->private && workload->shared ? "--private and --shared"
			    : workload->private                   ? "--private alone"
								  : "--shared alone");
	if (job->operations == 0 || job->operations > OPERATIONS_MAX)
		usage_error("--operations is from 1 to %d, not %" PRIu64, OPERATIONS_MAX, job->operations);
	if (job->rank >= job->meeting.parties || job->meeting.parties > LIST_MAX)
		usage_error("rank %" PRIu64 " of %" PRIu64 " parties", job->rank, job->meeting.parties);
	if (job->reads_ppm > 1000000)
		usage_error("--reads-ppm is from 0 to 1000000, not %" PRIu64, job->reads_ppm);
	if (job->theta_ppm > 10000000)
		usage_error("--theta-ppm is from 0 to 10000000, not %" PRIu64, job->theta_ppm);
}

COMMAND(workload, "FAM NAME --rank R --operations N [--batches 30..1000] --book BYTES --every BOOKS\n"
		  "      [--private SIZE,START,STRIPE --private-homes OFFSETS] [--shared ... --shared-homes ...]\n"
		  "      [--seed N] [--stride BYTES] [--theta-ppm N] [--reads-ppm N] MEETING\n"
		  "      What programs do to memory: sequential, strided, random, zipf, stream, gups, histogram-shared,\n"
		  "      histogram-private, kv. Counts each load and store by home.\n"
		  "      Memory of SIZE bytes lies in stripes that go round homes; a home's books begin at its OFFSET,\n"
		  "      one every so many, and their first START bytes are left out.")
{
	static struct job job = { .seed = 1, .stride = 256, .theta_ppm = 990000, .reads_ppm = 950000,
				  .meeting = MEETING_DEFAULTS };
	static struct batches batches = { BATCH_DEFAULTS };
	static struct running running;
	struct fam_request request = { 0 };
	struct books books = { 0 };
	const char *name = NULL;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "NAME", TEXT, &name, true, false },
		{ "--rank", U64, &job.rank, true, false },
		{ "--operations", U64, &job.operations, true, false },
		{ "--batches", U64, &batches.count, false, false },
		BOOKS_OPTIONS(books),
		SPREAD_OPTIONS(job.private, "private"),
		SPREAD_OPTIONS(job.shared, "shared"),
		{ "--seed", U64, &job.seed, false, false },
		{ "--stride", U64, &job.stride, false, false },
		{ "--theta-ppm", U64, &job.theta_ppm, false, false },
		{ "--reads-ppm", U64, &job.reads_ppm, false, false },
		MEETING_OPTIONS(job.meeting),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	batches_check(&batches);
	const struct workload *workload = find(name);
	check(&job, workload);
	struct fam fam = fam_open(&request);
	spread_open(&job.private, &books, &fam);
	spread_open(&job.shared, &books, &fam);
	meeting_open(&job.meeting, &fam);
	make_ready(&job, workload);
	running = (struct running){ .workload = workload, .job = &job, .batches = batches.count };
	batches.work = work;
	batches.after = between;
	batches.context = &running;
	batches.meeting = &job.meeting;
	batches.rounds = workload->operations == NULL ? job.operations : workload->operations(&job);
	between(&running);
	meeting_start(&job.meeting);
	batches_run_exactly(&batches);
	print(&running, &batches, &fam);
	return 0;
}
