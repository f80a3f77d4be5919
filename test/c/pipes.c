/* Pipes (pipe(2), pipe(7)): ends, room, what is written at once, waiting, signals, and threads that share one. Prints one line a step.
 * Usage: pipes [THREADS], 4 unless told; pipes end: the process ends while its threads wait in pipes, eventfds, epolls and select(); pipes stay: it
 * does not end */
#include "cluster.h"
#include "stepwise.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static char page[1 << 17];
static void *volatile nowhere = (void *)8;

#define STEP(what, result) printf("pipes: %s: %s\n", what, done(result))

static volatile unsigned signals;
static void handler(int signal) { signals += 1 + (signal == SIGPIPE) * 100; }

static void handle(int signal, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	sigaction(signal, &action, 0);
}

/* Others fall asleep meanwhile: on a plain Linux, which may have other work, that takes longer. */
static void nap(unsigned milliseconds)
{
	if (getenv("BUSLOCK_SHM"))
		milliseconds *= 5;
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000l};
	nanosleep(&time, 0);
}

static void open_pipe(int ends[2], int flags)
{
	if (pipe2(ends, flags))
		fail("pipe2");
}

static void close_pipe(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static void what_it_is(void)
{
	int ends[2];
	struct stat what;
	int unread = -1;
	STEP("pipe", pipe(ends));
	fstat(ends[0], &what);
	printf("pipes: mode %o, size %ld, links %ld\n", (unsigned)what.st_mode, (long)what.st_size, (long)what.st_nlink);
	STEP("lseek", lseek(ends[0], 0, SEEK_SET));
	STEP("pread", pread(ends[0], page, 1, 0));
	STEP("ftruncate", ftruncate(ends[1], 1));
	STEP("fsync", fsync(ends[1]));
	STEP("mmap", (long)mmap(0, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0));
	STEP("read of the end to write", read(ends[1], page, 1));
	STEP("write of the end to read", write(ends[0], page, 1));
	STEP("read of nothing", read(ends[0], page, 0));
	STEP("size", fcntl(ends[0], F_GETPIPE_SZ));
	printf("pipes: flags %o %o\n", fcntl(ends[0], F_GETFL), fcntl(ends[1], F_GETFL));
	STEP("write", write(ends[1], "what is read", 12));
	STEP("FIONREAD", ioctl(ends[0], FIONREAD, &unread));
	printf("pipes: unread %d\n", unread);
	STEP("read of nothing into a hole", read(ends[0], nowhere, 0));
	struct iovec vector[3] = {{page, 5}, {page + 100, 0}, {page + 200, 100}};
	STEP("readv", readv(ends[0], vector, 3));
	printf("pipes: %.5s|%.7s\n", page, page + 200);
	STEP("bad flags", pipe2(ends, O_APPEND));
	STEP("nowhere", pipe2(nowhere, 0));
	STEP("write from nowhere", write(ends[1], nowhere, 8));
	close_pipe(ends);
	STEP("read of one closed", read(ends[0], page, 1));
	open_pipe(ends, O_CLOEXEC | O_NONBLOCK);
	printf("pipes: close on exec %d, flags %o\n", fcntl(ends[0], F_GETFD), fcntl(ends[0], F_GETFL));
	STEP("read of an empty one", read(ends[0], page, 1));
	close_pipe(ends);
}

/* How much goes in, by pieces of so many bytes, and how little must come out until one more does. */
static void room(unsigned piece)
{
	int ends[2];
	long in = 0, out = 0, n;
	open_pipe(ends, O_NONBLOCK);
	while ((n = write(ends[1], page, piece)) > 0)
		in += n;
	printf("pipes: pieces of %u: %ld fit, then %s", piece, in, done(n));
	while (write(ends[1], page, piece) < 0 && read(ends[0], page, 1) == 1)
		out++;
	printf(", another one after %ld\n", out);
	while ((n = read(ends[0], page, sizeof page)) > 0)
		out += n;
	printf("pipes: out %ld\n", out);
	close_pipe(ends);
}

static void ends_of_it(void)
{
	int ends[2], other;
	open_pipe(ends, 0);
	other = dup(ends[1]);
	write(ends[1], "last", 4);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	STEP("what was written before", read(ends[0], page, 10));
	STEP("a writer is left", read(ends[0], page, 10));
	close(other);
	STEP("none is left", read(ends[0], page, 10));
	close(ends[0]);
	open_pipe(ends, 0);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	STEP("nobody reads", write(ends[1], "x", 1));
	STEP("nobody reads nothing", write(ends[1], "x", 0));
	handle(SIGPIPE, 0);
	STEP("nobody reads, with a handler", write(ends[1], "x", 1));
	printf("pipes: signals %u\n", signals);
	signals = 0;
	close(ends[1]);
}

/* Memory that ends in the middle: what does not fit whole is not taken, nor given. */
static void half_memory(void)
{
	int ends[2], unread;
	char *two = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = two + 4096;
	mprotect(end, 4096, PROT_NONE);
	open_pipe(ends, O_NONBLOCK);
	STEP("write from the end of memory", write(ends[1], end - 4, 8));
	STEP("nothing of it", read(ends[0], page, 100));
	write(ends[1], "what is read", 12);
	STEP("read into nowhere", read(ends[0], nowhere, 12));
	STEP("read into the end of memory", read(ends[0], end - 4, 12));
	memset(page, 0, 20);
	STEP("all of it is there", read(ends[0], page, 100));
	printf("pipes: %s\n", page);
	write(ends[1], page, 4096);
	write(ends[1], page, 4096);
	STEP("two pages into one", read(ends[0], two, 8192));
	ioctl(ends[0], FIONREAD, &unread);
	printf("pipes: unread %d\n", unread);
	STEP("two pages from one", write(ends[1], two, 8192));
	ioctl(ends[0], FIONREAD, &unread);
	printf("pipes: unread %d\n", unread);
	struct iovec vector[2] = {{page, 100}, {nowhere, 100}};
	STEP("writev of half a vector", writev(ends[1], vector, 2));
	STEP("readv of half a vector", readv(ends[0], vector, 2));
	ioctl(ends[0], FIONREAD, &unread);
	printf("pipes: unread %d\n", unread);
	close_pipe(ends);
	munmap(two, 8192);
}

/* --- Waiting --- */

struct task {
	int fd;
	unsigned bytes;
	long result;
	int error;
	volatile pthread_t self;
};

static void *reads(void *argument)
{
	struct task *task = argument;
	task->result = read(task->fd, page, task->bytes);
	task->error = errno;
	return 0;
}

static void *writes(void *argument)
{
	struct task *task = argument;
	task->result = write(task->fd, page, task->bytes);
	task->error = errno;
	return 0;
}

static void waited(const char *what, pthread_t thread, struct task *task)
{
	pthread_join(thread, 0);
	printf("pipes: %s: %ld %s, signals %u\n", what, task->result, task->result < 0 ? strerror(task->error) : "", signals);
	signals = 0;
}

static void waiting(void)
{
	int ends[2];
	pthread_t thread;
	open_pipe(ends, 0);
	struct task task = {.fd = ends[0], .bytes = 100};
	pthread_create(&thread, 0, reads, &task);
	nap(20);
	write(ends[1], page, 7);
	waited("a read waits for bytes", thread, &task);
	for (int restart = 0; restart < 2; restart++) {
		handle(SIGUSR1, restart ? SA_RESTART : 0);
		pthread_create(&thread, 0, reads, &task);
		nap(20);
		pthread_kill(thread, SIGUSR1);
		nap(20);
		if (restart)
			write(ends[1], page, 3);
		waited(restart ? "a signal that lets it go on" : "a signal that ends it", thread, &task);
	}
	struct task large = {.fd = ends[1], .bytes = 100000};
	pthread_create(&thread, 0, writes, &large);
	nap(20);
	long got = 0;
	while (got < 100000)
		got += read(ends[0], page + got, 5000);
	waited("a write waits for room", thread, &large);
	pthread_create(&thread, 0, writes, &large);
	nap(20);
	handle(SIGUSR1, 0);
	pthread_kill(thread, SIGUSR1);
	waited("a signal amid a write", thread, &large);
	pthread_create(&thread, 0, writes, &large);
	nap(20);
	handle(SIGPIPE, 0);
	close(ends[0]);
	waited("the reader goes", thread, &large);
	close(ends[1]);
	open_pipe(ends, 0);
	task.fd = ends[0];
	pthread_create(&thread, 0, reads, &task);
	nap(20);
	close(ends[1]);
	waited("the writer goes", thread, &task);
	close(ends[0]);
}

/* --- Many threads --- */

#define RECORD 96
#define RECORDS 120
static unsigned parties;
static int shared[2];
static unsigned seen[THREADS_MAX][RECORDS];
static unsigned broken;

static void *producer(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	char record[RECORD];
	for (unsigned i = 0; i < RECORDS; i++) {
		memset(record, (char)(self * 16 + i), sizeof record);
		memcpy(record, &self, 4);
		memcpy(record + 4, &i, 4);
		if (write(shared[1], record, sizeof record) != sizeof record)
			__atomic_add_fetch(&broken, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static void *consumer(void *argument)
{
	char record[RECORD];
	(void)argument;
	while (read(shared[0], record, sizeof record) == sizeof record) {
		unsigned from, i;
		memcpy(&from, record, 4);
		memcpy(&i, record + 4, 4);
		int whole = from < parties && i < RECORDS;
		for (unsigned k = 8; k < sizeof record; k++)
			whole &= record[k] == (char)(from * 16 + i);
		if (whole)
			__atomic_add_fetch(&seen[from][i], 1, __ATOMIC_SEQ_CST);
		else
			__atomic_add_fetch(&broken, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static void many(void)
{
	pthread_t readers[THREADS_MAX], writers[THREADS_MAX];
	open_pipe(shared, 0);
	for (unsigned i = 0; i < parties; i++) {
		pthread_create(&readers[i], 0, consumer, 0);
		pthread_create(&writers[i], 0, producer, (void *)(uintptr_t)i);
	}
	for (unsigned i = 0; i < parties; i++)
		pthread_join(writers[i], 0);
	close(shared[1]);
	for (unsigned i = 0; i < parties; i++)
		pthread_join(readers[i], 0);
	close(shared[0]);
	unsigned once = 0;
	for (unsigned i = 0; i < parties; i++)
		for (unsigned k = 0; k < RECORDS; k++)
			once += seen[i][k] == 1;
	printf("pipes: %u of %u records came once, %u broken\n", once, parties * RECORDS, broken);
}

/* --- The end --- */

static void *waits(void *argument)
{
	unsigned how = (unsigned)(uintptr_t)argument;
	int ends[2], counter = eventfd(0, 0), set = epoll_create1(0);
	open_pipe(ends, 0);
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event);
	struct pollfd look = {.fd = ends[0], .events = POLLIN};
	fd_set fds;
	FD_ZERO(&fds);
	FD_SET(ends[0], &fds);
	uint64_t count;
	if (how == 0)
		read(ends[0], page, 1);
	else if (how == 1)
		for (;;)
			write(ends[1], page, 4096);
	else if (how == 2)
		read(counter, &count, 8);
	else if (how == 3)
		epoll_wait(set, &event, 1, -1);
	else if (how == 4)
		poll(&look, 1, -1);
	else
		select(ends[0] + 1, &fds, 0, 0, 0);
	printf("pipes: WRONG: thread %u does not wait any more\n", how);
	return 0;
}

int main(int count, char **words)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	if (count > 1 && (strcmp(words[1], "end") == 0 || strcmp(words[1], "stay") == 0)) {
		pthread_t thread;
		for (uintptr_t how = 0; how < 6; how++)
			pthread_create(&thread, 0, waits, (void *)how);
		nap(50);
		while (strcmp(words[1], "stay") == 0)
			pause();
		printf("pipes: the end\n");
		exit(7);
	}
	parties = number_from(count > 1 ? words[1] : 0, 4);
	what_it_is();
	static const unsigned pieces[] = {1, 100, 1365, 3000, 4095, 4096, 4097, 6000, 10000, 65536, 100000};
	for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++)
		room(pieces[i]);
	ends_of_it();
	half_memory();
	waiting();
	many();
	return 0;
}
