// Byte ranges of a page (parts.ts) in the kernel: when the owner lends chunks of it to a machine that keeps asking, and when
// they come back. To the directory nothing changes: the owner stays the owner, and what is lent holds up a revocation of the
// page as a pin does, until it has come back. Core 0 only, but for `partsLock` and what threads do under it (process/parted.ts).
//
//   ask      a machine that has lost the page again and again asks for the chunks that its instruction touches: an operation
//            (operation.ts, BORROW), on the ways of all operations, to the owner
//   lend     the owner does, unless its own threads have touched them: the page leaves its page tables, the bytes go out
//   recall   when something needs the whole page: a thread here, a reader, a writer, an operation on lent bytes
//   return   the borrower answers at once, or comes by itself when the loan is not worth it any more
//
// A loan is worth it while both machines use the page, and while the accesses, each of which faults, take less time than
// the page would take to go to and fro (contention.ts knows what share of the time a machine then has it). After a
// conflict, or a refusal, the page is left whole for a time, longer each time in a row.
//
// When a borrower dies, its bytes are lost: the page is `broken`, and the next who is to have it is told so once (R2), by the
// home when the page goes there. When the owner dies, a loan is void: the page is lost with its owner. `bytes=0` on the command
// line turns all this off.
import { SpinLock } from "../lwkt/spinlock";
import { nanoseconds } from "../machine/time";
import { frameAllocate } from "../memory/frames";
import { allocate } from "../memory/slab";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { clusterMachines, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_BYTES, ITEM_BYTES, ITEM_PAGE } from "../syslink/commands";
import { inService } from "../syslink/members";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemPut,
  MessageHeader,
  MessageWriter,
  RESPONSE,
} from "../syslink/message";
import { Client } from "./client";
import { isHot, pageShare, SHARE_ONE } from "./contention";
import { objectById } from "./object-list";
import { BORROW, operationChunks, operationOf } from "./operation";
import { pageFind } from "./page-index";
import { SharedObject } from "./pager";
import { drain, wantedAgain } from "./pages";
import {
  PART_BYTES_MAX,
  Part,
  Parts,
  partAt,
  partBegin,
  partBytesValid,
  partCovers,
  partEnd,
  partFind,
  partGive,
  partIsNew,
  partLend,
  partLoan,
  partLost,
  partMerge,
  partRefused,
  partsBytes,
  partsCreate,
  partsForget,
  partTake,
  SLOTS,
} from "./parts";
import { Action, Page } from "./records";
import { EVERYTHING, takeAway } from "./revocations";
import { serialForget } from "./serials";
import { INVALID, MODIFIED } from "./table";
import { isSpunOn } from "./turns";

const MILLISECOND: u64 = 1_000_000;
const NEVER: u64 = ~(<u64>0);
/** So often the costs of a loan are looked at; so many looks without an access end it. */
const LOOK: u64 = 4 * MILLISECOND;
const IDLE_LOOKS: u32 = 12;
/** How long a page is left whole after a conflict, a refusal, a loan that was too dear; doubled each time in a row. */
const WHOLE: u64 = 2 * MILLISECOND;
const WHOLE_DEAR: u64 = 50 * MILLISECOND;
const WHOLE_MAX: u64 = 1000 * MILLISECOND;
/** A loan that lasted so long was no mistake. */
const LASTING: u64 = 20 * MILLISECOND;
/** What the processor, the stubs and the clock take of an access beyond what is measured, in eighths of it. */
const BEYOND: u64 = 4;

/** Held from the look at the parts to the last byte of an access, and while they change. */
export const partsLock = changetype<SpinLock>(memory.data(offsetof<SpinLock>(), 8));
/** How often a process has taken something away from its map. */
let maps: u32 = 0;
let room: usize = 0;
let lends: bool = false;
/** The lease has run out: nobody touches anything. */
let stopped: bool = false;
let nextLook: u64 = NEVER;
/** What is about to be sent: bytes at `out`, so many, of the lending with that number. */
let out: usize = 0;
let outBytes: u32 = 0;
let outId: u32 = 0;

export function loansStart(): void {
  // What is lent and written elsewhere has no mirror.
  lends = bootNumber("bytes", 1) != 0 && bootNumber("mirror", 0) == 0 && clusterMachines() > 1;
  if (!lends) return;
  room = allocate(partsBytes(clusterMachines()));
  partsCreate(changetype<Parts>(room), clusterMachines());
  out = allocate(PART_BYTES_MAX);
}

function parts(): Parts {
  return changetype<Parts>(room);
}

function none(): bool {
  return room == 0 || parts().count == 0;
}

/** Some page is here in part. */
export function loansAny(): bool {
  return !none();
}

/** 0: the page is whole here, or not here. */
function partOf(page: Page): Part {
  return none() ? changetype<Part>(0) : partFind(parts(), page.object, page.index);
}

/** Something is lent of the page, here or elsewhere, or may not be. */
export function hasLoans(page: Page): bool {
  return page.broken != 0 || changetype<usize>(partOf(page)) != 0;
}

/** Under partsLock: the part of the page, if these chunks are in it and may be used now; else 0. */
export function partUsable(object: u64, index: u64, chunks: u64): Part {
  if (none() || stopped) return changetype<Part>(0);
  const part = partFind(parts(), object, index);
  return changetype<usize>(part) != 0 && partCovers(part, chunks) ? part : changetype<Part>(0);
}

/** Without the lock: may this machine have a part of the page? */
export function mayBeParted(object: u64, index: u64): bool {
  return !none() && changetype<usize>(partFind(parts(), object, index)) != 0;
}

/** Under partsLock: an access has been carried out, begun then. */
export function accessCounted(part: Part, begun: u64): void {
  part.accesses++;
  part.spent += nanoseconds() - begun;
  stats().accessesCarried++;
}

export function mapsNumber(): u32 {
  return maps;
}

/** A process changes its map: what was looked up of it before counts no more, and no access by it is under way. */
export function mapChanges(): void {
  partsLock.acquire();
  maps++;
  partsLock.release();
}

// --- Whether it is worth it ---

/** The page stays whole for a time. */
function leaveWhole(page: Page, least: u64, now: u64): void {
  page.wholeFor = min<u64>(WHOLE_MAX, max<u64>(least, page.wholeFor * 2));
  page.wholeUntil = now + page.wholeFor;
}

/** Under partsLock. A pin of its own keeps the page's record and frame as long. */
function partOpen(page: Page, owner: u32): Part {
  atomic.add<u32>(changetype<usize>(page) + offsetof<Page>("pins"), 1);
  return partBegin(parts(), page.object, page.index, changetype<usize>(page), page.frame, owner);
}

function partClose(part: Part): void {
  atomic.sub<u32>(part.page + offsetof<Page>("pins"), 1);
  partEnd(parts(), part);
}

function begun(part: Part, page: Page, now: u64): void {
  changetype<SharedObject>(page.holder).fought = 1;
  part.lookedAt = now;
  page.partedAt = now;
  nextLook = min<u64>(nextLook, now + LOOK);
}

/** What this machine's threads touch of the page while it comes and goes: chunks of this stay and of the one before. */
export function pageTouched(page: Page, chunks: u64): void {
  page.touched |= chunks != 0 ? chunks : ~(<u64>0);
}

/** Another machine has it now. */
export function touchedEnd(page: Page): void {
  page.touchedBefore = page.touched;
  page.touched = 0;
}

/** The page is asked for by these clients, and chunks of it would do. Ask for them? */
export function borrowPays(page: Page, first: Client, now: u64): bool {
  if (!lends || page.state != INVALID || now < page.wholeUntil || first.touches == 0) return false;
  if (isSpunOn(page)) return false; // others are to write what is read here
  if (partRefused(parts(), page.object, page.index)) return false;
  for (let at = changetype<usize>(first); at != 0; at = changetype<Client>(at).nextWaiter) {
    if (changetype<Client>(at).touches == 0) return false;
  }
  return changetype<usize>(partOf(page)) != 0 || isHot(page, now);
}

export function borrowOperation(): u32 {
  return operationOf(BORROW, 0, 0);
}

/** The loan that this machine has of the page: the owner must know of the same one. */
export function loanNumber(page: Page): u64 {
  const part = partOf(page);
  return changetype<usize>(part) != 0 ? <u64>part.id : 0;
}

/** Nobody has lent what was asked for. */
export function borrowDeclined(page: Page): void {
  leaveWhole(page, WHOLE, nanoseconds());
}

/** A thread asks for the page: has it been lent meanwhile what the thread needs? */
export function isLentHere(page: Page, chunks: u64): bool {
  if (chunks == 0 || page.broken != 0) return false;
  const part = partOf(page);
  return changetype<usize>(part) != 0 && partCovers(part, chunks);
}

// --- The owner ---

/** Something of the page is elsewhere. */
export function isLentOut(page: Page): bool {
  const part = partOf(page);
  return changetype<usize>(part) != 0 && part.owner == 0;
}

/** Answering a request for chunks (action.operand) that reached the owner: false: it is refused. */
export function lend(page: Page, action: Action): bool {
  const chunks = action.operand;
  const now = nanoseconds();
  if (!lends || !inService() || page.state != MODIFIED || now < page.wholeUntil || page.broken != 0)
    return false;
  if (page.revoking != 0 || page.holds != 0 || page.waiters != 0) return false;
  let part = partOf(page);
  const has: u32 = changetype<usize>(part) != 0 ? partLoan(part, action.to) : 0;
  if (action.comparand != <u64>has || (page.touched | page.touchedBefore) & chunks) return false;
  if (changetype<usize>(part) == 0) {
    if (partRefused(parts(), page.object, page.index)) return false;
    takeAway(page, EVERYTHING); // the engine takes the page for dirty since it answers for others
    page.twinOf = 0; // who sent the page writes to his frame of it
    partsLock.acquire();
    part = partOpen(page, 0);
    partsLock.release();
    begun(part, page, now);
  } else if (part.recalled != 0 || !partCovers(part, chunks)) return false;
  partsLock.acquire();
  outBytes = partLend(parts(), part, action.to, chunks, out);
  partsLock.release();
  outId = parts().serial;
  stats().chunksLent += <u64>popcnt<u64>(chunks);
  return true;
}

/** May an operation for another machine be done here now? Not on bytes that are elsewhere, or were lost. */
export function operationUsable(page: Page, operation: u32): bool {
  if (page.broken != 0) return false;
  const part = partOf(page);
  return changetype<usize>(part) == 0 || partCovers(part, operationChunks(operation));
}

/** What the answer that is about to be written lends. */
export function lentBytes(): u32 {
  return outBytes == 0 ? 0 : 8 + outBytes;
}

/** Behind the items of an answer that lends, or of a return. */
export function bytesWrite(writer: MessageWriter): void {
  if (outBytes == 0) return;
  memory.copy(itemPut(writer, ITEM_BYTES, outId, outBytes), out, outBytes);
  outBytes = 0;
}

/** The whole page is needed here, or elsewhere. */
export function loansRecall(page: Page): void {
  const part = partOf(page);
  if (changetype<usize>(part) == 0 || part.owner != 0 || part.recalled != 0) return;
  part.recalled = 1;
  const now = nanoseconds();
  if (now - page.partedAt > LASTING) page.wholeFor = 0;
  leaveWhole(page, WHOLE, now);
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    const id = partLoan(part, machine);
    if (id == 0) continue;
    stats().loansRecalled++;
    store<u64>(
      itemPut(messageTo(machine, 16 + 16, page.object, id, COMMAND_BYTES), ITEM_PAGE, 0, 8),
      page.index,
    );
    messageEnd();
  }
}

/** The last chunk is back. */
function whole(page: Page, part: Part): void {
  partsLock.acquire();
  partClose(part);
  partsLock.release();
  if (page.revoking == 0 && page.waiters != 0) wantedAgain(page);
  else drain(page);
}

// --- A borrower ---

/**
 * Bytes have come with the answer to a request. When that is not open any more they go back at once: the owner may be dead,
 * and the home know it already.
 */
export function loanCame(page: Page, from: u32, id: u32, at: usize, open: bool): void {
  if (!lends || !partIsNew(parts(), from, id)) return;
  let part = partOf(page);
  if (page.frame == 0) page.frame = frameAllocate();
  const refused = changetype<usize>(part) == 0 && partRefused(parts(), page.object, page.index);
  if (refused || page.frame == 0) {
    // There is no room for it: back, as it came.
    const bytes = 8 + ((<u32>popcnt<u64>(load<u64>(at))) << 6);
    memory.copy(out, at, bytes);
    give(page, from, id, bytes);
    return;
  }
  partsLock.acquire();
  if (changetype<usize>(part) == 0) {
    part = partOpen(page, from);
    begun(part, page, nanoseconds());
  }
  assert(part.owner == from, "two machines lend chunks of one page");
  serialForget(page);
  partTake(part, id, at);
  partsLock.release();
  if (!open || page.frozen != 0) giveBack(page, part);
}

/**
 * The page's home moves, or a machine leaves: what was lent goes back, so that each machine hands in whole pages. Nothing is
 * lent from the new view on, and links keep the order: it is here before the owner hands in. Or the home recovers the page. If it
 * was the lender who died, what goes back is heard by nobody, also before this machine knows; else he lives, and waits for it.
 */
export function loanReturns(page: Page): void {
  const part = partOf(page);
  if (changetype<usize>(part) != 0 && part.owner != 0) giveBack(page, part);
}

function give(page: Page, to: u32, id: u32, bytes: u32): void {
  outBytes = bytes;
  outId = id;
  const writer = messageTo(to, 16 + 16 + 8 + bytes, page.object, id, COMMAND_BYTES | RESPONSE);
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), page.index);
  bytesWrite(writer);
  messageEnd();
}

/** All that this machine was lent of the page goes back. */
function giveBack(page: Page, part: Part): void {
  partsLock.acquire();
  const bytes = partGive(part, out);
  partClose(part);
  partsLock.release();
  give(page, part.owner, part.id, bytes);
}

// --- Messages ---

/** COMMAND_BYTES: a loan is recalled; its response: it has come back. */
export function loanMessage(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 || !lends) return;
  const page = pageFind(object, load<u64>(itemData(itemFind(message, ITEM_PAGE))));
  if (changetype<usize>(page) == 0) return;
  const part = partOf(page);
  if (changetype<usize>(part) == 0) return;
  if (!(<u32>message.command & RESPONSE)) {
    if (part.owner != from || part.id != message.msgid) return;
    const now = nanoseconds();
    if (now - page.partedAt > LASTING) page.wholeFor = 0;
    leaveWhole(page, WHOLE, now);
    giveBack(page, part);
    return;
  }
  const item = itemFind(message, ITEM_BYTES);
  if (!partBytesValid(itemData(item), itemDataBytes(item))) return;
  partsLock.acquire();
  const merged = partMerge(part, from, message.msgid, itemData(item));
  partsLock.release();
  if (merged && part.lent == 0) whole(page, part);
}

// --- Time ---

export function loansDue(): u64 {
  return none() ? NEVER : nextLook;
}

/** Looks at what each loan costs and ends those that are not worth it. */
export function loansLook(now: u64): void {
  if (none() || now < nextLook) return;
  nextLook = now + LOOK;
  for (let i: u32 = 0; i < SLOTS; i++) {
    const part = partAt(parts(), i);
    if (part.page != 0) look(changetype<Page>(part.page), part, now);
  }
}

function look(page: Page, part: Part, now: u64): void {
  const time = now - part.lookedAt;
  if (time < LOOK / 2) return;
  const spent = part.spent + ((part.spent * BEYOND) >> 3);
  part.idle = part.accesses == 0 ? part.idle + 1 : 0;
  part.lookedAt = now;
  part.spent = 0;
  part.accesses = 0;
  const dear = spent * SHARE_ONE > time * (SHARE_ONE - pageShare());
  if ((!dear && part.idle < IDLE_LOOKS) || page.frozen != 0) return;
  if (part.owner == 0) loansRecall(page);
  else if (page.state == INVALID) giveBack(page, part);
  else return;
  leaveWhole(page, WHOLE_DEAR, now);
}

// --- Machines that die, leases, records that go ---

/** First its bytes are out of reach; loansMachineGone() follows when the engine knows of the death of each page's machine. */
export function loansMachineDied(machine: u32): void {
  if (room == 0) return;
  partsForget(parts(), machine);
  partsLock.acquire();
  for (let i: u32 = 0; i < SLOTS; i++) {
    const part = partAt(parts(), i);
    if (part.page == 0) continue;
    const page = changetype<Page>(part.page);
    if (part.owner == machine) partClose(part);
    else if (partLost(part, machine)) page.broken = 1;
  }
  partsLock.release();
}

/** Pages of which nothing is elsewhere any more. */
export function loansMachineGone(): void {
  if (none()) return;
  for (let i: u32 = 0; i < SLOTS; i++) {
    const part = partAt(parts(), i);
    if (part.page != 0 && part.owner == 0 && part.lent == 0) whole(changetype<Page>(part.page), part);
  }
}

function partDrop(part: Part): void {
  partsLock.acquire();
  partClose(part);
  partsLock.release();
}

/** The page's record goes, or nothing that it says counts any more. */
export function loansDrop(page: Page): void {
  const part = partOf(page);
  if (changetype<usize>(part) != 0) partDrop(part);
  page.broken = 0;
}

export function loansStop(stop: bool): void {
  if (room == 0) return;
  partsLock.acquire();
  stopped = stop;
  partsLock.release();
}
