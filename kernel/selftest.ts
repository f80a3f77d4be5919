// Tests that need the machine: several cores, interrupts, page tables. They run in the kernel when the command line says
// `selftest`, each prints `selftest: NAME ok`, and the first that fails panics. `selftest=panic` and `selftest=write`
// show a panic and what happens on a write to the kernel's text.
//
// Each test leaves as many free frames as it found: selfTest() checks it after each.
import { copyFromUser, out8, pause, rdtsc } from "./arch";
import { print, printDecimal } from "./console";
import { coreAt, coreCount, thisCore } from "./lwkt/core";
import { criticalEnter, criticalExit } from "./lwkt/critical";
import { ipiCallAll, ipiPoll, ipiSend, ipiSendPassive } from "./lwkt/ipi";
import {
  ASYNCHRONOUS,
  Message,
  Port,
  portCall,
  portCreate,
  portDefer,
  portDestroy,
  portReply,
  portSend,
  portWait,
} from "./lwkt/port";
import { SpinLock } from "./lwkt/spinlock";
import {
  PRIORITY_KERNEL,
  PRIORITY_SERVICE,
  PRIORITY_USER,
  Thread,
  threadCreate,
  threadCurrent,
  threadKick,
  threadsReap,
  threadYield,
} from "./lwkt/thread";
import { queueLock, queueUnlock, sleep, WaitQueue, waitOn, wakeAll, wakeOne } from "./lwkt/wait";
import { apicSend, interruptAllocate, MESSAGES_VECTOR } from "./machine/apic";
import { ioApicMask, ioApicRoute } from "./machine/io-apic";
import { nanoseconds } from "./machine/time";
import { frameAllocate, frameFree, framesFree } from "./memory/frames";
import {
  DIRTY,
  entryOf,
  FRAME_MASK,
  mapPage,
  setEntry,
  shootDown,
  spaceCreate,
  spaceDestroy,
  USER,
  unmapPage,
  useSpace,
  WRITABLE,
} from "./memory/paging";
import { allocate, orderOf, release, slabTrim } from "./memory/slab";
import { bootNumber, bootOption } from "./options";
import { panic } from "./panic";
import { Stats, stats, statsSum } from "./stats";

const MILLISECOND: u64 = 1_000_000;
/** Milliseconds after which a test gives up: many, since the host may leave a virtual core alone for long. */
const PATIENCE: i32 = 20_000;
const LONG: u64 = 20_000_000_000;

/** A few words that the threads of a test share; all zero when it starts. */
const shared: usize = memory.data(1024, 64);
const joinQueue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>()));
/** Threads of the test that still run. */
const running: usize = memory.data(4);

function expect(condition: bool, text: string): void {
  if (!condition) panic(text);
}

function start(fn: u32, argument: usize, core: u32, priority: u32): Thread {
  atomic.add<u32>(running, 1);
  return threadCreate(fn, argument, "selftest", <i32>core, priority);
}

function startOnAll(fn: u32, priority: u32): void {
  for (let core: u32 = 0; core < coreCount(); core++) start(fn, core, core, priority);
}

/** A test's thread calls it last. */
function finished(): void {
  if (atomic.sub<u32>(running, 1) === 1) wakeAll(joinQueue);
}

function join(): void {
  queueLock(joinQueue);
  while (atomic.load<u32>(running) !== 0) waitOn(joinQueue, 0);
  queueUnlock(joinQueue);
}

/** A small generator of the xorshift family; `state` must not be 0. */
function random(state: usize): u32 {
  let x = load<u32>(state);
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  store<u32>(state, x);
  return x;
}

/** On every core: ended threads, empty slabs and messages gone, so that free frames can be counted. */
function settle(): void {
  for (let i = 0; i < 2; i++) {
    sleep(MILLISECOND);
    ipiCallAll(tidy.index, 0);
    criticalEnter();
    tidy(0);
    criticalExit();
    ipiPoll();
  }
}

function tidy(_argument: usize): void {
  threadsReap(thisCore());
  slabTrim();
}

function run(name: string, test: u32): void {
  settle();
  const before = framesFree();
  memory.fill(shared, 0, 1024);
  const switches = statsSum(offsetof<Stats>("threadSwitches"));
  call_indirect<void>(test);
  // A wake-up storm would show here and nowhere else.
  expect(
    statsSum(offsetof<Stats>("threadSwitches")) - switches < 100_000,
    "a test switched threads too often",
  );
  settle();
  const after = framesFree();
  if (before !== after) {
    print("frames before ");
    printDecimal(u64(before));
    print(", after ");
    printDecimal(u64(after));
    print("\n");
    panic("a test has leaked memory");
  }
  print("selftest: ");
  print(name);
  print(" ok\n");
}

export function selfTest(): void {
  const which = bootOption("selftest");
  if (load<u8>(which) === 0x70) panicTest(); // panic
  if (load<u8>(which) === 0x77) store<u32>(0x10_0000, 0); // write
  run("allocator", allocatorTest.index);
  run("large blocks", blocksTest.index);
  run("messages", messagesTest.index);
  run("passive messages", passiveTest.index);
  run("call all", callAllTest.index);
  run("spinlock", spinlockTest.index);
  run("synchronous ports", synchronousTest.index);
  run("asynchronous ports", asynchronousTest.index);
  run("preemption", preemptionTest.index);
  run("priority", priorityTest.index);
  run("timeouts", timeoutsTest.index);
  run("wake-ups", wakeTest.index);
  run("kick", kickTest.index);
  run("threads", threadsTest.index);
  run("page tables", pagesTest.index);
  run("shoot-down", shootDownTest.index);
  run("device interrupts", deviceTest.index);
  figures();
}

// --- Memory ---

const SLOTS: u32 = 64;
const OBJECTS: u32 = 32;
/** Objects that cores leave for each other. */
const exchange: usize = memory.data(64 * 4);

/** Size and a mark at the ends of an object, from its address: an overlap would break it. */
function sign(object: usize, bytes: usize): void {
  store<u32>(object, <u32>bytes);
  store<u32>(object + bytes - 4, <u32>object ^ 0x5a5a_5a5a);
}
function verify(object: usize): void {
  const bytes = <usize>load<u32>(object);
  expect(
    load<u32>(object + bytes - 4) === (<u32>object ^ 0x5a5a_5a5a),
    "allocator: an object was overwritten",
  );
}

function newObject(state: usize): usize {
  // Mostly small, as kernels are.
  const bytes = <usize>(8 + (random(state) & (random(state) & 7 ? 255 : 8191)));
  const object = allocate(bytes);
  expect((object & 15) === 0, "allocator: an object is not 16-aligned");
  for (let at = object; at < object + bytes; at += 8) {
    // The last word may reach into the rest of the size class, which is zeroed too.
    if (load<u64>(at) !== 0) panic("allocator: an object is not zeroed");
  }
  sign(object, bytes);
  return object;
}

function allocatorWorker(core: usize): void {
  const state = allocate(4);
  store<u32>(state, <u32>bootNumber("seed", 1) + <u32>core * 0x9e37_79b9 + 1);
  const own = allocate((<usize>OBJECTS) << 2);
  for (let round = 0; round < 2000; round++) {
    const slot = own + <usize>((random(state) % OBJECTS) << 2);
    let object = load<usize>(slot);
    if (object !== 0) verify(object);
    else object = newObject(state);
    store<usize>(slot, object);
    const choice = random(state) & 3;
    if (choice === 0) continue;
    store<usize>(slot, 0);
    if (choice === 1) {
      // Leave it for whoever comes, and free what lay there: mostly another core's.
      const given = exchange + <usize>((random(state) % SLOTS) << 2);
      object = atomic.xchg<usize>(given, object);
      if (object === 0) continue;
      verify(object);
    }
    release(object);
  }
  for (let i: u32 = 0; i < OBJECTS; i++) release(load<usize>(own + <usize>(i << 2)));
  release(own);
  release(state);
  finished();
}

function allocatorTest(): void {
  startOnAll(allocatorWorker.index, PRIORITY_USER);
  startOnAll(allocatorWorker.index, PRIORITY_USER);
  join();
  for (let i: u32 = 0; i < SLOTS; i++) release(atomic.xchg<usize>(exchange + <usize>(i << 2), 0));
}

function blocksTest(): void {
  expect(orderOf(4096) === 0 && orderOf(4097) === 1 && orderOf(65536) === 4, "blocks: order");
  const free = framesFree();
  for (let bytes: usize = 4096; bytes <= 0x40_0000; bytes <<= 1) {
    const a = allocate(bytes);
    const b = allocate(bytes);
    expect((a & (bytes - 1)) === 0 && (b & (bytes - 1)) === 0, "blocks: a block is aligned to its size");
    expect(a + bytes <= b || b + bytes <= a, "blocks: two blocks overlap");
    expect(load<u64>(a) === 0 && load<u64>(b + bytes - 8) === 0, "blocks: a block is not zeroed");
    expect(framesFree() === free - (bytes >> 11), "blocks: frames are counted");
    memory.fill(a, 0xff, bytes);
    release(a);
    release(b);
  }
}

// --- IPI messages ---

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

function messagesTest(): void {
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

function countOne(_argument: usize): void {
  atomic.add<u32>(shared, 1);
}

/** Promises 9 and 41: it costs the target no interrupt, and arrives by its next tick. */
function passiveTest(): void {
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

function callAllTest(): void {
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

function spinlockTest(): void {
  startOnAll(spinlockWorker.index, PRIORITY_USER);
  startOnAll(spinlockWorker.index, PRIORITY_USER);
  join();
  expect(load<u32>(shared, 16) === coreCount() * 20_000, "spinlock: an increment was lost");
}

// --- Ports ---

const COMMAND_ADD: u32 = 1;
const COMMAND_THREAD: u32 = 2;
const COMMAND_STOP: u32 = 3;

@unmanaged
class Sum {
  /** A Message comes first. */
  next: usize = 0;
  port: usize = 0;
  replyPort: usize = 0;
  waiter: usize = 0;
  command: u32 = 0;
  flags: u32 = 0;
  result: i64 = 0;
  a: i64 = 0;
  b: i64 = 0;
}

function newSum(command: u32, a: i64, b: i64): Sum {
  const sum = changetype<Sum>(allocate(offsetof<Sum>()));
  sum.command = command;
  sum.a = a;
  sum.b = b;
  return sum;
}

function sumAgent(message: usize): i64 {
  const sum = changetype<Sum>(message);
  if (sum.command !== COMMAND_ADD) {
    portDefer(changetype<Port>(sum.port), changetype<Message>(message));
    return ASYNCHRONOUS;
  }
  // Promise 50: it is the sender's record itself.
  store<usize>(shared, message, 8);
  return sum.a + sum.b;
}

/** Serves what the agent leaves to it, and everything on a port without an agent. */
function sumThread(_argument: usize): void {
  const port = portCreate(changetype<usize>(threadCurrent()), load<u32>(shared, 4));
  atomic.store<u32>(shared, changetype<usize>(port));
  while (true) {
    const sum = changetype<Sum>(portWait(port));
    const stop = sum.command === COMMAND_STOP;
    portReply(changetype<Message>(sum), sum.a + sum.b);
    if (stop) break;
  }
  portDestroy(port);
  finished();
}

function startServer(core: u32, agent: u32): Port {
  atomic.store<u32>(shared, 0);
  store<u32>(shared, agent, 4);
  start(sumThread.index, 0, core, PRIORITY_KERNEL);
  while (atomic.load<u32>(shared) === 0) sleep(100_000);
  return changetype<Port>(<usize>atomic.load<u32>(shared));
}

function call(port: Port, sum: Sum): i64 {
  return portCall(port, changetype<Message>(sum));
}

/** Promise 44: a message to an idle port with an agent is served in the caller's context, without a thread switch. */
function synchronousTest(): void {
  for (let core: u32 = 0; core < coreCount(); core++) {
    const port = startServer(core, sumAgent.index);
    const here = core === thisCore().index;
    const sum = newSum(COMMAND_ADD, 40, 0);
    const switches = stats().threadSwitches;
    criticalEnter(); // the tick must not preempt us while switches are counted
    for (let i: i64 = 0; i < 1000; i++) {
      sum.b = i;
      if (here) expect(call(port, sum) === 40 + i, "ports: wrong sum");
    }
    if (here) {
      expect(stats().threadSwitches === switches, "ports: a synchronous call switched threads");
      expect(load<usize>(shared, 8) === changetype<usize>(sum), "ports: the message was copied");
    }
    criticalExit();
    for (let i: i64 = 0; i < 100; i++) {
      sum.b = i;
      sum.command = i & 1 ? COMMAND_ADD : COMMAND_THREAD;
      expect(call(port, sum) === 40 + i, "ports: wrong sum by way of thread or core");
    }
    sum.command = COMMAND_STOP;
    call(port, sum);
    join();
    release(changetype<usize>(sum));
  }
}

function asynchronousTest(): void {
  const replies = portCreate(changetype<usize>(threadCurrent()), 0);
  for (let core: u32 = 0; core < coreCount(); core++) {
    const port = startServer(core, 0);
    for (let i: i64 = 0; i < 200; i++) {
      const sum = newSum(i === 199 ? COMMAND_STOP : COMMAND_THREAD, i, 1000);
      sum.replyPort = changetype<usize>(replies);
      portSend(port, changetype<Message>(sum));
    }
    for (let i: i64 = 0; i < 200; i++) {
      const sum = changetype<Sum>(portWait(replies));
      expect(sum.result === i + 1000 && sum.a === i, "ports: replies come in the order of the messages");
      release(changetype<usize>(sum));
    }
    join();
  }
  portDestroy(replies);
}

// --- Scheduling ---

function spinner(argument: usize): void {
  const word = shared + 8 + (argument << 2);
  while (atomic.load<u32>(shared) === 0) atomic.add<u32>(word, 1);
  finished();
}

/** Two threads of one core that never wait both get on, and neither much more than the other. */
function preemptionTest(): void {
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
function priorityTest(): void {
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

function sleeper(argument: usize): void {
  sleep(u64(argument) * MILLISECOND);
  const place = atomic.add<u32>(shared, 1);
  store<u32>(shared + 64 + ((<usize>place) << 2), <u32>argument);
  finished();
}

function timeoutsTest(): void {
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

function wakeTest(): void {
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

function kickTest(): void {
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

function threadsTest(): void {
  for (let i: u32 = 0; i < 300; i++) {
    start(brief.index, <usize>i, i % coreCount(), i & 2 ? PRIORITY_USER : PRIORITY_SERVICE);
    if ((i & 15) === 15) join();
  }
  join();
  expect(atomic.load<u32>(shared) === (299 * 300) / 2, "threads: each ran once");
}

// --- Page tables ---

const PAGE_VA: u64 = 0x40_0000_1000;

function word(va: u64): u32 {
  const into = shared + 512 + ((<usize>thisCore().index) << 2);
  expect(copyFromUser(into, va, 4) === 0, "pages: a mapped page cannot be read");
  return load<u32>(into);
}

function pagesTest(): void {
  const space = spaceCreate();
  const frame = frameAllocate();
  store<u32>(frame, 4711);
  expect(entryOf(space, PAGE_VA) === 0, "pages: an empty space has no entry");
  expect(mapPage(space, PAGE_VA, u64(frame), USER | WRITABLE), "pages: no memory");
  // Promise 54: entering an address space changes slot 0 of this core's PML4 and nothing else.
  const top = thisCore().pml4;
  const before = allocate(4096);
  memory.copy(before, top, 4096);
  useSpace(space);
  for (let slot: usize = 0; slot < 4096; slot += 8) {
    const same = (load<u64>(top + slot) & FRAME_MASK) === (load<u64>(before + slot) & FRAME_MASK);
    expect(same === (slot !== 0), "pages: another slot than 0 was changed");
  }
  release(before);
  expect(word(PAGE_VA) === 4711, "pages: the wrong frame");
  expect((entryOf(space, PAGE_VA) & FRAME_MASK) === u64(frame), "pages: entryOf");
  expect((entryOf(space, PAGE_VA) & DIRTY) === 0, "pages: dirty without a write");
  expect(copyFromUser(shared + 512, PAGE_VA + 4096, 8) === 8, "pages: an unmapped page was read");
  expect(copyFromUser(shared + 512, PAGE_VA + 4090, 16) === 10, "pages: six bytes up to the page's end");
  expect(copyFromUser(shared + 512, u64(frame) | 0xffff_8000_0000_0000, 8) === 8, "pages: a kernel address");
  expect((unmapPage(space, PAGE_VA) & FRAME_MASK) === u64(frame), "pages: unmapPage");
  shootDown(space, PAGE_VA, 1);
  expect(copyFromUser(shared + 512, PAGE_VA, 8) === 8, "pages: an unmapped page is still read");
  useSpace(0);
  spaceDestroy(space);
  frameFree(frame);
}

/** Reads the page all the time; after the change has been announced it must see the new frame. */
function pageReader(_core: usize): void {
  useSpace(load<usize>(shared, 4));
  while (atomic.load<u32>(shared) === 0) {
    const announced = atomic.load<u32>(shared + 8);
    expect(word(PAGE_VA) >= announced, "shoot-down: a stale translation");
    atomic.add<u32>(shared + 16, 1);
  }
  useSpace(0);
  finished();
}

/** Each round maps another frame, whose number is announced only after the shoot-down. */
function shootDownTest(): void {
  const space = spaceCreate();
  const frames = allocate(8);
  for (let i: usize = 0; i < 2; i++) store<usize>(frames + (i << 2), frameAllocate());
  expect(mapPage(space, PAGE_VA, u64(load<usize>(frames)), USER), "shoot-down: no memory");
  const entry = entryOf(space, PAGE_VA) & ~FRAME_MASK;
  store<usize>(shared, space, 4);
  startOnAll(pageReader.index, PRIORITY_USER);
  for (let round: u32 = 1; round <= 200; round++) {
    const frame = load<usize>(frames + ((<usize>(round & 1)) << 2));
    store<u32>(frame, round);
    setEntry(space, PAGE_VA, u64(frame) | entry);
    shootDown(space, PAGE_VA, round & 2 ? 1 : 100);
    atomic.store<u32>(shared + 8, round);
    if ((round & 63) === 0) sleep(MILLISECOND);
  }
  atomic.store<u32>(shared, 1);
  join();
  expect(atomic.load<u32>(shared + 16) > 0, "shoot-down: nobody read");
  spaceDestroy(space);
  for (let i: usize = 0; i < 2; i++) frameFree(load<usize>(frames + (i << 2)));
  release(frames);
}

// --- Devices ---

const PIT_LINE: u32 = 0;
let pitVector: u32 = 0;

function pitTicked(argument: usize): void {
  atomic.add<u32>(argument, 1);
  wakeAll(changetype<WaitQueue>(shared + 64));
}

/** The PIT's channel 0 through the I/O APIC: a handler that wakes a thread. */
function deviceTest(): void {
  if (pitVector === 0) pitVector = interruptAllocate(pitTicked.index, shared);
  ioApicRoute(PIT_LINE, pitVector);
  out8(0x43, 0x34); // channel 0, both bytes, rate generator
  out8(0x40, 2386 & 0xff); // 2 ms
  out8(0x40, 2386 >> 8);
  const queue = changetype<WaitQueue>(shared + 64);
  queueLock(queue);
  while (atomic.load<u32>(shared) < 5) expect(waitOn(queue, LONG), "device interrupts: none comes");
  queueUnlock(queue);
  ioApicMask(PIT_LINE);
  out8(0x43, 0x30); // mode 0: it stops
}

// --- Panic ---

function panicTest(): void {
  startOnAll(chatter.index, PRIORITY_USER);
  sleep(5 * MILLISECOND);
  panic("selftest: this is what a panic looks like");
}

/** Would go on writing after the panic if its core were not stopped. */
function chatter(core: usize): void {
  while (true) {
    print("core ");
    printDecimal(u64(core));
    print(" is alive\n");
    sleep(MILLISECOND);
  }
}

// --- Figures: TSC ticks, which are instructions under qemu -icount shift=0 and in a seeded machine ---

const REPEATS: u32 = 1000;

function figure(name: string, ticks: u64): void {
  print("figure: ");
  print(name);
  print(" ");
  printDecimal(ticks / u64(REPEATS));
  print(" ticks\n");
}

function yielder(_argument: usize): void {
  for (let i: u32 = 0; i < REPEATS; i++) threadYield();
  finished();
}

/** Waits again and again, so that each wake-up preempts the waker and comes back. */
function answerer(_argument: usize): void {
  const queue = changetype<WaitQueue>(shared + 64);
  for (let i: u32 = 0; i < REPEATS; i++) waitOn(queue, 0);
  finished();
}

function figures(): void {
  let begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) pause();
  figure("empty loop", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) {
    criticalEnter();
    criticalExit();
  }
  figure("critical section", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) release(allocate(64));
  figure("allocate and release 64 bytes", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) frameFree(frameAllocate());
  figure("frame allocated and freed", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) nanoseconds();
  figure("nanoseconds", rdtsc() - begin);
  const port = portCreate(0, sumAgent.index);
  const sum = newSum(COMMAND_ADD, 1, 2);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) call(port, sum);
  figure("synchronous port call", rdtsc() - begin);
  release(changetype<usize>(sum));
  portDestroy(port);
  const queue = changetype<WaitQueue>(shared + 64);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) wakeOne(queue);
  figure("wake with nobody waiting", rdtsc() - begin);
  start(yielder.index, 0, thisCore().index, PRIORITY_KERNEL);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) threadYield();
  figure("two yields, two thread switches", rdtsc() - begin);
  join();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) ipiSend(thisCore().index, countOne.index, 0);
  figure("message to this core", rdtsc() - begin);
  criticalEnter();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) apicSend(thisCore().apicId, MESSAGES_VECTOR);
  figure("interrupt to itself, deferred", rdtsc() - begin);
  criticalExit();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) {
    criticalEnter(); // the command takes two writes
    apicSend(thisCore().apicId, MESSAGES_VECTOR);
    criticalExit();
  }
  figure("interrupt to itself, served", rdtsc() - begin);
  start(answerer.index, 0, thisCore().index, PRIORITY_SERVICE);
  sleep(MILLISECOND);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) wakeOne(queue);
  figure("wake, switch, wait, switch", rdtsc() - begin);
  join();
  if (coreCount() === 1) return;
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) ipiSendPassive(1, countOne.index, 0);
  figure("passive message", rdtsc() - begin);
}
