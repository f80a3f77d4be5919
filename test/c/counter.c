/* One word, incremented by every core of every machine with a locked add. All the old values that the adds
 * returned must be a permutation of 0 .. n-1: one lost or doubled increment shows. Usage: counter [ADDS] */
#include "cluster.h"

static struct shared {
	uint64_t word;
	struct meeting start, done, judged;
	uint32_t right;
} *shared;
static uint64_t *old_values; /* one page-aligned region per thread */
static unsigned adds, cores_here;
static size_t region;

static void *add(void *argument)
{
	unsigned thread = (node() - 1) * cores_here + (unsigned)(uintptr_t)argument;
	uint64_t *mine = (uint64_t *)((char *)old_values + thread * region);
	for (unsigned i = 0; i < adds; i++)
		mine[i] = __atomic_fetch_add(&shared->word, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int permutation(unsigned threads)
{
	size_t total = (size_t)threads * adds;
	unsigned char *seen = calloc(total + 1, 1);
	for (unsigned thread = 0; thread < threads; thread++) {
		uint64_t *values = (uint64_t *)((char *)old_values + thread * region);
		for (unsigned i = 0; i < adds; i++)
			if (values[i] >= total || seen[values[i]]++)
				return 0;
	}
	free(seen);
	return 1;
}

int main(int argc, char **argv)
{
	adds = number_from(argc > 1 ? argv[1] : 0, 10000);
	cores_here = cores();
	unsigned threads = nodes() * cores_here;
	region = (adds * sizeof(uint64_t) + 4095) & ~4095ul;
	shared = share("c-counter", 4096);
	old_values = share("c-counter.old", threads * region);
	meet(&shared->start, nodes());
	on_threads(cores_here, add);
	meet(&shared->done, nodes());
	if (node() == 1) {
		uint64_t expected = (uint64_t)threads * adds;
		int right = permutation(threads);
		printf("counter: machines %u cores %u expected %lu counted %lu old values a permutation: %s\n", nodes(),
		       cores_here, expected, shared->word, right ? "yes" : "no");
		shared->right = right && shared->word == expected;
	}
	meet(&shared->judged, nodes());
	return shared->right ? 0 : 1;
}
