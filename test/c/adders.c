/* Every machine adds to its words of one page, as fast as it can, for MILLISECONDS; machines may die meanwhile. A page that is reported lost
 * (SIGBUS) goes on from what it is then. At the end each says how often it has added, how often in the last quarter of the time,
 * how often it was told of a loss, and how often a word of its own was less than it had made it, since it was told the last time.
 * Twice a millisecond each says what its word is; and at the end what everybody's is.
 *
 *   adders: K has W
 *   adders: K finds W W ...
 *   adders: K adds N late L lost T back B
 *
 * BYTES is the distance between the words of two machines: all add to one word when it is 0 (then B means less than was seen).
 *
 * Usage: adders MILLISECONDS FILE BYTES */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 4)
		fail("adders MILLISECONDS FILE BYTES");
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	long milliseconds = number_from(argv[1], 0);
	char *page = share(argv[2], 4096);
	struct meeting *meeting = share("adders.meeting", 4096);
	uint64_t *word = (uint64_t *)(page + number_from(argv[3], 0) * (node() - 1));
	meet(meeting, nodes());
	long end = now() + milliseconds * 1000000, late = end - milliseconds * 250000;
	static volatile long next;
	static volatile unsigned long adds, lates, lost, back;
	static volatile uint64_t seen;
	if (sigsetjmp(before, 1)) {
		lost++;
		seen = 0;
	}
	for (;;) {
		long time = now();
		if (time >= end)
			break;
		uint64_t old = __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		if (old < seen)
			back++;
		seen = old + 1;
		adds++;
		if (time > late)
			lates++;
		if (time > next) {
			next = time + 500000;
			printf("adders: %u has %lu\n", node(), old + 1);
		}
	}
	/* What of the others' words is lost is told as well. */
	if (sigsetjmp(before, 1))
		lost++;
	static volatile uint64_t words[64];
	for (unsigned i = 0; i < nodes(); i++)
		words[i] = *(volatile uint64_t *)(page + number_from(argv[3], 0) * i);
	printf("adders: %u finds", node());
	for (unsigned i = 0; i < nodes(); i++)
		printf(" %lu", words[i]);
	printf("\n");
	printf("adders: %u adds %lu late %lu lost %lu back %lu\n", node(), adds, lates, lost, back);
	return 0;
}
