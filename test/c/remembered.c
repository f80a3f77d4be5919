/* Names while machines die and leave: each machine makes files in a directory of its own and renames one to and fro between two others, and looks
 * for everybody's. What it has seen once it looks for again in the end. Usage: remembered DIRECTORY MILLISECONDS */
#include "cluster.h"
#include <sys/stat.h>
#include <time.h>

static unsigned me, all;
static unsigned seen[9], told, odd;

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 0: nothing by that name; 1: what it should be; -1: lost, which was told; -2: something else. */
static int look(unsigned machine, unsigned number)
{
	char path[64], text[16] = "", wanted[16];
	snprintf(path, sizeof path, "of-%u/f%u", machine, number);
	snprintf(wanted, sizeof wanted, "%u", number);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno == EIO ? -1 : 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	int error = errno;
	close(fd);
	if (n < 0)
		return error == EIO ? -1 : -2;
	return strcmp(text, wanted) == 0 ? 1 : -2;
}

/* Whatever does not work is looked at by who looks for it; a loss that is told is counted. */
static int count_told(int result)
{
	if (result < 0 && errno == EIO)
		told++;
	return result;
}

static void make(unsigned number)
{
	char path[64], text[16];
	snprintf(path, sizeof path, "of-%u/f%u", me, number);
	int fd = count_told(open(path, O_CREAT | O_EXCL | O_WRONLY, 0644));
	if (fd < 0)
		return;
	snprintf(text, sizeof text, "%u", number);
	count_told((int)write(fd, text, strlen(text)));
	close(fd);
}

static int exists(const char *form, unsigned machine)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof path, form, machine);
	return count_told(stat(path, &status)) == 0;
}

int main(int argc, char **argv)
{
	char path[64], other[64];
	long end = now() + (argc > 2 ? atoi(argv[2]) : 100);
	me = node();
	all = nodes();
	if (chdir(argc > 1 ? argv[1] : "/tmp") < 0)
		fail("chdir");
	snprintf(path, sizeof path, "of-%u", me);
	if (mkdir(path, 0755) < 0)
		fail(path);
	snprintf(path, sizeof path, "from-%u", me);
	snprintf(other, sizeof other, "to-%u", me);
	if (mkdir(path, 0755) < 0 || mkdir(other, 0755) < 0)
		fail(path);
	snprintf(path, sizeof path, "from-%u/it", me);
	snprintf(other, sizeof other, "to-%u/it", me);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	unsigned made = 0;
	while (now() < end) {
		make(made++);
		count_told(rename(made % 2 ? path : other, made % 2 ? other : path));
		for (unsigned machine = 1; machine <= all; machine++) {
			int found = look(machine, seen[machine]);
			if (found == 1)
				seen[machine]++;
			told += found == -1;
		}
		usleep(500);
	}
	unsigned missing = 0;
	for (unsigned machine = 1; machine <= all; machine++)
		for (unsigned i = 0; i < seen[machine]; i++) {
			int found = look(machine, i);
			told += found == -1;
			missing += found != 1;
			odd += found == -2;
		}
	for (unsigned machine = 1; machine <= all; machine++)
		printf("remembered: %u of %u: seen %u, names %d\n", me, machine, seen[machine],
		       exists("from-%u/it", machine) + exists("to-%u/it", machine));
	printf("remembered: %u made %u, missing %u, odd %u, told %u\n", me, made, missing, odd, told);
	/* All goes on as before. */
	snprintf(path, sizeof path, "after-%u", me);
	int worked = mkdir(path, 0755) == 0 || mkdir(path, 0755) == 0;
	snprintf(other, sizeof other, "after-%u/file", me);
	worked = worked && close(open(other, O_CREAT | O_EXCL | O_RDWR, 0644)) == 0 && unlink(other) == 0 && rmdir(path) == 0;
	printf("remembered: %u goes on: %s\n", me, worked ? "yes" : strerror(errno));
	return 0;
}
