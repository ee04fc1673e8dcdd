#include "region.h"

#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Left to the rest of the node, lest the kernel kill the SSH server for this program's appetite. */
static const uint64_t RESERVE = 8u << 20;

static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	if (file == NULL)
		fail("cannot read /proc/meminfo: %s", strerror(errno));
	char line[128];
	uint64_t kilobytes = 0;
	bool found = false;
	while (!found && fgets(line, sizeof line, file) != NULL)
		found = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kilobytes) == 1;
	fclose(file);
	if (!found)
		fail("/proc/meminfo does not tell the memory available");
	return kilobytes * 1024;
}

static void touch_region(void *context)
{
	const struct region *region = context;
	for (uint64_t i = 0; i < region->length; i += 4096)
		(void)*(volatile char *)(region->at + i);
}

void settle(uint64_t pages, void (*touch)(void *context), void *context)
{
	for (uint64_t reached = 64; reached / 4 < pages; reached *= 2) {
		touch(context);
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("cannot start a process: %s", strerror(errno));
	}
}

uint64_t region_spare_dram(void)
{
	uint64_t available = memory_available();
	return available < RESERVE ? 0 : available - RESERVE;
}

static void open_dram(struct region *region)
{
	uint64_t spare = region_spare_dram();
	if (region->length > spare)
		fail("%" PRIu64 " bytes of DRAM are not to be had: %" PRIu64 " are, and %" PRIu64 " are kept free",
		     region->length, spare, RESERVE);
	region->base = mmap(NULL, region->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region->base == MAP_FAILED)
		fail("cannot map %" PRIu64 " bytes of DRAM: %s", region->length, strerror(errno));
	region->mapped = region->length;
	region->at = region->base;
	/* A BAR is mapped in small pages: with huge ones for DRAM, the TLB would be what is compared. */
	madvise(region->base, region->mapped, MADV_NOHUGEPAGE);
	/* Stored to, not read: every page that was only read is the same page of zeroes. */
	for (uint64_t i = 0; i < region->length; i += 4096)
		*(volatile char *)(region->at + i) = 1;
}

static void open_fam(struct region *region, const struct fam_request *request, uint64_t offset)
{
	struct fam fam = fam_open(request);
	region->offset = offset;
	region->at = fam_map(&fam, offset, region->length);
	uint64_t into_page = (uintptr_t)region->at % (uint64_t)sysconf(_SC_PAGESIZE);
	region->base = region->at - into_page;
	region->mapped = region->length + into_page;
	mapping_type(&fam, offset, region->mapping);
	/* Read, not stored to: reading is enough to fill a hole, and what is there may be someone's. */
	for (uint64_t i = 0; i < region->length; i += 4096)
		(void)*(volatile char *)(region->at + i);
	close(fam.fd);
}

struct region region_open(const struct fam_request *fam, const char *memory, uint64_t offset, uint64_t length)
{
	if (length == 0 || length % LINE != 0)
		usage_error("%" PRIu64 " bytes cannot be measured: the size is a multiple of 64, above 0", length);
	if (offset % LINE != 0)
		usage_error("offset %" PRIu64 " is not a multiple of 64", offset);
	struct region region = { .memory = memory, .length = length };
	if (strcmp(memory, "dram") == 0)
		open_dram(&region);
	else if (strcmp(memory, "fam") == 0)
		open_fam(&region, fam, offset);
	else
		usage_error("--memory is dram or fam, not '%.40s'", memory);
	madvise(region.base, region.mapped, MADV_DONTFORK);
	settle(region.mapped / 4096, touch_region, &region);
	return region;
}

void region_close(struct region *region)
{
	munmap(region->base, region->mapped);
}

void region_print(const struct region *region)
{
	printf("\"memory\": \"%s\", \"offset\": %" PRIu64 ", \"size\": %" PRIu64 ", \"mapping\": ", region->memory,
	       region->offset, region->length);
	mapping_print(region->mapping);
}
