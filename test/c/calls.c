/* One thread asks for the same thing many times, for others to count what that costs.
 *
 *   calls close|gettid|lock|wake|create|write COUNT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *kind;
static unsigned long count;

static void *nothing(void *argument)
{
	return argument;
}

/* 16 pages, filled anew each time. */
static void write_much(void)
{
	static char much[65536] __attribute__((aligned(4096)));
	static char value;
	static int fd = -1;
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY);
	memset(much, ++value, sizeof much);
	if (write(fd, much, sizeof much) != sizeof much)
		abort();
}

static void once(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static uint32_t word;
	pthread_t thread;
	if (!strcmp(kind, "close"))
		close(-1);
	else if (!strcmp(kind, "gettid"))
		syscall(SYS_gettid);
	else if (!strcmp(kind, "wake"))
		syscall(SYS_futex, &word, 1 | 128, 1, 0, 0, 0);
	else if (!strcmp(kind, "write"))
		write_much();
	else if (!strcmp(kind, "create")) {
		if (!pthread_create(&thread, 0, nothing, 0))
			pthread_join(thread, 0);
	} else {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

static void *body(void *argument)
{
	for (unsigned long i = 0; i < count; i++)
		once();
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	kind = argc > 1 ? argv[1] : "close";
	count = argc > 2 ? (unsigned long)atol(argv[2]) : 1;
	pthread_create(&thread, 0, body, 0);
	pthread_join(thread, 0);
	printf("calls: %s %lu\n", kind, count);
	return 0;
}
