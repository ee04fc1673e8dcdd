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
	uint64_t shortest = batches->shortest_us == 0 ? 1000 : batches->shortest_us;
	if (batches->least_us < shortest || batches->least_us > 1000000)
		usage_error("--batch-us is from %" PRIu64 " to 1000000, not %" PRIu64, shortest, batches->least_us);
}

double timer_cost(void)
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
	if (batches->before != NULL)
		batches->before(batches->context);
	uint64_t began = now_ns();
	batches->work(batches->context, batches->rounds);
	uint64_t elapsed = now_ns() - began;
	*preempted = preempted_since(before);
	if (batches->after != NULL)
		batches->after(batches->context);
	double round_ns = (double)elapsed / (double)batches->rounds;
	if (batches->fastest_ns == 0 || round_ns < batches->fastest_ns)
		batches->fastest_ns = round_ns;
	return elapsed;
}

/* Doubles the rounds until a batch is long enough. The fastest round of all counts: one batch that was
 * preempted would make every later one too short. */
static void calibrate(struct batches *batches, double least)
{
	bool ignored;
	batches->fastest_ns = 0;
	batches->rounds = 1;
	do {
		for (int i = 0; i < 5; i++)
			run_one(batches, &ignored);
		if ((double)batches->rounds * batches->fastest_ns >= least)
			return;
		batches->rounds *= 2;
	} while (true);
}

/* False if a batch came out shorter than the least. */
static bool measure(struct batches *batches, double least)
{
	bool ignored;
	/* A quarter more than is needed, for it may run faster yet. */
	double wanted = 1.25 * least / batches->fastest_ns;
	batches->rounds = wanted < 1 ? 1 : (uint64_t)(wanted + 1);
	for (int i = 0; i < WARM_UP; i++)
		run_one(batches, &ignored);
	for (uint64_t i = 0; i < batches->count; i++) {
		batches->ns[i] = run_one(batches, &batches->preempted[i]);
		if ((double)batches->ns[i] < least)
			return false;
		if (batches->meeting != NULL)
			meeting_progress(batches->meeting, i + 1);
	}
	return true;
}

void batches_run(struct batches *batches)
{
	batches->timer_ns = timer_cost();
	double least = (double)batches->least_us * 1000;
	if (least < 100 * batches->timer_ns)
		least = 100 * batches->timer_ns;
	calibrate(batches, least);
	for (int attempt = 0; attempt < 10; attempt++)
		if (measure(batches, least))
			return;
	fail("batches keep coming out shorter than %.0f ns: the time of the same work varies too much here", least);
}

void batches_run_exactly(struct batches *batches)
{
	bool ignored;
	batches->timer_ns = timer_cost();
	for (int i = 0; i < WARM_UP; i++)
		run_one(batches, &ignored);
	for (uint64_t i = 0; i < batches->count; i++) {
		batches->ns[i] = run_one(batches, &batches->preempted[i]);
		if ((double)batches->ns[i] < 100 * batches->timer_ns)
			fail("a batch took %" PRIu64 " ns, and reading the clock %.0f: ask for %" PRIu64
			     " times as many operations a batch",
			     batches->ns[i], batches->timer_ns,
			     1 + (uint64_t)(200 * batches->timer_ns / (double)batches->ns[i]));
		if (batches->meeting != NULL)
			meeting_progress(batches->meeting, i + 1);
	}
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
