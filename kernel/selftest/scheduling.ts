// Self-tests of scheduling: preemption, priorities, timeouts, wake-ups, the life of threads.
import { pause } from "../arch";
import { coreAt, coreCount, thisCore } from "../lwkt/core";
import {
  PRIORITY_KERNEL,
  PRIORITY_SERVICE,
  PRIORITY_USER,
  Thread,
  threadCurrent,
  threadKick,
  threadYield,
} from "../lwkt/thread";
import { queueLock, queueUnlock, sleep, WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { Stats, statsSum } from "../stats";
import { expect, finished, join, LONG, MILLISECOND, shared, start } from "./support";

function spinner(argument: usize): void {
  const word = shared + 8 + (argument << 2);
  while (atomic.load<u32>(shared) === 0) atomic.add<u32>(word, 1);
  finished();
}

/** Two threads of one core that never wait both get on, and neither much more than the other. */
export function preemptionTest(): void {
  for (let i: usize = 0; i < 2; i++) start(spinner.index, i, 0, PRIORITY_USER);
  let alike = false;
  for (let i = 0; i < 100 && !alike; i++) {
    sleep(60 * MILLISECOND);
    const a = atomic.load<u32>(shared + 8);
    const b = atomic.load<u32>(shared + 12);
    alike = a / 4 < b && b / 4 < a;
  }
  atomic.store<u32>(shared, 1);
  join();
  expect(alike, "preemption: one thread gets on and the other hardly");
}

/** Spins on its core at user priority until told to stop. */
function hog(_core: usize): void {
  while (atomic.load<u32>(shared) === 0) atomic.store<u32>(shared + 4, 1);
  finished();
}

function serviceThread(_core: usize): void {
  const queue = changetype<WaitQueue>(shared + 64);
  queueLock(queue);
  while (load<u32>(shared + 8) === 0) waitOn(queue, 0);
  queueUnlock(queue);
  atomic.store<u32>(shared + 12, 1);
  finished();
}

/** A woken service thread preempts a user thread at once: not at its core's next tick, and from another core too. */
export function priorityTest(): void {
  for (let core: u32 = 0; core < coreCount(); core++) {
    memory.fill(shared, 0, 128);
    start(serviceThread.index, 0, core, PRIORITY_SERVICE);
    sleep(MILLISECOND);
    start(hog.index, 0, core, PRIORITY_USER);
    while (atomic.load<u32>(shared + 4) === 0) sleep(MILLISECOND);
    const ticks = core === thisCore().index ? 0 : coreAt(core).timerDeadline;
    atomic.store<u32>(shared + 8, 1);
    wakeOne(changetype<WaitQueue>(shared + 64));
    if (core === thisCore().index) expect(atomic.load<u32>(shared + 12) === 1, "priority: not at once");
    // The hog never waits, so the service thread runs by preemption alone.
    else
      while (atomic.load<u32>(shared + 12) === 0 && coreAt(core).timerDeadline - ticks < 100 * MILLISECOND)
        pause();
    expect(atomic.load<u32>(shared + 12) === 1, "priority: the service thread did not preempt");
    atomic.store<u32>(shared, 1);
    join();
  }
}

/** Cores that have nothing to do are left alone; one that begins to run a thread ticks soon, as if it had never rested. */
export function idleTest(): void {
  sleep(20 * MILLISECOND);
  const before = statsSum(offsetof<Stats>("interrupts"));
  sleep(200 * MILLISECOND);
  const interrupts = statsSum(offsetof<Stats>("interrupts")) - before;
  expect(interrupts <= u64(coreCount() + 2), "idle: a core that has nothing to do is interrupted");
  for (let core: u32 = 1; core < coreCount(); core++) {
    memory.fill(shared, 0, 128);
    start(hog.index, 0, core, PRIORITY_USER);
    while (atomic.load<u32>(shared + 4) === 0) sleep(MILLISECOND);
    const tick = coreAt(core).timerDeadline;
    expect(tick < nanoseconds() + 20 * MILLISECOND, "idle: the tick of a core that runs a thread is far");
    atomic.store<u32>(shared, 1);
    join();
  }
}

function sleeper(argument: usize): void {
  sleep(u64(argument) * MILLISECOND);
  const place = atomic.add<u32>(shared, 1);
  store<u32>(shared + 64 + ((<usize>place) << 2), <u32>argument);
  finished();
}

export function timeoutsTest(): void {
  const queue = changetype<WaitQueue>(shared + 32);
  for (let i: u64 = 1; i <= 5; i++) {
    const begin = nanoseconds();
    expect(!waitOn(queue, i * 500_000), "timeouts: a wait that nobody ends timed out");
    const took = nanoseconds() - begin;
    expect(took >= i * 500_000, "timeouts: too early");
    expect(took < i * 500_000 + LONG, "timeouts: far too late");
  }
  for (let i: u32 = 0; i < 8; i++)
    start(sleeper.index, <usize>((i * 5) % 8) * 3 + 1, i % coreCount(), PRIORITY_USER);
  join();
  expect(atomic.load<u32>(shared) === 8, "timeouts: all sleepers woke");
  if (coreCount() > 1) return; // between cores the order is not promised
  for (let i: usize = 0; i < 8; i++)
    expect(load<u32>(shared + 64 + (i << 2)) === <u32>(i * 3 + 1), "timeouts: order");
}

const ROUNDS: u32 = 2000;

/** Takes the turn when the counter's parity is its own. Two of them play ping-pong. */
function player(parity: usize): void {
  const queue = changetype<WaitQueue>(shared + 64);
  for (let i: u32 = 0; i < ROUNDS; i++) {
    queueLock(queue);
    while ((load<u32>(shared) & 1) !== <u32>parity) {
      expect(waitOn(queue, LONG), "wake-ups: one was lost");
    }
    store<u32>(shared, load<u32>(shared) + 1);
    queueUnlock(queue);
    wakeOne(queue);
  }
  finished();
}

export function wakeTest(): void {
  for (let core: u32 = 0; core < coreCount(); core++) {
    memory.fill(shared, 0, 128);
    start(player.index, 0, 0, PRIORITY_USER);
    start(player.index, 1, core, PRIORITY_USER);
    join();
    expect(load<u32>(shared) === ROUNDS * 2, "wake-ups: turns were lost");
  }
}

function kicked(_argument: usize): void {
  const queue = changetype<WaitQueue>(shared + 64);
  expect(waitOn(queue, 0), "kick: it is no timeout");
  expect(threadCurrent().interrupted === 1, "kick: the thread is told");
  atomic.store<u32>(shared, 1);
  expect(!sleep(60_000 * MILLISECOND), "kick: it ends a sleep");
  finished();
}

function waits(thread: Thread): bool {
  const word = changetype<usize>(thread) + offsetof<Thread>("waitQueue");
  return atomic.load<usize>(word) !== 0;
}

export function kickTest(): void {
  for (let core: u32 = 0; core < coreCount(); core++) {
    atomic.store<u32>(shared, 0);
    const thread = start(kicked.index, 0, core, PRIORITY_KERNEL);
    for (let stage: u32 = 0; stage < 2; stage++) {
      // A kick ends only a wait that has begun.
      while (atomic.load<u32>(shared) < stage || !waits(thread)) sleep(MILLISECOND);
      threadKick(thread);
    }
    join();
  }
}

function brief(argument: usize): void {
  atomic.add<u32>(shared, <u32>argument);
  if (argument & 1) threadYield();
  finished();
}

export function threadsTest(): void {
  for (let i: u32 = 0; i < 300; i++) {
    start(brief.index, <usize>i, i % coreCount(), i & 2 ? PRIORITY_USER : PRIORITY_SERVICE);
    if ((i & 15) === 15) join();
  }
  join();
  expect(atomic.load<u32>(shared) === (299 * 300) / 2, "threads: each ran once");
}
