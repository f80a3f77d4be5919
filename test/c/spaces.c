/* One address space that threads change and use at random: mmap, munmap, mprotect, mremap, madvise, brk, loads, stores, LOCKed additions, copies over
 * page borders, system calls into it and out of it, files mapped shared that grow and shrink, and handlers of SIGSEGV that make a page accessible
 * and go on. Threads go from core to core, of all machines, and are interrupted by signals. What each step returned and read goes into a hash.
 *   turns   threads take turns, one step each, anywhere
 *   own     all at once, each in its own part; a hash a thread
 * Usage: spaces turns|own SEED STEPS THREADS CORES [each] [signals] */
#include "cluster.h"
#include "random.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define PAGES 64ul /* of a part */
#define REGION ((char *)0x1000000000) /* far from where Linux puts a program's heap */
#define FILE_PAGES 24ul
#define PARTS_MAX 16
#define MOVING 6

struct part {
	char *base;
	int file;	    /* its own, below /tmp or /shm */
	char *moving[MOVING]; /* mappings wherever the kernel put them */
	size_t pages[MOVING];
	uint64_t hash;
};
static struct part parts[PARTS_MAX];
static int archive;
static char *heap;

static unsigned threads, steps, cores_all, seed_all, each;
static int own_parts;
static uint32_t turn, finished, over;
static uint64_t interrupted;

static __thread const char *what;
static long result(long value)
{
	note(value == -1 ? (uint64_t)-errno : (uint64_t)value);
	return value;
}

static __thread sigjmp_buf back;
static __thread volatile uint64_t fault;
static __thread volatile int mending; /* make the page accessible, and go on */
static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (mending && number == SIGSEGV && info->si_code == SEGV_ACCERR) {
		mending++;
		if (mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE) == 0)
			return;
	}
	fault = (uint64_t)number << 56 | (uint64_t)info->si_code << 48 | ((uintptr_t)info->si_addr & 0xffffffffffff);
	siglongjmp(back, 1);
}
static void on_signal(int number)
{
	(void)number;
	__atomic_add_fetch(&interrupted, 1, __ATOMIC_SEQ_CST);
}

static int protection(void)
{
	return (int[]){PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE}[below(4)];
}

/* --- Uses: what is there, or which fault. --- */

__attribute__((noinline)) static void touch(volatile unsigned char *at, size_t room)
{
	unsigned kind = below(9), value = 1 + below(255), most = room < 9000 ? (unsigned)room : 9000;
	unsigned count = 1 + below(below(3) && most > 64 ? 64 : most), to = below((unsigned)room - count + 1);
	switch (kind) {
	case 0:
	case 1:
		note(*at);
		break;
	case 2:
	case 3:
		*at = (unsigned char)value;
		break;
	case 4:
		note(__atomic_fetch_add((uint64_t *)((uintptr_t)at & ~7ul), value, __ATOMIC_SEQ_CST));
		break;
	case 5: { /* not aligned, perhaps over a border */
		uint64_t one = value;
		if (room < 8)
			break;
		__asm__ volatile("lock xaddq %0, (%1)" : "+r"(one) : "r"(at) : "memory");
		note(one);
		break;
	}
	case 6: { /* rep movs within the part */
		volatile unsigned char *source = at, *target = at + to;
		size_t left = count;
		__asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(left) : : "memory");
		break;
	}
	case 7: {
		volatile unsigned char *target = at;
		size_t left = count;
		__asm__ volatile("rep stosb" : "+D"(target), "+c"(left) : "a"(value) : "memory");
		break;
	}
	case 8: { /* 16 bytes */
		uint64_t *pair = (uint64_t *)((uintptr_t)at & ~15ul), low = value, high = 0;
		unsigned char same;
		__asm__ volatile("lock cmpxchg16b (%3)\n\tsete %0"
				 : "=q"(same), "+a"(low), "+d"(high)
				 : "r"(pair), "b"((uint64_t)value), "c"((uint64_t)value << 3)
				 : "memory");
		note(low), note(high), note(same);
		break;
	}
	}
	note((uint64_t)mending);
}

/* How far a copy came before its fault is told by what is there. */
static void use(volatile unsigned char *at, size_t room)
{
	mending = below(3) == 0;
	fault = 0;
	if (sigsetjmp(back, 0))
		note(fault - (uint64_t)(uintptr_t)at);
	else
		touch(at, room);
	mending = 0;
}

/* --- Calls --- */

static unsigned size_of(int file)
{
	struct stat st;
	if (fstat(file, &st) < 0)
		fail("fstat");
	return (unsigned)st.st_size;
}

/* Files end with a page, and no write makes one longer: Linux's versions differ in what they make of stores behind an end within a page, and of
 * writes behind the end of which nothing can be read. */
static void by_call(struct part *p)
{
	static __thread unsigned char bytes[3 * PAGE];
	unsigned size = size_of(p->file), count = 1 + below(PAGE), at = below(FILE_PAGES * PAGE);
	if (below(2) && size >= sizeof bytes)
		count *= 3;
	char *buffer = p->base + below(PAGES * PAGE - count);
	switch (below(7)) {
	case 0: {
		long got = result(pread(p->file, bytes, count, at));
		if (got > 0)
			note_bytes(bytes, (size_t)got);
		break;
	}
	case 1:
		memset(bytes, (int)below(256), count);
		result(pwrite(p->file, bytes, count, at > size - count ? 0 : at));
		break;
	case 2:
		result(ftruncate(p->file, (at + PAGE) / PAGE * PAGE));
		break;
	case 3: /* to a place of one page: all of it, or EFAULT */
		buffer = p->base + below(PAGES) * PAGE + 16;
		result(pread(archive, buffer, 1 + below(1000), below(8) * PAGE));
		break;
	case 4:
		buffer = p->base + below(PAGES) * PAGE + 16;
		count = 1 + below(1000);
		result(pwrite(p->file, buffer, count, at > size - count ? 0 : at));
		break;
	case 5: {
		struct iovec two[2] = {{bytes, count / 2}, {bytes + count / 2, count - count / 2}};
		long got = result(preadv(p->file, two, 2, at));
		if (got > 0)
			note_bytes(bytes, (size_t)got);
		break;
	}
	default:
		result(msync(p->base + below(PAGES) * PAGE, PAGE, MS_SYNC));
	}
}

static void change(struct part *p)
{
	unsigned first = below(PAGES), count = 1 + below(below(8) ? 8 : PAGES);
	if (count > PAGES - first)
		count = PAGES - first;
	char *at = p->base + first * PAGE;
	int rights = protection();
	switch (below(12)) {
	case 0:
	case 1:
		what = "mmap";
		result((long)mmap(at, count * PAGE, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		break;
	case 2:
		what = "mmap archive";
		result((long)mmap(at, count * PAGE, rights, MAP_PRIVATE | MAP_FIXED, archive, below(8) * PAGE));
		break;
	case 3:
	case 4:
		what = "mmap shared";
		result((long)mmap(at, count * PAGE, rights, MAP_SHARED | MAP_FIXED, p->file, below(FILE_PAGES) * PAGE));
		break;
	case 5:
		what = "munmap";
		result(munmap(at, count * PAGE));
		break;
	case 6:
	case 7:
		what = "mprotect";
		result(mprotect(at, count * PAGE, rights));
		break;
	case 8:
		what = "madvise";
		result(madvise(at, count * PAGE, MADV_DONTNEED));
		break;
	case 9: {
		unsigned wanted = 1 + below(12);
		what = "mremap";
		mmap(at, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		memset(at, 77, PAGE);
		if (wanted > count && first + wanted <= PAGES && below(2))
			munmap(at + count * PAGE, (wanted - count) * PAGE);
		else if (wanted > count)
			wanted = count;
		result((long)mremap(at, count * PAGE, wanted * PAGE, 0));
		break;
	}
	default: { /* wherever there is room */
		unsigned i = below(MOVING), wanted = 1 + below(20);
		if (!p->moving[i]) {
			what = "mmap anywhere";
			int shared = below(3) == 0;
			p->moving[i] = mmap(0, wanted * PAGE, PROT_READ | PROT_WRITE,
					    shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, shared ? p->file : -1,
					    shared ? below(FILE_PAGES) * PAGE : 0);
			p->pages[i] = wanted;
		} else if (below(2)) {
			what = "mremap anywhere";
			p->moving[i] = mremap(p->moving[i], p->pages[i] * PAGE, wanted * PAGE, MREMAP_MAYMOVE);
			p->pages[i] = wanted;
		} else {
			what = "munmap anywhere";
			result(munmap(p->moving[i], p->pages[i] * PAGE));
			p->moving[i] = 0;
		}
		note(p->moving[i] == MAP_FAILED);
	}
	}
}

/* musl's sbrk() moves nothing. */
static void by_break(void)
{
	what = "brk";
	char *end = (char *)syscall(SYS_brk, heap + below(40 * PAGE));
	result(end - heap);
	if (end > heap) {
		unsigned at = below((unsigned)(end - heap));
		use((unsigned char *)heap + at, (size_t)(end - heap) - at);
	}
}

static void hop(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(below(cores_all), &set);
	sched_setaffinity(0, sizeof set, &set);
}

static void step(struct part *p, uint64_t number)
{
	state = (uint64_t)seed_all * 1000003u + number;
	for (int i = 0; i < 4; i++)
		below(2);
	unsigned kind = below(16);
	if (kind < 6)
		change(p);
	else if (kind < 9)
		what = "call", by_call(p);
	else if (kind == 9 && !own_parts)
		by_break();
	else if (kind == 10)
		what = "hop", hop();
	else
		what = "use";
	for (int i = 0; i < 4; i++) {
		unsigned at = below(PAGES * PAGE);
		use((unsigned char *)p->base + at, PAGES * PAGE - at);
	}
	unsigned i = below(MOVING);
	if (p->moving[i]) {
		unsigned at = below((unsigned)(p->pages[i] * PAGE));
		use((unsigned char *)p->moving[i] + at, p->pages[i] * PAGE - at);
	}
}

/* A thread that has ended is not to be sent signals. */
static void end(void)
{
	__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &over, FUTEX_WAIT, 0, 0, 0, 0);
}

static void *take_turns(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	uint32_t now;
	while ((now = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) < steps) {
		unsigned drawn = ((now / (1 + seed_all % 3)) * 2654435761u + seed_all * 40503u) >> 16;
		if (drawn % threads != me) {
			syscall(SYS_futex, &turn, FUTEX_WAIT, now, 0, 0, 0);
			continue;
		}
		unsigned which = (unsigned)((now * 2246822519u) >> 20) % threads;
		hash = parts[0].hash;
		step(&parts[which], now);
		parts[0].hash = hash;
		if (each)
			printf("spaces: %u thread %u part %u %s %016lx\n", now, me, which, what, hash);
		__atomic_store_n(&turn, now + 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &turn, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	}
	end();
	return 0;
}

static void *on_own(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < steps; i++) {
		step(&parts[me], (uint64_t)me << 32 | i);
		if (each)
			printf("spaces: %u part %u %s %016lx\n", i, me, what, hash);
	}
	parts[me].hash = hash;
	end();
	return 0;
}

static pthread_t all[PARTS_MAX];
static void *disturb(void *argument)
{
	(void)argument;
	for (unsigned i = 0; __atomic_load_n(&finished, __ATOMIC_SEQ_CST) < threads; i++) {
		pthread_kill(all[i % threads], i % 3 ? SIGUSR1 : SIGUSR2);
		usleep(200);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return fprintf(stderr, "usage: spaces turns|own SEED STEPS THREADS CORES [each] [signals]\n"), 2;
	own_parts = argv[1][0] == 'o';
	seed_all = number_from(argv[2], 1), steps = number_from(argv[3], 500);
	threads = number_from(argv[4], 4), cores_all = number_from(argv[5], 1);
	int signals = 0;
	for (int i = 6; i < argc; i++)
		each |= !strcmp(argv[i], "each"), signals |= !strcmp(argv[i], "signals");
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	struct sigaction other = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &other, 0);
	sigaction(SIGALRM, &other, 0);
	other.sa_flags = 0;
	sigaction(SIGUSR2, &other, 0);
	archive = open(argv[0], O_RDONLY);
	if (archive < 0)
		fail(argv[0]);
	const char *shared = getenv("BUSLOCK_SHM");
	for (unsigned i = 0; i < threads; i++) {
		char path[256];
		snprintf(path, sizeof path, "%s/spaces.%u", shared ? shared : i & 1 ? "/tmp" : "/shm", i);
		parts[i].file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (parts[i].file < 0 || ftruncate(parts[i].file, FILE_PAGES * PAGE) < 0)
			fail(path);
		parts[i].base = REGION + i * (PAGES + 1) * PAGE;
	}
	heap = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1));
	pthread_t disturber;
	struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
	for (unsigned i = 0; i < threads; i++)
		pthread_create(&all[i], 0, own_parts ? on_own : take_turns, (void *)(uintptr_t)i);
	if (signals) {
		setitimer(ITIMER_REAL, &often, 0);
		pthread_create(&disturber, 0, disturb, 0);
		pthread_join(disturber, 0);
		setitimer(ITIMER_REAL, &never, 0);
	}
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &over, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(all[i], 0);
	for (unsigned i = 0; i < (own_parts ? threads : 1); i++)
		printf("spaces: part %u hash %016lx\n", i, parts[i].hash);
	return 0;
}
