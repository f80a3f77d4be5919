/* Directories and names as Linux has them: made, removed, renamed, listed, described, and what is refused with which error. One machine; all
 * below a directory of its own. Usage: names DIRECTORY (BUSLOCK_SHM where the judge runs) */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int rename_new(const char *from, const char *to)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static const char *outcome(long result) { return result < 0 ? strerror(errno) : "ok"; }
#define SAY(call) (errno = 0, printf("names: %s: %s\n", #call, outcome((long)(call))))

static int put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static void show(const char *path)
{
	char text[64];
	int fd = open(path, O_RDONLY);
	if (fd < 0) {
		printf("names: %s: %s\n", path, strerror(errno));
		return;
	}
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	printf("names: %s has '%s' (%s)\n", path, text, n < 0 ? strerror(errno) : "read");
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Sorted: the order of a directory is nobody's promise. */
static void list(const char *path)
{
	char *found[512];
	unsigned count = 0;
	DIR *directory = opendir(path);
	if (!directory) {
		printf("names: list %s: %s\n", path, strerror(errno));
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) && count < 512;) {
		char line[300];
		snprintf(line, sizeof line, "%s%s", entry->d_name, entry->d_type == DT_DIR ? "/" : "");
		found[count++] = strdup(line);
	}
	closedir(directory);
	qsort(found, count, sizeof *found, by_name);
	printf("names: list %s:", path);
	for (unsigned i = 0; i < count; i++) {
		if (count < 40)
			printf(" %s", found[i]);
		free(found[i]);
	}
	printf(" (%u)\n", count);
}

static void describe(const char *path)
{
	struct stat status;
	if (stat(path, &status) < 0) {
		printf("names: stat %s: %s\n", path, strerror(errno));
		return;
	}
	printf("names: stat %s: mode %o links %u", path, status.st_mode, (unsigned)status.st_nlink);
	if (S_ISREG(status.st_mode))
		printf(" size %u", (unsigned)status.st_size);
	printf("\n");
}

static ino_t number_of(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 ? 0 : status.st_ino;
}

int main(int argc, char **argv)
{
	const char *directory = getenv("BUSLOCK_SHM");
	char path[5000], here[4096];
	if (!directory)
		directory = argc > 1 ? argv[1] : "/tmp";
	umask(022);
	if (chdir(directory) < 0 || mkdir("names.test", 0755) < 0 || chdir("names.test") < 0)
		fail(directory);

	SAY(mkdir("a", 0755));
	SAY(mkdir("a", 0755));
	SAY(mkdir("a/b", 0700));
	SAY(mkdir("no/b", 0755));
	SAY(put("a/file", "hello"));
	SAY(mkdir("a/file", 0755));
	SAY(mkdir("a/file/x", 0755));
	show("a/file");
	show("a/../a/./file");
	show("a//file");
	show("a/file/");
	show("a/nothing");
	show("a");
	SAY(open("a", O_WRONLY));
	SAY(open("a", O_CREAT, 0600));
	SAY(open("a/file", O_DIRECTORY));
	SAY(open("a/file", O_CREAT | O_EXCL, 0600));
	SAY(open("a", O_CREAT | O_EXCL, 0600));
	SAY(open("", O_RDONLY));
	SAY(open("new/", O_CREAT | O_WRONLY, 0600));
	list(".");
	list("a");
	list("a/b");
	list("a/file");
	describe("a");
	describe("a/b");
	describe("a/file");
	describe("a/b/..");

	SAY(rmdir("a"));
	SAY(rmdir("a/file"));
	SAY(rmdir("a/none"));
	SAY(rmdir("a/b/."));
	SAY(rmdir("a/b/.."));
	SAY(unlink("a/b"));
	SAY(unlink("a/none"));
	SAY(unlink("a/file/"));
	SAY(rmdir("a/b"));
	SAY(rmdir("a/b"));
	SAY(unlink("a/file"));
	SAY(unlink("a/file"));
	describe("a");
	list("a");

	/* Renaming. */
	SAY(put("one", "1"));
	SAY(put("two", "2"));
	ino_t one = number_of("one");
	SAY(rename("one", "two"));
	show("one");
	show("two");
	printf("names: the same file: %d\n", number_of("two") == one);
	SAY(rename("two", "two"));
	SAY(rename("none", "two"));
	SAY(rename("two", "a/two"));
	show("a/two");
	SAY(mkdir("d", 0755));
	SAY(mkdir("d/e", 0755));
	SAY(put("d/e/f", "deep"));
	SAY(rename("d", "d/e/d"));
	SAY(rename("d", "d/d"));
	SAY(rename("d", "a/d"));
	show("a/d/e/f");
	list("a");
	describe(".");
	describe("a");
	SAY(rename("a/d", "a/two"));
	SAY(rename("a/two", "a/d"));
	SAY(mkdir("empty", 0755));
	SAY(rename("empty", "a/d"));
	SAY(rename("a/d", "empty"));
	show("empty/e/f");
	list("a");
	SAY(rename("a", "empty/e/a"));
	SAY(rename("empty/e/a", "."));
	SAY(rename("empty/e/a", "empty/e/.."));
	SAY(rename("empty/e/f", "a/"));
	SAY(rename_new("empty/e/f", "empty/e/a/two"));
	SAY(rename_new("empty/e/f", "empty/e/a/three"));
	show("empty/e/a/three");

	/* Where one is. */
	SAY(chdir("empty/e/a"));
	if (getcwd(here, sizeof here))
		printf("names: here %s\n", strstr(here, "/names.test"));
	SAY(chdir("three"));
	SAY(chdir(".."));
	show("a/two");
	int fd = open("a", O_RDONLY | O_DIRECTORY);
	SAY(mkdirat(fd, "x", 0755));
	SAY(close(openat(fd, "x/file", O_CREAT | O_WRONLY, 0640)));
	SAY(renameat(fd, "x/file", fd, "y"));
	SAY(unlinkat(fd, "x", 0));
	SAY(unlinkat(fd, "x", AT_REMOVEDIR));
	SAY(fchdir(fd));
	list(".");
	describe("y");
	SAY(chdir("../../.."));
	SAY(rename("empty/e", "moved"));
	SAY(close(openat(fd, "z", O_CREAT | O_WRONLY, 0600)));
	list("moved/a");
	SAY(fchdir(fd));
	if (getcwd(here, sizeof here))
		printf("names: here %s\n", strstr(here, "/names.test"));
	SAY(chdir("../.."));

	/* A directory that is removed while it is open. */
	SAY(mkdir("gone", 0755));
	int gone = open("gone", O_RDONLY);
	SAY(rmdir("gone"));
	SAY(openat(gone, "file", O_CREAT | O_WRONLY, 0600));
	SAY(mkdirat(gone, "x", 0700));
	SAY(fchdir(gone));
	printf("names: getcwd there: %s\n", getcwd(here, sizeof here) ? here : strerror(errno));
	SAY(chdir(".."));
	close(gone);
	if (chdir(directory) < 0 || chdir("names.test") < 0)
		fail(directory);

	/* A file whose name goes while it is open. */
	SAY(put("kept", "still here"));
	int kept = open("kept", O_RDWR);
	SAY(unlink("kept"));
	SAY(put("kept", "another"));
	memset(path, 0, 20);
	SAY(read(kept, path, 10));
	printf("names: '%s'\n", path);
	show("kept");
	SAY(truncate("kept", 3));
	show("kept");
	SAY(truncate("moved", 3));
	SAY(close(creat("kept", 0600)));
	describe("kept");

	/* Long names and paths. */
	memset(path, 'n', 255);
	path[255] = 0;
	SAY(put(path, "long"));
	path[255] = 'n';
	path[256] = 0;
	SAY(put(path, "too long"));
	path[255] = 0;
	SAY(unlink(path));
	for (unsigned i = 0; i < 4998; i += 2)
		memcpy(path + i, "./", 3);
	SAY(mkdir(path, 0755));
	path[4094] = 0;
	SAY(mkdir(path, 0755));

	/* Many, and a listing that goes on while others come and go: whoever is there all along is seen once. */
	SAY(mkdir("many", 0755));
	for (unsigned i = 0; i < 400; i++) {
		snprintf(path, sizeof path, "many/a rather long name that takes some room, number %u", i);
		if (put(path, "") < 0)
			fail(path);
	}
	list("many");
	unsigned seen[400] = {0}, others = 0, listed = 0;
	DIR *many = opendir("many");
	for (struct dirent *entry; (entry = readdir(many)); listed++) {
		const char *number = strstr(entry->d_name, "number ");
		if (number)
			seen[atoi(number + 7)]++;
		else
			others++;
		if (listed % 2 == 0) {
			snprintf(path, sizeof path, "many/another one, with a name of its own, %u", listed);
			put(path, "x");
		}
		if (listed % 8 == 3) {
			snprintf(path, sizeof path, "many/another one, with a name of its own, %u", listed - 3);
			unlink(path);
		}
	}
	closedir(many);
	unsigned once = 0;
	for (unsigned i = 0; i < 400; i++)
		once += seen[i] == 1;
	printf("names: seen once: %u, dots and more: %d\n", once, others >= 2);
	for (unsigned i = 0; i < 400; i++) {
		snprintf(path, sizeof path, "many/a rather long name that takes some room, number %u", i);
		if (unlink(path) < 0)
			fail(path);
	}
	many = opendir("many");
	for (struct dirent *entry; (entry = readdir(many));) {
		snprintf(path, sizeof path, "many/%s", entry->d_name);
		if (entry->d_type == DT_REG && unlink(path) < 0)
			fail(path);
	}
	closedir(many);
	SAY(rmdir("many"));

	/* More directories in one than there is room for beside each other, and deep ones. */
	SAY(mkdir("wide", 0755));
	for (unsigned i = 0; i < 150; i++) {
		snprintf(path, sizeof path, "wide/%u", i);
		if (mkdir(path, 0755) < 0)
			fail(path);
		strcat(path, "/file");
		snprintf(here, sizeof here, "%u", i);
		if (put(path, here) < 0)
			fail(path);
	}
	describe("wide");
	show("wide/7/file");
	show("wide/149/file");
	for (unsigned i = 0; i < 150; i++) {
		snprintf(path, sizeof path, "wide/%u/file", i);
		unlink(path);
		*strrchr(path, '/') = 0;
		if (rmdir(path) < 0)
			fail(path);
	}
	describe("wide");
	SAY(rmdir("wide"));
	for (unsigned i = 0; i < 40; i++)
		if (mkdir("deeper", 0755) < 0 || chdir("deeper") < 0)
			fail("deeper");
	SAY(put("bottom", "bottom"));
	if (getcwd(here, sizeof here))
		printf("names: %u bytes of path\n", (unsigned)strlen(strstr(here, "/names.test")));
	show("../deeper/bottom");
	SAY(unlink("bottom"));
	for (unsigned i = 0; i < 40; i++)
		if (chdir("..") < 0 || rmdir("deeper") < 0)
			fail("back up");

	SAY(unlink("moved/a/two"));
	SAY(unlink("moved/a/three"));
	SAY(unlink("moved/a/y"));
	SAY(unlink("moved/a/z"));
	SAY(rmdir("moved/a"));
	SAY(rmdir("moved"));
	SAY(rmdir("empty"));
	SAY(unlink("kept"));
	list(".");
	SAY(chdir(".."));
	SAY(rmdir("names.test"));
	return 0;
}
