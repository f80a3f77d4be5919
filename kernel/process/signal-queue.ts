// The signals that wait for a thread or for a process as a whole, in the order in which they came (signal(7)): one of each standard signal, which further ones are
// the same as, and as many as there are of the real-time signals, up to a limit. All of it under the process's lock.
import { allocate, release } from "../memory/slab";
import { SIGNALS, SIGRTMIN, signalBit } from "./signal-numbers";

/** Real-time signals that may wait in one queue (RLIMIT_SIGPENDING; POSIX wants 32 at least). */
export const QUEUED_MOST: u32 = 32;
/** Of a signal that is written down: signal u32, si_code u32, si_pid u32, 0 u32, si_value u64. */
export const SIGNAL_BYTES: usize = 24;

@unmanaged
class Queued {
  next: usize = 0;
  signal: u32 = 0;
  /** si_code, si_pid, si_value */
  code: u32 = 0;
  sender: u32 = 0;
  value: u64 = 0;
}

@unmanaged
export class SignalQueue {
  /** Bit n-1: signal n waits. */
  pending: u64 = 0;
  first: usize = 0;
  last: usize = 0;
  realTime: u32 = 0;
}

/** What a handler is told. */
@unmanaged
export class SignalInfo {
  signal: u32 = 0;
  code: u32 = 0;
  /** si_addr of a fault, else si_pid. */
  address: u64 = 0;
  trap: u64 = 0;
  error: u64 = 0;
  value: u64 = 0;
}

export function signalQueueCreate(): SignalQueue {
  return changetype<SignalQueue>(allocate(offsetof<SignalQueue>()));
}

export function signalQueueDestroy(queue: SignalQueue): void {
  queueForget(queue, ~(<u64>0));
  release(changetype<usize>(queue));
}

/** False: there is no room for another one; that the signal waits is known even so. */
export function queuePut(queue: SignalQueue, signal: u32, code: u32, sender: u32, value: u64): bool {
  const waits = (queue.pending & signalBit(signal)) !== 0;
  queue.pending |= signalBit(signal);
  if (signal < SIGRTMIN ? waits : queue.realTime >= QUEUED_MOST) return signal < SIGRTMIN;
  const entry = changetype<Queued>(allocate(offsetof<Queued>()));
  entry.signal = signal;
  entry.code = code;
  entry.sender = sender;
  entry.value = value;
  entry.next = 0;
  if (queue.last !== 0) changetype<Queued>(queue.last).next = changetype<usize>(entry);
  else queue.first = changetype<usize>(entry);
  queue.last = changetype<usize>(entry);
  if (signal >= SIGRTMIN) queue.realTime++;
  return true;
}

/** The first of that signal goes, and is described; it waits no more if it was the only one. */
export function queueTake(queue: SignalQueue, signal: u32, info: SignalInfo): void {
  info.signal = signal;
  info.code = 0;
  info.address = info.trap = info.error = info.value = 0;
  const before = find(queue, signal);
  const at = next(queue, before);
  if (at !== 0) {
    const entry = changetype<Queued>(at);
    info.code = entry.code;
    info.address = u64(entry.sender);
    info.value = entry.value;
    drop(queue, before);
  }
  if (next(queue, find(queue, signal)) === 0) queue.pending &= ~signalBit(signal);
}

/** All of these signals go. */
export function queueForget(queue: SignalQueue, signals: u64): void {
  queue.pending &= ~signals;
  let before: usize = 0;
  for (let at = queue.first; at !== 0; at = next(queue, before)) {
    if (signals & signalBit(changetype<Queued>(at).signal)) drop(queue, before);
    else before = at;
  }
}

/** Behind an entry, or the first (0). */
function next(queue: SignalQueue, before: usize): usize {
  return before === 0 ? queue.first : changetype<Queued>(before).next;
}

/** What stands before the first one of that signal, 0 = nothing; or the last of all, if there is none. */
function find(queue: SignalQueue, signal: u32): usize {
  let before: usize = 0;
  for (let at = queue.first; at !== 0 && changetype<Queued>(at).signal !== signal; at = next(queue, at))
    before = at;
  return before;
}

function drop(queue: SignalQueue, before: usize): void {
  const entry = changetype<Queued>(next(queue, before));
  if (before === 0) queue.first = entry.next;
  else changetype<Queued>(before).next = entry.next;
  if (queue.last === changetype<usize>(entry)) queue.last = before;
  if (entry.signal >= SIGRTMIN) queue.realTime--;
  release(changetype<usize>(entry));
}

// --- Elsewhere ---

export function queueBytes(queue: SignalQueue): usize {
  let bytes: usize = 0;
  for (let at = queue.first; at !== 0; at = next(queue, at)) bytes += SIGNAL_BYTES;
  return bytes;
}

/** Writes down all that wait, queueBytes() of them. */
export function queueWrite(queue: SignalQueue, to: usize): void {
  for (let at = queue.first; at !== 0; at = next(queue, at)) {
    const entry = changetype<Queued>(at);
    signalWrite(to, entry.signal, entry.code, entry.sender, entry.value);
    to += SIGNAL_BYTES;
  }
}

/** What waits in the other one as well, behind those that wait here already. */
export function queueAppend(queue: SignalQueue, other: SignalQueue): void {
  for (let at = other.first; at !== 0; at = next(other, at)) {
    const entry = changetype<Queued>(at);
    queuePut(queue, entry.signal, entry.code, entry.sender, entry.value);
  }
}

/** What was written down, behind those that wait already. Signals that there are not are left out. */
export function queueRead(queue: SignalQueue, from: usize, bytes: usize): void {
  for (const end = from + bytes; from + SIGNAL_BYTES <= end; from += SIGNAL_BYTES) signalRead(queue, from);
}

export function signalWrite(to: usize, signal: u32, code: u32, sender: u32, value: u64): void {
  store<u32>(to, signal);
  store<u32>(to, code, 4);
  store<u32>(to, sender, 8);
  store<u32>(to, 0, 12);
  store<u64>(to, value, 16);
}

export function signalRead(queue: SignalQueue, from: usize): void {
  const signal = load<u32>(from);
  if (signal >= 1 && signal <= SIGNALS)
    queuePut(queue, signal, load<u32>(from, 4), load<u32>(from, 8), load<u64>(from, 16));
}
