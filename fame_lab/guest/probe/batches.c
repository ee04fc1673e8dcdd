#include "batches.h"

#include "clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Two things take the CPU from a guest's program: another of the guest's programs (the switches,
 * exact), and the host (steal, told by KVM alone, in ticks of 10 ms). Under TCG the host's own
 * scheduling cannot be seen from here. */
struct preemption preemption_look(void)
{
	static int fd = -1;
	struct preemption seen = { 0 };
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	seen.switches = usage.ru_nvcsw + usage.ru_nivcsw;
	if (fd < 0)
		fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	char line[256];
	ssize_t got = pread(fd, line, sizeof line - 1, 0);
	line[got > 0 ? got : 0] = '\0';
	sscanf(line, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &seen.steal);
	return seen;
}

bool preempted_since(struct preemption earlier)
{
	struct preemption now = preemption_look();
	return now.switches != earlier.switches || now.steal != earlier.steal;
}

void batches_check(const struct batches *batches)
{
	if (batches->count < BATCHES_MIN || batches->count > BATCHES_MAX)
		usage_error("--batches is from %d to %d, not %" PRIu64, BATCHES_MIN, BATCHES_MAX, batches->count);
	if (batches->least_us < 1000 || batches->least_us > 1000000)
		usage_error("--batch-us is from 1000 to 1000000, not %" PRIu64, batches->least_us);
}

static double timer_cost(void)
{
	enum { READS = 1000 };
	double least = 0;
	for (int attempt = 0; attempt < 5; attempt++) {
		uint64_t began = now_ns();
		for (int i = 0; i < READS - 1; i++)
			(void)now_ns();
		double cost = (double)(now_ns() - began) / READS;
		if (attempt == 0 || cost < least)
			least = cost;
	}
	return least;
}

static uint64_t run_one(struct batches *batches, bool *preempted)
{
	struct preemption before = preemption_look();
	uint64_t began = now_ns();
	batches->work(batches->context, batches->rounds);
	uint64_t elapsed = now_ns() - began;
	*preempted = preempted_since(before);
	if (batches->after != NULL)
		batches->after(batches->context);
	return elapsed;
}

/* The least of a few: one that was preempted would make every batch too short. */
static double shortest(struct batches *batches)
{
	uint64_t least = UINT64_MAX;
	bool ignored;
	for (int i = 0; i < 5; i++) {
		uint64_t ns = run_one(batches, &ignored);
		least = ns < least ? ns : least;
	}
	return (double)least;
}

/* Doubles the rounds until a batch is long enough, then adds a quarter: batches grow shorter as
 * caches and an emulator's translations warm. */
static void calibrate(struct batches *batches, double least)
{
	batches->rounds = 1;
	double elapsed;
	while ((elapsed = shortest(batches)) < least)
		batches->rounds *= 2;
	double wanted = (double)batches->rounds * 1.25 * least / elapsed;
	batches->rounds = wanted < 1 ? 1 : (uint64_t)(wanted + 0.5);
}

/* False if a batch came out shorter than the least. */
static bool measure(struct batches *batches, double least)
{
	bool ignored;
	for (int i = 0; i < WARM_UP; i++)
		run_one(batches, &ignored);
	for (uint64_t i = 0; i < batches->count; i++) {
		batches->ns[i] = run_one(batches, &batches->preempted[i]);
		if ((double)batches->ns[i] < least)
			return false;
	}
	return true;
}

void batches_run(struct batches *batches)
{
	batches->timer_ns = timer_cost();
	double least = (double)batches->least_us * 1000;
	if (least < 100 * batches->timer_ns)
		least = 100 * batches->timer_ns;
	for (int attempt = 0; attempt < 5; attempt++) {
		calibrate(batches, least);
		if (measure(batches, least))
			return;
	}
	fail("batches keep coming out shorter than %.0f ns: the time of the same work varies too much here", least);
}

void batches_print(const struct batches *batches)
{
	printf("\"warm_up\": %d, \"timer_ns\": %.2f, \"batch_ns\": [", WARM_UP, batches->timer_ns);
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ", ", batches->ns[i]);
	printf("], \"preempted\": [");
	for (uint64_t i = 0; i < batches->count; i++)
		printf("%s%d", i == 0 ? "" : ", ", batches->preempted[i]);
	printf("]");
}
