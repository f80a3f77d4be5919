// What members have said of the phases of a view (members.ts goes through them): each tells all others when it has ended one, by a
// message on their link, behind everything that it said before.
// Invariant: a mark is of the newest view for which that machine has ended the phase; a new life of the machine begins without any.
import { COMMAND_VIEW, ITEM_ACKS } from "./commands";
import { itemPut } from "./message";
import { messageEnd, noticeTo } from "./outbox";
import { bit, clusterSelf } from "./peers";
import { View } from "./view";

/**
 * Phases of a view: nothing older is under way; objects whose home moves are frozen; handed in; rebuilt; who leaves has nothing any
 * more. And beside them: mirrored anew; and, said before that the view is flushed, that its sender was in the middle of a move when
 * it came.
 */
export const FLUSHED: u32 = 0;
export const FROZEN: u32 = 1;
export const HANDED_IN: u32 = 2;
export const REBUILT: u32 = 3;
export const LEFT: u32 = 4;
export const HEALED: u32 = 5;
export const INTERRUPTED: u32 = 6;
export const PHASES: u32 = 7;

/** By phase and machine: the newest view of which it has said that the phase is over. */
const marks: usize = memory.data(3584, 8);

function at(machine: u32, ended: u32): usize {
  return marks + (((ended << 6) + machine - 1) << 3);
}

export function markSet(machine: u32, ended: u32, number: u64): void {
  store<u64>(at(machine, ended), number);
}

export function markOf(machine: u32, ended: u32): u64 {
  return load<u64>(at(machine, ended));
}

/** This machine has ended a phase of the view: its members are told. */
export function markTell(view: View, ended: u32): void {
  for (let rest = view.members & ~bit(clusterSelf()); rest != 0; rest &= rest - 1) {
    store<u64>(itemPut(noticeTo(<u32>ctz(rest) + 1, 32, COMMAND_VIEW), ITEM_ACKS, ended, 8), view.number);
    messageEnd();
  }
}

/** This machine or another member was in the middle of a move when the view came: known of all when the view is flushed. */
export function interruptedByAny(view: View): bool {
  for (let rest = view.members; rest != 0; rest &= rest - 1) {
    if (markOf(<u32>ctz(rest) + 1, INTERRUPTED) >= view.number) return true;
  }
  return false;
}

/** All other members of the view have ended the phase. */
export function markedByAll(view: View, ended: u32): bool {
  for (let rest = view.members & ~bit(clusterSelf()); rest != 0; rest &= rest - 1) {
    if (markOf(<u32>ctz(rest) + 1, ended) < view.number) return false;
  }
  return true;
}

export function marksForget(machine: u32): void {
  for (let ended = FLUSHED; ended < PHASES; ended++) markSet(machine, ended, 0);
}
