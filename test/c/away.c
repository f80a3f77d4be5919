/* What a thread asks of the kernel, asked by every one of several threads in turn, wherever they run: identity, files, signals,
 * faults, the map's changes seen from another thread, robust locks, cancelling, threads of threads. Each step prints one line
 * with a fixed text; the last thread ends the process from where it is, with the status of its argument.
 *
 *   away [THREADS [STATUS]] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t handled;
static unsigned threads;
static int first_id;

static void check(int right, unsigned self, const char *what)
{
	printf("away: thread %u: %s: %s\n", self, what, right ? "ok" : "WRONG");
	fflush(stdout);
	if (!right)
		exit(99);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	siglongjmp(back, 1);
}

static void on_user(int signal)
{
	handled = signal;
}

/* 1: reading (or writing) the byte faults. */
static int faults(volatile char *at, int writing)
{
	if (sigsetjmp(back, 1))
		return 1;
	if (writing)
		*at = 1;
	else
		(void)*at;
	return 0;
}

/* --- Two threads take turns: the other one does what it is told to and says so. --- */

static pthread_mutex_t talk = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t said = PTHREAD_COND_INITIALIZER;
static int (*task)(void);
static int task_result, task_state; /* 0 none, 1 wanted, 2 done, 3 no more */

static int by_the_other(int (*what)(void))
{
	pthread_mutex_lock(&talk);
	task = what;
	task_state = 1;
	pthread_cond_broadcast(&said);
	while (task_state != 2)
		pthread_cond_wait(&said, &talk);
	int result = task_result;
	task_state = 0;
	pthread_mutex_unlock(&talk);
	return result;
}

static void *other(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&talk);
	while (1) {
		while (task_state == 0 || task_state == 2)
			pthread_cond_wait(&said, &talk);
		if (task_state == 3)
			break;
		int (*what)(void) = task;
		pthread_mutex_unlock(&talk);
		int result = what();
		pthread_mutex_lock(&talk);
		task_result = result;
		task_state = 2;
		pthread_cond_broadcast(&said);
	}
	pthread_mutex_unlock(&talk);
	return 0;
}

static char *area;
static int read_area(void) { return faults(area, 0) ? -1 : *(volatile char *)area; }
static int write_area(void) { return faults(area, 1); }
static int read_behind(void) { return faults(area + 3 * PAGE, 0) ? -1 : area[3 * PAGE]; }

static void the_map(unsigned self)
{
	area = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(area, 7, 2 * PAGE);
	check(by_the_other(read_area) == 7, self, "what was written is read");
	mprotect(area, PAGE, PROT_READ);
	check(by_the_other(write_area) == 1, self, "mprotect takes the right to write");
	mprotect(area, PAGE, PROT_READ | PROT_WRITE);
	check(by_the_other(write_area) == 0 && *area == 1, self, "mprotect gives it back");
	mprotect(area, PAGE, PROT_NONE);
	check(by_the_other(read_area) == -1, self, "PROT_NONE");
	mprotect(area, PAGE, PROT_READ | PROT_WRITE);
	check(by_the_other(read_area) == 1, self, "and what was there before");
	madvise(area, PAGE, MADV_DONTNEED);
	check(by_the_other(read_area) == 0, self, "MADV_DONTNEED leaves zeros");
	memset(area, 9, 2 * PAGE);
	by_the_other(read_area);
	area = mremap(area, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	check(by_the_other(read_area) == 9 && by_the_other(read_behind) == 0, self, "mremap takes it along");
	munmap(area, 4 * PAGE);
	check(by_the_other(read_area) == -1, self, "munmap");
	char *again = mmap(area, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	check(again == area && by_the_other(read_area) == 0, self, "mapped anew it is zero");
	munmap(area, PAGE);
	uintptr_t end = (uintptr_t)syscall(SYS_brk, 0);
	area = (char *)((end + PAGE - 1) & -PAGE);
	syscall(SYS_brk, area + PAGE);
	*area = 5;
	check(by_the_other(read_area) == 5, self, "the heap grows");
}

/* --- Signals --- */

static pthread_t asleep;
static int asleep_ready;

static int awake;

static void *sleeper(void *argument)
{
	struct timespec long_time = { 1000, 0 };
	handled = 0;
	__atomic_store_n(&asleep_ready, 1, __ATOMIC_SEQ_CST);
	int result = nanosleep(&long_time, 0) == -1 ? errno : 0;
	__atomic_store_n(&awake, 1, __ATOMIC_SEQ_CST);
	return (void *)((intptr_t)(result == EINTR ? handled : -1) + (intptr_t)argument);
}

/* Waits for a signal that it blocks otherwise: sent early or late, it ends the wait. */
static void *suspended(void *argument)
{
	sigset_t set, open;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &open);
	sigdelset(&open, SIGUSR1);
	handled = 0;
	__atomic_store_n(&asleep_ready, 1, __ATOMIC_SEQ_CST);
	int result = sigsuspend(&open) == -1 ? errno : 0;
	return (void *)((intptr_t)(result == EINTR ? handled : -1) + (intptr_t)argument);
}

static void *waiter(void *argument)
{
	(void)argument;
	__atomic_store_n(&asleep_ready, 1, __ATOMIC_SEQ_CST);
	while (1)
		pause();
	return 0;
}

static void start_asleep(void *(*body)(void *))
{
	__atomic_store_n(&asleep_ready, 0, __ATOMIC_SEQ_CST);
	pthread_create(&asleep, 0, body, 0);
	while (!__atomic_load_n(&asleep_ready, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void signals(unsigned self)
{
	void *result;
	struct sigaction action = { .sa_handler = on_user };
	sigaction(SIGUSR1, &action, 0);
	/* A signal that comes before the sleep does not end it. */
	awake = 0;
	start_asleep(sleeper);
	struct timespec moment = { 0, 1000 * 1000 };
	while (!__atomic_load_n(&awake, __ATOMIC_SEQ_CST)) {
		pthread_kill(asleep, SIGUSR1);
		nanosleep(&moment, 0);
	}
	pthread_join(asleep, &result);
	check((intptr_t)result == SIGUSR1 && !handled, self, "a signal to another thread ends its sleep");
	start_asleep(suspended);
	pthread_kill(asleep, SIGUSR1);
	pthread_join(asleep, &result);
	check((intptr_t)result == SIGUSR1 && !handled, self, "a signal that is waited for");

	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaction(SIGUSR2, &action, 0);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pthread_kill(pthread_self(), SIGUSR2);
	int early = handled;
	pthread_sigmask(SIG_SETMASK, &old, 0);
	check(early == 0 && handled == SIGUSR2, self, "a blocked signal waits");
	handled = 0;

	check(faults((char *)8, 0) == 1, self, "SIGSEGV has a handler");
	start_asleep(waiter);
	pthread_cancel(asleep);
	pthread_join(asleep, &result);
	check(result == PTHREAD_CANCELED, self, "a thread is cancelled");
}

/* --- Locks --- */

static pthread_mutex_t robust;

static void *dies_with_it(void *argument)
{
	(void)argument;
	return (void *)(intptr_t)pthread_mutex_lock(&robust);
}

static void locks(unsigned self)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&robust, &attributes);
	pthread_t thread;
	pthread_create(&thread, 0, dies_with_it, 0);
	pthread_join(thread, 0);
	int error = pthread_mutex_lock(&robust);
	check(error == EOWNERDEAD && pthread_mutex_consistent(&robust) == 0, self, "the owner of a robust mutex died");
	pthread_mutex_unlock(&robust);
	check(pthread_mutex_lock(&robust) == 0, self, "it is consistent again");
	pthread_mutex_unlock(&robust);

	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += 20 * 1000 * 1000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pthread_mutex_lock(&mutex);
	error = pthread_cond_timedwait(&condition, &mutex, &end);
	pthread_mutex_unlock(&mutex);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int after = now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
	check(error == ETIMEDOUT && after, self, "a wait with a time limit");
}

static void files(unsigned self)
{
	char text[64] = "", name[32];
	check(getpid() == first_id, self, "one process");
	check((int)syscall(SYS_gettid) != first_id, self, "a thread of its own");
	int fd = open("/dev/null", O_RDWR);
	snprintf(name, sizeof name, "number %u", self);
	check(fd > 2 && write(fd, name, strlen(name)) == (ssize_t)strlen(name), self, "writing to a file");
	int zero = open("/dev/zero", O_RDONLY);
	memset(text, 1, sizeof text);
	check(read(zero, text, sizeof text) == sizeof text && text[0] == 0 && text[63] == 0, self, "reading one");
	check(close(fd) == 0 && close(zero) == 0 && write(fd, name, 1) == -1 && errno == EBADF, self, "closed it is closed");
	char *volatile nowhere = (char *)16;
	check(write(1, nowhere, 4) == -1 && errno == EFAULT, self, "EFAULT");
}

static void *body(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	files(self);
	pthread_t helper;
	task_state = 0;
	pthread_create(&helper, 0, other, 0);
	the_map(self);
	pthread_mutex_lock(&talk);
	task_state = 3;
	pthread_cond_broadcast(&said);
	pthread_mutex_unlock(&talk);
	pthread_join(helper, 0);
	signals(self);
	locks(self);
	return 0;
}

static int status;

static void *last(void *argument)
{
	(void)argument;
	printf("away: all right\n");
	exit(status);
}

int main(int argc, char **argv)
{
	threads = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
	status = argc > 2 ? atoi(argv[2]) : 0;
	first_id = getpid();
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	pthread_t thread;
	for (unsigned i = 0; i < threads; i++) {
		pthread_create(&thread, 0, body, (void *)(uintptr_t)i);
		pthread_join(thread, 0);
	}
	/* Whoever sleeps elsewhere ends with the process. */
	for (unsigned i = 0; i < threads; i++)
		start_asleep(waiter);
	pthread_create(&thread, 0, last, 0);
	pause();
	return 1;
}
