/* What programs share that go on after a loss: SIGBUS takes them back to where they have said, and they tell the time. */
#ifndef LOSSES_H
#define LOSSES_H
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf before;

static void struck(int signal) { siglongjmp(before, signal); }

/* From here on; each use of what may be lost begins with sigsetjmp(before, 1). */
static inline void losses_strike(void)
{
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
}

/* Nanoseconds of a clock that only goes forward. */
static inline long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static inline void until(long when)
{
	while (now() < when)
		usleep(1000);
}

/* The shared file of that name, made if there is none, as soon as its home can be reached. */
static inline volatile uint64_t *map_at_last(const char *name, size_t bytes)
{
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", name);
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd >= 0 && ftruncate(fd, bytes) == 0) {
			void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			close(fd);
			return at;
		}
		if (fd >= 0)
			close(fd);
		usleep(1000);
	}
}
#endif
