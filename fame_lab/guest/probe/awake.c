/* awake: what a node that is restored from a template does first. The template was saved while this program
 * waited in it, so every node goes on from the same instruction, with the same random state and a clock that
 * stood. Once there is a seed of the node's own, the kernel's random generator begins anew from it, and the
 * machine's clock sets the time. */
#include "args.h"
#include "clock.h"
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

enum { LOOK_NS = 10000000, SEED = 64, SETTINGS = 10, SOON_NS = 100000000 };

/* A template's seed is all zeros. */
static bool read_seed(const char *path, unsigned char seed[SEED])
{
	static const unsigned char nobodys[SEED];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = file < 0 ? -1 : read(file, seed, SEED);
	if (got < 0)
		fail("cannot read %s: %s", path, strerror(errno));
	close(file);
	if (got != SEED)
		fail("%s holds %zd bytes, not %d", path, got, SEED);
	return memcmp(seed, nobodys, SEED) != 0;
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

/* As Linux itself does when it boots: that clock tells whole seconds. A machine that lost its processor between
 * reading and setting would be late for good, so it is done again then. */
static void set_clock(void)
{
	int device = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	if (device < 0)
		fail("cannot open the machine's clock: %s", strerror(errno));
	for (int tries = 0; tries < SETTINGS; tries++) {
		uint64_t begun = now_ns();
		struct rtc_time read = { 0 };
		if (ioctl(device, RTC_RD_TIME, &read) != 0)
			fail("cannot read the machine's clock: %s", strerror(errno));
		struct tm utc = { .tm_sec = read.tm_sec, .tm_min = read.tm_min, .tm_hour = read.tm_hour,
				  .tm_mday = read.tm_mday, .tm_mon = read.tm_mon, .tm_year = read.tm_year };
		struct timespec now = { timegm(&utc), 500000000 };
		if (clock_settime(CLOCK_REALTIME, &now) != 0)
			fail("cannot set the clock: %s", strerror(errno));
		if (now_ns() - begun < SOON_NS)
			break;
	}
	close(device);
}

COMMAND(awake, "--seed PATH --say TEXT\n"
	       "      In a template: say TEXT on standard error, wait until PATH holds random bytes, begin anew\n"
	       "      from them, and set the clock.")
{
	const char *path = NULL, *text = NULL;
	struct option options[] = {
		{ "--seed", TEXT, &path, true, false },
		{ "--say", TEXT, &text, true, false },
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	unsigned char seed[SEED];
	if (!read_seed(path, seed))
		fprintf(stderr, "%s\n", text);
	while (!read_seed(path, seed))
		nanosleep(&(struct timespec){ 0, LOOK_NS }, NULL);
	/* It may have been saved while it read: then half of them are the template's. */
	read_seed(path, seed);
	seed_anew(seed);
	explicit_bzero(seed, sizeof seed);
	set_clock();
	return 0;
}
