/* Mirrored machines that are short of memory. Machine WRITER writes PAGES pages, one after the other, counts them in a page before these, and
 * says after each STEP of them how far it is. A machine of the mask HOGS (bit K: machine K) has OWN pages of its own. The others look at the
 * count for MILLISECONDS, give back what they have of their own, and look at all pages.
 *
 *   crowded: K wrote N                what was said is elsewhere as well
 *   crowded: K finds N saw S          the first N pages hold what was written, the next does not, or is lost; the count was S at most
 *   crowded: K saw S after T          it went back
 *
 * Usage: crowded WRITER PAGES STEP FILE MILLISECONDS [HOGS OWN] */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 6)
		fail("crowded WRITER PAGES STEP FILE MILLISECONDS [HOGS OWN]");
	unsigned writer = number_from(argv[1], 0), pages = number_from(argv[2], 0), step = number_from(argv[3], 0);
	long begun = now();
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	static volatile uint64_t *at, seen, last;
	static volatile unsigned found;
	at = share(argv[4], (pages + 1) * 4096ul);
	seen = at[0];
	size_t own = number_from(argv[6], 0) >> node() & 1 ? number_from(argv[7], 0) * 4096ul : 0;
	char *mine = own ? mmap(0, own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : 0;
	if (own) {
		for (size_t byte = 0; byte < own; byte += 4096)
			mine[byte] = 1;
		printf("crowded: %u is full\n", node());
	}
	if (node() == writer) {
		until(begun + 20 * 1000000L);
		for (unsigned i = 1; i <= pages; i++) {
			at[i * 512] = 1000 + i;
			at[0] = i;
			if (i % step == 0 && printf("crowded: %u wrote %u\n", node(), i) < 0)
				break;
		}
		for (;;)
			pause();
	}
	while (now() < begun + number_from(argv[5], 0) * 1000000L) {
		if (sigsetjmp(before, 1))
			break;
		last = at[0];
		if (last < seen)
			printf("crowded: %u saw %lu after %lu\n", node(), last, seen);
		seen = last > seen ? last : seen;
		usleep(300);
	}
	if (own)
		munmap(mine, own);
	if (!sigsetjmp(before, 1))
		for (found = 0; found < pages && at[(found + 1) * 512] == 1001 + found; found++)
			;
	printf("crowded: %u finds %u saw %lu\n", node(), found, seen);
	return 0;
}
