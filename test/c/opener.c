/* Files that are opened for the first time, and used at once, while a machine leaves: machines 1 and 2 open the same new ones one after the
 * other. Usage: opener MILLISECONDS */
#include "cluster.h"
#include <time.h>

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	long end = now() + (argc > 1 ? atoi(argv[1]) : 50);
	char path[64], byte;
	unsigned opened = 0;
	while (now() < end) {
		if (node() > 2) {
			usleep(1000);
			continue;
		}
		snprintf(path, sizeof path, "/shm/opener-%u", opened++);
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || pwrite(fd, "x", 1, node()) != 1 || pread(fd, &byte, 1, node()) != 1 || byte != 'x' || close(fd) < 0)
			fail(path);
	}
	printf("opener: %u opened %s\n", node(), opened > 20 ? "many" : "few");
	return 0;
}
