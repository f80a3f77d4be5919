/* Machines whose records of coherence are few give up what they were granted by ranges, while pages are in use or on their way.
 *   own     each machine adds to the first page of one file after the other, the first of them its home
 *   asked   machine 2 comes to a file as it grows, and to others at the same time; then both machines write to each page of it
 * It counts what is not as it should be. Usage: shed own|asked FILES PREFIX */
#include "cluster.h"

#define PAGE 4096u
#define FILES_MAX 400

static unsigned files;
static char *at[FILES_MAX];
static struct control {
	struct meeting meeting;
	volatile uint32_t size, used; /* in pages */
} *control;

static void open_file(const char *prefix, unsigned i, size_t pages)
{
	char name[32];
	snprintf(name, sizeof name, "%s%u", prefix, i);
	at[i] = share(name, pages * PAGE);
}

static unsigned own(const char *prefix)
{
	unsigned wrong = 0;
	for (unsigned i = 0; i < files; i++)
		open_file(prefix, i, 4);
	for (unsigned turn = 0; turn < 3; turn++)
		for (unsigned machine = 1; machine <= nodes(); machine++) {
			meet(&control->meeting, nodes());
			for (unsigned i = 0; machine == node() && i < files; i++)
				++*(volatile uint32_t *)at[i];
		}
	meet(&control->meeting, nodes());
	for (unsigned i = 0; i < files; i++)
		wrong += *(volatile uint32_t *)at[i] != 3 * nodes();
	return wrong;
}

static const char *others;
static volatile uint32_t ready, asking;
static void *open_others(void *unused)
{
	char path[32];
	(void)unused;
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof path, "/tmp/%u", i);
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, 4 * files * PAGE) < 0)
			fail(path);
		at[i] = mmap(0, 4 * files * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ready = i + 1;
		while (asking <= i)
			;
		for (volatile unsigned wait = 0; wait < i % 16 * 1000; wait++)
			; /* a part of a message's way */
		*(volatile uint32_t *)at[i] = 1;
	}
	return 0;
}

/* Machine 2 comes to the first of two new pages of the file each time that it comes to one of the other files as well. */
static unsigned asked(const char *prefix)
{
	char path[64];
	snprintf(path, sizeof path, "/shm/%s", prefix);
	share(prefix, 2 * PAGE);
	int fd = open(path, O_RDWR);
	volatile char *file = mmap(0, files * 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_t thread;
	others = prefix;
	meet(&control->meeting, nodes());
	if (node() == 2)
		pthread_create(&thread, 0, open_others, 0);
	for (unsigned i = 0; i < files; i++)
		if (node() == 2) {
			while (ready <= i)
				;
			asking = i + 1;
			file[i * 2 * PAGE] = 1;
			control->used = i + 1;
			while (control->size <= i + 1)
				usleep(50);
		} else {
			while (control->used <= i)
				usleep(50);
			if (ftruncate(fd, (i + 2) * 2 * PAGE) < 0)
				fail("ftruncate");
			control->size = i + 2;
		}
	if (node() == 2)
		pthread_join(thread, 0);
	meet(&control->meeting, nodes());
	for (unsigned i = 0; i < files * 2; i++)
		file[i * PAGE + node()] = 1;
	meet(&control->meeting, nodes());
	unsigned wrong = 0;
	for (unsigned i = 0; i < files * 2; i++)
		for (unsigned machine = 1; machine <= nodes(); machine++)
			wrong += file[i * PAGE + machine] != 1;
	return wrong;
}

int main(int count, char **words)
{
	if (count < 4)
		fail("shed own|asked FILES PREFIX");
	files = number_from(words[2], 0);
	control = share("shed.control", PAGE);
	unsigned wrong = 0;
	if (!strcmp(words[1], "own"))
		wrong = own(words[3]);
	else
		wrong = asked(words[3]);
	meet(&control->meeting, nodes());
	printf("shed: wrong %u\n", wrong);
	return wrong != 0;
}
