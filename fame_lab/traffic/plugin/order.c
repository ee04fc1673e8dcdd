#include "order.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct order_header *header;
static uint64_t capacity;
static uint32_t vcpus;

int order_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < ORDER_HEADER_SIZE)
		return 1;
	size_t length = (size_t)status.st_size;
	header = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (header == MAP_FAILED)
		return 1;
	capacity = header->capacity;
	vcpus = header->vcpus;
	if (memcmp(header->magic, ORDER_MAGIC, sizeof header->magic) != 0 || header->version != ORDER_VERSION)
		return 1;
	if (vcpus == 0 || vcpus > ORDER_MOST_VCPUS || capacity == 0 || (capacity & (capacity - 1)) != 0)
		return 1;
	return (length - ORDER_HEADER_SIZE) / vcpus / sizeof(struct access) < capacity;
}

void order_add(unsigned vcpu, uint64_t offset, uint32_t size, uint32_t kind)
{
	if (!*(volatile uint32_t *)&header->wanted || vcpu >= vcpus)
		return;
	uint64_t written = header->rings[vcpu].written;
	uint64_t drained = __atomic_load_n(&header->rings[vcpu].drained, __ATOMIC_ACQUIRE);
	if (written - drained >= capacity) {
		header->rings[vcpu].lost++;
		return;
	}
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct access *records = (struct access *)((char *)header + ORDER_HEADER_SIZE) + vcpu * capacity;
	records[written & (capacity - 1)] = (struct access){
		.ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.offset = offset,
		.size = size,
		.kind = kind,
	};
	__atomic_store_n(&header->rings[vcpu].written, written + 1, __ATOMIC_RELEASE);
}
