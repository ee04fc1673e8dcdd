/* How the CPU treats FAM: uncached, write-combining or write-back decides the latency it sees. */
#ifndef FAME_MAPPING_H
#define FAME_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/* The effective type, as the kernel has it, of the BAR's bytes at offset; they must be mapped now.
 * "" for a plain file, or where the kernel does not tell. */
void mapping_type(const char *path, uint64_t offset, char *type, size_t capacity);

/* As a JSON value: the type, or null. */
void mapping_print(const char *type);

#endif
