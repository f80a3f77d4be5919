// When frames run short: what other machines have as well goes, and pages that are here alone are offered to their homes, those that came
// first before others. Programs that need a frame wait meanwhile, and get none when nothing is left that another machine could have: the home of
// a page has no other place for it. Mirrored pages stay where they are. Core 0 only.

import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { nanoseconds } from "../machine/time";
import { frameFree } from "../memory/frames";
import { framesAreShort, framesToTake } from "../memory/reserve";
import { clusterMachines, clusterSelf } from "../syslink/cluster";
import { ASK_FRAMES, Client } from "./client";
import { dropPage, pageGiveBack } from "./giving";
import { Kept, keptForget } from "./kept";
import { mirrorsOn } from "./mirror-pages";
import { objectsFirst } from "./object-list";
import { pageFind, pageFindOrMake } from "./page-index";
import { isSuspended } from "./page-members";
import { SharedObject } from "./pager";
import { pageAsked } from "./pages";
import { Page } from "./records";
import { remainsDrop } from "./remains";
import { isIdle, isSettledObject, mergeResting, PATIENCE } from "./resting";
import { frameTake, RELIEF_DROP, RELIEF_FORGET, RELIEF_OFFER, reliefOf, reliefOffers } from "./shedding";
import { INVALID } from "./table";

const ENOMEM: i64 = 12;
const NEVER: u64 = ~(<u64>0);
/** A home that did not take what it was offered is left alone so long. */
const FULL_TIME: u64 = 1_000_000_000;
/** Frames that are given up at once, and pages that are under way to their homes. */
const FREED_AT_ONCE: u32 = 64;
const GIVEN_AT_ONCE: u32 = 64;
/** Looking for them takes one of so many parts of the time at most; where none was to be had at once it is looked again after a while. */
const SHARE: u64 = 4;
const NOTHING: u64 = 1_000_000;

/** Clients that wait for a frame, linked by nextWaiter, those that came first before the others. */
let starving: usize = 0;
let starvingLast: usize = 0;
/** Not before is it looked again for something to give up. */
let reliefAt: u64 = 0;
let freed: u32 = 0;
let offered: u32 = 0;

/** A thread needs a frame and may have none: it waits for one. */
export function frameAwaited(client: Client): i64 {
  if (mirrorsOn()) return -ENOMEM;
  // No service thread will look again later: what can be had is had when this question ends.
  if (clusterMachines() == 1) reliefAt = 0;
  client.nextWaiter = 0;
  if (starvingLast != 0) changetype<Client>(starvingLast).nextWaiter = changetype<usize>(client);
  else starving = changetype<usize>(client);
  starvingLast = changetype<usize>(client);
  return ASYNCHRONOUS;
}

export function framesWanted(now: u64): bool {
  if (starving != 0 && <u64>framesToTake() >= needs(changetype<Client>(starving))) return true;
  return now >= reliefAt && (starving != 0 || framesAreShort());
}

/** When it has to be looked again, for who waits. */
export function framesDue(): u64 {
  return starving != 0 ? reliefAt : NEVER;
}

/** Of framesWanted(). */
export function framesRelieve(now: u64): void {
  serve();
  if (now < reliefAt || (starving == 0 && !framesAreShort())) return;
  const begun = nanoseconds();
  remainsDrop();
  const waits = relieveAll(now) || isSuspended();
  serve();
  if (freed + offered == 0 && !waits) refuseAll();
  const end = nanoseconds();
  reliefAt = end + max<u64>(SHARE * (end - begun), freed == 0 ? NOTHING : 0);
}

/** Whether nothing is short any more, or there may be more later, of objects whose home moves. */
function relieveAll(now: u64): bool {
  freed = 0;
  offered = 0;
  let moves = false;
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    if (object.moving != 0) moves = true;
    if (isElsewhere(object)) offersEnd(object, now);
  }
  mergeResting(now, true);
  if (starving == 0 && !framesAreShort()) return true; // records were what took the room
  for (let at = changetype<usize>(objectsFirst()); at != 0; at = changetype<SharedObject>(at).next) {
    const object = changetype<SharedObject>(at);
    if (isElsewhere(object)) relieveOf(object, now);
  }
  return moves;
}

function isElsewhere(object: SharedObject): bool {
  return isSettledObject(object) && object.home != clusterSelf();
}

function firstTake(): Client {
  const client = changetype<Client>(starving);
  starving = client.nextWaiter;
  if (starving == 0) starvingLast = 0;
  client.nextWaiter = 0;
  return client;
}

function needs(client: Client): u64 {
  return client.command == ASK_FRAMES ? client.size : 1;
}

/** As many as there is room for; each takes about so many frames as it needs. */
function serve(): void {
  let room = <u64>framesToTake();
  while (starving != 0 && needs(changetype<Client>(starving)) <= room) {
    const client = firstTake();
    room -= needs(client);
    const result = client.command == ASK_FRAMES ? 0 : pageAsked(client);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
}

function refuseAll(): void {
  while (starving != 0) portReply(firstTake(), -ENOMEM);
}

function relieveOf(object: SharedObject, now: u64): void {
  relieveRecords(object, now);
  let at = object.keptFirst;
  while (at != 0 && freed < FREED_AT_ONCE) {
    const kept = changetype<Kept>(at);
    at = kept.previousInObject;
    const index = kept.index;
    const relief = reliefOf(object, kept);
    if (relief == RELIEF_FORGET) {
      keptForget(object, kept);
      freed++;
    } else if (relief == RELIEF_DROP) {
      if (!dropPage(object, index)) continue;
      frameFree(frameTake(pageFind(object, index)));
      freed++;
    } else if (relief == RELIEF_OFFER && offered < GIVEN_AT_ONCE && now >= object.fullUntil) {
      pageGiveBack(object, pageFindOrMake(object, index), now);
      offered++;
    }
  }
}

/** Of pages that were offered and are here still: a home that did not take one has no room either. Before they count as at rest again. */
function offersEnd(object: SharedObject, now: u64): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.givenAt == 0 || page.state == INVALID) continue;
    if (now - page.givenAt < PATIENCE) {
      offered++;
      continue;
    }
    page.givenAt = 0;
    object.fullUntil = now + FULL_TIME;
  }
}

/** Pages that cannot merge, since others have copies of what is here. */
function relieveRecords(object: SharedObject, now: u64): void {
  if (now < object.fullUntil) return;
  for (let at = object.pages; at != 0 && offered < GIVEN_AT_ONCE; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (!reliefOffers(page) || !isIdle(page, now)) continue;
    pageGiveBack(object, page, now);
    offered++;
  }
}
