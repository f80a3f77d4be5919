/* Threads that map, unmap, protect and touch the same 32 pages at the same time, private and shared, with signals in
 * between: nothing to compare, but the kernel has to live and to get everything back. Usage: chaos [SEED] [STEPS] */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

#define PAGE 4096ul
#define PAGES 32
#define REGION ((char *)0x20000000)
#define THREADS 4

static __thread sigjmp_buf back;
static __thread volatile int touching;
static unsigned seed, steps, touched, faulted, signalled;
static pid_t ids[THREADS];
static int shared;

static void on_fault(int number)
{
	if (!touching) {
		printf("chaos: signal %d out of place\n", number);
		_exit(1);
	}
	siglongjmp(back, 1);
}

static void on_signal(int number)
{
	(void)number;
	__atomic_fetch_add(&signalled, 1, __ATOMIC_RELAXED);
}

static void touch(volatile unsigned char *at)
{
	if (sigsetjmp(back, 1) == 0) {
		touching = 1;
		*at += 1;
		__atomic_fetch_add(&touched, 1, __ATOMIC_RELAXED);
	} else
		__atomic_fetch_add(&faulted, 1, __ATOMIC_RELAXED);
	touching = 0;
}

static void *work(void *argument)
{
	uint64_t state = seed * 1000 + (uintptr_t)argument;
	__atomic_store_n(&ids[(uintptr_t)argument], syscall(SYS_gettid), __ATOMIC_RELAXED);
	for (unsigned i = 0; i < steps; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		unsigned r = (unsigned)(state >> 33), first = r % PAGES, count = 1 + (r >> 8) % (PAGES - first);
		char *at = REGION + first * PAGE;
		int protection = (r >> 16) & 1 ? PROT_READ | PROT_WRITE : PROT_READ;
		switch ((r >> 20) % 12) {
		case 0:
			mmap(at, count * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 1:
			if (shared >= 0)
				mmap(at, count * PAGE, protection, MAP_SHARED | MAP_FIXED, shared, first * PAGE);
			break;
		case 2:
			munmap(at, count * PAGE);
			break;
		case 3:
			mprotect(at, count * PAGE, protection);
			break;
		case 4:
			madvise(at, count * PAGE, MADV_DONTNEED);
			break;
		case 5:
			syscall(SYS_tkill, __atomic_load_n(&ids[(r >> 24) % THREADS], __ATOMIC_RELAXED), SIGUSR1);
			break;
		default:
			touch((unsigned char *)at + (r >> 12) % PAGE);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction fault = {.sa_handler = on_fault}, other = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	seed = number_from(argc > 1 ? argv[1] : 0, 1);
	steps = number_from(argc > 2 ? argv[2] : 0, 2000);
	sigaction(SIGSEGV, &fault, 0);
	sigaction(SIGBUS, &fault, 0);
	sigaction(SIGUSR1, &other, 0);
	shared = -1;
	if (argc > 3) {
		char path[256];
		snprintf(path, sizeof path, "%s/c-chaos", getenv("BUSLOCK_SHM") ? getenv("BUSLOCK_SHM") : "/shm");
		munmap(share("c-chaos", PAGES * PAGE), PAGES * PAGE);
		shared = open(path, O_RDWR);
	}
	pthread_t threads[THREADS];
	for (unsigned i = 1; i < THREADS; i++)
		pthread_create(&threads[i], 0, work, (void *)(uintptr_t)i);
	work(0);
	for (unsigned i = 1; i < THREADS; i++)
		pthread_join(threads[i], 0);
	printf("chaos: lived, touched %s, faulted %s, signalled %s\n", touched ? "some" : "none", faulted ? "some" : "none",
	       signalled ? "some" : "none");
	return 0;
}
