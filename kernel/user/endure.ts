// Goes on whatever happens to the cluster: for `buslock run --chaos`, which judges what it prints. Every core of every
// machine adds to one word that all map, by LOCK XADD, again and again with a short rest, until the time is over.
// Usage: endure [MILLISECONDS] [PACE]: 1000 unless told, counted by the time stamp counter from its zero; all rests are PACE
// times as long as they were (1), for machines that run in real time, where each letter on the console is dear.
//
//   ledger: THREAD OLD INVOKED RETURNED     an addition that returned OLD; times in nanoseconds
//   ledger: THREAD failed INVOKED TOLD      one whose thread was told, by SIGBUS, that the page is lost or out of reach:
//                                           nobody knows whether it was done
//   ledger: THREAD shut ERROR TIME          the file could not be opened
//   ledger: rounds N TIME                   the first thread has done private work meanwhile, which needs no other machine
//
// A thread that was struck is over, and another begins in its place with a new mapping. Nothing that is printed needs
// shared memory, so a machine that is cut off goes on telling.
import { rdtsc, syscall, threadStart } from "./arch";
import {
  catchBusErrors,
  cores,
  decimal,
  exit,
  mapPrivate,
  node,
  numberArgument,
  programStart,
  text,
} from "./libuser";

const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const MUNMAP: u64 = 11;
const NANOSLEEP: u64 = 35;
const EXIT: u64 = 60;
const FTRUNCATE: u64 = 77;
const GETTID: u64 = 186;
const O_RDWR_CREAT: u64 = 0o102;
const PROT_READ_WRITE: u64 = 3;
const MAP_SHARED_LOW: u64 = 0x41;

const PAGE: usize = 4096;
const WORKERS_MAX: u32 = 16;
const MILLISECOND: u64 = 1_000_000;
const MICROSECOND: u64 = 1_000;
const REST_LEAST: u64 = 200 * MICROSECOND;
const REST_MORE: u32 = 0x3_ffff; // nanoseconds
const ROUND: u64 = 5 * MILLISECOND;
const STACK_BYTES: usize = 16384;
/** A thread that is over may still stand on its stack for a few instructions: the one before the last is free. */
const STACKS: usize = 3;

/** Worker.state */
const RUNNING: u32 = 1;
const OVER: u32 = 2;

@unmanaged
class Record {
  old: u64 = 0;
  invoked: u64 = 0;
  returned: u64 = 0;
}
const RECORD_BYTES: usize = 24;
const RECORDS: u32 = 4096;

@unmanaged
class Worker {
  state: u32 = 0;
  id: u32 = 0;
  /** Records written by the worker and printed by the first thread; both only grow. */
  written: u32 = 0;
  printed: u32 = 0;
  mapping: usize = 0;
  /** Of the addition under way; 0: none. */
  invoked: u64 = 0;
  /** When it was struck; the error with which the file did not open, and when. */
  struckAt: u64 = 0;
  shut: u64 = 0;
  shutAt: u64 = 0;
  records: usize = 0;
  stacks: usize = 0;
  lives: u32 = 0;
  random: u32 = 0;
}
const WORKER_BYTES: usize = 96;

const workers: usize = memory.data(1536, 8);
let workerCount: u32 = 0;
let path: usize = 0;
let endsAt: u64 = 0;
let pace: u64 = 1;

function workerAt(index: u32): Worker {
  return changetype<Worker>(workers + usize(index) * WORKER_BYTES);
}

export function start(stack: u64): void {
  programStart(stack);
  assert(offsetof<Worker>("random") + 4 <= WORKER_BYTES);
  endsAt = numberArgument(1, 1000) * MILLISECOND;
  pace = max<u64>(1, numberArgument(2, 1));
  path = mapPrivate(PAGE);
  const name = "/shm/endure";
  for (let i = 0; i < name.length; i++) store<u8>(path + usize(i), u8(name.charCodeAt(i)));
  catchBusErrors(struck.index);
  workerCount = min<u32>(cores(), WORKERS_MAX);
  for (let i: u32 = 0; i < workerCount; i++) {
    const worker = workerAt(i);
    worker.records = mapPrivate(usize(RECORDS) * RECORD_BYTES);
    worker.stacks = mapPrivate(STACKS * STACK_BYTES);
    worker.random = node() * 977 + i + 1;
    begin(worker);
  }
  let rounds: u64 = 0;
  while (rdtsc() < endsAt) {
    rest(ROUND * pace);
    rounds++;
    for (let i: u32 = 0; i < workerCount; i++) look(workerAt(i), i);
    text("ledger: rounds ");
    decimal(rounds);
    text(" ");
    decimal(rdtsc());
    text("\n");
  }
  leave();
}

/** No thread adds any more, or has been told; all has been printed. */
function leave(): void {
  let adds: u64 = 0;
  let failures: u64 = 0;
  for (let i: u32 = 0; i < workerCount; i++) {
    const worker = workerAt(i);
    while (atomic.load<u32>(changetype<usize>(worker)) === RUNNING) rest(MILLISECOND);
    look(worker, i);
    adds += u64(worker.printed);
    failures += u64(worker.lives - 1);
  }
  text("endure: machine ");
  decimal(u64(node()));
  text(" added ");
  decimal(adds);
  text(", told of a loss ");
  decimal(failures);
  text("\n");
  exit(0);
}

/** Prints what is new of a worker, and lets another begin if it was struck. */
function look(worker: Worker, index: u32): void {
  const written = atomic.load<u32>(changetype<usize>(worker) + offsetof<Worker>("written"));
  while (worker.printed !== written) {
    const record = recordAt(worker, worker.printed);
    said(index);
    decimal(record.old);
    times(record.invoked, record.returned);
    atomic.store<u32>(changetype<usize>(worker) + offsetof<Worker>("printed"), worker.printed + 1);
  }
  if (worker.shutAt !== 0) {
    said(index);
    text("shut ");
    times(worker.shut, worker.shutAt);
    worker.shutAt = 0;
  }
  if (atomic.load<u32>(changetype<usize>(worker)) !== OVER || worker.struckAt === 0) return;
  said(index);
  text("failed");
  times(worker.invoked, worker.struckAt);
  worker.struckAt = 0;
  begin(worker);
}

function said(index: u32): void {
  text("ledger: ");
  decimal(u64(index));
  text(" ");
}
function times(first: u64, second: u64): void {
  text(" ");
  decimal(first);
  text(" ");
  decimal(second);
  text("\n");
}

function recordAt(worker: Worker, number: u32): Record {
  return changetype<Record>(worker.records + usize(number % RECORDS) * RECORD_BYTES);
}

/** For any thread, on its own stack's behalf: no memory is shared but what the kernel reads at once. */
function rest(time: u64): void {
  const span = changetype<usize>(sleeping) + (usize(u32(syscall(GETTID, 0, 0, 0, 0, 0, 0)) & 63) << 4);
  store<u64>(span, 0);
  store<u64>(span + 8, time);
  syscall(NANOSLEEP, u64(span), 0, 0, 0, 0, 0);
}
const sleeping: usize = memory.data(1024, 8);

// --- A worker ---

function begin(worker: Worker): void {
  const top = worker.stacks + (usize(worker.lives % u32(STACKS)) + 1) * STACK_BYTES;
  worker.lives++;
  atomic.store<u32>(changetype<usize>(worker), RUNNING);
  if (threadStart(work.index, changetype<usize>(worker), top) < 0) {
    text("endure: no thread\n");
    exit(1);
  }
}

function work(argument: usize): void {
  const worker = changetype<Worker>(argument);
  worker.id = u32(syscall(GETTID, 0, 0, 0, 0, 0, 0));
  if (worker.mapping !== 0) syscall(MUNMAP, u64(worker.mapping), u64(PAGE), 0, 0, 0, 0);
  worker.mapping = 0;
  while (rdtsc() < endsAt) {
    if (worker.mapping === 0 && !map(worker)) {
      rest(MILLISECOND);
      continue;
    }
    add(worker);
    worker.random = worker.random * 1_664_525 + 1_013_904_223;
    rest((REST_LEAST + u64((worker.random >> 8) & REST_MORE)) * pace);
    const printed = argument + offsetof<Worker>("printed");
    while (worker.written - atomic.load<u32>(printed) >= RECORDS - 1) rest(MILLISECOND);
  }
  atomic.store<u32>(argument, OVER);
}

function add(worker: Worker): void {
  const record = recordAt(worker, worker.written);
  const begun = rdtsc();
  atomic.store<u64>(changetype<usize>(worker) + offsetof<Worker>("invoked"), begun);
  record.old = atomic.add<u64>(worker.mapping, 1);
  record.invoked = begun;
  record.returned = rdtsc();
  atomic.store<u32>(changetype<usize>(worker) + offsetof<Worker>("written"), worker.written + 1);
}

function map(worker: Worker): bool {
  const fd = syscall(OPEN, u64(path), O_RDWR_CREAT, 0o600, 0, 0, 0);
  if (fd < 0) return shut(worker, fd);
  const sized = syscall(FTRUNCATE, u64(fd), u64(PAGE), 0, 0, 0, 0);
  const at = sized < 0 ? sized : syscall(MMAP, 0, u64(PAGE), PROT_READ_WRITE, MAP_SHARED_LOW, u64(fd), 0);
  syscall(CLOSE, u64(fd), 0, 0, 0, 0, 0);
  if (at < 0) return shut(worker, at);
  worker.mapping = usize(at);
  return true;
}

function shut(worker: Worker, error: i64): bool {
  worker.shut = u64(-error);
  atomic.store<u64>(changetype<usize>(worker) + offsetof<Worker>("shutAt"), rdtsc());
  return false;
}

// --- Being struck ---

/** The handler: the thread whose addition failed is over. */
function struck(signal: usize): void {
  const id = u32(syscall(GETTID, 0, 0, 0, 0, 0, 0));
  for (let i: u32 = 0; i < workerCount; i++) {
    const worker = workerAt(i);
    if (worker.id !== id || atomic.load<u32>(changetype<usize>(worker)) !== RUNNING) continue;
    atomic.store<u64>(changetype<usize>(worker) + offsetof<Worker>("struckAt"), rdtsc());
    atomic.store<u32>(changetype<usize>(worker), OVER);
    syscall(EXIT, 0, 0, 0, 0, 0, 0);
  }
  text("endure: a signal out of place: ");
  decimal(u64(signal));
  text("\n");
  exit(1);
}
