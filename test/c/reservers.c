/* Several ranges of a file at once, all or none (RESERVE of process/lock-calls.ts), between processes of three machines. On Buslock alone.
 *
 *   reservers N   process 2 has the second of two ranges. N times each, process 1 asks for both without waiting, and process 3 for the
 *                 first without waiting, which nobody ever has. Then process 2 lets go, and process 1 has both.
 */
#include "cluster.h"
#include <sys/ioctl.h>
#include <time.h>

enum { FIRST = 100, SECOND = 200, LENGTH = 8 };
struct shared {
	struct meeting meeting;
	uint32_t refused, got;
	int both, one, other, again;
};
static struct shared *shared;
static int fd;

static int range(int type, long start)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = start ? LENGTH : 0 };
	return fcntl(fd, F_OFD_SETLK, &l) == 0 ? 0 : errno;
}

static int reserve(long first, long second)
{
	struct flock both[2] = {
		{ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = LENGTH },
		{ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = second, .l_len = LENGTH },
	};
	struct { uint32_t count, wait; uint64_t ranges; } all = { 2, 0, (uint64_t)(uintptr_t)both };
	return ioctl(fd, 0x40104201, &all) == 0 ? 0 : errno;
}

int main(int argc, char **argv)
{
	unsigned n = number_from(argc > 1 ? argv[1] : "", 20);
	struct timespec moment = { 0, 20 * 1000 };
	shared = share("reservers", sizeof *shared);
	if ((fd = open("/shm/reservers.file", O_RDWR | O_CREAT, 0600)) < 0)
		fail("reservers.file");
	if (node() == 2 && range(F_WRLCK, SECOND))
		fail("the second range");
	meet(&shared->meeting, nodes());
	for (unsigned i = 0; i < n && node() != 2; i++) {
		if (node() == 1)
			shared->refused += reserve(FIRST, SECOND) == EAGAIN;
		else if (range(F_WRLCK, FIRST) == 0) {
			shared->got++;
			range(F_UNLCK, FIRST);
		}
		nanosleep(&moment, 0);
	}
	meet(&shared->meeting, nodes());
	if (node() == 2)
		range(F_UNLCK, 0);
	meet(&shared->meeting, nodes());
	if (node() == 1)
		shared->both = reserve(SECOND, FIRST);
	meet(&shared->meeting, nodes());
	if (node() == 3) {
		shared->one = range(F_WRLCK, FIRST);
		shared->other = range(F_WRLCK, SECOND);
	}
	meet(&shared->meeting, nodes());
	if (node() == 1)
		range(F_UNLCK, 0);
	meet(&shared->meeting, nodes());
	if (node() == 3)
		shared->again = reserve(FIRST, SECOND);
	meet(&shared->meeting, nodes());
	if (node() == 1)
		printf("reservers: both refused %u, the first had %u; then both %s, to another %s and %s, then both %s\n",
		       shared->refused, shared->got, strerror(shared->both), strerror(shared->one), strerror(shared->other),
		       strerror(shared->again));
	return 0;
}
