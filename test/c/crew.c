/* Threads that make, rename and list names by relative paths: on a cluster they are on several machines, and the working directory, the open
 * directory and the names are one. Usage: crew DIRECTORY (BUSLOCK_SHM where the judge runs) */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>

#define CREW 8

static int directory;
static unsigned wrong;

static void check(int right, unsigned number, const char *what)
{
	if (right)
		return;
	printf("crew: %u: %s: %s\n", number, what, strerror(errno));
	__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
}

static void *work(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	char name[64], other[64], here[256];
	struct stat status;
	snprintf(name, sizeof name, "of-%u", number);
	check(mkdir(name, 0755) == 0, number, "mkdir");
	snprintf(name, sizeof name, "of-%u/file", number);
	snprintf(other, sizeof other, "file-%u", number);
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0644);
	check(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name), number, "write");
	check(rename(name, other) == 0, number, "rename");
	check(fstatat(directory, other, &status, 0) == 0 && status.st_size == (off_t)strlen(name), number, "fstatat");
	check(close(fd) == 0, number, "close");
	check(getcwd(here, sizeof here) && strstr(here, "/crew.test"), number, "getcwd");
	snprintf(name, sizeof name, "of-%u", number);
	check(unlinkat(directory, name, AT_REMOVEDIR) == 0, number, "rmdir");
	return 0;
}

int main(int argc, char **argv)
{
	const char *base = getenv("BUSLOCK_SHM");
	if (!base)
		base = argc > 1 ? argv[1] : "/tmp";
	if (chdir(base) < 0 || mkdir("crew.test", 0755) < 0 || chdir("crew.test") < 0)
		fail(base);
	directory = open(".", O_RDONLY | O_DIRECTORY);
	on_threads(CREW, work);
	unsigned count = 0;
	DIR *open_directory = fdopendir(directory);
	for (struct dirent *entry; (entry = readdir(open_directory));)
		if (strncmp(entry->d_name, "file-", 5) == 0 && unlink(entry->d_name) == 0)
			count++;
	closedir(open_directory);
	printf("crew: files %u, wrong %u, removed %d\n", count, wrong, chdir("..") == 0 && rmdir("crew.test") == 0);
	return 0;
}
