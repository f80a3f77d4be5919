/* A random walk through the calls about names, below one directory: each step prints what was asked and what came of it, so that the whole walk is
 * the same where the calls mean the same. Usage: walk DIRECTORY SEED STEPS (BUSLOCK_SHM where the judge runs) */
#include "cluster.h"
#include "random.h"
#include <dirent.h>
#include <sys/stat.h>

/* Of few names, so that steps meet. */
static const char *some_path(char *into)
{
	static const char *const names[] = {"a", "b", "c", "directory", "a name that is longer than most of the others are"};
	unsigned parts = 1 + below(4), depth = 0;
	char *at = into;
	for (unsigned i = 0; i < parts; i++) {
		unsigned kind = below(16);
		const char *part = names[below(5)];
		if (kind == 0)
			part = ".";
		if (kind == 1 && depth > 0)
			part = "..";
		depth += part[0] != '.';
		depth -= strcmp(part, "..") == 0;
		at += sprintf(at, "%s%s", i ? below(20) ? "/" : "//" : "", part);
	}
	if (below(16) == 0)
		strcpy(at, "/");
	return into;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static unsigned listing(const char *path)
{
	char *found[64];
	unsigned count = 0, hash = 2166136261u;
	DIR *directory = opendir(path);
	if (!directory)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory)) && count < 64;) {
		char line[300];
		snprintf(line, sizeof line, "%s%c", entry->d_name, entry->d_type == DT_DIR ? '/' : ';');
		found[count++] = strdup(line);
	}
	closedir(directory);
	qsort(found, count, sizeof *found, by_name);
	for (unsigned i = 0; i < count; i++) {
		for (const char *c = found[i]; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 16777619u;
		free(found[i]);
	}
	errno = 0;
	return hash;
}

static long take(unsigned step, unsigned which, const char *path, const char *other, unsigned *more)
{
	struct stat status;
	char text[32] = "";
	int fd;
	long result;
	switch (which) {
	case 0:
	case 1:
	case 2:
		return mkdir(path, below(2) ? 0755 : 0700);
	case 3:
		return rmdir(path);
	case 4:
	case 5:
		fd = open(path, O_CREAT | O_WRONLY | (below(2) ? O_EXCL : O_TRUNC), 0640);
		if (fd < 0)
			return -1;
		sprintf(text, "%u", step);
		result = write(fd, text, strlen(text));
		close(fd);
		return result;
	case 6:
		return unlink(path);
	case 7:
	case 8:
	case 9:
		return rename(path, other);
	case 10:
		return syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 1);
	case 11:
		if (stat(path, &status) < 0)
			return -1;
		*more = status.st_mode * 31 + (unsigned)status.st_nlink + (S_ISREG(status.st_mode) ? (unsigned)status.st_size * 1000 : 0);
		return 0;
	case 12:
		*more = listing(path);
		return *more ? 0 : -1;
	case 13:
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return -1;
		result = read(fd, text, sizeof text);
		close(fd);
		*more = (unsigned)atoi(text);
		return result;
	case 14:
		return truncate(path, below(3));
	default:
		return remove(path);
	}
}

int main(int argc, char **argv)
{
	static const char *const calls[] = {"mkdir", "mkdir", "mkdir", "rmdir", "make", "make", "unlink", "rename", "rename",
	                                    "rename", "rename_new", "stat", "list", "read", "truncate", "remove"};
	const char *directory = getenv("BUSLOCK_SHM");
	char path[512], other[512];
	unsigned steps = argc > 3 ? number_from(argv[3], 100) : 100;
	if (!directory)
		directory = argc > 1 ? argv[1] : "/tmp";
	state = argc > 2 ? number_from(argv[2], 1) : 1;
	umask(022);
	if (chdir(directory) < 0 || mkdir("walk.test", 0755) < 0 || chdir("walk.test") < 0)
		fail(directory);
	for (unsigned step = 0; step < steps; step++) {
		unsigned which = below(16), more = 0;
		some_path(path);
		some_path(other);
		errno = 0;
		long result = take(step, which, path, other, &more);
		int two = which >= 7 && which <= 10;
		printf("walk: %u %s %s%s%s: %ld %s %u\n", step, calls[which], path, two ? " " : "", two ? other : "", result,
		       result < 0 ? strerror(errno) : "", more);
	}
	return 0;
}
