// The engine has granted a page, or has lost it: threads that wait for it are answered, and those that faulted find it in their page
// tables. Core 0 only. Part of pages.ts, whose invariants hold here.
import { portReply } from "../lwkt/port";
import { nanoseconds } from "../machine/time";
import {
  ACCESSED,
  DIRTY,
  entryAt,
  NO_EXECUTE,
  PRESENT,
  replaceEntry,
  USER,
  WRITABLE,
} from "../memory/paging";
import { sharedMappings } from "../process/mapping";
import { clusterSelf } from "../syslink/cluster";
import { goesOnLater } from "./around";
import { ASK_FAULT, Client } from "./client";
import { pageCame } from "./contention";
import { mirrorsOn, pageWritten } from "./mirror-pages";
import { SharedObject } from "./pager";
import { pinAdd } from "./progress";
import { aheadFailed } from "./read-ahead";
import { Page } from "./records";
import { pageStored } from "./wills";
import { wireRefused } from "./wire";

const EIO: i64 = 5;
/** So long a thread that was granted a page may take to run one instruction. */
const PIN_TIME: u64 = 10_000_000;

/** Every waiting client whose need is met gets the page. */
export function grant(page: Page, writable: bool): void {
  if (writable) {
    pageCame(page, nanoseconds());
    pageStored(page);
  }
  let before: usize = 0;
  let at = page.waiters;
  while (at != 0) {
    const client = changetype<Client>(at);
    const next = client.nextWaiter;
    if (client.write != 0 && !writable) before = at;
    else {
      if (before != 0) changetype<Client>(before).nextWaiter = next;
      else page.waiters = next;
      client.nextWaiter = 0;
      if (client.command == ASK_FAULT) {
        if (client.write != 0) pageWritten(page, false);
        install(page, client, writable);
        const now = nanoseconds();
        pinAdd(client, page, now + PIN_TIME);
        if (client.write == 0 && goesOnLater(client, now)) {
          at = next;
          continue;
        }
      } else {
        page.holds++;
        if (client.write != 0) page.changed = 1;
        if (client.write != 0) pageWritten(page, true);
        if (client.write != 0 && page.home != <u8>clusterSelf()) page.dirty = 1;
      }
      portReply(client, 0);
    }
    at = next;
  }
}

/** What visit() below works for. */
let installFor: usize = 0;
let installEntry: u64 = 0;

function install(page: Page, client: Client, writable: bool): void {
  installFor = changetype<usize>(client);
  installEntry = <u64>page.frame | PRESENT | USER | ACCESSED | NO_EXECUTE;
  // Mirrored: the first write is to be seen.
  if (writable && (client.write != 0 || !mirrorsOn())) installEntry |= WRITABLE;
  if (client.write != 0) installEntry |= DIRTY; // it is about to be
  if (client.execute != 0) installEntry &= ~NO_EXECUTE;
  sharedMappings(changetype<SharedObject>(page.holder), page.index, installVisit.index);
}

/** Only where the page is still mapped: another thread may have unmapped it while the right was on its way. */
function installVisit(space: usize, va: u64): void {
  const client = changetype<Client>(installFor);
  if (space != client.space || va != client.va) return;
  const at = entryAt(space, va);
  while (at != 0) {
    const old = atomic.load<u64>(at);
    // Another thread may have it already, and write: that it wrote stays known, and what it may do stays true.
    const kept = old & PRESENT ? old & (DIRTY | WRITABLE) : 0;
    const entry = installEntry & (old & PRESENT ? old | ~NO_EXECUTE : ~(<u64>0));
    if (replaceEntry(at, old, entry | kept) == old) return;
  }
}

export function fail(page: Page): void {
  let at = page.waiters;
  if (at == 0) aheadFailed(page, wireRefused);
  page.waiters = 0;
  page.operator = 0;
  while (at != 0) {
    const client = changetype<Client>(at);
    at = client.nextWaiter;
    client.nextWaiter = 0;
    portReply(client, -EIO);
  }
}
