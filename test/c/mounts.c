/* What is refused where file systems meet, and in those that have no directories of their own. Usage: mounts */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>

static unsigned wrong;

static void refused(long result, int error, const char *what)
{
	if (result >= 0 || errno != error) {
		printf("mounts: %s: %s\n", what, result >= 0 ? "done" : strerror(errno));
		wrong++;
	}
	errno = 0;
}

static void done(long result, const char *what)
{
	if (result < 0) {
		printf("mounts: %s: %s\n", what, strerror(errno));
		wrong++;
	}
}

static unsigned listed(const char *path)
{
	unsigned count = 0;
	DIR *directory = opendir(path);
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

int main(void)
{
	struct stat root, memory;
	char here[64];
	refused(rmdir("/tmp"), EBUSY, "remove a mount point");
	refused(rmdir("/"), EBUSY, "remove the root");
	refused(rename("/tmp", "/elsewhere"), EBUSY, "rename a mount point");
	refused(rename("/bin", "/tmp"), EBUSY, "rename to a mount point");
	refused(mkdir("/tmp", 0755), EEXIST, "make a mount point");
	refused(unlink("/tmp"), EISDIR, "unlink a mount point");
	done(mkdir("/tmp/a", 0755), "mkdir");
	refused(rename("/tmp/a", "/a"), EXDEV, "rename to another file system");
	refused(link("/bin/mounts", "/tmp/link"), EXDEV, "link");
	refused(link("/dev/null", "/dev/link"), EROFS, "link a device");
	refused(symlink("/bin/mounts", "/tmp/link"), ENOSYS, "symlink");
	refused(open("/dev/new", O_CREAT | O_RDWR, 0600), EROFS, "a new device");
	refused(mkdir("/dev/new", 0755), EROFS, "a directory of devices");
	refused(unlink("/dev/null"), EROFS, "unlink a device");
	refused(mkdir("/shm/new", 0755), EPERM, "a directory of shared objects");
	refused(rename("/shm/one", "/shm/two"), ENOENT, "rename a shared object that is not there");
	refused(open("/shm/one/two", O_CREAT | O_RDWR, 0600), ENOENT, "below a shared object");
	done(stat("/", &root), "stat");
	done(stat("/tmp", &memory), "stat");
	if (root.st_dev == memory.st_dev || root.st_ino == 0 || memory.st_ino == 0)
		refused(0, 0, "two file systems are one");
	/* ".", "..", bin and three that are mounted; six devices. */
	if (listed("/") != 6 || listed("/dev") != 8)
		refused(0, 0, "listings");
	done(chdir("/tmp/a"), "chdir");
	if (!getcwd(here, sizeof here) || strcmp(here, "/tmp/a") != 0)
		refused(0, 0, "the working directory");
	done(chdir("../.."), "chdir");
	if (!getcwd(here, sizeof here) || strcmp(here, "/") != 0)
		refused(0, 0, "the root");
	done(rmdir("tmp/a"), "rmdir");
	printf("mounts: wrong %u\n", wrong);
	return 0;
}
