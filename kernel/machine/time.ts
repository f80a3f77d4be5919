// Time: the TSC, taken to run at one rate and equal on all cores. Its frequency comes from CPUID leaf 15H or 16H
// (Intel SDM vol. 2A), else it is measured against the 8254's channel 2 (gated by port 61H, no interrupt).
//
// A clock is a frequency as two factors, so that converting is one multiplication:
//   nanoseconds = (ticks << SHIFT) * toNanoseconds >> 64        ticks = nanoseconds * toTicks >> (64 - SHIFT)
import { cpuid, in8, mulhu, out8, pause, rdtsc } from "../arch";
import { panic } from "../panic";
import { apicTimerCount, apicTimerFree } from "./apic";

/** The wall clock at boot, in seconds since 1970: 2026-01-01 00:00:00 UTC. Constant, so that runs repeat. */
export const WALL_CLOCK_EPOCH: u64 = 1_767_225_600;

const SHIFT: u64 = 6;
const BILLION: u64 = 1_000_000_000;
const PIT_HERTZ: u64 = 1_193_182;
/** How long to measure: 5 ms of the PIT. */
const PIT_COUNT: u32 = 5966;
const PIT_CHANNEL_2: u32 = 0x42;
const PIT_COMMAND: u32 = 0x43;
/** Mode 0 of channel 0, which counts nothing before it is given a count. */
const PIT_STOPS: u32 = 0x30;
const PORT_B: u32 = 0x61;
const PORT_B_GATE: u32 = 1;
const PORT_B_SPEAKER: u32 = 2;
const PORT_B_OUT: u32 = 0x20;

/** TSC and APIC timer in hertz, for the log. */
export let tscHertz: u64 = 0;
export let apicHertz: u64 = 0;
let tscStart: u64 = 0;
let tscToNanoseconds: u64 = 0;
let apicPerNanosecond: u64 = 0;

/** floor(numerator * 2^power / divisor), where the result fits 64 bits. */
export function scale(numerator: u64, power: u32, divisor: u64): u64 {
  let quotient = numerator / divisor;
  let remainder = numerator % divisor;
  for (let i: u32 = 0; i < power; i++) {
    remainder <<= 1;
    quotient <<= 1;
    if (remainder >= divisor) {
      remainder -= divisor;
      quotient |= 1;
    }
  }
  return quotient;
}

/** A PC BIOS leaves channel 0 of the PIT ticking, to nobody now: a machine that is idle would be woken for it. */
export function timeStart(): void {
  out8(PIT_COMMAND, PIT_STOPS);
  const registers = memory.data(16);
  cpuid(0, 0, registers);
  const leaves = load<u32>(registers);
  if (leaves >= 0x15) {
    cpuid(0x15, 0, registers);
    const crystal = u64(load<u32>(registers, 8));
    const numerator = u64(load<u32>(registers, 4));
    const denominator = u64(load<u32>(registers));
    if (crystal !== 0 && numerator !== 0 && denominator !== 0) {
      // The crystal also drives the APIC timer (SDM vol. 3A, 11.5.4).
      apicHertz = crystal;
      tscHertz = (crystal * numerator) / denominator;
    }
  }
  if (tscHertz === 0) measure();
  if (tscHertz < BILLION / 16 || apicHertz === 0) panic("the clocks could not be calibrated");
  tscStart = rdtsc();
  tscToNanoseconds = scale(BILLION, 64 - <u32>SHIFT, tscHertz);
  apicPerNanosecond = scale(apicHertz, 64 - <u32>SHIFT, BILLION);
}

const MEASUREMENTS: u32 = 5;
const measured: usize = memory.data(80); // MEASUREMENTS times TSC and APIC hertz, slowest TSC first

/** The median of a few: a host that pauses this machine at the wrong moment spoils one, not most. */
function measure(): void {
  for (let i: u32 = 0; i < MEASUREMENTS; i++) {
    measureOnce();
    let at = measured + (usize(i) << 4);
    for (; at > measured && load<u64>(at - 16) > tscHertz; at -= 16) memory.copy(at, at - 16, 16);
    store<u64>(at, tscHertz);
    store<u64>(at + 8, apicHertz);
  }
  const median = measured + (usize(MEASUREMENTS / 2) << 4);
  tscHertz = load<u64>(median);
  apicHertz = load<u64>(median + 8);
}

/** Both clocks against the PIT's channel 2, mode 0: OUT rises when the count has run down. */
function measureOnce(): void {
  out8(PORT_B, (in8(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE);
  out8(PIT_COMMAND, 0xb0);
  out8(PIT_CHANNEL_2, PIT_COUNT & 0xff);
  apicTimerFree();
  out8(PIT_CHANNEL_2, PIT_COUNT >> 8); // starts it
  const tsc = rdtsc();
  const apic = apicTimerCount();
  let tscEnd = tsc;
  let apicEnd = apic;
  let readings: u64 = 0;
  while ((in8(PORT_B) & PORT_B_OUT) === 0) {
    if (++readings > 100_000_000) panic("the PIT's channel 2 does not count");
    pause();
  }
  tscEnd = rdtsc();
  apicEnd = apicTimerCount();
  tscHertz = ((tscEnd - tsc) * PIT_HERTZ) / u64(PIT_COUNT);
  apicHertz = (u64(apic - apicEnd) * PIT_HERTZ) / u64(PIT_COUNT);
}

/** Since boot. */
export function nanoseconds(): u64 {
  return ticksToNanoseconds(rdtsc() - tscStart);
}

/** Of the TSC. */
export function ticksToNanoseconds(ticks: u64): u64 {
  return mulhu(ticks << SHIFT, tscToNanoseconds);
}

/** APIC timer ticks in a time of less than 2^57 ns. */
export function apicTicks(time: u64): u64 {
  return mulhu(time << SHIFT, apicPerNanosecond);
}
