/* One kind of LOCKed instruction by two machines, again and again with 20 us of work of their own in between, on a page that is hot: its
 * owner does it for the other machine. The words at the end are judged, and the flags of each instruction: at once where its own operand or
 * the old value decides them, else by what both machines together must be told. Usage: shipped KIND; machine 1 prints
 * `shipped: KIND words wrong W flags wrong F told T expected E`. */
#include "cluster.h"
#include <time.h>

#define WORDS 8
/* Instructions of a machine: a half of the words' bits. */
#define COUNT (32 * WORDS)
#define THINK_NS 20000
#define EVEN 0x5555555555555555

struct flags {
	uint8_t c, z, s;
};

static struct shared {
	struct meeting ready, done, judged;
	uint32_t right;
	struct {
		uint64_t wrong, told;
	} of[3];
	uint64_t words[WORDS] __attribute__((aligned(4096)));
	char end[] __attribute__((aligned(4096)));
} *shared;

/* A comparand that is a guess, or the value that was found last. */
static uint64_t guess;
static uint64_t wrong;

/* CF is bit 0 of i before the instruction; f becomes what it leaves. The operands of `text`: at, value (changed), source. */
#define LOCKED(text, word, from)                                                                                  \
	__asm__ volatile("btl $0, %k[carry]\n\t" text "\n\tsetc %[c]\n\tsetz %[z]\n\tsets %[s]"                    \
			 : [c] "=&r"(f.c), [z] "=&r"(f.z), [s] "=&r"(f.s), [at] "+m"(*(word)), [value] "+&a"(value) \
			 : [carry] "r"(i), [source] "r"((uint64_t)(from))                                           \
			 : "cc", "memory")
#define BEGIN                                                                                                     \
	struct flags f;                                                                                           \
	uint64_t value = 0;                                                                                       \
	(void)value
#define MUST(what) (wrong += !(what))
#define CARRY_KEPT (f.c == (i & 1))

/* Of a word's bits the even ones are machine 1's and the odd ones machine 2's. */
static uint64_t *word_of(uint64_t i) { return &shared->words[i / 32]; }
static uint64_t bit_of(uint64_t i) { return 1ULL << (2 * (i % 32) + node() - 1); }
static int is_top(uint64_t i) { return bit_of(i) >> 63; }

static uint64_t xadd(uint64_t i)
{
	BEGIN;
	value = 1;
	LOCKED("lock xaddq %[value], %[at]", shared->words, 0);
	uint64_t sum = value + 1;
	MUST(f.z == !sum && f.c == !sum && f.s == sum >> 63);
	return f.z;
}

static uint64_t add(uint64_t i)
{
	BEGIN;
	LOCKED("lock addq $1, %[at]", shared->words, 0);
	MUST(f.c == f.z);
	return f.c;
}

static uint64_t inc(uint64_t i)
{
	BEGIN;
	LOCKED("lock incq %[at]", shared->words, 0);
	MUST(CARRY_KEPT);
	return f.z;
}

static uint64_t dec(uint64_t i)
{
	BEGIN;
	LOCKED("lock decq %[at]", shared->words, 0);
	MUST(CARRY_KEPT);
	return f.s;
}

static uint64_t and(uint64_t i)
{
	BEGIN;
	LOCKED("lock andq %[source], %[at]", word_of(i), ~bit_of(i));
	MUST(!f.c && !(is_top(i) && f.s));
	return f.z;
}

static uint64_t or(uint64_t i)
{
	BEGIN;
	LOCKED("lock orq %[source], %[at]", word_of(i), bit_of(i));
	MUST(!f.c && !f.z && !(is_top(i) && !f.s));
	return 0;
}

/* The even bits are set before it: none of machine 1's last. */
static uint64_t xor(uint64_t i)
{
	BEGIN;
	LOCKED("lock xorq %[source], %[at]", word_of(i), bit_of(i));
	MUST(!f.c && !(node() == 2 && f.z) && !(is_top(i) && !f.s));
	return 0;
}

/* Every value once, by one of the machines; what is left in the word was found by none. */
static uint64_t xchg(uint64_t i)
{
	BEGIN;
	value = (node() - 1) * COUNT + i + 1;
	LOCKED("xchgq %[value], %[at]", shared->words, 0);
	MUST(CARRY_KEPT && value <= 2 * COUNT);
	return value;
}

static uint64_t cmpxchg(uint64_t i)
{
	BEGIN;
	do {
		value = guess;
		LOCKED("lock cmpxchgq %[source], %[at]", shared->words, guess + 1);
		MUST(f.z == (value == guess) && f.c == (guess < value) && f.s == (guess - value) >> 63);
		guess = value + f.z;
	} while (!f.z);
	return 1;
}

/* Both machines want each even bit: one of them gets it. */
static uint64_t bts(uint64_t i)
{
	BEGIN;
	LOCKED("lock btsq %[source], %[at]", shared->words, 2 * i);
	return !f.c;
}

static uint64_t btr(uint64_t i)
{
	BEGIN;
	LOCKED("lock btrq %[source], %[at]", shared->words, 2 * i);
	return f.c;
}

/* Of the words that are used: what is in them before and after; and what the instructions of both machines return together. */
static const struct kind {
	const char *name;
	uint64_t (*once)(uint64_t);
	unsigned words;
	uint64_t before, after, told;
} kinds[] = {
	{"xadd", xadd, 1, -COUNT, COUNT, 1},
	{"add", add, 1, -COUNT, COUNT, 1},
	{"inc", inc, 1, -COUNT, COUNT, 1},
	{"dec", dec, 1, COUNT, -COUNT, COUNT},
	{"and", and, WORDS, -1, 0, WORDS},
	{"or", or, WORDS, 0, -1, 0},
	{"xor", xor, WORDS, EVEN, ~EVEN, 0},
	{"xchg", xchg, 0, 0, 0, COUNT * (2 * COUNT + 1)},
	{"cmpxchg", cmpxchg, 1, 0, 2 * COUNT, 2 * COUNT},
	{"bts", bts, WORDS, 0, EVEN, COUNT},
	{"btr", btr, WORDS, -1, ~EVEN, COUNT},
};

static uint64_t now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ULL + at.tv_nsec;
}

static int judge(const struct kind *kind)
{
	uint64_t words = 0, flags = shared->of[1].wrong + shared->of[2].wrong;
	uint64_t told = shared->of[1].told + shared->of[2].told;
	for (unsigned i = 0; i < kind->words; i++)
		words += shared->words[i] != kind->after;
	if (!kind->words)
		told += shared->words[0];
	printf("shipped: %s words wrong %lu flags wrong %lu told %lu expected %lu\n", kind->name, words, flags, told, kind->told);
	return !words && !flags && told == kind->told;
}

int main(int argc, char **argv)
{
	const struct kind *kind = kinds, *end = kinds + sizeof kinds / sizeof *kinds;
	uint64_t told = 0;
	while (kind < end && (argc < 2 || strcmp(kind->name, argv[1])))
		kind++;
	if (kind == end || nodes() != 2) {
		fprintf(stderr, "usage: shipped KIND, on two machines\n");
		return 2;
	}
	shared = share("c-shipped", sizeof *shared);
	if (node() == 1)
		for (unsigned i = 0; i < kind->words; i++)
			shared->words[i] = kind->before;
	meet(&shared->ready, 2);
	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t from = now_ns();
		told += kind->once(i);
		while (now_ns() - from < THINK_NS)
			;
	}
	shared->of[node()].wrong = wrong;
	shared->of[node()].told = told;
	meet(&shared->done, 2);
	if (node() == 1)
		shared->right = judge(kind);
	meet(&shared->judged, 2);
	return shared->right ? 0 : 1;
}
