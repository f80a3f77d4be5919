/* A file that nearly fills the memory of the machines that have it. HOW they have it:
 *   alone  machine WRITER writes all pages
 *   turns  every machine but HOME writes each so manieth page, beginning with its own
 *   copies machine WRITER writes all pages, then all others but HOME read them
 * AT ms after the meeting every machine looks at the pages that it has written or read, and says how many hold something else than was
 * written, and how often it was told of a loss; MILLISECONDS after it they end. Machine GONE (0: none) ends when it has written, and the
 * others look at all pages. Machine HOME has PRIVATE pages of its own until it looks.
 *
 *   full: written     full: told of a loss     full: wrong W told T     full: out of reach
 *
 * Usage: full HOW FILE PAGES HOME WRITER GONE AT MILLISECONDS [PRIVATE] */
#include "cluster.h"
#include "losses.h"

enum { TOO_OFTEN = 100 };

int main(int argc, char **argv)
{
	if (argc < 9)
		fail("full HOW FILE PAGES HOME WRITER GONE AT MILLISECONDS [PRIVATE]");
	int turns = !strcmp(argv[1], "turns"), copies = !strcmp(argv[1], "copies");
	unsigned pages = number_from(argv[3], 0), home = number_from(argv[4], 0);
	unsigned writer = number_from(argv[5], 0), gone = number_from(argv[6], 0);
	struct meeting *meeting = share("full.meeting", 4096);
	static volatile unsigned told, said, wrong, page, first, step;
	static volatile uint64_t *at;
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	at = share(argv[2], pages * 4096ul);
	size_t private = node() == home ? number_from(argv[9], 0) * 4096ul : 0;
	char *own = private ? mmap(0, private, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : 0;
	for (size_t byte = 0; byte < private; byte += 4096)
		own[byte] = 1;
	meet(meeting, nodes());
	long met = now();
	int mine = turns ? node() != home : node() == writer;
	first = turns ? node() - 1 - (node() > home) : 0;
	step = turns ? nodes() - 1 : 1;
	if (mine) {
		for (unsigned i = first; i < pages; i += step)
			at[i * 512] = 1000 + i;
		printf("full: written\n");
	}
	meet(meeting, nodes());
	if (gone && node() == gone)
		return 0;
	if (copies && node() != writer && node() != home) {
		for (page = 0; page < pages; page++) {
			if (sigsetjmp(before, 1))
				told++;
			wrong += at[page * 512] != 1000 + page;
		}
		mine = 1;
	}
	until(met + number_from(argv[7], 0) * 1000000L);
	if (private)
		munmap(own, private);
	if (gone)
		mine = 1, first = 0, step = 1;
	if (mine) {
		for (page = first; page < pages; page += step) {
			if (sigsetjmp(before, 1) && ++told == TOO_OFTEN)
				break;
			if (told == 1 && !said++)
				printf("full: told of a loss\n");
			wrong += at[page * 512] != 1000 + page;
		}
		if (told == TOO_OFTEN)
			printf("full: out of reach\n");
		else
			printf("full: wrong %u told %u\n", wrong, told);
	}
	until(met + number_from(argv[8], 0) * 1000000L);
	return 0;
}
