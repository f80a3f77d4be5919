/* What files hold, at random: processes take turns, one call each, and each sees what all before it have done. Calls: read, write, at a
 * place or where the descriptor stands, of one part or several, behind the end; longer and shorter files; loads, stores and
 * LOCKed additions where the file is mapped, which each process does once and keeps; descriptors that are closed and opened
 * again; files that are removed while others have them. What each call returned and read goes into a hash, which machine 1 prints at the end; with "each"
 * whoever had a turn prints it. Usage: turns DIRECTORY|shm SEED TURNS [unmapped] [each] */
#include "cluster.h"
#include "random.h"
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGE 4096u
#define FILES 3
#define MOST (48 * PAGE)
#define LONGEST (3 * PAGE)

struct control {
	struct meeting meeting;
	uint32_t turn;
	uint32_t generation[FILES]; /* of the file of that number: it was removed so many times */
	uint64_t hash;
};
static struct control *control;
static char directory[128];
static int mapped = 1, each;

static long result(long value)
{
	note(value < 0 ? (uint64_t)-errno : (uint64_t)value);
	return value;
}

/* This process's own of each file. */
static struct {
	int fd, append;
	unsigned char *map;
} files[FILES];

static void path_of(unsigned file, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s/turns.%u", directory, file);
}
static void open_file(unsigned file, int flags)
{
	char path[200];
	path_of(file, path, sizeof path);
	files[file].fd = open(path, O_RDWR | O_CREAT | flags, 0600);
	files[file].append = open(path, O_RDWR | O_APPEND);
	if (files[file].fd < 0 || files[file].append < 0)
		fail(path);
	if (!mapped)
		return;
	/* Longer than the file most of the time: what lies behind its end is not touched. */
	files[file].map = mmap(0, MOST, PROT_READ | PROT_WRITE, MAP_SHARED, files[file].fd, 0);
	if (files[file].map == MAP_FAILED)
		fail("mmap");
}
static void close_file(unsigned file)
{
	if (mapped)
		munmap(files[file].map, MOST);
	close(files[file].fd);
	close(files[file].append);
}

static unsigned size_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		fail("fstat");
	return (unsigned)st.st_size;
}

static unsigned char bytes[LONGEST];
static void fill(unsigned count)
{
	unsigned char first = (unsigned char)below(256), step = (unsigned char)(1 + below(255));
	for (unsigned i = 0; i < count; i++)
		bytes[i] = first + (unsigned char)i * step;
}
static void look(long got)
{
	if (result(got) > 0)
		note_bytes(bytes, (size_t)got);
}
static unsigned length(void) { return below(4) ? 1 + below(200) : 1 + below(LONGEST); }
static unsigned place(void) { return below(3) ? below(MOST - LONGEST) : below((MOST - LONGEST) / PAGE) * PAGE; }

static const char *by_call(unsigned file)
{
	int fd = files[file].fd;
	unsigned count = length();
	struct iovec parts[3] = {
		{bytes, count / 3}, {bytes + count / 3, 0}, {bytes + count / 3, count - count / 3}};
	switch (below(12)) {
	case 0:
		look(pread(fd, bytes, count, place()));
		return "pread";
	case 1:
		fill(count);
		result(pwrite(fd, bytes, count, place()));
		return "pwrite";
	case 2:
		look(read(fd, bytes, count));
		return "read";
	case 3:
		if (lseek(fd, 0, SEEK_CUR) > (off_t)(MOST - LONGEST))
			lseek(fd, 0, SEEK_SET);
		fill(count);
		result(write(fd, bytes, count));
		return "write";
	case 4:
		result(lseek(fd, place(), SEEK_SET));
		return "lseek set";
	case 5:
		result(lseek(fd, -(long)below(2000), below(2) ? SEEK_CUR : SEEK_END));
		return "lseek";
	case 6:
		if (size_of(fd) > MOST - LONGEST)
			result(ftruncate(fd, PAGE + below(PAGE)));
		fill(count);
		result(write(files[file].append, bytes, count));
		return "append";
	case 7:
		result(ftruncate(fd, below(3) ? below(MOST) : below(MOST / PAGE) * PAGE));
		return "ftruncate";
	case 8:
		look(preadv(fd, parts, 3, place()));
		return "preadv";
	case 9:
		fill(count);
		result(pwritev(fd, parts, 3, place()));
		return "pwritev";
	case 10:
		note(size_of(files[file].append));
		return "fstat";
	default:
		result(fsync(fd));
		return "fsync";
	}
}

static const char *by_map(unsigned file)
{
	unsigned size = size_of(files[file].fd);
	unsigned char *map = files[file].map;
	if (size > MOST)
		size = MOST;
	if (size < 16)
		return by_call(file);
	unsigned count = length() % size + 1, at = below(size - count + 1);
	switch (below(5)) {
	case 0:
	case 1:
		note_bytes(map + at, count);
		return "load";
	case 2:
		fill(count);
		memcpy(map + at, bytes, count);
		return "store";
	case 3:
		at = at / 8 * 8;
		if (at + 8 > size)
			at = 0;
		note(__atomic_fetch_add((uint64_t *)(map + at), state, __ATOMIC_SEQ_CST));
		return "add";
	default:
		result(msync(map + at / PAGE * PAGE, count, below(2) ? MS_SYNC : MS_ASYNC));
		return "msync";
	}
}

/* Names its file, as the others will: who has another still keeps it until it closes it. */
static const char *by_name(unsigned file)
{
	char path[200];
	path_of(file, path, sizeof path);
	switch (below(4)) {
	case 0:
		result(truncate(path, below(MOST)));
		return "truncate";
	case 1: {
		struct stat st;
		if (result(stat(path, &st)) == 0)
			note((uint64_t)st.st_size);
		return "stat";
	}
	case 2:
		close_file(file);
		open_file(file, below(4) ? 0 : O_TRUNC);
		return "open";
	default:
		result(unlink(path));
		close_file(file);
		open_file(file, O_EXCL);
		return "unlink";
	}
}

static void take_turn(uint32_t turn, unsigned seed)
{
	state = (uint64_t)seed * 1000003u + turn;
	for (int i = 0; i < 4; i++)
		below(2);
	hash = control->hash;
	unsigned file = below(FILES), kind = below(20);
	const char *what = kind == 0 ? by_name(file) : kind < 10 && mapped ? by_map(file) : by_call(file);
	control->hash = hash;
	if (each)
		printf("turns: %u node %u file %u %s %016llx\n", turn, node(), file, what, (unsigned long long)hash);
}

int main(int count, char **words)
{
	if (count < 4)
		return fprintf(stderr, "usage: turns DIRECTORY|shm SEED TURNS [unmapped] [each]\n"), 2;
	const char *shared = getenv("BUSLOCK_SHM");
	snprintf(directory, sizeof directory, "%s", shared ? shared : strcmp(words[1], "shm") ? words[1] : "/shm");
	unsigned seed = number_from(words[2], 1), turns = number_from(words[3], 100);
	for (int i = 4; i < count; i++) {
		mapped &= strcmp(words[i], "unmapped") != 0;
		each |= strcmp(words[i], "each") == 0;
	}
	control = share("turns.control", PAGE);
	for (unsigned file = 0; file < FILES; file++)
		open_file(file, 0);
	meet(&control->meeting, nodes());
	uint32_t turn;
	while ((turn = __atomic_load_n(&control->turn, __ATOMIC_SEQ_CST)) < turns) {
		/* Several turns in a row are one process's now and then. */
		unsigned drawn = ((turn / (1 + seed % 3)) * 2654435761u + seed * 40503u) >> 16;
		if (drawn % nodes() + 1 != node()) {
			syscall(SYS_futex, &control->turn, FUTEX_WAIT, turn, 0, 0, 0);
			continue;
		}
		take_turn(turn, seed);
		__atomic_store_n(&control->turn, turn + 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &control->turn, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	}
	meet(&control->meeting, nodes());
	if (node() == 1)
		printf("turns: %u turns %016llx\n", turns, (unsigned long long)control->hash);
	return 0;
}
