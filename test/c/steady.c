/* Goes on whatever happens to the cluster: adds to a word that all machines map, for a while, and says so at every change:
 *
 *   steady: K together V     an addition returned V, after one that failed (or the first one)
 *   steady: K on V           the same, some time later
 *   steady: K apart SIGNAL   an addition ended with that signal, or the file could not be opened (0)
 *
 * Private work goes on meanwhile: at the end it says how many rounds it made. Usage: steady [MILLISECONDS] [FILE] */
#include "cluster.h"
#include "losses.h"

#define SAY_EVERY 5000000L /* nanoseconds */

static uint64_t *open_word(const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "/shm/%s", name);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return 0;
	uint64_t *at = 0;
	if (ftruncate(fd, 4096) == 0)
		at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? 0 : at;
}

int main(int argc, char **argv)
{
	long end = now() + number_from(argc > 1 ? argv[1] : 0, 1000) * 1000000L;
	const char *name = argc > 2 ? argv[2] : "steady";
	losses_strike();
	setvbuf(stdout, 0, _IOLBF, 0);
	static uint64_t *volatile word;
	static volatile int together;
	static volatile long said, rounds;
	while (now() < end) {
		int signal = sigsetjmp(before, 1);
		if (signal == 0 && !word)
			word = open_word(name);
		if (signal != 0 || !word) {
			if (together || said == 0)
				printf("steady: %u apart %d\n", node(), signal);
			together = 0;
			said = now();
			if (signal != 0 && word) {
				munmap(word, 4096);
				word = 0;
			}
			/* Work of its own, which no other machine is needed for. */
			usleep(1000);
			rounds++;
			continue;
		}
		uint64_t value = __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		if (!together)
			printf("steady: %u together %lu\n", node(), value);
		else if (now() - said > SAY_EVERY)
			printf("steady: %u on %lu\n", node(), value);
		if (!together || now() - said > SAY_EVERY)
			said = now();
		together = 1;
		usleep(200);
		rounds++;
	}
	printf("steady: %u rounds %ld\n", node(), rounds);
	return 0;
}
