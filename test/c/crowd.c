/* A crowd: more threads than a core has messages for another wait for one word, and for one counter, and are let go all at once. Then
 * a thread is sent signals faster than its core takes home what they were kept in.
 * Usage: crowd [THREADS], 320 unless told */
#include "cluster.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define ROUNDS 2
#define CROWD 320
static unsigned parties;
static struct meeting meeting, all;
static int counter, lines[2];
static unsigned told;

static void *waits(void *argument)
{
	(void)argument;
	for (unsigned round = 0; round < ROUNDS; round++)
		meet(&meeting, parties);
	struct pollfd fd = {.fd = counter, .events = POLLIN};
	meet(&all, parties + 1);
	if (poll(&fd, 1, -1) == 1)
		__atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
	meet(&meeting, parties);
	return 0;
}

static void *adds(void *argument)
{
	int *sets = argument;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < parties; k++) {
			struct epoll_event event = {.events = EPOLLIN, .data.u32 = k};
			epoll_ctl(sets[k % 4], EPOLL_CTL_ADD, (int)(1000 - k), &event);
		}
	return 0;
}

/* A thread of another core has made what goes with the set. */
static void sets(void)
{
	int set[4];
	pthread_t thread[2];
	for (unsigned k = 0; k < 4; k++)
		set[k] = epoll_create1(0);
	for (unsigned k = 0; k < parties; k++)
		dup2(lines[0], (int)(1000 - k));
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&thread[i], 0, adds, set);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], 0);
	for (unsigned k = 0; k < 4; k++)
		close(set[k]);
	for (unsigned k = 0; k < parties; k++)
		close((int)(1000 - k));
}

/* --- Many signals, one after the other --- */

#define SIGNALS 2000
static volatile unsigned taken;
static void take(int signal)
{
	(void)signal;
	taken++;
}

static void *takes(void *argument)
{
	(void)argument;
	while (taken < SIGNALS)
		;
	return 0;
}

static void signals(void)
{
	pthread_t thread;
	struct sigaction action = {.sa_handler = take};
	sigaction(SIGRTMIN, &action, 0);
	if (pthread_create(&thread, 0, takes, 0))
		fail("pthread_create");
	for (unsigned sent = 0; sent < SIGNALS;)
		sent += pthread_kill(thread, SIGRTMIN) == 0;
	pthread_join(thread, 0);
	printf("crowd: %u signals taken\n", taken);
}

int main(int count, char **words)
{
	static pthread_t threads[CROWD];
	parties = number_from(count > 1 ? words[1] : 0, CROWD);
	counter = eventfd(0, 0);
	pipe(lines);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	for (unsigned i = 0; i < parties; i++)
		if (pthread_create(&threads[i], &attributes, waits, 0))
			fail("pthread_create");
	meet(&all, parties + 1);
	usleep(20000);
	uint64_t one = 1;
	write(counter, &one, 8);
	for (unsigned i = 0; i < parties; i++)
		pthread_join(threads[i], 0);
	printf("crowd: %u of %u told\n", told, parties);
	for (unsigned i = 0; i < 3; i++)
		sets();
	signals();
	printf("crowd: the end\n");
	return 0;
}
