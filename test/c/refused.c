/* What this kernel refuses, it refuses as Linux does or says so: errors of calls, and calls that it does not have. */
#include "cluster.h"
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void check(int right, const char *what)
{
	if (right)
		return;
	printf("refused: WRONG: %s (errno %d)\n", what, errno);
	exit(1);
}

static int fails(long result, int error) { return result == -1 && errno == error; }

int main(int argc, char **argv)
{
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *hole = page + 4096;
	munmap(hole, 4096);

	/* A call's buffer that ends in a hole: what came before counts, or nothing was done. */
	int zero = open("/dev/zero", O_RDONLY);
	check(read(zero, hole - 16, 16) == 16, "a read up to the hole");
	check(read(zero, hole - 16, 32) == 16, "a read into the hole");
	check(fails(read(zero, hole, 1), EFAULT), "a read behind the page");
	check(fails(read(zero, (void *)0xffff800000000000, 8), EFAULT), "a read into the kernel");
	check(fails(write(1, (void *)0xffff800000100000, 8), EFAULT), "a write from the kernel");
	check(fails(syscall(SYS_clock_gettime, 0, 0xfffffffffffffff0), EFAULT), "a time at the end of memory");
	hole[-1] = 'x';
	check(fails(open(hole - 1, O_RDONLY), EFAULT), "a path that runs into the hole");
	hole[-1] = 0;
	hole[-2] = '/';
	check(open(hole - 2, O_RDONLY | O_DIRECTORY) >= 0, "a path that ends at the hole");

	static uint32_t word;
	check(fails(open(argv[0], O_RDWR), ETXTBSY), "writing the program");
	check(fails(open("/", O_RDWR), EISDIR), "writing the root");
	check(fails(read(77, page, 1), EBADF), "a descriptor that is not there");
	check(fails(read(zero, (void *)1, -1ul), EFAULT), "a range that wraps");
	check(close(zero) == 0 && fails(close(zero), EBADF), "closing twice");

	check(mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL, "mmap of nothing");
	check(mmap(0, 4096, PROT_READ, MAP_PRIVATE, 55, 0) == MAP_FAILED && errno == EBADF, "mmap of a bad descriptor");
	check(mmap((void *)8, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED, "mmap unaligned");
	check(fails(munmap((void *)8, 4096), EINVAL), "munmap unaligned");
	check(fails(mprotect(page, 8192, PROT_READ), ENOMEM), "mprotect over a hole");
	check(fails(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 0, 0, 0, 0), EINVAL), "a futex unaligned");
	check(fails(syscall(SYS_futex, &word, FUTEX_WAIT, 1234, 0, 0, 0), EAGAIN), "a futex of another value");
	check(fails(syscall(SYS_futex, hole, FUTEX_WAIT, 0, 0, 0, 0), EFAULT), "a futex in the hole");
	check(fails(syscall(SYS_tgkill, getpid(), 1, 0), ESRCH), "a signal to a stranger");
	check(fails(syscall(SYS_rt_sigaction, 9, page, 0, 8), EINVAL), "a handler for SIGKILL");

	check(getauxval(AT_PAGESZ) == 4096, "AT_PAGESZ");
	check(getauxval(AT_RANDOM) && getauxval(AT_PHDR) && getauxval(AT_ENTRY), "auxiliary addresses");
	check(memcmp((void *)(getauxval(AT_PHDR) - 64), "\177ELF", 4) == 0, "AT_PHDR");
	check(getauxval(AT_SECURE) == 0 && strcmp((char *)getauxval(AT_EXECFN), argv[0]) == 0, "AT_EXECFN");

	if (argc > 1 && strcmp(argv[1], "absent") == 0) {
		check(fails(syscall(SYS_fork), ENOSYS) && fails(syscall(SYS_fork), ENOSYS), "fork");
		check(fails(syscall(SYS_socket, 1, 1, 0), ENOSYS), "socket");
		check(fails(syscall(499), ENOSYS) && fails(syscall(100000), ENOSYS), "a number that nobody has");
	}
	printf("refused: all as it should be\n");
	return argc;
}
