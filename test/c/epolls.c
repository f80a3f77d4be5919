/* eventfd(2) and epoll(7): what a counter counts, what a set of interests tells of, once or as long as it is so. Prints one line a step.
 * Usage: epolls [THREADS], 4 unless told */
#include "cluster.h"
#include "stepwise.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static void *volatile nowhere = (void *)8;

#define STEP(what, result) printf("epolls: %s: %s\n", what, done(result))

static void nap(unsigned milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000l};
	nanosleep(&time, 0);
}

static unsigned long elapsed(struct timespec from)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
}

static void ready(const char *what, int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN | POLLOUT};
	poll(&look, 1, 0);
	printf("epolls: %s: ready %x\n", what, look.revents);
}

static long add(int fd, uint64_t value) { return write(fd, &value, 8); }
static uint64_t last;
static long take(int fd) { return read(fd, &last, 8); }

/* --- Counters --- */

static void counters(void)
{
	int fd = eventfd(3, EFD_NONBLOCK);
	struct stat what;
	char small[4];
	fstat(fd, &what);
	printf("epolls: mode %o, size %ld\n", (unsigned)what.st_mode, (long)what.st_size);
	ready("a counter of 3", fd);
	STEP("read", take(fd));
	printf("epolls: it was %lu\n", (unsigned long)last);
	ready("a counter of 0", fd);
	STEP("read of 0", take(fd));
	STEP("a short read", read(fd, small, 4));
	STEP("a short write", write(fd, small, 4));
	STEP("a write of the highest", add(fd, -1ul));
	STEP("a write of nothing", add(fd, 0));
	ready("still 0", fd);
	STEP("a write up to the highest", add(fd, -2ul));
	ready("a full counter", fd);
	STEP("one too many", add(fd, 1));
	STEP("read", take(fd));
	printf("epolls: it was %lx\n", (unsigned long)last);
	char two[16];
	add(fd, 1);
	STEP("a long read", read(fd, two, 16));
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		STEP("read of a semaphore", take(fd));
	printf("epolls: it was %lu, close on exec %d\n", (unsigned long)last, fcntl(fd, F_GETFD));
	close(fd);
	STEP("bad flags", eventfd(0, 2));
	fd = eventfd(0, EFD_NONBLOCK);
	uint64_t values[2] = {3, 4};
	struct iovec whole[2] = {{values, 8}, {values + 1, 8}}, halves[2] = {{values, 4}, {(char *)values + 4, 4}};
	STEP("two writes at once", writev(fd, whole, 2));
	STEP("half of one twice", writev(fd, halves, 2));
	values[0] = 0;
	STEP("a read in halves", readv(fd, halves, 2));
	printf("epolls: it was %lu\n", (unsigned long)values[0]);
	add(fd, 9);
	STEP("a read into nowhere", read(fd, nowhere, 8));
	STEP("a write from nowhere", write(fd, nowhere, 8));
	STEP("pread", pread(fd, two, 8, 0));
	STEP("fsync", fsync(fd));
	STEP("ftruncate", ftruncate(fd, 0));
	STEP("mmap", (long)mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	STEP("fchdir", fchdir(fd));
	close(fd);
}

/* --- Sets --- */

static struct epoll_event found[64];
static volatile int less = -1;

static int change(int set, int operation, int fd, unsigned events)
{
	struct epoll_event event = {.events = events, .data.u64 = 0x1234567800000000 + (unsigned)fd};
	return epoll_ctl(set, operation, fd, &event);
}

/* Which of these descriptors are told, as a sorted list by their place. */
static void told(const char *what, int set, const int *fds, unsigned count, int limit)
{
	int n = epoll_wait(set, found, 64, limit);
	printf("epolls: %s: %s", what, done(n));
	for (unsigned i = 0; i < count; i++)
		for (int k = 0; k < n; k++)
			if (found[k].data.u64 == 0x1234567800000000u + (unsigned)fds[i])
				printf(", %u %x", i, found[k].events);
	printf("\n");
}

static void refused(void)
{
	int set = epoll_create1(0), other = epoll_create1(EPOLL_CLOEXEC), ends[2], file = open("/proc/self/exe", O_RDONLY);
	pipe(ends);
	if (file < 0)
		file = open("/bin/epolls", O_RDONLY);
	STEP("epoll_create of nothing", syscall(SYS_epoll_create, 0));
	STEP("bad flags", epoll_create1(1));
	STEP("not a set", change(ends[0], EPOLL_CTL_ADD, ends[1], EPOLLIN));
	STEP("itself", change(set, EPOLL_CTL_ADD, set, EPOLLIN));
	STEP("a file", change(set, EPOLL_CTL_ADD, file, EPOLLIN));
	STEP("not open", change(set, EPOLL_CTL_ADD, not_open(), EPOLLIN));
	STEP("not in it", change(set, EPOLL_CTL_DEL, ends[0], 0));
	STEP("nor to be changed", change(set, EPOLL_CTL_MOD, ends[0], 0));
	STEP("add", change(set, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	STEP("again", change(set, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	STEP("what?", change(set, 9, ends[0], EPOLLIN));
	STEP("an event that is not there", epoll_ctl(set, EPOLL_CTL_MOD, ends[0], nowhere));
	STEP("wait for none", epoll_wait(set, found, 0, 0));
	STEP("wait for less", epoll_wait(set, found, less, 0));
	STEP("wait of a pipe", epoll_wait(ends[0], found, 1, 0));
	STEP("wait of none", epoll_wait(not_open(), found, 1, 0));
	STEP("read of a set", read(set, found, 8));
	STEP("a set in a set", change(other, EPOLL_CTL_ADD, set, EPOLLIN));
	STEP("in a circle", change(set, EPOLL_CTL_ADD, other, EPOLLIN));
	write(ends[1], "x", 1);
	told("through two sets", other, &set, 1, 0);
	ready("a set of sets", other);
	char byte;
	read(ends[0], &byte, 1);
	told("no more", other, &set, 1, 0);
	ready("nor so", other);
	int chain[12], deep = 0;
	chain[0] = epoll_create1(0);
	for (int i = 1; i < 12; i++) {
		chain[i] = epoll_create1(0);
		deep += change(chain[i], EPOLL_CTL_ADD, chain[i - 1], EPOLLIN) == 0;
	}
	printf("epolls: there is an end to it: %d\n", deep < 11);
	for (int i = 0; i < 12; i++)
		close(chain[i]);
	close(set), close(other), close(ends[0]), close(ends[1]), close(file);
}

static void levels_and_edges(void)
{
	int set = epoll_create1(0), ends[2], counter = eventfd(0, EFD_NONBLOCK);
	char bytes[8];
	pipe2(ends, O_NONBLOCK);
	int fds[3] = {ends[0], ends[1], counter};
	change(set, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLRDHUP);
	told("nothing", set, fds, 3, 0);
	write(ends[1], "abc", 3);
	told("a level", set, fds, 3, 0);
	told("is told again", set, fds, 3, 0);
	read(ends[0], bytes, 8);
	told("until it is no more", set, fds, 3, 0);
	change(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET);
	write(ends[1], "abc", 3);
	told("an edge", set, fds, 3, 0);
	told("is told once", set, fds, 3, 0);
	read(ends[0], bytes, 1);
	told("whatever is read", set, fds, 3, 0);
	write(ends[1], "d", 1);
	told("and when there is more", set, fds, 3, 0);
	change(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET);
	told("and when asked anew", set, fds, 3, 0);
	change(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT);
	told("one shot", set, fds, 3, 0);
	write(ends[1], "e", 1);
	told("no second one", set, fds, 3, 0);
	change(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT);
	told("until it is armed", set, fds, 3, 0);
	change(set, EPOLL_CTL_DEL, ends[0], 0);
	change(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET);
	told("room", set, fds, 3, 0);
	while (write(ends[1], found, sizeof found) > 0)
		;
	told("no room", set, fds, 3, 0);
	char *all = malloc(70000);
	read(ends[0], all, 10);
	told("nor now", set, fds, 3, 0);
	read(ends[0], all, 70000);
	told("room again", set, fds, 3, 0);
	read(ends[0], all, 1);
	change(set, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLOUT | EPOLLET);
	told("a counter", set, fds, 3, 0);
	add(counter, 2);
	told("that was added to", set, fds, 3, 0);
	add(counter, 2);
	told("and again", set, fds, 3, 0);
	take(counter);
	told("and taken", set, fds, 3, 0);
	change(set, EPOLL_CTL_ADD, ends[0], EPOLLIN);
	close(ends[1]);
	told("the writer has gone", set, fds, 3, 0);
	close(ends[0]);
	told("and the reader", set, fds, 3, 0);
	pipe(ends);
	fds[0] = ends[0];
	int copy = dup(ends[0]);
	change(set, EPOLL_CTL_ADD, ends[0], EPOLLIN);
	write(ends[1], "x", 1);
	close(ends[0]);
	told("closed, but open still", set, fds, 1, 0);
	STEP("its number is not known", change(set, EPOLL_CTL_DEL, fds[0], 0));
	close(copy);
	told("closed", set, fds, 1, 0);
	free(all);
	close(set), close(counter), close(ends[1]);
}

/* Once per thing that happens: also to a set in a set, whether or not that has been told already. */
static void sets_of_sets(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), ends[2];
	char bytes[8];
	pipe(ends);
	change(inner, EPOLL_CTL_ADD, ends[0], EPOLLIN);
	change(outer, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLET);
	told("an inner set of nothing", outer, &inner, 1, 0);
	write(ends[1], "x", 1);
	told("an edge of it", outer, &inner, 1, 0);
	told("once", outer, &inner, 1, 0);
	write(ends[1], "x", 1);
	told("and another one", outer, &inner, 1, 0);
	read(ends[0], bytes, 8);
	told("nothing again", outer, &inner, 1, 0);
	close(inner);
	write(ends[1], "x", 1);
	told("the inner one has gone", outer, &inner, 1, 0);
	close(outer), close(ends[0]), close(ends[1]);
}

/* epoll_ctl(2), EPOLLEXCLUSIVE */
static void exclusive(void)
{
	int set = epoll_create1(0), inner = epoll_create1(0), counter = eventfd(1, 0);
	STEP("exclusive, a set", change(set, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE));
	STEP("exclusive, one shot", change(set, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
	STEP("exclusive, priority", change(set, EPOLL_CTL_ADD, counter, EPOLLPRI | EPOLLEXCLUSIVE));
	STEP("exclusive", change(set, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLEXCLUSIVE));
	told("an exclusive one", set, &counter, 1, 0);
	STEP("changed to exclusive", change(set, EPOLL_CTL_MOD, counter, EPOLLIN | EPOLLEXCLUSIVE));
	STEP("changed", change(set, EPOLL_CTL_MOD, counter, EPOLLIN));
	STEP("taken out", change(set, EPOLL_CTL_DEL, counter, 0));
	STEP("of a pipe", change(counter, EPOLL_CTL_ADD, set, EPOLLIN));
	STEP("of itself", change(set, EPOLL_CTL_ADD, set, EPOLLIN));
	close(set), close(inner), close(counter);
}

/* What finds no room in the caller's memory is told the next time. */
static void no_room(void)
{
	int set = epoll_create1(0), counters[4];
	char *two = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(two + 4096, 4096, PROT_NONE);
	for (unsigned i = 0; i < 4; i++) {
		counters[i] = eventfd(1, 0);
		change(set, EPOLL_CTL_ADD, counters[i], EPOLLIN | (i < 2 ? EPOLLET : EPOLLONESHOT));
	}
	STEP("no memory", epoll_wait(set, (void *)(two + 4096), 4, 0));
	STEP("room for half of one", epoll_wait(set, (void *)(two + 4096 - 6), 4, 0));
	STEP("room for one and a half", epoll_wait(set, (void *)(two + 4096 - 18), 4, 0));
	told("the others", set, counters, 4, 0);
	told("all told", set, counters, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		close(counters[i]);
	munmap(two, 8192);
	close(set);
}

/* More than are told at once, of those that are ready all the time. */
static void large(void)
{
	static struct epoll_event events[700];
	static int copies[600], times[1024];
	int set = epoll_create1(0), counter = eventfd(1, 0);
	for (unsigned i = 0; i < 600; i++) {
		copies[i] = dup(counter);
		change(set, EPOLL_CTL_ADD, copies[i], EPOLLIN);
	}
	STEP("all of them", epoll_wait(set, events, 700, 0));
	for (unsigned round = 0; round < 6; round++) {
		STEP("a hundred", epoll_wait(set, events, 100, 0));
		for (unsigned i = 0; i < 100; i++)
			times[(unsigned)events[i].data.u64]++;
	}
	unsigned once = 0;
	for (unsigned i = 0; i < 600; i++)
		once += times[copies[i]] == 1;
	printf("epolls: %u were told in turn\n", once);
	for (unsigned i = 0; i < 600; i++)
		close(copies[i]);
	STEP("one that is not there", epoll_wait(set, events, 700, 0));
	close(set), close(counter);
}

/* --- Waiting --- */

static volatile unsigned signals;
static void handler(int signal)
{
	(void)signal;
	signals++;
}

struct task {
	int set, milliseconds, fd;
	pthread_t target;
};

static void *later(void *argument)
{
	struct task *task = argument;
	nap(task->milliseconds);
	if (task->fd >= 0)
		add(task->fd, 1);
	else
		pthread_kill(task->target, SIGUSR1);
	return 0;
}

static void waiting(void)
{
	int set = epoll_create1(0), counter = eventfd(0, 0);
	struct timespec from;
	pthread_t thread;
	change(set, EPOLL_CTL_ADD, counter, EPOLLIN);
	clock_gettime(CLOCK_MONOTONIC, &from);
	told("in time", set, &counter, 1, 30);
	unsigned long time = elapsed(from);
	printf("epolls: %s\n", time >= 30 && time < 1000 ? "30 ms" : "WRONG time");
	struct task task = {set, 20, counter, pthread_self()};
	pthread_create(&thread, 0, later, &task);
	told("somebody adds", set, &counter, 1, -1);
	pthread_join(thread, 0);
	take(counter);
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &action, 0);
	task.fd = -1;
	pthread_create(&thread, 0, later, &task);
	told("a signal", set, &counter, 1, -1);
	pthread_join(thread, 0);
	/* Blocked but for the time of the call. */
	sigset_t blocked, none;
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, 0);
	pthread_kill(pthread_self(), SIGUSR1);
	told("a blocked one", set, &counter, 1, 20);
	printf("epolls: signals %u\n", signals);
	STEP("not blocked", epoll_pwait(set, found, 1, -1, &none));
	printf("epolls: signals %u\n", signals);
	add(counter, 1);
	pthread_kill(pthread_self(), SIGUSR1);
	STEP("ready first", epoll_pwait(set, found, 1, -1, &none));
	printf("epolls: signals %u\n", signals);
	pthread_sigmask(SIG_UNBLOCK, &blocked, 0);
	printf("epolls: signals %u\n", signals);
	close(set), close(counter);
}

/* --- Many threads: each takes its turns from a counter that the one before adds to, and one set tells of all pipes. --- */

#define TURNS 40
static unsigned parties;
static int wheel[THREADS_MAX], lines[THREADS_MAX][2];

static void *turns(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < TURNS; i++) {
		uint64_t one;
		if (read(wheel[self], &one, 8) != 8 || one != 1)
			printf("epolls: WRONG turn\n");
		if (write(lines[self][1], &i, 4) != 4)
			printf("epolls: WRONG line\n");
		add(wheel[(self + 1) % parties], 1);
	}
	close(lines[self][1]);
	return 0;
}

static void many(unsigned events)
{
	int set = epoll_create1(0);
	pthread_t threads[THREADS_MAX];
	unsigned open = parties, sum = 0, next[THREADS_MAX] = {0};
	for (unsigned i = 0; i < parties; i++) {
		wheel[i] = eventfd(0, i % 2 ? EFD_SEMAPHORE : 0);
		pipe2(lines[i], O_NONBLOCK);
		struct epoll_event event = {.events = events, .data.u32 = i};
		epoll_ctl(set, EPOLL_CTL_ADD, lines[i][0], &event);
	}
	for (unsigned i = 0; i < parties; i++)
		pthread_create(&threads[i], 0, turns, (void *)(uintptr_t)i);
	add(wheel[0], 1);
	while (open > 0) {
		int n = epoll_wait(set, found, 2, -1);
		for (int k = 0; k < n; k++) {
			unsigned i = found[k].data.u32, got;
			long bytes;
			while ((bytes = read(lines[i][0], &got, 4)) == 4) {
				sum += got == next[i]++;
				if (!(events & EPOLLET))
					break;
			}
			if (bytes == 0) {
				close(lines[i][0]);
				open--;
			}
		}
	}
	for (unsigned i = 0; i < parties; i++) {
		pthread_join(threads[i], 0);
		close(wheel[i]);
	}
	close(set);
	printf("epolls: %u of %u turns in order\n", sum, parties * TURNS);
}

int main(int count, char **words)
{
	parties = number_from(count > 1 ? words[1] : 0, 4);
	setvbuf(stdout, 0, _IOLBF, 0);
	counters();
	refused();
	levels_and_edges();
	sets_of_sets();
	exclusive();
	no_room();
	large();
	waiting();
	many(EPOLLIN);
	many(EPOLLIN | EPOLLET);
	return 0;
}
