/* What calls about files say to odd arguments, in the order in which Linux looks at them. One machine. `/manners.data` is a file of the archive.
 * Usage: manners (BUSLOCK_SHM where the judge runs) */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void say(const char *call, long result, int counts)
{
	if (result < 0)
		printf("manners: %s: %s\n", call, strerror(errno));
	else
		printf("manners: %s: %ld\n", call, counts ? result : 0);
}
#define SAY(call) say(#call, (long)(call), 0)
#define COUNT(call) say(#call, (long)(call), 1)

static char buffer[8192];
static sigjmp_buf back;

static long size_of(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 ? -1 : (long)status.st_size;
}
static unsigned mode_of(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 ? 0 : status.st_mode;
}

static void descriptors(void)
{
	int file = open("file", O_RDWR | O_CREAT, 0600);
	COUNT(write(file, "0123456789", 10));
	SAY(fcntl(77, F_DUPFD, -1));
	SAY(fcntl(file, F_DUPFD, -1));
	SAY(syscall(SYS_dup3, file, 77, 0x1234));
	SAY(dup3(77, 78, 0));
	SAY(openat(file, "", O_RDONLY));
	SAY(openat(file, "x", O_RDONLY));
	struct iovec many[1] = {{buffer, 1}};
	SAY(readv(77, many, 5000));
	SAY(readv(file, many, 5000));
	int odd = open("file", O_RDONLY | O_NOCTTY | 3);
	SAY(read(odd, buffer, 1));
	SAY(write(odd, buffer, 1));
	SAY(flock(odd, LOCK_SH | LOCK_NB));
	SAY(flock(odd, LOCK_UN));
	COUNT(fcntl(odd, F_GETFL) & 07777);
	close(odd);
	COUNT(size_of("file"));
	close(open("file", O_RDONLY | O_TRUNC));
	COUNT(size_of("file"));
	/* Nothing is made that no descriptor is left for. */
	int first = dup(file), last = first;
	for (int fd; (fd = dup(file)) >= 0;)
		last = fd;
	SAY(open("never", O_CREAT | O_WRONLY, 0600));
	for (int fd = first; fd <= last; fd++)
		close(fd);
	SAY(stat("never", &(struct stat){0}));
	close(file);
}

static void on_fault(int number)
{
	siglongjmp(back, number);
}
static int touched(const volatile char *at)
{
	int fault = sigsetjmp(back, 1);
	return fault ? -fault : *at;
}

/* A private mapping has the bytes that the file has when they are touched first. */
static void private_mapping(void)
{
	struct sigaction action = {.sa_handler = on_fault};
	sigaction(SIGBUS, &action, 0);
	int file = open("grows", O_RDWR | O_CREAT, 0600);
	memset(buffer, 'x', 5000);
	COUNT(write(file, buffer, 100));
	char *map = mmap(0, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	printf("manners: behind the end: %d\n", touched(map + 4096));
	COUNT(write(file, buffer, 5000));
	printf("manners: no more: %d %d %d\n", touched(map + 4096), touched(map + 5099), touched(map + 5100));
	printf("manners: in the page that was the last: %d\n", touched(map + 3000));
	printf("manners: behind the new end: %d\n", touched(map + 8192));
	COUNT(ftruncate(file, 12288));
	printf("manners: zeros: %d\n", touched(map + 8192));
	COUNT(munmap(map, 12288));
	map = mmap(0, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	COUNT(ftruncate(file, 4096));
	printf("manners: cut off: %d\n", touched(map + 4096));
	close(file);
}

static void directories(void)
{
	SAY(mkdir("made", 07777));
	COUNT(mode_of("made"));
	SAY(open("made", O_RDONLY | O_TRUNC));
	int made = open("made", O_RDONLY);
	struct iovec two[2] = {{buffer, 10}, {buffer + 10, 10}};
	SAY(read(made, buffer, 0));
	SAY(read(made, buffer, 10));
	SAY(pread(made, buffer, 10, 0));
	SAY(preadv(made, two, 2, 0));
	SAY(preadv(made, two, 0, 0));
	SAY(write(made, buffer, 10));
	SAY(mmap(0, 4096, PROT_READ, MAP_SHARED, made, 0) == MAP_FAILED ? -1 : 0);
	SAY(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0) == MAP_FAILED ? -1 : 0);
	SAY(close(open("other", O_CREAT | O_WRONLY, 0600)));
	char here[1000];
	if (!getcwd(here, sizeof here) || fchdir(made) < 0)
		fail("made");
	SAY(syscall(SYS_getdents64, made, buffer, sizeof buffer));
	lseek(made, 0, SEEK_SET);
	strcat(here, "/made");
	SAY(linkat(AT_FDCWD, "none", 77, "x", 0));
	SAY(link("none", (char *)1));
	SAY(rmdir(here));
	SAY(syscall(SYS_getdents64, made, buffer, sizeof buffer));
	char other[1100];
	snprintf(other, sizeof other, "%.*s/other", (int)strlen(here) - 5, here);
	SAY(rename(other, "new"));
	SAY(rename(other, "new/"));
	other[strlen(other) - 6] = 0;
	if (chdir(other) < 0)
		fail(other);
	SAY(rename("other", "new/"));
	close(made);
}

static void devices(void)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), random = open("/dev/urandom", O_RDONLY);
	COUNT(write(null, "12345", 5));
	COUNT(lseek(null, 0, SEEK_CUR));
	COUNT(lseek(null, 100, SEEK_SET));
	COUNT(lseek(null, 100, SEEK_END));
	COUNT(lseek(null, 100, 9));
	COUNT(pwrite(null, "12345", 5, 1000));
	COUNT(pread(null, buffer, 5, 1000));
	COUNT(pread(zero, buffer, 5, 1000));
	COUNT(lseek(zero, 7, SEEK_CUR));
	COUNT(lseek(random, 7, SEEK_SET));
	SAY(ftruncate(null, 0));
}

/* /shm of ours has no directories; a folder does for it on Linux. */
static void in_shared(void)
{
	const char *judge = getenv("BUSLOCK_SHM");
	if (chdir(judge ? judge : "/shm") < 0)
		fail("/shm");
	SAY(close(open("file", O_CREAT | O_WRONLY, 0600)));
	SAY(mkdir("file", 0700));
	SAY(rmdir("file"));
	SAY(rmdir("none"));
	SAY(unlink("file/"));
	SAY(open("file/", O_RDONLY));
	SAY(open("none/", O_RDONLY));
	SAY(open("file/x", O_RDONLY));
	SAY(open("none/x", O_RDONLY));
	SAY(unlink("file"));
}

/* Who has a file of the archive open follows when others write it. */
static void followed(void)
{
	const char *judge = getenv("BUSLOCK_SHM");
	char path[600];
	snprintf(path, sizeof path, "%s/manners.data", judge ? judge : "");
	if (judge) {
		int fd = open(path, O_CREAT | O_WRONLY, 0644);
		if (write(fd, "of the archive", 14) != 14)
			fail(path);
		close(fd);
	}
	int first = open(path, O_RDONLY), locked = open(path, O_RDONLY), whole = open(path, O_RDONLY), second = open(path, O_RDWR);
	COUNT(pwrite(second, "on", 2, 0));
	char *map = mmap(0, 4096, PROT_READ, MAP_SHARED, first, 0);
	printf("manners: mapped '%.14s'\n", map == MAP_FAILED ? strerror(errno) : map);
	COUNT(pwrite(second, "by", 2, 0));
	printf("manners: mapped '%.14s'\n", map == MAP_FAILED ? strerror(errno) : map);
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	SAY(fcntl(locked, F_SETLK, &lock));
	SAY(flock(whole, LOCK_EX | LOCK_NB));
	close(second);
	close(open(path, O_WRONLY | O_TRUNC));
	COUNT(read(first, buffer, 10));
}

/* So does who has a directory of the archive open, or is in it, when it gets another name; also a file with another name, or one of several. */
static void moved(void)
{
	const char *judge = getenv("BUSLOCK_SHM");
	char root[300], here[600];
	snprintf(root, sizeof root, "%s/manners.d", judge ? judge : "");
	if (judge && (mkdir(root, 0755) < 0 || chdir(root) < 0 || mkdir("in", 0755) < 0 || close(creat("in/one", 0644)) < 0 ||
		      close(creat("in/two", 0644)) < 0))
		fail(root);
	if (chdir(root) < 0 || chdir("in") < 0)
		fail(root);
	int in = open(".", O_RDONLY), one = open("one", O_RDONLY), two = open("two", O_RDONLY);
	SAY(rename("../in", "../out"));
	SAY(mkdir("../in", 0700));
	SAY(close(open("here", O_CREAT | O_WRONLY, 0600)));
	SAY(stat("../out/here", &(struct stat){0}));
	SAY(faccessat(in, "here", F_OK, 0));
	SAY(fchdir(in));
	printf("manners: in %s\n", getcwd(here, sizeof here) ? strstr(here, "/manners.d") : strerror(errno));
	unsigned listed = 0;
	for (long got; (got = syscall(SYS_getdents64, in, buffer, sizeof buffer)) > 0;)
		for (long at = 0; at < got; at += *(unsigned short *)(buffer + at + 16))
			listed++;
	COUNT(listed);
	SAY(rename("one", "../first"));
	int written = open("../first", O_WRONLY);
	COUNT(write(written, "moved", 5));
	COUNT(read(one, buffer, 100));
	SAY(link("two", "../second"));
	SAY(unlink("two"));
	written = open("../second", O_WRONLY);
	COUNT(write(written, "linked", 6));
	COUNT(read(two, buffer, 100));
	SAY(rmdir("../out"));
	SAY(unlink("here"));
	SAY(rmdir("../out"));
	SAY(open("here", O_CREAT | O_WRONLY, 0600));
	SAY(rmdir("../in"));
}

int main(void)
{
	const char *directory = getenv("BUSLOCK_SHM");
	umask(0);
	if (chdir(directory ? directory : "/tmp") < 0 || mkdir("manners", 0755) < 0 || chdir("manners") < 0)
		fail("manners");
	descriptors();
	private_mapping();
	directories();
	devices();
	in_shared();
	followed();
	moved();
	return 0;
}
