// What user programs written in the dialect share: system calls, console text, arguments and environment, shared files,
// threads, sleeping and meeting. Linux x86-64 system calls only, so a program runs on a plain Linux as well.
//
// Memory: a wasm address is a virtual address below 4 GiB, so everything mapped here is mapped low (MAP_32BIT). The
// text buffer belongs to the thread that called programStart; other threads do not print.
import { codeOf, peek8, peek64, syscall, threadStart } from "./arch";

const WRITE: u64 = 1;
const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const CLOCK_GETTIME: u64 = 228;
const EXIT_GROUP: u64 = 231;
const FTRUNCATE: u64 = 77;
const FUTEX: u64 = 202;
const SCHED_GETAFFINITY: u64 = 204;

const CLOCK_MONOTONIC: u64 = 1;
const PROT_READ_WRITE: u64 = 3;
const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_32BIT: u64 = 0x40;
const O_RDWR_CREAT: u64 = 0o102;
/** FUTEX_WAIT and FUTEX_WAKE without FUTEX_PRIVATE_FLAG: the word may be other machines' too. */
const FUTEX_WAIT: u64 = 0;
const FUTEX_WAKE: u64 = 1;
const EVERYBODY: u64 = 0x7fff_ffff;
const PAGE: usize = 4096;

let initialStack: u64 = 0;

/** First thing in `start`. */
export function programStart(stack: u64): void {
  initialStack = stack;
}

export function exit(status: u32): void {
  flush();
  syscall(EXIT_GROUP, u64(status), 0, 0, 0, 0, 0);
}

/** Says what went wrong, with the error's number, and ends the program with status 1. */
export function fail(what: string, result: i64): void {
  text(what);
  text(": error ");
  decimal(u64(-result));
  text("\n");
  exit(1);
}

// --- Text: gathered, and written in whole lines ---

const LINE_BYTES: usize = 256;
const line: usize = memory.data(256);
let lineBytes: usize = 0;

export function text(words: string): void {
  for (let i = 0; i < words.length; i++) letter(u32(words.charCodeAt(i)));
}

export function letter(code: u32): void {
  store<u8>(line + lineBytes++, u8(code));
  if (code === 0x0a || lineBytes === LINE_BYTES) flush();
}

export function decimal(value: u64): void {
  if (value >= 10) decimal(value / 10);
  letter(0x30 + u32(value % 10));
}

/** A zero-terminated text anywhere in memory. */
export function textAt(address: u64): void {
  for (let at = address; peek8(at) !== 0; at++) letter(peek8(at));
}

export function flush(): void {
  if (lineBytes === 0) return;
  syscall(WRITE, 1, u64(line), u64(lineBytes), 0, 0, 0);
  lineBytes = 0;
}

// --- Arguments and environment: argc, argv ..., 0, envp ..., 0 at the initial stack pointer ---

export function argumentCount(): u32 {
  return u32(peek64(initialStack));
}

/** Address of argument `index`'s text, 0 when there are not so many. */
export function argument(index: u32): u64 {
  return index < argumentCount() ? peek64(initialStack + 8 + (u64(index) << 3)) : 0;
}

export function argumentIs(index: u32, word: string): bool {
  const at = argument(index);
  return at !== 0 && begins(at, word) && peek8(at + u64(word.length)) === 0;
}

function begins(address: u64, word: string): bool {
  for (let i = 0; i < word.length; i++) {
    if (peek8(address + u64(i)) !== u32(word.charCodeAt(i))) return false;
  }
  return true;
}

/** The decimal number at an address, `otherwise` when there is none. */
export function numberAt(address: u64, otherwise: u64): u64 {
  if (address === 0 || peek8(address) - 0x30 > 9) return otherwise;
  let value: u64 = 0;
  for (let at = address; peek8(at) - 0x30 <= 9; at++) value = value * 10 + u64(peek8(at) - 0x30);
  return value;
}

/** The decimal number that an argument is, `otherwise` without one; anything else ends the program with status 2. */
export function numberArgument(index: u32, otherwise: u64): u64 {
  const at = argument(index);
  if (at === 0) return otherwise;
  let end = at;
  while (peek8(end) - 0x30 <= 9) end++;
  if (end === at || peek8(end) !== 0) {
    textAt(argument(0));
    text(": ");
    textAt(at);
    text(": wanted a number\n");
    exit(2);
  }
  return numberAt(at, otherwise);
}

/** The number in an environment variable; `name` ends with "=". */
export function environmentNumber(name: string, otherwise: u64): u64 {
  let at = initialStack + 8 + ((u64(argumentCount()) + 1) << 3);
  for (; peek64(at) !== 0; at += 8) {
    if (begins(peek64(at), name)) return numberAt(peek64(at) + u64(name.length), otherwise);
  }
  return otherwise;
}

/** SIGBUS goes to this function, by its number in the table, on the stack of the thread that is struck. It never returns. */
export function catchBusErrors(handler: u32): void {
  const action = mapPrivate(PAGE);
  store<u64>(action, codeOf(handler));
  store<u64>(action + 8, SA_RESTORER | SA_NODEFER);
  store<u64>(action + 16, codeOf(handler)); // the kernel wants one, to which nobody returns
  syscall(RT_SIGACTION, SIGBUS, u64(action), 0, 8, 0, 0);
}
const RT_SIGACTION: u64 = 13;
const SIGBUS: u64 = 7;
const SA_RESTORER: u64 = 0x0400_0000;
const SA_NODEFER: u64 = 0x4000_0000;

/** This machine's number in the cluster, from 1, and the number of machines. */
export function node(): u32 {
  return u32(environmentNumber("BUSLOCK_NODE=", 1));
}
export function nodes(): u32 {
  return u32(environmentNumber("BUSLOCK_NODES=", 1));
}

/** Cores that this program may use. */
export function cores(): u32 {
  const mask = mapPrivate(PAGE);
  const bytes = syscall(SCHED_GETAFFINITY, 0, u64(PAGE), u64(mask), 0, 0, 0);
  let count: u32 = 0;
  for (let at: i64 = 0; at < bytes; at += 8) count += u32(popcnt<u64>(load<u64>(mask + usize(at))));
  return max<u32>(count, 1);
}

// --- Memory ---

export function pageUp(bytes: usize): usize {
  return (bytes + PAGE - 1) & ~(PAGE - 1);
}

/** Zeroed memory of this program's own. */
export function mapPrivate(bytes: usize): usize {
  const at = syscall(
    MMAP,
    0,
    u64(bytes),
    PROT_READ_WRITE,
    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
    u64(-1),
    0,
  );
  if (at < 0) fail("mmap", at);
  return usize(at);
}

/** The shared file at `path`, made `bytes` long, mapped by every machine that does the same. */
export function mapShared(path: string, bytes: usize): usize {
  const name = mapPrivate(PAGE);
  for (let i = 0; i < path.length; i++) store<u8>(name + usize(i), u8(path.charCodeAt(i)));
  return mapSharedAt(u64(name), bytes);
}

/** The same; the path is a zero-terminated text anywhere in memory. */
export function mapSharedAt(path: u64, bytes: usize): usize {
  const fd = syscall(OPEN, path, O_RDWR_CREAT, 0o600, 0, 0, 0);
  if (fd < 0) {
    textAt(path);
    fail("", fd);
  }
  const sized = syscall(FTRUNCATE, u64(fd), u64(bytes), 0, 0, 0, 0);
  if (sized < 0) fail("ftruncate", sized);
  const at = syscall(MMAP, 0, u64(bytes), PROT_READ_WRITE, MAP_SHARED | MAP_32BIT, u64(fd), 0);
  if (at < 0) fail("mmap", at);
  syscall(CLOSE, u64(fd), 0, 0, 0, 0, 0);
  return usize(at);
}

// --- Time ---

const clock: usize = memory.data(16, 8);

/** Nanoseconds by CLOCK_MONOTONIC. For the thread that called programStart. */
export function now(): u64 {
  const result = syscall(CLOCK_GETTIME, CLOCK_MONOTONIC, u64(clock), 0, 0, 0, 0);
  if (result < 0) fail("clock_gettime", result);
  return load<u64>(clock) * 1_000_000_000 + load<u64>(clock + 8);
}

// --- Sleeping until a word changes ---

/** Returns when the word at `at` is no longer `value`. */
export function waitWhile(at: usize, value: u32): void {
  while (atomic.load<u32>(at) === value) syscall(FUTEX, u64(at), FUTEX_WAIT, u64(value), 0, 0, 0);
}

export function wakeOne(at: usize): void {
  syscall(FUTEX, u64(at), FUTEX_WAKE, 1, 0, 0, 0);
}

export function wakeAll(at: usize): void {
  syscall(FUTEX, u64(at), FUTEX_WAKE, EVERYBODY, 0, 0, 0);
}

/**
 * Every party sleeps here until the last has come. `meeting`: 8 bytes of shared memory, {arrived, generation},
 * zeroed once by whoever made the memory.
 */
export function meet(meeting: usize, parties: u32): void {
  const generation = atomic.load<u32>(meeting + 4);
  if (atomic.add<u32>(meeting, 1) + 1 === parties) {
    atomic.store<u32>(meeting, 0);
    atomic.add<u32>(meeting + 4, 1);
    wakeAll(meeting + 4);
  } else waitWhile(meeting + 4, generation);
}

// --- Threads ---

const STACK_BYTES: usize = 65536;

@unmanaged
class Start {
  /** 0 while the thread runs: what threadJoin waits for. */
  done: u32 = 0;
  entry: u32 = 0;
  argument: usize = 0;
}

/** Starts `entry` (table index of (argument: usize) => void) on a stack of its own; returns what threadJoin wants. */
export function threadRun(entry: u32, argument: usize): usize {
  const stack = mapPrivate(STACK_BYTES);
  const start = changetype<Start>(stack);
  start.entry = entry;
  start.argument = argument;
  const id = threadStart(threadBody.index, stack, stack + STACK_BYTES);
  if (id < 0) fail("clone", id);
  return stack;
}

function threadBody(argument: usize): void {
  const start = changetype<Start>(argument);
  call_indirect<void>(start.entry, start.argument);
  atomic.store<u32>(argument, 1);
  wakeAll(argument);
}

/** The thread's stack stays: it may still stand on it for a few instructions. */
export function threadJoin(thread: usize): void {
  waitWhile(thread, 0);
}
