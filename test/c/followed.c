/* Files that are there from the beginning, as all machines have them, and what machines make of them: who has one open sees what another writes.
 * The archive has /data/poem of 9000 bytes 'p' and /data/more/x of 1 byte. Usage: followed */
#include "cluster.h"
#include <dirent.h>
#include <sys/stat.h>

static struct shared {
	struct meeting meeting;
	uint32_t wrong;
} *shared;
static unsigned me, all;

static void next(void) { meet(&shared->meeting, all); }

static void check(int right, const char *what)
{
	if (right)
		return;
	printf("followed: machine %u: %s (errno %d)\n", me, what, errno);
	__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
}

static unsigned entries(const char *path, const char *name)
{
	unsigned count = 0;
	DIR *directory = opendir(path);
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		count += strcmp(entry->d_name, name) == 0;
	if (directory)
		closedir(directory);
	return count;
}

static ino_t number_of(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 ? 0 : status.st_ino;
}

static off_t size_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) < 0 ? -1 : status.st_size;
}

int main(void)
{
	char text[16] = "";
	me = node();
	all = nodes();
	shared = share("followed.meeting", sizeof *shared);
	next();
	ino_t poem = number_of("/data/poem"), data = number_of("/data");
	int fd = open("/data/poem", O_RDONLY);
	check(fd >= 0 && size_of(fd) == 9000 && read(fd, text, 4) == 4 && memcmp(text, "pppp", 4) == 0, "as it came");
	check(entries("/", "data") == 1 && entries("/", "tmp") == 1 && entries("/", "shm") == 1 && entries("/", "dev") == 1, "the root");
	check(entries("/data", "poem") == 1 && entries("/data", "more") == 1, "the directory");
	next();
	if (me == all) {
		int out = open("/data/poem", O_RDWR);
		check(out >= 0 && pwrite(out, "word", 4, 8996) == 4 && pwrite(out, "end", 3, 9000) == 3, "write to it");
		check(pread(out, text, 4, 4096) == 4 && memcmp(text, "pppp", 4) == 0, "the rest is as it came");
		close(out);
	}
	next();
	check(size_of(fd) == 9003, "who has it open sees how long it is");
	check(pread(fd, text, 7, 8996) == 7 && memcmp(text, "wordend", 7) == 0, "and what was written");
	check(read(fd, text, 4) == 4 && memcmp(text, "pppp", 4) == 0 && lseek(fd, 0, SEEK_CUR) == 8, "where it was");
	check(number_of("/data/poem") == poem && number_of("/data") == data, "it is the same file in the same directory");
	check(entries("/data", "poem") == 1 && entries("/", "data") == 1, "listed once");
	next();
	if (me == 1)
		check(unlink("/data/poem") == 0 && rmdir("/data/more") < 0 && errno == ENOTEMPTY, "unlink it");
	next();
	check(number_of("/data/poem") == 0 && entries("/data", "poem") == 0, "its name is gone");
	check(pread(fd, text, 7, 8996) == 7 && memcmp(text, "wordend", 7) == 0, "who has it open has it still");
	next();
	if (me == all)
		check(unlink("/data/more/x") == 0 && rmdir("/data/more") == 0 && rmdir("/data") == 0, "remove the directories");
	next();
	check(number_of("/data") == 0 && entries("/", "data") == 0, "they are gone");
	next();
	if (me == 1)
		check(mkdir("/data", 0700) == 0, "make it again");
	next();
	check(entries("/data", "more") == 0 && number_of("/data") != data, "another one, and empty");
	if (me == all)
		check(rename("/bin", "/data/bin") == 0, "programs move");
	next();
	check(entries("/data/bin", "followed") == 1 && number_of("/bin") == 0, "with what is in it");
	check(open("/data/bin/followed", O_WRONLY) < 0 && errno == ETXTBSY, "nobody writes to a program that runs");
	next();
	if (me == 1)
		printf("followed: machines %u, wrong %u\n", all, shared->wrong);
	next();
	return shared->wrong == 0 ? 0 : 1;
}
