// Deliberate faults, one by argument, for seeing what the kernel makes of them. Usage: fault KIND
import { peek8, poke8, syscall, undefinedInstruction } from "./arch";
import { argumentIs, exit, mapPrivate, numberArgument, programStart, text } from "./libuser";

const MPROTECT: u64 = 10;
const RT_SIGACTION: u64 = 13;
const GETPID: u64 = 39;
const KILL: u64 = 62;
const PROT_READ: u64 = 1;
const SIGUSR1: u64 = 10;
const SA_RESTORER: u64 = 0x0400_0000;
const NULL_PAGE: u64 = 16;
const KERNEL: u64 = u64(-1) << 47;
const NOT_CANONICAL: u64 = u64(1) << 50;

export function start(stack: u64): void {
  programStart(stack);
  if (argumentIs(1, "null-write")) poke8(0, 1);
  else if (argumentIs(1, "null-read")) peek8(NULL_PAGE);
  else if (argumentIs(1, "kernel-read")) peek8(KERNEL);
  else if (argumentIs(1, "kernel-write")) poke8(KERNEL, 1);
  else if (argumentIs(1, "not-canonical")) peek8(NOT_CANONICAL);
  else if (argumentIs(1, "text-write")) poke8(0x40_1000, 1);
  else if (argumentIs(1, "read-only-write")) writeReadOnly();
  else if (argumentIs(1, "divide")) divide();
  else if (argumentIs(1, "illegal")) undefinedInstruction();
  else if (argumentIs(1, "recursion")) recursion(1);
  else if (argumentIs(1, "execute-data")) executeData();
  else {
    text(
      "usage: fault null-write|null-read|kernel-read|kernel-write|not-canonical|text-write|read-only-write|divide|illegal|recursion|execute-data\n",
    );
    exit(2);
  }
  text("fault: survived\n");
  exit(3);
}

function writeReadOnly(): void {
  const page = mapPrivate(4096);
  store<u8>(page, 1);
  syscall(MPROTECT, u64(page), 4096, PROT_READ, 0, 0, 0);
  poke8(u64(page), 2);
}

/** By a number that nobody knows when this is compiled: 0 unless a second argument says otherwise. */
function divide(): void {
  const divisor = u32(numberArgument(2, 0));
  if (u32(1000) / divisor === 7) text("seven\n");
}

/** As the handler of a signal to itself: the kernel goes there, and the processor refuses to fetch. */
function executeData(): void {
  const page = mapPrivate(4096);
  store<u8>(page, 0xc3); // RET
  store<u64>(page + 64, u64(page));
  store<u64>(page + 72, SA_RESTORER);
  store<u64>(page + 80, u64(page));
  syscall(RT_SIGACTION, SIGUSR1, u64(page + 64), 0, 8, 0, 0);
  syscall(KILL, u64(syscall(GETPID, 0, 0, 0, 0, 0, 0)), SIGUSR1, 0, 0, 0, 0);
}

/** Until the stack's end. */
function recursion(depth: u64): u64 {
  return depth === 0 ? 0 : recursion(depth + 1) + peek8(u64(0x40_1000) + (depth & 7));
}
