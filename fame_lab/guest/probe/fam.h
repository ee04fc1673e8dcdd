/* FAM as the guest has it: a PCI BAR's sysfs file that can be mapped and nothing else.
 * A plain file on the host does as well. */
#ifndef FAME_FAM_H
#define FAME_FAM_H

#include <stddef.h>
#include <stdint.h>

struct fam {
	const char *path;
	int fd;
	uint64_t size;
};

struct fam fam_open(const char *path);

/* Bytes [offset, offset + length) of FAM, mapped; ends the program if they are not in it.
 * Only the pages that hold them: the kernel fills the page table of a BAR's mapping at once,
 * 1 MiB for every 512 MiB, and a small guest has no room for a large FAM's. */
void *fam_map(const struct fam *fam, uint64_t offset, uint64_t length);

/* One word of FAM, mapped; its offset is a multiple of its size, or the program ends. */
uint64_t *fam_word(const struct fam *fam, uint64_t offset);

#endif
