/* What a user saw of a machine that dies. Machine WRITER counts: the number goes into page 1, into page 0, and to its console. The
 * others wait for MILLISECONDS and say what they find in page 0 and page 1: nothing less than the last number that was printed.
 *
 *   shown: K wrote N
 *   shown: K finds A B        or: shown: K lost
 *
 * Usage: shown WRITER MILLISECONDS FILE */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf before;

static void struck(int signal) { siglongjmp(before, signal); }

int main(int argc, char **argv)
{
	if (argc < 4)
		fail("shown WRITER MILLISECONDS FILE");
	struct sigaction action = {.sa_handler = struck, .sa_flags = SA_NODEFER};
	sigaction(SIGBUS, &action, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	volatile uint64_t *pages = share(argv[3], 2 * 4096);
	if (node() == number_from(argv[1], 0))
		for (uint64_t n = 1;; n++) {
			pages[512] = n;
			pages[0] = n;
			printf("shown: %u wrote %lu\n", node(), n);
			for (volatile int i = 0; i < 300; i++)
				;
		}
	usleep(number_from(argv[2], 0) * 1000);
	if (sigsetjmp(before, 1)) {
		printf("shown: %u lost\n", node());
		return 1;
	}
	uint64_t first = pages[0], second = pages[512];
	printf("shown: %u finds %lu %lu\n", node(), first, second);
	return 0;
}
