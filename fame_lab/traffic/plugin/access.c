/* An access is what QEMU issues. An atomic, failed ones too, counts a load and a store. Bytes are split where
 * an access crosses a granule's border; the access itself counts in the first. */
#include "access.h"

#include "cache.h"
#include "fabric.h"
#include "order.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

static struct header *header;
static char *file;
static uint64_t fam_size, user_size, books_at, granules_at, stride;
static unsigned book_shift;
/* Whether QEMU tells an atomic's load and its store by themselves. */
static int by_halves;
static uint32_t vcpus;
static struct cache cache;

int complain(const char *what, const char *path)
{
	fprintf(stderr, "fame-trace: %s: %s\n", what, path);
	return 1;
}

static int map_counters(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return complain("cannot open the counter file", path);
	if (status.st_size < HEADER_SIZE)
		return complain("the counter file is too short", path);
	size_t length = (size_t)status.st_size;
	file = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return complain("cannot map the counter file", path);
	header = (struct header *)file;
	if (memcmp(header->magic, COUNTERS_MAGIC, sizeof header->magic) != 0 || header->version != COUNTERS_VERSION)
		return complain("the counter file is of another version", path);
	fam_size = header->fam_size;
	user_size = header->user_size;
	vcpus = header->vcpus;
	books_at = header->books_at;
	granules_at = header->granules_at;
	stride = header->stride;
	book_shift = header->book_shift;
	if (vcpus == 0 || stride % PAGE != 0 || (length - HEADER_SIZE) / vcpus < stride)
		return complain("the counter file is too short for its vCPUs", path);
	return 0;
}

static void tally(struct tally *tally, uint64_t bytes, int load, int store, int counts)
{
	if (load) {
		tally->loads += counts;
		tally->load_bytes += bytes;
	}
	if (store) {
		tally->stores += counts;
		tally->store_bytes += bytes;
	}
}

/* Adds `size` bytes at FAM's `offset`, which do not cross a page; `rw` is 0 for the rest of an access that
 * was counted where it began. */
static void add(unsigned vcpu, uint64_t offset, uint64_t size, int load, int store, int counts)
{
	char *mine = file + vcpu * stride;
	struct tally *books = (struct tally *)(mine + books_at), *granules = (struct tally *)(mine + granules_at);
	unsigned shift = look32(&header->granule_shift);
	while (size > 0) {
		uint64_t room = (((offset >> shift) + 1) << shift) - offset;
		uint64_t here = size < room ? size : room;
		tally(granules + (offset >> shift), here, load, store, counts);
		if (offset < user_size)
			tally(books + (offset >> book_shift), here, load, store, counts);
		counts = 0;
		offset += here;
		size -= here;
	}
}

/* In the order in which QEMU does them: a read-modify-write loads, then stores. */
static void write_down(unsigned vcpu, uint64_t offset, uint64_t size, int load, int store, int continued)
{
	if (offset >= user_size)
		return;
	uint32_t more = continued ? ORDER_CONTINUED : 0;
	if (load)
		order_add(vcpu, offset, (uint32_t)size, ORDER_LOAD | more);
	if (store)
		order_add(vcpu, offset, (uint32_t)size, ORDER_STORE | more);
}

/* A way past qemu_plugin_hwaddr_phys_addr(), which searches QEMU's memory blocks at each access and costs more
 * than all else here: the second word of the struct that QEMU does not explain. In 7.2 it is where in QEMU's
 * memory the access goes, or a pointer to something else if that is a device. Nobody promises that: so while
 * the host has a known pattern counted, each access compares both ways, and the host takes the short one,
 * which proves itself by the same pattern, if no doubt came up. */
static uint64_t place_of(const struct qemu_plugin_hwaddr *address)
{
	uint64_t words[2];
	memcpy(words, address, sizeof words);
	return words[1];
}

static void compare_ways(uint64_t place, uint64_t offset)
{
	uint64_t known = header->fam_place;
	if (offset < fam_size && known == 0)
		header->fam_place = place - offset;
	else if (known != 0 && (offset < fam_size ? place - known != offset : place - known < fam_size))
		header->doubts = 1;
}

/* The offset in FAM of what the node's `vaddr` leads to; fam_size if it leads elsewhere. */
static uint64_t offset_in_fam(qemu_plugin_meminfo_t info, uint64_t vaddr)
{
	struct qemu_plugin_hwaddr *address = qemu_plugin_get_hwaddr(info, vaddr);
	if (address == NULL)
		return fam_size;
	uint64_t place = place_of(address), offset = fam_size;
	if (look32(&header->short_cut)) {
		offset = place - header->fam_place;
	} else {
		if (!qemu_plugin_hwaddr_is_io(address))
			offset = qemu_plugin_hwaddr_phys_addr(address) - header->base;
		compare_ways(place, offset);
	}
	return offset < fam_size ? offset : fam_size;
}

/* One access through the node's cache. Of a locked instruction the store alone comes here, which loads too. */
static void transact(uint64_t offset, uint64_t size, int load, int store, int locked)
{
	if (locked && store)
		cache_access(&cache, offset, size, ACCESS_LOAD | ACCESS_STORE | ACCESS_LOCKED);
	else if (!locked)
		cache_access(&cache, offset, size, (load ? ACCESS_LOAD : 0) | (store ? ACCESS_STORE : 0));
}

/* What an access costs in this emulator: the time from the first to the last, over their number. */
static void take_time(void)
{
	static uint64_t first;
	uint64_t now = fabric_now();
	if (header->timed++ == 0)
		first = now;
	header->timed_ns = now - first;
}

/* The part of an access that lies in one page of FAM. */
static void record(unsigned vcpu, uint64_t offset, uint64_t size, int rw, int locked, int continued)
{
	int load = rw & QEMU_PLUGIN_MEM_R, store = rw & QEMU_PLUGIN_MEM_W;
	add(vcpu, offset, size, load, store, !continued);
	write_down(vcpu, offset, size, load, store, continued);
	if (look32(&header->timing))
		take_time();
	if (look32(&header->caching))
		transact(offset, size, load, store, locked);
}

void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *udata)
{
	if (!look32(&header->recording) || vcpu >= vcpus)
		return;
	/* qemu_plugin_mem_is_store() says of a read-modify-write that it is a store, and no more. */
	int rw = (info >> 16) & QEMU_PLUGIN_MEM_RW;
	/* The load was told before: QEMU 11.1 says so of the store of an atomic across two lines. */
	if (rw == QEMU_PLUGIN_MEM_RW && by_halves)
		rw = QEMU_PLUGIN_MEM_W;
	uint64_t size = UINT64_C(1) << qemu_plugin_mem_size_shift(info);
	uint64_t in_page = PAGE - vaddr % PAGE;
	uint64_t offset = offset_in_fam(info, vaddr);
	if (offset < fam_size)
		record(vcpu, offset, size < in_page ? size : in_page, rw, udata != NULL, 0);
	if (size <= in_page)
		return;
	/* The next page of the node's address space may lie anywhere. */
	uint64_t rest = offset_in_fam(info, vaddr + in_page);
	if (rest < fam_size)
		record(vcpu, rest, size - in_page, rw, udata != NULL, offset < fam_size);
}

struct header *access_open(const char *counters, const char *order, const char *directory, unsigned node, unsigned vcpus,
			   int interface)
{
	if (map_counters(counters) != 0)
		return NULL;
	if (order_open(order) != 0)
		return complain("cannot use the file for the order", order), NULL;
	if (cache_open(&cache, directory, node, vcpus) != 0)
		return complain("cannot use the line directory", directory), NULL;
	by_halves = interface >= 4; /* since the values, too, are told: QEMU 9.2 */
	return header;
}
