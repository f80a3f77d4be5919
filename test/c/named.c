/* Names, files and mapped files that machines change at once, below one directory: what one does the others see at once, and of several who
 * want the same thing one gets it. Says only what is wrong. Usage: named DIRECTORY (BUSLOCK_SHM where the judge runs) [ROUNDS] */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>

static struct shared {
	struct meeting meetings[2];
	uint32_t wrong, wins[4], counter;
} *shared;
static unsigned step, me, all;
static char buffer[3 * 4096];

static void next(void) { meet(&shared->meetings[step++ % 2], all); }

static void check(int right, const char *what)
{
	if (right)
		return;
	printf("named: machine %u: %s (errno %d)\n", me, what, errno);
	__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
}

static int there(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0;
}

static int listed(const char *directory, const char *name)
{
	int found = 0;
	DIR *open_directory = opendir(directory);
	for (struct dirent *entry; open_directory && (entry = readdir(open_directory));)
		found += strcmp(entry->d_name, name) == 0;
	if (open_directory)
		closedir(open_directory);
	return found;
}

static int put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_CREAT | O_WRONLY | flags, 0644);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int has(const char *path, const char *text)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, got, sizeof got - 1);
	close(fd);
	return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

/* Everybody has tried once; how many did it since the last time. */
static unsigned winners(unsigned which, int won)
{
	if (won)
		__atomic_add_fetch(&shared->wins[which], 1, __ATOMIC_SEQ_CST);
	next();
	unsigned count = __atomic_load_n(&shared->wins[which], __ATOMIC_SEQ_CST);
	next();
	if (me == 1)
		shared->wins[which] = 0;
	next();
	return count;
}

/* One after the other does it, the others look. */
static void seen_at_once(void)
{
	char name[64], other[64], text[32];
	for (unsigned who = 1; who <= all; who++) {
		snprintf(name, sizeof name, "of-%u", who);
		snprintf(other, sizeof other, "under/then-%u", who);
		snprintf(text, sizeof text, "by %u", who);
		check(!there(name), "a name before it is made");
		next();
		if (me == who)
			check(put(name, text, O_EXCL) == 0, "make a file");
		next();
		check(there(name) && listed(".", name) == 1, "a file that another machine made is there and listed");
		check(has(name, text), "and has what was written");
		next();
		if (me == who % all + 1)
			check(rename(name, other) == 0, "rename it, on another machine");
		next();
		check(!there(name) && !listed(".", name), "the old name is gone");
		check(has(other, text) && listed("under", other + 6) == 1, "the new one is there");
		next();
		if (me == who)
			check(unlink(other) == 0, "unlink");
		next();
		check(!there(other) && listed("under", other + 6) == 0, "an unlinked name is gone");
		next();
		if (me == who)
			check(mkdir(name, 0755) == 0, "mkdir");
		next();
		snprintf(other, sizeof other, "of-%u/at-%u", who, me);
		check(put(other, text, O_EXCL) == 0, "everybody makes a file in it");
		next();
		check(rmdir(name) < 0 && errno == ENOTEMPTY, "it is not empty");
		next();
		check(unlink(other) == 0, "and unlinks his own");
		next();
		if (me == who % all + 1)
			check(rmdir(name) == 0, "rmdir, on another machine");
		next();
		check(!there(name) && mkdir(other, 0700) < 0 && errno == ENOENT, "a removed directory");
		next();
	}
}

/* All want the same. */
static void races(unsigned rounds)
{
	char name[64], mine[64];
	for (unsigned round = 0; round < rounds; round++) {
		snprintf(name, sizeof name, "race-%u", round);
		snprintf(mine, sizeof mine, "mine-%u-%u", round, me);
		next();
		check(winners(0, put(name, "x", O_EXCL) == 0) == 1, "one makes a file that is to be new");
		check(winners(1, rename(name, mine) == 0) == 1, "one renames it");
		unlink(mine);
		check(winners(2, mkdir(name, 0755) == 0) == 1, "one makes a directory");
		/* Some put a file into it, one removes it: one or the other. */
		snprintf(mine, sizeof mine, "race-%u/%u", round, me);
		int won = me == 1 ? rmdir(name) == 0 : put(mine, "x", O_EXCL) == 0;
		if (me == 1 && won)
			shared->counter = 1;
		next();
		unsigned removed = shared->counter, put_there = winners(3, me != 1 && won);
		check(removed ? put_there == 0 : put_there > 0, "a directory is removed, or something is put into it");
		if (!removed && won && me != 1)
			unlink(mine);
		next();
		if (me == 1) {
			shared->counter = 0;
			if (!removed)
				check(rmdir(name) == 0, "remove it after all");
		}
		next();
	}
}

/* The names of shared objects, which have no directories: of those who want a new one, one gets it. */
static void shared_objects(unsigned rounds)
{
	const char *directory = getenv("BUSLOCK_SHM");
	char path[256];
	for (unsigned round = 0; round < rounds; round++) {
		snprintf(path, sizeof path, "%s/named-%u", directory ? directory : "/shm", round);
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
		check(fd >= 0 || errno == EEXIST, "a shared object that is to be new");
		check(winners(0, fd >= 0) == 1, "one makes it");
		if (fd >= 0)
			check(close(fd) == 0 && unlink(path) == 0, "and unlinks it");
		next();
	}
}

/* Two directories that are to be put into each other. */
static void opposing(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		if (me == 1)
			check(mkdir("x", 0755) == 0 && mkdir("y", 0755) == 0, "x and y");
		next();
		int won = 0;
		if (me == 1)
			won = rename("x", "y/x") == 0;
		if (me == all)
			won = rename("y", "x/y") == 0;
		check(winners(0, won) == 1, "one of two opposing renames");
		if (me == 1) {
			check(there("y/x") != there("x/y"), "one lies in the other");
			check(rmdir(there("y/x") ? "y/x" : "x/y") == 0 && rmdir(there("y") ? "y" : "x") == 0, "both go");
		}
		next();
	}
}

/* The same from below, where neither of the directories that change is the other's. */
static void opposing_from_below(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		if (me == 1)
			check(mkdir("p", 0755) == 0 && mkdir("p/a", 0755) == 0 && mkdir("p/a/b", 0755) == 0, "p/a/b");
		if (me == all)
			check(mkdir("q", 0755) == 0 && mkdir("q/c", 0755) == 0 && mkdir("q/c/d", 0755) == 0, "q/c/d");
		next();
		int won = 0;
		if (me == 1)
			won = rename("p/a", "q/c/d/a") == 0;
		if (me == all)
			won = rename("q/c", "p/a/b/c") == 0;
		check(winners(0, won) == 1, "one of two opposing renames from below");
		if (me == 1 && there("q/c"))
			check(rmdir("q/c/d/a/b") == 0 && rmdir("q/c/d/a") == 0 && rmdir("q/c/d") == 0 && rmdir("q/c") == 0, "all go");
		else if (me == 1)
			check(rmdir("p/a/b/c/d") == 0 && rmdir("p/a/b/c") == 0 && rmdir("p/a/b") == 0 && rmdir("p/a") == 0, "all go");
		if (me == 1)
			check(rmdir("p") == 0 && rmdir("q") == 0, "both go");
		next();
	}
}

/* Writes that overlap: each is seen whole (which Linux does not promise of every file system: ext4's readers wait for nobody, so the judge is not
 * asked). Then a counter in a mapped file of the same directory. */
static void bytes(unsigned rounds)
{
	int fd = open("bytes", O_RDWR | O_CREAT, 0644);
	check(fd >= 0, "a file that everybody opens");
	next();
	for (unsigned round = 0; round < rounds; round++) {
		memset(buffer, (int)(me * 16 + round % 16), sizeof buffer);
		check(pwrite(fd, buffer, sizeof buffer, 100) == (ssize_t)sizeof buffer, "write");
		ssize_t n = pread(fd, buffer, sizeof buffer, 100);
		int whole = n == (ssize_t)sizeof buffer;
		for (ssize_t i = 1; whole && i < n; i++)
			whole = buffer[i] == buffer[0];
		check(whole || getenv("BUSLOCK_SHM"), "a write is seen whole");
	}
	next();
	close(fd);
	if (me == all)
		check(unlink("bytes") == 0, "unlink the bytes");
	fd = open("counted", O_RDWR | O_CREAT, 0644);
	check(fd >= 0 && ftruncate(fd, 8192) == 0, "a file for a counter");
	uint32_t *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED, "map it");
	next();
	for (unsigned i = 0; i < 20 * rounds; i++)
		__atomic_add_fetch(&map[1024], 1, __ATOMIC_SEQ_CST);
	next();
	check(map[1024] == 20 * rounds * all, "additions of all machines");
	uint32_t got = 0;
	check(pread(fd, &got, 4, 4096) == 4 && got == map[1024], "read has what is mapped");
	next();
	close(fd);
}

int main(int argc, char **argv)
{
	const char *directory = getenv("BUSLOCK_SHM");
	unsigned rounds = argc > 2 ? number_from(argv[2], 8) : 8;
	if (!directory)
		directory = argc > 1 ? argv[1] : "/tmp";
	me = node();
	all = nodes();
	shared = share("named.meetings", sizeof *shared);
	if (chdir(directory) < 0)
		fail(directory);
	if (me == all)
		check(mkdir("named.test", 0755) == 0 && mkdir("named.test/under", 0755) == 0, "mkdir");
	next();
	check(chdir("named.test") == 0, "chdir");
	seen_at_once();
	races(rounds);
	shared_objects(rounds);
	opposing(rounds);
	opposing_from_below(rounds);
	bytes(rounds);
	if (me == 1)
		check(unlink("counted") == 0 && rmdir("under") == 0, "what is left");
	next();
	check(!there("counted"), "it is gone");
	if (me == all)
		check(rmdir("../named.test") == 0, "the directory goes while all are in it");
	next();
	check(!there("../named.test/under") && put("here", "x", 0) < 0, "nothing can be made in it");
	if (me == 1)
		printf("named: machines %u, wrong %u\n", all, shared->wrong);
	next();
	return shared->wrong == 0 ? 0 : 1;
}
