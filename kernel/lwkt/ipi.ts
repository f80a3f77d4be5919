// IPI messages (promise 41): a function and an argument for another core, in one ring per (source, target) pair, so
// that messages of a pair stay in order and a ring has one writer and one reader: no locked instruction.
//
// `fn` is a table index of (argument: usize) => void. It runs on the target inside a critical section, perhaps with
// interrupts off, and must not block. An active message raises an interrupt. A passive one is only queued: it is
// reaped at the target's next tick, active message or poll.
//
// A sender whose ring is full prods the target and runs the messages that wait for itself, so that two full cores
// empty each other.
//
//   ring: 0 head (written by the source)   64 tail (by the target)   128 entries: fn u32, argument u32
import { pause } from "../arch";
import { apicSend, MESSAGES_VECTOR } from "../machine/apic";
import { Stats } from "../stats";
import { CORE_STATS, Core, coreAt, coreCount, thisCore } from "./core";
import { criticalLeave } from "./critical";

const ENTRIES: u32 = 128;
const TAIL: usize = 64;
const FIRST_ENTRY: usize = 128;
export const RING_BYTES: usize = 128 + 128 * 8;
/** A message that sends while its ring is full runs others within itself; so deep the stack has room. */
const NESTING_MAX: u32 = 24;

function statsOf(core: Core): Stats {
  return changetype<Stats>(changetype<usize>(core) + CORE_STATS);
}

/** Asynchronous. To this core: runs now. Returns when the message is queued. */
export function ipiSend(target: u32, fn: u32, argument: usize): void {
  const core = thisCore();
  core.critical++;
  if (target === core.index) call_indirect<void>(fn, argument);
  else {
    const other = coreAt(target);
    enqueue(core, other, fn, argument);
    statsOf(core).ipisSent++;
    apicSend(other.apicId, MESSAGES_VECTOR);
  }
  criticalLeave(core);
}

/** Passive: no interrupt. */
export function ipiSendPassive(target: u32, fn: u32, argument: usize): void {
  const core = thisCore();
  core.critical++;
  if (target === core.index) call_indirect<void>(fn, argument);
  else {
    enqueue(core, coreAt(target), fn, argument);
    statsOf(core).ipisPassive++;
  }
  criticalLeave(core);
}

/** A passive one, unless half of the ring is taken: then nothing is sent, and nothing waits or runs here, whatever locks are held. */
export function ipiOffer(target: u32, fn: u32, argument: usize): bool {
  const core = thisCore();
  core.critical++;
  const ring = coreAt(target).rings + <usize>core.index * RING_BYTES;
  const room = load<u32>(ring) - atomic.load<u32>(ring, TAIL) < ENTRIES / 2;
  if (room) {
    enqueue(core, coreAt(target), fn, argument);
    statsOf(core).ipisPassive++;
  }
  criticalLeave(core);
  return room;
}

function enqueue(core: Core, target: Core, fn: u32, argument: usize): void {
  const ring = target.rings + <usize>core.index * RING_BYTES;
  while (load<u32>(ring) - atomic.load<u32>(ring, TAIL) === ENTRIES) {
    apicSend(target.apicId, MESSAGES_VECTOR);
    messagesRun(core);
    pause();
  }
  const head = load<u32>(ring); // read again: messagesRun may have sent
  const entry = ring + FIRST_ENTRY + ((head & (ENTRIES - 1)) << 3);
  store<u32>(entry, fn);
  store<u32>(entry, argument, 4);
  store<u32>(ring, head + 1); // after the entry: x86 keeps stores in order
}

/** Runs what waits for this core. In a critical section. */
export function messagesRun(core: Core): void {
  const sources = coreCount();
  core.nesting++;
  assert(core.nesting <= NESTING_MAX, "IPI messages nest too deep");
  for (let source: u32 = 0; source < sources; source++) {
    const ring = core.rings + <usize>source * RING_BYTES;
    while (true) {
      const tail = load<u32>(ring, TAIL);
      if (tail === atomic.load<u32>(ring)) break;
      const entry = ring + FIRST_ENTRY + ((tail & (ENTRIES - 1)) << 3);
      const fn = load<u32>(entry);
      const argument = load<u32>(entry, 4);
      store<u32>(ring, tail + 1, TAIL); // before the call, which may come here again
      call_indirect<void>(fn, argument);
    }
  }
  core.nesting--;
}

/** Runs the messages that wait for this core. */
export function ipiPoll(): void {
  const core = thisCore();
  core.critical++;
  messagesRun(core);
  criticalLeave(core);
}

/** Returns when every other core has run it. Not from an IPI message, not with a spinlock held. */
export function ipiCallAll(fn: u32, argument: usize): void {
  const core = thisCore();
  core.critical++;
  assert(core.callRemaining === 0 && core.nesting === 0, "ipiCallAll within an IPI message");
  const cores = coreCount();
  core.callFunction = fn;
  core.callArgument = argument;
  const remaining = changetype<usize>(core) + offsetof<Core>("callRemaining");
  atomic.store<u32>(remaining, cores - 1);
  for (let target: u32 = 0; target < cores; target++) {
    if (target !== core.index) ipiSend(target, callAnswer.index, changetype<usize>(core));
  }
  while (atomic.load<u32>(remaining) !== 0) {
    messagesRun(core);
    pause();
  }
  criticalLeave(core);
}

function callAnswer(caller: usize): void {
  const core = changetype<Core>(caller);
  call_indirect<void>(core.callFunction, core.callArgument);
  atomic.sub<u32>(caller + offsetof<Core>("callRemaining"), 1);
}
