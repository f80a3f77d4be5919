/* Counts primes by trial division, on one thread a core: work that shares next to nothing, so that more cores are more speed.
 *
 *   primes [LIMIT [THREADS]] */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 64

static unsigned limit, threads;
static unsigned long found;

static void *count(void *argument)
{
	unsigned long mine = 0;
	for (unsigned n = 3 + 2 * (unsigned)(uintptr_t)argument; n < limit; n += 2 * threads) {
		unsigned d = 3;
		while (d * d <= n && n % d)
			d += 2;
		mine += d * d > n;
	}
	__atomic_fetch_add(&found, mine, __ATOMIC_SEQ_CST);
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	pthread_t id[THREADS_MAX];
	cpu_set_t set;
	sched_getaffinity(0, sizeof set, &set);
	limit = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
	threads = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)CPU_COUNT(&set);
	if (threads < 1 || threads > THREADS_MAX)
		threads = 1;
	uint64_t start = now();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&id[i], 0, count, (void *)(uintptr_t)i))
			return 1;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(id[i], 0);
	uint64_t end = now();
	printf("primes: %u threads, %lu us\n", threads, (unsigned long)(end - start));
	printf("primes: %lu below %u\n", found + 1, limit);
	return 0;
}
