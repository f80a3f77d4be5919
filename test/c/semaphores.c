/* Named semaphores (sem_open(3)), which C libraries make by link(2) in /dev/shm: all machines, some threads each, count without LOCK under one of them.
 *
 *   semaphores COUNT      `semaphores: counted N, same yes, taken File exists, gone No such file or directory` on every machine
 */
#include "cluster.h"
#include <semaphore.h>

#define NAME "/buslock.count"

static uint64_t *words;
static unsigned rounds;

static void *counts(void *nothing)
{
	sem_t *semaphore = sem_open(NAME, 0);
	if (semaphore == SEM_FAILED)
		fail("sem_open");
	for (unsigned i = 0; i < rounds; i++) {
		if (sem_wait(semaphore) < 0)
			fail("sem_wait");
		*(volatile uint64_t *)words += 1;
		sem_post(semaphore);
	}
	sem_close(semaphore);
	return nothing;
}

int main(int count, char **arguments)
{
	rounds = number_from(count > 1 ? arguments[1] : 0, 20);
	words = share("semaphores", 4096);
	struct meeting *meeting = (struct meeting *)(words + 8);
	/* Each tries to make it; it has its value once, from whoever made it. */
	sem_t *semaphore = sem_open(NAME, O_CREAT, 0600, 1);
	if (semaphore == SEM_FAILED)
		fail("sem_open");
	sem_t *again = sem_open(NAME, 0);
	const char *taken = sem_open(NAME, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED ? strerror(errno) : "nothing";
	pthread_t threads[2];
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], 0, counts, 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], 0);
	meet(meeting, nodes());
	if (node() == 1 && sem_unlink(NAME) < 0)
		fail("sem_unlink");
	meet(meeting, nodes());
	const char *gone = sem_open(NAME, 0) == SEM_FAILED ? strerror(errno) : "nothing";
	int value = -1;
	sem_getvalue(semaphore, &value);
	printf("semaphores: counted %lu, value %d, same %s, taken %s, gone %s\n", words[0], value, again == semaphore ? "yes" : "no", taken, gone);
	return 0;
}
