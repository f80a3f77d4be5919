// Self-tests of IPI messages and spinlocks.
import { coreCount, thisCore } from "../lwkt/core";
import { ipiCallAll, ipiSend, ipiSendPassive } from "../lwkt/ipi";
import { SpinLock } from "../lwkt/spinlock";
import { PRIORITY_USER } from "../lwkt/thread";
import { sleep } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";
import { Stats, statsSum } from "../stats";
import { exchange } from "./memory";
import { expect, finished, join, MILLISECOND, PATIENCE, shared, startOnAll } from "./support";

const MESSAGES: u32 = 100_000;
const SEQUENCES: usize = 64;

/** argument: source << 24 | sequence number. Counts, and checks the order of its pair. */
function received(argument: usize): void {
  const core = thisCore();
  const source = argument >> 24;
  const next = load<usize>(exchange) + ((<usize>core.index * SEQUENCES + source) << 2);
  expect(load<u32>(next) === <u32>(argument & 0xff_ffff), "messages: out of order");
  store<u32>(next, load<u32>(next) + 1);
  atomic.add<u32>(shared, 1);
}

function messagesWorker(core: usize): void {
  const cores = coreCount();
  const each = MESSAGES / (cores * cores);
  for (let i: u32 = 0; i < each; i++) {
    for (let target: u32 = 0; target < cores; target++) {
      const argument = (core << 24) | <usize>i;
      if ((i & 7) === 3) ipiSend(target, received.index, argument);
      else ipiSendPassive(target, received.index, argument);
    }
  }
  finished();
}

export function messagesTest(): void {
  const cores = coreCount();
  store<usize>(exchange, allocate(SEQUENCES * SEQUENCES * 4));
  startOnAll(messagesWorker.index, PRIORITY_USER);
  join();
  const all = (MESSAGES / (cores * cores)) * cores * cores;
  awaitCount(all);
  expect(atomic.load<u32>(shared) === all, "messages: some were lost or doubled");
  release(load<usize>(exchange));
  store<usize>(exchange, 0);
}

/** Until the first shared word says so many; not for ever. */
function awaitCount(count: u32): void {
  for (let i = 0; i < PATIENCE && atomic.load<u32>(shared) < count; i++) sleep(MILLISECOND);
}

export function countOne(_argument: usize): void {
  atomic.add<u32>(shared, 1);
}

/** Promises 9 and 41: it costs the target no interrupt, and arrives by its next tick. */
export function passiveTest(): void {
  const cores = coreCount();
  // An interrupt of the message that settled the cores may still be on its way.
  let before: u64 = 0;
  for (let same = 0; same < 5; same++) {
    const now = statsSum(offsetof<Stats>("ipiInterrupts"));
    if (now !== before) same = 0;
    before = now;
    sleep(4 * MILLISECOND);
  }
  const passive = statsSum(offsetof<Stats>("ipisPassive"));
  for (let core: u32 = 1; core < cores; core++) {
    for (let i = 0; i < 100; i++) ipiSendPassive(core, countOne.index, 0);
  }
  const all = (cores - 1) * 100;
  awaitCount(all);
  expect(atomic.load<u32>(shared) === all, "passive: not reaped by ticks");
  expect(statsSum(offsetof<Stats>("ipiInterrupts")) === before, "passive: an interrupt was raised");
  expect(statsSum(offsetof<Stats>("ipisPassive")) === passive + u64(all), "passive: not counted");
}

export function callAllTest(): void {
  for (let i: u32 = 1; i <= 100; i++) {
    ipiCallAll(countOne.index, 0);
    expect(atomic.load<u32>(shared) === i * (coreCount() - 1), "call all: returned too early or ran twice");
  }
}

function spinlockWorker(_core: usize): void {
  const lock = changetype<SpinLock>(shared);
  for (let i = 0; i < 10_000; i++) {
    lock.acquire();
    store<u32>(shared, load<u32>(shared, 16) + 1, 16); // not atomic: the lock makes it so
    lock.release();
  }
  finished();
}

export function spinlockTest(): void {
  startOnAll(spinlockWorker.index, PRIORITY_USER);
  startOnAll(spinlockWorker.index, PRIORITY_USER);
  join();
  expect(load<u32>(shared, 16) === coreCount() * 20_000, "spinlock: an increment was lost");
}
