/* A robust mutex in a file that all machines map: machine 2 takes it and ends without letting go, or waits to be killed with its
 * machine; of the others exactly one is told that the owner died, and makes it consistent.
 *
 *   heir exit|stay */
#include "cluster.h"
#include <time.h>

struct shared {
	uint32_t ready, held, heirs, locked;
	pthread_mutex_t mutex;
};

static struct shared *shared;

static void wait_until(uint32_t *word, uint32_t value)
{
	struct timespec moment = { 0, 1000 * 1000 };
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) < value)
		nanosleep(&moment, 0);
}

int main(int argc, char **argv)
{
	shared = share("heir", sizeof *shared);
	if (node() == 1) {
		pthread_mutexattr_t attributes;
		pthread_mutexattr_init(&attributes);
		pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&shared->mutex, &attributes);
		__atomic_store_n(&shared->ready, 1, __ATOMIC_SEQ_CST);
	}
	wait_until(&shared->ready, 1);
	if (node() == 2) {
		pthread_mutex_lock(&shared->mutex);
		__atomic_store_n(&shared->held, 1, __ATOMIC_SEQ_CST);
		struct timespec while_others_come = { 0, 50 * 1000 * 1000 };
		nanosleep(&while_others_come, 0);
		if (argc > 1 && !strcmp(argv[1], "exit"))
			return 0;
		while (1)
			pause();
	}
	wait_until(&shared->held, 1);
	int error = pthread_mutex_lock(&shared->mutex);
	if (error == EOWNERDEAD) {
		shared->heirs++;
		error = pthread_mutex_consistent(&shared->mutex);
	}
	if (error) {
		errno = error;
		fail("pthread_mutex_lock");
	}
	shared->locked++;
	pthread_mutex_unlock(&shared->mutex);
	wait_until(&shared->locked, nodes() - 1);
	if (node() == 1)
		printf("heir: locked %u times, by heirs %u\n", shared->locked, shared->heirs);
	return 0;
}
