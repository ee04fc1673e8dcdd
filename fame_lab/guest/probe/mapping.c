#include "mapping.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The physical address of the BAR behind a sysfs resourceN or resourceN_wc. */
static bool bar_address(const char *path, uint64_t *address)
{
	char real[PATH_MAX];
	if (realpath(path, real) == NULL)
		return false;
	char *name = strrchr(real, '/');
	unsigned bar;
	if (name == NULL || sscanf(name, "/resource%1u", &bar) != 1)
		return false;
	strcpy(name, "/resource");
	FILE *file = fopen(real, "re");
	if (file == NULL)
		return false;
	bool found = true;
	for (unsigned line = 0; found && line <= bar; line++)
		found = fscanf(file, "%" SCNx64 " %*x %*x", address) == 1;
	fclose(file);
	return found;
}

void mapping_type(const char *path, uint64_t offset, char *type, size_t capacity)
{
	type[0] = '\0';
	uint64_t address;
	if (!bar_address(path, &address))
		return;
	address += offset;
	FILE *file = fopen("/sys/kernel/debug/x86/pat_memtype_list", "re");
	if (file == NULL)
		return;
	char line[160], name[24];
	uint64_t start, end;
	while (type[0] == '\0' && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "PAT: [mem 0x%" SCNx64 "-0x%" SCNx64 "] %23[a-z-]", &start, &end, name) == 3 &&
		    start <= address && address < end)
			snprintf(type, capacity, "%s", name);
	fclose(file);
}

void mapping_print(const char *type)
{
	if (type[0] == '\0')
		printf("null");
	else
		printf("\"%s\"", type);
}
