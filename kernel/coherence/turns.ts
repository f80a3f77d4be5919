// When a thread's turn comes that reads a page again and again, in vain, until others have written it: a lock whose waiters
// get it one after the other, each by its word in the page (a ticket lock, a queue's). The page goes round among their
// machines (migratory.ts), and a hand-over costs one hop if it goes round in the order in which they wait. Each visit to a
// machine whose turn it is not costs a hop more, so a machine should ask when its turn is near, not sooner.
//
// How near it is the serial number tells, which counts the changes (serials.ts): a machine that wrote the page when it had
// changed n - 1 times since it last had is one of n that take turns, and when the page, on its next visit, has changed k
// times, n - 1 - k turns come before its own. A turn takes as long as the last round took, by n. So it asks three quarters of
// that time after it last had the page, counting AHEAD turns fewer for the way of its request: all by the same rule, hence in
// the order of their turns, and sooner rather than later, so that rounds get shorter until nobody waits for a request.
//
// All of it is advice, and ends by itself: who did not have to wait is one of one. Core 0 only, like pages.ts.
import { rdtsc } from "../arch";
import { nanoseconds } from "../machine/time";
import { clusterMachines, wireTime } from "../syslink/peers";
import { Page } from "./records";

/** So often in a row it is read in vain by one instruction until that counts as waiting for others, and for so many turns. */
const SPUN: u32 = 2;
const SPINS: u32 = 64;
const AHEAD: u64 = 2;
/** The longest turn, and the longest wait, in round trips of the wire. */
const TURN_MAX: u64 = 4;
const WAIT_MAX: u64 = 16;
/** The longest wait of a thread that knows nothing of turns, in halves. */
const HALVES_MAX: u32 = 6;

/** The right to write has come. */
export function turnsCame(page: Page): void {
  page.changes = page.serial - page.turnSerial;
}

/** Another machine takes the page. `written`: meanwhile, by this machine, `read`: which had asked to read. */
export function turnsLost(page: Page, written: bool, read: bool): void {
  const now = nanoseconds();
  page.turnsSeenAt = now;
  if (!written) return;
  if (read) {
    const turns = page.changes + 1;
    if (turns > 1) page.turnTime = min<u64>((now - page.turnAt) / turns, TURN_MAX * wireTime());
    page.turns = <u32>min<u64>(turns, <u64>clusterMachines());
    if (page.spins != 0) page.spins--;
  }
  page.turnSerial = page.serial + 1; // as it is numbered in a moment
  page.turnAt = now;
}

/** Threads here wait for others to write it. */
export function isSpunOn(page: Page): bool {
  return page.spins != 0;
}

/** Nanoseconds that a thread should wait before it asks for the page, which it lacks; `rip`: the instruction that reads. */
export function turnDelay(page: Page, rip: u64): u64 {
  const again = page.spinAt == rip;
  page.spinAt = rip;
  if (!again) return 0;
  if (page.vain >= SPUN) page.spins = SPINS;
  if (page.spins != 0 && page.turns > 1) {
    const gone = page.serial - page.turnSerial;
    const most = <u64>page.turns - 1;
    if (gone < most) {
      const left = most - gone;
      const wait = left > AHEAD ? ((left - AHEAD) * page.turnTime * 3) / 4 : 0;
      const until = page.turnsSeenAt + min<u64>(wait, WAIT_MAX * wireTime());
      const now = nanoseconds();
      return until > now ? until - now : 0;
    }
  }
  return page.vain != 0 ? unknownDelay(page.vain) : 0;
}

/** About as long as one other machine needs the page, and longer each time; never quite the same, or machines could change places for ever. */
function unknownDelay(vain: u32): u64 {
  const halves = <u64>min<u32>(vain, HALVES_MAX) + 1;
  return (wireTime() * halves * (12 + ((rdtsc() >> 4) & 7))) / 32;
}
