/* Files and names that clerks use at random: opened with all flags, read, written, cut, mapped, listed, renamed, removed while they are open, locked;
 * by descriptors that are duplicated, by paths with dots and slashes, with buffers that end where nothing is mapped; below /tmp, below /, where the
 * archive has files of its own, and in /shm. Clerks are the threads of all processes. What each call returned and read goes into a hash.
 *   turns   clerks take turns, one step each, with the same files
 *   own     all at once, each with files of its own; a hash a clerk
 *   ends    as turns; half way the clerks of the last process wait for its end (by a signal, or with its machine), and the others go on
 * Usage: clerks turns|own|ends SEED STEPS PROCESSES THREADS CORES [each] */
#include "cluster.h"
#include "random.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGE 4096u
#define CLERKS_MAX 32u
#define SLOTS 8u
#define FILE_MAX (5 * PAGE)
#define LINE 240

static struct book {
	struct meeting ready, alive, over;
	uint32_t turn;
	uint64_t hash[CLERKS_MAX];
	char lines[][LINE];
} *book;

static unsigned steps, processes, threads, clerks, cores_all, seed_all, each;
static int own, ends, life;
static char areas[3][200]; /* below /tmp, below /, /shm */
static int slots[SLOTS]; /* of this process; in `own` of each thread */
static unsigned char area_of[256]; /* by descriptor */
static unsigned here; /* the area of the working directory */
static __thread int own_slots[SLOTS];

static __thread unsigned me;
static __thread char line[LINE];
static __thread char *brink; /* two pages, behind which nothing is mapped */

static int often(unsigned n) { return below(n) != 0; }
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	size_t at = strlen(line);
	va_list list;
	va_start(list, format);
	vsnprintf(line + at, sizeof line - at, format, list);
	va_end(list);
}
static long result(long value)
{
	if (value == -1)
		say(" %s", strerror(errno));
	else
		say(" %ld", value);
	note(value == -1 ? (uint64_t)-errno : (uint64_t)value);
	return value;
}
/* Of a call that gives a descriptor: threads at once get them in any order. */
static int descriptor(int fd)
{
	result(own && fd >= 0 ? 0 : fd);
	return fd;
}

/* --- Paths --- */

static const char *const names[] = {"a", "b", "c", "box", "deep", "a name that is longer than most of the others are"};

/* Of few names, so that steps meet. `area` 3: from where one is. */
static const char *some_path(char *into, unsigned *area)
{
	*area = below(own ? 3 : 4);
	char *at = into;
	unsigned parts = 1 + (below(3) ? 0 : below(4)), depth = 0;
	if (*area < 3)
		at += sprintf(at, "%s/", areas[*area]);
	if (*area < 2 && !often(8))
		at += sprintf(at, "../clerks/");
	if (own)
		at += sprintf(at, *area < 2 ? "%u/" : "clerks.%u.", me);
	if (*area == 2) {
		sprintf(at, "%s", names[below(4)]);
		return into;
	}
	for (unsigned i = 0; i < parts; i++) {
		unsigned kind = below(20);
		const char *part = names[below(6)];
		if (kind == 0)
			part = ".";
		if (kind == 1 && depth > 0)
			part = "..";
		depth += part[0] != '.';
		depth -= strcmp(part, "..") == 0;
		at += sprintf(at, "%s%s", i ? often(20) ? "/" : "//" : "", part);
	}
	if (!often(16))
		strcpy(at, "/");
	return into;
}

static const char *shown(const char *path)
{
	const char *name = strstr(path, "/clerks");
	if (!name && strncmp(path, areas[2], strlen(areas[2])) == 0)
		return path + strlen(areas[2]) - 4;
	return name ? name : path;
}

/* One that is none, now and then. */
static const char *argument(const char *path)
{
	if (often(60))
		return path;
	say("(elsewhere)");
	return below(2) ? (const char *)(brink + 2 * PAGE) : (const char *)16;
}

/* --- Descriptors --- */

static int *slot(void)
{
	return &(own ? own_slots : slots)[below(SLOTS)];
}
static int any(void)
{
	int fd = *slot();
	for (int i = 0; i < 5 && fd < 0; i++)
		fd = *slot();
	if (!often(80))
		fd = below(2) ? -1 : 5000;
	say(" fd%d", own ? 0 : fd);
	return fd;
}
static void keep(int fd, unsigned area)
{
	int *at = slot();
	for (int i = 0; i < 3 && *at >= 0; i++)
		at = slot();
	if (fd < 0)
		return;
	area_of[fd & 255] = (unsigned char)(area == 3 ? here : area);
	if (*at >= 0)
		result(close(*at));
	*at = fd;
}

static int some_flags(void)
{
	static const int more[] = {O_CREAT, O_CREAT, O_CREAT, O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_CLOEXEC, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_NOCTTY};
	int flags = below(3) ? O_RDWR : below(2) ? O_WRONLY : O_RDONLY;
	for (unsigned i = below(5); i > 0; i--)
		flags |= more[below(sizeof more / sizeof *more)];
	if (!often(60))
		flags = (flags & ~3) | 3;
	/* Linux's versions differ in what both mean. */
	return flags & O_CREAT ? flags & ~O_DIRECTORY : flags;
}

/* --- What a step does --- */

/* A file of the archive that others write later is not read by descriptors of before once its name is another: those are opened to be written. */
static void opens(void)
{
	char path[600];
	unsigned area;
	int flags = some_flags();
	unsigned mode = below(2) ? 0640 : 0777;
	some_path(path, &area);
	if ((area == 1 || area == 3) && (flags & 3) != O_WRONLY && !(flags & O_DIRECTORY))
		flags = (flags & ~3) | O_RDWR;
	say("open %s %o", shown(path), flags);
	keep(descriptor(open(argument(path), flags, mode)), area);
}
static void opens_directory(void)
{
	char path[600];
	unsigned area;
	some_path(path, &area);
	say("directory %s", shown(path));
	keep(descriptor(open(path, O_RDONLY | O_DIRECTORY)), area);
}
static void opens_in(void)
{
	static const char *const inside[] = {"a", "b", "../c", "./b", "deep/", "box/a", "", "a/b"};
	const char *path = inside[below(8)];
	say("openat %s", path);
	int fd = any();
	keep(descriptor(openat(fd, path + (own && path[0] == '.' ? 3 : 0), O_RDWR | O_CREAT | (below(2) ? O_EXCL : 0), 0600)), area_of[fd & 255]);
}
static void closes(void)
{
	int *at = slot();
	say("close");
	result(close(*at));
	*at = -1;
}

/* How far a buffer reaches before nothing is mapped: mostly far enough. */
static char *buffer_for(size_t count)
{
	size_t room = 2 * PAGE;
	if (!often(12))
		return brink + room - below((unsigned)count + 1);
	return brink + below((unsigned)(room - count + 1));
}
static size_t size_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) < 0 || S_ISDIR(status.st_mode) ? 0 : (size_t)status.st_size;
}

static void reads(void)
{
	unsigned kind = below(4);
	int fd = any();
	size_t count = below(4) ? below(200) : below(2 * PAGE), at = below(FILE_MAX);
	if (!often(3))
		at = 0;
	char *buffer = buffer_for(count);
	static const char *const said[] = {"read", "pread", "readv", "preadv"};
	say(" %s %zu at %zu", said[kind], count, at);
	memset(brink, 0, 2 * PAGE);
	size_t half = below((unsigned)count + 1);
	struct iovec two[2] = {{buffer, half}, {buffer + half, count - half}};
	unsigned entries = often(10) ? 2 : below(2) ? 0 : 1;
	if (kind == 0)
		result(read(fd, buffer, count));
	else if (kind == 1)
		result(pread(fd, buffer, count, (off_t)at));
	else if (kind == 2)
		result(readv(fd, two, (int)entries));
	else
		result(preadv(fd, two, (int)entries, often(30) ? (off_t)at : -1));
	note_bytes(brink, 2 * PAGE);
}

static void writes(void)
{
	unsigned kind = below(4);
	int fd = any();
	size_t count = below(4) ? below(200) : below(2 * PAGE), at = below(FILE_MAX);
	static const char *const said[] = {"write", "pwrite", "writev", "pwritev"};
	/* tmpfs makes a file longer for a write behind its end of which nothing can be read. */
	char *buffer = (kind % 2 ? at : (size_t)lseek(fd, 0, SEEK_CUR)) > size_of(fd) ? brink : buffer_for(count);
	say(" %s %zu at %zu", said[kind], count, at);
	for (unsigned i = 0, value = below(255); i < 2 * PAGE; i++)
		brink[i] = (char)(value + i * 7 + i / 256);
	size_t half = below((unsigned)count + 1);
	struct iovec two[2] = {{buffer, half}, {buffer + half, count - half}};
	unsigned entries = often(10) ? 2 : below(2) ? 0 : 1;
	size_t size = size_of(fd);
	if (size > 2 * FILE_MAX && kind % 2 == 0)
		result(ftruncate(fd, (off_t)at));
	if (kind == 0)
		result(write(fd, buffer, count));
	else if (kind == 1)
		result(pwrite(fd, buffer, count, (off_t)at));
	else if (kind == 2)
		result(writev(fd, two, (int)entries));
	else
		result(pwritev(fd, two, (int)entries, often(30) ? (off_t)at : -5));
}

static void seeks(void)
{
	static const int whences[] = {SEEK_SET, SEEK_SET, SEEK_CUR, SEEK_END, 7};
	int fd = any(), whence = whences[below(often(10) ? 4 : 5)];
	long to = (long)below(FILE_MAX) - (below(4) ? 0 : (long)FILE_MAX);
	struct stat status;
	say(" lseek %ld %d", to, whence);
	if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
		return; /* places in directories are each file system's own */
	result(lseek(fd, to, whence));
	/* Holes are where a file system says; behind the end there is nothing. */
	off_t here = lseek(fd, 0, SEEK_CUR);
	size_t size = size_of(fd);
	result(lseek(fd, (off_t)size + below(2), below(2) ? SEEK_DATA : SEEK_HOLE));
	result(lseek(fd, -1, SEEK_DATA));
	if (size > 0) {
		off_t hole = lseek(fd, (off_t)below((unsigned)size), SEEK_HOLE);
		note(hole > 0 && hole <= (off_t)size);
	}
	lseek(fd, here, SEEK_SET);
}

static void cuts(void)
{
	char path[600];
	unsigned area;
	off_t size = often(30) ? (off_t)below(FILE_MAX) : -1;
	if (below(3)) {
		int fd = any();
		say(" ftruncate %ld", (long)size);
		result(ftruncate(fd, size));
	} else {
		some_path(path, &area);
		say("truncate %s %ld", shown(path), (long)size);
		result(truncate(argument(path), size));
	}
}

static void describes(const struct stat *status, int modes)
{
	note(status->st_mode & S_IFMT);
	modes &= !S_ISDIR(status->st_mode) || status->st_nlink > 0; /* one that is gone */
	if (modes)
		note(status->st_mode & 07777);
	if (S_ISREG(status->st_mode))
		note((uint64_t)status->st_size);
	note(status->st_nlink);
	say(" (%o %ld %u)", modes ? status->st_mode : 0, S_ISREG(status->st_mode) ? (long)status->st_size : 0L,
	    (unsigned)status->st_nlink);
}

static void tells(void)
{
	char path[600], other[600];
	struct stat status, second;
	unsigned area, area2;
	if (below(2)) {
		int fd = any();
		say(" fstat");
		if (result(fstat(fd, &status)) == 0)
			describes(&status, area_of[fd & 255] != 2);
		return;
	}
	some_path(path, &area);
	some_path(other, &area2);
	say("stat %s", shown(path));
	if (result(below(2) ? stat(argument(path), &status) : lstat(path, &status)) == 0)
		describes(&status, area < 2);
	if (stat(path, &status) == 0 && stat(other, &second) == 0 && area < 2 && area2 < 2)
		note(status.st_ino == second.st_ino && area == area2);
	result(syscall(SYS_stat, path, brink + 2 * PAGE - 20));
}

static int kind_two(unsigned kind) { return (kind >= 6 && kind <= 9) || kind == 16; }
static void changes_names(void)
{
	char path[600], other[600];
	unsigned area, area2, kind = below(18);
	static const char *const said[] = {"mkdir", "mkdir", "mkdir", "rmdir", "unlink", "unlink", "rename", "rename", "rename", "rename_new",
					   "unlinkat", "access", "renameat", "mkdirat", "creat", "chdir", "link", "linkat"};
	do
		some_path(path, &area), some_path(other, &area2);
	while ((area == 2 && (kind < 4 || kind == 10 || kind == 12 || kind == 13 || kind == 15)) ||
	       (kind_two(kind) && (area == 3 ? here : area) != (area2 == 3 ? here : area2)));
	errno = 0;
	say("%s %s %s", said[kind], shown(path), kind_two(kind) ? shown(other) : "");
	switch (kind) {
	case 0:
	case 1:
	case 2:
		result(mkdir(argument(path), (unsigned[]){0755, 0700, 07777, 0}[below(4)]));
		break;
	case 3:
		result(rmdir(argument(path)));
		break;
	case 4:
	case 5:
		result(unlink(argument(path)));
		break;
	case 6:
	case 7:
	case 8:
		result(rename(argument(path), argument(other)));
		break;
	case 9:
		result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 1));
		break;
	case 10:
		result(unlinkat(any(), "a", below(3) ? 0 : below(2) ? AT_REMOVEDIR : 0x40));
		break;
	case 11:
		result(access(argument(path), below(2) ? F_OK : (int)below(9) & (area == 2 ? ~X_OK : ~0)));
		break;
	case 12: {
		int fd = any();
		result(renameat(fd, names[below(5)], fd, names[below(5)]));
		break;
	}
	case 13:
		result(mkdirat(any(), names[below(5)], 0711));
		break;
	case 14: /* not of the archive: see above */
		if (area == 1 || area == 3)
			break;
		keep(descriptor(creat(path, 0604)), area);
		break;
	case 16:
		result(link(argument(path), argument(other)));
		break;
	case 17: {
		int from = any(), to = any();
		if (area_of[from & 255] == area_of[to & 255])
			result(linkat(from, "a", to, names[below(5)], 0));
		break;
	}
	default:
		if (!own)
			result(chdir(path)), here = errno || area == 3 ? here : area;
	}
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void lists(void)
{
	char path[600], *found[64];
	unsigned count = 0, area;
	do
		some_path(path, &area);
	while (area == 2);
	say("list %s", shown(path));
	DIR *directory = opendir(path);
	if (!directory) {
		result(-1);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) && count < 64;) {
		char text[300];
		snprintf(text, sizeof text, "%s%c", entry->d_name, entry->d_type == DT_DIR ? '/' : ';');
		found[count++] = strdup(text);
	}
	closedir(directory);
	qsort(found, count, sizeof *found, by_name);
	for (unsigned i = 0; i < count; i++) {
		note_bytes(found[i], strlen(found[i]));
		free(found[i]);
	}
	result(count);
}

/* Entries by the call itself, in pieces: how many bytes is the file system's business. */
static void lists_in_pieces(void)
{
	int fd = any();
	unsigned count = 0;
	say(" getdents");
	if (lseek(fd, 0, SEEK_SET) != 0)
		return;
	while (1) {
		long got = syscall(SYS_getdents64, fd, brink, 64 + 24);
		if (got <= 0) {
			result(got);
			break;
		}
		for (long at = 0; at < got; at += *(unsigned short *)(brink + at + 16)) {
			note_bytes("", 1);
			count++;
		}
	}
	result(count);
	lseek(fd, 0, SEEK_SET);
	result(syscall(SYS_getdents64, fd, brink, 10));
	result(syscall(SYS_getdents64, fd, brink + 2 * PAGE, 500));
}

static void where(void)
{
	char text[1000];
	say("getcwd");
	if (own)
		return;
	const char *at = getcwd(text, sizeof text);
	result(at ? 0 : -1);
	if (at && strstr(at, "/clerks"))
		note_bytes(strstr(at, "/clerks"), strlen(strstr(at, "/clerks")));
	if (!often(6))
		result(syscall(SYS_getcwd, text, 1 + below(4)));
	if (!often(6)) {
		int fd = any();
		if (result(fchdir(fd)) == 0)
			here = area_of[fd & 255];
	}
}

static void duplicates(void)
{
	unsigned kind = below(own ? 3 : 8);
	int fd = any();
	say(" dup%u", kind);
	switch (kind) {
	case 0:
		keep(descriptor(dup(fd)), area_of[fd & 255]);
		break;
	case 1:
		keep(descriptor(fcntl(fd, F_DUPFD, 3)), area_of[fd & 255]);
		break;
	case 2:
		keep(descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3)), area_of[fd & 255]);
		break;
	case 3:
		result(fcntl(fd, F_DUPFD, below(2) ? -1 : 70000000));
		break;
	case 4:
	case 5: { /* onto another slot's */
		int *to = slot();
		if (*to >= 0 && result(kind == 4 ? dup2(fd, *to) : dup3(fd, *to, below(2) ? O_CLOEXEC : 0)) >= 0)
			area_of[*to & 255] = area_of[fd & 255];
		break;
	}
	case 6:
		result(dup3(fd, 20, (int)below(3) * 0x400));
		close(20);
		break;
	default:
		result(dup2(fd, below(2) ? -1 : 70000000));
	}
}

/* O_LARGEFILE is a library's business. */
static void flags(void)
{
	int fd = any();
	say(" flags");
	int now = fcntl(fd, F_GETFL);
	result(now < 0 ? now : now & ~0100000);
	result(fcntl(fd, F_GETFD));
	if (!often(3))
		result(fcntl(fd, F_SETFL, (below(2) ? O_APPEND : 0) | (below(2) ? O_NONBLOCK : 0) | (int)below(4)));
	if (!often(3))
		result(fcntl(fd, F_SETFD, below(4)));
}

static int is_directory(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Several that are in the way may be told in any order. */
static void locks(void)
{
	static const int commands[] = {F_SETLK, F_SETLK, F_SETLKW, F_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK};
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK, F_WRLCK};
	int fd = any(), command = commands[below(7)];
	struct flock lock = {.l_type = types[below(often(3) ? 2 : 4)], .l_whence = below(4) ? SEEK_SET : below(2) ? SEEK_CUR : SEEK_END};
	if (!often(40))
		lock.l_type = 9;
	lock.l_start = below(10) - (lock.l_whence != SEEK_SET && below(2) ? 6 : 0);
	lock.l_len = below(10) - (below(3) ? 0 : 4);
	if (is_directory(fd))
		return; /* directories have no locks */
	int get = command == F_GETLK || command == F_OFD_GETLK, waits = command == F_SETLKW || command == F_OFD_SETLKW;
	struct flock seen = lock;
	say(" lock %d type %d %d+%ld,%ld", command, lock.l_type, lock.l_whence, (long)lock.l_start, (long)lock.l_len);
	if (get && lock.l_type == F_UNLCK)
		return; /* Linux's versions differ */
	if (waits && (fcntl(fd, command == F_SETLKW ? F_GETLK : F_OFD_GETLK, &seen) < 0 || seen.l_type != F_UNLCK) && lock.l_type != F_UNLCK)
		return;
	if (!often(40)) {
		result(fcntl(fd, command, (struct flock *)(brink + 2 * PAGE - 8)));
		return;
	}
	if (result(fcntl(fd, command, &lock)) == 0 && get) {
		note(lock.l_type == F_UNLCK);
		say(" %s", lock.l_type == F_UNLCK ? "free" : "taken");
		note(lock.l_whence);
	}
}
static void locks_whole(void)
{
	int fd = any(), how = (int[]){LOCK_SH, LOCK_EX, LOCK_UN, LOCK_EX}[below(4)];
	say(" flock %d", how);
	if (is_directory(fd))
		return;
	result(flock(fd, how | LOCK_NB));
}

static __thread sigjmp_buf back;
static void on_fault(int number)
{
	siglongjmp(back, number);
}

/* The file beside its mapping; behind its end nothing is touched, but the page that begins there. */
static void maps(void)
{
	int fd = any();
	size_t size = size_of(fd), room = FILE_MAX + 2 * PAGE;
	unsigned at = below(FILE_MAX), count = below(300), value = below(255);
	int shared = below(4) ? MAP_SHARED : MAP_PRIVATE, rights = below(4) ? PROT_READ | PROT_WRITE : PROT_READ;
	say(" map %u+%u of %zu, %d %d", at, count, size, shared, rights);
	char *map = mmap(0, room, rights, shared, fd, 0);
	result(map == MAP_FAILED ? -1 : 0);
	if (map == MAP_FAILED)
		return;
	volatile unsigned fault = 0;
	if (size > at) {
		unsigned most = size - at < count ? (unsigned)(size - at) : count;
		if (rights & PROT_WRITE)
			memset(map + at, (int)value, most);
		result(pread(fd, brink, most, (off_t)at));
		note_bytes(brink, most);
		memset(brink, (int)value + 1, most);
		result(pwrite(fd, brink, most, (off_t)at));
		if (shared == MAP_SHARED)
			note_bytes(map + at, most);
	}
	/* A process that is spread has private copies of what there was when it asked for them. */
	if (shared == MAP_PRIVATE && cores_all > 1)
		fault = 99;
	else
		fault = (unsigned)sigsetjmp(back, 1);
	if (!fault && (size + PAGE - 1) / PAGE * PAGE < room)
		note(*(volatile char *)(map + (size + PAGE - 1) / PAGE * PAGE));
	say(" fault %u", fault);
	note(fault);
	result(munmap(map, room));
}

/* From the file into the file, by way of a mapping of itself. */
static void copies_itself(void)
{
	int fd = any();
	size_t size = size_of(fd);
	say(" itself");
	if (is_directory(fd) || size < 2 * PAGE || (fcntl(fd, F_GETFL) & O_APPEND))
		return;
	char *map = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return;
	unsigned count = 1 + below(PAGE);
	result(below(2) ? pread(fd, map, count, PAGE) : pwrite(fd, map, count, PAGE));
	note_bytes(map, size);
	munmap(map, size);
}

static void hop(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(below(cores_all), &set);
	sched_setaffinity(0, sizeof set, &set);
}

static void step(uint64_t number)
{
	static void (*const kinds[])(void) = {opens, opens, opens, opens, opens_directory, opens_in, closes, reads, reads, reads, writes, writes, writes,
					      writes, seeks, cuts, tells, tells, changes_names, changes_names, changes_names, changes_names,
					      changes_names, lists, lists_in_pieces, where, duplicates, duplicates, flags, locks, locks,
					      locks_whole, maps, maps, copies_itself};
	state = (uint64_t)seed_all * 1000003u + number;
	for (int i = 0; i < 4; i++)
		below(2);
	line[0] = 0;
	kinds[below(sizeof kinds / sizeof *kinds)]();
	if (cores_all > 1 && !often(6))
		hop();
}

/* --- Turns --- */

static void begin(void)
{
	brink = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(brink + 2 * PAGE, PAGE, PROT_NONE);
}

/* A lock that its process has until it ends. */
static void lock_life(unsigned process)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = process, .l_len = 1};
	if (fcntl(life, F_SETLKW, &lock) < 0)
		fail("life");
}

static void wait_for_the_end(void)
{
	if (getenv("BUSLOCK_SHM"))
		kill(getpid(), SIGKILL);
	while (1)
		pause();
}

static void *take_turns(void *argument)
{
	begin();
	me = (node() - 1) * threads + (unsigned)(uintptr_t)argument;
	uint32_t now;
	while ((now = __atomic_load_n(&book->turn, __ATOMIC_SEQ_CST)) < steps) {
		unsigned there = ends && now >= steps / 2 ? clerks - threads : clerks;
		if (me >= there)
			wait_for_the_end();
		unsigned drawn = ((now / (1 + seed_all % 3)) * 2654435761u + seed_all * 40503u) >> 16;
		if (drawn % there != me) {
			syscall(SYS_futex, &book->turn, FUTEX_WAIT, now, 0, 0, 0);
			continue;
		}
		if (ends && now == steps / 2)
			lock_life(processes - 1);
		hash = book->hash[0];
		step(now);
		book->hash[0] = hash;
		if (each)
			snprintf(book->lines[now], LINE, "%u: %.150s: %016lx", me, line, hash);
		__atomic_store_n(&book->turn, now + 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &book->turn, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	}
	return 0;
}

static void *on_own(void *argument)
{
	begin();
	me = (node() - 1) * threads + (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < SLOTS; i++)
		own_slots[i] = -1;
	for (unsigned i = 0; i < steps; i++) {
		step((uint64_t)me << 32 | i);
		if (each)
			snprintf(book->lines[me * steps + i], LINE, "%u: %.150s: %016lx", me, line, hash);
	}
	book->hash[me] = hash;
	return 0;
}

/* --- Places --- */

/* What the archive has below /clerks, where there is one: test/support/clerks.ts. */
static void put_archive(void)
{
	static const char *const files[] = {"a", "b", "box/a", "box/deep/c", "deep/b"};
	char path[600], bytes[9000];
	snprintf(path, sizeof path, "%s/box", areas[1]);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/box/deep", areas[1]);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/deep", areas[1]);
	mkdir(path, 0755);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "%s/%s", areas[1], files[i]);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
		for (unsigned k = 0; k < sizeof bytes; k++)
			bytes[k] = (char)(k * 3 + k / 256 + i);
		if (fd < 0 || write(fd, bytes, i * 2200) != (ssize_t)i * 2200)
			fail(path);
		close(fd);
	}
}

static void prepare(void)
{
	const char *judge = getenv("BUSLOCK_SHM");
	char path[1000];
	snprintf(areas[0], sizeof areas[0], "%s/clerks", judge ? judge : "/tmp");
	snprintf(areas[1], sizeof areas[1], "%s%s/clerks", judge ? judge : "", judge ? "/root" : "");
	snprintf(areas[2], sizeof areas[2], "%s/shm", judge ? judge : "");
	if (node() != 1)
		return;
	if (judge) {
		snprintf(path, sizeof path, "%s/root", judge);
		mkdir(path, 0755);
		mkdir(areas[2], 0755);
	}
	mkdir(areas[0], 0755);
	mkdir(areas[1], 0755);
	if (judge)
		put_archive();
	for (unsigned i = 0; own && i < clerks; i++)
		for (unsigned k = 0; k < 2; k++) {
			snprintf(path, sizeof path, "%s/%u", areas[k], i);
			if (mkdir(path, 0755) < 0)
				fail(path);
		}
}

int main(int argc, char **argv)
{
	if (argc < 7)
		return fprintf(stderr, "usage: clerks turns|own|ends SEED STEPS PROCESSES THREADS CORES [each]\n"), 2;
	own = argv[1][0] == 'o', ends = argv[1][0] == 'e';
	seed_all = number_from(argv[2], 1), steps = number_from(argv[3], 100);
	processes = number_from(argv[4], 1), threads = number_from(argv[5], 1), cores_all = number_from(argv[6], 1);
	each = argc > 7;
	clerks = processes * threads;
	umask(022);
	struct sigaction action = {.sa_handler = on_fault};
	sigaction(SIGBUS, &action, 0);
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i] = -1;
	book = share("clerks.book", sizeof *book + (each ? (size_t)steps * clerks * LINE : 0));
	prepare();
	meet(&book->ready, processes);
	if (ends) {
		char path[600];
		snprintf(path, sizeof path, "%s/clerks.life", areas[2]);
		if ((life = open(path, O_RDWR | O_CREAT, 0600)) < 0)
			fail(path);
		lock_life(node() - 1);
	}
	meet(&book->alive, processes);
	if (chdir(areas[0]) < 0)
		fail(areas[0]);
	on_threads(threads, own ? on_own : take_turns);
	meet(&book->over, ends ? processes - 1 : processes);
	if (node() != 1)
		return 0;
	for (unsigned i = 0; each && i < steps * (own ? clerks : 1); i++)
		printf("clerks: %u %s\n", i, book->lines[i]);
	for (unsigned i = 0; i < (own ? clerks : 1); i++)
		printf("clerks: hash %016lx\n", book->hash[i]);
	return 0;
}
