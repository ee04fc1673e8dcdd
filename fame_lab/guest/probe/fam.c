#include "fam.h"

#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct fam fam_open(const char *path)
{
	struct fam fam = { .path = path, .fd = open(path, O_RDWR | O_CLOEXEC) };
	if (fam.fd < 0)
		fail("cannot open FAM at %s: %s", path, strerror(errno));
	struct stat status;
	if (fstat(fam.fd, &status) != 0)
		fail("cannot tell the size of %s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		fail("%s is not FAM: neither a PCI resource nor a plain file with something in it", path);
	fam.size = (uint64_t)status.st_size;
	return fam;
}

void *fam_map(const struct fam *fam, uint64_t offset, uint64_t length)
{
	if (length == 0)
		usage_error("a range of FAM needs a length above 0");
	if (offset > fam->size || length > fam->size - offset)
		fail("bytes %" PRIu64 " to %" PRIu64 "+%" PRIu64 " are outside FAM, which has %" PRIu64, offset,
		     offset, length, fam->size);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = offset & ~(page - 1);
	char *base = mmap(NULL, offset + length - start, PROT_READ | PROT_WRITE, MAP_SHARED, fam->fd, (off_t)start);
	if (base == MAP_FAILED)
		fail("cannot map %" PRIu64 " bytes of %s at %" PRIu64 ": %s", length, fam->path, offset,
		     strerror(errno));
	return base + (offset - start);
}

uint64_t *fam_word(const struct fam *fam, uint64_t offset)
{
	/* A misaligned locked operation is not atomic between nodes. */
	if (offset % sizeof(uint64_t) != 0)
		usage_error("offset %" PRIu64 " is not a multiple of 8", offset);
	return fam_map(fam, offset, sizeof(uint64_t));
}
