// What becomes of this machine's shared pages when the cluster changes: leases that run out, machines that die or come, a
// machine that begins anew. Core 0 only. Part of pages.ts, whose invariants hold here.
import { nanoseconds } from "../machine/time";
import { clusterMachines } from "../syslink/cluster";
import { engineAlive, engineDead, enginePeerDied, forgetPeer, pageCreate } from "./engine";
import { keptForsake, keptSuspend } from "./frozen";
import { rangesForsaken, rangesMachineDied, rangesReady, recallsMachineDied } from "./grants";
import { homeDied, homesForsake } from "./homes";
import { hasLoans, loansDrop, loansMachineDied, loansMachineGone, loansStop } from "./loans";
import { mirrorsForget, mirrorsForsake, mirrorsMachineDied, mirrorsOn } from "./mirror-pages";
import { objectsBury, objectsFirst } from "./object-list";
import { fail } from "./page-grants";
import { pagesAsked } from "./page-index";
import { SharedObject } from "./pager";
import { ask, drain, engine, writerWaits } from "./pages";
import { Page, PEER_BYTES } from "./records";
import { refusalsForget, refusalsMachineDied } from "./refusals";
import { EVERYTHING, takeAway, unlinkWaiting } from "./revocations";
import { eraBegins, NO_SERIAL, serialEnded } from "./serials";
import { engineBereft } from "./takeover";

/** Calls `visit` (of a Page) for every page. */
function everyPage(visit: u32): void {
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    pagesAsked(object);
    let at = object.pages;
    while (at != 0) {
      const page = changetype<Page>(at);
      at = page.nextInObject;
      call_indirect<void>(visit, page);
    }
    object = changetype<SharedObject>(object.next);
  }
}

// --- Machines that die and come ---

let deadMachine: u32 = 0;

function peerDied(page: Page): void {
  refusalsMachineDied(page, deadMachine);
  // Of bytes that a new life was sent in the name of a former one it would count as having them.
  if (mirrorsOn()) forgetPeer(engine, page, deadMachine);
  // What moves its home, or will at once, needs nothing else.
  const object = changetype<SharedObject>(page.holder);
  if (page.frozen != 0 || (object.home == deadMachine && object.hash != 0)) {
    engineBereft(engine, page, deadMachine);
    return;
  }
  if (mirrorsOn() && object.hash != 0) return; // every object moves
  page.twinOf = 0;
  rangesReady(changetype<SharedObject>(page.holder));
  enginePeerDied(engine, page, deadMachine);
  drain(page);
}

/** This machine is about to say that it has begun to flush a view: what it sends early from here on could come to who has frozen. */
export function pagesFlush(): void {
  engine.flushes = 1;
}

/** It has said so, and has not frozen yet. */
export function pagesFlushed(): bool {
  return engine.flushes != 0;
}

/**
 * This machine is about to freeze for the view: what it renumbers from here on has other numbers than whatever was renumbered before, also by
 * its own former life, whose bytes may remain elsewhere.
 */
export function pagesView(view: u64): void {
  eraBegins(engine, view);
  engine.flushes = 0;
}

export function pagesMachineDied(machine: u32): void {
  engineDead(engine, machine);
  mirrorsMachineDied(machine);
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (object.home == machine) {
      // A name has another home (homes.ts), also when a new life of that machine is here already.
      if (object.hash == 0) object.dead = 1;
      else if (object.dead == 0) homeDied(object, machine); // what remains of a former life has no home, and never gets one
    }
    if (mirrorsOn() && object.hash != 0) recallsMachineDied(object, machine);
    else rangesMachineDied(object, machine);
    object = changetype<SharedObject>(object.next);
  }
  deadMachine = machine;
  loansMachineDied(machine);
  everyPage(peerDied.index);
  loansMachineGone();
}

export function pagesMachineCame(machine: u32): void {
  engineAlive(engine, machine);
}

// --- Leases: shared pages are used only as long as more than half of the cluster surely knows that this machine lives ---

let suspended: bool = false;

export function isSuspended(): bool {
  return suspended;
}

function suspend(page: Page): void {
  if (takeAway(page, EVERYTHING)) page.noted = 1;
}

/** Out of every page table at once, pinned or not; the engine knows nothing of it and keeps the rights. */
export function pagesSuspend(): void {
  suspended = true;
  loansStop(true);
  everyPage(suspend.index);
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next)
    keptSuspend(changetype<SharedObject>(at));
}

function resume(page: Page): void {
  if (page.waiters == 0) return;
  ask(page, writerWaits(page), nanoseconds());
  drain(page);
}

/** More than half have been heard to have heard us. */
export function pagesResume(): void {
  suspended = false;
  loansStop(false);
  everyPage(resume.index);
}

// --- The cluster is out of reach, or has gone on without this machine ---

/** Threads that wait for pages are told so; what was asked for may come later and finds nobody. */
export function waitersFail(): void {
  everyPage(fail.index);
}

let held: bool = false;

function look(page: Page): void {
  if (page.holds != 0) held = true;
}

/** Some thread of the kernel copies from or to a page. */
export function pagesHeld(): bool {
  held = false;
  everyPage(look.index);
  return held;
}

/** As if the page had never been here: its threads are told, and no right is left. */
function forsake(page: Page): void {
  fail(page);
  mirrorsForget(page);
  const inParts = hasLoans(page);
  loansDrop(page);
  refusalsForget(page);
  // What the home will say of the bytes that stay is told by their number (R7).
  serialEnded(page, takeAway(page, EVERYTHING));
  const serial = inParts ? NO_SERIAL : page.serial;
  if (page.revoking != 0) {
    unlinkWaiting(page);
    atomic.store<u32>(changetype<usize>(page) + offsetof<Page>("revoking"), 0);
  }
  const object = page.object;
  const index = page.index;
  const home = page.home;
  const peers = page.peers;
  const ranges = page.ranges;
  memory.fill(changetype<usize>(page), 0, offsetof<Page>("frame"));
  memory.fill(peers, 0, clusterMachines() * PEER_BYTES);
  page.object = object;
  page.index = index;
  page.serial = serial;
  page.frozen = 0;
  page.twinOf = 0;
  page.heldUntil = 0;
  page.ownedAt = 0;
  pageCreate(page, home, peers, ranges);
}

/** After objectsForsaken(). */
export function pagesForsaken(): void {
  mirrorsForsake();
  homesForsake();
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    keptForsake(changetype<SharedObject>(at)); // which asks what its ranges let this machine write
    rangesForsaken(changetype<SharedObject>(at));
  }
  everyPage(forsake.index);
  objectsBury();
}
