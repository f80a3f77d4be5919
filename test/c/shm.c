/* One machine's view of a shared file: mappings, read() and write() see the same bytes; size, protection, private copies
 * and unmapping behave as Linux's tmpfs. Each step prints one line. */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>

static sigjmp_buf back;
static volatile int fault_code;
static void *volatile fault_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(back, number);
}

static void check(int right, const char *what)
{
	printf("shm: %s: %s\n", what, right ? "ok" : "WRONG");
	fflush(stdout);
	if (!right)
		exit(1);
}

static volatile char sink;
static int fault_of(volatile char *at, int write)
{
	int number = sigsetjmp(back, 1);
	if (number)
		return number;
	if (write)
		*at = 1;
	else
		sink = *at;
	return 0;
}

static char *map(int fd, size_t bytes, int protection, int flags)
{
	char *at = mmap(0, bytes, protection, flags, fd, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	return at;
}

static void *reader(void *argument)
{
	volatile uint32_t *word = argument;
	while (*word != 4711)
		sched_yield();
	return 0;
}

int main(void)
{
	const int both = PROT_READ | PROT_WRITE;
	char path[256], text[16] = {0};
	struct stat stat;
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/shm-%u", directory ? directory : "/shm", node());

	check(open(path, O_RDWR) < 0 && errno == ENOENT, "a file that is not there");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	check(fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size == 0 && S_ISREG(stat.st_mode), "a new file is empty");
	check(ftruncate(fd, 4 * 4096) == 0 && fstat(fd, &stat) == 0 && stat.st_size == 4 * 4096, "ftruncate");

	char *a = map(fd, 4 * 4096, both, MAP_SHARED), *b = map(fd, 4 * 4096, both, MAP_SHARED);
	check(a[0] == 0 && a[3 * 4096 + 4095] == 0, "fresh pages are zero");
	memcpy(a + 4090, "across a page", 13);
	check(memcmp(b + 4090, "across a page", 13) == 0, "two mappings, one page");
	check(pread(fd, text, 13, 4090) == 13 && memcmp(text, "across a page", 13) == 0, "read() sees a mapping's bytes");
	check(pwrite(fd, "WRITTEN", 7, 4093) == 7 && memcmp(a + 4090, "acrWRITTENage", 13) == 0, "a mapping sees write()");
	check(lseek(fd, -2, SEEK_END) == 4 * 4096 - 2 && write(fd, "grown", 5) == 5 && fstat(fd, &stat) == 0 &&
		      stat.st_size == 4 * 4096 + 3,
	      "write() makes the file longer");
	check(read(fd, text, 5) == 0, "read() at the end");

	char *mine = map(fd, 4096 * 2, both, MAP_PRIVATE);
	check(memcmp(mine + 4090, "acrWRITTENage", 13) == 0, "a private mapping shows the file");
	mine[4090] = 'X';
	check(a[4090] == 'a' && mine[4090] == 'X', "and keeps its own changes");

	char *readable = map(fd, 4096 * 2, PROT_READ, MAP_SHARED);
	check(readable[4090] == 'a', "a mapping for reading");
	check(fault_of(readable + 4090, 1) == SIGSEGV && fault_code == SEGV_ACCERR && fault_address == readable + 4090,
	      "does not take a write");
	a[100] = 'n';
	check(readable[100] == 'n' && fault_of(readable + 100, 1) == SIGSEGV, "not even after others wrote");
	check(mprotect(readable, 4096, both) == 0 && fault_of(readable + 100, 1) == 0 && a[100] == 1, "until mprotect");
	check(mprotect(readable, 4096, PROT_NONE) == 0 && fault_of(readable + 100, 0) == SIGSEGV, "PROT_NONE");
	check(mprotect(readable, 4096, PROT_READ) == 0 && readable[100] == 1, "and back");
	int read_only = open(path, O_RDONLY);
	check(mmap(0, 4096, both, MAP_SHARED, read_only, 0) == MAP_FAILED && errno == EACCES, "a file opened for reading");
	check(write(read_only, "x", 1) < 0 && errno == EBADF, "takes no write()");

	char *beyond = map(fd, 8 * 4096, both, MAP_SHARED);
	check(fault_of(beyond + 6 * 4096, 0) == SIGBUS && fault_address == beyond + 6 * 4096, "SIGBUS behind the end");
	check(ftruncate(fd, 8 * 4096) == 0 && fault_of(beyond + 6 * 4096, 1) == 0, "until the file is longer");

	a[2 * 4096] = 'k';
	munmap(a, 4 * 4096);
	munmap(b, 4 * 4096);
	check(fault_of(a + 2 * 4096, 0) == SIGSEGV, "unmapped");
	a = map(fd, 4 * 4096, both, MAP_SHARED);
	check(a[2 * 4096] == 'k' && a[4090] == 'a', "the file outlives its mappings");
	close(fd);
	check(a[2 * 4096] == 'k', "and a mapping its descriptor");

	pthread_t thread;
	pthread_create(&thread, 0, reader, a + 3 * 4096);
	nanosleep(&(struct timespec){0, 5000000}, 0);
	*(volatile uint32_t *)(a + 3 * 4096) = 4711;
	pthread_join(thread, 0);
	check(1, "another thread sees a store");

	struct timespec limit = {0, 20000000};
	uint32_t *word = (uint32_t *)(a + 64);
	check(syscall(SYS_futex, word, FUTEX_WAIT, *word, &limit, 0, 0) < 0 && errno == ETIMEDOUT, "a futex's time limit");
	check(syscall(SYS_futex, word, FUTEX_WAIT, *word + 1, 0, 0, 0) < 0 && errno == EAGAIN, "a futex of another value");
	check(syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0) == 0, "nobody to wake");
	return 0;
}
