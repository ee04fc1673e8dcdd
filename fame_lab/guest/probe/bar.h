/* The PCI BAR behind a path such as /dev/fam. */
#ifndef FAME_BAR_H
#define FAME_BAR_H

#include <limits.h>
#include <stdint.h>

/* The sysfs file resourceN that the path leads to; "" if it leads to none. */
void bar_path(const char *path, char real[PATH_MAX]);

/* Its physical address; 0 if the path leads to no BAR. */
uint64_t bar_address(const char *path);

#endif
