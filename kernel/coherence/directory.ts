// A page's directory at its home: what machines say to it, its actions (table.ts), and the death of machines.
import { rowOf } from "./engine";
import {
  RangeSet,
  rangeOf,
  rangesCarve,
  rangesFound,
  rangesHeldLast,
  rangesHold,
  rangesMayGrant,
  STORED,
} from "./ranges";
import {
  ACT_TAKE,
  AS_GUESSED,
  bitOf,
  Engine,
  HAS_COPY,
  LOCAL_MAX,
  ONCE,
  PAGE_MESSAGE_BYTES,
  PARTLY,
  Page,
  PageMessage,
  peerAt,
  RIGHT_EXCLUSIVE,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_INVALIDATE,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  UNHEARD,
  WITH_DATA,
} from "./records";
import { put, say, sayForward, sayGrant, sayOperation, sayOrdered, sayPage } from "./say";
import { NO_SERIAL, serialReverted, serialTaken } from "./serials";
import {
  CLEAN,
  CLEAN_LATE,
  CLEAN_SHARED,
  CONFIRM_LOSS,
  DROP_SENDER,
  FAIL_ONCE,
  GET_OPERATE,
  GET_READ,
  GET_READ_OWNER,
  GET_WRITE,
  GET_WRITE_OWNER,
  GET_WRITE_SHARER,
  GRANT_EXCLUSIVE,
  GRANT_MODIFIED,
  GRANT_SHARED,
  HELD,
  INVALID,
  INVALIDATE_SHARERS,
  KEEP,
  LOST,
  NONE,
  OTHER_FAILED,
  OWNER_DIED,
  OWNER_FAILED,
  PASS_OPERATE,
  PASS_READ,
  PASS_WRITE,
  PURGE_ALL,
  RECOVERED,
  RECOVERING,
  REJECT_SENDER,
  RELEASE_OWNER,
  RESUME,
  SHARER_DIED,
  SHARERS_DIED,
  SURRENDERED,
  TAKE_BACK,
  UNRECOVERED,
  UNUSED,
} from "./table";

/** Page.found: its bytes have come; but some of them are old, which nobody knows yet; somebody was told of the loss. */
const FOUND: u8 = 1;
const FOUND_PARTLY: u8 = 2;
const FOUND_TOLD: u8 = 4;

/** Recovering: nobody is to be told of the loss any more. */
function isSettled(page: Page): bool {
  return page.found != 0 && !(page.found & FOUND_PARTLY);
}

/** Its home freezes. The page may be lost, as far as that one knows, and nobody have been told: it hears of that yet (lossFrozen()). */
export function lossFreezes(page: Page): void {
  const recovers = page.directory == RECOVERING;
  page.reverts = u8(recovers && isSettled(page));
  page.untold = u8(page.directory == LOST || (recovers && !isSettled(page)));
}

/** What the home has of the page is the page: nobody else has it, or it has come while the home recovered it. */
export function isAtHome(page: Page): bool {
  const found = (page.found & (FOUND | FOUND_PARTLY)) == FOUND;
  return page.directory == UNUSED || (page.directory == RECOVERING && found);
}

export function directoryMessage(engine: Engine, page: Page, message: PageMessage): void {
  // A stranger (strangers.ts) answers a former home also when all have frozen.
  if (message.kind == SAY_SURRENDER && engine.self != page.home && !(message.flags & WITH_DATA)) return;
  assert(engine.self == page.home, "a directory message to a machine that is not the home");
  refresh(page);
  const copy = saysCopy(page, message);
  const owns = page.owner == message.from;
  let event = GET_READ;
  switch (message.kind) {
    case SAY_GET_READ:
      event = owns ? GET_READ_OWNER : GET_READ;
      break;
    case SAY_GET_WRITE:
      if (owns) event = GET_WRITE_OWNER;
      else event = copy && page.sharers & bitOf(message.from) ? GET_WRITE_SHARER : GET_WRITE;
      break;
    case SAY_CLEAN:
      event = owns ? CLEAN : CLEAN_LATE;
      break;
    case SAY_LOSS:
      event = page.directory == HELD && speaksOf(page, message) ? OWNER_FAILED : OTHER_FAILED;
      break;
    case SAY_GET_OPERATE:
      event = GET_OPERATE;
      break;
    case SAY_SURRENDER:
      surrendered(engine, page, message);
      return;
  }
  directoryEvent(engine, page, event, message);
}

/** Does who tells of a loss speak of the page as it was given away last? Then whoever waits behind him waits in vain. */
function speaksOf(page: Page, message: PageMessage): bool {
  return page.owner == message.from || (page.passed & bitOf(message.from)) != 0;
}

/** What the home tells once whoever is to have the page next is told, if it was told to nobody. */
function heardByNobody(page: Page, message: PageMessage): void {
  if (message.flags & ONCE && !isFollowed(page, message)) page.broken = 1;
}

/** Was somebody ordered behind the request of who tells of a loss? He refuses him, and tells him what was told once (cache.ts). */
function isFollowed(page: Page, message: PageMessage): bool {
  const from = bitOf(message.from);
  if (page.owner == 0 || page.sharers & from) return false;
  return page.owner == message.from ? page.sharers != 0 : (page.passed & from) != 0;
}

/** At the former home of a frozen page: somebody was told of its loss before he froze. */
export function lossFrozen(page: Page, message: PageMessage): void {
  if (message.flags & UNHEARD && message.flags & ONCE) page.tellers |= bitOf(message.from);
  if (message.flags & (PARTLY | UNHEARD) || !(page.passed & bitOf(message.from))) return;
  page.untold = 0;
  page.reverts = 1;
}

function takeBack(engine: Engine, page: Page, message: PageMessage): void {
  if (<u32>message.from == engine.self) return;
  serialTaken(page, message);
  put(engine, page, ACT_TAKE, 0);
}

function surrendered(engine: Engine, page: Page, message: PageMessage): void {
  if (!(page.awaited & bitOf(message.from))) return;
  page.awaited &= ~bitOf(message.from);
  const data = message.flags & WITH_DATA;
  if (data) page.found |= message.flags & PARTLY ? FOUND_PARTLY : FOUND;
  const event = page.awaited != 0 ? SURRENDERED : isSettled(page) ? RECOVERED : UNRECOVERED;
  if (data && event == UNRECOVERED) takeBack(engine, page, message); // it is lost, and this is what it reverts to
  directoryEvent(engine, page, event, message);
}

/** Does the requester say that it has a copy? Without ranges whom the directory names has one. */
function saysCopy(page: Page, message: PageMessage): bool {
  return page.ranges == 0 || (message.flags & HAS_COPY) != 0;
}

/** A page whose directory is that of its range: what the range says now. */
export function refresh(page: Page): void {
  if (page.ranges == 0 || page.ranged == 0) return;
  const range = rangeOf(changetype<RangeSet>(page.ranges), page.index);
  page.directory = range.directory;
  page.owner = range.owner;
  page.sharers = range.sharers;
}

/** The range that is granted with the page in this event; 0 = the page alone. */
let grantFirst: u64 = 0;
let grantEnd: u64 = 0;

/** The page's directory is about to change: with all of its range, or it leaves the range. */
function leaveRange(page: Page, event: u8, message: PageMessage): void {
  grantEnd = 0;
  if (page.ranges == 0 || page.ranged == 0) return;
  const set = changetype<RangeSet>(page.ranges);
  if (event == GET_OPERATE && page.directory != HELD) return; // changes nothing
  const gets = event == GET_READ || event == GET_WRITE;
  if (page.directory == LOST && gets) {
    rangesFound(set);
    return;
  }
  const asks = page.directory == UNUSED && gets;
  if (asks && rangesMayGrant(set, page.index)) {
    grantFirst = rangesHold(set, message.from);
    grantEnd = rangesHeldLast() + 1;
    return;
  }
  rangesCarve(set, page.index);
  page.ranged = 0;
}

/** `machine` has touched the page, which it was granted with a range that it gives up. */
export function directoryKeep(page: Page, machine: u32): void {
  refresh(page);
  if (page.directory == HELD && <u32>page.owner == machine) directoryAlone(page);
}

/** Its record says from now on what its range has said. */
export function directoryAlone(page: Page): void {
  if (page.ranges == 0 || page.ranged == 0) return;
  refresh(page);
  rangesCarve(changetype<RangeSet>(page.ranges), page.index);
  page.ranged = 0;
}

/**
 * At the home, before its ranges are forgotten: its record says what its range says. It is `ranged` still if somebody was granted it with
 * all of the range.
 */
export function directoryStands(page: Page): void {
  if (page.ranges == 0 || page.ranged == 0) return;
  refresh(page);
  const range = rangeOf(changetype<RangeSet>(page.ranges), page.index);
  page.ranged = u8(range.directory == HELD && (range.flags & STORED) == 0);
}

export function directoryEvent(engine: Engine, page: Page, event: u8, message: PageMessage): void {
  leaveRange(page, event, message);
  const row = rowOf(engine, page.directory, event);
  const next = load<u8>(row, 2);
  if (next == HELD && page.directory != HELD) page.passed = 0; // it is given away
  page.directory = next;
  for (let i: usize = 3; i < 7; i++) {
    const action = load<u8>(row + i);
    if (action == NONE) break;
    directoryAct(engine, page, action, message);
  }
}
// --- Actions of a directory ---

function directoryAct(engine: Engine, page: Page, action: u8, message: PageMessage): void {
  const from = <u32>message.from;
  switch (action) {
    case GRANT_SHARED:
      grantFromHome(engine, page, message, RIGHT_SHARED | WITH_DATA);
      page.sharers |= bitOf(from);
      break;
    case GRANT_EXCLUSIVE:
      grantFromHome(engine, page, message, RIGHT_EXCLUSIVE | WITH_DATA);
      page.owner = message.from;
      break;
    case GRANT_MODIFIED:
      grantModified(engine, page, message);
      break;
    case PASS_READ:
      served(engine, page, message, page.owner, 0);
      sayForward(engine, page, page.owner, SAY_FORWARD_READ, guessedFlag(page, message), message, 0);
      if (guessedFlag(page, message) != 0) sayOrdered(engine, page, message, 0);
      page.sharers |= bitOf(from);
      break;
    case PASS_WRITE:
      passWrite(engine, page, message);
      break;
    case PASS_OPERATE:
      // Without it the requester would not be told when the owner dies.
      served(engine, page, message, page.owner, 0);
      peerAt(page, from).operating = 1;
      sayOperation(
        engine,
        page,
        page.owner,
        SAY_EXECUTE,
        0,
        message.transaction,
        from,
        message.operation,
        message.operand,
        message.comparand,
      );
      break;
    case REJECT_SENDER:
      served(engine, page, message, 0, 0);
      say(engine, page, from, SAY_REJECTED, 0, 0, message.transaction, 0);
      break;
    case INVALIDATE_SHARERS:
      invalidateSharers(engine, page, message);
      break;
    case RELEASE_OWNER:
      page.sharers |= bitOf(page.owner);
      page.owner = 0;
      break;
    case DROP_SENDER:
      page.sharers &= ~bitOf(from);
      break;
    case FAIL_ONCE:
      serialReverted(engine, page);
      served(engine, page, message, 0, 0);
      say(engine, page, from, SAY_FAILURE, 0, ONCE, message.transaction, 0);
      break;
    case CONFIRM_LOSS:
      // Whoever reports it has told his threads; but of which loss?
      if (message.flags & UNHEARD) heardByNobody(page, message);
      else if (page.directory == RECOVERING && speaksOf(page, message) && !(message.flags & PARTLY))
        page.found |= FOUND_TOLD;
      page.passed &= ~bitOf(from);
      say(engine, page, from, SAY_LOSS_KNOWN, 0, 0, 0, 0);
      break;
    case PURGE_ALL:
      purgeAll(engine, page);
      break;
    case KEEP:
      peerAt(page, from).kept = message.kind;
      peerAt(page, from).keptTransaction = message.transaction;
      break;
    case TAKE_BACK:
      if (message.flags & WITH_DATA) takeBack(engine, page, message);
      break;
    case RESUME:
      resume(engine, page);
      break;
    default:
      assert(false, "an action that no directory takes");
  }
}

/** Who is to answer the request, and who to acknowledge it: should they die, the requester must be told. */
function served(engine: Engine, page: Page, message: PageMessage, server: u32, acks: u64): void {
  const peer = peerAt(page, message.from);
  peer.acks = acks;
  peer.served = message.transaction;
  peer.operating = 0;
  peer.server = <u8>server;
  passes(engine, page, message.from, server);
}

/**
 * The request of `from` is passed on to `server`, 0 = to nobody. Where somebody has died: what the home has itself, and gives away now, was not
 * lost before.
 */
export function passes(engine: Engine, page: Page, from: u32, server: u32): void {
  const here = server == engine.self && page.state != INVALID && page.transaction == 0;
  if (here && engine.dead != 0) page.passed = 0;
  if (server != 0) page.passed |= bitOf(from);
  else page.passed &= ~bitOf(from);
}

function grantFromHome(engine: Engine, page: Page, message: PageMessage, flags: u8): void {
  served(engine, page, message, 0, 0);
  sayGrant(engine, page, message.from, flags, message.transaction, 0, message.serial, grantFirst, grantEnd);
}

/** The sharers, as they were before INVALIDATE_SHARERS took them off the record. */
let invalidated: u64 = 0;
let wasSharer: bool = false;

function invalidateSharers(engine: Engine, page: Page, message: PageMessage): void {
  const from = bitOf(message.from);
  wasSharer = (page.sharers & from) != 0 && saysCopy(page, message);
  invalidated = page.sharers & ~from;
  page.sharers = 0;
  let rest = invalidated;
  while (rest != 0) {
    const machine = <u32>ctz(rest) + 1;
    rest &= rest - 1;
    sayForward(engine, page, machine, SAY_INVALIDATE, 0, message, 0);
  }
}

function grantModified(engine: Engine, page: Page, message: PageMessage): void {
  // An owner without a copy was granted the page with a range and has not touched it: the backing store is right.
  const owned = page.owner == message.from && saysCopy(page, message);
  const has = owned || (page.owner == 0 && wasSharer);
  const acks = invalidated;
  invalidated = 0;
  wasSharer = false;
  served(engine, page, message, 0, acks);
  page.owner = message.from;
  const flags: u8 = has ? RIGHT_MODIFIED : RIGHT_MODIFIED | WITH_DATA;
  sayGrant(
    engine,
    page,
    message.from,
    flags,
    message.transaction,
    acks,
    message.serial,
    grantFirst,
    grantEnd,
  );
}

function passWrite(engine: Engine, page: Page, message: PageMessage): void {
  const acks = invalidated;
  const copy = wasSharer;
  invalidated = 0;
  wasSharer = false;
  served(engine, page, message, page.owner, acks);
  const guessed = guessedFlag(page, message);
  const flags: u8 = copy ? HAS_COPY | guessed : guessed;
  sayForward(engine, page, page.owner, SAY_FORWARD_WRITE, flags, message, acks);
  if (guessed != 0) sayOrdered(engine, page, message, acks);
  page.owner = message.from;
}

/** AS_GUESSED: the requester asked the owner as well. */
function guessedFlag(page: Page, message: PageMessage): u8 {
  return message.requester != 0 && message.requester == page.owner ? AS_GUESSED : 0;
}

/** Every living machine is to let go of the page, and to hand it in if it has it. */
function purgeAll(engine: Engine, page: Page): void {
  page.owner = 0;
  page.sharers = 0;
  page.awaited = 0;
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    if (engine.dead & bitOf(machine)) continue;
    page.awaited |= bitOf(machine);
    say(engine, page, machine, SAY_PURGE, 0, 0, peerAt(page, machine).served, 0);
  }
}

/** Recovered, or lost for good: the requests that came meanwhile. */
function resume(engine: Engine, page: Page): void {
  page.found = 0;
  serialReverted(engine, page);
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const peer = peerAt(page, machine);
    if (peer.kept == 0) continue;
    const kept = changetype<PageMessage>(engine.local + (LOCAL_MAX + 1) * PAGE_MESSAGE_BYTES);
    kept.kind = peer.kept;
    kept.from = <u8>machine;
    kept.requester = 0;
    kept.flags = 0;
    kept.transaction = peer.keptTransaction;
    kept.acks = 0;
    kept.serial = NO_SERIAL;
    peer.kept = 0;
    directoryMessage(engine, page, kept);
  }
}

export function directoryDeath(engine: Engine, page: Page, peer: u32): void {
  refresh(page);
  // Whoever was to be served by the dead machine, and was not: its transaction is still open, else it ignores this.
  for (let machine: u32 = 1; machine <= engine.machines; machine++) {
    const slot = peerAt(page, machine);
    if (machine == peer) continue;
    if (slot.acks & bitOf(peer)) {
      slot.acks &= ~bitOf(peer);
      say(engine, page, machine, SAY_ACKNOWLEDGED, peer, 0, slot.served, 0);
    }
    if (<u32>slot.server != peer) continue;
    slot.server = 0;
    // Who asked for an operation has no copy any more, though it counts as a sharer: it has thrown it away.
    if (slot.operating == 0 && page.directory == CLEAN_SHARED && page.sharers & bitOf(machine)) {
      sayPage(engine, page, machine, RIGHT_SHARED | WITH_DATA, slot.served, 0, NO_SERIAL);
      continue;
    }
    // Whatever it had asked for, and before whichever gift: what it is told is that the page is lost now. If somebody else has it, it is found there.
    if (page.directory == HELD) page.passed |= bitOf(machine);
    say(engine, page, machine, SAY_FAILURE, 0, 0, slot.served, 0);
  }
  const slot = peerAt(page, peer);
  slot.kept = 0;
  slot.served = 0;
  slot.server = 0;
  slot.acks = 0;
  slot.operating = 0;
  page.passed &= ~bitOf(peer);
  // As if the dead machine had said it.
  const message = changetype<PageMessage>(engine.local + LOCAL_MAX * PAGE_MESSAGE_BYTES);
  message.kind = 0;
  message.from = <u8>peer;
  message.flags = 0;
  if (page.sharers & bitOf(peer)) {
    const last = page.owner == 0 && page.sharers == bitOf(peer);
    directoryEvent(engine, page, last ? SHARERS_DIED : SHARER_DIED, message);
  }
  if (<u32>page.owner == peer) directoryEvent(engine, page, OWNER_DIED, message);
  else if (page.directory == RECOVERING) surrendered(engine, page, message);
}
