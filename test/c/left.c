/* What a machine leaves behind that dies. Machine WRITER makes two files of 8 pages, writes pages 0 and 2 of both, and goes on
 * until it is stopped; the first one is mapped by all before. LATER milliseconds after the start machine 1 looks at
 * pages 1, 0, 2 and 5 of both files, and says of each
 *
 *   left: FILE page P holds V      or      left: FILE page P is lost
 *
 * Machine READER, if there is one, reads what was written to the first file, and goes on LASTS milliseconds, LATER unless told.
 *
 * Usage: left WRITER LATER FILE FILE [READER [LASTS]] */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>

#define PAGES 8

static sigjmp_buf before;

static void struck(int signal) { siglongjmp(before, signal); }

static uint64_t *map(const char *name, int flags)
{
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", name);
	int fd = open(path, O_RDWR | flags, 0600);
	if (fd < 0)
		return 0;
	if (flags && ftruncate(fd, PAGES * 4096))
		fail("ftruncate");
	struct stat status;
	fstat(fd, &status);
	if (!flags)
		printf("left: %s has %ld bytes\n", name, (long)status.st_size);
	uint64_t *at = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? 0 : at;
}

static void look(const char *name, volatile uint64_t *at)
{
	static const unsigned pages[] = {1, 0, 2, 5};
	static volatile unsigned i;
	for (i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (sigsetjmp(before, 1))
			printf("left: %s page %u is lost\n", name, pages[i]);
		else
			printf("left: %s page %u holds %lu\n", name, pages[i], at[pages[i] * 512]);
	}
}

int main(int argc, char **argv)
{
	if (argc < 5)
		fail("left WRITER LATER FILE FILE [READER [LASTS]]");
	unsigned writer = number_from(argv[1], 0), later = number_from(argv[2], 0);
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	volatile uint64_t *first = map(argv[3], O_CREAT);
	if (node() == writer) {
		volatile uint64_t *second = map(argv[4], O_CREAT);
		first[0] = second[0] = 7;
		first[1024] = second[1024] = 8;
		printf("left: written\n");
		while (1)
			usleep(1000);
	}
	if (node() == number_from(argv[5], 0))
		while (first[0] != 7 || first[1024] != 8)
			usleep(1000);
	if (node() == number_from(argv[5], 0))
		later = number_from(argv[5] ? argv[6] : 0, later);
	usleep(later * 1000);
	if (node() != 1)
		return 0;
	look(argv[3], first);
	uint64_t *second = map(argv[4], 0);
	if (second)
		look(argv[4], second);
	else
		printf("left: %s is not there\n", argv[4]);
	return 0;
}
