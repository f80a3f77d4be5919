/* What is safe when a call that makes it safe has ended. Machine WRITER counts in page 0, and calls HOW after each number:
 *
 *   msync, fsync, fdatasync, syncfs, sync   after a store to the page
 *   write                                   instead of the store: pwrite() with O_SYNC
 *   nothing                                 no call but getppid(), to count by
 *
 * The others wait for MILLISECONDS and say what they find:
 *
 *   synced: K finds N        or: synced: K lost
 *
 * Usage: synced HOW WRITER MILLISECONDS FILE
 *        synced errors FILE      what the calls refuse, a line each
 */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf before;

static void struck(int signal) { siglongjmp(before, signal); }

static int file(const char *name, int flags)
{
	char path[256];
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/%s", directory ? directory : "/shm", name);
	int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
	if (fd < 0)
		fail(path);
	return fd;
}

static void says(const char *what, long result)
{
	printf("synced: %s: %s\n", what, result == 0 ? "0" : strerror(errno));
}

static int errors(const char *name)
{
	char *page = share(name, 3 * 4096);
	int fd = file(name, 0), null = open("/dev/null", O_RDWR);
	munmap(page + 4096, 4096);
	page[0] = 1;
	says("a page", msync(page, 4096, MS_SYNC));
	says("a part of one", msync(page, 7, MS_SYNC | MS_INVALIDATE));
	says("later", msync(page, 4096, MS_ASYNC));
	says("neither now nor later", msync(page, 4096, 0));
	says("now and later", msync(page, 4096, MS_SYNC | MS_ASYNC));
	says("an unknown flag", msync(page, 4096, 8));
	says("from the middle of a page", msync(page + 8, 4096, MS_SYNC));
	says("nothing", msync(page, 0, MS_SYNC));
	says("nothing in a hole", msync(page + 4096, 0, MS_SYNC));
	says("a hole", msync(page + 4096, 4096, MS_SYNC));
	says("over a hole", msync(page, 3 * 4096, MS_SYNC));
	says("all that there is", msync(page, -1ul, MS_SYNC));
	says("beyond the end", msync(page, -4096ul - (uintptr_t)page + 8192, MS_SYNC));
	says("fsync", fsync(fd));
	says("fdatasync", fdatasync(fd));
	says("syncfs", syncfs(fd));
	says("fsync of nothing", fsync(77));
	says("fdatasync of nothing", fdatasync(-1));
	says("syncfs of nothing", syncfs(77));
	says("fsync of a device", fsync(null));
	says("fsync of a directory", fsync(open("/", O_RDONLY | O_DIRECTORY)));
	sync();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "errors") == 0)
		return errors(argv[2]);
	if (argc < 5)
		fail("synced HOW WRITER MILLISECONDS FILE");
	const char *how = argv[1];
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	volatile uint64_t *page = share(argv[4], 4096);
	int fd = file(argv[4], O_SYNC);
	if (node() == number_from(argv[2], 0))
		for (uint64_t n = 1;; n++) {
			if (strcmp(how, "write") == 0) {
				pwrite(fd, &n, 8, 0);
				continue;
			}
			*page = n;
			if (strcmp(how, "msync") == 0)
				msync((void *)page, 4096, MS_SYNC);
			else if (strcmp(how, "fsync") == 0)
				fsync(fd);
			else if (strcmp(how, "fdatasync") == 0)
				fdatasync(fd);
			else if (strcmp(how, "syncfs") == 0)
				syncfs(fd);
			else if (strcmp(how, "sync") == 0)
				sync();
			else
				getppid();
			for (volatile int i = 0; i < 300; i++)
				;
		}
	usleep(number_from(argv[3], 0) * 1000);
	if (sigsetjmp(before, 1)) {
		printf("synced: %u lost\n", node());
		return 1;
	}
	printf("synced: %u finds %lu\n", node(), *page);
	return 0;
}
