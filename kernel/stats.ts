// Counters, one set per core; printed once, summed, as the `stats: {json}` line.
// `stats().x += 1` is exact inside a critical section or in a handler.

@unmanaged
export class Stats {
  threadSwitches: u64 = 0;
  interrupts: u64 = 0;
  ipisSent: u64 = 0;
  ipisPassive: u64 = 0;
  shootDowns: u64 = 0;
  pageFaults: u64 = 0;
  pageFaultsCoherence: u64 = 0;
  pagesReceived: u64 = 0;
  pagesSent: u64 = 0;
  messagesSent: u64 = 0;
  messagesReceived: u64 = 0;
  bytesSent: u64 = 0;
  bytesReceived: u64 = 0;
  retransmissions: u64 = 0;
  upgrades: u64 = 0;
  invalidations: u64 = 0;
  operationsShipped: u64 = 0;
  systemCalls: u64 = 0;
}

export function stats(): Stats {
  return changetype<Stats>(0);
}
