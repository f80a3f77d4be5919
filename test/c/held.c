/* A file that one machine alone has, when its home moves and a machine dies meanwhile. 200 ms after the meeting machine WRITER makes the file
 * and writes all pages but the last one. Machine NEXT (0: none) opens it as soon as it can after that, and writes the last one. Machine 1
 * opens it 250 ms after the meeting, and LATER ms after that looks at the pages from the last one on to the second; it says how often it was
 * told of a loss, and how many pages hold what was written.
 *
 *   held: written     held: the last one as well     held: told T, D are there
 *
 * Usage: held WRITER NEXT FILE PAGES LATER MILLISECONDS */
#include "cluster.h"
#include "losses.h"

static volatile uint64_t *map(const char *name, size_t bytes, int flags)
{
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", name);
	int fd;
	while ((fd = open(path, O_RDWR | flags, 0600)) < 0)
		usleep(100);
	if (flags && ftruncate(fd, bytes))
		fail(path);
	void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	close(fd);
	return at;
}

int main(int argc, char **argv)
{
	if (argc < 7)
		fail("held WRITER NEXT FILE PAGES LATER MILLISECONDS");
	unsigned writer = number_from(argv[1], 0), next = number_from(argv[2], 0);
	unsigned pages = number_from(argv[4], 0);
	struct meeting *meeting = share("held.meeting", 4096);
	static volatile unsigned told, there, page;
	static volatile uint64_t *at;
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	meet(meeting, nodes());
	long met = now();
	if (node() == writer) {
		until(met + 200000000L);
		at = map(argv[3], pages * 4096ul, O_CREAT);
		for (unsigned i = 0; i < pages - 1; i++)
			at[i * 512] = 1000 + i;
		printf("held: written\n");
	}
	if (node() == next) {
		until(met + 260000000L);
		at = map(argv[3], pages * 4096ul, 0);
		at[(pages - 1) * 512] = 1000 + pages - 1;
		printf("held: the last one as well\n");
	}
	if (node() == 1) {
		until(met + 250000000L);
		at = map(argv[3], pages * 4096ul, 0);
		until(met + number_from(argv[5], 0) * 1000000L);
		for (page = pages - 1; page > 0; page--) {
			if (sigsetjmp(before, 1))
				told++;
			there += at[page * 512] == 1000 + page;
		}
		printf("held: told %u, %u are there\n", told, there);
	}
	until(met + number_from(argv[6], 0) * 1000000L);
	return 0;
}
