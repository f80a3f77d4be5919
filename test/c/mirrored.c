/* What others saw of a machine that dies. Machine WRITER counts: the number goes into page 2, into page 0, into page 1, in this order,
 * until it is stopped. The others read page 1 and then page 0, for MILLISECONDS, and nobody looks at page 2 before the end.
 * Whatever happens, no number goes back, and what was written before a number that was seen is there:
 *
 *   mirrored: K ends, V seen      all was so
 *   mirrored: K WHAT A B          it was not: back, torn (a page that was written before is older), lost (SIGBUS)
 *
 * Usage: mirrored WRITER MILLISECONDS FILE */
#include "cluster.h"
#include "losses.h"

static volatile uint64_t *pages;

static uint64_t at(unsigned page) { return pages[page * 512]; }

int main(int argc, char **argv)
{
	if (argc < 4)
		fail("mirrored WRITER MILLISECONDS FILE");
	long end = now() + number_from(argv[2], 0) * 1000000L;
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	pages = share(argv[3], 3 * 4096);
	if (node() == number_from(argv[1], 0))
		for (uint64_t n = 1;; n++) {
			pages[1024] = n;
			pages[0] = n;
			pages[512] = n;
			for (volatile int i = 0; i < 300; i++)
				;
		}
	static volatile uint64_t seen, first, second;
	while (now() < end) {
		if (sigsetjmp(before, 1)) {
			printf("mirrored: %u lost 0 0\n", node());
			return 1;
		}
		first = at(1);
		second = at(0);
		if (first < seen)
			printf("mirrored: %u back %lu %lu\n", node(), first, seen);
		if (second < first)
			printf("mirrored: %u torn %lu %lu\n", node(), second, first);
		seen = first;
		usleep(150);
	}
	if (sigsetjmp(before, 1)) {
		printf("mirrored: %u lost 2 0\n", node());
		return 1;
	}
	if (at(2) < seen)
		printf("mirrored: %u torn %lu %lu\n", node(), at(2), seen);
	printf("mirrored: %u ends, %lu seen\n", node(), seen);
	return 0;
}
