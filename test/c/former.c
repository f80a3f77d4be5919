/* What a machine had of a file that was left out and comes back, and becomes the file's home. Machine AWAY writes all pages of it, which the others
 * map, and reads page 0 again and again until it is told that it is out of reach. 200 ms after the meeting machine 1 writes to page 0, as
 * often as it is told of the loss. AWAY opens the file again until it can, reads page 0, and 600 ms after the meeting, when machine 1
 * is gone, all pages: what was reported lost is not there any more.
 *
 *   former: told T
 *   former: PAGES pages, O old
 *
 * Usage: former AWAY FILE PAGES MILLISECONDS */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 5)
		fail("former AWAY FILE PAGES MILLISECONDS");
	unsigned away = number_from(argv[1], 0), pages = number_from(argv[3], 0);
	const char *file = argv[2];
	size_t bytes = pages * 4096ul;
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	struct meeting *meeting = share("former.meeting", 4096);
	static volatile uint64_t *at, sum;
	static volatile unsigned told;
	static volatile long met;
	at = map_at_last(file, bytes);
	meet(meeting, nodes());
	met = now();
	if (node() == 1) {
		until(met + 200000000L);
		if (sigsetjmp(before, 1))
			told++;
		at[0] = 7;
		printf("former: told %u\n", told);
	}
	if (node() == away) {
		for (unsigned i = 0; i < pages; i++)
			at[i * 512] = 1000 + i;
		if (sigsetjmp(before, 1) == 0)
			for (;;) {
				sum += at[0];
				usleep(1000);
			}
		munmap((void *)at, bytes);
		at = map_at_last(file, bytes);
		sum += at[0];
		until(met + 600000000L);
		unsigned old = 0;
		for (unsigned i = 0; i < pages; i++)
			old += at[i * 512] == 1000 + i;
		printf("former: %u pages, %u old\n", pages, old);
	}
	until(met + number_from(argv[4], 0) * 1000000L);
	return 0;
}
