// Pages that are read and then written by one machine after the other (migratory data, after Cox and Fowler and after Stenstrom): a
// lock's word with what it protects, a queue's head. Who reads such a page should ask for the right to write at once: the
// page then comes once, and nobody has to be told to drop a copy. So a machine that wrote after it had read asks to write the next
// times it reads, until the page has left several times in a row without having been written here.
//
// Threads that wait for a lock by reading its word in a circle then pass the page round, and ask for it when their turn is
// near (turns.ts).
//
// All of it is advice: asking to write is always right. Core 0 only, like pages.ts.
import { bootNumber, bootOption } from "../options";
import { Page } from "./records";
import { turnDelay, turnsLost } from "./turns";

/** So often in a row a page may leave unwritten until readers ask to read again. */
const VAIN_MAX: u32 = 64;

let migrates: bool = true;
/** Whoever reads asks for the right to write: the protocol without S. */
export let readersOwn: bool = false;

/** For comparisons, on the command line: `migrate=0`: readers ask to read; `mei`: they never do. */
export function migratoryStart(): void {
  readersOwn = bootOption("mei") != 0;
  migrates = bootNumber("migrate", 1) != 0;
}

/** A thread lacks the page (nothing is here), or the right to write it (`here`). Ask for the right to write? */
export function asksToWrite(page: Page, write: bool, here: bool): bool {
  if (write) {
    if (page.readLast != 0) {
      page.migratory = 1;
      page.vain = 0;
    }
    page.readLast = 0;
    return true;
  }
  if (here) return false;
  page.readLast = 1;
  return readersOwn || (migrates && page.migratory != 0);
}

/** Another machine takes the page, or the right to write. `written`: meanwhile, by this machine. */
export function migratoryLost(page: Page, written: bool): void {
  turnsLost(page, written, page.readLast != 0);
  if (written) page.vain = 0;
  else if (page.readLast != 0) page.vain++;
  if (page.vain < VAIN_MAX) return;
  page.vain = 0;
  page.migratory = 0;
}

/** Nanoseconds that a thread should wait before it asks for the page, which it lacks; `rip`: the instruction that reads. */
export function spinDelay(page: Page, rip: u64): u64 {
  return migrates && page.migratory != 0 ? turnDelay(page, rip) : 0;
}
