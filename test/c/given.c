/* Machine 1 writes to a page that the others have copies of, unmaps more written pages than can be noted one by one, that one last, and is
 * switched off. LATER milliseconds after that the others read the page: it says 2. Usage: given FILE LATER */
#include "cluster.h"

#define PAGE 4096u
#define WRITTEN 300

int main(int count, char **words)
{
	if (count < 3)
		fail("given FILE LATER");
	struct meeting *meeting = share("given.control", PAGE);
	char *written = share("given.written", WRITTEN * PAGE);
	volatile uint64_t *page = share(words[1], PAGE);
	setvbuf(stdout, 0, _IOLBF, 0);
	if (node() == 2)
		*page = 1;
	meet(meeting, nodes());
	if (*page != 1)
		fail("the page as machine 2 wrote it");
	meet(meeting, nodes());
	if (node() == 1) {
		*page = 2;
		for (unsigned i = 0; i < WRITTEN; i++)
			written[i * PAGE] = 1;
		munmap(written, WRITTEN * PAGE);
		munmap((void *)page, PAGE);
		printf("given: unmapped\n");
		for (;;)
			pause();
	}
	usleep(number_from(words[2], 0) * 1000);
	printf("given: %lu\n", *page);
	return 0;
}
