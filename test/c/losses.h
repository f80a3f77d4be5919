/* What programs share that go on after a loss: SIGBUS takes them back to where they have said, and they tell the time. */
#ifndef LOSSES_H
#define LOSSES_H
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
#endif
