// The I/O APIC (Intel 82093AA): lines of ISA devices to vectors on core 0. Edge-triggered only: interrupts are
// acknowledged before their handlers run (apic.ts, endOfInterrupt).
import { mmioRead32, mmioWrite32 } from "../arch";
import { coreAt } from "../lwkt/core";
import { panic } from "../panic";
import { ioApicAddress, ioApicFirst, isaFlags, isaInterrupt } from "./acpi";

const SELECT: u64 = 0;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 0x1_0000;
const ACTIVE_LOW: u32 = 0x2000;
/** MADT override flags: polarity in bits 0-1 (3 = low), trigger in bits 2-3 (3 = level). */
const POLARITY_LOW: u32 = 3;
const TRIGGER_LEVEL: u32 = 0xc;

function read(register: u32): u32 {
  mmioWrite32(u64(ioApicAddress) + SELECT, register);
  return mmioRead32(u64(ioApicAddress) + WINDOW);
}

function write(register: u32, value: u32): void {
  mmioWrite32(u64(ioApicAddress) + SELECT, register);
  mmioWrite32(u64(ioApicAddress) + WINDOW, value);
}

/** All pins masked. */
export function ioApicStart(): void {
  if (ioApicAddress === 0) return;
  const pins = ((read(VERSION) >> 16) & 0xff) + 1;
  for (let pin: u32 = 0; pin < pins; pin++) write(REDIRECTION + (pin << 1), MASKED);
}

/** The ISA line's interrupts arrive at core 0 as `vector` (interruptAllocate). At boot, from one core. */
export function ioApicRoute(line: u32, vector: u32): void {
  if (ioApicAddress === 0) panic("an ISA line is routed and there is no I/O APIC");
  const flags = isaFlags(line);
  if ((flags & TRIGGER_LEVEL) === TRIGGER_LEVEL) panic("an ISA line is level-triggered");
  const row = REDIRECTION + ((isaInterrupt(line) - ioApicFirst) << 1);
  write(row + 1, coreAt(0).apicId << 24);
  write(row, vector | ((flags & 3) === POLARITY_LOW ? ACTIVE_LOW : 0));
}

/**
 * The SCI, which is level-triggered, as edges: while one source is enabled, whose handler takes the line down, each of its events
 * is one (acpi.ts enables the power button only).
 */
export function ioApicRouteSci(line: u32, vector: u32): void {
  if (ioApicAddress === 0) return;
  const known = line < 16;
  const row = REDIRECTION + (((known ? isaInterrupt(line) : line) - ioApicFirst) << 1);
  const low = known && (isaFlags(line) & 3) === POLARITY_LOW;
  write(row + 1, coreAt(0).apicId << 24);
  write(row, vector | (low ? ACTIVE_LOW : 0));
}

export function ioApicMask(line: u32): void {
  write(REDIRECTION + ((isaInterrupt(line) - ioApicFirst) << 1), MASKED);
}
