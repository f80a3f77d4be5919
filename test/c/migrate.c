/* Threads that go from core to core, of all machines: what a thread has goes along, and what it shares stays shared.
 *   each hop      sched_getcpu() says the new core; stack, thread-local and heap memory are as they were; so are x87 and SSE control words, an
 *                 x87 register in use, the signal mask, the alternate stack; its clock of processor time goes on; a lock is taken and a shared
 *                 word counted
 *   signals       a partner asks for a signal at any moment: it comes once, wherever the thread is by then, on its alternate stack; one that is
 *                 blocked waits, over hops, until it is not
 * Usage: migrate THREADS HOPS CORES [AFTER]; prints `migrate: T threads, H hops, wrong W`. On a plain Linux CORES is what the host has. With
 * AFTER the process ends with status 7 after so many hops of all threads together, which go on. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 32

static unsigned threads, hops, cores, wrong, ends;
static uint64_t counted, locked;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread uint64_t own;
static __thread volatile sig_atomic_t taken, late;

static struct each {
	pthread_t thread;
	uint32_t asked, answered, ready;
	char stack[16384];
} all[THREADS_MAX];

static void on_signal(int number)
{
	char here;
	struct each *me = &all[own % THREADS_MAX];
	if (&here < me->stack || &here >= me->stack + sizeof me->stack)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
	if (number == SIGUSR2)
		late++;
	else {
		taken++;
		__atomic_add_fetch(&me->answered, 1, __ATOMIC_SEQ_CST);
	}
}

static void check(int right, const char *what)
{
	if (right)
		return;
	__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
	fprintf(stderr, "thread %d: %s\n", (int)(own % THREADS_MAX), what);
}

static void hop(unsigned core)
{
	cpu_set_t set, now;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		check(0, "sched_setaffinity");
	check((unsigned)sched_getcpu() == core, "on another core than it asked for");
	check(sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&set, &now), "sched_getaffinity");
}

static void *body(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct each *me = &all[number], *partner = &all[(number + 1) % threads];
	uint64_t random = number * 7919 + 1;
	own = number;
	volatile uint64_t on_stack = number;
	uint64_t *heap = malloc(4096 * 3);
	stack_t stack = {.ss_sp = me->stack, .ss_size = sizeof me->stack}, old;
	sigset_t mask, none, was;
	sigaltstack(&stack, 0);
	me->thread = pthread_self();
	__atomic_store_n(&me->ready, 1, __ATOMIC_SEQ_CST);
	sigemptyset(&none);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	uint16_t control = (uint16_t)(0x037f | (number & 3) << 10), word;
	uint32_t mxcsr = 0x1f80 | (number & 3) << 13, state;
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(control), "m"(mxcsr));
	for (unsigned i = 0; i < hops; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		struct timespec before, then;
		long double deep = (long double)random / 3, after;
		heap[i % 1536] = random;
		pthread_sigmask(SIG_SETMASK, &mask, 0);
		if (i % 4 == 0) {
			check(late == (int)(i / 4), "a blocked signal came early, or not");
			pthread_kill(pthread_self(), SIGUSR2);
		}
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
		__asm__ volatile("fldt %0" : : "m"(deep));
		hop((unsigned)(random >> 33) % cores);
		__asm__ volatile("fstpt %0; fnstcw %1; stmxcsr %2" : "=m"(after), "=m"(word), "=m"(state));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &then);
		check((then.tv_sec > before.tv_sec || then.tv_nsec > before.tv_nsec), "its processor time");
		check(!memcmp(&deep, &after, 10), "an x87 register");
		check(word == control && (state & ~0x3fu) == mxcsr, "the control words");
		check(own % THREADS_MAX == number && on_stack == number + i && heap[i % 1536] == random, "its memory");
		on_stack++;
		own += THREADS_MAX;
		pthread_sigmask(SIG_SETMASK, 0, &was);
		check(sigismember(&was, SIGUSR2) == 1 && sigismember(&was, SIGUSR1) == 0, "the signal mask");
		check(sigaltstack(0, &old) == 0 && old.ss_sp == me->stack, "the alternate stack");
		if (i % 4 == 3)
			pthread_sigmask(SIG_SETMASK, &none, 0);
		if (__atomic_load_n(&partner->ready, __ATOMIC_SEQ_CST) &&
		    __atomic_load_n(&partner->asked, __ATOMIC_SEQ_CST) == __atomic_load_n(&partner->answered, __ATOMIC_SEQ_CST)) {
			__atomic_add_fetch(&partner->asked, 1, __ATOMIC_SEQ_CST);
			check(pthread_kill(partner->thread, SIGUSR1) == 0, "pthread_kill");
		}
		pthread_mutex_lock(&mutex);
		locked++;
		pthread_mutex_unlock(&mutex);
		if (__atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST) == ends)
			exit(7);
	}
	hop(0);
	while (__atomic_load_n(&counted, __ATOMIC_SEQ_CST) < (uint64_t)threads * hops)
		sched_yield();
	while (__atomic_load_n(&me->asked, __ATOMIC_SEQ_CST) != __atomic_load_n(&me->answered, __ATOMIC_SEQ_CST))
		sched_yield();
	check((uint32_t)taken == me->answered, "signals taken");
	free(heap);
	return 0;
}

int main(int argc, char **argv)
{
	threads = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
	hops = argc > 2 ? (unsigned)atoi(argv[2]) : 40;
	cores = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
	ends = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	sigaction(SIGUSR1, &action, 0);
	sigaction(SIGUSR2, &action, 0);
	for (unsigned i = 0; i < threads; i++)
		pthread_create(&all[i].thread, 0, body, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(all[i].thread, 0);
	wrong += locked != (uint64_t)threads * hops;
	printf("migrate: %u threads, %u hops, wrong %u\n", threads, hops, wrong);
	return wrong != 0;
}
