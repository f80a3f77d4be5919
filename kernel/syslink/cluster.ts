// This machine in its cluster: the one place where the messages of other machines and this machine's own questions are
// served. Who the others are is members.ts, what goes out outbox.ts.
//
// Everything belongs to core 0 and runs in its critical sections (promise 43): the handler of the card's interrupt, which serves
// a few frames where it finds the core; the service thread, which takes them when there are more and keeps time; and the
// agent of the port, by which threads ask: on core 0 in their own context, from another core within an IPI message (promise 44).
// `busy` keeps them apart where a critical section alone would not: an IPI message may be run while another waits for room in a ring.
import { cli, cpuid, in8, out8, rdrand, rdtsc, sti } from "../arch";
import { streamsDue, streamsGoOn } from "../coherence/around";
import { recordsTend } from "../coherence/budget";
import {
  ASK_CLOSE,
  ASK_FAREWELL,
  ASK_FRAMES,
  ASK_LOCK_CANCEL,
  ASK_UNHOLD,
  ASK_UNLOCK,
  Client,
} from "../coherence/client";
import { commitsDue, commitsLook, commitsWait } from "../coherence/commits";
import { pageOffered } from "../coherence/giving";
import { rangeMessage } from "../coherence/grants";
import { loanMessage } from "../coherence/loans";
import { lockMessage } from "../coherence/object-locks";
import { objectMessage, requestServe } from "../coherence/objects";
import { pageMessage, runMessage } from "../coherence/page-messages";
import { questionWaits } from "../coherence/questions";
import { confirmMessage } from "../coherence/refusals";
import { framesDue } from "../coherence/relief";
import { revocationsDue, revocationsRetry, revocationsWait } from "../coherence/revocations";
import { pageFollowed } from "../coherence/shelves";
import { willsTick } from "../coherence/wills";
import { print, printDecimal } from "../console";
import { thisCore } from "../lwkt/core";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { ASYNCHRONOUS, Port, portCreate, portReply } from "../lwkt/port";
import { PRIORITY_SERVICE, Thread, threadCreate, threadCurrent } from "../lwkt/thread";
import { WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { timeoutSooner } from "../machine/timer";
import { arpClear } from "../net/arp";
import { ethernetInput } from "../net/ethernet";
import {
  nicFrameBytes,
  nicInterrupts,
  nicReceive,
  nicReceiveEnd,
  nicRecycle,
  nicStart,
  nicWaiting,
} from "../net/virtio-net";
import { bootNumber } from "../options";
import { panic } from "../panic";
import { spreadMessage } from "../process/spread";
import { stats } from "../stats";
import { checkStart } from "./check";
import {
  COMMAND_BYTES,
  COMMAND_CLEAN_RUN,
  COMMAND_CONFIRM,
  COMMAND_EXECUTE,
  COMMAND_FAREWELL,
  COMMAND_GIVE_BACK,
  COMMAND_GUESS,
  COMMAND_LOCK,
  COMMAND_LOCK_FOLLOW,
  COMMAND_MEMBERS,
  COMMAND_OPERATE,
  COMMAND_PURGE,
  COMMAND_READ_PAGE,
  COMMAND_READ_RUN,
  COMMAND_RECALL,
  COMMAND_THREAD_START,
  COMMAND_UNTAKEN,
  COMMAND_VIEW,
  commandCheck,
} from "./commands";
import { farewellBegun, farewellEnd, farewellTick } from "./farewell";
import { outOfReach } from "./lease";
import { ACK_DELAY, NEVER } from "./link";
import { linkInput, linkNext } from "./link-input";
import {
  inService,
  linkHeard,
  memberMessage,
  membersLook,
  membersSettled,
  membersStart,
  membersTick,
  voteCame,
} from "./members";
import { GOOD, MessageHeader, RESPONSE } from "./message";
import { pump } from "./outbox";
import { card, clusterMachines, clusterSelf, linkTo, MACHINES_MAX, NETWORK, PORT, peersStart } from "./peers";

export { farewellBegin } from "./farewell";
export { messageEnd, messageTo } from "./outbox";
export { bit, clusterEpoch, clusterMachines, clusterSelf, deadMachines, isDead } from "./peers";

const ETIMEDOUT: i64 = 110;
/**
 * So many frames are served where their interrupt finds the core; more are left to the thread, which polls the card. As many that wait
 * already are one piece of work: what they lead to goes out together.
 */
const FRAMES_AT_ONCE: u32 = 4;
/** So soon at the earliest there is something to look at for what was said or heard just now: acknowledgements, and notes to heirs. */
const SOON: u64 = ACK_DELAY;

let port: usize = 0;
const queue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>(), 8));
let sleeper: usize = 0;
let sleeping: bool = false;
let sleepUntil: u64 = 0;
/** The thread is to look again before it sleeps. */
let wanted: bool = false;
/** When links and members have to look at the time. */
let tickDue: u64 = 0;
let busy: bool = false;
/** When the frame that is served came; frames of the piece of work that has not ended. */
let cameAt: u64 = 0;
let together: u32 = 0;
/** Clients that asked while it was busy. */
let postponedFirst: usize = 0;
let postponedLast: usize = 0;
/** Clients that asked before this machine belonged to the cluster, or while the object's home moves. */
let early: usize = 0;
let malformed: u64 = 0;

export function clusterPort(): Port {
  return changetype<Port>(port);
}

// --- Start ---

/** On core 0, by the boot thread. */
export function clusterStart(): void {
  const self = <u32>bootNumber("node", 1);
  const machines = <u32>bootNumber("nodes", 1);
  if (machines == 0 || machines > MACHINES_MAX || self == 0 || self > machines) {
    panic("node= and nodes=: a cluster has 1 to 64 machines, numbered from 1");
  }
  peersStart(self, machines);
  port = changetype<usize>(portCreate(0, serve.index));
  if (machines == 1) return;
  card.ip = NETWORK | (self << 24);
  card.port = PORT;
  card.datagram = datagram.index;
  card.vote = vote.index;
  card.checks = 1; // link.ts does, and better
  checkStart();
  arpClear();
  if (!nicStart(card, <u32>bootNumber("mtu", 0), frameArrived.index)) {
    panic("nodes= is more than 1 and there is no virtio network card");
  }
  print("cluster: machine ");
  printDecimal(self);
  print(" of ");
  printDecimal(machines);
  print(", 10.66.0.");
  printDecimal(self);
  print(", MTU ");
  printDecimal(card.mtu);
  print("\n");
  membersStart(nanoseconds(), epochNow.index, askLater.index);
  threadCreate(service.index, 0, "cluster", 0, PRIORITY_SERVICE);
}

const MACHINE_SHIFT: u32 = 1;
const LIFE_SHIFT: u32 = 8;
/** CPUID 1, ECX: RDRAND. */
const RDRAND: u32 = 1 << 30;

/**
 * This life of the machine: its number, so that no two machines have the same, and above it what differs from life to life: the
 * wall clock's second, the finer time stamp counter, and the processor's random number where it has one.
 */
function epochNow(): u64 {
  cpuid(1, 0, features);
  const random = load<u32>(features, 8) & RDRAND ? rdrand() : 0;
  const life = (clockNow() << 32) ^ (rdtsc() >> 4) ^ random;
  return (mixed(life) << LIFE_SHIFT) | ((<u64>clusterSelf()) << MACHINE_SHIFT) | 1;
}
const features: usize = memory.data(16, 4);

/** SplitMix64's mixture (Steele, Lea, Flood 2014): each bit of the word is in those that are kept of it. */
function mixed(word: u64): u64 {
  let z = word;
  z = (z ^ (z >> 30)) * ((u64(0xbf58_476d) << 32) | 0x1ce4_e5b9);
  z = (z ^ (z >> 27)) * ((u64(0x94d0_49bb) << 32) | 0x1331_11eb);
  return z ^ (z >> 31);
}

function clockNow(): u64 {
  let clock: u64 = 0;
  // Seconds, minutes, hours, day, month, year (Motorola MC146818), whatever their coding: they only have to differ.
  for (let i: u32 = 0; i < 6; i++) {
    out8(0x70, i < 3 ? i << 1 : i + 4);
    clock = clock * 61 + <u64>in8(0x71);
  }
  return clock;
}

// --- The service thread ---

/**
 * Handler of the card's interrupt. No thread switch lies between an answer and the thread that waits for it. While machines come
 * and go the thread does it, which looks at the time as well.
 */
function frameArrived(_argument: usize): void {
  if (busy || !sleeping || !settled()) {
    wakeService();
    return;
  }
  sti(); // other handlers wait for this one's critical section, but for shoot-downs
  for (let frames: u32 = 1; receiveFrame() && frames < FRAMES_AT_ONCE && nicWaiting(); frames++) {}
  if (together != 0) framesEnd();
  nicReceiveEnd();
  const now = nanoseconds();
  streamsGoOn(now);
  if (nicWaiting() || !settled()) wakeService();
  else hurry(now);
  cli();
}

function wakeService(): void {
  wanted = true;
  if (sleeping) wakeOne(queue);
}

/** Nothing is under way that frames and questions alone do not move on. */
function settled(): bool {
  return membersSettled() && !farewellBegun();
}

/** When pages, or threads that wait for them, are to be looked at. */
function pagesDue(): u64 {
  return min<u64>(min<u64>(framesDue(), commitsDue()), min<u64>(revocationsDue(), streamsDue()));
}

/** In a critical section but for the moments between frames, where messages from other cores get in. */
function service(_argument: usize): void {
  sleeper = changetype<usize>(threadCurrent());
  criticalEnter();
  while (true) {
    wanted = false;
    nicInterrupts(false);
    const served = receiveFrames();
    const now = nanoseconds();
    const due = now >= tickDue || !settled();
    if (due || !served) {
      busy = true;
      tickDue = due ? tick(now) : min<u64>(tickDue, now + SOON);
      finish(nanoseconds());
    } else tickDue = min<u64>(tickDue, now + SOON);
    // Behind everything that may grant a page.
    streamsGoOn(nanoseconds());
    if (wanted || !nicInterrupts(true)) continue;
    const next = min<u64>(tickDue, pagesDue());
    const rested = nanoseconds();
    if (next <= rested) continue;
    sleepUntil = next;
    sleeping = true;
    waitOn(queue, next == NEVER ? 0 : next - rested);
    sleeping = false;
  }
}

/** False: none had come. */
function receiveFrames(): bool {
  let some = false;
  while (receiveFrame()) {
    some = true;
    if (together != 0) continue;
    criticalExit();
    criticalEnter();
  }
  nicReceiveEnd();
  return some;
}

/** False: there was none, and nothing is left to be done for those before. */
function receiveFrame(): bool {
  const frame = nicReceive();
  if (frame == 0) {
    if (together != 0) framesEnd();
    return false;
  }
  busy = true;
  cameAt = nanoseconds();
  ethernetInput(card, frame, nicFrameBytes(), cameAt);
  nicRecycle();
  together++;
  // While machines come and go each frame is looked at alone.
  if (together == FRAMES_AT_ONCE || !settled() || !nicWaiting()) framesEnd();
  return true;
}

/** Frames that came together have been served. */
function framesEnd(): void {
  together = 0;
  membersLook(cameAt);
  finish(cameAt);
}

/** After every piece of work: what was put off meanwhile, and everything that is to be sent. Clears `busy`. */
function finish(now: u64): void {
  while (true) {
    if (revocationsWait()) revocationsRetry(now);
    if (commitsWait()) commitsLook();
    const client = changetype<Client>(postponedFirst);
    if (changetype<usize>(client) == 0) break;
    postponedFirst = client.nextWaiter;
    if (postponedFirst == 0) postponedLast = 0;
    client.nextWaiter = 0;
    const result = admit(client, now);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
  // Whoever waits for an answer need not wait for the records. A card that has to send first what it has: the thread looks again at once.
  if (!pump(now) || (recordsTend(now) && !pump(now))) {
    tickDue = now;
    wakeService();
  }
  busy = false;
}

/** The agent of the port. */
function serve(message: usize): i64 {
  const client = changetype<Client>(message);
  if (busy) {
    if (postponedLast != 0) changetype<Client>(postponedLast).nextWaiter = message;
    else postponedFirst = message;
    postponedLast = message;
    return ASYNCHRONOUS;
  }
  busy = true;
  const now = nanoseconds();
  const result = admit(client, now);
  finish(now);
  streamsGoOn(now);
  hurry(now);
  return result;
}

/** What only lets go of something, or needs nobody. */
function mayAlways(command: u32): bool {
  if (command == ASK_FRAMES) return true;
  return command == ASK_UNHOLD || command == ASK_CLOSE || command == ASK_UNLOCK || command == ASK_LOCK_CANCEL;
}

function admit(client: Client, now: u64): i64 {
  if (outOfReach() && !mayAlways(client.command)) {
    return client.command == ASK_FAREWELL ? 0 : -ETIMEDOUT;
  }
  if ((inService() && !questionWaits(client)) || clusterMachines() == 1) return requestServe(client, now);
  askLater(client);
  return ASYNCHRONOUS;
}

/** When the cluster is there, or the object has a home again. */
function askLater(client: Client): void {
  client.nextWaiter = early;
  early = changetype<usize>(client);
}

/** IPI message: a page that a revocation waits for is free (progress.ts). */
export function pageUnpinned(_page: usize): void {
  if (busy) return; // finish() looks at all of them
  busy = true;
  const now = nanoseconds();
  finish(now);
  streamsGoOn(now);
  hurry(now);
}

/** The service thread keeps the time of what was said or heard just now, and of pages that are held: it sleeps no longer than that. */
function hurry(now: u64): void {
  tickDue = min<u64>(tickDue, now + SOON);
  if (!sleeping || wanted) return;
  const due = min<u64>(tickDue, pagesDue());
  if (due >= sleepUntil) return;
  sleepUntil = due;
  if (due <= now) wakeService();
  else timeoutSooner(thisCore(), changetype<Thread>(sleeper), due - now);
}

// --- Receiving ---

function datagram(ip: u32, _port: u32, payload: usize, bytes: u32): void {
  const machine = ip >> 24;
  if (
    (ip & 0x00ff_ffff) != NETWORK ||
    machine == 0 ||
    machine > clusterMachines() ||
    machine == clusterSelf()
  ) {
    card.notForUs++;
    return;
  }
  const link = linkTo(machine);
  if (linkInput(link, payload, bytes, cameAt)) {
    while (true) {
      const message = linkNext(link);
      if (changetype<usize>(message) == 0) break;
      dispatch(machine, message);
    }
  }
  linkHeard(machine);
}

function vote(at: usize, bytes: u32, now: u64): void {
  voteCame(at, bytes, now);
  membersLook(now);
  wanted = true; // time counts anew
}

function dispatch(machine: u32, message: MessageHeader): void {
  const counters = stats();
  counters.messagesReceived++;
  counters.bytesReceived += <u64>message.length;
  const reason = commandCheck(message);
  if (reason != GOOD) {
    if (malformed++ == 0) {
      print("cluster: a message of machine ");
      printDecimal(machine);
      print(" is no command of ours\n");
    }
    return;
  }
  const command = <u32>message.command & ~RESPONSE;
  const ofPage = command >= COMMAND_READ_PAGE && command <= COMMAND_PURGE;
  const guesses = command >= COMMAND_GUESS && command <= COMMAND_UNTAKEN;
  if (ofPage || guesses || command == COMMAND_OPERATE || command == COMMAND_EXECUTE) {
    pageMessage(machine, message);
    pageFollowed(machine);
  } else if (command >= COMMAND_READ_RUN && command <= COMMAND_CLEAN_RUN) {
    runMessage(machine, message);
    pageFollowed(machine);
  } else if (command == COMMAND_RECALL) rangeMessage(machine, message);
  else if (command >= COMMAND_LOCK && command <= COMMAND_LOCK_FOLLOW) lockMessage(machine, message);
  else if (command == COMMAND_BYTES) loanMessage(machine, message);
  else if (command == COMMAND_GIVE_BACK) pageOffered(machine, message);
  else if (command == COMMAND_CONFIRM) confirmMessage(machine, message);
  else if (command == COMMAND_FAREWELL || command == COMMAND_MEMBERS || command == COMMAND_VIEW) {
    memberMessage(machine, message);
    wanted = true;
  } else if (command >= COMMAND_THREAD_START && !(<u32>message.command & RESPONSE)) {
    spreadMessage(machine, message);
  } else objectMessage(machine, message);
}

// --- Time ---

/** When to look again. */
function tick(now: u64): u64 {
  const next = min<u64>(willsTick(now), membersTick(now));
  if (early != 0 && (inService() || outOfReach())) admitEarly(now);
  const end = farewellTick(now);
  if (end != 0) return min<u64>(next, end);
  if (!pump(now)) return now;
  farewellEnd();
  return next;
}

/** The cluster is there now, or will not be in time. Who still has to wait comes back into the list. */
function admitEarly(now: u64): void {
  let at = early;
  early = 0;
  while (at != 0) {
    const client = changetype<Client>(at);
    at = client.nextWaiter;
    client.nextWaiter = 0;
    const result = admit(client, now);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
}
