/* A machine that was cut off and comes back. Machine 1 writes every page of a file, all read them. Machine AWAY then reads page 0 again
 * and again until it is told, by SIGBUS, that it is out of reach; it opens the file again until it can, says of each new
 * error which it was, and reads all pages once more. Meanwhile machine 1 writes the first CHANGED of them anew, 200 ms
 * after its start.
 *
 *   again: open says ERRNO        again: PAGES pages, W wrong, O old
 *
 * Usage: again AWAY FILE PAGES CHANGED MILLISECONDS */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <time.h>

static sigjmp_buf before;
static const char *file;
static unsigned pages, changed;

static void struck(int signal) { siglongjmp(before, signal); }

static uint64_t milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void until(uint64_t when)
{
	while (milliseconds() < when)
		usleep(1000);
}

static volatile uint64_t *map(void)
{
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", file);
	int said = 0;
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd >= 0 && ftruncate(fd, pages * 4096l) == 0) {
			void *at = mmap(0, pages * 4096l, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			close(fd);
			return at;
		}
		if (errno != said)
			printf("again: open says %d\n", errno);
		said = errno;
		if (fd >= 0)
			close(fd);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		fail("again AWAY FILE PAGES CHANGED MILLISECONDS");
	unsigned away = number_from(argv[1], 0);
	file = argv[2];
	pages = number_from(argv[3], 0);
	changed = number_from(argv[4], 0);
	uint64_t end = number_from(argv[5], 0);
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	static volatile uint64_t *at, sum;
	at = map();
	if (node() == 1)
		for (unsigned i = 0; i < pages; i++)
			at[i * 512] = i + 1;
	until(30);
	for (unsigned i = 0; i < pages; i++)
		sum += at[i * 512];
	printf("again: sum %lu\n", (unsigned long)sum);
	if (node() == 1) {
		until(200);
		for (unsigned i = 0; i < changed; i++)
			at[i * 512] = 1000 + i;
	}
	if (node() == away) {
		if (sigsetjmp(before, 1) == 0)
			for (;;) {
				sum += at[0];
				usleep(1000);
			}
		printf("again: out of reach\n");
		munmap((void *)at, pages * 4096l);
		at = map();
		unsigned wrong = 0, old = 0;
		for (unsigned i = 0; i < pages; i++) {
			uint64_t value = at[i * 512];
			old += i < changed && value == i + 1;
			wrong += value != (i < changed ? 1000 + i : i + 1);
		}
		printf("again: %u pages, %u wrong, %u old\n", pages, wrong, old);
	}
	until(end);
	return 0;
}
