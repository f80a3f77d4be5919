// Runs of pages: what this machine says of pages that follow each other, in one message. A run is nothing but page messages of one kind
// to one machine, whose indices and transactions go up by one each: the table, and whoever argues about it, sees each of them alone.
// What can make a run is done in a loop, between runsBegin() and runsEnd(): pages asked for ahead (read-ahead.ts), and what
// a run that has come leads to (page-messages.ts). Core 0 only.
//
// Invariant: a run is written before any other message is begun, so that links keep the order in which things were said; and
// its pages' bytes are in it as they were when they were said.
import { messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_CLEAN_RUN,
  COMMAND_FORWARD_RUN,
  COMMAND_READ_RUN,
  ITEM_REQUESTER,
  ITEM_RUN,
  ITEM_RUN_PAGES,
  ITEM_RUN_SERVED,
} from "../syslink/commands";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemGrow,
  itemPut,
  MessageHeader,
  MessageWriter,
  RESPONSE,
} from "../syslink/message";
import { linkTo } from "../syslink/peers";
import { Kept } from "./kept";
import { PAGE_LAST } from "./ranges";
import {
  Action,
  Page,
  PageMessage,
  RIGHT,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAME_DATA,
  SAY_CLEAN,
  SAY_FORWARD_READ,
  SAY_GET_READ,
  SAY_GRANT,
  WITH_DATA,
} from "./records";
import { willsWait } from "./wills";
import { PAGE_BYTES, wirePage } from "./wire";

/** Of pages without their bytes. */
export const RUN_MAX: u32 = 256;
/** Of a page with its bytes, in ITEM_RUN_PAGES: its serial number before them. */
export const RUN_PAGE_BYTES: u32 = 8 + PAGE_BYTES;
/** Header, RUN, and the header of RUN_PAGES. */
const RUN_HEADERS: u32 = 16 + 24 + 8;
/** BUFFER_BYTES_MAX allows no more. */
const RUN_PAGES_MAX: u32 = 7;

// --- Said ---

let collecting: bool = false;
/** The open run, if `count` is not 0. Of grants: the message that is being written, where its RUN item counts them, and its RUN_PAGES. */
let count: u32 = 0;
let most: u32 = 0;
let to: u32 = 0;
let say: u8 = 0;
let flags: u8 = 0;
let requester: u32 = 0;
let object: u64 = 0;
let first: u64 = 0;
let transaction: u32 = 0;
let counted: usize = 0;
let pagesAt: usize = 0;
let writer = changetype<MessageWriter>(0);
/** Of forwards, by page. */
const servedOf: usize = memory.data(1024, 4); // RUN_MAX * 4

export function runsBegin(): void {
  assert(!collecting, "runs are collected within runs");
  collecting = true;
}

export function runsEnd(): void {
  runClose();
  collecting = false;
}

/** An ACT_SEND: true: it is said in a run. `data`: the page's bytes that go with it, 0 = none, or not as a whole page. */
export function runTakes(page: Page, action: Action, data: usize): bool {
  if (!collecting || !mayRun(action, data)) return false;
  extend(
    page.object,
    page.index,
    action.say,
    action.to,
    action.sayFlags,
    action.requester,
    action.transaction,
  );
  if (say == SAY_FORWARD_READ) store<u32>(servedOf + (count << 2), action.served);
  else if (data != 0) append(action.serial, data);
  counts();
  return true;
}

/** A short step (steps.ts) has asked for the page: true: a run says so. */
export function runAsks(page: Page): bool {
  if (!collecting || page.serial != 0) return false;
  extend(page.object, page.index, SAY_GET_READ, page.home, 0, 0, page.transaction);
  counts();
  return true;
}

/** Pages without records are asked for (asked.ts), at most RUN_MAX. */
export function runAsksMany(id: u64, index: u64, pages: u32, home: u32, firstNumber: u32): void {
  const message = messageTo(home, 16 + 24, id, firstNumber, COMMAND_READ_RUN);
  const run = itemPut(message, ITEM_RUN, 0, 16);
  store<u64>(run, index);
  store<u64>(run, pages, 8);
  messageEnd();
}

/** A short step has given a copy in answer to the request: true: it goes in a run. Not of what may be a page of zeros. */
export function runGives(page: Page, request: PageMessage): bool {
  if (!collecting || request.serial == page.serial || page.twinOf != 0) return false;
  if (load<u64>(page.frame) == 0) return false;
  extend(page.object, page.index, SAY_GRANT, request.from, RIGHT_SHARED | WITH_DATA, 0, request.transaction);
  append(page.serial, page.frame);
  counts();
  return true;
}

/** The same of pages that have no records and follow each other: their Kept, a word each at `at`. `number`: of the first one's request. */
export function runGivesKept(at: usize, pages: u32, machine: u32, number: u32): void {
  let place: u32 = 0;
  while (place < pages) {
    const first = changetype<Kept>(load<usize>(at + (place << 2)));
    if (place == 0 || count == 0)
      extend(first.object, first.index, SAY_GRANT, machine, RIGHT_SHARED | WITH_DATA, 0, number + place);
    const many = min<u32>(pages - place, most - count);
    let to = roomFor(many);
    for (const end = place + many; place != end; place++) {
      const kept = changetype<Kept>(load<usize>(at + (place << 2)));
      put(to, kept.serial, kept.frame);
      to += RUN_PAGE_BYTES;
    }
    count += many;
    if (count == most) runClose();
  }
}

/** The open run is one that this page's message continues. */
function extend(id: u64, index: u64, kind: u8, machine: u32, what: u8, forWhom: u32, number: u32): void {
  const goesOn =
    count != 0 &&
    kind == say &&
    machine == to &&
    what == flags &&
    forWhom == requester &&
    id == object &&
    index == first + count &&
    number == (kind == SAY_CLEAN ? 0 : transaction + count);
  if (goesOn && (kind != SAY_GRANT || !willsWait())) return;
  runClose();
  open(id, index, kind, machine, what, forWhom, number);
}

/** For so many pages' bytes and numbers in the open run. */
function roomFor(pages: u32): usize {
  const bytes = pages * RUN_PAGE_BYTES;
  if (count != 0) return itemGrow(writer, pagesAt, bytes);
  pagesAt = itemPut(writer, ITEM_RUN_PAGES, 0, bytes);
  return pagesAt;
}

function append(serial: u64, data: usize): void {
  put(roomFor(1), serial, data);
}

/** A page in ITEM_RUN_PAGES. */
function put(at: usize, serial: u64, data: usize): void {
  store<u64>(at, serial);
  memory.copy(at + 8, data, PAGE_BYTES);
}

function counts(): void {
  count++;
  if (count == most) runClose();
}

function mayRun(action: Action, data: usize): bool {
  if (action.acks != 0 || action.end != 0) return false;
  switch (action.say) {
    case SAY_GET_READ:
      return action.serial == 0 && action.requester == 0;
    case SAY_FORWARD_READ:
      return action.serial == 0;
    case SAY_CLEAN:
      return true;
    case SAY_GRANT:
      return data != 0 && (action.sayFlags & RIGHT) != RIGHT_MODIFIED;
    default:
      return false;
  }
}

function open(id: u64, index: u64, kind: u8, machine: u32, what: u8, forWhom: u32, number: u32): void {
  say = kind;
  flags = what;
  requester = forWhom;
  object = id;
  first = index;
  transaction = number;
  most = RUN_MAX;
  if (say == SAY_GRANT) {
    // As many as a datagram takes; one that it does not take goes in pieces.
    const fit = (linkTo(machine).payloadMax - RUN_HEADERS) / RUN_PAGE_BYTES;
    most = max<u32>(1, min<u32>(fit, RUN_PAGES_MAX));
    writer = messageTo(
      machine,
      RUN_HEADERS + most * RUN_PAGE_BYTES,
      object,
      transaction,
      COMMAND_READ_RUN | RESPONSE,
    );
    counted = itemPut(writer, ITEM_RUN, flags, 16);
    store<u64>(counted, first);
  }
  to = machine;
}

/** Before anything else is said. */
export function runClose(): void {
  if (count == 0) return;
  const pages = count;
  count = 0;
  if (say == SAY_GRANT) {
    store<u64>(counted, pages, 8);
    messageEnd();
    return;
  }
  const bytes: u32 = 16 + 24 + 8 + 8 + (((pages + 1) >> 1) << 3);
  const message = messageTo(to, bytes, object, transaction, commandOfRun(say));
  const run = itemPut(message, ITEM_RUN, flags, 16);
  store<u64>(run, first);
  store<u64>(run, pages, 8);
  if (say == SAY_FORWARD_READ) {
    itemPut(message, ITEM_REQUESTER, requester, 0);
    memory.copy(itemPut(message, ITEM_RUN_SERVED, 0, pages << 2), servedOf, pages << 2);
  }
  messageEnd();
}

function commandOfRun(kind: u8): u32 {
  if (kind == SAY_GET_READ) return COMMAND_READ_RUN;
  return kind == SAY_CLEAN ? COMMAND_CLEAN_RUN : COMMAND_FORWARD_RUN;
}

// --- Heard ---

/** Of the run that runRead() took. */
export let runPages: u32 = 0;
let readKind: u8 = 0;
let readFlags: u8 = 0;
let readRequester: u8 = 0;
let readFirst: u64 = 0;
let readTransaction: u32 = 0;
/** Where its RUN_SERVED, or its RUN_PAGES are. */
let readData: usize = 0;

/** A message that commandCheck() accepted; false: its numbers make no sense. */
export function runRead(message: MessageHeader, machines: u32): bool {
  const run = itemFind(message, ITEM_RUN);
  const pages = load<u64>(itemData(run), 8);
  const first = load<u64>(itemData(run));
  const flags = <u8>run.aux;
  const transaction = message.msgid;
  if (pages == 0 || pages > <u64>RUN_MAX || first > PAGE_LAST - pages) return false;
  runPages = <u32>pages;
  readFirst = first;
  readFlags = flags;
  readRequester = 0;
  readTransaction = transaction;
  readData = 0;
  switch (<u32>message.command) {
    case COMMAND_CLEAN_RUN:
      readKind = SAY_CLEAN;
      return message.msgid == 0;
    case COMMAND_READ_RUN:
      readKind = SAY_GET_READ;
      break;
    case COMMAND_FORWARD_RUN: {
      readKind = SAY_FORWARD_READ;
      readRequester = <u8>itemFind(message, ITEM_REQUESTER).aux;
      if (readRequester == 0 || <u32>readRequester > machines) return false;
      const served = itemFind(message, ITEM_RUN_SERVED);
      readData = itemData(served);
      if (itemDataBytes(served) != (<u32>pages) << 2) return false;
      break;
    }
    default: {
      readKind = SAY_GRANT;
      if ((flags & RIGHT) == 0 || (flags & RIGHT) == RIGHT_MODIFIED) return false;
      if ((flags & (WITH_DATA | SAME_DATA)) != WITH_DATA) return false;
      const data = itemFind(message, ITEM_RUN_PAGES);
      readData = itemData(data);
      if (itemDataBytes(data) != <u32>pages * RUN_PAGE_BYTES) return false;
    }
  }
  // Transactions begin again at 1, and a run ends there.
  return transaction != 0 && transaction - 1 + <u32>pages >= transaction;
}

/** The run brings copies, with their bytes, of these pages and behind. */
export function runBringsCopies(): bool {
  return readKind == SAY_GRANT && readFlags == (RIGHT_SHARED | WITH_DATA);
}
export function runFirst(): u64 {
  return readFirst;
}
/** Of its first page. */
export function runTransaction(): u32 {
  return readTransaction;
}

/** Of a run of pages with their bytes: where those of page `number` lie, behind their serial number. */
export function runBytes(number: u32): usize {
  return readData + number * RUN_PAGE_BYTES;
}

/** The message about page `number` of the run. */
export function runPage(number: u32, from: u32, into: PageMessage): void {
  into.kind = readKind;
  into.from = <u8>from;
  into.requester = readRequester;
  into.flags = readFlags;
  into.transaction = readKind == SAY_CLEAN ? 0 : readTransaction + number;
  into.acks = 0;
  into.operation = 0;
  into.served = 0;
  into.operand = 0;
  into.comparand = 0;
  into.first = 0;
  into.end = 0;
  into.serial = 0;
  into.base = 0;
  let data: usize = 0;
  if (readKind == SAY_FORWARD_READ) into.served = load<u32>(readData + (number << 2));
  else if (readKind == SAY_GRANT) {
    const at = runBytes(number);
    into.serial = load<u64>(at);
    data = at + 8;
  }
  wirePage(readFirst + number, data);
}
