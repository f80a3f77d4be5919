/* Files that machines share, as files: what one writes another reads; sizes, holes, truncation and SIGBUS behind the
 * end; a name that goes while the file is in use. Machine 1 and the last one take turns. Usage: files */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>

static struct shared {
	struct meeting meetings[24];
	uint32_t wrong;
} *shared;
static unsigned step;
static sigjmp_buf back;
static char path[256], buffer[16384];

static void on_bus_error(int number)
{
	siglongjmp(back, number);
}

static void next(void) { meet(&shared->meetings[step++], nodes()); }

static void check(int right, const char *what)
{
	if (right)
		return;
	printf("files: machine %u: %s (errno %d)\n", node(), what, errno);
	__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
}

static char pattern(unsigned long offset) { return (char)(offset * 7 + offset / 256 + 1); }

static off_t size_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) < 0 ? -1 : status.st_size;
}

static int touches(volatile char *at)
{
	int number = sigsetjmp(back, 1);
	if (number == 0)
		(void)*at;
	return number == 0;
}

static int all_zero(const char *from, unsigned long bytes)
{
	while (bytes-- > 0)
		if (*from++ != 0)
			return 0;
	return 1;
}

int main(void)
{
	unsigned me = node(), last = nodes();
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/files.data", directory ? directory : "/shm");
	shared = share("files.meetings", sizeof *shared);
	signal(SIGBUS, on_bus_error);
	if (me == 1)
		unlink(path);
	next();

	/* What one writes with write(), another reads with read() and sees in its mapping. */
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	check(fd >= 0, "open");
	if (me == 1) {
		for (unsigned i = 0; i < 10000; i++)
			buffer[i] = pattern(i);
		check(write(fd, buffer, 10000) == 10000, "write");
	}
	next();
	check(size_of(fd) == 10000, "size after write");
	memset(buffer, 0, sizeof buffer);
	check(pread(fd, buffer, sizeof buffer, 0) == 10000, "read to the end");
	char *map = mmap(0, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int same = map != MAP_FAILED;
	for (unsigned i = 0; same && i < 10000; i++)
		same = buffer[i] == pattern(i) && map[i] == pattern(i);
	check(same, "what was read and mapped is what was written");
	check(all_zero(map + 10000, 2288), "zeros behind the end of the last page");
	next();

	/* Bytes of one page, written by everybody at once with pwrite(). */
	unsigned share_of = 4096 / nodes();
	memset(buffer, (int)me, share_of);
	check(pwrite(fd, buffer, share_of, 4096 + (me - 1) * share_of) == (ssize_t)share_of, "pwrite");
	next();
	for (unsigned k = 0; k < nodes(); k++)
		for (unsigned i = 0; i < share_of; i++)
			if (map[4096 + k * share_of + i] != (char)(k + 1)) {
				check(0, "pwrite of several machines in one page");
				i = share_of;
			}
	next();

	/* Cut by the last machine: the others lose what is behind, at once. */
	if (me == last)
		check(ftruncate(fd, 5000) == 0, "ftruncate to 5000");
	next();
	check(size_of(fd) == 5000, "size after ftruncate");
	check(pread(fd, buffer, 100, 5000) == 0, "nothing to read behind the end");
	check(!touches(map + 8192), "SIGBUS behind the end");
	check(touches(map + 4096), "the page with the end in it stays");
	check(all_zero(map + 5000, 8192 - 5000), "zeros behind the end after ftruncate");
	next();
	if (me == 1)
		check(ftruncate(fd, 12288) == 0, "ftruncate to 12288");
	next();
	check(touches(map + 8192) && all_zero(map + 5000, 12288 - 5000), "what was cut off comes back as zeros");
	next();
	if (me == 1)
		map[9000] = 55;
	next();
	check(map[9000] == 55, "a store in the new page");
	next();

	/* The name goes, the file stays for those who have it; the name stands for another file then. */
	if (me == last)
		check(unlink(path) == 0, "unlink");
	next();
	check(open(path, O_RDWR) < 0 && errno == ENOENT, "the name is gone");
	next();
	int second = open(path, O_RDWR | O_CREAT, 0600);
	check(second >= 0 && size_of(second) == 0, "a new file by the old name is empty");
	next();
	if (me == 1)
		check(write(second, "new", 3) == 3, "write to the new file");
	if (me == last)
		map[1] = 77;
	next();
	check(map[1] == 77 && map[9000] == 55, "the old file is still shared");
	check(pread(second, buffer, 10, 0) == 3 && memcmp(buffer, "new", 3) == 0, "and so is the new one");
	next();
	munmap(map, 12288);
	close(fd);
	close(second);
	next();
	if (me == 1)
		unlink(path);
	next();
	if (me == 1)
		printf("files: machines %u, wrong %u\n", nodes(), shared->wrong);
	next();
	return shared->wrong == 0 ? 0 : 1;
}
