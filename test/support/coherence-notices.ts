// What machines of the cluster of coherence-state.ts tell each other besides page messages.
import type { LoanNotice } from "./coherence-loans.js";
import type { MirrorNotice } from "./coherence-mirror-state.js";
import type { ViewNotice } from "./coherence-view-state.js";
import type { Words } from "./fingerprint.js";

/**
 * What is not about one page: a recall of ranges between these pages, what a machine has touched of those that it gives up, recalled or not; that
 * a machine wants these pages to itself; that it would rather not keep a page; what becomes of views.
 */
export type Notice =
  | { kind: "recall"; first: bigint; last: bigint }
  | { kind: "touched"; pages: number[]; first: bigint; last: bigint; recalled: boolean }
  | { kind: "claim"; first: bigint; last: bigint }
  | { kind: "offer"; page: number }
  | LoanNotice
  | ViewNotice
  | MirrorNotice;

const NOTICES: Notice["kind"][] = [
  "recall",
  "touched",
  "mark",
  "object",
  "owner",
  "report",
  "mirror",
  "given",
  "fetch",
  "tell",
  "claim",
  "offer",
  "loanRecall",
  "loanReturn",
];

export function put64(words: Words, value: bigint): void {
  words.put(Number(value & 0xffff_ffffn));
  words.put(Number(value >> 32n));
}

/** `mirrored`: serial numbers decide something. */
export function putNotice(words: Words, notice: Notice, mirrored: boolean): void {
  words.put(NOTICES.indexOf(notice.kind) + 1);
  if ("page" in notice) words.put(notice.page);
  if ("loan" in notice) words.put(notice.loan);
  if ("data" in notice) for (const byte of notice.data.subarray(0, 12)) words.put(byte);
  if ("report" in notice) words.put(notice.report);
  if ("asked" in notice) words.put(notice.asked);
  if ("request" in notice) for (const word of [notice.to, notice.request]) words.put(word);
  if ("restore" in notice) words.put(Number(notice.restore) | (Number(notice.alone) << 1));
  if ("home" in notice) words.put((notice.last ? 1 : 0) | (notice.home << 1));
  if ("serial" in notice && mirrored) put64(words, notice.serial);
  // Without RENUMBERED: the search does not tell numbers apart.
  if ("object" in notice) words.put((notice.object << 5) | (notice.says & 15));
  if ("phase" in notice) words.put((notice.view << 4) | notice.phase);
  if ("first" in notice) for (const bound of [notice.first, notice.last]) put64(words, bound);
  if ("recalled" in notice) words.put(notice.recalled ? 1 : 0);
  if ("pages" in notice) words.put(notice.pages.reduce((bits, page) => bits | (1 << page), 0));
}
