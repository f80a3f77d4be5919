/* Numbers of bytes that are lost with a machine, and come back with it. With HOW `kept` machine HOME has written all pages of a file before; with
 * `fresh` nobody has. Machine AWAY writes them all, once, and reads page 0 until it is told that it is out of reach. AT ms after the meeting machine
 * 1 writes each page once more, as soon as it is not told of a loss any more. AWAY opens the file again until it can, 600 ms after the meeting
 * at the earliest, and reads all pages: what machine 1 has written is there, not what was lost.
 *
 *   eras: told T
 *   eras: PAGES pages, O old, W wrong
 *
 * Usage: eras HOW HOME AWAY FILE PAGES AT MILLISECONDS */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 8)
		fail("eras HOW HOME AWAY FILE PAGES AT MILLISECONDS");
	unsigned home = number_from(argv[2], 0), away = number_from(argv[3], 0), pages = number_from(argv[5], 0);
	const char *file = argv[4];
	size_t bytes = pages * 4096ul;
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	struct meeting *meeting = share("eras.meeting", 4096);
	static volatile uint64_t *at, sum;
	static volatile unsigned told, i;
	static volatile long met;
	at = map_at_last(file, bytes);
	if (!strcmp(argv[1], "kept") && node() == home)
		for (i = 0; i < pages; i++)
			at[i * 512] = 1 + i;
	meet(meeting, nodes());
	met = now();
	if (node() == away) {
		until(met + 20000000L);
		for (i = 0; i < pages; i++)
			at[i * 512] = 1000 + i;
		if (sigsetjmp(before, 1) == 0)
			for (;;) {
				sum += at[0];
				usleep(1000);
			}
		munmap((void *)at, bytes);
		at = map_at_last(file, bytes);
		until(met + 600000000L);
		unsigned old = 0, wrong = 0;
		for (i = 0; i < pages; i++) {
			old += at[i * 512] == 1000 + i;
			wrong += at[i * 512] != 3000 + i;
		}
		printf("eras: %u pages, %u old, %u wrong\n", pages, old, wrong);
	}
	if (node() == 1) {
		until(met + number_from(argv[6], 0) * 1000000L);
		for (i = 0; i < pages; i++) {
			while (sigsetjmp(before, 1))
				told++;
			at[i * 512] = 3000 + i;
		}
		printf("eras: told %u\n", told);
	}
	until(met + number_from(argv[7], 0) * 1000000L);
	return 0;
}
