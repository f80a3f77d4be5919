// Counters, one set per core; printed once, summed, as the `stats: {json}` line.
// `stats().x += 1` is exact inside a critical section or in a handler; elsewhere a preemption may lose one.

import { coreBlock } from "./arch";
import { print, printDecimal, printLetter } from "./console";
import { CORE_STATS, coreAt, coreCount } from "./lwkt/core";

@unmanaged
export class Stats {
  threadSwitches: u64 = 0;
  interrupts: u64 = 0;
  ipisSent: u64 = 0;
  ipisPassive: u64 = 0;
  /** Interrupts that messages raised, on the receiving side. */
  ipiInterrupts: u64 = 0;
  shootDowns: u64 = 0;
  systemCalls: u64 = 0;
  pageFaults: u64 = 0;
  pageFaultsCoherence: u64 = 0;
  pagesReceived: u64 = 0;
  pagesSent: u64 = 0;
  pagesRevalidated: u64 = 0;
  /** Mirrored mode: pages sent for others to keep. */
  pagesMirrored: u64 = 0;
  messagesSent: u64 = 0;
  messagesReceived: u64 = 0;
  bytesSent: u64 = 0;
  bytesReceived: u64 = 0;
  retransmissions: u64 = 0;
  upgrades: u64 = 0;
  invalidations: u64 = 0;
  operationsShipped: u64 = 0;
  /** Of coherence: kept now, and the most (coherence/budget.ts). */
  records: u64 = 0;
  recordsMost: u64 = 0;
  chunksLent: u64 = 0;
  loansRecalled: u64 = 0;
  /** Accesses to parts of pages, carried out here. */
  accessesCarried: u64 = 0;
  /** With `queue=0`: requests for a page that the home has refused (coherence/refusals.ts). */
  requestsRefused: u64 = 0;
}

/** The names of the fields above, in their order (a test compares). */
const NAMES: string =
  "threadSwitches interrupts ipisSent ipisPassive ipiInterrupts shootDowns systemCalls pageFaults pageFaultsCoherence pagesReceived pagesSent pagesRevalidated pagesMirrored messagesSent messagesReceived bytesSent bytesReceived retransmissions upgrades invalidations operationsShipped records recordsMost ";
/** Of byte ranges and refusals, behind them. */
const NAMES_OF_PARTS: string = "chunksLent loansRecalled accessesCarried requestsRefused ";

/** This core's counters. */
export function stats(): Stats {
  return changetype<Stats>(coreBlock() + CORE_STATS);
}

/** The sum over all cores of the counter at `offset`, as offsetof<Stats>("name") gives it. */
export function statsSum(offset: usize): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < coreCount(); i++)
    sum += load<u64>(changetype<usize>(coreAt(i)) + CORE_STATS + offset);
  return sum;
}

/** The counters of these names, the first of them at `offset`; where the next one lies. */
function printCounters(names: string, offset: usize): usize {
  for (let i = 0; i < names.length; i++) {
    const letter = load<u16>(changetype<usize>(names) + ((<usize>i) << 1));
    if (letter !== 0x20) {
      printLetter(letter);
      continue;
    }
    print('":');
    printDecimal(statsSum(offset));
    offset += 8;
    if (i + 1 < names.length) print(',"');
  }
  return offset;
}

/** stats: {"threadSwitches":12,...} */
export function statsPrint(): void {
  print('stats: {"');
  let offset = printCounters(NAMES, 0);
  print(',"');
  offset = printCounters(NAMES_OF_PARTS, offset);
  assert(offset === offsetof<Stats>(), "the names of the counters are as many as the counters");
  print("}\n");
}
