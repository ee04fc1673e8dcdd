/* The memory that a probe measures: a piece of FAM, or as much of the node's own DRAM. */
#ifndef FAME_REGION_H
#define FAME_REGION_H

#include "fam.h"
#include "mapping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE = 64 };

struct region {
	const char *memory; /* "dram" or "fam" */
	char *at;
	uint64_t length;
	uint64_t offset;  /* in FAM; 0 for DRAM */
	char mapping[MAPPING_TEXT]; /* the kernel's effective memory type of a BAR, while mapped; "" if not to be had */
	void *base;
	size_t mapped;
};

/* Maps and touches it; ends the program if the range is not in FAM or the node has not that much memory. */
struct region region_open(const struct fam_request *fam, const char *memory, uint64_t offset, uint64_t length);

/* Touches that many pages of memory by `touch`, as often as an emulator needs to be ready for them: its TLB
 * is a table that grows as it fills, but only when the address space is switched, and twofold at most.
 * Unless it is made to grow first, what is measured is what happened to run before. The memory is not to
 * be copied by fork (MADV_DONTFORK). */
void settle(uint64_t pages, void (*touch)(void *context), void *context);

void region_close(struct region *region);

/* Bytes of DRAM that region_open would give now. */
uint64_t region_spare_dram(void);

/* The members of a JSON object that say what was measured. */
void region_print(const struct region *region);

#endif
