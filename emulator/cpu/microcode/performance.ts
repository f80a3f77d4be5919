// Performance counters: AMD APM vol. 2, 13.2. Six of a core, PERF_CTL0..5 and PERF_CTR0..5 (C001_0200 to C001_020B), the
// first four also at the places of their legacy (C001_0000 to C001_0007). They count nothing by themselves: a counter is
// brought up to date from what the core has retired when somebody looks at it, when the privilege level changes, and when
// one that interrupts is due (PERF_DUE, emulator/cpu/performance.ts).
//
//   076H cycles not halted: each instruction, iteration of REP and exception is a cycle here
//   0C0H instructions retired: without further iterations and exceptions (PERF_SKEW)
//   0C2H branches retired, 0C4H taken ones: the engine goes block by block while one is enabled (PERF_BLOCKS)
//   0C3H, 0C5H branches mispredicted: zero, since nothing is predicted; 064H, 07DH, 07EH, 087H caches and stalls: zero,
//   since an access takes the same time wherever its bytes are. Every other event is named to the host once it is enabled.
//
// Invariant: counters are what they were when the core had retired PERF_SEEN cycles; PERF_LEVEL is the level since then.

import {
  ATTENTION,
  ATTENTION_COUNTERS,
  CPL,
  OP_REST,
  PERF_ACTIVE,
  PERF_BLOCKS,
  PERF_BRANCHES,
  PERF_BRANCHES_SEEN,
  PERF_COUNT,
  PERF_COUNTERS,
  PERF_DUE,
  PERF_FILTERS,
  PERF_INSTRUCTIONS_SEEN,
  PERF_LEVEL,
  PERF_REPEAT,
  PERF_SEEN,
  PERF_SELECT,
  PERF_SKEW,
  PERF_TAKEN,
  PERF_TAKEN_SEEN,
  PERFORMANCE,
  PERFORMANCE_END,
  RETIRED,
  RUN_BUDGET,
  RUN_OP,
  RUN_START,
} from "../layout";
import { CR4_PCE, coreIndex, cpl, cr4, GP, raise } from "./core";
import { performanceInterrupt, unknownEvent } from "./host";

const USER: u64 = 0x1_0000;
const SYSTEM: u64 = 0x2_0000;
const EDGE: u64 = 0x4_0000;
const INTERRUPT: u64 = 0x10_0000;
const ENABLE: u64 = 0x40_0000;
const INVERT: u64 = 0x80_0000;
/** Event and unit mask, the bits above, counter mask, event's upper bits, guest and host only (there are no guests). */
const DEFINED: u64 = 0x030f_ffd7_ffff;
const WIDTH: u64 = 48;
const FULL: u64 = 1 << WIDTH;

const CYCLES: u32 = 0x76;
const INSTRUCTIONS: u32 = 0xc0;
const BRANCHES: u32 = 0xc2;
const TAKEN: u32 = 0xc4;

const LEGACY: u32 = 0xc001_0000;
const CORE_FIRST: u32 = 0xc001_0200;

/** The counter's number, or PERF_COUNTERS; `isSelect` tells the two registers of one apart. */
let isSelect: bool = false;
function find(index: u32): u32 {
  if (index - LEGACY < 8) {
    isSelect = index - LEGACY < 4;
    return (index - LEGACY) & 3;
  }
  if (index - CORE_FIRST >= <u32>(2 * PERF_COUNTERS)) return PERF_COUNTERS;
  isSelect = (index & 1) == 0;
  return (index - CORE_FIRST) >> 1;
}
export function isPerformance(index: u32): bool {
  return find(index) < <u32>PERF_COUNTERS;
}

export function readPerformance(core: usize, index: u32): u64 {
  const n = find(index);
  if (isSelect) return load<u64>(core + n * 8, PERF_SELECT);
  settle(core);
  return load<u64>(core + n * 8, PERF_COUNT);
}

/** False: reserved bits. */
export function writePerformance(core: usize, index: u32, value: u64): bool {
  const n = find(index);
  settle(core);
  if (isSelect) {
    if (value & ~DEFINED) return false;
    store<u64>(core + n * 8, value, PERF_SELECT);
    if (value & ENABLE && !known(eventOf(value))) unknownEvent(coreIndex(core), eventOf(value));
  } else {
    store<u64>(core + n * 8, value & (FULL - 1), PERF_COUNT);
  }
  arrange(core);
  return true;
}

/** RDPMC: at any level with CR4.PCE, else at level 0 (APM vol. 3). Only the core's own counters are there. */
export function rdpmc(core: usize, index: u64): u64 {
  if ((cpl(core) != 0 && (cr4(core) & CR4_PCE) == 0) || <u32>index >= <u32>PERF_COUNTERS) {
    raise(core, GP, 0);
    return 0;
  }
  settle(core);
  return load<u64>(core + <u32>index * 8, PERF_COUNT);
}

export function resetPerformance(core: usize): void {
  memory.fill(core + PERFORMANCE, 0, PERFORMANCE_END - PERFORMANCE);
  store<f64>(core, Infinity, PERF_DUE);
  store<i32>(core, i32.MIN_VALUE, PERF_REPEAT);
  see(core, cycles(core)); // RETIRED goes on counting
}

/** The privilege level may be another one now. */
export function levelChanged(core: usize): void {
  const level = load<u32>(core, CPL);
  if (level == load<u32>(core, PERF_LEVEL)) return;
  settle(core);
  store<u32>(core, level, PERF_LEVEL);
  if (load<u32>(core, PERF_FILTERS)) arrange(core);
}

/** PERF_DUE has come. */
export function countersDue(core: usize): u64 {
  settle(core);
  arrange(core);
  return 0;
}

function eventOf(select: u64): u32 {
  return (<u32>select & 0xff) | ((<u32>(select >> 32) & 15) << 8);
}

function known(event: u32): bool {
  switch (event) {
    case CYCLES:
    case INSTRUCTIONS:
    case BRANCHES:
    case TAKEN:
    case 0xc3:
    case 0xc5:
    case 0x64:
    case 0x7d:
    case 0x7e:
    case 0x87:
      return true;
    default:
      return false;
  }
}

/** What the core has retired, the instruction under way not counted: as Engine.retired() has it. */
function cycles(core: usize): u64 {
  const op = load<u32>(core, RUN_OP);
  const ahead = op == 0 ? 0 : <i32>load<u8>(op, OP_REST) + 1;
  return load<u64>(core, RETIRED) + (load<i32>(core, RUN_START) - load<i32>(core, RUN_BUDGET) - ahead);
}

function counts(select: u64, level: u32): bool {
  return (select & ENABLE) != 0 && (select & (level == 3 ? USER : SYSTEM)) != 0;
}

/**
 * The counter mask (13.2.1): 0 adds every event; else a cycle counts in which there were at least as many, or with INV
 * fewer. No cycle here has more than one event, and none is an edge of such a condition twice.
 */
function masked(select: u64, events: u64, passed: u64): u64 {
  if (select & EDGE) return 0;
  const least = (select >> 24) & 0xff;
  if (least == 0) return events;
  if (select & INVERT) return least == 1 ? passed - events : passed;
  return least == 1 ? events : 0;
}

/** Brings every counter up to date; one that overflows interrupts if it was told to. */
function settle(core: usize): void {
  if (load<u32>(core, PERF_ACTIVE) == 0) return;
  const now = cycles(core);
  const instructions = now - load<u64>(core, PERF_SKEW);
  const passed = now - load<u64>(core, PERF_SEEN);
  const retired = instructions - load<u64>(core, PERF_INSTRUCTIONS_SEEN);
  const branches = load<u64>(core, PERF_BRANCHES) - load<u64>(core, PERF_BRANCHES_SEEN);
  const taken = load<u64>(core, PERF_TAKEN) - load<u64>(core, PERF_TAKEN_SEEN);
  see(core, now);
  const level = load<u32>(core, PERF_LEVEL);
  for (let at = core; at < core + PERF_COUNTERS * 8; at += 8) {
    const select = load<u64>(at, PERF_SELECT);
    if (!counts(select, level)) continue;
    const event = eventOf(select);
    let events: u64 = 0;
    if (event == CYCLES) events = passed;
    else if (event == INSTRUCTIONS) events = retired;
    else if (event == BRANCHES) events = branches;
    else if (event == TAKEN) events = taken;
    const count = load<u64>(at, PERF_COUNT) + masked(select, events, passed);
    store<u64>(at, count & (FULL - 1), PERF_COUNT);
    if (count >= FULL && select & INTERRUPT) performanceInterrupt(coreIndex(core));
  }
}

function see(core: usize, now: u64): void {
  store<u64>(core, now, PERF_SEEN);
  store<u64>(core, now - load<u64>(core, PERF_SKEW), PERF_INSTRUCTIONS_SEEN);
  store<u64>(core, load<u64>(core, PERF_BRANCHES), PERF_BRANCHES_SEEN);
  store<u64>(core, load<u64>(core, PERF_TAKEN), PERF_TAKEN_SEEN);
}

/** After a change of what is counted: the engine's part of it, and when to look next at the earliest. */
function arrange(core: usize): void {
  const level = load<u32>(core, CPL);
  let active: u32 = 0;
  let filters: u32 = 0;
  let blocks: u32 = 0;
  let least: u64 = ~(0 as u64);
  for (let at = core; at < core + PERF_COUNTERS * 8; at += 8) {
    const select = load<u64>(at, PERF_SELECT);
    if ((select & ENABLE) == 0) continue;
    active = 1;
    const levels = select & (USER | SYSTEM);
    if (levels != 0 && levels != (USER | SYSTEM)) filters = 1;
    const event = eventOf(select);
    if (event == BRANCHES || event == TAKEN) blocks = 1;
    if ((select & INTERRUPT) == 0 || !counts(select, level)) continue;
    const left = FULL - load<u64>(at, PERF_COUNT);
    if (left < least) least = left;
  }
  const now = cycles(core);
  if (load<u32>(core, PERF_ACTIVE) == 0) see(core, now);
  store<u32>(core, active, PERF_ACTIVE);
  store<u32>(core, filters, PERF_FILTERS);
  store<u32>(core, blocks, PERF_BLOCKS);
  store<u32>(core, level, PERF_LEVEL);
  store<f64>(core, least == ~(0 as u64) ? Infinity : <f64>(now + least), PERF_DUE);
  atomic.or<u32>(core + ATTENTION, ATTENTION_COUNTERS);
}
