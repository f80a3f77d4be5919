/* A page that two machines write, one after the other, and that rests then. Machine 1 writes 1 to it, machine 2, 10 ms after the
 * meeting, 2; LATER milliseconds after the meeting the others say what they find.
 *
 *   rested: K finds V      rested: K lost
 *
 * Usage: rested LATER FILE */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		fail("rested LATER FILE");
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	volatile uint64_t *page = share(argv[2], 4096);
	struct meeting *meeting = share("rested.meeting", 4096);
	if (node() == 1)
		*page = 1;
	meet(meeting, nodes());
	long met = now();
	if (node() == 2) {
		until(met + 10000000L);
		*page = 2;
	}
	until(met + number_from(argv[1], 0) * 1000000L);
	if (sigsetjmp(before, 1))
		printf("rested: %u lost\n", node());
	else if (node() != 2)
		printf("rested: %u finds %lu\n", node(), (unsigned long)*page);
	until(met + (number_from(argv[1], 0) + 30) * 1000000L);
	return 0;
}
