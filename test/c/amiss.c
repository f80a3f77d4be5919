/* System calls that are asked for amiss: lengths and numbers that nobody has, pointers to nothing, an unaligned access where the
 * program wants to be told. Prints what each answers; errors by name. Usage: amiss */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define FUTEX_REQUEUE 3
#define FUTEX_CMP_REQUEUE 4
#define NOWHERE ((char *)0x10)

/* The call as it stands, and its answer. */
#define SAY(call)                                                                                                      \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		long answer = (long)(call);                                                                            \
		printf("amiss: %s = %ld %s\n", #call, answer, answer == -1 ? named(errno) : "");                       \
	} while (0)

static const char *named(int error)
{
	static const struct { int error; const char *name; } names[] = {
		{EBADF, "EBADF"}, {EFAULT, "EFAULT"}, {EINVAL, "EINVAL"}, {EMFILE, "EMFILE"}, {ENODEV, "ENODEV"},
		{ENOMEM, "ENOMEM"}, {ENXIO, "ENXIO"}, {EOVERFLOW, "EOVERFLOW"}, {ESRCH, "ESRCH"}, {EACCES, "EACCES"}};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].error == error)
			return names[i].name;
	return strerror(error);
}

static void vectors(int fd, int other)
{
	static char text[8] = "abcdefgh";
	struct iovec endless = {text, -1};
	struct iovec hole[] = {{text, 2}, {NOWHERE, 3}, {text, 2}}, *edge;
	SAY(writev(fd, &endless, 1));
	SAY(readv(fd, &endless, 1));
	SAY(pwritev(fd, &endless, 1, 0));
	SAY(writev(other, &endless, 1));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(writev(fd, hole, 3));
	SAY(writev(fd, hole + 1, 2));
	SAY(lseek(fd, 0, SEEK_END));
	/* Of two entries the second cannot be read: nothing is written. */
	char *pages = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + PAGE, PAGE);
	edge = (struct iovec *)(pages + PAGE) - 1;
	edge->iov_base = text;
	edge->iov_len = 3;
	SAY(writev(fd, edge, 2));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(writev(fd, 0, 0));
	SAY(writev(fd, edge, 1));
}

static void places(int fd)
{
	SAY(ftruncate(fd, 11));
	SAY(lseek(fd, 4, SEEK_DATA));
	SAY(lseek(fd, 4, SEEK_HOLE));
	SAY(lseek(fd, 11, SEEK_DATA));
	SAY(lseek(fd, 11, SEEK_HOLE));
	SAY(lseek(fd, -1, SEEK_DATA));
	SAY(lseek(fd, 0, 5));
	SAY(fcntl(fd, F_DUPFD, -1));
	SAY(fcntl(fd, F_DUPFD_CLOEXEC, 1 << 30));
	SAY(access("/tmp", 8));
	SAY(mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, fd, LONG_MAX & -PAGE));
	SAY(mmap(0, PAGE, PROT_READ, MAP_SHARED, open("/tmp", O_RDONLY | O_DIRECTORY), 0));
}

static void advice(void)
{
	char *pages = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + PAGE, PAGE);
	SAY(madvise(pages, PAGE, MADV_WILLNEED));
	SAY(madvise(pages, 3 * PAGE, MADV_WILLNEED));
	SAY(madvise(pages, 3 * PAGE, MADV_DONTNEED));
	SAY(madvise(pages, PAGE, 5));
	SAY(madvise(pages, PAGE, 9999));
	SAY(madvise(pages + 1, PAGE, MADV_NORMAL));
}

static void numbers(void)
{
	static unsigned word, target;
	static char byte[16];
	SAY(syscall(SYS_tkill, 0, 0));
	SAY(syscall(SYS_tgkill, -1, getpid(), 0));
	SAY(syscall(SYS_tgkill, getpid(), 0, 0));
	SAY(syscall(SYS_tgkill, getpid(), 1 << 30, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_REQUEUE, -1, 0, &target, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, -1, &target, 0));
	SAY(syscall(SYS_getrandom, byte, sizeof byte, 8));
	SAY(syscall(SYS_getrandom, byte, sizeof byte, 4));
}

static void set_alignment_checks(int on)
{
	if (on)
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; orl $0x40000, (%%rsp); popf; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
	else
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; andl $~0x40000, (%%rsp); popf; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

static void on_bus_error(int number, siginfo_t *info, void *context __attribute__((unused)))
{
	set_alignment_checks(0);
	printf("amiss: signal %d code %d\n", number, info->si_code);
	exit(0);
}

int main(void)
{
	char path[] = "/tmp/amiss.XXXXXX";
	int fd = mkstemp(path), other = open(path, O_RDONLY);
	unlink(path);
	setvbuf(stdout, 0, _IOLBF, 0);
	vectors(fd, other);
	places(fd);
	advice();
	numbers();
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &action, 0);
	static char bytes[16] __attribute__((aligned(16)));
	set_alignment_checks(1);
	__asm__ volatile("movl 1(%0), %%eax" ::"r"(bytes) : "eax", "memory");
	set_alignment_checks(0);
	puts("amiss: not told");
	return 1;
}
