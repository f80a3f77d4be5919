// The system calls of Linux x86-64 that a static binary needs, one row each.
import { TrapFrame } from "../frame";

/** Called by syscall() with interrupts on: number in frame.rax, arguments in rdi rsi rdx r10 r8 r9; result to rax. */
export function systemCall(frame: TrapFrame): void {}
