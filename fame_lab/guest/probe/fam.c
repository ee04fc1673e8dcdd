#include "fam.h"

#include "bar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_or_fail(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("cannot open FAM at %s: %s", path, strerror(errno));
	return fd;
}

static void choose_mapping(struct fam *fam, const char *mapping)
{
	bool wc = strcmp(mapping, "wc") == 0, wb = strcmp(mapping, "wb") == 0;
	if (!wc && !wb && strcmp(mapping, "uc") != 0)
		usage_error("--mapping is uc, wc or wb, not '%.40s'", mapping);
	if (fam->bar_address == 0)
		fail("%s is a plain file, whose mapping cannot be chosen: leave --mapping out", fam->path);
	if (!wc && !wb)
		return;
	char path[PATH_MAX + 4] = "/dev/mem";
	if (wc) {
		bar_path(fam->path, path);
		strcat(path, "_wc");
	} else {
		fam->base = fam->bar_address;
	}
	close(fam->fd);
	fam->fd = open_or_fail(path);
}

struct fam fam_open(const struct fam_request *request)
{
	struct fam fam = { .path = request->path, .fd = open_or_fail(request->path) };
	struct stat status;
	if (fstat(fam.fd, &status) != 0)
		fail("cannot tell the size of %s: %s", fam.path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		fail("%s is not FAM: neither a PCI resource nor a plain file with something in it", fam.path);
	fam.size = (uint64_t)status.st_size;
	fam.bar_address = bar_address(fam.path);
	if (request->mapping != NULL)
		choose_mapping(&fam, request->mapping);
	return fam;
}

static void *map(const struct fam *fam, uint64_t offset, uint64_t length, void *where)
{
	if (length == 0)
		usage_error("a range of FAM needs a length above 0");
	if (offset > fam->size || length > fam->size - offset)
		fail("bytes %" PRIu64 " to %" PRIu64 "+%" PRIu64 " are outside FAM, which has %" PRIu64, offset,
		     offset, length, fam->size);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = offset & ~(page - 1);
	char *base = mmap(where, offset + length - start, PROT_READ | PROT_WRITE,
			  MAP_SHARED | (where == NULL ? 0 : MAP_FIXED), fam->fd, (off_t)(fam->base + start));
	if (base == MAP_FAILED)
		fail("cannot map %" PRIu64 " bytes of %s at %" PRIu64 ": %s", length, fam->path, offset,
		     strerror(errno));
	return base + (offset - start);
}

void *fam_map(const struct fam *fam, uint64_t offset, uint64_t length)
{
	return map(fam, offset, length, NULL);
}

void fam_map_at(const struct fam *fam, uint64_t offset, uint64_t length, void *where)
{
	map(fam, offset, length, where);
}

uint64_t *fam_word(const struct fam *fam, uint64_t offset)
{
	/* A misaligned locked operation is not atomic between nodes. */
	if (offset % sizeof(uint64_t) != 0)
		usage_error("offset %" PRIu64 " is not a multiple of 8", offset);
	return fam_map(fam, offset, sizeof(uint64_t));
}
