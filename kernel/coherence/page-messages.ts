// What other machines say about pages of shared objects, one page or a run of them, reaches the engine. Core 0 only. Part of pages.ts,
// whose invariants hold here.
import { nanoseconds } from "../machine/time";
import { stats } from "../stats";
import { clusterMachines, clusterSelf, deadMachines, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_READ_PAGE, ITEM_ERROR, ITEM_PAGE } from "../syslink/commands";
import { itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { answerTo } from "../syslink/outbox";
import { isContended, rightLost } from "./contention";
import { engineMessage } from "./engine";
import { rangesReady } from "./grants";
import { hasLoans, loanCame, loanReturns } from "./loans";
import { mirrorsOn } from "./mirror-pages";
import { objectById } from "./object-list";
import { dataTake } from "./page-data";
import { pageFind, pageFindOrMake, pagesAsked } from "./page-index";
import { sendOnly } from "./page-send";
import { SharedObject } from "./pager";
import { drain, engine, incoming } from "./pages";
import {
  HAS_COPY,
  Page,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_PURGE,
  SAY_REJECTED,
  WITH_DATA,
} from "./records";
import { passed, queuesOn, refusalsCame, refuses } from "./refusals";
import { revocable, takeAway, takeRunsRight, WRITE_ONLY } from "./revocations";
import { runBringsCopies, runGives, runPage, runPages, runRead, runsBegin, runsEnd } from "./runs";
import { sayGiven, stepCopy, stepGive, stepMayGive, stepTake } from "./steps";
import { strangerAnswers, strangerSays, strangerTells } from "./strangers";
import { EXCLUSIVE, MODIFIED } from "./table";
import { giveTogether, TOGETHER, takeTogether } from "./together";
import { pageStored } from "./wills";
import { commandOf, EAGAIN, REFUSED, wireAgain, wireIndex, wireLent, wireLoan, wireRead } from "./wire";

/** Messages about objects that are not here. */
export let strangers: u64 = 0;

/** A message about one page. */
export function pageMessage(from: u32, message: MessageHeader): void {
  if (!wireRead(message, from, clusterMachines(), incoming)) {
    strangers++;
    return;
  }
  said(from, message.linkid, objectById(message.linkid));
}

/** A message about pages that follow each other (runs.ts): what it says of each of them, one after the other. */
export function runMessage(from: u32, message: MessageHeader): void {
  if (!runRead(message, clusterMachines())) {
    strangers++;
    return;
  }
  const object = objectById(message.linkid);
  const known = changetype<usize>(object) != 0;
  loweredCount = 0;
  runsBegin();
  const copies = known && runBringsCopies();
  let number: u32 = 0;
  let looked: u32 = 0;
  while (number < runPages) {
    if (copies) {
      const together = mayShortly(object) ? takeTogether(object, number) : 0;
      number += together;
      if (together != 0) continue;
    }
    runPage(number, from, incoming);
    if (known && !copies && number == looked) {
      const together = saidTogether(object, number);
      if (together == 0) lowerTogether(object, min<u32>(runPages - number, TOGETHER));
      looked += together != 0 ? together : max<u32>(1, loweredCount);
      number += together;
      if (together != 0) continue;
    }
    if (!known || !saidShortly(object)) said(from, message.linkid, object);
    number++;
  }
  runsEnd();
}

/** `incoming` and what follows it in its run, of pages without records: so many are done with. */
function saidTogether(object: SharedObject, number: u32): u32 {
  loweredCount = 0;
  if (!mayShortly(object)) return 0;
  return incoming.kind == SAY_GET_READ ? giveTogether(object, incoming, wireIndex, runPages - number) : 0;
}

function mayShortly(object: SharedObject): bool {
  return object.dead == 0 && object.moving == 0 && !mirrorsOn() && queuesOn();
}

/** `incoming` of a run, of the page wireIndex: false: it takes more than a short step (steps.ts), and nothing has happened. */
function saidShortly(object: SharedObject): bool {
  if (!mayShortly(object)) return false;
  if (incoming.kind == SAY_GET_READ) return gaveShortly(object);
  const page = pageFind(object, wireIndex);
  if (changetype<usize>(page) == 0 || page.waiters != 0 || page.frame == 0) return false;
  if (page.broken != 0 || page.revoking != 0 || !stepTake(engine, page, incoming)) return false;
  dataTake(page, incoming);
  pageStored(page);
  return true;
}

/** Those that have, and are about to be given, from the first on; a bit for each that was written. */
let loweredFirst: u64 = 0;
let loweredCount: u32 = 0;
let loweredDirty: u32 = 0;

/** Pages from wireIndex on, `most` at the most, that this machine has alone. A thread that uses one that is not given after all asks again. */
function lowerTogether(object: SharedObject, most: u32): void {
  loweredFirst = wireIndex;
  loweredCount = 0;
  if (incoming.kind != SAY_GET_READ || !mayShortly(object) || object.home != clusterSelf()) return;
  while (loweredCount < most && (wireIndex + loweredCount) * 4096 < object.size) {
    const page = pageFind(object, wireIndex + loweredCount);
    if (changetype<usize>(page) == 0) break;
    page.resting = 0;
    if ((page.state != MODIFIED && page.state != EXCLUSIVE) || !isFree(page)) break;
    loweredCount++;
  }
  if (loweredCount != 0) loweredDirty = takeRunsRight(object, loweredFirst, loweredCount);
}

/** Nobody here makes use of it at this moment, or waits for it. */
function isFree(page: Page): bool {
  if (page.frame == 0 || page.waiters != 0 || page.broken != 0 || page.heldUntil != 0) return false;
  return page.revoking == 0 && revocable(page, 0);
}

/** A machine is to have a copy. */
function gaveShortly(object: SharedObject): bool {
  if (object.home != clusterSelf() || wireIndex * 4096 >= object.size) return false;
  rangesReady(object);
  const page = pageFindOrMake(object, wireIndex);
  const place = wireIndex - loweredFirst;
  const lowered = place < <u64>loweredCount;
  if (lowered && (loweredDirty >> <u32>place) & 1) page.noted = 1;
  if (!lowered && !isFree(page)) return false;
  if (stepMayGive(engine, page, incoming)) {
    const dirty = lowered ? page.noted != 0 : takeAway(page, WRITE_ONLY);
    page.noted = 0;
    rightLost(page, page.ownedAt != 0 ? nanoseconds() : 0, dirty);
    stepGive(engine, page, incoming, dirty);
  } else if (!stepCopy(engine, page, incoming)) return false;
  if (runGives(page, incoming)) {
    stats().pagesSent++;
    return true;
  }
  sayGiven(engine, page, incoming);
  sendOnly(page);
  return true;
}

/** To `incoming`, of an object that this machine does not know. */
function answerStranger(object: u64): void {
  const say = strangerSays(incoming);
  const to = strangerTells(incoming, deadMachines());
  if (say == 0 || to == 0) return;
  const writer = answerTo(to, 16 + 16 + 8, object, strangerAnswers(incoming), commandOf(say, 0));
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), wireIndex);
  if (say == SAY_REJECTED) itemPut(writer, ITEM_ERROR, EAGAIN, 0);
  messageEnd();
}

/** `incoming`, of the page wireIndex. */
function said(from: u32, linkid: u64, object: SharedObject): void {
  if (changetype<usize>(object) == 0 || object.dead != 0) {
    strangers++;
    answerStranger(linkid);
    return;
  }
  const asks =
    incoming.kind == SAY_GET_READ || incoming.kind == SAY_GET_WRITE || incoming.kind == SAY_GET_OPERATE;
  if (asks && object.home == clusterSelf() && wireIndex * 4096 >= object.size) {
    refuse(from, object);
    return;
  }
  if (incoming.kind == SAY_GRANT && !(incoming.flags & (WITH_DATA | HAS_COPY))) stats().upgrades++;
  // A guess makes nothing: who has no record was not given the page alone.
  if (incoming.kind == SAY_GUESS && !isGuessed(pageFind(object, wireIndex))) return;
  rangesReady(object);
  const page = pageFindOrMake(object, wireIndex);
  if (incoming.kind == SAY_PURGE) loanReturns(page);
  if (wireLent != 0) {
    const open = page.transaction != 0 && incoming.transaction == page.transaction;
    loanCame(page, from, wireLoan, wireLent, open);
  }
  if (asks ? refuses(page, incoming) : refusalsCame(page, incoming, wireAgain)) return;
  // What was asked for ahead is under way still when its range is granted with another page: it needs records, which the grant leaves alone.
  if (incoming.end != 0) pagesAsked(object);
  engineMessage(engine, page, incoming);
  if (asks) passed(page, incoming);
  drain(page);
}

/** Is there something to be made of a GUESS? A writer's is good for bytes that he had himself when they came here: else it may be an old one. */
function isGuessed(page: Page): bool {
  if (changetype<usize>(page) == 0) return false;
  if (incoming.flags == 0) return true;
  if (page.frame == 0 || page.waiters != 0 || page.revoking != 0 || hasLoans(page)) return false;
  return page.cameSerial == incoming.serial && !isContended(page, nanoseconds());
}

/** Beyond the object's end. */
function refuse(to: u32, object: SharedObject): void {
  const writer = messageTo(to, 16 + 16 + 8, object.id, incoming.transaction, COMMAND_READ_PAGE | RESPONSE);
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), wireIndex);
  itemPut(writer, ITEM_ERROR, REFUSED, 0);
  messageEnd();
}
