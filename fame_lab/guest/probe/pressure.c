/* pressure: a node that loads FAM while another measures.
 *
 * It goes through its own range line by line, round and round: it moves the 64 bytes of a line in words of 8
 * and waits for as many turns of an empty loop as asked, after Intel MLC's loaded latency, where a delay
 * between accesses sets how heavy the load is. How many lines it has moved it tells in its progress word, so
 * that the one who measures can count them by its own clock. It ends when that one says so. */
#include "args.h"
#include "atomic.h"
#include "batches.h"
#include "commands.h"
#include "meeting.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = LINE / 8, LOOK_EVERY = 64 };

static inline void pause_for(uint64_t turns)
{
	for (uint64_t i = 0; i < turns; i++)
		__asm__ volatile("");
}

static inline void move(volatile uint64_t *line, bool stores)
{
	for (int i = 0; i < WORDS; i++) {
		if (stores)
			line[i] = UINT64_C(0x0102030405060708);
		else
			(void)line[i];
	}
}

struct pressure {
	struct region region;
	struct meeting meeting;
	const uint64_t *stop;
	uint64_t delay;
	bool stores;
};

/* Lines moved. Whoever waits long between two lines looks after each whether it is over; others do so once
 * in a while, for a look is an access too. */
static TIMED_LOOP uint64_t press(struct pressure *pressure)
{
	uint64_t moved = 0, every = pressure->delay < LOOK_EVERY ? LOOK_EVERY : 1;
	char *at = pressure->region.at, *end = at + pressure->region.length;
	while (load64(pressure->stop) == 0 && !meeting_released(&pressure->meeting)) {
		for (uint64_t i = 0; i < every; i++) {
			move((volatile uint64_t *)at, pressure->stores);
			at = at + LINE == end ? pressure->region.at : at + LINE;
			pause_for(pressure->delay);
		}
		moved += every;
		meeting_progress(&pressure->meeting, moved);
	}
	return moved;
}

COMMAND(pressure, "FAM --size BYTES --stop OFFSET [--op read|write] [--delay TURNS] [--offset OFFSET] MEETING\n"
		  "      Move the lines of a range, with a delay after each, until the 64-bit word at --stop is not 0.\n"
		  "      The progress word counts the lines.")
{
	struct pressure pressure = { .meeting = MEETING_DEFAULTS };
	struct fam_request request = { 0 };
	const char *operation = "read";
	uint64_t offset = 0, size = 0, stop_at = 0;
	struct option options[] = {
		FAM_OPTIONS(request),
		{ "--offset", U64, &offset, false, false },
		{ "--size", U64, &size, true, false },
		{ "--stop", U64, &stop_at, true, false },
		{ "--op", TEXT, &operation, false, false },
		{ "--delay", U64, &pressure.delay, false, false },
		MEETING_OPTIONS(pressure.meeting),
	};
	args_parse(argc, argv, options, sizeof options / sizeof *options);
	pressure.stores = strcmp(operation, "write") == 0;
	if (!pressure.stores && strcmp(operation, "read") != 0)
		usage_error("--op is read or write, not '%.40s'", operation);
	if (pressure.delay > 1000000)
		usage_error("--delay is up to 1000000 turns, not %" PRIu64, pressure.delay);
	struct fam fam = fam_open(&request);
	pressure.stop = fam_word(&fam, stop_at);
	meeting_open(&pressure.meeting, &fam);
	pressure.region = region_open(&request, "fam", offset, size);
	meeting_start(&pressure.meeting);
	uint64_t moved = press(&pressure);
	printf("{\"probe\": \"pressure\", \"op\": \"%s\", \"delay\": %" PRIu64 ", ", operation, pressure.delay);
	region_print(&pressure.region);
	printf(", \"lines\": %" PRIu64 "}\n", moved);
	return 0;
}
