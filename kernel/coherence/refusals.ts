// The protocol without queues, for comparisons (`queue=0` on the command line), as directories do it that send negative
// acknowledgements (Lenoski et al., the DASH directory, 1990): while what the home has forwarded is not confirmed, it refuses
// every other request for the page, and who was refused asks again after a while, longer each time. So no forward ever waits
// for a page that is on its way, and nobody has a place in any order.
//
// Nothing of it is in the table: to the engines a refused request is one that has not been made yet. It has a new transaction
// when it is made again, and says what its machine has then. Core 0 only, like pages.ts.
//
// Invariant: Page.passedFor is the machine whose request the home has let pass, while an answer may be under way to it from
// a third machine; it says when that is over, whatever came of it. What the home sends itself needs no confirmation: links
// keep the order.
import { nanoseconds } from "../machine/time";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_CONFIRM, COMMAND_READ_PAGE, ITEM_ERROR, ITEM_PAGE } from "../syslink/commands";
import { inService } from "../syslink/members";
import { itemData, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { wireTime } from "../syslink/peers";
import { cacheAct } from "./cache";
import { rangesReady } from "./grants";
import { objectById } from "./object-list";
import { pageFind } from "./page-index";
import { SharedObject } from "./pager";
import { drain, engine, wantedAgain } from "./pages";
import {
  Action,
  Page,
  PageMessage,
  peerAt,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
} from "./records";
import {
  ASK_OPERATE,
  ASK_READ,
  ASK_WRITE,
  INVALID,
  INVALID_OPERATE,
  INVALID_READ,
  INVALID_WRITE,
  MISSED,
  OWNED,
  OWNED_WRITE,
  OWNED_WRITE_LEAVING,
  READ,
  SHARED,
  SHARED_WRITE,
  SHARED_WRITE_LEAVING,
  WRITE,
} from "./table";
import { AGAIN } from "./wire";

const NEVER: u64 = ~(<u64>0);
/** The first wait is half of the wire's round trip, and doubles so often; each is that and up to as much again. */
const DOUBLINGS: u32 = 3;
/** When the wire's time is not known yet. */
const UNKNOWN: u64 = 50_000;

let queues: bool = true;
/** Pages that are asked for again later, linked by againNext. */
let refused: usize = 0;
let random: u32 = 0;

export function refusalsStart(): void {
  queues = bootNumber("queue", 1) != 0;
  random = clusterSelf() * 0x9e37_79b1; // each machine has other waits, the same in every run
}

export function queuesOn(): bool {
  return queues;
}

/** xorshift32 (Marsaglia, 2003). */
function draw(below: u64): u64 {
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return below == 0 ? 0 : <u64>random % below;
}

// --- At the home ---

/** Another machine's request: true: it has been told to ask again. */
export function refuses(page: Page, message: PageMessage): bool {
  if (queues || page.passedFor == 0 || page.frozen != 0) return false;
  stats().requestsRefused++;
  const writer = messageTo(
    message.from,
    16 + 16 + 8,
    page.object,
    message.transaction,
    COMMAND_READ_PAGE | RESPONSE,
  );
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), page.index);
  itemPut(writer, ITEM_ERROR, AGAIN, 0);
  messageEnd();
  return true;
}

/** Another machine's request has passed. */
export function passed(page: Page, message: PageMessage): void {
  if (queues || message.kind == SAY_GET_OPERATE || page.frozen != 0) return;
  const peer = peerAt(page, message.from);
  // Answered as it came: by the home's own word, which waits for nobody.
  if (peer.served != message.transaction || (peer.server == 0 && peer.acks == 0)) return;
  page.passedFor = message.from;
  page.passedTransaction = message.transaction;
}

/** This machine, the home, is about to ask for its own threads: true: not now. */
export function refusesHere(page: Page, write: bool): bool {
  if (queues || page.passedFor == 0 || <u32>page.home != clusterSelf()) return false;
  const shared = page.state == SHARED || page.state == OWNED;
  if (page.state != INVALID && !(write && shared)) return false; // it has asked, or has all that it wants
  stats().requestsRefused++;
  askLater(page, 0);
  return true;
}

/** It has asked. */
export function passedHere(page: Page): void {
  if (queues || <u32>page.home != clusterSelf() || page.transaction == 0) return;
  if (page.confirms == page.transaction || page.state == INVALID_OPERATE) return;
  page.confirms = page.transaction;
  page.passedFor = clusterSelf();
  page.passedTransaction = page.transaction;
}

/** COMMAND_CONFIRM: a request that had passed is over. */
export function confirmMessage(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0) return;
  const page = pageFind(object, load<u64>(itemData(itemFind(message, ITEM_PAGE))));
  if (changetype<usize>(page) == 0) return;
  if (page.passedFor == from && page.passedTransaction == message.msgid) page.passedFor = 0;
}

// --- Who asks ---

/** A message of the engine's goes out. */
export function refusalsSent(page: Page, action: Action): void {
  if (queues) return;
  if (action.say == SAY_GET_READ || action.say == SAY_GET_WRITE) page.confirms = action.transaction;
  const answered = action.say == SAY_GRANT && action.acks == 0 && <u32>page.home == clusterSelf();
  if (answered && page.passedFor == <u32>action.to && page.passedTransaction == action.transaction)
    page.passedFor = 0;
}

/** A message comes in for the page. True: that was all about it. */
export function refusalsCame(page: Page, message: PageMessage, again: bool): bool {
  if (queues) return false;
  if (message.transaction == 0 || message.transaction != page.transaction) return again;
  if (again) {
    if (page.frozen == 0) askLater(page, message.transaction);
    return true;
  }
  const answers = message.kind == SAY_GRANT && message.from == page.home && message.acks == 0;
  if (answers) page.confirms = 0;
  return false;
}

/** After each event of the engine: is the request over that somebody waits for the end of? */
export function refusalsLook(page: Page): void {
  if (queues || page.confirms == 0 || page.confirms == page.transaction) return;
  const transaction = page.confirms;
  page.confirms = 0;
  page.refusals = 0;
  if (<u32>page.home == clusterSelf()) {
    if (page.passedFor == clusterSelf() && page.passedTransaction == transaction) page.passedFor = 0;
    return;
  }
  const writer = messageTo(page.home, 16 + 16, page.object, transaction, COMMAND_CONFIRM);
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), page.index);
  messageEnd();
}

/** `transaction`: that was refused; 0: nothing has been asked. */
function askLater(page: Page, transaction: u32): void {
  page.confirms = 0;
  page.refusedTransaction = transaction;
  if (page.againAt != 0) return;
  const wire = wireTime();
  const wait = (wire == 0 ? UNKNOWN : wire >> 1) << (<u64>min<u32>(page.refusals, DOUBLINGS));
  page.refusals++;
  page.againAt = nanoseconds() + wait + draw(wait);
  page.againNext = refused;
  refused = changetype<usize>(page);
}

/** The record goes, or what was asked is void. */
export function refusalsForget(page: Page): void {
  page.passedFor = 0;
  page.confirms = 0;
  page.refusals = 0;
  if (page.againAt == 0) return;
  unlink(page);
}

function unlink(page: Page): void {
  page.againAt = 0;
  if (refused == changetype<usize>(page)) refused = page.againNext;
  else {
    let at = changetype<Page>(refused);
    while (at.againNext != changetype<usize>(page)) at = changetype<Page>(at.againNext);
    at.againNext = page.againNext;
  }
  page.againNext = 0;
}

/** At the home: what was to be confirmed by a machine that died. */
export function refusalsMachineDied(page: Page, machine: u32): void {
  if (page.passedFor == machine) page.passedFor = 0;
}

// --- Time ---

export function refusalsDue(): u64 {
  let due = NEVER;
  for (let at = refused; at != 0; at = changetype<Page>(at).againNext)
    due = min<u64>(due, changetype<Page>(at).againAt);
  return due;
}

export function refusalsWait(): bool {
  return refused != 0;
}

/** Those whose time has come ask again, when there is somebody to be asked. */
export function refusalsRetry(now: u64): void {
  let at = refused;
  while (at != 0 && inService()) {
    const page = changetype<Page>(at);
    at = page.againNext;
    if (now < page.againAt) continue;
    unlink(page);
    if (page.refusedTransaction == 0) {
      if (page.waiters != 0) wantedAgain(page);
    } else if (page.refusedTransaction == page.transaction && page.frozen == 0) askAgain(page);
    at = refused; // the list may have changed
  }
}

function askAgain(page: Page): void {
  const action = actionOf(page.state);
  rangesReady(changetype<SharedObject>(page.holder));
  engine.actionCount = 0;
  const event = action == ASK_OPERATE ? MISSED : action == ASK_READ ? READ : WRITE;
  cacheAct(engine, page, event, action, changetype<PageMessage>(0));
  drain(page);
}

/** What is open in that state. */
function actionOf(state: u8): u8 {
  switch (state) {
    case INVALID_READ:
      return ASK_READ;
    case INVALID_WRITE:
    case SHARED_WRITE:
    case SHARED_WRITE_LEAVING:
    case OWNED_WRITE:
    case OWNED_WRITE_LEAVING:
      return ASK_WRITE;
    case INVALID_OPERATE:
      return ASK_OPERATE;
  }
  assert(false, "a request was refused that was not open");
  return 0;
}
