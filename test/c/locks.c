/* Locks of ranges by fcntl(2) and flock(2) (open file descriptions, one process): what conflicts, what is merged and split, what is
 * told to who asks, what goes with a close. The same on Linux. Usage: locks [SEED]; with a seed, a random walk, whose answers
 * are hashed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define line(...) (printf("locks: "), printf(__VA_ARGS__))

enum { FILES = 4 };
static int fd[FILES];

static int lock(int file, int command, int type, long start, long length) {
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	return fcntl(fd[file], command, &l) == 0 ? 0 : -errno;
}

static void say(const char *what, int result) {
	line("%s: %s\n", what, result == 0 ? "ok" : strerror(-result));
}

static void test(int file, int command, int type, long start, long length) {
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	if (fcntl(fd[file], command, &l) != 0) {
		line("test: %s\n", strerror(errno));
		return;
	}
	if (l.l_type == F_UNLCK) line("test %ld+%ld: free\n", start, length);
	else
		line("test %ld+%ld: type %d whence %d start %ld length %ld process %s\n", start, length, l.l_type, l.l_whence,
					 (long)l.l_start, (long)l.l_len, l.l_pid == -1 ? "none" : l.l_pid == getpid() ? "ours" : "another");
}

static void openAll(const char *path) {
	for (int i = 0; i < FILES; i++) {
		fd[i] = open(path, i == 0 ? O_RDWR | O_CREAT : O_RDWR, 0600);
		if (fd[i] < 0) {
			perror(path);
			exit(1);
		}
	}
}

static void byOpenFile(void) {
	say("write 0-9", lock(0, F_OFD_SETLK, F_WRLCK, 0, 10));
	say("another reads 9", lock(1, F_OFD_SETLK, F_RDLCK, 9, 1));
	say("another reads 10", lock(1, F_OFD_SETLK, F_RDLCK, 10, 1));
	test(1, F_OFD_GETLK, F_RDLCK, 0, 0);
	test(0, F_OFD_GETLK, F_WRLCK, 0, 0);
	say("the first reads 0-9", lock(0, F_OFD_SETLK, F_RDLCK, 0, 10));
	say("another reads 0-4", lock(1, F_OFD_SETLK, F_RDLCK, 0, 5));
	say("the first writes 3", lock(0, F_OFD_SETLK, F_WRLCK, 3, 1));
	say("the first writes 7", lock(0, F_OFD_SETLK, F_WRLCK, 7, 1));
	test(2, F_OFD_GETLK, F_RDLCK, 5, 5);
	say("the first lets 6-8 go", lock(0, F_OFD_SETLK, F_UNLCK, 6, 3));
	test(2, F_OFD_GETLK, F_WRLCK, 6, 3);
	test(2, F_OFD_GETLK, F_WRLCK, 9, 1);
	say("to the end", lock(2, F_OFD_SETLK, F_WRLCK, 100, 0));
	test(3, F_OFD_GETLK, F_RDLCK, 1L << 40, 1);
	say("a negative length", lock(3, F_OFD_SETLK, F_WRLCK, 60, -10));
	test(2, F_OFD_GETLK, F_WRLCK, 0, 100);
	say("before the beginning", lock(3, F_OFD_SETLK, F_WRLCK, 5, -10));
	say("a start before it", lock(3, F_OFD_SETLK, F_WRLCK, -5, 10));
	say("of no type", lock(3, F_OFD_SETLK, 7, 5, 10));
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1, .l_len = 1};
	say("with a process", fcntl(fd[3], F_OFD_SETLK, &l) == 0 ? 0 : -errno);
	int copy = dup(fd[2]);
	close(fd[2]);
	test(3, F_OFD_GETLK, F_RDLCK, 100, 1);
	close(copy);
	test(3, F_OFD_GETLK, F_RDLCK, 100, 1);
}

static void byProcess(const char *path) {
	say("process writes 0-99", lock(0, F_SETLK, F_WRLCK, 0, 100));
	say("the same process by another file", lock(1, F_SETLK, F_RDLCK, 20, 10));
	test(1, F_GETLK, F_WRLCK, 0, 0);
	test(1, F_OFD_GETLK, F_WRLCK, 0, 10);
	test(1, F_OFD_GETLK, F_WRLCK, 20, 10);
	test(1, F_OFD_GETLK, F_WRLCK, 25, 60);
	test(1, F_OFD_GETLK, F_WRLCK, 35, 60);
	say("against an open file", lock(1, F_OFD_SETLK, F_WRLCK, 50, 1));
	close(open(path, O_RDONLY));
	test(1, F_OFD_GETLK, F_WRLCK, 0, 0);
	int reader = open(path, O_RDONLY);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	say("to write, by who only reads", fcntl(reader, F_SETLK, &l) == 0 ? 0 : -errno);
	close(reader);
	if (ftruncate(fd[0], 1000) != 0) perror("ftruncate");
	lseek(fd[0], 300, SEEK_SET);
	l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -10, .l_len = 10};
	say("from the end", fcntl(fd[0], F_OFD_SETLK, &l) == 0 ? 0 : -errno);
	l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -10, .l_len = 20};
	say("from where it is", fcntl(fd[0], F_OFD_SETLK, &l) == 0 ? 0 : -errno);
	test(1, F_OFD_GETLK, F_WRLCK, 0, 500);
	test(1, F_OFD_GETLK, F_WRLCK, 500, 0);
	say("all free", lock(0, F_OFD_SETLK, F_UNLCK, 0, 0));
}

static void whole(void) {
	say("flock shared", flock(fd[0], LOCK_SH | LOCK_NB) ? -errno : 0);
	say("another shared", flock(fd[1], LOCK_SH | LOCK_NB) ? -errno : 0);
	say("a third alone", flock(fd[3], LOCK_EX | LOCK_NB) ? -errno : 0);
	say("the second goes", flock(fd[1], LOCK_UN) ? -errno : 0);
	say("the first alone", flock(fd[0], LOCK_EX | LOCK_NB) ? -errno : 0);
	say("the second comes", flock(fd[1], LOCK_SH | LOCK_NB) ? -errno : 0);
	say("a range meanwhile", lock(3, F_OFD_SETLK, F_WRLCK, 0, 0));
	say("and free", lock(3, F_OFD_SETLK, F_UNLCK, 0, 0));
	say("of no kind", flock(fd[1], LOCK_SH | LOCK_EX) ? -errno : 0);
	say("the first goes", flock(fd[0], LOCK_UN) ? -errno : 0);
}

/* A thread waits for a range that another open file has; a signal cuts another wait short. */
static int order;
static void *waiter(void *argument) {
	(void)argument;
	int result = lock(1, F_OFD_SETLKW, F_WRLCK, 0, 10);
	__atomic_store_n(&order, 1, __ATOMIC_SEQ_CST);
	return (void *)(long)result;
}

static void onSignal(int signal) { (void)signal; }

static void *interruptible(void *argument) {
	(void)argument;
	return (void *)(long)lock(3, F_OFD_SETLKW, F_RDLCK, 5, 1);
}

static void *flocker(void *argument) {
	(void)argument;
	return (void *)(long)(flock(fd[1], LOCK_EX) ? -errno : 0);
}

/* On a plain Linux, which may have other work, that takes longer. */
static void othersFallAsleep(void) { usleep(getenv("BUSLOCK_SHM") ? 100000 : 20000); }

static void waiting(void) {
	pthread_t thread;
	void *result;
	lock(0, F_OFD_SETLK, F_WRLCK, 5, 10);
	pthread_create(&thread, NULL, waiter, NULL);
	othersFallAsleep();
	line("before: %d\n", __atomic_load_n(&order, __ATOMIC_SEQ_CST));
	lock(0, F_OFD_SETLK, F_UNLCK, 0, 0);
	pthread_join(thread, &result);
	say("waited", (int)(long)result);
	struct sigaction action = {.sa_handler = onSignal};
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, interruptible, NULL);
	othersFallAsleep();
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &result);
	say("cut short", (int)(long)result);
	lock(1, F_OFD_SETLK, F_UNLCK, 0, 0);
	flock(fd[0], LOCK_SH);
	pthread_create(&thread, NULL, flocker, NULL);
	othersFallAsleep();
	flock(fd[0], LOCK_UN);
	pthread_join(thread, &result);
	say("flock waited", (int)(long)result);
	flock(fd[1], LOCK_UN);
}

static unsigned long hash = 1469598103934665603UL;
static void mix(long value) { hash = (hash ^ (unsigned long)value) * 1099511628211UL; }

static void randomWalk(unsigned seed) {
	unsigned long x = seed * 2654435761UL + 1;
	for (int i = 0; i < 3000; i++) {
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		unsigned r = x >> 33;
		int file = r % FILES, what = (r >> 4) % 8;
		long start = (r >> 8) % 24, length = (r >> 14) % 12;
		int type = what < 3 ? F_WRLCK : what < 6 ? F_RDLCK : F_UNLCK;
		if (((r >> 20) & 15) == 0) {
			mix(flock(fd[file], (type == F_WRLCK ? LOCK_EX : type == F_RDLCK ? LOCK_SH : LOCK_UN) | LOCK_NB) ? errno : 0);
			continue;
		}
		mix(lock(file, ((r >> 24) & 3) == 0 && file == 0 ? F_SETLK : F_OFD_SETLK, type, start, length));
		for (long byte = 0; byte < 36; byte += 5) {
			struct flock l = {.l_type = (r >> 25) & 1 ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
			int result = fcntl(fd[(file + 1) % FILES], F_OFD_GETLK, &l);
			mix(result ? errno : l.l_type == F_UNLCK);
		}
	}
	line("seed %u hash %lx\n", seed, hash);
}

int main(int count, char **words) {
	char path[256];
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/locks.file", directory ? directory : "/shm");
	setvbuf(stdout, NULL, _IOLBF, 0);
	openAll(path);
	if (count > 1) {
		randomWalk(atoi(words[1]));
		return 0;
	}
	byOpenFile();
	for (int i = 0; i < FILES; i++) close(fd[i]);
	openAll(path);
	byProcess(path);
	whole();
	waiting();
	/* RESERVE is ours, and not of the console. */
	say("reserve of the console", ioctl(1, 0x40104201, NULL) ? -errno : 0);
	return 0;
}
