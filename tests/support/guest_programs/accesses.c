/* One kind of access, a known number of times, at one offset of FAM: accesses KIND OFFSET COUNT. */
#include <emmintrin.h>
#include <fcntl.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *at;

static void load8(void) { (void)*(volatile uint64_t *)at; }
static void load1(void) { (void)*(volatile uint8_t *)at; }
static void store8(void) { *(volatile uint64_t *)at = 1; }
static void load16(void) { __m128i x; __asm__ volatile("movdqa %1, %0" : "=x"(x) : "m"(*(__m128i *)at)); }
static void store16(void) { __m128i x = _mm_setzero_si128(); __asm__ volatile("movdqa %1, %0" : "=m"(*(__m128i *)at) : "x"(x)); }
__attribute__((target("avx"))) static void load32(void) { __m256i x; __asm__ volatile("vmovdqa %1, %0" : "=x"(x) : "m"(*(__m256i *)at)); }
static void movnti(void) { __asm__ volatile("movnti %1, %0" : "=m"(*(uint64_t *)at) : "r"((uint64_t)1)); }
static void lock_add(void) { __asm__ volatile("lock addq $1, %0" : "+m"(*(uint64_t *)at)); }
static void lock_add_split(void) { __asm__ volatile("lock addq $1, %0" : "+m"(*(uint64_t *)(at + 60))); }
static void xchg(void) { uint64_t v = 1; __asm__ volatile("xchgq %0, %1" : "+r"(v), "+m"(*(uint64_t *)at)); }
static void failed_cas(void) { uint64_t old = 77777, new = 1; __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(old), "+m"(*(uint64_t *)at) : "r"(new) : "cc"); }
static void xchg_split(void) { uint64_t v = 1; __asm__ volatile("xchgq %0, %1" : "+r"(v), "+m"(*(uint64_t *)(at + 60))); }
static void failed_cas_split(void) { uint64_t old = 77777, new = 1; __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(old), "+m"(*(uint64_t *)(at + 60)) : "r"(new) : "cc"); }
static void cas16(void) { uint64_t low = 0, high = 0; __asm__ volatile("lock cmpxchg16b %2" : "+a"(low), "+d"(high), "+m"(*(__int128 *)at) : "b"(0L), "c"(0L) : "cc"); }
static void lock_or4(void) { __asm__ volatile("lock orl $1, %0" : "+m"(*(uint32_t *)at)); }
static void lock_not_split(void) { __asm__ volatile("lock notl %0" : "+m"(*(uint32_t *)(at + 62))); }
static void lock_bts(void) { __asm__ volatile("lock btsq $1, %0" : "+m"(*(uint64_t *)at) : : "cc"); }
static void xadd2(void) { uint16_t v = 1; __asm__ volatile("lock xaddw %0, %1" : "+r"(v), "+m"(*(uint16_t *)at)); }
static void lock_add_across_page(void) { __asm__ volatile("lock addq $1, %0" : "+m"(*(uint64_t *)(at + 4092))); }
static void plain_add(void) { __asm__ volatile("addq $1, %0" : "+m"(*(uint64_t *)at)); }
static void across_line(void) { (void)*(volatile uint64_t *)(at + 60); }
static void across_page(void) { (void)*(volatile uint64_t *)(at + 4092); }
static void store_across_page(void) { *(volatile uint64_t *)(at + 4092) = 1; }
static char page[4096];
static void rep_movsb_to(void) { void *d = at, *s = page; size_t n = 4096; __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory"); }
static void rep_stosq(void) { void *d = at; size_t n = 512; __asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(0L) : "memory"); }
static int zero, ends[2];
static void read_into(void) { if (read(zero, at, 4096) != 4096) abort(); }
static void write_from(void) { if (write(ends[1], at, 4096) != 4096 || read(ends[0], page, 4096) != 4096) abort(); }
static void clflush(void) { __asm__ volatile("clflush %0" : "+m"(*(char *)at)); }
static void prefetch(void) { __asm__ volatile("prefetcht0 %0" : : "m"(*(char *)at)); }

static const struct { const char *name; void (*run)(void); } kinds[] = {
	{ "load8", load8 }, { "load1", load1 }, { "store8", store8 }, { "load16", load16 }, { "store16", store16 },
	{ "load32", load32 }, { "movnti", movnti }, { "lock_add", lock_add }, { "lock_add_split", lock_add_split },
	{ "xchg", xchg }, { "failed_cas", failed_cas }, { "plain_add", plain_add },
	{ "xchg_split", xchg_split }, { "failed_cas_split", failed_cas_split }, { "cas16", cas16 }, { "lock_or4", lock_or4 },
	{ "lock_not_split", lock_not_split }, { "lock_bts", lock_bts }, { "xadd2", xadd2 },
	{ "lock_add_across_page", lock_add_across_page }, { "across_line", across_line },
	{ "across_page", across_page }, { "store_across_page", store_across_page }, { "rep_movsb_to", rep_movsb_to },
	{ "rep_stosq", rep_stosq }, { "read_into", read_into }, { "write_from", write_from }, { "clflush", clflush },
	{ "prefetch", prefetch },
};

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	uint64_t offset = strtoull(argv[2], NULL, 0);
	char *base = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/fam", O_RDWR), (off_t)(offset & ~4095UL));
	if (base == MAP_FAILED || pipe(ends) != 0)
		return 1;
	at = base + offset % 4096;
	zero = open("/dev/zero", O_RDONLY);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].name, argv[1]) == 0) {
			for (long n = strtol(argv[3], NULL, 0); n > 0; n--)
				kinds[i].run();
			return 0;
		}
	return 2;
}
