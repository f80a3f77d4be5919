/* A machine that may keep one record, and dies while its page's home takes another one from it. Machine 2 writes to a page of FIRST and, 5 ms
 * later, to one of SECOND, so that the first is offered to its home. LATER milliseconds after the meeting machine 1 reads both.
 *
 *   offered: writes, then    offered: written
 *   offered: FIRST V, told T      and the same of SECOND
 *
 * Usage: offered LATER FIRST SECOND */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 4)
		fail("offered LATER FIRST SECOND");
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	static volatile uint64_t *pages[2];
	static volatile unsigned page, told;
	for (unsigned i = 0; i < 2; i++)
		pages[i] = share(argv[2 + i], 4096);
	meet(share("offered.meeting", 4096), nodes());
	long met = now();
	if (node() == 2) {
		until(met + 15000000L);
		*pages[0] = 1;
		until(met + 20000000L);
		printf("offered: writes\n");
		*pages[1] = 1;
		printf("offered: written\n");
	}
	until(met + number_from(argv[1], 0) * 1000000L);
	if (node() != 1)
		return 0;
	for (page = 0; page < 2; page++) {
		told = 0;
		if (sigsetjmp(before, 1))
			told++;
		unsigned long value = *pages[page];
		printf("offered: %s %lu, told %u\n", argv[2 + page], value, told);
	}
	return 0;
}
