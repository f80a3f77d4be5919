// The local APIC (Intel SDM vol. 3A, chapter 11) in xAPIC mode, and who gets which vector.
//
//   00-1F exceptions   20-2F the masked 8259s, were they to speak   30-4F devices   F0 timer   F1 IPI messages
//   F2 TLB shoot-down  FF spurious
import { mmioRead32, mmioWrite32, out8, pause, rdmsr, wrmsr } from "../arch";
import { Core } from "../lwkt/core";
import { panic } from "../panic";

export const FIRST_DEVICE_VECTOR: u32 = 0x30;
export const DEVICE_VECTORS: u32 = 32;
export const TIMER_VECTOR: u32 = 0xf0;
export const MESSAGES_VECTOR: u32 = 0xf1;
export const SHOOT_DOWN_VECTOR: u32 = 0xf2;
export const SPURIOUS_VECTOR: u32 = 0xff;

const MSR_APIC_BASE: u32 = 0x1b;
const APIC_GLOBAL_ENABLE: u64 = 0x800;
const APIC: u64 = 0xfee0_0000;
const APIC_ID: u64 = APIC + 0x20;
const TASK_PRIORITY: u64 = APIC + 0x80;
const END_OF_INTERRUPT: u64 = APIC + 0xb0;
const SPURIOUS: u64 = APIC + 0xf0;
const SPURIOUS_ENABLE: u32 = 0x100;
const COMMAND_LOW: u64 = APIC + 0x300;
const COMMAND_HIGH: u64 = APIC + 0x310;
const COMMAND_PENDING: u32 = 0x1000;
const COMMAND_ASSERT: u32 = 0x4000;
const COMMAND_NMI: u32 = 0x400;
const COMMAND_INIT: u32 = 0x500;
const COMMAND_STARTUP: u32 = 0x600;
const COMMAND_OTHERS: u32 = 0xc_0000;
const LVT_TIMER: u64 = APIC + 0x320;
const LVT_LINT0: u64 = APIC + 0x350;
const LVT_LINT1: u64 = APIC + 0x360;
const LVT_ERROR: u64 = APIC + 0x370;
const LVT_MASKED: u32 = 0x1_0000;
const TIMER_INITIAL: u64 = APIC + 0x380;
const TIMER_CURRENT: u64 = APIC + 0x390;
const TIMER_DIVIDE: u64 = APIC + 0x3e0;
const DIVIDE_BY_1: u32 = 0xb;

const PIC_1: u32 = 0x20;
const PIC_2: u32 = 0xa0;

/** Per device vector: handler u32, argument u32. */
const handlers: usize = memory.data(256);
let allocated: u32 = 0;

/** This core's local APIC on, with nothing but its timer's vector set (and the timer stopped). */
export function apicStart(): void {
  const base = rdmsr(MSR_APIC_BASE);
  if ((base & 0x000f_ffff_ffff_f000) !== APIC) panic("the local APIC is not at FEE00000");
  if ((base & APIC_GLOBAL_ENABLE) === 0) wrmsr(MSR_APIC_BASE, base | APIC_GLOBAL_ENABLE);
  mmioWrite32(SPURIOUS, SPURIOUS_ENABLE | SPURIOUS_VECTOR);
  mmioWrite32(TASK_PRIORITY, 0);
  mmioWrite32(LVT_LINT0, LVT_MASKED);
  mmioWrite32(LVT_LINT1, LVT_MASKED);
  mmioWrite32(LVT_ERROR, LVT_MASKED);
  mmioWrite32(TIMER_DIVIDE, DIVIDE_BY_1);
  mmioWrite32(LVT_TIMER, TIMER_VECTOR);
  mmioWrite32(TIMER_INITIAL, 0);
}

/** The two 8259s: initialised away from the exceptions (20-2F), then masked for good. */
export function picsMask(): void {
  out8(PIC_1, 0x11);
  out8(PIC_2, 0x11);
  out8(PIC_1 + 1, 0x20);
  out8(PIC_2 + 1, 0x28);
  out8(PIC_1 + 1, 4);
  out8(PIC_2 + 1, 2);
  out8(PIC_1 + 1, 1);
  out8(PIC_2 + 1, 1);
  out8(PIC_1 + 1, 0xff);
  out8(PIC_2 + 1, 0xff);
}

export function apicId(): u32 {
  return mmioRead32(APIC_ID) >> 24;
}

/** Before the handler's work, which criticalExit may do much later: every source of ours is edge-triggered. */
export function endOfInterrupt(): void {
  mmioWrite32(END_OF_INTERRUPT, 0);
}

function command(high: u32, low: u32): void {
  while (mmioRead32(COMMAND_LOW) & COMMAND_PENDING) pause();
  mmioWrite32(COMMAND_HIGH, high);
  mmioWrite32(COMMAND_LOW, low);
}

/** A fixed interrupt for one core. In a critical section, since the command takes two writes. */
export function apicSend(target: u32, vector: u32): void {
  command(target << 24, vector | COMMAND_ASSERT);
}

export function apicSendInit(target: u32): void {
  command(target << 24, COMMAND_INIT | COMMAND_ASSERT);
}

/** The core begins at `page` << 12 in real mode. */
export function apicSendStartup(target: u32, page: u32): void {
  command(target << 24, COMMAND_STARTUP | COMMAND_ASSERT | page);
}

/** An NMI to all other cores (panic). */
export function apicStopOthers(): void {
  command(0, COMMAND_NMI | COMMAND_ASSERT | COMMAND_OTHERS);
}

/** One shot after so many ticks of the APIC's clock. */
export function apicTimerSet(ticks: u32): void {
  mmioWrite32(TIMER_INITIAL, ticks);
}

/** For calibration: lets the timer run from its highest count, masked. */
export function apicTimerFree(): void {
  mmioWrite32(LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
  mmioWrite32(TIMER_INITIAL, 0xffff_ffff);
}

export function apicTimerCount(): u32 {
  return mmioRead32(TIMER_CURRENT);
}

/** Ends the calibration. */
export function apicTimerReady(): void {
  mmioWrite32(TIMER_INITIAL, 0);
  mmioWrite32(LVT_TIMER, TIMER_VECTOR);
}

/**
 * A free vector whose interrupts call `handler`: table index of (argument: usize) => void, inside a critical section
 * of the core that gets the interrupt (core 0 for msixEnable and ioApicRoute). It must not block: what may it leaves to a thread.
 */
export function interruptAllocate(handler: u32, argument: usize): u32 {
  if (allocated === DEVICE_VECTORS) panic("no interrupt vector is left for a device");
  const slot = allocated++;
  store<u32>(handlers + (slot << 3), handler);
  store<usize>(handlers + (slot << 3), argument, 4);
  return FIRST_DEVICE_VECTOR + slot;
}

/** Runs the handlers of the device vectors that arrived. In a critical section. */
export function deviceInterrupts(core: Core): void {
  while (core.devices !== 0) {
    const slot = ctz<u32>(core.devices);
    // Interrupts, which set bits, are off here (runPending); a handler may have them on while it works.
    core.devices &= ~(1 << slot);
    if (slot >= allocated) continue; // a device that was stopped: nobody is interested
    call_indirect<void>(load<u32>(handlers + (slot << 3)), load<usize>(handlers + (slot << 3), 4));
  }
}
