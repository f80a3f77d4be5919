/* poll, ppoll, select and pselect6 over pipes and counters: what is ready, what becomes ready, time and signals. Prints one line a step.
 * Usage: polls [THREADS], 4 unless told */
#include "cluster.h"
#include "stepwise.h"
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <time.h>

static struct timespec began;

static void begin(void) { clock_gettime(CLOCK_MONOTONIC, &began); }

static const char *took(unsigned long least)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	unsigned long time = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
	return time >= least && time < least + 900 ? "in time" : "WRONG time";
}

static volatile unsigned signals;
static void handler(int signal)
{
	(void)signal;
	signals++;
}

/* --- poll --- */

static void look(const char *what, struct pollfd *fds, unsigned count, int limit)
{
	int n = poll(fds, count, limit);
	printf("polls: %s: %s", what, done(n));
	for (unsigned i = 0; i < count; i++)
		printf(" %x", n < 0 ? 0 : fds[i].revents);
	printf("\n");
}

static void polls(int ends[2], int counter)
{
	struct pollfd fds[4] = {
		{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT | POLLIN}, {.fd = counter, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	look("an empty pipe", fds, 4, 0);
	write(ends[1], "x", 1);
	look("a byte in it", fds, 4, -1);
	fds[0].events = POLLIN | POLLRDNORM;
	fds[1].events = POLLWRNORM;
	look("other names", fds, 4, -1);
	fds[3].fd = not_open();
	look("not open", fds, 4, -1);
	fds[3].fd = -1;
	char byte;
	read(ends[0], &byte, 1);
	fds[1].events = 0;
	begin();
	look("in time", fds, 4, 20);
	printf("polls: %s\n", took(20));
	begin();
	look("nothing", 0, 0, 20);
	printf("polls: %s\n", took(20));
	printf("polls: too many: %s\n", done(poll(fds, 1 << 30, 0)));
}

/* --- select --- */

static fd_set reads, writes, excepts;

static void sets(int ends[2], int counter)
{
	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_ZERO(&excepts);
	FD_SET(ends[0], &reads);
	FD_SET(counter, &reads);
	FD_SET(ends[0], &writes);
	FD_SET(counter, &writes);
	FD_SET(ends[0], &excepts);
}

static void choose(const char *what, int ends[2], int counter, struct timeval *time)
{
	int n = (int)syscall(SYS_select, (ends[1] > counter ? ends[1] : counter) + 1, &reads, &writes, &excepts, time);
	printf("polls: %s: %s, %d%d %d%d%d %d\n", what, done(n), !!FD_ISSET(ends[0], &reads), !!FD_ISSET(counter, &reads),
	       !!FD_ISSET(ends[0], &writes), !!FD_ISSET(ends[1], &writes), !!FD_ISSET(counter, &writes), !!FD_ISSET(ends[0], &excepts));
}

static void selects(int ends[2], int counter)
{
	struct timeval time = {0, 0};
	sets(ends, counter);
	FD_SET(ends[1], &writes);
	choose("select of an empty pipe", ends, counter, &time);
	sets(ends, counter);
	write(ends[1], "x", 1);
	choose("of a full one", ends, counter, 0);
	char byte;
	read(ends[0], &byte, 1);
	sets(ends, counter);
	FD_CLR(counter, &writes);
	time = (struct timeval){0, 30000};
	begin();
	choose("in time", ends, counter, &time);
	printf("polls: %s, %ld left\n", took(30), (long)(time.tv_sec * 1000000 + time.tv_usec));
	sets(ends, counter);
	time = (struct timeval){5, 0};
	choose("at once", ends, counter, &time);
	printf("polls: %s\n", time.tv_sec == 4 || time.tv_sec == 5 ? "much left" : "WRONG time left");
	FD_ZERO(&reads);
	int none = not_open();
	FD_SET(none, &reads);
	printf("polls: not open: %s\n", done(select(none + 1, &reads, 0, 0, 0)));
	printf("polls: less than none: %s\n", done(select(-1, 0, 0, 0, 0)));
	time = (struct timeval){-1, 0};
	printf("polls: less than no time: %s\n", done(select(0, 0, 0, 0, &time)));
	time = (struct timeval){0, 20000};
	begin();
	printf("polls: nothing: %s", done(select(0, 0, 0, 0, &time)));
	printf(", %s\n", took(20));
}

/* --- The other end goes --- */

static void ends_go(void)
{
	int ends[2];
	fd_set set;
	pipe(ends);
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	close(ends[1]);
	struct pollfd fd = {.fd = ends[0], .events = POLLOUT};
	look("no writer", &fd, 1, -1);
	struct timeval time = {0, 20000};
	printf("polls: no room by that: %s\n", done(select(ends[0] + 1, 0, &set, 0, &time)));
	FD_SET(ends[0], &set);
	printf("polls: the end to read: %s\n", done(select(ends[0] + 1, &set, 0, 0, 0)));
	close(ends[0]);
	pipe(ends);
	close(ends[0]);
	fd = (struct pollfd){.fd = ends[1]};
	look("no reader", &fd, 1, -1);
	close(ends[1]);
}

/* --- Somebody else does it --- */

struct task {
	int fd, to;
	pthread_t target;
};

static void *later(void *argument)
{
	struct task *task = argument;
	struct timespec time = {0, 100000000};
	nanosleep(&time, 0);
	uint64_t one = 1;
	if (task->fd < 0)
		pthread_kill(task->target, SIGUSR1);
	else if (task->to < 0)
		close(task->fd);
	else
		write(task->fd, &one, 8);
	return 0;
}

static void others(int ends[2], int counter)
{
	pthread_t thread;
	struct task task = {counter, 0, pthread_self()};
	struct pollfd fds[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = counter, .events = POLLIN}};
	uint64_t eight;
	pthread_create(&thread, 0, later, &task);
	look("somebody adds", fds, 2, -1);
	pthread_join(thread, 0);
	read(counter, &eight, 8);
	task.fd = ends[1];
	pthread_create(&thread, 0, later, &task);
	sets(ends, counter);
	FD_CLR(counter, &writes);
	choose("somebody writes", ends, counter, 0);
	pthread_join(thread, 0);
	read(ends[0], &eight, 8);
	/* Signals: none of these calls runs again. */
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &action, 0);
	task.fd = -1;
	pthread_create(&thread, 0, later, &task);
	look("a signal", fds, 2, -1);
	pthread_join(thread, 0);
	pthread_create(&thread, 0, later, &task);
	printf("polls: a signal at select: %s\n", done(select(0, 0, 0, 0, 0)));
	pthread_join(thread, 0);
	sigset_t blocked, none;
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, 0);
	printf("polls: signals %u\n", signals);
	pthread_create(&thread, 0, later, &task);
	printf("polls: let in by ppoll: %s\n", done(ppoll(fds, 2, 0, &none)));
	pthread_join(thread, 0);
	pthread_create(&thread, 0, later, &task);
	printf("polls: let in by pselect: %s\n", done(pselect(0, 0, 0, 0, 0, &none)));
	pthread_join(thread, 0);
	printf("polls: signals %u\n", signals);
	struct timespec time = {0, 20000000};
	begin();
	printf("polls: ppoll: %s", done(ppoll(fds, 2, &time, &none)));
	printf(", %s\n", took(20));
	pthread_kill(pthread_self(), SIGUSR1);
	begin();
	printf("polls: pselect: %s", done(pselect(0, 0, 0, 0, &time, 0)));
	printf(", %s\n", took(20));
	printf("polls: signals %u\n", signals);
	/* It is there already, and there is no time: it comes even so, unless something is ready. */
	time = (struct timespec){0, 0};
	printf("polls: ppoll, no time: %s\n", done(ppoll(fds, 2, &time, &none)));
	printf("polls: signals %u\n", signals);
	pthread_kill(pthread_self(), SIGUSR1);
	printf("polls: pselect, no time: %s\n", done(pselect(0, 0, 0, 0, &time, &none)));
	printf("polls: signals %u\n", signals);
	pthread_kill(pthread_self(), SIGUSR1);
	printf("polls: ppoll: %s\n", done(ppoll(fds, 2, 0, &none)));
	pthread_kill(pthread_self(), SIGUSR1);
	write(ends[1], "x", 1);
	printf("polls: ready and a signal: %s\n", done(ppoll(fds, 2, 0, &none)));
	printf("polls: signals %u\n", signals);
	read(ends[0], &eight, 1);
	pthread_sigmask(SIG_UNBLOCK, &blocked, 0);
	printf("polls: signals %u\n", signals);
	task.fd = ends[1];
	task.to = -1;
	pthread_create(&thread, 0, later, &task);
	look("the writer goes", fds, 2, -1);
	pthread_join(thread, 0);
}

/* --- A thread that lets a signal in at times only, whenever it is sent --- */

#define SENT 40
static volatile unsigned awaits, ended;

static void *lets_in(void *argument)
{
	sigset_t blocked, none;
	(void)argument;
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, 0);
	pthread_kill(pthread_self(), SIGUSR1);
	printf("polls: sent before: %s\n", done(ppoll(0, 0, 0, &none)));
	for (unsigned i = 0; i < SENT; i++) {
		awaits = i + 1;
		ended += i % 2 ? ppoll(0, 0, 0, &none) < 0 : pselect(0, 0, 0, 0, 0, &none) < 0;
	}
	return 0;
}

static void sent_at_any_time(void)
{
	pthread_t thread;
	signals = 0;
	pthread_create(&thread, 0, lets_in, 0);
	for (unsigned i = 0; i < SENT; i++) {
		while (awaits <= i)
			sched_yield();
		usleep(i * 5);
		pthread_kill(thread, SIGUSR1);
	}
	pthread_join(thread, 0);
	printf("polls: signals %u, %u ended\n", signals, ended);
}

/* --- Each thread waits for all pipes, and one of them takes what is there --- */

#define ROUNDS 30
static unsigned parties, taken;
static int lines[THREADS_MAX][2];

static void *waits(void *argument)
{
	struct pollfd fds[THREADS_MAX];
	(void)argument;
	unsigned left = parties;
	for (unsigned i = 0; i < parties; i++)
		fds[i] = (struct pollfd){.fd = lines[i][0], .events = POLLIN};
	while (left > 0) {
		if (poll(fds, parties, -1) <= 0)
			printf("polls: WRONG wait\n");
		for (unsigned i = 0; i < parties; i++) {
			char byte;
			if (fds[i].revents == 0)
				continue;
			long n = read(fds[i].fd, &byte, 1);
			if (n == 1)
				__atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
			if (n == 0) {
				fds[i].fd = -1;
				left--;
			}
		}
	}
	return 0;
}

static void many(void)
{
	pthread_t threads[THREADS_MAX];
	for (unsigned i = 0; i < parties; i++)
		pipe2(lines[i], O_NONBLOCK);
	for (unsigned i = 0; i < parties; i++)
		pthread_create(&threads[i], 0, waits, 0);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < parties; i++)
			write(lines[i][1], "x", 1);
	for (unsigned i = 0; i < parties; i++)
		close(lines[i][1]);
	for (unsigned i = 0; i < parties; i++)
		pthread_join(threads[i], 0);
	printf("polls: %u of %u bytes\n", taken, parties * ROUNDS);
}

int main(int count, char **words)
{
	int ends[2], counter = eventfd(0, 0);
	parties = number_from(count > 1 ? words[1] : 0, 4);
	setvbuf(stdout, 0, _IOLBF, 0);
	pipe(ends);
	polls(ends, counter);
	selects(ends, counter);
	ends_go();
	others(ends, counter);
	sent_at_any_time();
	many();
	return 0;
}
