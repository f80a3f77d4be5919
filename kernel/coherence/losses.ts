// A loss that comes to light where nobody waits for the page. Pure, as engine.ts.
import { ACT_FAIL, ACTION_BYTES, Action, Engine, Page } from "./records";

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
