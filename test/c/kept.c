/* What of a dead machine's data lives on: machine 3 writes 8 pages of a file, machine 1 reads all but the last two of them, and says so.
 * LATER milliseconds after the start machine 2 looks at all pages, machine 1 a while after it, and says of each
 *
 *   kept: page P holds V      or      kept: page P is lost
 *
 * Usage: kept LATER FILE */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

#define PAGES 8
#define READ 6
#define WORDS 512

static sigjmp_buf before;
static volatile uint64_t *pages;
static volatile uint64_t *flag;

static void struck(int signal) { siglongjmp(before, signal); }

static void look(void)
{
	static volatile unsigned page;
	for (page = 0; page < PAGES; page++) {
		if (sigsetjmp(before, 1))
			printf("kept: page %u is lost\n", page);
		else
			printf("kept: page %u holds %lu\n", page, pages[page * WORDS]);
	}
}

int main(int argc, char **argv)
{
	unsigned later = number_from(argc > 1 ? argv[1] : 0, 100);
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	pages = share(argc > 2 ? argv[2] : "kept", PAGES * 4096);
	flag = share("kept.flag", 4096);
	if (node() == 3) {
		for (unsigned page = 0; page < PAGES; page++)
			pages[page * WORDS] = 100 + page;
		*flag = 1;
		while (1)
			usleep(1000);
	}
	if (node() == 1) {
		while (*flag == 0)
			usleep(1000);
		uint64_t sum = 0;
		for (unsigned page = 0; page < READ; page++)
			sum += pages[page * WORDS];
		printf("kept: read %lu\n", sum);
	}
	usleep((node() == 1 ? later + 50 : later) * 1000);
	look();
	return 0;
}
