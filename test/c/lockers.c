/* Locks of ranges between processes of several machines. On a plain Linux: between processes.
 *
 *   lockers walk SEED STEPS   one process after the other takes, lets go of and asks for locks at random; the hash of all answers
 *   lockers count N           each adds N times to numbers in a file, by pread and pwrite, under locks that they wait for
 *   lockers circle N          processes that wait for one another in a circle: the one who closes it is told EDEADLK; and N times each
 *                             takes two locks in an order that makes circles, and begins again when told so
 *   lockers heir exit|stay [FILE]
 *                             process 2 has a lock of each kind and ends, or waits to be killed with its machine; others wait for them
 */
#include "cluster.h"
#include <sys/file.h>
#include <sys/ioctl.h>
#include <time.h>

enum { FILES = 3, NUMBERS = 4 };
struct shared {
	struct meeting meeting, two;
	uint32_t turn, held, done, circles;
	int results[64];
	uint32_t process[64];
	uint64_t hash;
};
static struct shared *shared;
static int fd[FILES];

static char path[256];

static void open_all(const char *name)
{
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/%s", directory ? directory : "/shm", name);
	for (int i = 0; i < FILES; i++)
		if ((fd[i] = open(path, O_RDWR | O_CREAT, 0600)) < 0)
			fail(path);
}

static int range(int file, int command, int type, long start, long length)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
	return fcntl(fd[file], command, &l) == 0 ? 0 : errno;
}

static void wait_until(uint32_t *word, uint32_t value)
{
	struct timespec moment = { 0, 200 * 1000 };
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) < value)
		nanosleep(&moment, 0);
}

static void mix(uint64_t value) { shared->hash = (shared->hash ^ value) * 1099511628211UL; }

/* The process's place; 0 = none, an open file has it. */
static unsigned who(int process)
{
	for (unsigned k = 1; k <= nodes(); k++)
		if (shared->process[k] == (uint32_t)process)
			return k;
	return 0;
}

static void one_step(uint32_t r)
{
	int file = r % FILES, what = (r >> 4) % 8;
	long start = (r >> 8) % 24, length = (r >> 14) % 12;
	int type = what < 2 ? F_WRLCK : what < 5 ? F_RDLCK : F_UNLCK;
	if (((r >> 20) & 15) == 0) {
		int how = type == F_WRLCK ? LOCK_EX : type == F_RDLCK ? LOCK_SH : LOCK_UN;
		mix(flock(fd[file], how | LOCK_NB) ? errno : 0);
		return;
	}
	mix(range(file, (r >> 24) & 1 ? F_SETLK : F_OFD_SETLK, type, start, length));
	for (long byte = 0; byte < 36; byte += 7) {
		struct flock l = { .l_type = (r >> 25) & 1 ? F_WRLCK : F_RDLCK, .l_start = byte, .l_len = 1 };
		if (fcntl(fd[0], F_GETLK, &l) != 0)
			fail("F_GETLK");
		mix(l.l_type == F_UNLCK);
	}
	if (((r >> 26) & 15) == 0) { /* with a descriptor the process's locks go */
		close(fd[FILES - 1]);
		fd[FILES - 1] = open(path, O_RDWR);
	}
}

static void walk(unsigned seed, unsigned steps)
{
	uint64_t x = seed * 2654435761UL + 1;
	for (unsigned i = 0; i < steps; i++) {
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		if (i % nodes() + 1 != node())
			continue;
		wait_until(&shared->turn, i);
		one_step(x >> 33);
		__atomic_store_n(&shared->turn, i + 1, __ATOMIC_SEQ_CST);
	}
	/* Who is in the way: a process by its number. */
	meet(&shared->meeting, nodes());
	for (int i = 0; i < FILES; i++)
		range(i, F_OFD_SETLK, F_UNLCK, 0, 0);
	range(0, F_SETLK, F_UNLCK, 0, 0);
	meet(&shared->meeting, nodes());
	if (node() == nodes())
		range(0, F_SETLK, F_WRLCK, 100, 10);
	meet(&shared->meeting, nodes());
	if (node() == 1) {
		struct flock l = { .l_type = F_RDLCK, .l_start = 105, .l_len = 1 };
		if (fcntl(fd[0], F_GETLK, &l) != 0)
			fail("F_GETLK");
		printf("lockers: seed %u steps %u hash %lx\n", seed, steps, (unsigned long)shared->hash);
		printf("lockers: %ld+%ld is locked by process %u\n", (long)l.l_start, (long)l.l_len, who(l.l_pid));
	}
	meet(&shared->meeting, nodes());
}

/* Two ranges of the file at once: by our own call, or where it is not there by one after the other. */
static void reserve(long first, long second)
{
	struct flock both[2] = {
		{ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = 8 },
		{ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = second, .l_len = 8 },
	};
	struct { uint32_t count, wait; uint64_t ranges; } all = { 2, 1, (uint64_t)(uintptr_t)both };
	if (ioctl(fd[0], 0x40104201, &all) == 0)
		return;
	if (errno != ENOTTY)
		fail("RESERVE");
	if (first > second)
		both[0].l_start = second, both[1].l_start = first;
	for (int i = 0; i < 2; i++)
		if (fcntl(fd[0], F_OFD_SETLKW, &both[i]) != 0)
			fail("F_OFD_SETLKW");
}

static uint64_t get(long place)
{
	uint64_t value = 0;
	if (pread(fd[0], &value, 8, place) < 0)
		fail("pread");
	return value;
}

static void put(long place, uint64_t value)
{
	if (pwrite(fd[0], &value, 8, place) != 8)
		fail("pwrite");
}

static void count(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned first = (i + node()) % NUMBERS, second = (i * 3 + node() + 1) % NUMBERS;
		if (range(0, F_OFD_SETLKW, F_WRLCK, 0, 8))
			fail("F_OFD_SETLKW");
		put(0, get(0) + 1);
		range(0, F_OFD_SETLK, F_UNLCK, 0, 0);
		if (range(0, F_SETLKW, F_WRLCK, 8, 8))
			fail("F_SETLKW");
		put(8, get(8) + 1);
		range(0, F_SETLK, F_UNLCK, 0, 0);
		if (flock(fd[1], LOCK_EX))
			fail("flock");
		put(16, get(16) + 1);
		flock(fd[1], LOCK_UN);
		if (first == second)
			continue;
		/* From one account to another: what all have together stays. */
		reserve(64 + 16 * first, 64 + 16 * second);
		uint64_t a = get(64 + 16 * first), b = get(64 + 16 * second);
		put(64 + 16 * first, a - 7 - i);
		put(64 + 16 * second, b + 7 + i);
		range(0, F_OFD_SETLK, F_UNLCK, 0, 0);
	}
	meet(&shared->meeting, nodes());
	if (node() != 1)
		return;
	uint64_t sum = 0;
	for (int i = 0; i < NUMBERS; i++)
		sum += get(64 + 16 * i);
	printf("lockers: %lu by open file, %lu by process, %lu by flock, %lu in all accounts\n", (unsigned long)get(0),
	       (unsigned long)get(8), (unsigned long)get(16), (unsigned long)sum);
}

/* Each process has a lock of its own, of files that are at home on different machines. */
static int own(unsigned k, int command, int type)
{
	static int at[64];
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = 10 * k, .l_len = 5 };
	k = (k - 1) % nodes() + 1;
	l.l_start = 10 * k;
	if (!at[k]) {
		char name[300];
		snprintf(name, sizeof name, "%s.%u", path, k / 2);
		if ((at[k] = open(name, O_RDWR | O_CREAT, 0600)) < 0)
			fail(name);
	}
	return fcntl(at[k], command, &l) == 0 ? 0 : errno;
}

static void doze(long milliseconds)
{
	struct timespec time = { 0, milliseconds * 1000000 };
	nanosleep(&time, 0);
}

static void circle(unsigned n)
{
	unsigned k = node();
	/* One after the other waits for the next one's lock; the last one closes the circle. */
	shared->results[k] = own(k, F_SETLK, F_WRLCK);
	meet(&shared->meeting, nodes());
	doze(100 * k);
	int told = own(k + 1, F_SETLKW, F_RDLCK);
	if (told)
		doze(100); /* nobody else is told */
	shared->results[k] = told;
	own(k + 1, F_SETLK, F_UNLCK);
	own(k, F_SETLK, F_UNLCK);
	meet(&shared->meeting, nodes());
	if (k == 1)
		for (unsigned i = 1; i <= nodes(); i++)
			printf("lockers: process %u: %s\n", i, shared->results[i] ? strerror(shared->results[i]) : "has it");
	/* Two readers of one range who both want to write. */
	if (k <= 2) {
		range(0, F_SETLKW, F_RDLCK, 500, 10);
		meet(&shared->two, 2);
		doze(100 * k);
		shared->results[k] = range(0, F_SETLKW, F_WRLCK, 505, 5);
		range(0, F_SETLK, F_UNLCK, 500, 10);
		meet(&shared->two, 2);
		if (k == 1)
			printf("lockers: readers: %s, %s\n", strerror(shared->results[1]), strerror(shared->results[2]));
	}
	meet(&shared->meeting, nodes());
	for (unsigned i = 0; i < n; i++) {
		int error;
		while ((error = own(k, F_SETLKW, F_WRLCK)) || (error = own(k + 1, F_SETLKW, F_WRLCK))) {
			if (error != EDEADLK)
				fail("F_SETLKW");
			__atomic_add_fetch(&shared->circles, 1, __ATOMIC_SEQ_CST);
			own(k, F_SETLK, F_UNLCK);
			doze(k % 3);
		}
		__atomic_add_fetch(&shared->done, 1, __ATOMIC_SEQ_CST);
		own(k + 1, F_SETLK, F_UNLCK);
		own(k, F_SETLK, F_UNLCK);
	}
	meet(&shared->meeting, nodes());
	if (k == 1)
		printf("lockers: %u times had both\n", shared->done);
	if (k == 1)
		fprintf(stderr, "circles %u\n", shared->circles);
}

static void heir(int stays)
{
	if (node() == 2) {
		if (range(0, F_OFD_SETLK, F_WRLCK, 0, 10) || range(1, F_SETLK, F_WRLCK, 20, 10) || flock(fd[2], LOCK_EX))
			fail("a lock of process 2");
		__atomic_store_n(&shared->held, 1, __ATOMIC_SEQ_CST);
		struct timespec while_others_come = { 0, 50 * 1000 * 1000 };
		nanosleep(&while_others_come, 0);
		while (stays)
			pause();
		return;
	}
	wait_until(&shared->held, 1);
	int refused = range(0, F_OFD_SETLK, F_RDLCK, 5, 1) == EAGAIN && range(1, F_SETLK, F_RDLCK, 25, 1) == EAGAIN;
	int waited = range(0, F_OFD_SETLKW, F_RDLCK, 5, 1) == 0 && range(1, F_SETLKW, F_RDLCK, 25, 1) == 0;
	int whole = flock(fd[2], LOCK_SH) == 0;
	__atomic_add_fetch(&shared->done, (uint32_t)(waited && whole), __ATOMIC_SEQ_CST);
	wait_until(&shared->done, nodes() - 1);
	if (node() == 1)
		printf("lockers: refused %d, then all %u have them\n", refused, shared->done);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	shared = share("lockers", sizeof *shared);
	open_all(argc > 3 && !strcmp(argv[1], "heir") ? argv[3] : "lockers.file");
	shared->process[node()] = (uint32_t)getpid();
	meet(&shared->meeting, nodes());
	if (!strcmp(argv[1], "walk"))
		walk(number_from(argv[2], 1), number_from(argc > 3 ? argv[3] : "", 100));
	else if (!strcmp(argv[1], "count"))
		count(number_from(argv[2], 10));
	else if (!strcmp(argv[1], "circle"))
		circle(number_from(argv[2], 10));
	else
		heir(!strcmp(argv[2], "stay"));
	return 0;
}
