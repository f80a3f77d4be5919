/* Many small files below /tmp: made, written and closed, then removed. Usage: drawers FILES */
#include "cluster.h"

int main(int argc, char **argv)
{
	unsigned files = argc > 1 ? number_from(argv[1], 100) : 100, wrong = 0;
	char path[64];
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof path, "/tmp/drawers.%u", i);
		int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
		wrong += write(fd, path, sizeof path) != sizeof path;
		close(fd);
	}
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof path, "/tmp/drawers.%u", i);
		wrong += unlink(path) != 0;
	}
	printf("drawers: wrong %u\n", wrong);
	return wrong != 0;
}
