// TrapFrame: what every entry stub leaves on the kernel stack, lowest address first. Vector 256 is SYSCALL
// (there rcx and r11 hold what the processor put there). `error` is 0 where the vector has none.

@unmanaged
export class TrapFrame {
  r15: u64 = 0;
  r14: u64 = 0;
  r13: u64 = 0;
  r12: u64 = 0;
  r11: u64 = 0;
  r10: u64 = 0;
  r9: u64 = 0;
  r8: u64 = 0;
  rbp: u64 = 0;
  rdi: u64 = 0;
  rsi: u64 = 0;
  rdx: u64 = 0;
  rcx: u64 = 0;
  rbx: u64 = 0;
  rax: u64 = 0;
  vector: u64 = 0;
  error: u64 = 0;
  rip: u64 = 0;
  cs: u64 = 0;
  rflags: u64 = 0;
  rsp: u64 = 0;
  ss: u64 = 0;
}

export const SYSCALL_VECTOR: u64 = 256;
