/* A random walk through mmap, munmap, mprotect, madvise and mremap on 64 pages at a fixed place, with a look at random
 * bytes after each step: what is there, or which fault. All of it goes into a hash, which must be the same on every
 * kernel that means the same. Usage: mapping [SEED] [STEPS] [shared]: with it, files are mapped shared, and are of /shm */
#include "cluster.h"
#include "random.h"
#include <setjmp.h>
#include <signal.h>

#define PAGE 4096ul
#define PAGES 64
#define REGION ((char *)0x20000000)
#define FILE_PAGES 24


static sigjmp_buf back;
static volatile uint64_t fault;
static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	fault = (uint64_t)number << 56 | (uint64_t)info->si_code << 48 | (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

static uint64_t look(volatile unsigned char *at, int write)
{
	fault = 0;
	if (sigsetjmp(back, 0))
		return fault;
	if (write)
		*at = (unsigned char)write;
	return *at;
}

/* What the call returned, with the error in place of -1. */
static void result(long value) { note(value == -1 ? (uint64_t)-errno : (uint64_t)value); }

static int sharing = MAP_PRIVATE;

/* A shared file with something in every page. */
static int shared_file(void)
{
	unsigned char *at = share("c-mapping", FILE_PAGES * PAGE);
	char path[256];
	for (unsigned i = 0; i < FILE_PAGES * PAGE; i += 37)
		at[i] = (unsigned char)i;
	munmap(at, FILE_PAGES * PAGE);
	snprintf(path, sizeof path, "%s/c-mapping", getenv("BUSLOCK_SHM") ? getenv("BUSLOCK_SHM") : "/shm");
	sharing = MAP_SHARED;
	return open(path, O_RDWR);
}

static void step(int file)
{
	unsigned first = below(PAGES), count = 1 + below(below(8) ? 8 : PAGES);
	if (count > PAGES - first)
		count = PAGES - first;
	char *at = REGION + first * PAGE;
	int protection = (int[]){PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE}[below(4)];
	switch (below(8)) {
	case 0:
	case 1:
		result((long)mmap(at, count * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		break;
	case 2:
		result((long)mmap(at, count * PAGE, protection, sharing | MAP_FIXED, file,
				  below(FILE_PAGES) * PAGE));
		break;
	case 3:
		result(munmap(at, count * PAGE));
		break;
	case 4:
	case 5:
		result(mprotect(at, count * PAGE, protection));
		break;
	case 6:
		result(madvise(at, count * PAGE, MADV_DONTNEED));
		break;
	case 7: {
		/* On memory of its own, so that no neighbour decides whether it is one mapping or two. */
		unsigned wanted = 1 + below(12);
		mmap(at, count * PAGE, PROT_READ | PROT_WRITE, sharing | MAP_FIXED, file, 0);
		look((volatile unsigned char *)at, 77);
		if (wanted > count && first + wanted <= PAGES && below(2))
			munmap(at + count * PAGE, (wanted - count) * PAGE);
		result((long)mremap(at, count * PAGE, wanted * PAGE, 0));
		break;
	}
	}
}

int main(int argc, char **argv)
{
	unsigned steps = number_from(argc > 2 ? argv[2] : 0, 2000);
	state = number_from(argc > 1 ? argv[1] : 0, 1);
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	int file = argc > 3 ? shared_file() : open(argv[0], O_RDONLY);
	if (file < 0)
		fail(argv[0]);
	for (unsigned i = 0; i < steps; i++) {
		step(file);
		for (int j = 0; j < 6; j++) {
			volatile unsigned char *at = (unsigned char *)REGION + below(PAGES * PAGE);
			note(look(at, below(2) ? 1 + (int)below(255) : 0));
		}
		if (i % (steps / 4) == steps / 4 - 1)
			printf("mapping: step %u hash %016lx\n", i + 1, hash);
	}
	return 0;
}
