#include "mapping.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void mapping_type(const struct fam *fam, uint64_t offset, char type[MAPPING_TEXT])
{
	type[0] = '\0';
	if (fam->bar_address == 0)
		return;
	uint64_t address = fam->bar_address + offset;
	FILE *file = fopen("/sys/kernel/debug/x86/pat_memtype_list", "re");
	if (file == NULL)
		return;
	char line[160], name[MAPPING_TEXT];
	uint64_t start, end;
	while (type[0] == '\0' && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "PAT: [mem 0x%" SCNx64 "-0x%" SCNx64 "] %23[a-z-]", &start, &end, name) == 3 &&
		    start <= address && address < end)
			strcpy(type, name);
	fclose(file);
}

void mapping_print(const char *type)
{
	if (type[0] == '\0')
		printf("null");
	else
		printf("\"%s\"", type);
}
