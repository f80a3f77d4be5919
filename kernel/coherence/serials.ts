// A page's serial number (promise 85): it names the page's bytes, cluster-wide and for ever. Whoever asks for a page says which
// bytes he still has from before; if they are the page's, he is granted the right alone, without data.
//
//   bits 0-31    counts the changes: one more each time that a machine which has written stops being able to
//   bits 32-63   the era: another one when the home takes older bytes for the page after a loss, so that what is
//                written then has other numbers than what was lost
//
// Who grants knows the number of what it grants, since only the writer's own bytes differ from what their number says, and he
// renumbers them before anybody gets them. 0 is a page that was never written: zeros.
//
// Eras come from the numbers of the cluster's views. A home begins them while its directories count, from when it made them, in one view,
// until it freezes for another; the machines that are the home one after the other do so in different views, and what one of
// them has begun itself it knows by the page's number. So no two eras of a page are one.
import { Engine, Page, PageMessage, SAME_DATA, WITH_DATA } from "./records";

/** In place of the count: the bytes that are here are none that have a number. */
const UNNUMBERED: u64 = 0xffff_ffff;
/** So, and nothing is known of the page's era. */
export const NO_SERIAL: u64 = ~(<u64>0);
/** One view may lose a page so often. */
const ERAS_OF_VIEW: u32 = 8;

/** The right to write has ended. `written`: a page-table entry says so; or the kernel wrote here. */
export function serialEnded(page: Page, written: bool): void {
  if (written || page.changed != 0) page.serial++;
  page.changed = 0;
}

export function isNumbered(serial: u64): bool {
  return (serial & UNNUMBERED) != UNNUMBERED;
}

/** What is in the frame now has no number. A home knows by the page's which eras it has begun: that stays. */
export function serialForget(page: Page): void {
  page.serial |= UNNUMBERED;
}

/** At the home: what is in its frame becomes the page, whatever newer there was. */
export function serialReverted(engine: Engine, page: Page): void {
  page.serial = serialAnew(engine, page.serial);
  page.changed = 0;
}

/** In an era of its own: the number of bytes that had `serial`, and are the page now in place of newer ones that are lost. */
export function serialAnew(engine: Engine, serial: u64): u64 {
  const next: u64 = serial == NO_SERIAL ? 0 : (serial >> 32) + 1;
  return max<u64>(<u64>engine.era, next) << 32;
}

/** Has it been so? Then bytes that are not the page's may be elsewhere by the numbers that a page begins with. */
export function hasReverted(page: Page): bool {
  return page.serial != NO_SERIAL && page.serial >> 32 != 0;
}

/** Bytes came, or the word that those which are here are the page's. */
export function serialTaken(page: Page, message: PageMessage): void {
  if (!(message.flags & WITH_DATA)) return;
  const same = (message.flags & SAME_DATA) != 0;
  assert(!same || page.serial == message.serial, "a page came without bytes to a machine that has others");
  page.serial = message.serial;
  page.changed = 0;
}

/** WITH_DATA for whoever has the bytes `has`. */
export function dataFor(page: Page, has: u64): u8 {
  return has == page.serial && isNumbered(has) ? WITH_DATA | SAME_DATA : WITH_DATA;
}

/** This machine freezes for the view: its directories of the one before are over. */
export function eraBegins(engine: Engine, view: u64): void {
  engine.era = <u32>(view << ERAS_OF_VIEW);
}
