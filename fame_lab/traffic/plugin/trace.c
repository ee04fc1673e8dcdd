/* fame-trace: counts every load and store of one node to FAM, by granule, in a file that the host maps.
 *
 * Loaded into QEMU, it does nothing until the host wants it to: translated code is as it would be without.
 * Then it has QEMU throw all translated code away, and puts a call at each access of what is translated from then
 * on while the host says so. When the host wants it no more it looks at no translation; taking the calls out again
 * aborts QEMU 7.2, so the host keeps that code apart from the other (traffic/trace/instrumentation.py). Whether a call
 * counts is for another word of the host's.
 *
 * An access is what QEMU issues. An atomic, failed ones too, counts a load and a store. Bytes are split where
 * an access crosses a granule's border; the access itself counts in the first. */
#ifndef API_VERSION
#define API_VERSION 1
#endif

#include "counters.h"
#include "order.h"
#include "qemu_plugin.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SOURCES
#define SOURCES "unknown"
#endif

/* native.py looks for this text to tell whether the plugin is that of the sources beside it. */
__attribute__((used)) static const char identity[] = "fame-sources:" SOURCES;

QEMU_EXPORT int qemu_plugin_version = API_VERSION;
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

enum { PAGE = 4096, MOST_VCPUS = ORDER_MOST_VCPUS };

static qemu_plugin_id_t self;
static struct header *header;
static char *file;
static uint64_t fam_size, user_size, books_at, granules_at, stride;
static unsigned book_shift;
/* Whether QEMU tells an atomic's load and its store by themselves. */
static int by_halves;
/* How many vCPUs the node has, and which of them wait. */
static unsigned node_vcpus;
static char asleep[MOST_VCPUS];
static uint32_t vcpus;

static uint32_t look32(const uint32_t *word)
{
	return *(const volatile uint32_t *)word;
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

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *udata)
{
	(void)udata;
	if (!look32(&header->recording) || vcpu >= vcpus)
		return;
	/* qemu_plugin_mem_is_store() says of a read-modify-write that it is a store, and no more. */
	int rw = (info >> 16) & QEMU_PLUGIN_MEM_RW;
	/* The load was told before: QEMU 11.1 says so of the store of an atomic across two lines. */
	if (rw == QEMU_PLUGIN_MEM_RW && by_halves)
		rw = QEMU_PLUGIN_MEM_W;
	int load = rw & QEMU_PLUGIN_MEM_R, store = rw & QEMU_PLUGIN_MEM_W;
	uint64_t size = UINT64_C(1) << qemu_plugin_mem_size_shift(info);
	uint64_t in_page = PAGE - vaddr % PAGE;
	uint64_t offset = offset_in_fam(info, vaddr);
	if (offset < fam_size) {
		add(vcpu, offset, size < in_page ? size : in_page, load, store, 1);
		write_down(vcpu, offset, size < in_page ? size : in_page, load, store, 0);
	}
	if (size <= in_page)
		return;
	/* The next page of the node's address space may lie anywhere. */
	uint64_t rest = offset_in_fam(info, vaddr + in_page);
	if (rest < fam_size) {
		add(vcpu, rest, size - in_page, load, store, offset == fam_size);
		write_down(vcpu, rest, size - in_page, load, store, offset < fam_size);
	}
}

/* What QEMU runs as one instruction alone, with all other vCPUs halted, it does not keep apart for the host: so
 * each block of one instruction is given its calls, whenever it is translated. Such is an atomic across two
 * lines, and all code on a page with a breakpoint. */
static void TB_TRANS_CB(on_translation)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	if (!look32(&header->instrument) && count > 1)
		return;
	/* The filters for loads alone and stores alone miss some: so both, and each is looked at. */
	for (size_t i = 0; i < count; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, NULL);
}

static void say(uint32_t state)
{
	*(volatile uint32_t *)&header->state = state;
}

static void VCPU_CB(on_sleep);
static void VCPU_CB(on_wake);

/* Called with no vCPU in translated code, when all of that is gone. */
static void SIMPLE_CB(on_reset)
{
	for (unsigned i = 0; i < MOST_VCPUS; i++)
		asleep[i] = 0;
	qemu_plugin_register_vcpu_idle_cb(self, on_sleep NOTHING);
	qemu_plugin_register_vcpu_resume_cb(self, on_wake NOTHING);
	qemu_plugin_register_vcpu_tb_trans_cb(self, on_translation NOTHING);
	say(COUNTING_POSSIBLE);
}

static int all_asleep(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MOST_VCPUS; i++)
		count += asleep[i];
	return count >= node_vcpus;
}

/* On a vCPU's thread, where alone the translated code may be thrown away. A host that wants something pauses the
 * node, so that each vCPU comes by, a busy one and an idle one. QEMU holds its big lock meanwhile: so no other vCPU
 * is in here or in on_wake(). A callback is freed when it is unregistered; so each is while nobody can be on the way
 * to it, and QEMU's reset finds none that another vCPU may be using. */
static void VCPU_CB(on_sleep)
{
	uint32_t wanted = look32(&header->wanted), state = header->state;
	if (vcpu < MOST_VCPUS)
		asleep[vcpu] = 1;
	if (wanted == WANTED_ANEW && state != COUNTING_POSSIBLE) {
		qemu_plugin_register_vcpu_idle_cb(self, NULL NOTHING);
		qemu_plugin_register_vcpu_resume_cb(self, NULL NOTHING);
		qemu_plugin_reset(self, on_reset NOTHING);
	} else if (wanted == WANTED_AGAIN && state == RESTING) {
		qemu_plugin_register_vcpu_tb_trans_cb(self, on_translation NOTHING);
		say(COUNTING_POSSIBLE);
	} else if (!wanted && state == COUNTING_POSSIBLE && all_asleep()) {
		qemu_plugin_register_vcpu_tb_trans_cb(self, NULL NOTHING);
		say(RESTING);
	}
}

static void VCPU_CB(on_wake)
{
	if (vcpu < MOST_VCPUS)
		asleep[vcpu] = 0;
}

static int complain(const char *what, const char *path)
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

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	static const char counters[] = "counters=", order[] = "order=";
	if (argc == 1 && strcmp(argv[0], "interface=on") == 0) {
		/* host/trace_plugin.py asks; QEMU ends by what is returned. */
		printf("fame-trace: interface %d to %d\n", info->version.least, info->version.newest);
		fflush(stdout);
		return 1;
	}
	if (argc != 2 || strncmp(argv[0], counters, sizeof counters - 1) != 0 ||
	    strncmp(argv[1], order, sizeof order - 1) != 0)
		return complain("takes two arguments", "counters=FILE,order=FILE");
	if (map_counters(argv[0] + sizeof counters - 1) != 0)
		return 1;
	if (order_open(argv[1] + sizeof order - 1) != 0)
		return complain("cannot use the file for the order", argv[1]);
	header->pid = (uint32_t)getpid();
	header->state = LOADED;
	self = id;
	by_halves = info->version.newest >= 4; /* since the values, too, are told: QEMU 9.2 */
	node_vcpus = (unsigned)info->vcpus;
	qemu_plugin_register_vcpu_idle_cb(id, on_sleep NOTHING);
	qemu_plugin_register_vcpu_resume_cb(id, on_wake NOTHING);
	return 0;
}
