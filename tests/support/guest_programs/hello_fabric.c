/* As programs for FAME were written: open FAM, map it, write to it, and see what others wrote.
 *   hello_fabric TEXT   leaves TEXT in FAM
 *   hello_fabric        prints what is there */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SIZE = 4096 };

int main(int argc, char **argv)
{
	int fd = open("/dev/fam", O_RDWR);
	if (fd < 0) {
		perror("/dev/fam");
		return 1;
	}
	char *fam = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fam == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	if (argc > 1)
		strncpy(fam, argv[1], SIZE - 1);
	else
		printf("%.*s\n", SIZE, fam);
	return munmap(fam, SIZE);
}
