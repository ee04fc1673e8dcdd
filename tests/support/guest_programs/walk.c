/* Words of FAM, one after the other: walk load|store|add OFFSET STRIDE COUNT TIMES. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	long offset = atol(argv[2]), stride = atol(argv[3]), count = atol(argv[4]), times = atol(argv[5]);
	char *fam = mmap(NULL, offset + stride * count, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/fam", O_RDWR), 0);
	if (fam == MAP_FAILED)
		return 1;
	for (; times > 0; times--)
		for (long i = 0; i < count; i++) {
			volatile uint64_t *word = (uint64_t *)(fam + offset + i * stride);
			if (*argv[1] == 'l')
				(void)*word;
			else if (*argv[1] == 's')
				*word = 1;
			else
				__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		}
	return 0;
}
