/* awake: what a node that is restored from a template does first. The template was saved while this program
 * waited in it, so every node goes on from the same instruction with the same random state and a clock that
 * stood. It waits for what is the node's own (guest/personal.py has its layout), lets the kernel's random
 * generator begin anew from it, sets the clock by the machine's, and hands the rest on. */
#include "args.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 10000000, MOST = 4096, SEED = 64 };

#define MARK "fame_lab"

struct personal {
	char mark[sizeof MARK - 1];
	unsigned char seed[SEED];
	unsigned char archive[MOST - SEED - (sizeof MARK - 1)];
};

static size_t look(const char *path, struct personal *into)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		fail("cannot open %s: %s", path, strerror(errno));
	size_t got = 0;
	for (ssize_t more; got < sizeof *into; got += (size_t)more) {
		more = read(file, (char *)into + got, got == 0 ? sizeof into->mark : sizeof *into - got);
		if (more < 0)
			fail("cannot read %s: %s", path, strerror(errno));
		if (more == 0 || (got == 0 && memcmp(into->mark, MARK, sizeof into->mark) != 0))
			break;
	}
	close(file);
	return got;
}

static void seed_anew(const unsigned char *seed)
{
	union {
		struct rand_pool_info head;
		unsigned char room[sizeof(struct rand_pool_info) + SEED];
	} entropy = { .head = { .entropy_count = SEED * 8, .buf_size = SEED } };
	memcpy(entropy.head.buf, seed, SEED);
	int device = open("/dev/random", O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, RNDADDENTROPY, &entropy.head) != 0 || ioctl(device, RNDRESEEDCRNG) != 0)
		fail("cannot seed the random generator: %s", strerror(errno));
	close(device);
	explicit_bzero(&entropy, sizeof entropy);
}

/* As Linux itself does when it boots: that clock tells whole seconds. */
static void set_clock(void)
{
	struct rtc_time read = { 0 };
	int device = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	if (device < 0 || ioctl(device, RTC_RD_TIME, &read) != 0)
		fail("cannot read the machine's clock: %s", strerror(errno));
	close(device);
	struct tm utc = { .tm_sec = read.tm_sec, .tm_min = read.tm_min, .tm_hour = read.tm_hour,
			  .tm_mday = read.tm_mday, .tm_mon = read.tm_mon, .tm_year = read.tm_year };
	struct timespec now = { timegm(&utc), 500000000 };
	if (clock_settime(CLOCK_REALTIME, &now) != 0)
		fail("cannot set the clock: %s", strerror(errno));
}

COMMAND(awake, "--personal PATH --say TEXT\n"
	       "      In a template: say TEXT on standard error, wait until PATH holds a node's own data, begin\n"
	       "      anew with random numbers and clock, and write the rest of the data to standard output.")
{
	const char *path = NULL, *text = NULL;
	struct option options[] = {
		{ "--personal", TEXT, &path, true, false },
		{ "--say", TEXT, &text, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	static struct personal personal;
	size_t got = look(path, &personal);
	if (got <= sizeof personal.mark)
		fprintf(stderr, "%s\n", text);
	for (; got <= sizeof personal.mark; got = look(path, &personal))
		nanosleep(&(struct timespec){ 0, LOOK_NS }, NULL);
	if (got != sizeof personal)
		fail("%s holds %zu bytes, not %zu", path, got, sizeof personal);
	seed_anew(personal.seed);
	set_clock();
	fwrite(personal.archive, 1, sizeof personal.archive, stdout);
	explicit_bzero(&personal, sizeof personal);
	return 0;
}
