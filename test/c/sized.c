/* One machine gives a file without bytes one length after the other for a while; the others only wait. Usage: sized WHO NAME MILLISECONDS
 *
 *   sized: N lengths, FAILED failed, WRONG wrong     wrong: not what fstat() says then */
#include "cluster.h"
#include "losses.h"
#include <sys/stat.h>

int main(int argc, char **argv)
{
	long end = now() + number_from(argc > 3 ? argv[3] : 0, 200) * 1000000L;
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", argc > 2 ? argv[2] : "sized");
	unsigned lengths = 0, failed = 0, wrong = 0;
	if (node() != number_from(argc > 1 ? argv[1] : 0, 1)) {
		while (now() < end)
			usleep(1000);
		return 0;
	}
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fail(path);
	while (now() < end) {
		struct stat status;
		off_t length = (1 + lengths % 3) * 4096;
		lengths++;
		if (ftruncate(fd, length) < 0)
			failed++;
		else if (fstat(fd, &status) < 0 || status.st_size != length)
			wrong++;
	}
	printf("sized: %u lengths, %u failed, %u wrong\n", lengths, failed, wrong);
	return 0;
}
