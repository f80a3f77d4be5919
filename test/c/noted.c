/* Machine 1 has copies of pages, and unmaps more pages that it has written than can be noted one by one; machine 2, which has older bytes
 * of these, reads what was written, and writes to those that machine 1 has copies of, which reads them. Usage: noted [ROUNDS] */
#include "cluster.h"

#define PAGE 4096u
#define COPIES 8
#define WRITTEN 300

static struct control {
	struct meeting meeting;
	uint32_t wrong;
} *control;

int main(int count, char **words)
{
	unsigned rounds = number_from(count > 1 ? words[1] : 0, 4);
	control = share("noted.control", PAGE);
	volatile uint64_t *copies = share("noted.copies", COPIES * PAGE);
	for (unsigned round = 1; round <= rounds; round++) {
		for (unsigned i = 0; node() == 2 && i < COPIES; i++)
			copies[i * PAGE / 8] = round * 2;
		meet(&control->meeting, nodes());
		for (unsigned i = 0; i < COPIES; i++)
			if (copies[i * PAGE / 8] != round * 2)
				control->wrong++;
		volatile char *written = share("noted.written", WRITTEN * PAGE);
		for (unsigned i = 0; node() == 1 && i < WRITTEN; i++)
			written[i * PAGE] = (char)round;
		/* In every other round long enough for records to merge. */
		if (round % 2)
			usleep(60000);
		meet(&control->meeting, nodes());
		if (node() == 1)
			munmap((void *)written, WRITTEN * PAGE);
		meet(&control->meeting, nodes());
		for (unsigned i = 0; node() == 2 && i < WRITTEN; i++)
			if (written[i * PAGE] != (char)round)
				control->wrong++;
		meet(&control->meeting, nodes());
		if (node() != 1)
			munmap((void *)written, WRITTEN * PAGE);
		for (unsigned i = 0; node() == 2 && i < COPIES; i++)
			copies[i * PAGE / 8] = round * 2 + 1;
		meet(&control->meeting, nodes());
		for (unsigned i = 0; i < COPIES; i++)
			if (copies[i * PAGE / 8] != round * 2 + 1)
				control->wrong++;
		meet(&control->meeting, nodes());
	}
	if (node() == 1)
		printf("noted: wrong %u\n", control->wrong);
	return control->wrong != 0;
}
