/* A process-shared pthread mutex and condition variable between all threads of all machines: a plain counter
 * under the mutex, then a token that goes round by the condition variable. Usage: mutex [ROUNDS] [LAPS] */
#include "cluster.h"

static struct shared {
	struct meeting ready, done, judged;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	uint64_t count;
	uint32_t turn, turns;
	uint32_t right;
} *shared;
static unsigned rounds, laps, cores_here, parties;

static void initialize(void)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t condition;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex);
	pthread_condattr_init(&condition);
	pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->moved, &condition);
}

static void *work(void *argument)
{
	unsigned me = (node() - 1) * cores_here + (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < rounds; i++) {
		pthread_mutex_lock(&shared->mutex);
		shared->count++; /* plain: only the mutex makes it right */
		pthread_mutex_unlock(&shared->mutex);
	}
	for (unsigned lap = 0; lap < laps; lap++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn != me)
			pthread_cond_wait(&shared->moved, &shared->mutex);
		shared->turn = (me + 1) % parties;
		shared->turns++;
		pthread_cond_broadcast(&shared->moved);
		pthread_mutex_unlock(&shared->mutex);
	}
	return 0;
}

int main(int argc, char **argv)
{
	rounds = number_from(argc > 1 ? argv[1] : 0, 1000);
	laps = number_from(argc > 2 ? argv[2] : 0, 20);
	cores_here = cores();
	parties = nodes() * cores_here;
	shared = share("c-mutex", sizeof *shared);
	if (node() == 1)
		initialize();
	meet(&shared->ready, nodes());
	on_threads(cores_here, work);
	meet(&shared->done, nodes());
	if (node() == 1) {
		uint64_t count = (uint64_t)parties * rounds;
		uint32_t turns = parties * laps;
		printf("mutex: threads %u expected %lu counted %lu, turns expected %u taken %u\n", parties, count,
		       shared->count, turns, shared->turns);
		shared->right = shared->count == count && shared->turns == turns && shared->turn == 0;
	}
	meet(&shared->judged, nodes());
	return shared->right ? 0 : 1;
}
