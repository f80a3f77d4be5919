/* Takes more than there is: pages until the machine has no more (usage: greedy memory), of a file that it maps (greedy file), or threads
 * (greedy threads). */
#include "cluster.h"

static void *wait_for_ever(void *argument)
{
	for (;;)
		pause();
	return argument;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "threads") == 0) {
		pthread_attr_t small;
		pthread_t thread;
		unsigned count = 0;
		int error;
		pthread_attr_init(&small);
		pthread_attr_setstacksize(&small, 8192);
		while ((error = pthread_create(&thread, &small, wait_for_ever, 0)) == 0 && count < 100000)
			count++;
		printf("greedy: no more than %s threads: %s\n", count > 50 ? "many" : "a few", strerror(error));
		exit(0); /* with all of them asleep */
	}
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (argc > 1 && strcmp(argv[1], "file") == 0) {
		fd = open("/tmp/greedy", O_RDWR | O_CREAT, 0600);
		flags = MAP_SHARED;
		if (ftruncate(fd, 100000l << 20) < 0)
			fail("ftruncate");
	}
	for (size_t mebibytes = 0; mebibytes < 100000; mebibytes++) {
		char *at = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, flags, fd, (off_t)(fd < 0 ? 0 : mebibytes << 20));
		if (at == MAP_FAILED)
			fail("mmap");
		memset(at, 1, 1 << 20);
	}
	return 1;
}
