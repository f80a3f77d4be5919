// Reading ahead: a thread that comes to one page after the other of a shared object, by loads or by read(), is on a stream; the pages in
// front of it are asked for before it comes to them, many at a time, and are here when it does. Core 0 only.
//
// The window doubles with each page of the stream, and is filled again when half of it is used up. Only pages of which this machine has
// nothing are asked for, in one message (runs.ts), only to read: nothing that anybody uses here goes for it. A page that somebody else has taken before
// the thread came to it ends the window: the stream starts again from nothing. Who asked ahead may still be the one who learns that a page is
// lost: the next thread to ask for a page of the object is told so. Not for objects without a name: processes' memory has holes.
import { frameAllocate } from "../memory/frames";
import { framesAhead } from "../memory/reserve";
import { bootNumber } from "../options";
import { clusterSelf } from "../syslink/cluster";
import { linkRoom } from "../syslink/links";
import { askMany, isAsked } from "./asked";
import { Client } from "./client";
import { engineAsk } from "./engine";
import { rangesOf, rangesReady } from "./grants";
import { homesHeal } from "./homes";
import { Kept, keptFind } from "./kept";
import { isLentOut } from "./loans";
import { readersOwn } from "./migratory";
import { mirrorsOn } from "./mirror-pages";
import { pageFind, pageMake } from "./page-index";
import { isSuspended } from "./page-members";
import { sendOnly } from "./page-send";
import { SharedObject } from "./pager";
import { drain, engine } from "./pages";
import { rangeOf } from "./ranges";
import { Page } from "./records";
import { queuesOn } from "./refusals";
import { runAsks, runsBegin, runsEnd } from "./runs";
import { sayAsked, stepAsk } from "./steps";
import { EXCLUSIVE, INVALID, INVALID_READ, MODIFIED, OWNED, SHARED } from "./table";

const WINDOW_MIN: u32 = 2;
const WINDOW_MAX: u32 = 256;
/** Mapped by one fault, behind its page (around.ts). */
export const AROUND: u32 = 31;

/** `ahead=PAGES` on the command line: the longest window; 0 turns it off, for comparisons. */
let windowMax: u32 = 0;
let known: bool = false;

/** What whoever has the pages answers at once is in its links' rings, as long as these are; some of it may wait behind. */
function longest(): u32 {
  if (!known) windowMax = min<u32>(<u32>bootNumber("ahead", WINDOW_MAX), (linkRoom() * 2) / 4096);
  known = true;
  return readersOwn ? 0 : windowMax;
}

/** Before the client is served: it has come to a page, which it is to read. */
export function streamMet(client: Client, page: Page): void {
  if (page.ahead != 0 && page.state == INVALID) client.streamWindow = 0; // taken by somebody else meanwhile
  page.ahead = 0;
}

/** The client has asked for page client.index. */
export function readAhead(client: Client, object: SharedObject, index: u64): void {
  if (longest() == 0 || object.hash == 0) return;
  const same = client.streamObject == object.id;
  if (same && index < client.streamNext && client.streamNext - index <= <u64>AROUND) return; // once more the same page
  if (!same || index != client.streamNext) {
    client.streamObject = object.id;
    client.streamNext = index + 1;
    client.streamEnd = index + 1;
    client.streamWindow = 0;
    return;
  }
  client.streamNext = index + 1;
  client.streamWindow = min<u32>(longest(), max<u32>(WINDOW_MIN, client.streamWindow * 2));
  const from = max<u64>(client.streamEnd, client.streamNext);
  if (from - client.streamNext > <u64>(client.streamWindow / 2)) return;
  const end = min<u64>(client.streamNext + client.streamWindow, (object.size + 4095) / 4096);
  let next = from;
  runsBegin();
  while (next < end) {
    const many = askTogether(object, next, end - next);
    if (many == 0 && !askAhead(object, next)) break;
    next += max<u32>(1, many);
  }
  runsEnd();
  client.streamEnd = next;
}

/**
 * A fault of the client at `index` is resolved: pages behind it that are here as well, `most` of them, may be mapped with it. Their
 * number, and their page-table entries, a u64 each, at `entries`: frame and `flags`; the client's stream goes on behind them.
 */
export function streamAround(
  client: Client,
  object: SharedObject,
  index: u64,
  most: u32,
  flags: u64,
  entries: usize,
): u32 {
  if (longest() == 0 || client.streamWindow == 0 || client.streamObject != object.id) return 0;
  if (index + 1 != client.streamNext) return 0;
  // Of an object that became shorter its home has the pages behind the end, cleared.
  const limit = object.home == clusterSelf() ? (object.size + 4095) / 4096 : index + 1 + u64(most);
  const left = limit > index + 1 ? limit - (index + 1) : 0;
  const end = u32(min<u64>(min<u32>(AROUND, most), left));
  let count: u32 = 0;
  streamBegin();
  while (count < end) {
    const frame = streamFrame(object, index + 1 + count);
    if (frame == 0) break;
    if (changetype<usize>(streamKept) != 0) streamKept.ahead = 0;
    else streamPage.ahead = 0;
    store<u64>(entries + (count << 3), <u64>frame | flags);
    count++;
  }
  client.streamNext += count;
  return count;
}

/** Pages directly behind `index` that are here, `most` at the most. */
export function streamBehind(object: SharedObject, index: u64, most: u32): u32 {
  let count: u32 = 0;
  streamBegin();
  while (count < most && streamFrame(object, index + 1 + count) != 0) count++;
  return count;
}

/** A page is under way. */
export function streamComes(object: SharedObject, index: u64): bool {
  const page = pageFind(object, index);
  return changetype<usize>(page) != 0 ? page.state == INVALID_READ : isAsked(object, index);
}

/** What streamFrame() has found, pages one after the other: what is kept without a record, or the record. */
let streamKept = changetype<Kept>(0);
let streamPage = changetype<Page>(0);
/** The range that it has looked at last; from 1 to 0: it has not yet. Whoever begins with it says so, for none of these may be gone. */
let streamFirst: u64 = 1;
let streamLast: u64 = 0;
let streamReads: bool = false;

function streamBegin(): void {
  streamFirst = 1;
  streamLast = 0;
  streamKept = changetype<Kept>(0);
}

/** The frame of a page whose bytes are here and may be read; 0: they are not, or somebody takes them at the moment. */
function streamFrame(object: SharedObject, index: u64): usize {
  // Mostly it came behind the one before, and is of its range.
  if (changetype<usize>(streamKept) != 0 && index <= streamLast && streamReads) {
    const next = changetype<Kept>(streamKept.previousInObject);
    if (changetype<usize>(next) != 0 && next.index == index && next.former == 0) {
      streamKept = next;
      return next.frame;
    }
  }
  return streamSearch(object, index);
}

function streamSearch(object: SharedObject, index: u64): usize {
  const kept = keptFind(object, index);
  streamKept = kept;
  if (changetype<usize>(kept) != 0) {
    if (kept.former != 0) return 0;
    if (index < streamFirst || index > streamLast) {
      const range = rangeOf(rangesOf(object), index);
      streamFirst = range.first;
      streamLast = range.last;
      streamReads = mayBeRead(range.state);
    }
    return streamReads ? kept.frame : 0;
  }
  const page = pageFind(object, index);
  streamPage = page;
  if (changetype<usize>(page) == 0) return 0;
  if (page.frozen != 0 || page.revoking != 0 || page.broken != 0 || isLentOut(page)) return 0;
  return mayBeRead(page.state) ? page.frame : 0;
}

function mayBeRead(state: u32): bool {
  return state == SHARED || state == OWNED || state == EXCLUSIVE || state == MODIFIED;
}

/** As many pages of which this machine has nothing, not even a record, as follow each other: they need none before they come. */
function askTogether(object: SharedObject, index: u64, most: u64): u32 {
  if (object.dead != 0 || object.moving != 0 || object.home == clusterSelf()) return 0;
  if (isSuspended() || mirrorsOn() || !queuesOn()) return 0;
  const frames = framesAhead();
  if (frames == 0) return 0;
  const range = rangeOf(rangesOf(object), index);
  if (range.state != INVALID) return 0;
  return askMany(object, index, min<u64>(min<u64>(most, <u64>frames), range.last - index + 1));
}

/** False: no more for now. */
function askAhead(object: SharedObject, index: u64): bool {
  if (isAsked(object, index)) return true;
  if (object.dead != 0 || object.moving != 0 || homesHeal()) return false;
  if (isSuspended() || framesAhead() == 0) return false;
  // What this machine was granted with a range needs no record yet.
  let page = pageFind(object, index);
  if (changetype<usize>(page) == 0) {
    if (rangeOf(rangesOf(object), index).state != INVALID) return true;
    page = pageMake(object, index);
  } else page.resting = 0;
  if (page.state != INVALID || page.waiters != 0) return true;
  if (page.frozen != 0 || page.revoking != 0 || page.heat != 0 || page.passedFor != 0) return false;
  if (page.frame == 0) page.frame = frameAllocate();
  if (page.frame == 0) return false;
  page.ahead = 1;
  if (queuesOn() && stepAsk(engine, page)) {
    if (runAsks(page)) return true;
    sayAsked(engine, page);
    sendOnly(page);
    return true;
  }
  rangesReady(object);
  engineAsk(engine, page, false);
  drain(page);
  return true;
}

/** A page that nobody waits for was not to be had. `refused`: it lies behind the object's end; else it is lost. */
export function aheadFailed(page: Page, refused: bool): void {
  if (page.ahead != 0 && !refused) changetype<SharedObject>(page.holder).lossUntold = 1;
  page.ahead = 0;
}

/** A loss that a thread is to be told of, once. */
export function lossUntold(object: SharedObject): bool {
  const untold = object.lossUntold != 0;
  object.lossUntold = 0;
  return untold;
}
