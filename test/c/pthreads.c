/* An ordinary program of POSIX threads that knows of no cluster: mutexes, a queue with condition variables, a barrier, a
 * parallel sum over memory from malloc, thread-local storage, read-write locks, semaphores, memory that is mapped, written by
 * one thread, read by others and unmapped. What it prints depends on the number of threads only, so that Linux is the judge.
 *
 *   pthreads [THREADS [ROUNDS]]      THREADS 0 or none: one a core */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MAX 64
#define QUEUE 8

static unsigned threads, rounds;
static __thread unsigned mine;

static void fail(const char *what, int error)
{
	fprintf(stderr, "pthreads: %s: %s\n", what, strerror(error));
	exit(1);
}

static void check(int right, const char *what)
{
	printf("pthreads: %s: %s\n", what, right ? "ok" : "WRONG");
	fflush(stdout);
	if (!right)
		exit(1);
}

static void *results[THREADS_MAX];

static void on_threads(void *(*body)(void *))
{
	pthread_t id[THREADS_MAX];
	for (unsigned i = 0; i < threads; i++) {
		int error = pthread_create(&id[i], 0, body, (void *)(uintptr_t)i);
		if (error)
			fail("pthread_create", error);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(id[i], &results[i]);
}

/* A counter under a mutex, and one that is atomic. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long counted;
static unsigned long added;

static void *count(void *argument)
{
	mine = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		counted++;
		pthread_mutex_unlock(&mutex);
		__atomic_fetch_add(&added, 1, __ATOMIC_SEQ_CST);
		mine += 3;
	}
	return (void *)(uintptr_t)mine;
}

/* Half of the threads put numbers into a short queue, the others take them out. */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static unsigned queue[QUEUE], queue_first, queue_count, producing;
static unsigned long taken_sum;

static void *through_the_queue(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	if (self % 2 == 0) {
		for (unsigned i = 0; i < rounds; i++) {
			pthread_mutex_lock(&queue_lock);
			while (queue_count == QUEUE)
				pthread_cond_wait(&not_full, &queue_lock);
			queue[(queue_first + queue_count++) % QUEUE] = self * rounds + i;
			pthread_cond_signal(&not_empty);
			pthread_mutex_unlock(&queue_lock);
		}
		pthread_mutex_lock(&queue_lock);
		if (--producing == 0)
			pthread_cond_broadcast(&not_empty);
		pthread_mutex_unlock(&queue_lock);
		return 0;
	}
	while (1) {
		pthread_mutex_lock(&queue_lock);
		while (queue_count == 0 && producing > 0)
			pthread_cond_wait(&not_empty, &queue_lock);
		if (queue_count == 0) {
			pthread_mutex_unlock(&queue_lock);
			return 0;
		}
		taken_sum += queue[queue_first];
		queue_first = (queue_first + 1) % QUEUE;
		queue_count--;
		pthread_cond_signal(&not_full);
		pthread_mutex_unlock(&queue_lock);
	}
}

/* Each thread writes its cell, then reads its neighbour's, step by step. */
static pthread_barrier_t barrier;
static unsigned cells[THREADS_MAX], late;

static void *steps(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	for (unsigned i = 1; i <= rounds / 10 + 1; i++) {
		cells[self] = i;
		pthread_barrier_wait(&barrier);
		if (cells[(self + 1) % threads] != i)
			__atomic_fetch_add(&late, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&barrier);
	}
	return 0;
}

/* Each thread adds up its part of what the main thread wrote, and writes it back doubled, in memory of its own. */
static uint32_t *numbers;
static unsigned number_count;

static void *sum(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	unsigned from = number_count / threads * self;
	unsigned to = self + 1 == threads ? number_count : from + number_count / threads;
	uint64_t *result = malloc(sizeof *result);
	*result = 0;
	for (unsigned i = from; i < to; i++) {
		*result += numbers[i];
		numbers[i] *= 2;
	}
	return result;
}

/* Memory comes and goes while others use theirs. */
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t turns;
static unsigned bad, table[16];

static void *map_and_unmap(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < rounds / 20 + 2; i++) {
		size_t bytes = 4096 * (1 + (self + i) % 3);
		uint32_t *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			fail("mmap", errno);
		for (unsigned k = 0; k < bytes / 4; k += 256) {
			if (at[k] != 0)
				__atomic_fetch_add(&bad, 1, __ATOMIC_SEQ_CST);
			at[k] = self + 1;
		}
		pthread_rwlock_wrlock(&table_lock);
		table[self % 16]++;
		pthread_rwlock_unlock(&table_lock);
		pthread_rwlock_rdlock(&table_lock);
		if (table[self % 16] == 0)
			__atomic_fetch_add(&bad, 1, __ATOMIC_SEQ_CST);
		pthread_rwlock_unlock(&table_lock);
		sem_wait(&turns);
		char *text = malloc(64 + 100 * i);
		snprintf(text, 64, "%u of %u", i, self);
		unsigned a, b;
		if (sscanf(text, "%u of %u", &a, &b) != 2 || a != i || b != self)
			__atomic_fetch_add(&bad, 1, __ATOMIC_SEQ_CST);
		free(text);
		sem_post(&turns);
		munmap(at, bytes);
	}
	return 0;
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		fail("sched_getaffinity", errno);
	threads = argc > 1 && atoi(argv[1]) > 0 ? (unsigned)atoi(argv[1]) : (unsigned)CPU_COUNT(&set);
	rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	if (threads < 2 || threads > THREADS_MAX)
		threads = 2;

	on_threads(count);
	check(counted == (unsigned long)threads * rounds, "a counter under a mutex");
	check(added == (unsigned long)threads * rounds, "an atomic counter");
	unsigned right = 0;
	for (unsigned i = 0; i < threads; i++)
		right += (uintptr_t)results[i] == i + 3 * rounds;
	check(right == threads && mine == 0, "thread-local storage");

	producing = (threads + 1) / 2;
	on_threads(through_the_queue);
	unsigned long expected = 0;
	for (unsigned i = 0; i < threads; i += 2)
		for (unsigned k = 0; k < rounds; k++)
			expected += i * rounds + k;
	check(taken_sum == expected, "a queue with condition variables");

	pthread_barrier_init(&barrier, 0, threads);
	on_threads(steps);
	check(late == 0, "a barrier");

	number_count = 20 * 1024;
	numbers = malloc(number_count * sizeof *numbers);
	uint64_t total = 0, doubled = 0;
	for (unsigned i = 0; i < number_count; i++)
		total += numbers[i] = i * 2654435761u >> 8;
	on_threads(sum);
	uint64_t found = 0;
	for (unsigned i = 0; i < threads; i++) {
		found += *(uint64_t *)results[i];
		free(results[i]);
	}
	for (unsigned i = 0; i < number_count; i++)
		doubled += numbers[i];
	check(found == total, "a parallel sum");
	check(doubled == 2 * total, "what the threads wrote");
	free(numbers);

	sem_init(&turns, 0, 2);
	on_threads(map_and_unmap);
	unsigned sums = 0;
	for (unsigned i = 0; i < 16; i++)
		sums += table[i];
	check(bad == 0, "memory mapped and unmapped");
	check(sums == threads * (rounds / 20 + 2), "a read-write lock");
	printf("pthreads: %u threads: all right\n", threads);
	return 0;
}
