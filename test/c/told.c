/* What tells of a machine that dies otherwise than by the pages that it wrote. Machine WRITER counts: the number goes into page 1 and
 * into page 0 of FILE, at which nobody else looks before the end; then it is told by KIND:
 *
 *   wake      a waiter is woken, on a word of another file that never changes
 *   size      another file is cut to so many bytes
 *   append    another file gets a byte more
 *   name      a file is made
 *   unlink    a file is removed
 *   lock      a byte of another file is locked, which fcntl(F_GETLK) tells
 *
 * The others watch that for MILLISECONDS, and then look: nothing less than what they were told, and all of it still there.
 *
 *   told: K KIND tells N, finds A B        or: ..., lost        or: ..., WRONG WHAT
 *
 * Usage: told KIND WRITER MILLISECONDS FILE OTHER */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

enum { NAMES = 150, STILL = 20 };
static sigjmp_buf before;
static volatile uint64_t *pages;
static uint32_t *word;
static struct meeting *meeting;
static int other;
static const char *stem;

static void struck(int signal) { siglongjmp(before, signal); }

static long milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *named(unsigned number)
{
	static char path[300];
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/%s.%u", directory ? directory : "/shm", stem, number);
	return path;
}

static int is_there(unsigned number)
{
	int fd = open(named(number), O_RDWR);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void make(unsigned number)
{
	int fd = open(named(number), O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fail("a name");
	close(fd);
}

static unsigned char byte_of(uint64_t place) { return (unsigned char)(place * 7 + 3); }

static uint64_t size(void)
{
	struct stat s;
	return fstat(other, &s) < 0 ? 0 : (uint64_t)s.st_size;
}

static int lock(int command, int type, uint64_t place)
{
	struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = (off_t)place, .l_len = 1};
	if (fcntl(other, command, &l) < 0)
		return -1;
	return l.l_type != F_UNLCK;
}

static void tell_wake(uint64_t n)
{
	(void)n;
	while (syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, 0, 0, 0) < 1)
		;
}
static void tell_size(uint64_t n) { (void)!ftruncate(other, (off_t)n); }
static void tell_append(uint64_t n)
{
	unsigned char byte = byte_of(n - 1);
	(void)!write(other, &byte, 1);
}
static void tell_name(uint64_t n) { make((unsigned)n); }
static void tell_unlink(uint64_t n) { unlink(named((unsigned)n)); }
static void tell_lock(uint64_t n) { lock(F_SETLK, F_WRLCK, n); }

/* One look: what is told by now, when it was `seen` before. */
static uint64_t hear_wake(uint64_t seen)
{
	static long last;
	struct timespec moment = {0, 2000000};
	long result = syscall(SYS_futex, word, FUTEX_WAIT, 0, &moment, 0, 0);
	/* After a death all that sleep are woken: that is long after the last wake that was meant. */
	if (result != 0 || (last != 0 && milliseconds() - last > STILL))
		return seen;
	last = milliseconds();
	return seen + 1;
}
static uint64_t hear_size(uint64_t seen)
{
	(void)seen;
	return size();
}
static uint64_t hear_name(uint64_t seen) { return seen < NAMES && is_there((unsigned)seen + 1) ? seen + 1 : seen; }
static uint64_t hear_unlink(uint64_t seen)
{
	int gone = seen < NAMES && open(named((unsigned)seen + 1), O_RDWR) < 0 && errno == ENOENT;
	return gone ? seen + 1 : seen;
}
static uint64_t hear_lock(uint64_t seen) { return lock(F_GETLK, F_WRLCK, seen + 1) == 1 ? seen + 1 : seen; }

/* What was told holds at the end as well: 0, or what does not. */
static const char *holds_size(uint64_t seen) { return size() < seen ? "size" : 0; }
static const char *holds_append(uint64_t seen)
{
	if (size() < seen)
		return "size";
	for (uint64_t i = 0; i + 1 < seen; i++) { /* the last one may have been under way: nobody said that it was there */
		unsigned char byte;
		ssize_t got = pread(other, &byte, 1, (off_t)i);
		if (got != 1)
			return errno == EIO ? "lost byte" : "missing byte";
		if (byte != byte_of(i))
			return "byte";
	}
	return 0;
}
static const char *holds_name(uint64_t seen)
{
	for (unsigned i = 1; i <= seen; i++)
		if (!is_there(i))
			return named(i);
	return 0;
}
static const char *holds_unlink(uint64_t seen)
{
	for (unsigned i = 1; i <= seen; i++)
		if (is_there(i))
			return named(i);
	return 0;
}

static const struct kind {
	const char *name;
	void (*tell)(uint64_t n);
	uint64_t (*hear)(uint64_t seen);
	const char *(*holds)(uint64_t seen);
} kinds[] = {
	{"wake", tell_wake, hear_wake, 0},
	{"size", tell_size, hear_size, holds_size},
	{"append", tell_append, hear_size, holds_append},
	{"name", tell_name, hear_name, holds_name},
	{"unlink", tell_unlink, hear_unlink, holds_unlink},
	{"lock", tell_lock, hear_lock, 0},
};

static void count(const struct kind *kind)
{
	for (uint64_t n = 1; (kind->tell != tell_name && kind->tell != tell_unlink) || n <= NAMES; n++) {
		pages[512] = n;
		pages[0] = n;
		kind->tell(n);
	}
	for (;;)
		pause();
}

static int watch(const struct kind *kind, long time)
{
	static volatile uint64_t seen;
	static const char *volatile wrong;
	long end = milliseconds() + time;
	while (milliseconds() < end) {
		if (sigsetjmp(before, 1)) {
			printf("told: %u %s tells %lu, lost\n", node(), kind->name, seen);
			return 1;
		}
		uint64_t now = kind->hear(seen);
		if (now < seen) {
			static char text[80];
			snprintf(text, sizeof text, "back to %lu at %ld", now, milliseconds());
			wrong = text;
		}
		else
			seen = now;
	}
	if (sigsetjmp(before, 1)) {
		printf("told: %u %s tells %lu, lost\n", node(), kind->name, seen);
		return 1;
	}
	uint64_t first = pages[0], second = pages[512];
	if (!wrong && kind->holds)
		wrong = kind->holds(seen);
	if (wrong)
		printf("told: %u %s tells %lu, WRONG %s\n", node(), kind->name, seen, wrong);
	else
		printf("told: %u %s tells %lu, finds %lu %lu\n", node(), kind->name, seen, first, second);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		fail("told KIND WRITER MILLISECONDS FILE OTHER");
	const struct kind *kind = kinds;
	while (strcmp(kind->name, argv[1]))
		if (++kind == kinds + sizeof kinds / sizeof *kinds)
			fail(argv[1]);
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	pages = share(argv[4], 2 * 4096);
	word = share("told.word", 4096);
	meeting = share("told.meeting", 4096);
	stem = argv[5];
	char path[300];
	const char *directory = getenv("BUSLOCK_SHM");
	snprintf(path, sizeof path, "%s/%s", directory ? directory : "/shm", stem);
	if ((other = open(path, O_RDWR | O_CREAT | O_APPEND, 0600)) < 0)
		fail(path);
	int writes = node() == number_from(argv[2], 0);
	if (writes && kind->tell == tell_unlink)
		for (unsigned i = 1; i <= NAMES; i++)
			make(i);
	meet(meeting, nodes());
	if (writes)
		count(kind);
	return watch(kind, number_from(argv[3], 0));
}
