/* What a static threaded program asks of one machine's kernel: pthread create, join, mutex, condition variable with
 * and without a time limit, thread-local storage, malloc from many threads, signals to a thread and from a
 * fault, an alternate stack, clocks, the initial file system. Each step prints one line with a fixed text. */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define THREADS 6
#define ROUNDS 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static __thread unsigned mine = 17;
static unsigned total, waiting, go;

static void check(int right, const char *what)
{
	printf("threads: %s: %s\n", what, right ? "ok" : "WRONG");
	fflush(stdout);
	if (!right)
		exit(1);
}

static void *count(void *argument)
{
	mine += (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		total++;
		pthread_mutex_unlock(&mutex);
	}
	return (void *)(uintptr_t)mine;
}

static void *wait_for_go(void *argument)
{
	pthread_mutex_lock(&mutex);
	waiting++;
	pthread_cond_broadcast(&condition);
	while (!go)
		pthread_cond_wait(&condition, &mutex);
	pthread_mutex_unlock(&mutex);
	return argument;
}

static void *allocate(void *argument)
{
	unsigned seed = 1 + (unsigned)(uintptr_t)argument, wrong = 0;
	unsigned char *blocks[32] = {0};
	size_t sizes[32] = {0};
	for (unsigned i = 0; i < 600; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned slot = (seed >> 16) % 32;
		for (size_t j = 0; j < sizes[slot]; j += 97)
			wrong += blocks[slot][j] != (unsigned char)(slot + 1);
		free(blocks[slot]);
		sizes[slot] = (seed >> 8) % (i % 50 == 0 ? 300000 : 3000);
		blocks[slot] = malloc(sizes[slot] + 1);
		memset(blocks[slot], slot + 1, sizes[slot]);
	}
	for (unsigned slot = 0; slot < 32; slot++)
		free(blocks[slot]);
	return (void *)(uintptr_t)wrong;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	void *result;
	unsigned sum = 0;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, count, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		sum += (unsigned)(uintptr_t)result;
	}
	check(total == THREADS * ROUNDS, "mutex");
	check(sum == THREADS * 17 + THREADS * (THREADS - 1) / 2 && mine == 17, "thread-local storage");

	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, wait_for_go, 0);
	pthread_mutex_lock(&mutex);
	while (waiting < THREADS)
		pthread_cond_wait(&condition, &mutex);
	go = 1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], 0);
	check(1, "condition variable");

	unsigned wrong = 0;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, allocate, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		wrong += (unsigned)(uintptr_t)result;
	}
	check(wrong == 0, "malloc from many threads");
}

static pthread_mutex_t robust;
static void *die_with_lock(void *argument)
{
	pthread_mutex_lock(&robust);
	return argument;
}

static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static unsigned guarded, torn;
static void *read_and_write(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	static unsigned mirror;
	for (unsigned i = 0; i < 200; i++) {
		if (i % THREADS == me) {
			pthread_rwlock_wrlock(&rwlock);
			guarded++;
			sched_yield();
			mirror++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			if (guarded != mirror)
				torn++;
		}
		pthread_rwlock_unlock(&rwlock);
		if (i % 50 == 0)
			pthread_barrier_wait(&barrier);
	}
	return 0;
}

static int cleaned;
static void clean(void *argument) { cleaned += (int)(uintptr_t)argument; }
static void *sleep_for_ever(void *argument)
{
	pthread_cleanup_push(clean, argument);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return 0;
}

static void test_more_threads(void)
{
	pthread_t threads[THREADS];
	pthread_mutexattr_t attributes;
	void *result;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	pthread_create(&threads[0], 0, die_with_lock, 0);
	pthread_join(threads[0], 0);
	check(pthread_mutex_lock(&robust) == EOWNERDEAD && pthread_mutex_consistent(&robust) == 0, "robust mutex");

	pthread_barrier_init(&barrier, 0, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, read_and_write, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], 0);
	check(guarded == 200 && torn == 0, "barrier and reader-writer lock");

	pthread_create(&threads[0], 0, sleep_for_ever, (void *)5);
	nanosleep(&(struct timespec){0, 5000000}, 0);
	pthread_cancel(threads[0]);
	pthread_join(threads[0], &result);
	check(result == PTHREAD_CANCELED && cleaned == 5, "cancellation of a sleeper");

	cpu_set_t all, one;
	int wrong = sched_getaffinity(0, sizeof all, &all) != 0;
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(core, &one);
		wrong |= sched_setaffinity(0, sizeof one, &one) != 0 || sched_getcpu() != core;
		wrong |= sched_getaffinity(0, sizeof one, &one) != 0 || CPU_COUNT(&one) != 1;
	}
	check(!wrong && sched_setaffinity(0, sizeof all, &all) == 0, "moving from core to core");
}

static void test_time(void)
{
	struct timespec before, after, limit;
	clock_gettime(CLOCK_MONOTONIC, &before);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_nsec += 20000000;
	if (limit.tv_nsec >= 1000000000)
		limit.tv_sec++, limit.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	int error = 0;
	go = 0;
	while (!go && !error)
		error = pthread_cond_timedwait(&condition, &mutex, &limit);
	pthread_mutex_unlock(&mutex);
	clock_gettime(CLOCK_MONOTONIC, &after);
	long passed = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	check(error == ETIMEDOUT && passed >= 19000000, "time limit of a wait");
	nanosleep(&(struct timespec){0, 5000000}, 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	passed = (before.tv_sec - after.tv_sec) * 1000000000 + before.tv_nsec - after.tv_nsec;
	check(passed >= 5000000, "nanosleep");
}

static volatile sig_atomic_t signals;
static volatile pid_t signalled;
static void *volatile fault_address;
static volatile int fault_code;
static sigjmp_buf back;

static void on_signal(int number)
{
	signals += number == SIGUSR1;
	signalled = syscall(SYS_gettid);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	fault_address = info->si_addr;
	fault_code = info->si_code;
	siglongjmp(back, number);
}

static void *sleep_for_signal(void *argument)
{
	__atomic_store_n((pid_t *)argument, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	int error = 0;
	if (nanosleep(&(struct timespec){20, 0}, 0) < 0)
		error = errno;
	return (void *)(uintptr_t)error;
}

static void *spin_for_signal(void *argument)
{
	__atomic_store_n((pid_t *)argument, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (signals < 3) /* no system call: the signal must come by an interrupt */
		__asm__ volatile("pause");
	return 0;
}

/* Every register holds a number of its own, in a loop that only watches them: a signal's frame, the handler's return
 * and thread switches must give all of them back, RCX and R11 included, which SYSCALL itself destroys. */
static volatile int enough, registers_wrong;
static pid_t watcher;
static void *watch_registers(void *argument)
{
	__atomic_store_n(&watcher, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	__asm__ volatile("mov $0x101, %%eax; mov $0x202, %%ebx; mov $0x303, %%ecx; mov $0x404, %%edx\n"
			 "mov $0x505, %%esi; mov $0x606, %%edi; mov $0x707, %%ebp; mov $0x808, %%r8d\n"
			 "mov $0x909, %%r9d; mov $0xa0a, %%r10d; mov $0xb0b, %%r11d; mov $0xc0c, %%r12d\n"
			 "mov $0xd0d, %%r13d; mov $0xe0e, %%r14d; mov $0xf0f, %%r15d; movq %%rax, %%xmm7\n"
			 "1: cmp $0x101, %%rax; jne 2f; cmp $0x202, %%rbx; jne 2f; cmp $0x303, %%rcx; jne 2f\n"
			 "cmp $0x404, %%rdx; jne 2f; cmp $0x505, %%rsi; jne 2f; cmp $0x606, %%rdi; jne 2f\n"
			 "cmp $0x707, %%rbp; jne 2f; cmp $0x808, %%r8; jne 2f; cmp $0x909, %%r9; jne 2f\n"
			 "cmp $0xa0a, %%r10; jne 2f; cmp $0xb0b, %%r11; jne 2f; cmp $0xc0c, %%r12; jne 2f\n"
			 "cmp $0xd0d, %%r13; jne 2f; cmp $0xe0e, %%r14; jne 2f; cmp $0xf0f, %%r15; jne 2f\n"
			 "movq %%xmm7, %%rax; cmpl $0, enough(%%rip); je 1b; jmp 3f\n"
			 "2: movl $1, registers_wrong(%%rip)\n"
			 "3:"
			 :
			 :
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "xmm7", "cc", "memory");
	return argument;
}

/* The handler uses the registers that it may use, and a system call. */
static volatile double spoiled = 3;
static volatile int handled;
static void spoil(int number)
{
	spoiled = spoiled * 1.5 + number;
	syscall(SYS_gettid);
	handled++;
}

static void test_registers(void)
{
	pthread_t thread;
	signal(SIGUSR1, spoil);
	pthread_create(&thread, 0, watch_registers, 0);
	while (!__atomic_load_n(&watcher, __ATOMIC_SEQ_CST))
		sched_yield();
	for (int i = 0; i < 200; i++) {
		int before = handled;
		pthread_kill(thread, SIGUSR1);
		while (handled == before)
			sched_yield();
	}
	enough = 1;
	pthread_join(thread, 0);
	check(!registers_wrong && handled == 200, "registers survive signals");
}

static int on_own_stack;
static char alternate[32768];
static void on_alternate(int number)
{
	char here;
	(void)number;
	on_own_stack = &here >= alternate && &here < alternate + sizeof alternate;
}

static void test_signals(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	check(signals == 1 && signalled == syscall(SYS_gettid), "a signal to itself");

	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	int early = signals != 1;
	pthread_sigmask(SIG_SETMASK, &old, 0);
	check(!early && signals == 2, "a blocked signal comes later");

	pid_t id = 0;
	void *result;
	pthread_t thread;
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGUSR1, &action, 0);
	pthread_create(&thread, 0, sleep_for_signal, &id);
	while (!__atomic_load_n(&id, __ATOMIC_SEQ_CST))
		sched_yield();
	nanosleep(&(struct timespec){0, 10000000}, 0);
	signals = 0;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &result);
	check((uintptr_t)result == EINTR && signals == 1 && signalled == id, "a signal ends a sleep");

	pid_t spinner = 0;
	signals = 2;
	pthread_create(&thread, 0, spin_for_signal, &spinner);
	while (!__atomic_load_n(&spinner, __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, 0);
	check(signals == 3, "a signal reaches a running thread");

	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
	sigaltstack(&stack, 0);
	struct sigaction other = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR2, &other, 0);
	raise(SIGUSR2);
	check(on_own_stack, "alternate stack");
}

static int fault_of(void (*body)(void))
{
	int number = sigsetjmp(back, 1);
	if (number == 0)
		body();
	return number;
}

static char *read_only;
static volatile int zero;
static volatile int *volatile near_null = (int *)16;
static void write_null(void) { *near_null = 1; }
static void write_read_only(void) { *(volatile char *)(read_only + 5) = 1; }
static void divide(void) { zero = 100 / zero; }
static void illegal(void) { __asm__ volatile("ud2"); }
static void execute_data(void) { ((void (*)(void))read_only)(); }
static void break_point(void) { __asm__ volatile("int3"); }
static void non_canonical(void) { *(volatile int *)0x8000000000000000 = 1; }

static void test_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	for (unsigned i = 0; i < 5; i++)
		sigaction((int[]){SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS}[i], &action, 0);
	read_only = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*read_only = (char)0xc3; /* ret */
	mprotect(read_only, 4096, PROT_READ);
	check(fault_of(write_null) == SIGSEGV && fault_address == (void *)16 && fault_code == SEGV_MAPERR,
	      "SIGSEGV, not mapped");
	check(fault_of(write_read_only) == SIGSEGV && fault_address == read_only + 5 && fault_code == SEGV_ACCERR,
	      "SIGSEGV, read only");
	check(fault_of(execute_data) == SIGSEGV && fault_address == read_only && fault_code == SEGV_ACCERR,
	      "SIGSEGV, not executable");
	check(fault_of(non_canonical) == SIGSEGV, "SIGSEGV, not canonical");
	check(fault_of(divide) == SIGFPE && fault_code == FPE_INTDIV, "SIGFPE");
	check(fault_of(illegal) == SIGILL && fault_code == ILL_ILLOPN, "SIGILL");
	check(fault_of(break_point) == SIGTRAP, "SIGTRAP");
}

static void test_memory(void)
{
	size_t page = 4096;
	char *at = mmap(0, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(at, 1, 8 * page);
	munmap(at + 2 * page, page);
	check(mmap(at + 2 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		      at + 2 * page && at[2 * page] == 0 && at[3 * page] == 1,
	      "a hole is filled with zeros");
	char *larger = mremap(at + 4 * page, 4 * page, 16 * page, MREMAP_MAYMOVE);
	check(larger != MAP_FAILED && larger[0] == 1 && larger[4 * page - 1] == 1 && larger[4 * page] == 0, "mremap");
	char *low = mmap(0, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	check(low != MAP_FAILED && (uintptr_t)low < 0x80000000u, "MAP_32BIT");
	char *brk_before = sbrk(0);
	check(brk_before != (char *)-1, "brk");
}

static void test_files(const char *self)
{
	char start[4] = {0};
	struct stat stat;
	int fd = open(self, O_RDONLY);
	check(fd >= 0 && read(fd, start, 4) == 4 && memcmp(start, "\177ELF", 4) == 0, "reading my own file");
	check(fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size == lseek(fd, 0, SEEK_END), "fstat");
	char *image = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	check(image != MAP_FAILED && memcmp(image, start, 4) == 0, "mapping my own file");
	image[0] = 1;
	check(pread(fd, start, 4, 0) == 4 && start[0] == 0x7f, "a private mapping stays private");
	close(fd);
	check(open("/no/such/file", O_RDONLY) < 0 && errno == ENOENT, "ENOENT");
	check(write(99, "x", 1) < 0 && errno == EBADF, "EBADF");
	check(write(1, (void *)8, 1) < 0 && errno == EFAULT, "EFAULT");
	struct iovec parts[2] = {{"threads: wri", 12}, {"tev: ok\n", 8}};
	check(writev(1, parts, 2) == 20, "writev's count");
	fd = open("/dev/zero", O_RDONLY);
	start[0] = 1;
	check(read(fd, start, 4) == 4 && start[0] == 0, "/dev/zero");
	close(fd);
	check(syscall(SYS_getcpu, &(unsigned){0}, 0, 0) == 0, "getcpu");
}

int main(int argc, char **argv)
{
	(void)argc;
	test_threads();
	test_more_threads();
	test_time();
	test_signals();
	test_registers();
	test_faults();
	test_memory();
	test_files(argv[0]);
	printf("threads: all right\n");
	return 0;
}
