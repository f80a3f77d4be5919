/* A page that goes to a writer who guesses its owner. Each of 1, 2 and 3 counts in a word of its own of one page: 2 writes, then 1, so that
 * 1 is who has taken the page from 2; then, SHIFT microseconds later than it could be, 2 again, 3 after LATER, and 1 after BACK (0: not at all). The file's home is 4. At
 * LOOK ms after the meeting those who are still there look, until MILLISECONDS.
 *
 *   guessed: K wrote N            when the store is done
 *   guessed: K finds A B C, told T     the words; how often K was told of a loss
 *
 * Machine K is the Kth of ROLES.
 *
 * If ENDS is not 0, 2 ends so many milliseconds after it is told that it cannot have the page that it has guessed.
 *
 * Usage: guessed FILE MEETING SHIFT LATER BACK LOOK MILLISECONDS ROLES [ENDS] */
#include "cluster.h"
#include "losses.h"

static volatile uint64_t *words;
static volatile unsigned told, wrote;
static unsigned role, ends;

static void at(long when)
{
	while (now() < when)
		;
}

static void count(void)
{
	unsigned next = wrote + 1;
	while (sigsetjmp(before, 1)) {
		told++;
		if (ends && role == 2) {
			usleep(ends * 1000);
			exit(0);
		}
	}
	words[role] = next;
	wrote = next;
	printf("guessed: %u wrote %u\n", role, wrote);
}

int main(int argc, char **argv)
{
	if (argc < 9)
		fail("guessed FILE MEETING SHIFT LATER BACK LOOK MILLISECONDS ROLES [ENDS]");
	role = argv[8][node() - 1] - '0';
	ends = number_from(argv[9], 0);
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	words = share(argv[1], 4096);
	meet(share(argv[2], 4096), nodes());
	static volatile long met;
	met = now();
	long shift = number_from(argv[3], 0) * 1000L;
	long later = number_from(argv[4], 0) * 1000L, back = number_from(argv[5], 0) * 1000L;
	if (role == 2) {
		at(met + 6000000L);
		count();
		at(met + 12000000L + shift);
		count();
	}
	if (role == 1) {
		at(met + 9000000L);
		count();
		at(met + 12000000L + shift + back);
		if (back)
			count();
	}
	if (role == 3) {
		at(met + 12000000L + shift + later);
		count();
	}
	if (role == 4) {
		usleep(number_from(argv[7], 0) * 1000); /* without waking, so that a signal ends it at once */
		return 0;
	}
	until(met + number_from(argv[6], 0) * 1000000L);
	while (sigsetjmp(before, 1))
		told++;
	printf("guessed: %u finds %lu %lu %lu, told %u\n", role, words[1], words[2], words[3], told);
	until(met + number_from(argv[7], 0) * 1000000L);
	return 0;
}
