/* Mappings and files at their edges, each line what a step returned and what is there afterwards:
 *   joined    a mapping that became longer in place, or was protected in parts, is one mapping to mremap()
 *   hidden    a system call can read no page of PROT_NONE, which keeps its bytes, also where it is moved
 *   appends   pwrite() to a descriptor of O_APPEND goes to the end
 *   behind    of a file that became shorter no page is there behind the end, for a reader that comes to them in order either
 *   waiting   a blocked signal waits though its action ignores it, until one is set that does
 *   unended   output that ends within a line is a line of its own
 *   tail      what the last machine stores behind a file's end is no part of what the file becomes longer by (POSIX, ftruncate() and write();
 *             Linux does so since 6.13 or so, as the file system is)
 * Usage: edges [tail]; with it that step alone, which the others are without */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

#define PAGE 4096ul

static const char *of(long value) { return value == -1 ? strerror(errno) : "done"; }

static int file_of(const char *directory, const char *name, int flags)
{
	char path[256];
	const char *shared = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/edges.%s", shared ? shared : directory, name);
	int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
	if (fd < 0)
		fail(path);
	return fd;
}

/* A free range, so that a mapping at its beginning can become longer in place. */
static char *room(unsigned pages)
{
	char *at = mmap(0, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(at, pages * PAGE);
	return at;
}

static unsigned sum(const char *at, size_t bytes)
{
	unsigned all = 0;
	while (bytes-- > 0)
		all = all * 31 + (unsigned char)*at++;
	return all;
}

static void joined(const char *what, int flags, int fd)
{
	char *at = room(64);
	at = mmap(at, 2 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	memset(at, 1, PAGE);
	for (unsigned pages = 4; pages <= 16; pages *= 2) {
		char *longer = mremap(at, pages / 2 * PAGE, pages * PAGE, 0);
		printf("edges: joined %s to %u pages: %s\n", what, pages, longer == at ? "done" : strerror(errno));
		if (longer == at)
			memset(at + (pages - 1) * PAGE, (int)pages, PAGE);
	}
	mprotect(at + PAGE, 3 * PAGE, PROT_READ);
	mprotect(at + PAGE, 3 * PAGE, PROT_READ | PROT_WRITE);
	char *moved = mremap(at, 16 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
	printf("edges: joined %s protected and moved: %s\n", what, of(moved == MAP_FAILED ? -1 : 0));
	if (moved != MAP_FAILED)
		printf("edges: joined %s holds %x\n", what, sum(moved, 16 * PAGE));
}

static void hidden(const char *what, int flags, int fd)
{
	int out = file_of("/tmp", "out", 0);
	if (ftruncate(out, PAGE) < 0)
		fail("ftruncate");
	char *at = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	memset(at, 7, 4 * PAGE);
	mprotect(at + PAGE, 2 * PAGE, PROT_NONE);
	printf("edges: hidden %s, written from: %s\n", what, of(pwrite(out, at + PAGE + 10, 100, 0)));
	printf("edges: hidden %s, read to: %s\n", what, of(pread(out, at + PAGE + 10, 100, 0)));
	printf("edges: hidden %s, a path: %s\n", what, of(open(at + PAGE, O_RDONLY)));
	char *moved = mremap(at + PAGE, 2 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
	printf("edges: hidden %s, moved: %s\n", what, of(moved == MAP_FAILED ? -1 : 0));
	printf("edges: hidden %s, then written from: %s\n", what, of(pwrite(out, moved + 10, 100, 0)));
	mprotect(moved, 2 * PAGE, PROT_READ);
	printf("edges: hidden %s holds %x\n", what, sum(moved, 2 * PAGE));
	close(out);
}

static sigjmp_buf back;
static void on_bus_error(int number) { siglongjmp(back, number); }
static int is_there(volatile char *at)
{
	int number = sigsetjmp(back, 1);
	if (number == 0)
		(void)*at;
	return number == 0;
}

static void behind(const char *directory)
{
	static char bytes[24 * PAGE];
	int fd = file_of(directory, "behind", 0);
	if (write(fd, bytes, sizeof bytes) < 0 || ftruncate(fd, 16 * PAGE) < 0)
		fail("behind");
	char *at = mmap(0, 24 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	printf("edges: behind:");
	for (unsigned i = 0; i < 24; i++)
		printf(" %d", is_there(at + i * PAGE));
	printf("\n");
}

static volatile sig_atomic_t taken;
static void on_signal(int number) { taken += number; }

static int is_pending(int number)
{
	sigset_t set;
	sigpending(&set);
	return sigismember(&set, number);
}

static void waiting(int number, void (*ignores)(int))
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, number);
	for (int whole = 0; whole < 2; whole++) {
		taken = 0;
		sigprocmask(SIG_BLOCK, &set, 0);
		signal(number, ignores);
		whole ? kill(getpid(), number) : raise(number);
		printf("edges: waiting %d: %d", number, is_pending(number));
		signal(number, on_signal);
		sigprocmask(SIG_UNBLOCK, &set, 0);
		printf(", taken %d", taken / number);
		sigprocmask(SIG_BLOCK, &set, 0);
		whole ? kill(getpid(), number) : raise(number);
		signal(number, ignores);
		printf(", ignored %d", is_pending(number));
		signal(number, on_signal);
		sigprocmask(SIG_UNBLOCK, &set, 0);
		printf(", taken %d\n", taken / number);
	}
}

static struct meeting *meetings;
static unsigned met;
static void next(void) { meet(&meetings[met++], nodes()); }

/* By ftruncate(), and by writes behind a gap. */
static void tail(const char *directory)
{
	int fd = file_of(directory, "tail", 0);
	char *map = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (unsigned i = 0; i < 3; i++) {
		if (node() == 1 && ftruncate(fd, 100) < 0)
			fail("ftruncate");
		next();
		if (node() == nodes())
			memset(map, 'x', PAGE);
		next();
		if (node() == 1) {
			long done = i == 0	? ftruncate(fd, 2 * PAGE + 50)
				    : i == 1 ? pwrite(fd, "end", 3, 2 * PAGE + 47)
					     : pwrite(fd, "end", 3, 1000);
			unsigned zeros = 0;
			while (zeros < 900 && map[100 + zeros] == 0)
				zeros++;
			printf("edges: tail %u: %s, zeros %u\n", i, of(done), zeros);
		}
		next();
	}
	close(fd);
	munmap(map, 4 * PAGE);
}

static void appends(void)
{
	int fd = file_of("/tmp", "appends", O_APPEND);
	char text[32] = {0};
	printf("edges: appends: %s", of(write(fd, "one", 3)));
	printf(", %s", of(pwrite(fd, "two", 3, 1)));
	printf(", at %ld", (long)lseek(fd, 0, SEEK_CUR));
	lseek(fd, 1, SEEK_SET);
	printf(", none %s", of(write(fd, "", 0)));
	printf(", %s", of(write(fd, (void *)8, 1)));
	printf(", at %ld", (long)lseek(fd, 0, SEEK_CUR));
	printf(", %ld bytes %s\n", (long)pread(fd, text, 20, 0), text);
}

int main(int count, char **words)
{
	meetings = share("edges.meetings", PAGE);
	if (count > 1 && !strcmp(words[1], "tail")) {
		tail("/tmp");
		tail("/shm");
	} else if (node() == 1) {
		int fd = file_of("/shm", "joined", 0);
		if (ftruncate(fd, 64 * PAGE) < 0)
			fail("ftruncate");
		joined("shared", MAP_SHARED, fd);
		joined("private", MAP_PRIVATE, fd);
		joined("anonymous", MAP_PRIVATE | MAP_ANONYMOUS, -1);
		hidden("shared", MAP_SHARED, fd);
		hidden("private", MAP_PRIVATE, fd);
		hidden("anonymous", MAP_PRIVATE | MAP_ANONYMOUS, -1);
		appends();
		signal(SIGBUS, on_bus_error);
		behind("/tmp");
		behind("/shm");
		waiting(SIGUSR1, SIG_IGN);
		waiting(SIGCONT, SIG_DFL);
		waiting(SIGCHLD, SIG_DFL);
		printf("edges: unended");
	}
	return 0;
}
