// This machine in its cluster: the links to all others, and the one place where their messages and this machine's own
// questions are served.
//
// Everything belongs to core 0 and runs in its critical sections (promise 43): the service thread, which takes frames
// and keeps time, and the agent of the port, by which threads ask: on core 0 in their own context, from another core
// within an IPI message (promise 44). `busy` keeps the two apart where a critical section alone would not: an IPI message
// may be run while another waits for room in a ring.
import { in8, out8, rdtsc } from "../arch";
import { Client } from "../coherence/client";
import { objectMessage, objectsMachineDied, referenceGiven, requestServe } from "../coherence/objects";
import {
  pageMessage,
  pagesMachineCame,
  pagesMachineDied,
  pagesResume,
  pagesSuspend,
  revocationsDue,
  revocationsRetry,
} from "../coherence/pages";
import { print, printDecimal } from "../console";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { ASYNCHRONOUS, Port, portCreate, portReply } from "../lwkt/port";
import { PRIORITY_SERVICE, threadCreate } from "../lwkt/thread";
import { WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { arpClear } from "../net/arp";
import { ethernetInput } from "../net/ethernet";
import {
  HEADERS_BYTES,
  Interface,
  IP_BYTES,
  SLOT_BYTES,
  slotReturn,
  slotTake,
  UDP_BYTES,
} from "../net/interface";
import { udpSend } from "../net/udp";
import {
  nicFlush,
  nicFrameBytes,
  nicInterrupts,
  nicReceive,
  nicReceiveEnd,
  nicRecycle,
  nicStart,
} from "../net/virtio-net";
import { bootNumber } from "../options";
import { panic } from "../panic";
import { spreadMachineDied, spreadMessage } from "../process/spread";
import { stats } from "../stats";
import {
  COMMAND_EXECUTE,
  COMMAND_FAREWELL,
  COMMAND_LOST,
  COMMAND_MEMBERS,
  COMMAND_OPERATE,
  COMMAND_PURGE,
  COMMAND_READ_PAGE,
  COMMAND_THREAD_START,
  commandCheck,
  ITEM_ACKS,
  ITEM_REQUESTER,
} from "./commands";
import {
  LINK_DOWN,
  LINK_HEADER_BYTES,
  LINK_LOST,
  LINK_UP,
  Link,
  linkBytes,
  linkCommit,
  linkCreate,
  linkCut,
  linkInput,
  linkNext,
  linkOutput,
  linkReserve,
  linkReset,
  linkTick,
  NEVER,
} from "./link";
import {
  GOOD,
  itemData,
  itemFind,
  itemPut,
  MessageHeader,
  MessageWriter,
  messageReferences,
  RESPONSE,
  writerBegin,
  writerEnd,
} from "./message";

export const MACHINES_MAX: u32 = 64;
const PORT: u32 = 2666;
/** 10.66.0.0 in memory's order; the machine's number is the last byte. */
const NETWORK: u32 = 0x0000_420a;
/** The least that linkCreate() takes; with the other parts of a link just below 512 KiB at an MTU of 9000. */
const RING_BYTES: u32 = 131072;
const MILLISECOND: u64 = 1_000_000;
/** How long a machine is waited for that nobody has mentioned. */
const ABSENT_TIME: u64 = 2000 * MILLISECOND;

let self: u32 = 1;
let machines: u32 = 1;
let epoch: u64 = 0;
/** Link by machine, 0 for this one. */
const links: usize = memory.data(256);
const card = changetype<Interface>(memory.data(offsetof<Interface>(), 8));
let port: usize = 0;
const queue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>(), 8));
let sleeping: bool = false;
let sleepUntil: u64 = 0;
let wanted: bool = false;
let busy: bool = false;
/** Clients that asked while it was busy. */
let postponedFirst: usize = 0;
let postponedLast: usize = 0;
/**
 * Bits per machine: links with something to send; machines that are up, that were once, that are not spoken to any
 * more, that are as good as dead, whose pages may not be used for the moment, that said farewell.
 */
let dirtyLinks: u64 = 0;
let up: u64 = 0;
let wereUp: u64 = 0;
let excluded: u64 = 0;
let dead: u64 = 0;
let suspended: u64 = 0;
let departed: u64 = 0;
/** Machines that have told us that they know this life of ours; those that others have told us of; those that are absent. */
let confirmed: u64 = 0;
let mentioned: u64 = 0;
let member: bool = false;
let memberAt: u64 = 0;
/** Clients that asked before. */
let early: usize = 0;
/** By machine: when it was excluded. */
const excludedAt: usize = memory.data(512, 8);
/** Parts of the time after which a silent machine is dead (linkloss=): see exclude(). */
let graceTime: u64 = 0;
let leaseTime: u64 = 0;
let joinUntil: u64 = 0;
/** Who waits for the end of clusterFarewell. */
let leaver: usize = 0;
let leaveUntil: u64 = 0;
let malformed: u64 = 0;

export function clusterSelf(): u32 {
  return self;
}
export function clusterMachines(): u32 {
  return machines;
}
/** This life of the machine; no two are the same. */
export function clusterEpoch(): u64 {
  return epoch;
}
export function clusterPort(): Port {
  return changetype<Port>(port);
}
export function bit(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
}
/** It is not spoken to any more: it fell silent, or never came in time. */
export function isDead(machine: u32): bool {
  return (excluded & bit(machine)) != 0;
}

function linkTo(machine: u32): Link {
  return changetype<Link>(load<usize>(links + ((machine - 1) << 2)));
}

// --- Start ---

/** On core 0, by the boot thread. */
export function clusterStart(): void {
  self = <u32>bootNumber("node", 1);
  machines = <u32>bootNumber("nodes", 1);
  if (machines == 0 || machines > MACHINES_MAX || self == 0 || self > machines) {
    panic("node= and nodes=: a cluster has 1 to 64 machines, numbered from 1");
  }
  port = changetype<usize>(portCreate(0, serve.index));
  epoch = epochNow();
  if (machines == 1) return;
  card.ip = NETWORK | (self << 24);
  card.port = PORT;
  card.datagram = datagram.index;
  card.checks = 1; // link.ts does, and better
  arpClear();
  if (!nicStart(card, <u32>bootNumber("mtu", 0), frameArrived.index)) {
    panic("nodes= is more than 1 and there is no virtio network card");
  }
  const lossTime = bootNumber("linkloss", 10_000) * MILLISECOND;
  graceTime = lossTime / 3;
  leaseTime = (lossTime * 3) / 10;
  const payload = (card.mtu - IP_BYTES - UDP_BYTES - LINK_HEADER_BYTES) & ~7;
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine == self) continue;
    const at = allocate(linkBytes(payload, RING_BYTES));
    const link = linkCreate(at, self, machine, epoch, payload, RING_BYTES, lossTime - graceTime);
    store<usize>(links + ((machine - 1) << 2), changetype<usize>(link));
  }
  joinUntil = nanoseconds() + bootNumber("join", 60_000) * MILLISECOND;
  memberAt = NEVER;
  print("cluster: machine ");
  printDecimal(self);
  print(" of ");
  printDecimal(machines);
  print(", 10.66.0.");
  printDecimal(self);
  print(", MTU ");
  printDecimal(card.mtu);
  print("\n");
  threadCreate(service.index, 0, "cluster", 0, PRIORITY_SERVICE);
}

/** This life of the machine: the wall clock's second and the finer time stamp counter. */
function epochNow(): u64 {
  let clock: u64 = 0;
  // Seconds, minutes, hours, day, month, year (Motorola MC146818), whatever their coding: they only have to differ.
  for (let i: u32 = 0; i < 6; i++) {
    out8(0x70, i < 3 ? i << 1 : i + 4);
    clock = clock * 61 + <u64>in8(0x71);
  }
  return (clock << 32) | ((rdtsc() >> 4) & 0xffff_ffff) | 1;
}

// --- The service thread ---

/** Handler of the card's interrupt. */
function frameArrived(_argument: usize): void {
  wakeService();
}

function wakeService(): void {
  wanted = true;
  if (sleeping) wakeOne(queue);
}

/** In a critical section but for the moments between frames, where messages from other cores get in. */
function service(_argument: usize): void {
  criticalEnter();
  while (true) {
    wanted = false;
    nicInterrupts(false);
    receiveFrames();
    busy = true;
    const next = tick(nanoseconds());
    finish(nanoseconds());
    if (wanted || !nicInterrupts(true)) continue;
    const now = nanoseconds();
    if (next <= now) continue;
    sleepUntil = next;
    sleeping = true;
    waitOn(queue, next == NEVER ? 0 : next - now);
    sleeping = false;
  }
}

function receiveFrames(): void {
  while (true) {
    const frame = nicReceive();
    if (frame == 0) break;
    busy = true;
    const now = nanoseconds();
    ethernetInput(card, frame, nicFrameBytes(), now);
    nicRecycle();
    finish(now);
    criticalExit();
    criticalEnter();
  }
  nicReceiveEnd();
}

/** After every piece of work: what was put off meanwhile, and everything that is to be sent. Clears `busy`. */
function finish(now: u64): void {
  while (true) {
    revocationsRetry(now);
    const client = changetype<Client>(postponedFirst);
    if (changetype<usize>(client) == 0) break;
    postponedFirst = client.nextWaiter;
    if (postponedFirst == 0) postponedLast = 0;
    client.nextWaiter = 0;
    const result = admit(client, now);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
  pump(now);
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
  hurry(now);
  return result;
}

function admit(client: Client, now: u64): i64 {
  if (member || machines == 1) return requestServe(client, now);
  client.nextWaiter = early;
  early = changetype<usize>(client);
  return ASYNCHRONOUS;
}

/** IPI message: a page that a revocation waits for is free (progress.ts). */
export function pageUnpinned(_page: usize): void {
  if (busy) return; // finish() looks at all of them
  busy = true;
  const now = nanoseconds();
  finish(now);
  hurry(now);
}

/** The service thread sleeps too long for what happened just now: it keeps the time of links and of pages that are held. */
function hurry(now: u64): void {
  if (sleeping && min<u64>(now + 8 * MILLISECOND, revocationsDue()) < sleepUntil) wakeService();
}

// --- Receiving ---

function datagram(ip: u32, _port: u32, payload: usize, bytes: u32): void {
  const machine = ip >> 24;
  if ((ip & 0x00ff_ffff) != NETWORK || machine == 0 || machine > machines || machine == self) {
    card.notForUs++;
    return;
  }
  const link = linkTo(machine);
  const now = nanoseconds();
  if (linkInput(link, payload, bytes, now)) {
    while (true) {
      const message = linkNext(link);
      if (changetype<usize>(message) == 0) break;
      dispatch(machine, message);
    }
  }
  dirtyLinks |= bit(machine);
  if (link.state == LINK_UP && !(up & bit(machine))) machineUp(machine);
  else if (link.state == LINK_LOST) exclude(machine, now);
}

function dispatch(machine: u32, message: MessageHeader): void {
  const counters = stats();
  counters.messagesReceived++;
  counters.bytesReceived += <u64>message.length;
  const reason = commandCheck(message);
  if (reason != GOOD) {
    if (malformed++ == 0) say("cluster: a message of machine ", machine, " is no command of ours\n");
    return;
  }
  const command = <u32>message.command & ~RESPONSE;
  const ofPage = command >= COMMAND_READ_PAGE && command <= COMMAND_PURGE;
  if (ofPage || command == COMMAND_OPERATE || command == COMMAND_EXECUTE) pageMessage(machine, message);
  else if (command == COMMAND_FAREWELL) departed |= bit(machine);
  else if (command == COMMAND_LOST) accused(message);
  else if (command == COMMAND_MEMBERS) memberOf(machine, message);
  else if (command >= COMMAND_THREAD_START && !(<u32>message.command & RESPONSE))
    spreadMessage(machine, message);
  else objectMessage(machine, message);
}

// --- Sending ---

const writer = changetype<MessageWriter>(memory.data(offsetof<MessageWriter>(), 8));
/** A message that found no room in its link's ring, or has nowhere to go. */
@unmanaged
class Overflow {
  next: usize = 0;
  machine: u32 = 0;
  bytes: u32 = 0;
}
const OVERFLOW_BYTES: usize = 16;
let overflowFirst: usize = 0;
let overflowLast: usize = 0;
/** Bit per machine that has messages there. */
let overflowing: u64 = 0;
let writing: u32 = 0;
let writingAside: usize = 0;

/** Begins a message of at most `bytes`: put items, then messageEnd(). Not to this machine. */
export function messageTo(machine: u32, bytes: u32, linkid: u64, msgid: u32, command: u32): MessageWriter {
  assert(
    writing == 0 && machine != self && machine <= machines,
    "one message is written at a time, to another machine",
  );
  writing = machine;
  writingAside = 0;
  let at: usize = 0;
  if (!isDead(machine) && !(overflowing & bit(machine))) at = linkReserve(linkTo(machine), bytes);
  if (at == 0) {
    writingAside = allocate(OVERFLOW_BYTES + bytes);
    at = writingAside + OVERFLOW_BYTES;
  }
  writerBegin(writer, at, bytes, linkid, msgid, command);
  return writer;
}

export function messageEnd(): void {
  const machine = writing;
  const bytes = writerEnd(writer);
  assert(bytes != 0, "a message is longer than it was said to be");
  writing = 0;
  const counters = stats();
  counters.messagesSent++;
  counters.bytesSent += <u64>bytes;
  if (isDead(machine)) {
    release(writingAside);
    return;
  }
  // The core counts linkids that leave without knowing what they are in (promise 25).
  if (writer.references != 0)
    messageReferences(changetype<MessageHeader>(writer.start), referenceGiven.index, machine);
  if (writingAside == 0) {
    linkCommit(linkTo(machine), bytes);
    dirtyLinks |= bit(machine);
    return;
  }
  const overflow = changetype<Overflow>(writingAside);
  overflow.machine = machine;
  overflow.bytes = bytes;
  overflowing |= bit(machine);
  if (overflowLast != 0) changetype<Overflow>(overflowLast).next = writingAside;
  else overflowFirst = writingAside;
  overflowLast = writingAside;
}

/** What now finds room, in order for each machine. */
function overflowDrain(): void {
  let before: usize = 0;
  let at = overflowFirst;
  overflowing = 0;
  while (at != 0) {
    const overflow = changetype<Overflow>(at);
    const machine = overflow.machine;
    const next = overflow.next;
    let room: usize = 0;
    if (!isDead(machine) && !(overflowing & bit(machine))) {
      room = linkReserve(linkTo(machine), overflow.bytes);
      if (room == 0) overflowing |= bit(machine);
    }
    if (overflowing & bit(machine)) before = at;
    else {
      if (room != 0) {
        memory.copy(room, at + OVERFLOW_BYTES, overflow.bytes);
        linkCommit(linkTo(machine), overflow.bytes);
        dirtyLinks |= bit(machine);
      }
      if (before != 0) changetype<Overflow>(before).next = next;
      else overflowFirst = next;
      release(at);
    }
    at = next;
  }
  overflowLast = before;
}

/** Everything that links have to say goes to the card. */
function pump(now: u64): void {
  if (overflowFirst != 0) overflowDrain();
  while (dirtyLinks != 0) {
    const machine = <u32>ctz(dirtyLinks) + 1;
    const link = linkTo(machine);
    const before = link.retransmissions;
    while (true) {
      const slot = slotTake(card);
      if (slot == 0) {
        // The card has not sent what it has: the thread looks again at once.
        wakeService();
        nicFlush();
        return;
      }
      if (!linkOutput(link, now)) {
        slotReturn(card, slot);
        break;
      }
      transmit(link, machine, slot, now);
    }
    stats().retransmissions += link.retransmissions - before;
    dirtyLinks &= ~bit(machine);
  }
  nicFlush();
}

/** Short payloads are copied, so that the ring may forget them while the card still has them. */
function transmit(link: Link, machine: u32, slot: usize, now: u64): void {
  const at = slot + HEADERS_BYTES;
  memory.copy(at, link.header, LINK_HEADER_BYTES);
  let bytes = LINK_HEADER_BYTES;
  let more = link.outAt;
  let moreBytes = link.outBytes;
  if (HEADERS_BYTES + LINK_HEADER_BYTES + moreBytes <= SLOT_BYTES) {
    memory.copy(at + LINK_HEADER_BYTES, more, moreBytes);
    bytes += moreBytes;
    more = 0;
    moreBytes = 0;
  }
  udpSend(card, slot, NETWORK | (machine << 24), PORT, bytes, more, moreBytes, now);
}

// --- Time, coming and going ---

/** When to look again. */
function tick(now: u64): u64 {
  let next = revocationsDue();
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine != self) next = min<u64>(next, tickLink(machine, now));
  }
  if (!member) next = min<u64>(next, join(now));
  if (leaver == 0) return next;
  const end = farewell(now);
  if (end != 0) return min<u64>(next, end);
  // The last thing that the others hear: that theirs has arrived, so that they need not wait for it.
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine == self || isDead(machine)) continue;
    if (linkTo(machine).ackDue != 0) linkTo(machine).ackDue = now;
    dirtyLinks |= bit(machine);
  }
  pump(now);
  const client = changetype<Client>(leaver);
  leaver = 0;
  portReply(client, 0);
  return next;
}

function tickLink(machine: u32, now: u64): u64 {
  const link = linkTo(machine);
  const mine = bit(machine);
  let next = linkTick(link, now);
  if (link.state == LINK_LOST) {
    exclude(machine, now);
    return now;
  }
  if (next <= now) dirtyLinks |= mine;
  if (link.state == LINK_DOWN && !((wereUp | excluded) & mine)) {
    if (now >= joinUntil) neverCame(machine);
    else next = min<u64>(next, joinUntil);
  }
  if (excluded & ~dead & mine) {
    const end = load<u64>(excludedAt + (machine << 3) - 8) + graceTime;
    if (now >= end) died(machine);
    else next = min<u64>(next, end);
  }
  if (up & mine) {
    const leaseEnd = link.lastConfirmed + leaseTime;
    if (now < leaseEnd) {
      if (suspended & mine) resume(machine);
      next = min<u64>(next, leaseEnd);
    } else if (!(suspended & mine)) suspend(machine);
  }
  return max<u64>(next, now + 1);
}

function suspend(machine: u32): void {
  suspended |= bit(machine);
  pagesSuspend(machine);
}

function resume(machine: u32): void {
  suspended &= ~bit(machine);
  pagesResume(machine);
}

function say(text: string, machine: u32, rest: string): void {
  print(text);
  printDecimal(machine);
  print(rest);
}

function machineUp(machine: u32): void {
  // A new machine with an old number: the old one is dead for certain.
  if (excluded & ~dead & bit(machine)) died(machine);
  up |= bit(machine);
  wereUp |= bit(machine);
  excluded &= ~bit(machine);
  dead &= ~bit(machine);
  departed &= ~bit(machine);
  resume(machine);
  pagesMachineCame(machine);
  say("cluster: machine ", machine, " is here\n");
  store<u64>(itemPut(messageTo(machine, 32, 0, 0, COMMAND_MEMBERS), ITEM_ACKS, 0, 8), up);
  messageEnd();
}

/**
 * A machine asks for nothing until every other one has told it that it knows this life: else one that still takes the
 * number for dead would count acknowledgements as given that are not. Who is absent is known from the others, but
 * two may come back at the same time, so an absent one is waited for a little.
 */
function memberOf(machine: u32, message: MessageHeader): void {
  confirmed |= bit(machine);
  mentioned |= load<u64>(itemData(itemFind(message, ITEM_ACKS)));
  if (memberAt == NEVER) memberAt = nanoseconds() + ABSENT_TIME;
  wanted = true;
}

/** When to look again. */
function join(now: u64): u64 {
  let all = machines == 64 ? ~(<u64>0) : bit(machines + 1) - 1;
  all &= ~bit(self) & ~excluded;
  const missing = all & ~confirmed;
  if (missing != 0 && (now < memberAt || (missing & mentioned) != 0))
    return memberAt > now ? memberAt : joinUntil;
  member = true;
  while (early != 0) {
    const client = changetype<Client>(early);
    early = client.nextWaiter;
    client.nextWaiter = 0;
    const result = requestServe(client, now);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
  return now;
}

/**
 * The death of a machine, in two steps, so that a machine that lives and only cannot be heard does no harm (R0).
 * First nobody speaks to it any more: who misses it tells all others. It has used no page that it holds for longer than
 * leaseTime after anybody but itself was last heard to have heard it, since it suspends those pages. graceTime later, when
 * that must be over, it counts as dead: its copies as gone, its pages as lost.
 */
function exclude(machine: u32, now: u64): void {
  const silent = (departed & bit(machine)) != 0;
  up &= ~bit(machine);
  excluded |= bit(machine);
  store<u64>(excludedAt + (machine << 3) - 8, now);
  suspend(machine);
  linkReset(linkTo(machine));
  dirtyLinks |= bit(machine);
  if (silent) return;
  say("cluster: machine ", machine, " is lost\n");
  for (let other: u32 = 1; other <= machines; other++) {
    if (!(up & bit(other))) continue;
    itemPut(messageTo(other, 24, 0, 0, COMMAND_LOST), ITEM_REQUESTER, machine, 0);
    messageEnd();
  }
}

/** Another machine does not hear that one any more. Of ourselves it need not tell us: its link will. */
function accused(message: MessageHeader): void {
  const machine = itemFind(message, ITEM_REQUESTER).aux;
  if (machine == 0 || machine > machines || machine == self) return;
  linkCut(linkTo(machine)); // tick() does the rest
  wanted = true;
}

function neverCame(machine: u32): void {
  say("cluster: machine ", machine, " never came\n");
  excluded |= bit(machine);
  died(machine);
}

/** LOSTLINK: every operation that needs that machine ends. */
function died(machine: u32): void {
  dead |= bit(machine);
  pagesMachineDied(machine);
  objectsMachineDied(machine);
  spreadMachineDied(machine);
}

/** `client` is answered when every living machine has said farewell and has heard ours. */
export function farewellBegin(client: Client, now: u64): i64 {
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine == self || isDead(machine)) continue;
    messageTo(machine, 16, 0, 0, COMMAND_FAREWELL);
    messageEnd();
  }
  leaver = changetype<usize>(client);
  leaveUntil = 0;
  if (farewell(now) == 0) {
    leaver = 0;
    return 0;
  }
  wakeService();
  return ASYNCHRONOUS;
}

/** 0: it is over; else when to look again. */
function farewell(now: u64): u64 {
  let quiet = true;
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine == self || isDead(machine)) continue;
    if (!(departed & bit(machine))) return NEVER;
    const link = linkTo(machine);
    if (link.oldest != link.nextSequence) quiet = false;
  }
  // All have said it. What they have not acknowledged they may still need, but not for ever.
  if (leaveUntil == 0) leaveUntil = now + 500 * MILLISECOND;
  if (!quiet && now < leaveUntil) return now + 5 * MILLISECOND;
  return 0;
}
