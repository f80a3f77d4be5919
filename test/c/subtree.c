/* What names cost when nobody else wants them: machine 1 makes a tree of directories and files, looks into it, changes it and removes it; then the
 * last machine does the same in a directory of its own beside it; then both at once. Each says when a part begins and ends, and an onlooker counts
 * messages. Usage: subtree DIRECTORY */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>

static struct shared {
	struct meeting meeting;
} *shared;
static unsigned me, all;

static void must(int result, const char *what)
{
	if (result < 0)
		fail(what);
}

static void part(const char *name, const char *what)
{
	printf("subtree: %u %s %s\n", me, name, what);
	fflush(stdout);
}

/* The first thing that is done in a directory: one that is made, with one in it. */
static void touch(const char *top)
{
	char path[128];
	part("touch", "begins");
	must(mkdir(top, 0755), top);
	snprintf(path, sizeof path, "%s/first", top);
	must(mkdir(path, 0755), path);
	part("touch", "ends");
	usleep(2000);
}

/* Directories in directories; in each one files, of which one is renamed, all are listed, and one that is not there is looked for. */
static void grow(const char *top, unsigned depth)
{
	char path[256], other[256];
	for (unsigned i = 0; i < 3; i++) {
		struct stat status;
		snprintf(path, sizeof path, "%s/directory %u", top, i);
		must(mkdir(path, 0755), path);
		snprintf(path, sizeof path, "%s/file %u", top, i);
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
		must(fd, path);
		must(close(fd), path);
		snprintf(other, sizeof other, "%s/renamed %u", top, i);
		must(rename(path, other), path);
		must(stat(other, &status), other);
		if (stat(path, &status) == 0)
			fail("it is still there");
		if (depth > 0) {
			snprintf(path, sizeof path, "%s/directory %u", top, i);
			grow(path, depth - 1);
		}
	}
	unsigned listed = 0;
	DIR *directory = opendir(top);
	while (directory && readdir(directory))
		listed++;
	must(directory ? closedir(directory) : -1, top);
	if (listed < 8)
		fail("not all is listed");
}

static void cut(const char *top, unsigned depth)
{
	char path[256], other[256];
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/directory %u", top, i);
		if (depth > 0)
			cut(path, depth - 1);
		snprintf(other, sizeof other, "%s/moved", top);
		must(rename(path, other), path);
		must(rmdir(other), other);
		snprintf(path, sizeof path, "%s/renamed %u", top, i);
		must(unlink(path), path);
	}
}

static void inside(const char *top, const char *name)
{
	part(name, "begins");
	grow(top, 2);
	cut(top, 2);
	part(name, "ends");
	usleep(2000);
}

int main(int argc, char **argv)
{
	me = node();
	all = nodes();
	shared = share("subtree.meeting", sizeof *shared);
	must(chdir(argc > 1 ? argv[1] : "/tmp"), "chdir");
	meet(&shared->meeting, all);
	if (me == 1) {
		touch("one");
		inside("one", "alone");
	}
	meet(&shared->meeting, all);
	if (me == all) {
		touch("two");
		inside("two", "beside");
	}
	meet(&shared->meeting, all);
	if (me == 1 || me == all)
		inside(me == 1 ? "one" : "two", "both");
	meet(&shared->meeting, all);
	if (me == all) {
		must(rmdir("one/first"), "one/first");
		must(rmdir("one"), "one");
		must(rmdir("two/first"), "two/first");
		must(rmdir("two"), "two");
	}
	meet(&shared->meeting, all);
	return 0;
}
