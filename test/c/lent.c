/* Machines add to words of one page, a chunk of 64 bytes to each, as fast as they can; the page's chunks are lent then. After
 * MILLISECONDS nobody touches the page for a time, whatever happens to whom; LATER milliseconds after that machine READER, which had
 * only mapped it, reads all words. Twice a millisecond those that add say what their word is.
 *
 *   lent: K has W
 *   lent: finds W W ...      lent: lost
 *
 * Usage: lent MILLISECONDS LATER READER FILE */
#include "cluster.h"
#include "losses.h"

int main(int argc, char **argv)
{
	if (argc < 5)
		fail("lent MILLISECONDS LATER READER FILE");
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	unsigned reader = number_from(argv[3], 0);
	volatile uint64_t *page = share(argv[4], 4096);
	meet(share("lent.meeting", 4096), nodes());
	long end = now() + number_from(argv[1], 0) * 1000000L;
	static volatile long next;
	if (sigsetjmp(before, 1))
		printf("lent: lost\n");
	while (node() != reader) {
		long time = now();
		if (time >= end)
			break;
		uint64_t word = __atomic_add_fetch(page + 8 * (node() - 1), 1, __ATOMIC_SEQ_CST);
		if (time < next)
			continue;
		next = time + 500000;
		printf("lent: %u has %lu\n", node(), word);
	}
	end += number_from(argv[2], 0) * 1000000L;
	while (now() < end)
		usleep(1000);
	if (node() != reader) /* until the reader has read */
		for (end += 100000000L; now() < end;)
			usleep(1000);
	static volatile uint64_t words[64];
	static volatile unsigned tries;
	if (sigsetjmp(before, 1)) {
		printf("lent: lost\n");
		if (++tries > 3)
			return 1;
	}
	for (unsigned i = 0; i < nodes() && node() == reader; i++)
		words[i] = page[8 * i];
	if (node() != reader)
		return 0;
	printf("lent: finds");
	for (unsigned i = 0; i < nodes(); i++)
		printf(" %lu", words[i]);
	printf("\n");
	return 0;
}
