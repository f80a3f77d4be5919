/* Timers, clocks of processor time and scheduling policies: what Linux promises of them, each a line that ends in "right" or says what was
 * wrong. Usage: timers. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Seconds by which a host that is busy may be late; and a time that it does not stand still while a thread runs. */
#define PATIENCE 20
#define LONG 0.3
static const struct timespec sleeps_long = {0, 300000000};

static volatile sig_atomic_t rang;
static void on_alarm(int number)
{
	(void)number;
	rang++;
}

static void say(const char *what, int right) { printf("%s: %s\n", what, right ? "right" : "wrong"); }

static double seconds(clockid_t clock)
{
	struct timespec now;
	return clock_gettime(clock, &now) ? -1 : (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Until the clock has gone on by so many seconds. */
static void spin(clockid_t clock, double by)
{
	double end = seconds(clock) + by;
	while (seconds(clock) < end)
		;
}

static double begins(void)
{
	double now = seconds(CLOCK_MONOTONIC);
	rang = 0;
	return now;
}
static double took(double from) { return seconds(CLOCK_MONOTONIC) - from; }

static void timers(void)
{
	struct itimerval once = {{0, 0}, {0, 30000}}, often = {{0, 10000}, {0, 20000}}, none = {{0, 0}, {0, 0}}, left;
	double from = begins();
	say("setitimer", setitimer(ITIMER_REAL, &once, 0) == 0);
	while (!rang)
		;
	say("it rings", rang == 1 && took(from) >= 0.03 && took(from) < PATIENCE);
	say("getitimer after it", getitimer(ITIMER_REAL, &left) == 0 && !memcmp(&left, &none, sizeof left));
	/* Of those that ring again: one may have rung before the program waits for it. */
	from = begins();
	setitimer(ITIMER_REAL, &often, 0);
	say("pause ends by it", pause() == -1 && errno == EINTR && rang >= 1 && took(from) >= 0.02 && took(from) < PATIENCE);
	setitimer(ITIMER_REAL, &none, 0);
	from = begins();
	setitimer(ITIMER_REAL, &often, 0);
	while (rang < 5)
		pause();
	say("five times", took(from) >= 0.06 && took(from) < PATIENCE);
	say("the old one comes back", setitimer(ITIMER_REAL, &none, &left) == 0 && left.it_interval.tv_usec == 10000 &&
					      left.it_interval.tv_sec == 0 && left.it_value.tv_sec == 0);
	rang = 0;
	struct timespec wait = {0, 50000000};
	say("and rings no more", nanosleep(&wait, 0) == 0 && rang == 0);
	setitimer(ITIMER_REAL, &often, 0);
	struct timespec rest, hour = {3600, 0};
	say("nanosleep is cut short", nanosleep(&hour, &rest) == -1 && errno == EINTR && rest.tv_sec >= 3600 - PATIENCE - 1 && rest.tv_sec < 3600);
	setitimer(ITIMER_REAL, &none, 0);
	say("alarm", alarm(100) == 0);
	unsigned rest_of_it = alarm(3);
	say("the old one's rest", rest_of_it > 100 - PATIENCE && rest_of_it <= 100);
	rest_of_it = alarm(0);
	say("or none", rest_of_it <= 3 && alarm(0) == 0);
	struct itimerval half = {{0, 0}, {100, 700000}};
	setitimer(ITIMER_REAL, &half, 0);
	say("alarm rounds", alarm(0) == 101);
	half.it_value.tv_usec = 1000000;
	say("bad microseconds", setitimer(ITIMER_REAL, &half, 0) == -1 && errno == EINVAL);
	half.it_value.tv_usec = -1;
	say("negative ones", setitimer(ITIMER_REAL, &half, 0) == -1 && errno == EINVAL);
	say("no such timer", setitimer(7, &once, 0) == -1 && errno == EINVAL && getitimer(-1, &left) == -1 && errno == EINVAL);
	say("a bad address", syscall(SYS_setitimer, ITIMER_REAL, 16, 0) == -1 && errno == EFAULT);
}

static void *busy(void *clock)
{
	pthread_getcpuclockid(pthread_self(), clock);
	spin(CLOCK_THREAD_CPUTIME_ID, LONG);
	return 0;
}

static void clocks(void)
{
	clockid_t mine, theirs;
	pthread_t thread;
	struct timespec fine;
	double own = seconds(CLOCK_THREAD_CPUTIME_ID), all = seconds(CLOCK_PROCESS_CPUTIME_ID);
	say("they run", all > 0 && own > 0 && own <= all);
	nanosleep(&sleeps_long, 0);
	say("not in sleep", seconds(CLOCK_THREAD_CPUTIME_ID) - own < LONG);
	spin(CLOCK_THREAD_CPUTIME_ID, 0.03);
	say("in work", seconds(CLOCK_PROCESS_CPUTIME_ID) - all >= 0.03);
	own = seconds(CLOCK_THREAD_CPUTIME_ID);
	pthread_create(&thread, 0, busy, &theirs);
	pthread_join(thread, 0);
	say("another thread's is not mine", seconds(CLOCK_THREAD_CPUTIME_ID) - own < LONG);
	say("but the process's, when it has ended", seconds(CLOCK_PROCESS_CPUTIME_ID) - all >= LONG + 0.03);
	/* Who joins a thread goes on a moment before nothing of it is left. */
	struct timespec moment = {0, 1000000};
	for (int i = 0; i < 1000 && seconds(theirs) != -1; i++)
		nanosleep(&moment, 0);
	say("its clock is gone", seconds(theirs) == -1 && errno == EINVAL);
	say("mine by its number", pthread_getcpuclockid(pthread_self(), &mine) == 0 && seconds(mine) >= own);
	say("the process's", clock_getcpuclockid(0, &mine) == 0 && seconds(mine) >= all && clock_getres(mine, &fine) == 0);
	say("clock()", clock() >= (clock_t)(all * CLOCKS_PER_SEC));
	double last = 0;
	int falls = 0;
	for (int i = 0; i < 2000; i++) {
		double now = seconds(CLOCK_PROCESS_CPUTIME_ID);
		falls += now < last;
		last = now;
	}
	say("it never falls", falls == 0);
}

static void *runs(void *end)
{
	while (!__atomic_load_n((int *)end, __ATOMIC_SEQ_CST))
		sched_yield();
	return 0;
}

/* While other threads switch. */
static void steady(void)
{
	pthread_t threads[3];
	int end = 0, falls = 0;
	double last = 0;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], 0, runs, &end);
	for (int i = 0; i < 500; i++) {
		double now = seconds(CLOCK_PROCESS_CPUTIME_ID);
		falls += now < last;
		last = now;
		sched_yield();
	}
	__atomic_store_n(&end, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], 0);
	say("nor while others run", falls == 0);
}

static void policies(void)
{
	struct sched_param param = {.sched_priority = 0}, bad = {.sched_priority = 1};
	static const int each[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 4, 77};
	for (unsigned i = 0; i < sizeof each / sizeof *each; i++)
		printf("policy %d: %ld to %ld\n", each[i], syscall(SYS_sched_get_priority_min, each[i]),
		       syscall(SYS_sched_get_priority_max, each[i]));
	say("sched_getscheduler", syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
	say("sched_getparam", syscall(SYS_sched_getparam, 0, &param) == 0 && param.sched_priority == 0);
	say("sched_setscheduler", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param) == 0);
	say("a priority that it has not", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &bad) == -1 && errno == EINVAL);
	say("none for FIFO", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param) == -1 && errno == EINVAL);
	say("no such policy", syscall(SYS_sched_setscheduler, 0, 77, &param) == -1 && errno == EINVAL);
	say("no such thread", syscall(SYS_sched_getscheduler, 0x7ffffff) == -1 && errno == ESRCH);
	say("a negative one", syscall(SYS_sched_getparam, -1, &param) == -1 && errno == EINVAL);
	say("a bad address", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 16) == -1 && errno == EFAULT);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, 0);
	timers();
	clocks();
	steady();
	policies();
	return 0;
}
