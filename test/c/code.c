/* Code in a file that all machines map: they run it while others change it, as cores of one machine may (Intel SDM 3A, 9.1.3).
 *   operand   an instruction that lies in two pages: all machines add to its immediate operand and run it; what it returns never falls
 *   beside    each machine runs a function of its own, which counts in the same page; all of them, and their counts, share one page
 *   turns     machines take turns in writing a whole function by a mapping that is writable, and run it by another that is not; then
 *             mprotect() makes the first executable instead, and a store there is refused
 * Usage: code COUNT; each prints `code: node N wrong W`. */
#include "cluster.h"
#include <setjmp.h>
#include <signal.h>

#define PAGE 4096

static struct {
	struct meeting ready, done;
	uint32_t turn;
	char pages[5][PAGE] __attribute__((aligned(PAGE)));
} *shared;

static sigjmp_buf refused;
static void on_fault(int number)
{
	(void)number;
	siglongjmp(refused, 1);
}

static void *map(int protection)
{
	int fd = open("/shm/code", O_RDWR);
	void *at = mmap(0, sizeof *shared, protection, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	close(fd);
	return at;
}

/* mov eax, VALUE; ret */
static void put_function(char *at, uint32_t value)
{
	at[0] = (char)0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = (char)0xc3;
}

static uint32_t run(const char *at) { return ((uint32_t(*)(void))(uintptr_t)at)(); }

static unsigned operand(char *code, unsigned count)
{
	char *function = code + PAGE - 3;
	uint32_t *value = (uint32_t *)(function + 1), last = 0;
	unsigned wrong = 0;
	if (node() == 1)
		put_function(function, 0);
	meet(&shared->ready, nodes());
	for (unsigned i = 0; i < count; i++) {
		__atomic_add_fetch(value, 1, __ATOMIC_SEQ_CST);
		uint32_t now = run(function);
		wrong += now <= last;
		last = now;
	}
	meet(&shared->done, nodes());
	return wrong + (run(function) != count * nodes());
}

static unsigned beside(char *code, unsigned count)
{
	/* inc dword [rip + 58]; mov eax, [rip + 52]; ret: the word at 64 */
	static const char text[] = "\xff\x05\x3a\x00\x00\x00\x8b\x05\x34\x00\x00\x00\xc3";
	char *mine = code + 128 * (node() - 1);
	unsigned wrong = 0;
	memcpy(mine, text, sizeof text);
	for (unsigned i = 1; i <= count; i++)
		wrong += run(mine) != i;
	return wrong;
}

static unsigned turns(char *data, char *code, unsigned count)
{
	volatile unsigned wrong = 0;
	for (unsigned i = 0; i < count; i++) {
		uint32_t turn;
		while ((turn = __atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST)) % nodes() != node() - 1)
			sched_yield();
		if (turn)
			wrong += run(code) != turn;
		put_function(data, turn + 1);
		wrong += run(code) != turn + 1;
		__atomic_store_n(&shared->turn, turn + 1, __ATOMIC_SEQ_CST);
	}
	meet(&shared->done, nodes());
	if (mprotect(data, PAGE, PROT_READ | PROT_EXEC) < 0)
		fail("mprotect");
	wrong += run(data) != count * nodes();
	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(refused, 1)) {
		data[8] = 1;
		wrong++;
	}
	if (!sigsetjmp(refused, 1)) {
		run(shared->pages[4]); /* not executable */
		wrong++;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? atoi(argv[1]) : 100;
	shared = share("code", sizeof *shared);
	char *all = map(PROT_READ | PROT_WRITE | PROT_EXEC);
	char *code = map(PROT_READ | PROT_EXEC);
	size_t from = shared->pages[0] - (char *)shared;
	unsigned wrong = operand(all + from, count);
	wrong += beside(all + from + 2 * PAGE, count);
	wrong += turns(all + from + 3 * PAGE, code + from + 3 * PAGE, count / 10);
	printf("code: node %u wrong %u\n", node(), wrong);
	return wrong != 0;
}
