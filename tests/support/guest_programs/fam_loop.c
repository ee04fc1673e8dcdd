/* Read the first 16 MiB of FAM in 8-byte words, as often as told: fam_loop PASSES. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { WORDS = 2 << 20 };

int main(int argc, char **argv)
{
	volatile uint64_t *fam = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/fam", O_RDWR), 0);
	if (fam == MAP_FAILED || argc != 2)
		return 1;
	for (long passes = atol(argv[1]); passes > 0; passes--)
		for (long i = 0; i < WORDS; i += 8) {
			(void)fam[i]; (void)fam[i + 1]; (void)fam[i + 2]; (void)fam[i + 3];
			(void)fam[i + 4]; (void)fam[i + 5]; (void)fam[i + 6]; (void)fam[i + 7];
		}
	return 0;
}
