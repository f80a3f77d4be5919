/* LOCK XADD on an 8-byte word that lies across a page boundary: half in a page that one machine may own, half in
 * a page that another may own. The low half overflows into the high one on the way, so a torn add shows. Usage: split [ADDS] */
#include "cluster.h"

#define BEFORE 4092 /* four bytes in the first page, four in the second */
#define START 0xfffffff0u

static struct shared {
	char pages[2][4096];
	struct meeting ready, done, judged;
	uint32_t right;
} *shared;
static unsigned adds, cores_here;

static uint64_t split_add(uint64_t value)
{
	uint64_t *word = (uint64_t *)((char *)shared + BEFORE);
	__asm__ volatile("lock xaddq %0, %1" : "+r"(value), "+m"(*word) : : "memory", "cc");
	return value;
}

static void *work(void *argument)
{
	(void)argument;
	uint64_t last = 0;
	for (unsigned i = 0; i < adds; i++) {
		uint64_t old = split_add(1);
		if (i > 0 && old <= last) {
			printf("split: node %u saw %lx after %lx\n", node(), old, last);
			exit(1);
		}
		last = old;
	}
	return 0;
}

int main(int argc, char **argv)
{
	adds = number_from(argc > 1 ? argv[1] : 0, 200);
	cores_here = cores();
	shared = share("c-split", sizeof *shared);
	if (node() == 1)
		split_add(START);
	meet(&shared->ready, nodes());
	on_threads(cores_here, work);
	meet(&shared->done, nodes());
	if (node() == 1) {
		uint64_t expected = START + (uint64_t)nodes() * cores_here * adds;
		uint64_t counted = split_add(0);
		printf("split: expected %lx counted %lx\n", expected, counted);
		shared->right = counted == expected;
	}
	meet(&shared->judged, nodes());
	return shared->right ? 0 : 1;
}
