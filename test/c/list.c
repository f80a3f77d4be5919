/* A lock-free stack (Treiber's) on CMPXCHG16B: head is {index, tag}, the tag against ABA. Every thread of every
 * machine pops a cell, writes into it, pushes it back; at the end each cell is on the stack exactly once and
 * the cells' use counts add up. Usage: list [ROUNDS] */
#include "cluster.h"

#define CELLS 64
#define NONE UINT64_MAX

struct head {
	uint64_t index, tag;
} __attribute__((aligned(16)));

static struct shared {
	struct head head;
	struct meeting ready, done, judged;
	uint64_t empty_pops;
	uint32_t right;
	struct cell {
		uint64_t next, uses;
		char apart[48]; /* a cell is a cache line */
	} cells[CELLS] __attribute__((aligned(64)));
} *shared;
static unsigned rounds, cores_here;

/* LOCK CMPXCHG16B: true when `*at` was `expected` and is now `desired`; else `expected` is what was seen. */
static int exchange(struct head *at, struct head *expected, struct head desired)
{
	unsigned char done;
	__asm__ volatile("lock cmpxchg16b %1; setz %0"
			 : "=q"(done), "+m"(*at), "+a"(expected->index), "+d"(expected->tag)
			 : "b"(desired.index), "c"(desired.tag)
			 : "memory", "cc");
	return done;
}

static void push(uint64_t index)
{
	struct head seen = {0, 0}, next;
	do {
		shared->cells[index].next = seen.index;
		next = (struct head){index, seen.tag + 1};
	} while (!exchange(&shared->head, &seen, next));
}

static uint64_t pop(void)
{
	struct head seen = {0, 0};
	exchange(&shared->head, &seen, seen); /* an atomic 16-byte read */
	while (seen.index != NONE) {
		struct head next = {__atomic_load_n(&shared->cells[seen.index].next, __ATOMIC_RELAXED), seen.tag + 1};
		if (exchange(&shared->head, &seen, next))
			return seen.index;
	}
	return NONE;
}

static void *work(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < rounds;) {
		uint64_t index = pop();
		if (index == NONE) {
			__atomic_fetch_add(&shared->empty_pops, 1, __ATOMIC_RELAXED);
			sched_yield();
			continue;
		}
		shared->cells[index].uses++; /* plain: the cell is mine while it is off the stack */
		push(index);
		i++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	rounds = number_from(argc > 1 ? argv[1] : 0, 1000);
	cores_here = cores();
	shared = share("c-list", sizeof *shared);
	if (node() == 1) {
		shared->head.index = NONE;
		for (uint64_t i = 0; i < CELLS; i++)
			push(i);
	}
	meet(&shared->ready, nodes());
	on_threads(cores_here, work);
	meet(&shared->done, nodes());
	if (node() == 1) {
		uint64_t expected = (uint64_t)nodes() * cores_here * rounds, uses = 0;
		unsigned found = 0, index;
		unsigned char seen[CELLS] = {0};
		while ((index = pop()) != (unsigned)NONE) {
			found += !seen[index]++;
			uses += shared->cells[index].uses;
		}
		printf("list: cells expected %d found %u, uses expected %lu counted %lu\n", CELLS, found, expected, uses);
		shared->right = found == CELLS && uses == expected;
	}
	meet(&shared->judged, nodes());
	return shared->right ? 0 : 1;
}
