/* What the programs of this directory share: who am I, files that all machines map, and a barrier in them.
 *
 * BUSLOCK_NODE (from 1) and BUSLOCK_NODES tell a process its place; BUSLOCK_SHM is the directory of the shared
 * files, /shm unless told. So the same binary runs on a cluster of machines and, as a comparison, as several
 * processes on a plain Linux: for k in 1 2 3; do BUSLOCK_NODE=$k BUSLOCK_NODES=3 BUSLOCK_SHM=/dev/shm/x ./p & done
 */
#ifndef CLUSTER_H
#define CLUSTER_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FUTEX_WAIT 0 /* shared between processes: no FUTEX_PRIVATE_FLAG */
#define FUTEX_WAKE 1
#define THREADS_MAX 256

static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline unsigned number_from(const char *text, unsigned otherwise)
{
	return text && *text ? (unsigned)strtoul(text, 0, 10) : otherwise;
}

static inline unsigned node(void) { return number_from(getenv("BUSLOCK_NODE"), 1); }
static inline unsigned nodes(void) { return number_from(getenv("BUSLOCK_NODES"), 1); }

/* Cores that this process may run on: one thread each. BUSLOCK_CORES overrides, for runs on a plain Linux. */
static inline unsigned cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		fail("sched_getaffinity");
	return number_from(getenv("BUSLOCK_CORES"), CPU_COUNT(&set));
}

/* The file `name` of the shared directory, `bytes` long, mapped by every process of the run. */
static inline void *share(const char *name, size_t bytes)
{
	char path[256];
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/%s", directory ? directory : "/shm", name);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fail(path);
	if (ftruncate(fd, bytes) < 0)
		fail("ftruncate");
	void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	close(fd);
	return at;
}

/* Every party sleeps here until the last one has come. Zeroed memory is a fresh one. */
struct meeting {
	uint32_t arrived;
	uint32_t generation;
};

static inline void meet(struct meeting *m, unsigned parties)
{
	uint32_t generation = __atomic_load_n(&m->generation, __ATOMIC_SEQ_CST);
	if (__atomic_add_fetch(&m->arrived, 1, __ATOMIC_SEQ_CST) == parties) {
		__atomic_store_n(&m->arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&m->generation, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &m->generation, FUTEX_WAKE, INT_MAX, 0, 0, 0);
		return;
	}
	while (__atomic_load_n(&m->generation, __ATOMIC_SEQ_CST) == generation)
		syscall(SYS_futex, &m->generation, FUTEX_WAIT, generation, 0, 0, 0);
}

/* Runs `body` on `count` threads, each with its number from 0, and waits for all of them. */
static inline void on_threads(unsigned count, void *(*body)(void *))
{
	pthread_t threads[THREADS_MAX];
	if (count > THREADS_MAX) {
		fprintf(stderr, "more than %d threads\n", THREADS_MAX);
		exit(1);
	}
	for (unsigned i = 0; i < count; i++) {
		int error = pthread_create(&threads[i], 0, body, (void *)(uintptr_t)i);
		if (error) {
			errno = error;
			fail("pthread_create");
		}
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], 0);
}
#endif
