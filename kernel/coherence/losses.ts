// Whom a loss is told of that comes to light where nobody waits for the page, or that is of bytes which it had lent: whoever is to have the page
// next, here or elsewhere, once (Page.broken). Pure, as engine.ts.
import {
  ACT_FAIL,
  ACTION_BYTES,
  Action,
  Engine,
  ONCE,
  PARTLY,
  Page,
  PageMessage,
  RIGHT,
  RIGHT_SHARED,
  SAY_FAILURE,
  SAY_GRANT,
} from "./records";

/**
 * Among what the engine wants done for a frozen page: it fails, here at its home, the one that was or the one that will be (`next`), which wanted
 * it for nobody (budget.ts) or for a thread that has ended: who has it next is to be told.
 */
export function failsForNobody(engine: Engine, page: Page, next: u32): bool {
  if (page.frozen == 0 || page.waiters != 0 || page.ahead != 0) return false;
  if (<u32>page.home != engine.self && next != engine.self) return false;
  for (let i: u32 = 0; i < engine.actionCount; i++) {
    if (changetype<Action>(engine.actions + i * ACTION_BYTES).kind == ACT_FAIL) return true;
  }
  return false;
}

/** Who asks for the page here, or is granted it, is told instead. */
export function lossTold(page: Page): bool {
  if (page.broken == 0) return false;
  page.broken = 0;
  return true;
}

/**
 * What the engine says of the page is about to leave: the loss has come to light by what this answers, or nobody waited for it. Of losses of
 * before the engine knows itself (say.ts).
 */
export function lossRefuses(page: Page, action: Action): void {
  if (action.say != SAY_GRANT || !lossTold(page)) return;
  lossSays(page, changetype<PageMessage>(changetype<usize>(action) + offsetof<Action>("say")), ONCE);
}

/** Who was to be granted the page by this message is told instead. */
export function lossSays(page: Page, message: PageMessage, flags: u8): void {
  // What is left of it is here when the home asks for it.
  if ((message.flags & RIGHT) != RIGHT_SHARED) page.left = 1;
  message.kind = SAY_FAILURE;
  message.flags = flags;
  message.acks = 0;
  message.serial = 0;
}

/** Frozen, and what this machine was told once nobody heard here; nor does any more who was ordered behind it: whoever is to have the page next does. */
export function lossIsPassedOn(page: Page): void {
  if (page.partly & ONCE) page.broken = 1;
  page.partly &= PARTLY;
}

/** All that was said of the frozen page has come: its home of before does not know what nobody heard here, or died. */
export function lossReports(engine: Engine, page: Page): void {
  lossIsPassedOn(page);
  if (page.tellers & engine.dead) page.broken = 1;
  page.tellers &= ~engine.dead;
}
