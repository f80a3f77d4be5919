// Entry for the unit tests in Node: the kernel's pure modules as one .wasm (dist/kernel/unit.wasm). Nothing here
// touches a device; imports that a test does not supply throw.
import { Instruction } from "./coherence/instruction";
import { operationOf } from "./coherence/operation";
import { Part, Parts } from "./coherence/parts";
import { isRecord, RangeSet, rangeAt, rangeOf, STORED } from "./coherence/ranges";
import { Engine, Page } from "./coherence/records";
import { eraBegins, serialEnded, serialReverted } from "./coherence/serials";
import { HELD, LOST } from "./coherence/table";
import { TrapFrame } from "./frame";
import { Interface } from "./net/interface";
import { Link } from "./syslink/link";
import { Membership, membershipView } from "./syslink/membership";
import { viewLife } from "./syslink/view";

export { directoryKeep, directoryStands, lossFreezes } from "./coherence/directory";
export {
  engineAlive,
  engineAsk,
  engineCreate,
  engineDead,
  engineGone,
  engineMessage,
  engineOperate,
  enginePeerDied,
  forgetPeer,
  mayHaveWritten,
  pageCreate,
  pageIsHere,
  tableIndex,
} from "./coherence/engine";
export { failsForNobody, lossRefuses, lossTold } from "./coherence/losses";
export { pageDrop, pageMayDrop, pageMayFetch, pageMayMerge, pageMerge } from "./coherence/merge";
export * from "./coherence/mirrors";
export {
  PAGE_LAST,
  RANGE_BYTES,
  rangeNumber,
  rangesCarve,
  rangesCreate,
  rangesForgetSharer,
  rangesHold,
  rangesHolders,
  rangesKeep,
  rangesLose,
  rangesLost,
  rangesMayGrant,
  rangesPutState,
  rangesReleased,
  STORED,
} from "./coherence/ranges";
export {
  ACT_FAIL,
  ACT_GRANT,
  ACT_OPERATED,
  ACT_REVOKE,
  ACT_SEND,
  ACT_TAKE,
  ACT_WAKE,
  ACTION_BYTES,
  ACTIONS_MAX,
  DATA_DIRTY,
  LOCAL_BYTES,
  ONCE,
  OPERATION_DECLINED,
  OPERATION_DONE,
  OPERATION_FAILED,
  PAGE_MESSAGE_BYTES,
  PAGE_MESSAGE_SERIALS,
  PARTLY,
  PEER_BYTES,
  PEER_SERIALS,
  RIGHT,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAME_DATA,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_EARLY,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_INVALIDATE,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_OPERATED,
  SAY_ORDERED,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  SAY_UNTAKEN,
  WITH_DATA,
} from "./coherence/records";
export {
  sayAsked,
  sayGiven,
  stepAsk,
  stepAskedBefore,
  stepAskMany,
  stepCopy,
  stepGive,
  stepGiveRange,
  stepLowers,
  stepMayGive,
  stepMayGiveRange,
  stepMayTake,
  stepTake,
} from "./coherence/steps";
export { strangerAnswers, strangerSays, strangerTells } from "./coherence/strangers";
export * from "./coherence/table";
export {
  engineAdopt,
  engineAsked,
  engineAwaits,
  engineBereft,
  engineBest,
  engineClaimed,
  engineFetched,
  engineFetches,
  engineFreeze,
  engineGive,
  engineGiven,
  engineHasOffered,
  engineOfferedFor,
  engineOfferedTo,
  engineOfferGiven,
  engineOffers,
  engineRebuild,
  engineReport,
  engineReported,
  engineRestore,
  engineRestored,
  engineSettle,
  engineThaw,
  engineUnanswered,
  REPORT_AWAY,
  REPORT_COPY_GIVEN,
  REPORT_HAD,
  REPORT_MIRROR,
  REPORT_OFFERED,
  UNTOLD,
} from "./coherence/takeover";
export { arpClear } from "./net/arp";
export { fold16, internetSum } from "./net/checksum";
export { ethernetInput } from "./net/ethernet";
export { udpSend } from "./net/udp";
export { CHECK_START, check, checkEnd } from "./syslink/check";
export { commandCheck, commandName, commandRows } from "./syslink/commands";
export {
  fifoAddress,
  fifoCommit,
  fifoCreate,
  fifoFirst,
  fifoRelease,
  fifoReserve,
  fifoSkip,
  fifoUsed,
} from "./syslink/fifo";
export {
  LINK_DOWN,
  LINK_HEADER_BYTES,
  LINK_LOST,
  LINK_UP,
  linkBytes,
  linkCommit,
  linkCreate,
  linkCut,
  linkReserve,
  linkReset,
  linkTick,
} from "./syslink/link";
export { linkDigest } from "./syslink/link-digest";
export { linkInput, linkNext } from "./syslink/link-input";
export { linkOutput } from "./syslink/link-output";
export {
  isMember,
  MEMBERSHIP_BYTES,
  membershipCondemned,
  membershipCreate,
  membershipExpected,
  membershipHeard,
  membershipHears,
  membershipInput,
  membershipLink,
  membershipMajority,
  membershipOut,
  membershipOutBytes,
  membershipReborn,
  membershipShunned,
  membershipSilentSince,
  membershipTick,
} from "./syslink/membership";
export {
  itemBegin,
  itemEnd,
  itemFind,
  itemPut,
  messageCheck,
  messageReason,
  messageReferences,
  writerBegin,
  writerEnd,
} from "./syslink/message";
export * from "./unit-core";
export * from "./unit-holdings";
export * from "./unit-locks";
export * from "./unit-moves";

/** Where the static data ends: tests place their records from here on. */
export function unitHeap(): usize {
  return __heap_base;
}

// --- What tests need to know of records ---
export function engineRecordBytes(): usize {
  return offsetof<Engine>();
}
export function pageRecordBytes(): usize {
  return offsetof<Page>();
}
/** A record that is made again: what was kept of it besides its range (kept.ts). */
export function pageRestore(page: Page, serial: u64, dirty: u32, changed: u32): void {
  page.serial = serial;
  page.dirty = <u8>dirty;
  page.changed = <u8>changed;
}
/** Page.dirty, and Page.changed in bit 1. */
export function pageDirty(page: Page): u32 {
  return <u32>page.dirty | ((<u32>page.changed) << 1);
}
export function rangeSetNarrow(set: RangeSet): void {
  set.narrow = 1;
}
/** How many of the set's ranges are records. */
export function rangeSetRecords(set: RangeSet): u32 {
  let count: u32 = 0;
  for (let i: u32 = 0; i < set.count; i++) count += u32(isRecord(rangeAt(set, i)));
  return count;
}

/** The part of a page's record that belongs to the engine ends here, but for serial numbers, which only name bytes. */
export function pageProtocolBytes(): usize {
  return offsetof<Page>("serial");
}
/** With serial numbers and mirrors. */
export function pageEngineBytes(): usize {
  return offsetof<Page>("frame");
}
export function engineActionCount(engine: Engine): u32 {
  return engine.actionCount;
}
/** Requests to read go to the machine that is believed to own the page as well. */
export function engineSetGuesses(engine: Engine, on: u32): void {
  engine.guesses = on;
}
/** A view is being flushed, or is not any more. */
export function engineSetFlushes(engine: Engine, on: u32): void {
  engine.flushes = on;
}
export function engineIllegal(engine: Engine): u32 {
  return (engine.illegalState << 8) | engine.illegalEvent;
}
export function pageState(page: Page): u32 {
  return page.state;
}
export function pageSerial(page: Page): u64 {
  return page.serial;
}
/** As page-members.ts does when this machine begins anew. The number of the bytes that stay. */
export function pageForsaken(page: Page, written: u32): u64 {
  serialEnded(page, written != 0);
  return page.serial;
}
export function pageMirror(page: Page): u32 {
  return page.mirror;
}
export function pageCopies(page: Page): u64 {
  return page.copies;
}
export function pageShelf(page: Page): u64 {
  return page.shelf;
}
export function pageBest(page: Page): u64 {
  return page.best;
}
export function pageDirectory(page: Page): u32 {
  return page.directory;
}
export function pageSetIndex(page: Page, index: u64): void {
  page.index = index;
}
export function pageRanged(page: Page): u32 {
  return page.ranged;
}
export function rangeSetBytes(): usize {
  return offsetof<RangeSet>();
}
export function rangeSetLimit(set: RangeSet, limit: u64): void {
  set.limit = limit;
}
export function rangeState(set: RangeSet, index: u64): u32 {
  return rangeOf(set, index).state;
}
export function rangeIsLost(set: RangeSet, index: u64): bool {
  return rangeOf(set, index).directory == LOST;
}
/** Who was granted the page with all of its range, 0 = nobody. */
export function rangeHolder(set: RangeSet, index: u64): u32 {
  const range = rangeOf(set, index);
  return range.directory == HELD && (range.flags & STORED) == 0 ? range.owner : 0;
}
/** Who has the page, by its range, 0 = nobody alone. */
export function rangeOwner(set: RangeSet, index: u64): u32 {
  const range = rangeOf(set, index);
  return range.directory == HELD ? range.owner : 0;
}
export function rangeSetCount(set: RangeSet): u32 {
  return set.count;
}
export function rangeSetRecalling(set: RangeSet): u64 {
  return set.recalling;
}
export function pageSetRanged(page: Page, ranged: u8): void {
  page.ranged = ranged;
}
export function pageIsFrozen(page: Page): u32 {
  return page.frozen;
}
/** As pages.ts: somebody waits for the page, or not. */
export function pageSetWaited(page: Page, waited: u32): void {
  page.waiters = waited;
}
export function pageIsUntold(page: Page): u32 {
  return page.untold;
}
export function pageReverts(page: Page): u32 {
  return page.reverts;
}
export function pageSetLost(page: Page): void {
  page.directory = LOST;
}
/** As homes.ts and page-index.ts do after a home's death. */
export function pageReverted(engine: Engine, page: Page): void {
  serialReverted(engine, page);
}
/** As page-members.ts does before a freeze. */
export function engineSetView(engine: Engine, view: u32): void {
  eraBegins(engine, view);
}
/** What is open of this machine's own on a frozen page, and what it has beneath that. */
export function pageOpen(page: Page): u32 {
  return page.unanswered | (u32(page.beneath) << 8);
}
export function pageIsSole(page: Page): u32 {
  return page.sole;
}
export function pageOwner(page: Page): u32 {
  return page.owner;
}
export function pageSharers(page: Page): u64 {
  return page.sharers;
}
/** Of an open operation: whom it was sent to. */
export function pageTarget(page: Page): u32 {
  return page.target;
}
export function pageTransaction(page: Page): u32 {
  return page.transaction;
}
export function linkField(link: Link, field: u32): u64 {
  switch (field) {
    case 0:
      return link.state;
    case 1:
      return link.header;
    case 2:
      return link.outAt;
    case 3:
      return link.outBytes;
    case 4:
      return link.retransmissions;
    case 5:
      return link.duplicates;
    case 6:
      return link.damaged;
    case 7:
      return link.malformed;
    case 8:
      return link.pureAcks;
    case 9:
      return link.datagramsSent;
    case 10:
      return link.stale;
    case 11:
      return link.roundTrip;
    case 12:
      return link.lastConfirmed;
    case 13:
      return link.epoch;
    case 14:
      return link.peerEpoch;
    case 15:
      return link.expected;
    case 16:
      return link.received;
    case 17:
      return link.nextSequence;
    case 18:
      return link.refused;
    default:
      return 0;
  }
}

// --- A card for tests of the network: frames that go out, and datagrams that come in, are left where the test looks ---
const sentFrame: usize = memory.data(16384, 16);
let sentBytes: u32 = 0;
let sentCount: u32 = 0;
let gotAt: usize = 0;
let gotBytes: u32 = 0;
let gotFrom: u32 = 0;
let gotCount: u32 = 0;

function testSlot(): usize {
  return sentFrame + 2;
}
function testSend(slot: usize, bytes: u32, more: usize, moreBytes: u32): void {
  if (bytes == 0) return;
  memory.copy(slot + bytes, more, moreBytes);
  sentBytes = bytes + moreBytes;
  sentCount++;
}
function testDatagram(from: u32, _port: u32, payload: usize, bytes: u32): void {
  gotFrom = from;
  gotAt = payload;
  gotBytes = bytes;
  gotCount++;
}
export function testCard(card: Interface, mac: u64, ip: u32, port: u32, checks: u32): void {
  card.checks = checks;
  card.mac = mac;
  card.ip = ip;
  card.mtu = 9000;
  card.port = port;
  card.slot = testSlot.index;
  card.send = testSend.index;
  card.datagram = testDatagram.index;
}
export function testCardBytes(): usize {
  return offsetof<Interface>();
}
/** 0 address and 1 length of the last frame sent, 2 how many; 3, 4, 5 and 6 the last datagram's address, length, sender, count. */
export function testCardField(field: u32): u32 {
  switch (field) {
    case 0:
      return <u32>(sentFrame + 2);
    case 1:
      return sentBytes;
    case 2:
      return sentCount;
    case 3:
      return <u32>gotAt;
    case 4:
      return gotBytes;
    case 5:
      return gotFrom;
    default:
      return gotCount;
  }
}
/** Counters by their names in the order of Interface: received, sent, cut, notForUs, unknownProtocol, badChecksum, fragments, unresolved. */
export function testCardCounter(card: Interface, counter: u32): u32 {
  return <u32>(
    load<u64>(changetype<usize>(card) + offsetof<Interface>("framesReceived") + ((<usize>counter) << 3))
  );
}

// --- Byte ranges ---
export {
  chunksOf,
  partBegin,
  partCovers,
  partEnd,
  partFind,
  partGive,
  partIsNew,
  partLend,
  partLoan,
  partLost,
  partMerge,
  partsBytes,
  partsCreate,
  partsForget,
  partTake,
} from "./coherence/parts";
export function partMine(part: Part): u64 {
  return part.mine;
}
export function partLent(part: Part): u64 {
  return part.lent;
}
export function partOwner(part: Part): u32 {
  return part.owner;
}
export function partId(part: Part): u32 {
  return part.id;
}
export function partRecalled(part: Part): u32 {
  return part.recalled;
}
export function partRecall(part: Part): void {
  part.recalled = 1;
}
export function partRecallEnd(part: Part): void {
  part.recalled = 0;
}
export function partsSerial(parts: Parts): u32 {
  return parts.serial;
}
export function partsTaken(parts: Parts, machine: u32): u32 {
  return load<u32>(parts.taken + ((machine - 1) << 2));
}
/** Of the page something is lost, and nobody was told (losses.ts). */
export function pageBreak(page: Page, broken: u32): void {
  page.broken = broken;
}
export function pageIsBroken(page: Page): u32 {
  return page.broken;
}

// --- The LOCKed instruction that another machine does ---
export { accessBytes, accessDecode, accessPerform } from "./coherence/access";
export { DIFFERENCE_MAX, differenceApply, differenceValid, differenceWrite } from "./coherence/difference";
export { lockedDecode, lockedRetire } from "./coherence/locked";
export { BORROW, operationOf, operationPerform, operationValid } from "./coherence/operation";
export { serialForget } from "./coherence/serials";
export function lockedBytes(): usize {
  return offsetof<Instruction>();
}
export function frameBytes(): usize {
  return offsetof<TrapFrame>();
}
export function lockedCode(l: Instruction, bytes: u32): void {
  l.codeBytes = bytes;
}
export function lockedCut(l: Instruction): u32 {
  return l.cut;
}
export function lockedOperation(l: Instruction, offset: u32): u32 {
  return operationOf(l.kind, l.log, offset);
}
export function lockedAddress(l: Instruction): u64 {
  return l.address;
}
export function lockedOperand(l: Instruction): u64 {
  return l.operand;
}
export function lockedComparand(l: Instruction): u64 {
  return l.comparand;
}

/** 0 cluster, 1 number, 2 members, 3 the witness; 64 + k: the life of machine k. */
export function membershipField(at: usize, field: u32): u64 {
  const view = membershipView(changetype<Membership>(at));
  if (field > 64) return viewLife(view, field - 64);
  return field == 0 ? view.cluster : field == 1 ? view.number : field == 2 ? view.members : view.witness;
}
export function membershipMayForm(at: usize): void {
  changetype<Membership>(at).mayForm = 1;
}
