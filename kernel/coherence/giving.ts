// What a machine gives up without being asked: a page that it alone has right goes to its home (GIVE_BACK: the home asks for it like any
// machine), or the home asks for it; a copy is thrown away, of which the home need not be told. That costs messages, and nothing else.
// Core 0 only.

import { mayTakeIn } from "../memory/reserve";
import { clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_GIVE_BACK, ITEM_PAGE } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader } from "../syslink/message";
import { engineAsk } from "./engine";
import { rangesReady } from "./grants";
import { pageDrop, pageMayFetch } from "./merge";
import { objectById } from "./object-list";
import { pageFindOrMake } from "./page-index";
import { SharedObject } from "./pager";
import { drain, engine } from "./pages";
import { PAGE_LAST } from "./ranges";
import { Page } from "./records";
import { isIdle, isSettledObject } from "./resting";
import { EVERYTHING, takeAway } from "./revocations";
import { dropBegins, mayTakeFrom } from "./shedding";

/** The page goes to its home, or the home asks for it. Then it is in use. */
export function pageGiveBack(object: SharedObject, page: Page, now: u64): void {
  if (object.home != clusterSelf()) {
    page.givenAt = now;
    const writer = messageTo(object.home, 16 + 16, object.id, 0, COMMAND_GIVE_BACK);
    store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), page.index);
    messageEnd();
    return;
  }
  if (!pageMayFetch(page)) return;
  rangesReady(object);
  engineAsk(engine, page, true);
  drain(page);
}

/** GIVE_BACK, at the home: a machine would rather not keep the page that it answers for. */
export function pageOffered(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 || !isSettledObject(object) || object.home != clusterSelf()) return;
  const index = load<u64>(itemData(itemFind(message, ITEM_PAGE)));
  if (index > PAGE_LAST || !mayTakeIn()) return;
  rangesReady(object);
  const page = pageFindOrMake(object, index);
  if (!isIdle(page, 0) || !mayTakeFrom(page, from)) return;
  pageGiveBack(object, page, 0);
}

/** What this machine has of the page is thrown away: it leaves the page tables, its bytes stay. False: it may not go. */
export function dropPage(object: SharedObject, index: u64): bool {
  rangesReady(object);
  const page = pageFindOrMake(object, index);
  if (!dropBegins(engine, object, page, isIdle(page, 0))) return false;
  pageDrop(engine, page, takeAway(page, EVERYTHING));
  return true;
}
