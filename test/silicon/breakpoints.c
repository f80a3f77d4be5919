// The host's own processor with breakpoints: each line of standard input is a case (code in hexadecimal, DR7, DR0 to DR3,
// flags to be set), run by a child under ptrace. One line of answers each: "signal:rip:dr6:rcx" for every stop, RIP from
// the code's start; a debug stop goes on, anything else is the last.
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CODE = 0x600000, DATA = 0x700000, PAGE = 0x1000, STOPS = 40, CODE_MAX = 256, INT3 = 0xcc };
#define DEBUG_REGISTER(n) (offsetof(struct user, u_debugreg) + 8 * (n))

static void child(const char *hex) {
  int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  unsigned char *code = mmap((void *)CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, how, -1, 0);
  mmap((void *)DATA, 3 * PAGE, PROT_READ | PROT_WRITE, how, -1, 0);
  mprotect((void *)(DATA + 2 * PAGE), PAGE, PROT_NONE);
  memset(code, 0x90, PAGE);
  for (int i = 0; hex[2 * i]; i++) sscanf(hex + 2 * i, "%2hhx", &code[i]);
  ptrace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  _exit(1);
}

static void follow(pid_t pid, unsigned long control, const unsigned long *addresses, unsigned long flags) {
  struct user_regs_struct r;
  int status;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_GETREGS, pid, 0, &r);
  r.rip = CODE, r.rsp = DATA + PAGE, r.rbp = DATA + 0x1800, r.rsi = DATA + 0x100, r.rdi = r.rbx = DATA + 0x200;
  r.rax = r.rdx = 0, r.rcx = 8, r.eflags = 0x202 | flags, r.orig_rax = -1;
  ptrace(PTRACE_SETREGS, pid, 0, &r);
  for (int n = 0; n < 4; n++) ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(n), addresses[n]);
  ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(6), 0);
  if (ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(7), control)) printf("refused");
  for (int stop = 0; stop < STOPS; stop++) {
    if (ptrace(PTRACE_CONT, pid, 0, 0)) break;
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status)) break;
    ptrace(PTRACE_GETREGS, pid, 0, &r);
    unsigned long met = ptrace(PTRACE_PEEKUSER, pid, DEBUG_REGISTER(6), 0) & 0x400f;
    ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(6), 0);
    printf("%s%d:%llx:%lx:%llx", stop ? " " : "", WSTOPSIG(status), r.rip - CODE, met, r.rcx);
    if (WSTOPSIG(status) != SIGTRAP || met == 0) break;
  }
  printf("\n");
}

int main(void) {
  char hex[2 * CODE_MAX + 1];
  unsigned long control, a[4], flags;
  while (scanf("%512s %lx %lx %lx %lx %lx %lx", hex, &control, a, a + 1, a + 2, a + 3, &flags) == 7) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) child(hex);
    follow(pid, control, a, flags);
    kill(pid, SIGKILL);
    waitpid(pid, 0, 0);
  }
}
