/* How the CPU treats FAM: uncached, write-combining or write-back decides the latency it sees. */
#ifndef FAME_MAPPING_H
#define FAME_MAPPING_H

#include "fam.h"

enum { MAPPING_TEXT = 24 };

/* The effective type, as the kernel has it, of FAM's bytes at offset; they must be mapped now.
 * "" for a plain file, or where the kernel does not tell. */
void mapping_type(const struct fam *fam, uint64_t offset, char type[MAPPING_TEXT]);

/* As a JSON value: the type, or null. */
void mapping_print(const char *type);

#endif
