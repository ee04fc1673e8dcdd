#include "bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bar_path(const char *path, char real[PATH_MAX])
{
	unsigned bar;
	char *name = realpath(path, real) == NULL ? NULL : strrchr(real, '/');
	if (name == NULL || sscanf(name, "/resource%1u", &bar) != 1) {
		real[0] = '\0';
		return;
	}
	name[strlen("/resourceN")] = '\0'; /* of resourceN_wc too */
}

uint64_t bar_address(const char *path)
{
	char real[PATH_MAX];
	bar_path(path, real);
	if (real[0] == '\0')
		return 0;
	char *number = real + strlen(real) - 1;
	int bar = *number - '0';
	*number = '\0'; /* the file "resource" has a line a BAR */
	FILE *file = fopen(real, "re");
	if (file == NULL)
		return 0;
	uint64_t address = 0;
	for (int line = 0; line <= bar; line++)
		if (fscanf(file, "%" SCNx64 " %*x %*x", &address) != 1)
			address = 0;
	fclose(file);
	return address;
}
