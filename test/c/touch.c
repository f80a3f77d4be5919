/* A home that goes on writing while others ask it for pages. Machine WRITER writes to one page of FILE after the other, which nobody has
 * touched before, until it is stopped; the others read pages of OTHER, one after the other, until one is lost or MILLISECONDS have
 * passed. Machine 1 looks at the first pages of FILE then: how many are lost (the first of them, by one word for the file), and how many zeros.
 *
 *   touch: L lost, Z zeros, V written
 *
 * Usage: touch WRITER MILLISECONDS FILE OTHER */
#include "cluster.h"
#include "losses.h"

enum { PAGES = 4096, LOOKS = 8 };

int main(int argc, char **argv)
{
	if (argc < 5)
		fail("touch WRITER MILLISECONDS FILE OTHER");
	losses_strike();
	long end = now() + number_from(argv[2], 0) * 1000000L;
	volatile uint64_t *at = share(argv[3], PAGES * 4096), *other = share(argv[4], PAGES * 4096);
	if (node() == number_from(argv[1], 0)) {
		for (unsigned page = 0;; page++) {
			if (page < PAGES)
				at[page * 512] = 7;
			for (volatile int i = 0; i < 500; i++)
				;
		}
	}
	static volatile unsigned page, lost, zeros, sum;
	if (!sigsetjmp(before, 1))
		for (page = node(); page < PAGES && now() < end; page += nodes())
			sum += other[page * 512];
	until(end);
	if (node() != 1)
		return 0;
	for (page = 0; page < LOOKS; page++)
		if (sigsetjmp(before, 1))
			lost++;
		else if (at[page * 512] == 0)
			zeros++;
	printf("touch: %u lost, %u zeros, %u written\n", lost, zeros, LOOKS - lost - zeros);
	return 0;
}
