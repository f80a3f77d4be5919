// Operations on one shared object by every thread of every machine, each with the time before it and after it, for a
// checker of linearizability (test/support/linearizability.ts; Herlihy and Wing: Linearizability, 1990).
// Usage: history KIND [OPERATIONS], 10 of each thread unless told. KIND:
//   xadd      LOCK XADD of 1
//   register  reads, writes by XCHG, LOCK CMPXCHG
//   queue     a ring of 4 values, in a spin lock
//   lock      attempts to take a lock by LOCK CMPXCHG, releases by a plain store
// and with "-broken" behind it the same without what makes it atomic: for showing that the checker sees that.
//
// A line for each operation: history: THREAD NAME ARGUMENTS... = RESULT at INVOKED RETURNED
import { pause, peek32, poke32, rdtsc } from "./arch";
import {
  argumentIs,
  cores,
  decimal,
  exit,
  mapPrivate,
  mapShared,
  meet,
  node,
  nodes,
  numberArgument,
  pageUp,
  programStart,
  text,
  threadJoin,
  threadRun,
} from "./libuser";

const OPERATIONS: u32 = 10;
const OPERATIONS_MAX: u32 = 1000;
const PAGE: usize = 4096;
const XADD: u32 = 0;
const REGISTER: u32 = 1;
const QUEUE: u32 = 2;
const LOCK: u32 = 3;
const KINDS: u32 = 4;

// In the shared page: the object's words, each in a line of its own.
const WORD: usize = 0;
const SPIN: usize = 64;
const HEAD: usize = 128;
const TAIL: usize = 192;
const RING: usize = 256;
const RING_ENTRIES: u32 = 4;
const MEETINGS: usize = 2048;
/** What an empty or a full queue answers, and a lock that is not had. */
const NO: u32 = 0xffff_ffff;

/** What an operation is, for its line. */
const NAME_XADD: u32 = 0;
const NAME_READ: u32 = 1;
const NAME_WRITE: u32 = 2;
const NAME_COMPARE: u32 = 3;
const NAME_PUT: u32 = 4;
const NAME_TAKE: u32 = 5;
const NAME_TRY: u32 = 6;
const NAME_RELEASE: u32 = 7;

@unmanaged
class Operation {
  name: u32 = 0;
  first: u32 = 0;
  second: u32 = 0;
  result: u32 = 0;
  invoked: u64 = 0;
  returned: u64 = 0;
}
const OPERATION_BYTES: usize = 32;

let kind: u32 = KINDS;
let broken: bool = false;
let operations: u32 = 0;
let shared: usize = 0;
let records: usize = 0;
let firstThread: u32 = 0;

function kindName(number: u32): string {
  if (number === XADD) return "xadd";
  if (number === REGISTER) return "register";
  return number === QUEUE ? "queue" : "lock";
}
function brokenName(number: u32): string {
  if (number === XADD) return "xadd-broken";
  if (number === REGISTER) return "register-broken";
  return number === QUEUE ? "queue-broken" : "lock-broken";
}
function operationName(number: u32): string {
  if (number === NAME_XADD) return "xadd";
  if (number === NAME_READ) return "read";
  if (number === NAME_WRITE) return "write";
  if (number === NAME_COMPARE) return "compare";
  if (number === NAME_PUT) return "put";
  if (number === NAME_TAKE) return "take";
  return number === NAME_TRY ? "try" : "release";
}

export function start(stack: u64): void {
  programStart(stack);
  for (let i: u32 = 0; i < KINDS; i++) {
    if (argumentIs(1, kindName(i))) kind = i;
    if (argumentIs(1, brokenName(i))) {
      kind = i;
      broken = true;
    }
  }
  operations = u32(numberArgument(2, OPERATIONS));
  if (kind === KINDS || operations === 0 || operations > OPERATIONS_MAX) {
    text("usage: history xadd|register|queue|lock[-broken] [OPERATIONS], up to 1000\n");
    exit(2);
  }
  const here = cores();
  firstThread = here * (node() - 1);
  shared = mapShared("/shm/history", PAGE);
  records = mapPrivate(pageUp(usize(here * operations) * OPERATION_BYTES));
  meet(shared + MEETINGS, nodes());
  const running = mapPrivate(PAGE);
  for (let i: u32 = 0; i < here; i++) store<usize>(running + (usize(i) << 2), threadRun(work.index, i));
  for (let i: u32 = 0; i < here; i++) threadJoin(load<usize>(running + (usize(i) << 2)));
  for (let thread: u32 = 0; thread < here; thread++)
    for (let i: u32 = 0; i < operations; i++) print(firstThread + thread, operationOf(thread, i));
  meet(shared + MEETINGS, nodes());
  exit(0);
}

function operationOf(thread: u32, index: u32): Operation {
  return changetype<Operation>(records + usize(thread * operations + index) * OPERATION_BYTES);
}

function print(thread: u32, operation: Operation): void {
  text("history: ");
  decimal(u64(thread));
  text(" ");
  text(operationName(operation.name));
  text(" ");
  decimal(u64(operation.first));
  text(" ");
  decimal(u64(operation.second));
  text(" = ");
  if (operation.result === NO) text("no");
  else decimal(u64(operation.result));
  text(" at ");
  decimal(operation.invoked);
  text(" ");
  decimal(operation.returned);
  text("\n");
}

// --- working ---

const WAIT_MAX: u32 = 0x3fff;

function work(index: usize): void {
  const thread = firstThread + u32(index);
  let random = thread * 0x9e37_79b1 + 1;
  let holding = false;
  for (let i: u32 = 0; i < operations; i++) {
    random = random * 1_664_525 + 1_013_904_223 + u32(rdtsc() & 1);
    linger(random >> 8);
    const operation = operationOf(u32(index), i);
    choose(operation, random >> 24, thread * operations + i + 1, holding);
    operation.invoked = rdtsc();
    operation.result = perform(operation, thread);
    operation.returned = rdtsc();
    if (operation.name === NAME_TRY) holding = operation.result === 1;
    if (operation.name === NAME_RELEASE) holding = false;
  }
}

function linger(drawn: u32): void {
  const begin = rdtsc();
  const wait = u64(drawn & WAIT_MAX);
  while (rdtsc() - begin < wait) pause();
}

/** Which operation comes next; `fresh` is a value that nobody else uses. */
function choose(operation: Operation, drawn: u32, fresh: u32, holding: bool): void {
  if (kind === XADD) operation.name = NAME_XADD;
  else if (kind === QUEUE) {
    operation.name = drawn & 1 ? NAME_PUT : NAME_TAKE;
    if (drawn & 1) operation.first = fresh;
  } else if (kind === LOCK) operation.name = holding ? NAME_RELEASE : NAME_TRY;
  else {
    operation.name = NAME_READ + (drawn % 3);
    operation.first = operation.name === NAME_READ ? 0 : drawn & 3;
    operation.second = operation.name === NAME_COMPARE ? (drawn >> 2) & 3 : 0;
  }
}

function perform(operation: Operation, thread: u32): u32 {
  const word = shared + WORD;
  switch (operation.name) {
    case NAME_XADD:
      return broken ? addSlowly(word) : atomic.add<u32>(word, 1);
    case NAME_READ:
      return peek32(u64(word));
    case NAME_WRITE:
      return atomic.xchg<u32>(word, operation.first);
    case NAME_COMPARE:
      if (broken) return compareSlowly(word, operation.first, operation.second);
      return atomic.cmpxchg<u32>(word, operation.first, operation.second);
    case NAME_TRY:
      if (broken) return compareSlowly(word, 0, thread + 1) === 0 ? 1 : NO;
      return atomic.cmpxchg<u32>(word, 0, thread + 1) === 0 ? 1 : NO;
    case NAME_RELEASE:
      poke32(u64(word), 0);
      return 1;
    default:
      return inQueue(operation);
  }
}

// What is not atomic takes its time between the read and the write.
const SLOWLY: u32 = 16_000;

function addSlowly(word: usize): u32 {
  const old = peek32(u64(word));
  linger(SLOWLY);
  poke32(u64(word), old + 1);
  return old;
}
function compareSlowly(word: usize, wanted: u32, value: u32): u32 {
  const old = peek32(u64(word));
  linger(SLOWLY);
  if (old === wanted) poke32(u64(word), value);
  return old;
}

function inQueue(operation: Operation): u32 {
  const spin = shared + SPIN;
  if (!broken) while (atomic.xchg<u32>(spin, 1) !== 0) pause();
  const result = operation.name === NAME_PUT ? put(operation.first) : take();
  if (!broken) poke32(u64(spin), 0);
  return result;
}
function put(value: u32): u32 {
  const tail = peek32(u64(shared + TAIL));
  if (tail - peek32(u64(shared + HEAD)) === RING_ENTRIES) return NO;
  poke32(u64(shared + RING + (usize(tail % RING_ENTRIES) << 2)), value);
  if (broken) linger(SLOWLY);
  poke32(u64(shared + TAIL), tail + 1);
  return 1;
}
function take(): u32 {
  const head = peek32(u64(shared + HEAD));
  if (head === peek32(u64(shared + TAIL))) return NO;
  const value = peek32(u64(shared + RING + (usize(head % RING_ENTRIES) << 2)));
  if (broken) linger(SLOWLY);
  poke32(u64(shared + HEAD), head + 1);
  return value;
}
