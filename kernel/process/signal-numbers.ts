// Signals of Linux x86-64 (asm/signal.h, asm-generic/siginfo.h): numbers, names and default actions.
import { print, printDecimal, printLetter } from "../console";

export const SIGHUP: u32 = 1;
export const SIGINT: u32 = 2;
export const SIGQUIT: u32 = 3;
export const SIGILL: u32 = 4;
export const SIGTRAP: u32 = 5;
export const SIGABRT: u32 = 6;
export const SIGBUS: u32 = 7;
export const SIGFPE: u32 = 8;
export const SIGKILL: u32 = 9;
export const SIGUSR1: u32 = 10;
export const SIGSEGV: u32 = 11;
export const SIGUSR2: u32 = 12;
export const SIGPIPE: u32 = 13;
export const SIGALRM: u32 = 14;
export const SIGTERM: u32 = 15;
export const SIGCHLD: u32 = 17;
export const SIGCONT: u32 = 18;
export const SIGSTOP: u32 = 19;
export const SIGTSTP: u32 = 20;
export const SIGTTIN: u32 = 21;
export const SIGTTOU: u32 = 22;
export const SIGURG: u32 = 23;
export const SIGWINCH: u32 = 28;
/** The first real-time signal. */
export const SIGRTMIN: u32 = 32;
/** Signals are 1 to so many. */
export const SIGNALS: u32 = 64;

/** si_code */
export const SI_USER: u32 = 0;
export const SI_KERNEL: u32 = 0x80;
export const SI_TKILL: u32 = -6;
export const ILL_ILLOPN: u32 = 2;
export const FPE_INTDIV: u32 = 1;
export const FPE_FLTDIV: u32 = 3;
export const FPE_FLTOVF: u32 = 4;
export const FPE_FLTUND: u32 = 5;
export const FPE_FLTRES: u32 = 6;
export const FPE_FLTINV: u32 = 7;
export const SEGV_MAPERR: u32 = 1;
export const SEGV_ACCERR: u32 = 2;
export const BUS_ADRALN: u32 = 1;
export const BUS_ADRERR: u32 = 2;
export const TRAP_BRKPT: u32 = 1;
export const TRAP_TRACE: u32 = 2;

export function signalBit(signal: u32): u64 {
  return u64(1) << u64(signal - 1);
}

/** SIGKILL and SIGSTOP: never blocked, handled or ignored. */
export const UNBLOCKABLE: u64 = (1 << 8) | (1 << 18);
/** What an instruction has done comes first: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS. */
export const SYNCHRONOUS: u64 = (1 << 3) | (1 << 4) | (1 << 6) | (1 << 7) | (1 << 10) | (1 << 30);
/** Ignored unless handled. */
export const IGNORED: u64 = (1 << 16) | (1 << 17) | (1 << 22) | (1 << 27);
/** Would stop the process: there is no job control, so they do nothing but say so. */
export const STOPPING: u64 = (1 << 18) | (1 << 19) | (1 << 20) | (1 << 21);

/** The names of 1 to 15, five letters each behind "SIG". */
const NAMES: string = "HUP  INT  QUIT ILL  TRAP ABRT BUS  FPE  KILL USR1 SEGV USR2 PIPE ALRM TERM ";

export function printSignal(signal: u32): void {
  if (signal > SIGTERM) {
    print("signal ");
    printDecimal(u64(signal));
    return;
  }
  print("SIG");
  for (let at = i32(signal - 1) * 5; NAMES.charCodeAt(at) !== 0x20; at++) {
    printLetter(u32(NAMES.charCodeAt(at)));
  }
}
