// What each machine knows of the views of the cluster of coherence-state.ts, and of where its objects have their homes; what machines
// tell each other of both.
import type { Machine } from "./coherence-state.js";

/** What a machine says that it has ended: a phase of its newest view, or more. */
export const FLUSHED = 0;
export const FROZEN = 1;
export const HANDED_IN = 2;
export const REBUILT = 3;
/** Its sender was in the middle of a move when the view came. */
export const INTERRUPTED = 4;
/** Its sender leaves, and has nothing any more. */
export const LEFT = 5;
export const MARKS = 6;

/** Bit per machine; `second`: those in their second life; `leaving`: those that hand in all that they have. */
export interface View {
  members: number;
  second: number;
  leaving: number;
}

/** What a machine knows of the cluster. */
export interface Membership {
  /** Number of the view it has installed; -1: none. */
  view: number;
  phase: number;
  /** The newest view for which it has frozen, or the first one: mirrored, who leaves by it is no mirror. */
  frozenFor: number;
  /** It has frozen for a view that not all members are known to have rebuilt for. */
  moves: boolean;
  /** Since all had ended a move somebody has died, perhaps with pages that had moved on. */
  doubts: boolean;
  /** Asks for things. */
  member: boolean;
  /** Left out by a view, and not dead yet. */
  dying: number;
  /** Taken in by a view that is not flushed yet. */
  coming: number;
  /** Those that are known to have nothing any more, since they leave; this machine itself. */
  left: number;
  handedIn: boolean;
  /** Links that it has cut. */
  deaf: number;
  /** By phase and machine: the newest view of which it has said that the phase is over; -1: none. */
  marks: number[];
}

/** What a machine knows of an object: where its home is; 0, or how far its move is. */
export interface ObjectHere {
  known: boolean;
  home: number;
  moving: number;
  /** SharedObject.complete: OURS and TOLD of moves.ts. */
  complete: number;
  /** At the home: what nobody has may have been at the former one. */
  lost: boolean;
  /** As SharedObject has them; bit m-1: machine m. */
  renumbered: number;
  lossy: number;
  holders: number;
  handedTo: number;
  gaveTo: number;
  /** With records that merge: what is kept of pages says what its ranges do not. */
  frozen: number;
}

export type ViewNotice =
  | { kind: "mark"; phase: number; view: number }
  /** `says`: moveSays() of moves.ts. */
  | { kind: "object"; object: number; says: number }
  /** `restore`: nobody has the page, and that machine has the newest bytes of it; `alone`: nobody else has a copy. */
  | { kind: "owner"; page: number; restore: boolean; alone: boolean }
  /** Whoever has the page next is to be told of a loss. */
  | { kind: "tell"; page: number }
  /**
   * `serial`: of the newest bytes there, mirrored; `asked`: the sender's request to write that was open when it froze; `to`, `request`: whom
   * the page was offered to, and for which request.
   */
  | {
      kind: "report";
      page: number;
      report: number;
      serial: bigint;
      asked: number;
      to: number;
      request: number;
    }
  /** To who leaves: the newest bytes of the page, which nobody else has, are to come. */
  | { kind: "fetch"; page: number }
  /** By who leaves: the page comes along; `to`, `request` as above. */
  | { kind: "given"; page: number; report: number; serial: bigint; to: number; request: number };

/** At the beginning: everybody is a member of the first view. */
export const unseen = (machines: number): Membership => ({
  view: 0,
  phase: REBUILT,
  frozenFor: 0,
  moves: false,
  doubts: false,
  member: true,
  dying: 0,
  coming: 0,
  left: 0,
  handedIn: false,
  deaf: 0,
  marks: Array.from({ length: MARKS * machines }, () => -1),
});

export const copyMembership = (membership: Membership): Membership => ({
  ...membership,
  marks: membership.marks.slice(),
});

export function membershipWords(put: (word: number) => void, machine: Machine): void {
  const { view, phase, moves, doubts, member, dying, coming, left, handedIn, deaf, marks } =
    machine.membership;
  put(
    (view + 1) |
      (phase << 8) |
      (member ? 1 << 12 : 0) |
      (doubts ? 1 << 13 : 0) |
      (moves ? 1 << 14 : 0) |
      (dying << 16),
  );
  put(deaf | (coming << 16));
  put(left | (handedIn ? 1 : 0));
  for (const mark of marks) put(mark + 1);
  for (const object of machine.objects) {
    const { known, home, moving, complete, lost, lossy, holders, handedTo, gaveTo, frozen } = object;
    put(gaveTo | (frozen << 8));
    put(
      (known ? 1 : 0) |
        (home << 1) |
        (moving << 8) |
        ((complete & 2) << 11) |
        ((complete & 1) << 15) |
        (lost ? 1 << 13 : 0) |
        (lossy ? 1 << 14 : 0) |
        (holders << 16) |
        (handedTo << 24),
    );
  }
}
