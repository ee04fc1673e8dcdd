/* What the plugin does at each access to FAM: it counts it, writes it down if the host wants the order, and leads it
 * through the node's cache if the host wants transactions. */
#ifndef FAME_ACCESS_H
#define FAME_ACCESS_H

#include "counters.h"
#include "qemu_plugin.h"

#include <stdint.h>

/* Maps the node's counters, and looks at its other two files; NULL, with a complaint, if one cannot be used.
 * `interface` is the version of the plugin interface that QEMU speaks. */
struct header *access_open(const char *counters, const char *order, const char *directory, unsigned node, unsigned vcpus,
			   int interface);

/* A callback for each access of an instruction; `udata` is not NULL if it is a locked one. */
void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *udata);

int complain(const char *what, const char *path);

static inline uint32_t look32(const uint32_t *word)
{
	return *(const volatile uint32_t *)word;
}

#endif
