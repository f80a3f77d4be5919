/* What a process has used and who it is, memory that it locks, descriptors that it closes by the dozen, what statx tells: as on Linux. Prints one line a step. Usage: usage */
#include "cluster.h"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>

static void *volatile nowhere = (void *)8;

#define STEP(call)                                                                                                     \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		long answer = (long)(call);                                                                            \
		printf("usage: %s = %ld %s\n", #call, answer, answer < 0 ? strerror(errno) : "");                      \
	} while (0)

static double seconds(struct timeval user, struct timeval system)
{
	return (double)(user.tv_sec + system.tv_sec) + (double)(user.tv_usec + system.tv_usec) / 1e6;
}

static double clock_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Between what a clock says before and after. */
static void used(int who, clockid_t clock)
{
	struct rusage usage;
	for (volatile unsigned i = 0; i < 3000000; i++)
		;
	double before = clock_of(clock);
	STEP(getrusage(who, &usage));
	double after = clock_of(clock), said = seconds(usage.ru_utime, usage.ru_stime);
	printf("usage: %s, %d\n", said > before - 0.01 && said < after + 0.01 ? "right" : "WRONG", usage.ru_maxrss > 0);
}

static void processor(void)
{
	struct rusage usage;
	struct tms span;
	used(RUSAGE_SELF, CLOCK_PROCESS_CPUTIME_ID);
	used(RUSAGE_THREAD, CLOCK_THREAD_CPUTIME_ID);
	STEP(getrusage(RUSAGE_CHILDREN, &usage));
	printf("usage: of children %.3f\n", seconds(usage.ru_utime, usage.ru_stime));
	STEP(getrusage(7, &usage));
	STEP(syscall(SYS_getrusage, RUSAGE_SELF, nowhere));
	double now = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	clock_t first = times(&span);
	double said = (double)(span.tms_utime + span.tms_stime) / (double)sysconf(_SC_CLK_TCK);
	printf("usage: %s\n", said > now - 0.05 && said < now + 0.05 ? "right" : "WRONG");
	usleep(30000);
	clock_t later = (clock_t)syscall(SYS_times, 0);
	printf("usage: %s\n", later - first >= 2 && later - first < 100 ? "right" : "WRONG");
	STEP(syscall(SYS_times, nowhere));
}

static void identity(void)
{
	unsigned real = 1, effective = 1, saved = 1;
	STEP(syscall(SYS_getresuid, &real, &effective, &saved));
	printf("usage: %d\n", real == getuid() && effective == geteuid() && saved == geteuid());
	STEP(syscall(SYS_getresgid, &real, &effective, &saved));
	printf("usage: %d\n", real == getgid() && effective == getegid());
	STEP(syscall(SYS_getresuid, &real, nowhere, &saved));
	/* Who leads is 0 to a process in a namespace of its own. */
	printf("usage: %d %d %d\n", getpgrp() >= 0, getpgid(getpid()) == getpgrp(), getsid(0) >= 0 && getsid(getpid()) == getsid(0));
	STEP(getpgid(0x7ffffff0));
	STEP(getsid(-1));
}

static void locked(void)
{
	char *at = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	STEP(mlock(at, 16384));
	STEP(mlock(at + 100, 1));
	STEP(mlock(at, 0));
	STEP(munlock(at, 65536));
	munmap(at + 32768, 4096);
	STEP(mlock(at, 65536));
	STEP(munlock(at, 65536));
	mprotect(at, 4096, PROT_NONE);
	STEP(mlock(at, 8192));
	STEP(syscall(SYS_mlock2, at + 8192, 4096, 1));
	STEP(syscall(SYS_mlock2, at + 8192, 4096, 2));
	STEP(mlockall(0));
	STEP(mlockall(MCL_FUTURE | 64));
	STEP(mlockall(MCL_ONFAULT));
	STEP(munlockall());
	munmap(at, 65536);
}

static void descriptors(void)
{
	int ends[2], fd = open("/dev/null", O_RDWR);
	for (int i = 20; i < 30; i++)
		dup2(fd, i);
	STEP(syscall(SYS_close_range, 24, 26, 0));
	STEP(fcntl(23, F_GETFD));
	STEP(fcntl(24, F_GETFD));
	STEP(fcntl(26, F_GETFD));
	STEP(syscall(SYS_close_range, 22, 27, 4));
	STEP(fcntl(22, F_GETFD));
	STEP(fcntl(21, F_GETFD));
	STEP(syscall(SYS_close_range, 20, -1u, 0));
	STEP(fcntl(29, F_GETFD));
	STEP(syscall(SYS_close_range, 30, 29, 0));
	STEP(syscall(SYS_close_range, 30, 31, 64));
	pipe(ends);
	STEP(syscall(SYS_fadvise64, ends[0], 0, 0, 0));
	STEP(syscall(SYS_fadvise64, 999, 0, 0, 0));
	close(fd), close(ends[0]), close(ends[1]);
}

static void described(void)
{
	struct stat old;
	/* struct statx, as musl has it or not */
	struct {
		uint32_t mask, block;
		uint64_t attributes;
		uint32_t links, user, group;
		uint16_t mode, pad;
		uint64_t number, size, blocks, known;
		uint64_t times[8];
		uint32_t device[4];
		uint64_t spare[14];
	} fresh;
	int fd = open("/tmp/usage", O_RDWR | O_CREAT | O_TRUNC, 0640);
	write(fd, "some bytes", 10);
	fstat(fd, &old);
	memset(&fresh, -1, sizeof fresh);
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage", 0, 0x7ff, &fresh));
	printf("usage: %o %ld, %d %d %d\n", fresh.mode, (long)fresh.size, fresh.number == old.st_ino, fresh.links == old.st_nlink,
	       (fresh.mask & 0x7ff) == 0x7ff);
	printf("usage: %d %d\n", fresh.times[0] == (uint64_t)old.st_atime, fresh.times[6] == (uint64_t)old.st_mtime);
	memset(&fresh, -1, sizeof fresh);
	STEP(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, &fresh));
	printf("usage: %o %ld\n", fresh.mode, (long)fresh.size);
	STEP(syscall(SYS_statx, AT_FDCWD, "/dev/null", 0, 0x7ff, &fresh));
	printf("usage: %o\n", fresh.mode & S_IFMT);
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage/of", 0, 0x7ff, &fresh));
	STEP(syscall(SYS_statx, AT_FDCWD, "/nowhere", 0, 0x7ff, &fresh));
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage", 1, 0x7ff, &fresh));
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage", 0x6000, 0x7ff, &fresh));
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage", 0, 0x80000000u, &fresh));
	STEP(syscall(SYS_statx, AT_FDCWD, "/tmp/usage", 0, 0x7ff, nowhere));
	STEP(syscall(SYS_faccessat2, AT_FDCWD, "/tmp/usage", R_OK, AT_EACCESS));
	STEP(syscall(SYS_faccessat2, AT_FDCWD, "/tmp/usage", R_OK, 0x40));
	STEP(syscall(SYS_faccessat2, AT_FDCWD, "/nowhere", F_OK, 0));
	STEP(syscall(SYS_fadvise64, fd, 0, 0, 2));
	STEP(syscall(SYS_fadvise64, fd, 0, 0, 9));
	unlink("/tmp/usage");
	close(fd);
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	processor();
	identity();
	locked();
	descriptors();
	described();
	return 0;
}
