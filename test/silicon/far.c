// The host's own processor at far transfers and segment registers: each line of standard input is a descriptor of the LDT
// or a case (CS DS ES GS SS, EAX ECX EDX EBX ESP EBP ESI EDI, and bytes as "offset:hexadecimal"). A case's code stands at
// the start of three pages whose first is full of INT3; how it ends is told in one line: exception, error code, CS, EIP,
// flags, SS DS ES GS, registers, and a sum over the other two pages.
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { REGION = 0xa00000, PAGE = 0x1000, INT3 = 0xcc, USER_CODE = 0x33, USER_DATA = 0x2b, PF = 14, LATE = 99 };
enum { LONGEST_US = 50000 };

struct { unsigned offset; unsigned short selector; } __attribute__((packed)) start;
unsigned selectors[4], registers[8];
unsigned long kept[2];
extern char back[];
static struct { unsigned long vector, error, cs, rip, flags, ss, ds, es, gs, registers[8]; } end;

static unsigned long ds(void) { unsigned short s; __asm__ volatile("mov %%ds, %0" : "=r"(s)); return s; }
static unsigned long es(void) { unsigned short s; __asm__ volatile("mov %%es, %0" : "=r"(s)); return s; }
static unsigned long gs(void) { unsigned short s; __asm__ volatile("mov %%gs, %0" : "=r"(s)); return s; }

static void ended(int signal, siginfo_t *info, void *context) {
  static const int order[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
  (void)info;
  for (int i = 0; i < 8; i++) end.registers[i] = g[order[i]];
  end.vector = signal == SIGALRM ? LATE : g[REG_TRAPNO], end.error = g[REG_ERR];
  end.cs = g[REG_CSGSFS] & 0xffff, end.ss = (unsigned long)g[REG_CSGSFS] >> 48;
  end.rip = g[REG_RIP], end.flags = g[REG_EFL], end.ds = ds(), end.es = es(), end.gs = gs();
  __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" ::"r"(0));
  g[REG_CSGSFS] = USER_CODE | (long)USER_DATA << 48, g[REG_RIP] = (long)back;
  g[REG_RSP] = kept[0], g[REG_RBP] = kept[1], g[REG_EFL] = 0x202;
}

static void run(void) {
  struct itimerval limit = {{0, 0}, {0, LONGEST_US}}, none = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &limit, 0);
  __asm__ volatile(
      "push %%rbp; push %%rbx; mov %%rsp, kept; mov %%rbp, kept+8; mov selectors, %%ds; mov selectors+4, %%es;"
      "mov selectors+8, %%gs; mov registers, %%eax; mov registers+4, %%ecx; mov registers+8, %%edx;"
      "mov registers+12, %%ebx; mov registers+20, %%ebp; mov registers+24, %%esi; mov registers+28, %%edi;"
      "pushq $0x202; popfq; mov selectors+12, %%ss; mov registers+16, %%esp; ljmp *start;"
      ".globl back; back: pop %%rbx; pop %%rbp" ::
          : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  setitimer(ITIMER_REAL, &none, 0);
}

static void tell(const unsigned char *memory) {
  unsigned sum = 0;
  for (int i = 0; i < 2 * PAGE; i++) sum = sum * 31 + memory[PAGE + i];
  // Whether a page is absent or not the user's is the system's business, RF the signal's.
  if (end.vector == PF) end.error &= ~1ul;
  printf("%lx %lx %lx %x %lx %lx", end.vector, end.error, end.cs, (unsigned)end.rip, end.flags & ~0x10000ul, end.ss);
  printf(" %lx %lx %lx", end.ds, end.es, end.gs);
  for (int i = 0; i < 8; i++) printf(" %lx", end.registers[i]);
  printf(" %x\n", sum);
}

int main(void) {
  static char stack[0x10000], line[0x1000];
  const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGALRM};
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_sigaction = ended, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, all = PROT_READ | PROT_WRITE | PROT_EXEC;
  unsigned char *memory = mmap((void *)REGION, 3 * PAGE, all, how, -1, 0);
  sigaltstack(&alternate, 0);
  for (int i = 0; i < 6; i++) sigaction(signals[i], &action, 0);
  while (fgets(line, sizeof line, stdin)) {
    struct user_desc d = {0};
    unsigned n, limit, big, contents, readOnly, absent, cs, *s = selectors, *r = registers;
    if (sscanf(line, "ldt %u %x %u %u %u %u", &n, &limit, &big, &contents, &readOnly, &absent) == 6) {
      d.entry_number = n, d.base_addr = REGION, d.limit = limit, d.seg_32bit = big, d.contents = contents;
      d.read_exec_only = readOnly, d.seg_not_present = absent;
      if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d)) return 1;
      continue;
    }
    int at = 0;
    sscanf(line, "%x %x %x %x %x %x %x %x %x %x %x %x %x%n", &cs, s, s + 1, s + 2, s + 3, r, r + 1, r + 2, r + 3, r + 4,
           r + 5, r + 6, r + 7, &at);
    memset(memory, INT3, PAGE), memset(memory + PAGE, 0, 2 * PAGE);
    for (char *word = strtok(line + at, " \n"); word; word = strtok(0, " \n")) {
      unsigned to = strtoul(word, &word, 16);
      for (word++; *word; word += 2) sscanf(word, "%2hhx", &memory[to++]);
    }
    start.offset = cs & 4 ? 0 : REGION, start.selector = cs;
    run();
    tell(memory);
  }
  return 0;
}
