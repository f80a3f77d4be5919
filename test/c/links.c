/* More names for a file (link(2)), below /tmp and below /shm, and renames there. The first machine tries each case alone; then two threads of each link files of their own to one name, of which
 * one must succeed a time, and read what is there by it.
 *
 *   links ROUNDS          as on Linux
 *   links stay WRITER MILLISECONDS FILE   the writer makes files and links of them, below /shm, and goes on; machine 1 prints, so much later, what it finds
 *   links archive PATH    a file of the archive
 */
#include "cluster.h"
#include <sys/stat.h>
#include <time.h>

static const char *directory;
static char path_text[8][300];
static unsigned paths;

static const char *at(const char *name)
{
	char *path = path_text[paths++ % 8];
	snprintf(path, sizeof path_text[0], "%s/%s", directory, name);
	return path;
}

static const char *of(long value) { return value < 0 ? strerror(errno) : "done"; }

static void say(const char *what, long value)
{
	int error = errno;
	printf("links: %s %s: ", directory[strlen(directory) - 1] == 'p' ? "tmp" : "shm", what);
	errno = error;
	printf("%s\n", of(value));
}

static void linked(const char *from, const char *to)
{
	char what[100];
	snprintf(what, sizeof what, "link %s %s", from, to);
	say(what, link(at(from), at(to)));
}

static void renamed(const char *from, const char *to, unsigned flags)
{
	char what[100];
	snprintf(what, sizeof what, "rename %s %s %u", from, to, flags);
	say(what, syscall(SYS_renameat2, AT_FDCWD, at(from), AT_FDCWD, at(to), flags));
}

static void removed(const char *name)
{
	char what[100];
	snprintf(what, sizeof what, "unlink %s", name);
	say(what, unlink(at(name)));
}

/* How many names, whether the same file as `fd`, and the bytes. */
static void shown(const char *name, int fd)
{
	struct stat by_name, by_fd;
	char text[20] = "";
	if (fstat(fd, &by_fd) < 0)
		fail("fstat");
	int other = open(at(name), O_RDONLY);
	if (other < 0 || fstat(other, &by_name) < 0) {
		printf("links: %s: %s, %u names are left\n", name, strerror(errno), (unsigned)by_fd.st_nlink);
		return;
	}
	pread(other, text, sizeof text - 1, 0);
	printf("links: %s: %u names, %s, %s, %ld bytes %s\n", name, (unsigned)by_name.st_nlink, by_name.st_ino == by_fd.st_ino ? "same" : "other",
	       S_ISREG(by_name.st_mode) ? "file" : "no file", (long)by_name.st_size, text);
	close(other);
}

static int made(const char *name, const char *bytes)
{
	int fd = open(at(name), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, bytes, strlen(bytes)) < 0)
		fail(at(name));
	return fd;
}

static void cases(void)
{
	int fd = made("l.a", "one");
	shown("l.a", fd);
	linked("l.a", "l.b");
	shown("l.b", fd);
	linked("l.a", "l.b");
	linked("l.a", "l.a");
	linked("l.none", "l.c");
	linked("l.b", "l.c");
	shown("l.c", fd);
	int by_link = open(at("l.c"), O_RDWR);
	pwrite(by_link, "two", 3, 1);
	close(by_link);
	shown("l.a", fd);
	removed("l.a");
	shown("l.b", fd);
	shown("l.a", fd);
	removed("l.a");
	int fresh = made("l.a", "fresh");
	shown("l.a", fd);
	shown("l.b", fd);
	linked("l.a", "l.b");
	renamed("l.b", "l.d", 0);
	shown("l.d", fd);
	shown("l.b", fd);
	renamed("l.d", "l.c", 0);
	shown("l.d", fd);
	renamed("l.c", "l.a", 1);
	renamed("l.a", "l.d", 0);
	shown("l.d", fresh);
	shown("l.c", fd);
	shown("l.a", fd);
	renamed("l.none", "l.c", 0);
	renamed("l.d", "l.d", 0);
	renamed("l.d", "l.d", 1);
	renamed("l.d", "l.a", 1);
	linked("l.c", "l.missing/x");
	linked("l.c", "l.e/");
	linked("l.c/", "l.e");
	linked("l.c", "l.a/");
	linked("l.c", ".");
	linked(".", "l.e");
	linked("..", "l.a");
	say("linkat", linkat(AT_FDCWD, at("l.c"), AT_FDCWD, at("l.e"), AT_SYMLINK_FOLLOW));
	say("linkat with nothing", linkat(AT_FDCWD, at("l.c"), AT_FDCWD, at("l.f"), 1));
	shown("l.e", fd);
	int longer = ftruncate(fd, 10000), changed = ftruncate(fd, 2);
	say("ftruncate", longer | changed);
	shown("l.c", fd);
	removed("l.c");
	removed("l.e");
	shown("l.e", fd);
	char text[20] = "";
	printf("links: without a name: %ld bytes %s\n", (long)pread(fd, text, 10, 0), text);
	close(fd);
	removed("l.a");
	shown("l.d", fresh);
	close(fresh);
}

static unsigned rounds, *won;
static struct meeting *meeting;

static void *raced(void *which)
{
	char own[20];
	unsigned parties = 2 * nodes();
	snprintf(own, sizeof own, "l.of%u%s", node(), (const char *)which);
	for (unsigned round = 0; round < rounds; round++) {
		char own_path[300], one_path[300];
		snprintf(own_path, sizeof own_path, "%s/%s", directory, own);
		snprintf(one_path, sizeof one_path, "%s/l.one", directory);
		int fd = open(own_path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, own, strlen(own)) < 0)
			fail(own_path);
		meet(meeting, parties);
		int mine = link(own_path, one_path) == 0;
		if (!mine && errno != EEXIST)
			fail("link");
		__atomic_add_fetch(won, mine, __ATOMIC_SEQ_CST);
		meet(meeting, parties);
		struct stat status = {0};
		char text[20] = "";
		int other = open(one_path, O_RDONLY);
		if (other < 0 || fstat(other, &status) < 0 || status.st_nlink != 2 || read(other, text, 10) != (long)strlen(own))
			printf("links: wrong: %s by the name of all: %u names, %s\n", own, (unsigned)status.st_nlink, text);
		if (mine && strcmp(text, own))
			printf("links: wrong: %s won, and finds %s\n", own, text);
		close(other);
		meet(meeting, parties);
		if (mine && (rename(own_path, one_path) < 0 || unlink(one_path) < 0))
			fail("unlink");
		if (unlink(own_path) < 0 || fstat(fd, &status) < 0 || status.st_nlink != 0)
			printf("links: wrong: %s has %u names in the end\n", own, (unsigned)status.st_nlink);
		close(fd);
		meet(meeting, parties);
	}
	return 0;
}

#define PAIRS 16
static char first_name[20], link_name[20];

static void pair(unsigned i)
{
	snprintf(first_name, sizeof first_name, "%u.first", i);
	snprintf(link_name, sizeof link_name, "%u.link", i);
}

/* By who has read it before the writer went; a pair with an odd number has lost its first name by then. */
static void looked_at(unsigned i)
{
	struct stat status;
	char text[20] = "";
	pair(i);
	int fd = open(at(link_name), O_RDONLY), first = open(at(first_name), O_RDONLY);
	const char *by_first = first >= 0 ? "there" : strerror(errno);
	if (fd < 0 || fstat(fd, &status) < 0) {
		printf("links: %s: %s\n", link_name, strerror(errno));
		return;
	}
	long bytes = read(fd, text, 10);
	printf("links: %u: %u names, %ld bytes, first name: %s\n", i, (unsigned)status.st_nlink, bytes, by_first);
	int removed = unlink(at(link_name)) | (first >= 0 ? unlink(at(first_name)) : 0);
	if (removed < 0 || fstat(fd, &status) < 0 || status.st_nlink != 0)
		printf("links: %u: %u names in the end\n", i, (unsigned)status.st_nlink);
	close(fd);
	close(first);
}

static void outlived(unsigned writer, unsigned milliseconds, const char *shared_name)
{
	uint32_t *shared = share(shared_name, 4096);
	struct timespec moment = { 0, 1000 * 1000 };
	directory = "/shm";
	for (unsigned i = 0; i < PAIRS && node() == writer; i++) {
		pair(i);
		int fd = made(first_name, first_name);
		if (link(at(first_name), at(link_name)) < 0 || (i % 2 && unlink(at(first_name)) < 0))
			fail("link");
		close(fd);
	}
	meet((struct meeting *)(shared + 8), nodes());
	for (unsigned i = 0; i < PAIRS && node() == 1; i++) {
		char text[20] = "";
		pair(i);
		int fd = open(at(link_name), O_RDONLY);
		if (fd < 0 || read(fd, text, 10) < 7)
			fail(link_name);
		close(fd);
	}
	if (node() == 1)
		printf("links: ready\n");
	for (unsigned i = 0; node() == 1 ? i < milliseconds : shared[0] == 0; i++)
		nanosleep(&moment, 0);
	for (unsigned i = 0; i < PAIRS && node() == 1; i++)
		looked_at(i);
	__atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
}

static void of_archive(const char *path)
{
	char bytes[2][16] = { "", "" };
	struct stat before, after;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &before) < 0 || link(path, "/linked") < 0)
		fail("link");
	int other = open("/linked", O_RDWR);
	if (pwrite(other, "new", 3, 0) != 3 || pread(fd, bytes[0], 8, 0) < 0 || unlink(path) < 0 || stat("/linked", &after) < 0 || pread(other, bytes[1], 8, 0) < 0)
		fail("archive");
	printf("links: archive: %u names before, %u after, %s, %s, %s\n", (unsigned)before.st_nlink, (unsigned)after.st_nlink,
	       before.st_ino == after.st_ino ? "same" : "other", bytes[0], bytes[1]);
}

int main(int count, char **words)
{
	if (count > 4 && !strcmp(words[1], "stay")) {
		outlived(number_from(words[2], 0), number_from(words[3], 0), words[4]);
		return 0;
	}
	if (count > 2 && !strcmp(words[1], "archive")) {
		of_archive(words[2]);
		return 0;
	}
	const char *shared_directory = getenv("BUSLOCK_SHM");
	won = share("l.won", 4096);
	meeting = (struct meeting *)(won + 16);
	rounds = number_from(count > 1 ? words[1] : 0, 3);
	const char *temporary = "/tmp";
	char own[300];
	if (shared_directory) { /* on Linux: a folder of ours that ends in the same letter */
		snprintf(own, sizeof own, "%s/p", shared_directory);
		mkdir(own, 0700);
		temporary = own;
	}
	for (unsigned i = 0; i < 2; i++) {
		directory = i == 0 ? temporary : shared_directory ? shared_directory : "/shm";
		if (node() == 1)
			cases();
		meet(meeting, nodes());
		pthread_t other;
		pthread_create(&other, 0, raced, "a");
		raced("b");
		pthread_join(other, 0);
	}
	struct stat working;
	printf("links: won %u, the working directory %s a directory\n", *won,
	       fstatat(AT_FDCWD, "", &working, AT_EMPTY_PATH) == 0 && S_ISDIR(working.st_mode) ? "is" : "is not");
	return 0;
}
