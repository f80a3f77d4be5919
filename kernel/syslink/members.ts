// The cluster's membership as this machine lives it (R0, R4; membership.ts decides, this file acts): links that come and go,
// views that are installed and flushed, leases, deaths, and beginning anew when others have gone on without it.
//
// A machine that others leave out has stopped by itself before they rely on it: it uses shared pages only while more than
// half of its view has been heard to have heard it of late (lease.ts); nobody who votes it out
// acknowledges it any more; and what it held counts as lost graceTime (1/3) after the view without it, or after the last word that
// those who voted for that have heard of it (silence.ts): at once, if it was its silence for which they did.
//
// A view is flushed: each member sends a marker to each other on their link, behind everything that it said in the view before.
// With all markers in, nothing older is under way, and the dead are dead.
import { Client } from "../coherence/client";
import { commitHealing, commitsFail } from "../coherence/commits";
import {
  homesAnswered,
  homesFreeze,
  homesHandIn,
  homesHealed,
  homesMachineDied,
  homesRebuild,
  homesSettled,
  homesStart,
  homesThaw,
} from "../coherence/homes";
import { mirrorsFetched } from "../coherence/left-mirrors";
import { mirrorsOn } from "../coherence/mirror-pages";
import { objectsForsaken } from "../coherence/object-list";
import { locksFail, locksMachineDied } from "../coherence/object-locks";
import { objectsMachineDied } from "../coherence/objects";
import {
  pagesFlush,
  pagesForsaken,
  pagesHeld,
  pagesMachineCame,
  pagesMachineDied,
  pagesView,
} from "../coherence/page-members";
import { questionsFail } from "../coherence/questions";
import { remainsDrop } from "../coherence/remains";
import { futexMachineCame } from "../coherence/shared-futex";
import { willsMachineDied } from "../coherence/wills";
import { print, printDecimal } from "../console";
import { allocate } from "../memory/slab";
import { bootNumber } from "../options";
import { spreadMachineDied } from "../process/spread";
import { COMMAND_FAREWELL, COMMAND_MEMBERS, ITEM_ACKS } from "./commands";
import {
  allSaidFarewell,
  farewellForget,
  farewellHandedIn,
  farewellHeard,
  farewellOver,
  farewellSaid,
  farewellsForget,
  wantsToLeave,
} from "./farewell";
import { leaseForget, leaseHolds, leaseLook, leaseStart, patienceEnds } from "./lease";
import { LINK_LOST, LINK_UP, Link, linkCut, linkReset, linkTick, NEVER } from "./link";
import { linksCreate } from "./links";
import {
  FLUSHED,
  FROZEN,
  HANDED_IN,
  HEALED,
  INTERRUPTED,
  interruptedByAny,
  LEFT,
  markedByAll,
  markOf,
  markSet,
  marksForget,
  markTell,
  PHASES,
  REBUILT,
} from "./marks";
import {
  isMember,
  MEMBERSHIP_BYTES,
  Membership,
  membershipAsk,
  membershipCreate,
  membershipExpected,
  membershipHeard,
  membershipHears,
  membershipInput,
  membershipLeft,
  membershipLink,
  membershipOut,
  membershipOutBytes,
  membershipReborn,
  membershipShunned,
  membershipSilentSince,
  membershipTick,
  membershipView,
} from "./membership";
import { itemData, itemFind, itemPut, MessageHeader } from "./message";
import { linkDirty, messageEnd, noticeTo, overflowDrain, voteSend } from "./outbox";
import {
  bit,
  clusterEpoch,
  clusterMachines,
  clusterSelf,
  deadMachines,
  epochSet,
  exclude,
  include,
  linkTo,
} from "./peers";
import { View, viewCopy, viewHas, viewLife } from "./view";

const MILLISECOND: u64 = 1_000_000;

let membership = changetype<Membership>(0);
/** The view that this machine acts by, and the one before. */
const current = changetype<View>(memory.data(552, 8));
const former = changetype<View>(memory.data(552, 8));
/** Bits per machine: links that are up; members that are gone and not dead yet. */
let up: u64 = 0;
let dying: u64 = 0;
/** New lives, to whom no page goes before the view is flushed: what was said in older views is about the lives before. */
let coming: u64 = 0;
/** By machine: since when nobody who counts hears it. */
const excludedAt: usize = memory.data(512, 8);
/** The last one that this machine has ended. */
let phase: u32 = 0;
/** It has frozen for a view that not all members are known to have rebuilt for. */
let moves: bool = false;
/** The newest views in which what had lost its mirror goes to another one; has got it; and all members have said so. */
let healing: u64 = 0;
let healed: u64 = 0;
let allHealed: u64 = 0;
/** It belongs to the cluster and asks for things. */
let member: bool = false;
/** It has to begin anew, as soon as no thread of the kernel copies from or to a page. */
let forsaken: bool = false;
/** Since the last look at the time nothing has come that membersTick() has to act upon before its time. */
let settled: bool = false;
let graceTime: u64 = 0;
let lossTime: u64 = 0;
let joinUntil: u64 = 0;
let newLife: u32 = 0;
let askAgain: u32 = 0;

/** `lives`: table index of (): u64, a number for a new life; `later`: of (client), whose question is to be asked again. */
export function membersStart(now: u64, lives: u32, later: u32): void {
  newLife = lives;
  askAgain = later;
  const loss = bootNumber("linkloss", 10_000) * MILLISECOND;
  graceTime = loss / 3;
  leaseStart(loss);
  lossTime = loss - graceTime;
  joinUntil = now + bootNumber("join", 60_000) * MILLISECOND;
  epochSet(call_indirect<u64>(newLife));
  linksCreate(lossTime);
  membership = membershipCreate(allocate(MEMBERSHIP_BYTES), clusterSelf(), clusterMachines(), clusterEpoch());
  heardUntil(now);
}

/** A life vouches for no silence before itself. */
function heardUntil(now: u64): void {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++)
    membershipHeard(membership, machine, now);
}

/** What the links have heard: before each vote. */
function linksHeard(): void {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf()) membershipHeard(membership, machine, linkTo(machine).lastHeard);
  }
}

/** Who is silent for so long is left out, and dead. Nanoseconds. */
export function membersLossTime(): u64 {
  return lossTime + graceTime;
}

/** Threads are served. */
export function inService(): bool {
  return member;
}

/** Nobody comes or goes, no view is under way: until membersTick() wants to be called, frames need nothing of it. */
export function membersSettled(): bool {
  return settled;
}

function say(text: string, machine: u32, rest: string): void {
  print(text);
  printDecimal(machine);
  print(rest);
}

// --- What comes in ---

/** After a datagram of that machine. */
export function linkHeard(machine: u32): void {
  const link = linkTo(machine);
  linkDirty(machine);
  if (link.state == LINK_UP && !(up & bit(machine))) linkUp(machine, link);
  else if (link.state == LINK_LOST) linkGone(machine);
  else if (link.refused != 0) linkRefused(link);
}

export function voteCame(at: usize, bytes: u32, now: u64): void {
  settled = false;
  linksHeard();
  membershipInput(membership, at, bytes, now);
}

export function memberMessage(machine: u32, message: MessageHeader): void {
  settled = false;
  const command = <u32>message.command;
  if (command == COMMAND_FAREWELL) {
    farewellSaid(machine);
    return;
  }
  const value = load<u64>(itemData(itemFind(message, ITEM_ACKS)));
  if (command == COMMAND_MEMBERS) membershipHears(membership, machine, value);
  else marked(machine, itemFind(message, ITEM_ACKS).aux % PHASES, value);
}

function marked(machine: u32, ended: u32, number: u64): void {
  markSet(machine, ended, number);
  if (number > current.number) membershipAsk(membership, machine);
  if (ended == LEFT && number == current.number) membershipLeft(membership, machine);
  // Of an older view it still holds, as long as this machine has not handed in anew.
  if (ended == REBUILT && (number == current.number || phase == FLUSHED)) homesThaw(machine);
}

/** This machine has ended a phase. */
function mark(ended: u32): void {
  phase = ended;
  markTell(current, ended);
}

function linkUp(machine: u32, link: Link): void {
  settled = false;
  up |= bit(machine);
  farewellForget(machine);
  marksForget(machine);
  membershipLink(membership, machine, link.peerEpoch);
  say("cluster: machine ", machine, " is here\n");
  tellWhoIsHeard();
}

/** The link is lost, and with it what was under way: one of its two ends must leave. */
function linkGone(machine: u32): void {
  settled = false;
  const was = (up & bit(machine)) != 0;
  up &= ~bit(machine);
  exclude(machine);
  overflowDrain();
  const succeeded = linkTo(machine).succeeded != 0;
  linkReset(linkTo(machine));
  linkDirty(machine);
  membershipLink(membership, machine, 0);
  if (!was) return;
  if (phase == LEFT) return; // it is this machine that has left
  if (membership.left & bit(machine)) say("cluster: machine ", machine, " has left\n");
  else if (!farewellHeard(machine)) say("cluster: machine ", machine, " is lost\n");
  tellWhoIsHeard();
  // Two lives that have lost each other never speak again: who belongs to nothing begins another, unless the other one has.
  if (!succeeded && !isMember(membership)) forsaken = true;
}

/** As when the link is lost, but that it was up at the other end only. */
function linkRefused(link: Link): void {
  settled = false;
  link.refused = 0;
  if (!isMember(membership)) forsaken = true;
}

/** Who has links with all members may become one. */
function tellWhoIsHeard(): void {
  for (let rest = up; rest != 0; rest &= rest - 1) {
    store<u64>(itemPut(noticeTo(<u32>ctz(rest) + 1, 32, COMMAND_MEMBERS), ITEM_ACKS, 0, 8), up);
    messageEnd();
  }
}

// --- Time ---

/** When to look again. */
export function membersTick(now: u64): u64 {
  settled = true; // unless something below is news
  let next: u64 = NEVER;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf()) next = min<u64>(next, tickLink(machine, now));
  }
  if (current.number == 0) {
    if (now >= joinUntil) membership.mayForm = 1;
    else next = min<u64>(next, joinUntil);
  }
  membership.ending = u32(allSaidFarewell());
  membership.leaving = u32(member && wantsToLeave(now));
  linksHeard();
  next = min<u64>(next, membershipTick(membership, now));
  membersLook(now);
  // Not while a view may be under way that takes this life in: it would have a member that nobody is.
  if (forsaken && phase != LEFT && !isMember(membership) && !membershipExpected(membership))
    next = min<u64>(next, beginAnew(now));
  if (member) next = min<u64>(next, leaseLook(membership, current, up, now));
  next = min<u64>(next, phases(now));
  next = min<u64>(next, patienceEnds(now, !member && now >= joinUntil));
  settled = settled && member && leaseHolds() && !forsaken && phase == REBUILT && allHealed == current.number;
  return next;
}

function tickLink(machine: u32, now: u64): u64 {
  const link = linkTo(machine);
  const next = linkTick(link, now);
  if (link.state == LINK_LOST) {
    linkGone(machine);
    return now;
  }
  if (next <= now) linkDirty(machine);
  return max<u64>(next, now + 1);
}

/** After every piece of work: links that a vote ends, a new view, votes that are to go out. */
export function membersLook(now: u64): void {
  for (let rest = membershipShunned(membership); rest != 0; rest &= rest - 1) cut(<u32>ctz(rest) + 1);
  const view = membershipView(membership);
  if (view.number != current.number || view.cluster != current.cluster) install(view, now);
  while (true) {
    const vote = membershipOut(membership);
    if (vote == 0) break;
    voteSend(vote, membershipOutBytes(vote));
  }
}

function cut(machine: u32): void {
  const link = linkTo(machine);
  linkCut(link);
  if (link.state == LINK_LOST) linkGone(machine);
}

// --- Views ---

function install(view: View, now: u64): void {
  settled = false;
  const was = current.number != 0 && viewHas(current, clusterSelf(), clusterEpoch());
  viewCopy(former, current);
  viewCopy(current, view);
  sayView();
  if (!isMember(membership)) {
    if (phase == LEFT) farewellOver();
    else if (was) forsaken = true;
    return;
  }
  forsaken = false;
  if (!was) former.members = 0;
  if (was && moves) {
    markSet(clusterSelf(), INTERRUPTED, current.number);
    markTell(current, INTERRUPTED);
  }
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf()) change(machine, now);
  }
  if (!was) homesStart(current.members & ~current.leaving);
  pagesFlush();
  mark(FLUSHED);
}

/** What the view that was just installed means for another machine. */
function change(machine: u32, now: u64): void {
  const mine = bit(machine);
  const is = (current.members & mine) != 0;
  const same = is && viewHas(former, machine, viewLife(current, machine));
  if (same) return;
  if (former.members & mine) {
    if (up & mine && linkTo(machine).peerEpoch == viewLife(former, machine)) cut(machine);
    exclude(machine);
    dying |= mine;
    // Who has left has nothing, and will not use it.
    const since = membership.left & mine ? now - graceTime : min<u64>(membershipSilentSince(membership), now);
    store<u64>(excludedAt + ((machine - 1) << 3), since);
  }
  if (is) {
    // A new life with an old number: the old one is dead for certain.
    if (dying & mine) died(machine);
    include(machine);
    farewellForget(machine);
    coming |= mine;
    futexMachineCame(machine);
  } else if (!(dying & mine) && !member) died(machine);
}

function sayView(): void {
  say("cluster: view ", <u32>current.number, ": machines");
  for (let rest = current.members; rest != 0; rest &= rest - 1) say(" ", <u32>ctz(rest) + 1, "");
  if (!isMember(membership)) print(", this one is left out");
  print("\n");
}

/** The phases of the newest view, each when all have ended the one before. When to look again. */
function phases(now: u64): u64 {
  if (current.number == 0 || !isMember(membership)) return NEVER;
  if (phase == FLUSHED) {
    if (!markedByAll(current, FLUSHED)) return NEVER;
    const next = deaths(now);
    if (dying != 0) return next;
    for (; coming != 0; coming &= coming - 1) pagesMachineCame(<u32>ctz(coming) + 1);
    pagesView(current.number); // behind the deaths: by what they lose the home that was renumbers, not the next one
    again(homesFreeze(current.members, current.leaving, interruptedByAny(current)));
    moves = true;
    mark(FROZEN);
  }
  if (phase == FROZEN && markedByAll(current, FROZEN)) {
    if (!homesAnswered()) return now + MILLISECOND;
    if (!homesHandIn()) return now + MILLISECOND;
    mark(HANDED_IN);
  }
  if (phase == HANDED_IN && markedByAll(current, HANDED_IN)) {
    if (!mirrorsFetched()) return now + MILLISECOND;
    homesRebuild();
    mark(REBUILT);
    homesThaw(clusterSelf());
    for (let rest = current.members; rest != 0; rest &= rest - 1) {
      const machine = <u32>ctz(rest) + 1;
      if (markOf(machine, REBUILT) == current.number) homesThaw(machine);
    }
  }
  if (phase == REBUILT && markedByAll(current, REBUILT)) {
    moves = false;
    homesSettled();
  }
  if (phase == REBUILT && markedByAll(current, REBUILT) && healing < current.number) {
    healing = current.number;
    commitHealing(healing);
  }
  if (healed == current.number && allHealed < healed && markedByAll(current, HEALED)) {
    allHealed = healed;
    homesHealed();
  }
  if (phase == REBUILT && (member || markedByAll(current, REBUILT))) member = true;
  if (
    phase == REBUILT &&
    (current.leaving & bit(clusterSelf())) != 0 &&
    markedByAll(current, REBUILT) &&
    othersHave()
  ) {
    mark(LEFT);
    farewellHandedIn(now);
  }
  return NEVER;
}

/** What this machine had mirrors of for others has them elsewhere by now. */
function othersHave(): bool {
  return !mirrorsOn() || allHealed == current.number;
}

/** Members of the view that are not spoken to any more: they, or this machine, are of none that follows. */
export function membersUnheard(): u64 {
  return current.members & deadMachines() & ~bit(clusterSelf());
}

/** What had lost its mirror in that view has got another one, as far as it was this machine's. */
export function membersHealed(view: u64): void {
  if (view != current.number || healed == view) return;
  settled = false;
  healed = view;
  markTell(current, HEALED);
}

/** When to look again. */
function deaths(now: u64): u64 {
  let next: u64 = NEVER;
  for (let rest = dying; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    const end = load<u64>(excludedAt + ((machine - 1) << 3)) + graceTime;
    if (now >= end) died(machine);
    else next = min<u64>(next, end);
  }
  return next;
}

/** Clients whose questions have to be asked again. */
function again(clients: usize): void {
  while (clients != 0) {
    const client = changetype<Client>(clients);
    clients = client.nextWaiter;
    client.nextWaiter = 0;
    call_indirect<void>(askAgain, client);
  }
}

/** LOSTLINK: every operation that needs that machine ends. */
function died(machine: u32): void {
  const came = (coming & bit(machine)) != 0; // nobody freezes before this machine has flushed the view that it comes in
  dying &= ~bit(machine);
  coming &= ~bit(machine);
  if (!(membership.left & bit(machine))) homesMachineDied(machine, came);
  willsMachineDied(machine);
  pagesMachineDied(machine);
  objectsMachineDied(machine);
  locksMachineDied(machine);
  spreadMachineDied(machine);
}

// --- Beginning anew ---

/** The others go on without this machine: it lets go of all that it shares and joins as a new one. When to look again. */
function beginAnew(now: u64): u64 {
  if (pagesHeld()) return now + 5 * MILLISECOND;
  forsaken = false;
  if (member) print("cluster: left out; what this machine shared is gone, it joins again\n");
  member = false;
  up = 0;
  moves = false;
  dying = 0;
  coming = 0;
  farewellsForget();
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf()) continue;
    exclude(machine);
    marksForget(machine);
  }
  overflowDrain();
  questionsFail();
  commitsFail();
  remainsDrop();
  objectsForsaken();
  locksFail();
  pagesForsaken();
  for (let rest = former.members & ~bit(clusterSelf()); rest != 0; rest &= rest - 1) {
    spreadMachineDied(<u32>ctz(rest) + 1);
  }
  leaseForget();
  const life = call_indirect<u64>(newLife);
  epochSet(life != clusterEpoch() ? life : ~life | 1);
  linksCreate(lossTime);
  membershipReborn(membership, clusterEpoch());
  heardUntil(now);
  return now;
}
