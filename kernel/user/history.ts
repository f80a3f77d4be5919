// Operations on one shared object by every thread of every machine, each with the time before it and after it, for a
// checker of linearizability (test/support/linearizability.ts; Herlihy and Wing: Linearizability, 1990).
// Usage: history KIND [OPERATIONS] [UNTIL], 10 of each thread unless told. KIND:
//   xadd      LOCK XADD of 1
//   register  reads, writes by XCHG, LOCK CMPXCHG
//   queue     a ring of 4 values, in a spin lock
//   lock      attempts to take a lock by LOCK CMPXCHG, releases by a plain store
// and with "-broken" behind it the same without what makes it atomic: for showing that the checker sees that.
//
// A line for each operation: history: THREAD NAME ARGUMENTS... = RESULT at INVOKED RETURNED
//
// With UNTIL, milliseconds of the time stamp counter from its zero, machines may die meanwhile: threads rest between
// operations and begin none after that time, nobody waits for anybody in the end, and each operation is told as it comes:
//   history: THREAD NAME ARGUMENTS... begins INVOKED
//   history: THREAD NAME ARGUMENTS... = RESULT at INVOKED RETURNED
// The RESULT is "unknown" of one whose thread was told by SIGBUS, at RETURNED, that it failed: nobody knows whether it was
// done. The thread goes on with the next. It is "none" of one that was not done: the queue's lock was not to be had.
import { pause, peek32, poke32, rdtsc, syscall } from "./arch";
import {
  argumentIs,
  catchBusErrors,
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
  threadRun,
  waitWhile,
  wakeAll,
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
const UNKNOWN: u32 = 0xffff_fffe;
const NONE: u32 = 0xffff_fffd;

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

/** One thread of this machine. */
@unmanaged
class Player {
  /** 1: it does nothing any more. What the first thread waits for. */
  over: u32 = 0;
  /** As the kernel knows it: for the handler of SIGBUS. */
  id: u32 = 0;
  index: u32 = 0;
  /** Among those of all machines. */
  thread: u32 = 0;
  /** Its next operation, which is under way or not. */
  next: u32 = 0;
  underWay: u32 = 0;
  random: u32 = 0;
  /** It has the lock. */
  holding: u32 = 0;
  /** A timespec. */
  seconds: u64 = 0;
  nanoseconds: u64 = 0;
}
const PLAYER_BYTES: usize = 64;
const PLAYERS_MAX: u32 = 64;

let kind: u32 = KINDS;
let broken: bool = false;
let operations: u32 = 0;
let shared: usize = 0;
let records: usize = 0;
let players: usize = 0;
let here: u32 = 0;
/** By the time stamp counter; 0: nothing happens to machines. */
let until: u64 = 0;

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
  until = numberArgument(3, 0) * MILLISECOND;
  here = cores();
  if (kind === KINDS || operations === 0 || operations > OPERATIONS_MAX || here > PLAYERS_MAX) {
    text("usage: history xadd|register|queue|lock[-broken] [OPERATIONS] [UNTIL], up to 1000\n");
    exit(2);
  }
  shared = mapShared("/shm/history", PAGE);
  records = mapPrivate(pageUp(usize(here * operations) * OPERATION_BYTES));
  players = mapPrivate(PAGE);
  if (until !== 0) catchBusErrors(struck.index);
  meet(shared + MEETINGS, nodes());
  for (let i: u32 = 0; i < here; i++) threadRun(work.index, i);
  for (let i: u32 = 0; i < here; i++) waitWhile(changetype<usize>(playerAt(i)), 0);
  if (until !== 0) exit(0);
  for (let thread: u32 = 0; thread < here; thread++)
    for (let i: u32 = 0; i < operations; i++) print(playerAt(thread), operationOf(thread, i), true);
  meet(shared + MEETINGS, nodes());
  exit(0);
}

function playerAt(index: u32): Player {
  return changetype<Player>(players + usize(index) * PLAYER_BYTES);
}
function operationOf(thread: u32, index: u32): Operation {
  return changetype<Operation>(records + usize(thread * operations + index) * OPERATION_BYTES);
}

function print(player: Player, operation: Operation, returned: bool): void {
  while (atomic.xchg<u32>(printing, 1) !== 0) pause();
  text("history: ");
  decimal(u64(player.thread));
  text(" ");
  text(operationName(operation.name));
  text(" ");
  decimal(u64(operation.first));
  text(" ");
  decimal(u64(operation.second));
  if (returned) {
    text(" = ");
    if (operation.result === NO) text("no");
    else if (operation.result === UNKNOWN) text("unknown");
    else if (operation.result === NONE) text("none");
    else decimal(u64(operation.result));
    text(" at ");
  } else text(" begins ");
  decimal(operation.invoked);
  if (returned) {
    text(" ");
    decimal(operation.returned);
  }
  text("\n");
  atomic.store<u32>(printing, 0);
}
/** A word: one thread prints at a time. */
const printing: usize = memory.data(8, 8);

// --- working ---

const WAIT_MAX: u32 = 0x3fff;
const REST_MAX: u32 = 0x7_ffff;
const MILLISECOND: u64 = 1_000_000;

function work(index: usize): void {
  const player = playerAt(u32(index));
  player.index = u32(index);
  player.thread = here * (node() - 1) + u32(index);
  player.id = u32(syscall(GETTID, 0, 0, 0, 0, 0, 0));
  player.random = player.thread * 0x9e37_79b1 + 1;
  playOn(player);
}

/** The operations that are left. */
function playOn(player: Player): void {
  for (; player.next < operations && (until === 0 || rdtsc() < until); player.next++) {
    const random = player.random * 1_664_525 + 1_013_904_223 + u32(rdtsc() & 1);
    player.random = random;
    if (until === 0) linger(random >> 8);
    else rest(player, (random >> 8) & REST_MAX);
    const operation = operationOf(player.index, player.next);
    const fresh = player.thread * operations + player.next + 1;
    choose(operation, random >> 24, fresh, player.holding !== 0);
    operation.invoked = rdtsc();
    if (until !== 0) print(player, operation, false);
    atomic.store<u32>(changetype<usize>(player) + offsetof<Player>("underWay"), 1);
    operation.result = perform(operation, player);
    ended(player, operation);
    if (operation.name === NAME_TRY) player.holding = u32(operation.result === 1);
    if (operation.name === NAME_RELEASE) player.holding = 0;
  }
  atomic.store<u32>(changetype<usize>(player), 1);
  wakeAll(changetype<usize>(player));
}

function ended(player: Player, operation: Operation): void {
  operation.returned = rdtsc();
  atomic.store<u32>(changetype<usize>(player) + offsetof<Player>("underWay"), 0);
  if (until !== 0) print(player, operation, true);
}

function rest(player: Player, nanoseconds: u32): void {
  player.nanoseconds = u64(nanoseconds);
  const span = u64(changetype<usize>(player) + offsetof<Player>("seconds"));
  syscall(NANOSLEEP, span, 0, 0, 0, 0, 0);
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

function perform(operation: Operation, player: Player): u32 {
  const thread = player.thread;
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
      return inQueue(operation, player);
  }
}

const LOCK_REST: u32 = 20_000;

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

/** The lock's word names the thread that has it, so that one that was struck finds out whether it has. */
function inQueue(operation: Operation, player: Player): u32 {
  const spin = shared + SPIN;
  while (!broken && atomic.cmpxchg<u32>(spin, 0, player.thread + 1) !== 0) {
    if (until === 0) pause();
    else if (rdtsc() >= until)
      return NONE; // who has it may be dead
    else rest(player, LOCK_REST);
  }
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

// --- being struck ---

const NANOSLEEP: u64 = 35;
const EXIT: u64 = 60;
const GETTID: u64 = 186;

/** The handler, in which the thread plays on to its end. */
function struck(signal: usize): void {
  const id = u32(syscall(GETTID, 0, 0, 0, 0, 0, 0));
  for (let i: u32 = 0; i < here; i++) {
    const player = playerAt(i);
    if (player.id !== id) continue;
    if (player.underWay !== 0) {
      const operation = operationOf(i, player.next++);
      operation.result = UNKNOWN;
      ended(player, operation);
    }
    recover(player); // may be struck again
    playOn(player);
    syscall(EXIT, 0, 0, 0, 0, 0, 0);
  }
  text("history: a signal out of place: ");
  decimal(u64(signal));
  text("\n");
  exit(1);
}

/** After an unknown outcome: a lock that names this thread is its own, to be let go of as it would be otherwise. */
function recover(player: Player): void {
  const mine = player.thread + 1;
  if (kind === LOCK) player.holding = u32(peek32(u64(shared + WORD)) === mine);
  if (kind === QUEUE && peek32(u64(shared + SPIN)) === mine) poke32(u64(shared + SPIN), 0);
}
