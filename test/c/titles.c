/* What threads are called (pthread_setname_np(3), PR_SET_NAME): each has its program's name or its maker's, and keeps its own wherever it goes.
 * Prints one line a step. Usage: titles [THREADS], 6 unless told */
#include "cluster.h"
#include <sys/prctl.h>

static pthread_barrier_t met;
static char seen[THREADS_MAX][3][17];

static void title(char *to)
{
	memset(to, '?', 16);
	if (prctl(PR_GET_NAME, to))
		snprintf(to, 17, "%s", strerror(errno));
}

static void *thread(void *argument)
{
	unsigned i = (unsigned)(uintptr_t)argument;
	char own[32];
	title(seen[i][0]);
	snprintf(own, sizeof own, "thread number %u of them", i);
	if (i % 2 == 0)
		prctl(PR_SET_NAME, own);
	pthread_barrier_wait(&met);
	title(seen[i][1]);
	/* To the next node, where there is one. */
	cpu_set_t everywhere, there;
	sched_getaffinity(0, sizeof everywhere, &everywhere);
	for (int cpu = CPU_SETSIZE; cpu-- > 0;) {
		if (!CPU_ISSET(cpu, &everywhere))
			continue;
		CPU_ZERO(&there);
		CPU_SET(cpu, &there);
		sched_setaffinity(0, sizeof there, &there);
		break;
	}
	title(seen[i][2]);
	return 0;
}

int main(int count, char **words)
{
	unsigned threads = number_from(count > 1 ? words[1] : 0, 6);
	pthread_t all[THREADS_MAX];
	char name[17] = {0};
	title(name);
	printf("titles: began as %s\n", name);
	printf("titles: a page that is not there: %s\n", prctl(PR_SET_NAME, 8) ? strerror(errno) : "done");
	printf("titles: nor there: %s\n", prctl(PR_GET_NAME, 8) ? strerror(errno) : "done");
	/* The name ends where the page does. */
	char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + 4096, 4096);
	strcpy(pages + 4092, "end");
	printf("titles: at a page's end: %s\n", prctl(PR_SET_NAME, pages + 4092) ? strerror(errno) : "done");
	title(name);
	printf("titles: is %s\n", name);
	pthread_barrier_init(&met, 0, threads);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&all[i], 0, thread, (void *)(uintptr_t)i))
			fail("pthread_create");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(all[i], 0);
	for (unsigned i = 0; i < threads; i++)
		printf("titles: %u was %s, is %s, elsewhere %s\n", i, seen[i][0], seen[i][1], seen[i][2]);
	title(name);
	printf("titles: still %s\n", name);
	return 0;
}
