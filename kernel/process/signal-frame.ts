// The signal frame on the user's stack, as Linux x86-64 lays it out (rt_sigframe), and the way back from it.
//
//   sp+0    restorer's address: the handler's RET goes there, and it calls rt_sigreturn
//   sp+8    ucontext: flags 8, link 8, stack {base 8, flags 4 + 4, bytes 8}, 23 registers of 8, 8 reserved words, mask 8
//   sp+312  siginfo: signal 4, errno 4, code 4 + 4, address or sender 8, ... 128 in all
//   above, 64-aligned: the FXSAVE image, 512
import { TrapFrame } from "../frame";
import { criticalEnter, criticalExit, fpuReload, fpuSave, threadCurrent } from "../lwkt/thread";
import { FX_MXCSR, FXSAVE_BYTES, Lwp } from "./lwp";
import { SA_NODEFER, SA_ONSTACK } from "./signal";
import { signalBit, UNBLOCKABLE } from "./signal-numbers";
import { SignalInfo } from "./signal-queue";
import { readUser, scratch, USER_TOP, userRange, writeUser } from "./user-memory";

const UCONTEXT: usize = 8;
const STACK: usize = UCONTEXT + 16;
const REGISTERS: usize = UCONTEXT + 40;
const FP_POINTER: usize = REGISTERS + 23 * 8;
const MASK: usize = REGISTERS + 256;
const INFO: usize = MASK + 8;
const FRAME_BYTES: usize = INFO + 128;
const RED_ZONE: u64 = 128;

const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;

/** CF PF AF ZF SF TF DF OF RF AC: what a program may choose; the rest of RFLAGS is the kernel's. */
const FLAGS_USER: u64 = 0x0005_0dd5;
const FLAGS_FIXED: u64 = 0x202;
/** TF, DF, RF: off when a handler begins. */
const FLAGS_CLEARED: u64 = 0x0001_0500;
const SELECTOR_CODE: u64 = 40 | 3;
const SELECTOR_DATA: u64 = 32 | 3;

export function onAlternateStack(lwp: Lwp, rsp: u64): bool {
  return lwp.alternateBytes !== 0 && rsp - lwp.alternateBase <= lwp.alternateBytes;
}

/** SS_* of sigaltstack as seen from a stack pointer. */
export function alternateFlags(lwp: Lwp, rsp: u64): u32 {
  if (lwp.alternateBytes === 0) return SS_DISABLE;
  return onAlternateStack(lwp, rsp) ? SS_ONSTACK : 0;
}

/** Saves the interrupted state on the stack and turns `frame` into a call of the handler. False: no stack there. */
export function signalFramePush(lwp: Lwp, frame: TrapFrame, info: SignalInfo): bool {
  const process = lwp.process;
  const action = process.action(info.signal);
  const flags = load<u64>(action + 8);
  let top = frame.rsp - RED_ZONE;
  if (flags & SA_ONSTACK && lwp.alternateBytes !== 0 && !onAlternateStack(lwp, frame.rsp)) {
    top = lwp.alternateBase + lwp.alternateBytes;
  }
  const fx = (top - u64(FXSAVE_BYTES)) & ~63;
  const at = ((fx - u64(FRAME_BYTES)) & ~15) - 8;
  if (at >= USER_TOP || !userRange(at, u64(FRAME_BYTES))) return false;
  const image = lwp.scratch;
  memory.fill(image, 0, FRAME_BYTES);
  store<u64>(image, load<u64>(action + 16));
  store<u64>(image + STACK, lwp.alternateBase);
  store<u32>(image + STACK + 8, alternateFlags(lwp, frame.rsp));
  store<u64>(image + STACK + 16, lwp.alternateBytes);
  saveRegisters(image + REGISTERS, frame);
  saveFault(image + REGISTERS, info, lwp);
  store<u64>(image + FP_POINTER, fx);
  store<u64>(image + MASK, lwp.maskSaved ? lwp.savedMask : lwp.blocked);
  saveInfo(image + INFO, info);
  fpuSave();
  if (!writeUser(fx, threadCurrent().fpu, FXSAVE_BYTES)) return false;
  if (!writeUser(at, image, FRAME_BYTES)) return false;
  enterHandler(lwp, frame, info.signal, at);
  return true;
}

function enterHandler(lwp: Lwp, frame: TrapFrame, signal: u32, at: u64): void {
  const action = lwp.process.action(signal);
  lwp.maskSaved = 0;
  lwp.blocked |= load<u64>(action + 24) & ~UNBLOCKABLE;
  if (!(load<u64>(action + 8) & SA_NODEFER)) lwp.blocked |= signalBit(signal);
  frame.rip = load<u64>(action);
  frame.rsp = at;
  frame.rdi = u64(signal);
  frame.rsi = at + u64(INFO);
  frame.rdx = at + u64(UCONTEXT);
  frame.rax = 0;
  frame.rflags &= ~FLAGS_CLEARED;
  if (frame.rip >= USER_TOP) frame.rip = 0; // what is not canonical would fault in the kernel's IRET
}

/** sigcontext's order: r8-r15, rdi rsi rbp rbx rdx rax rcx rsp rip, flags, selectors, error, trap, mask, cr2. */
function saveRegisters(at: usize, frame: TrapFrame): void {
  store<u64>(at, frame.r8);
  store<u64>(at + 8, frame.r9);
  store<u64>(at + 16, frame.r10);
  store<u64>(at + 24, frame.r11);
  store<u64>(at + 32, frame.r12);
  store<u64>(at + 40, frame.r13);
  store<u64>(at + 48, frame.r14);
  store<u64>(at + 56, frame.r15);
  store<u64>(at + 64, frame.rdi);
  store<u64>(at + 72, frame.rsi);
  store<u64>(at + 80, frame.rbp);
  store<u64>(at + 88, frame.rbx);
  store<u64>(at + 96, frame.rdx);
  store<u64>(at + 104, frame.rax);
  store<u64>(at + 112, frame.rcx);
  store<u64>(at + 120, frame.rsp);
  store<u64>(at + 128, frame.rip);
  store<u64>(at + 136, frame.rflags);
  store<u16>(at + 144, u16(SELECTOR_CODE));
  store<u16>(at + 150, u16(SELECTOR_DATA));
}

function restoreRegisters(at: usize, frame: TrapFrame): void {
  frame.r8 = load<u64>(at);
  frame.r9 = load<u64>(at + 8);
  frame.r10 = load<u64>(at + 16);
  frame.r11 = load<u64>(at + 24);
  frame.r12 = load<u64>(at + 32);
  frame.r13 = load<u64>(at + 40);
  frame.r14 = load<u64>(at + 48);
  frame.r15 = load<u64>(at + 56);
  frame.rdi = load<u64>(at + 64);
  frame.rsi = load<u64>(at + 72);
  frame.rbp = load<u64>(at + 80);
  frame.rbx = load<u64>(at + 88);
  frame.rdx = load<u64>(at + 96);
  frame.rax = load<u64>(at + 104);
  frame.rcx = load<u64>(at + 112);
  frame.rsp = load<u64>(at + 120);
  frame.rip = load<u64>(at + 128);
  frame.rflags = load<u64>(at + 136);
  frameSanitize(frame);
}

/** Nothing that a program may not choose: flags, selectors, and an address that IRET would fault at in the kernel. */
export function frameSanitize(frame: TrapFrame): void {
  frame.rflags = (frame.rflags & FLAGS_USER) | FLAGS_FIXED;
  frame.cs = SELECTOR_CODE;
  frame.ss = SELECTOR_DATA;
  if (frame.rip >= USER_TOP) frame.rip = 0;
}

function saveFault(at: usize, info: SignalInfo, lwp: Lwp): void {
  store<u64>(at + 152, info.error);
  store<u64>(at + 160, info.trap);
  store<u64>(at + 168, lwp.blocked);
  store<u64>(at + 176, lwp.faultAddress);
}

/** siginfo_t, in zeros. */
export const INFO_BYTES: usize = 128;
export function saveInfo(at: usize, info: SignalInfo): void {
  store<u32>(at, info.signal);
  store<u32>(at + 8, info.code);
  // SI_USER, SI_QUEUE and SI_TKILL name the sender (pid, then uid 0), and a value; a fault its address.
  store<u64>(at + 16, info.address);
  store<u64>(at + 24, info.value);
}

/** rt_sigreturn: RSP points behind the restorer's address. False: not a frame to return to. */
export function signalFramePop(lwp: Lwp, frame: TrapFrame): bool {
  const image = lwp.scratch;
  const at = frame.rsp - 8;
  if (!readUser(image, at, FRAME_BYTES)) return false;
  const fx = load<u64>(image + FP_POINTER);
  if (load<u64>(image + REGISTERS + 128) >= USER_TOP) return false;
  if (fx !== 0 && !restoreFpu(fx)) return false;
  restoreRegisters(image + REGISTERS, frame);
  lwp.blocked = load<u64>(image + MASK) & ~UNBLOCKABLE;
  lwp.alternateBase = load<u64>(image + STACK);
  lwp.alternateBytes = load<u64>(image + STACK + 16);
  return true;
}

function restoreFpu(from: u64): bool {
  // Not into the thread's own area: while the copy blocks, a thread switch saves the live registers there.
  const image = scratch() + FXSAVE_BYTES * 4;
  if (!readUser(image, from, FXSAVE_BYTES)) return false;
  criticalEnter();
  fpuSave();
  const area = threadCurrent().fpu;
  // Reserved bits of MXCSR would make FXRSTOR fault; the mask that FXSAVE reports tells them (Intel SDM vol. 1, 11.6.6).
  const reported = load<u32>(area + FX_MXCSR + 4);
  const allowed: u32 = reported === 0 ? 0xffbf : reported;
  store<u32>(image + FX_MXCSR, load<u32>(image + FX_MXCSR) & allowed);
  memory.copy(area, image, FXSAVE_BYTES);
  fpuReload();
  criticalExit();
  return true;
}
