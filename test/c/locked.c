/* LOCKed instructions of many kinds by all cores of all machines at once, on words of one page and across its end: what they count is
 * exact. Usage: locked [COUNT]; machine 1 prints `locked: KIND expected N counted N` for each kind. */
#include "cluster.h"

typedef unsigned __int128 u128;

static struct shared {
	struct meeting ready, done, judged;
	uint32_t right;
	/* A page of words, 64 bytes apart, and one whose last word lies across its end. */
	char words[3][4096] __attribute__((aligned(4096)));
} *shared;
static unsigned count;

#define WORD(i) (shared->words[0] + 64 * (i))
#define SPLIT (shared->words[2] - 4)

static void xadd32(char *at)
{
	uint32_t one = 1;
	__asm__ volatile("lock xaddl %0, %1" : "+r"(one), "+m"(*(uint32_t *)at) : : "cc", "memory");
}

static void xadd64(char *at)
{
	uint64_t one = 1;
	__asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(*(uint64_t *)at) : : "cc", "memory");
}

static void inc64(char *at)
{
	__asm__ volatile("lock incq %0" : "+m"(*(uint64_t *)at) : : "cc", "memory");
}

static void add16(char *at)
{
	__asm__ volatile("lock addw $1, %0" : "+m"(*(uint16_t *)at) : : "cc", "memory");
}

static void cmpxchg64(char *at)
{
	uint64_t old = *(volatile uint64_t *)at;
	uint8_t done;
	do
		__asm__ volatile("lock cmpxchgq %3, %1; setz %0" : "=q"(done), "+m"(*(uint64_t *)at), "+a"(old)
				 : "r"(old + 1) : "cc", "memory");
	while (!done);
}

static void cmpxchg8b(char *at)
{
	uint32_t low = 0, high = 0;
	uint8_t done;
	do {
		uint64_t next = ((uint64_t)high << 32 | low) + 1;
		__asm__ volatile("lock cmpxchg8b %1; setz %0" : "=q"(done), "+m"(*(uint64_t *)at), "+a"(low), "+d"(high)
				 : "b"((uint32_t)next), "c"((uint32_t)(next >> 32)) : "cc", "memory");
	} while (!done);
}

static void cmpxchg16b(char *at)
{
	uint64_t low = 0, high = 0;
	uint8_t done;
	do {
		u128 next = ((u128)high << 64 | low) + 1;
		__asm__ volatile("lock cmpxchg16b %1; setz %0" : "=q"(done), "+m"(*(u128 *)at), "+a"(low), "+d"(high)
				 : "b"((uint64_t)next), "c"((uint64_t)(next >> 64)) : "cc", "memory");
	} while (!done);
}

/* A lock taken by XCHG, beside a word that is counted by plain instructions. */
static void xchg(char *at)
{
	uint32_t taken;
	do {
		taken = 1;
		__asm__ volatile("xchgl %0, %1" : "+r"(taken), "+m"(*(uint32_t *)(at + 8)) : : "memory");
	} while (taken);
	++*(volatile uint64_t *)at;
	__asm__ volatile("" : : : "memory");
	*(volatile uint32_t *)(at + 8) = 0;
}

/* The same by BTS and BTR. */
static void bts(char *at)
{
	uint8_t taken;
	do
		__asm__ volatile("lock btsl $5, %1; setc %0" : "=q"(taken), "+m"(*(uint32_t *)(at + 8)) : : "cc", "memory");
	while (taken);
	++*(volatile uint64_t *)at;
	__asm__ volatile("lock btrl $5, %0" : "+m"(*(uint32_t *)(at + 8)) : : "cc", "memory");
}

static const struct kind {
	const char *name;
	void (*once)(char *);
	int split;
} kinds[] = {
	{"xadd32", xadd32, 0}, {"xadd64", xadd64, 0}, {"inc64", inc64, 0}, {"add16", add16, 0},
	{"cmpxchg64", cmpxchg64, 0}, {"cmpxchg8b", cmpxchg8b, 0}, {"cmpxchg16b", cmpxchg16b, 0},
	{"xchg", xchg, 0}, {"bts", bts, 0},
	{"split-xadd64", xadd64, 1}, {"split-cmpxchg8b", cmpxchg8b, 1},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static char *place(unsigned kind)
{
	return kinds[kind].split ? SPLIT : WORD(kind);
}

static void *work(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < count; i++)
		for (unsigned kind = 0; kind < KINDS; kind++)
			kinds[kind].once(place(kind));
	return 0;
}

int main(int argc, char **argv)
{
	count = number_from(argc > 1 ? argv[1] : 0, 10);
	shared = share("c-locked", sizeof *shared);
	meet(&shared->ready, nodes());
	on_threads(cores(), work);
	meet(&shared->done, nodes());
	if (node() == 1) {
		uint64_t each = (uint64_t)nodes() * cores() * count;
		shared->right = 1;
		for (unsigned kind = 0; kind < KINDS; kind++) {
			/* Both kinds that are split count in one word. */
			uint64_t expected = kinds[kind].split ? 2 * each : each;
			uint64_t counted;
			memcpy(&counted, place(kind), sizeof counted);
			printf("locked: %s expected %lu counted %lu\n", kinds[kind].name, expected, counted);
			if (counted != expected)
				shared->right = 0;
		}
	}
	meet(&shared->judged, nodes());
	return shared->right ? 0 : 1;
}
