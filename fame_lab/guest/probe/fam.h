/* FAM as the guest has it: a PCI BAR's sysfs file that can be mapped and nothing else.
 * A plain file on the host does as well. */
#ifndef FAME_FAM_H
#define FAME_FAM_H

#include "args.h"

#include <stddef.h>
#include <stdint.h>

/* What a command is told about FAM. */
struct fam_request {
	const char *path;
	const char *mapping; /* NULL: as it comes, which is uc for a BAR */
};

#define FAM_OPTIONS(request) \
	{ "--fam", TEXT, &(request).path, true, false }, \
	{ "--mapping", TEXT, &(request).mapping, false, false }

struct fam {
	const char *path; /* as it was told: for messages */
	int fd;
	uint64_t size;
	uint64_t base;        /* where FAM begins in what fd is: 0, or the BAR's address in /dev/mem */
	uint64_t bar_address; /* 0 for a plain file */
};

/* Opens it, mapped as asked for: uc is the BAR's resource file, wc its write-combining one, wb is
 * /dev/mem without O_SYNC. What the kernel then makes of it, mapping_type() tells. */
struct fam fam_open(const struct fam_request *request);

/* Bytes [offset, offset + length) of FAM, mapped; ends the program if they are not in it.
 * Only the pages that hold them: the kernel fills the page table of a BAR's mapping at once,
 * 1 MiB for every 512 MiB, and a small guest has no room for a large FAM's. */
void *fam_map(const struct fam *fam, uint64_t offset, uint64_t length);

/* The same bytes, mapped at `where` instead of what is there: all three are multiples of a page. */
void fam_map_at(const struct fam *fam, uint64_t offset, uint64_t length, void *where);

/* One word of FAM, mapped; its offset is a multiple of its size, or the program ends. */
uint64_t *fam_word(const struct fam *fam, uint64_t offset);

#endif
