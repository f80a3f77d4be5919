// What a report's page holds, as JSON: lists of plain numbers, since there are many. Times are nanoseconds of virtual
// time. The recorder writes it, the viewer in the page reads it.

/** sent, arrived (-1: never), from, to, index in `names`, bytes, index in `objects` (-1: none), page (-1: none), flags. */
export type MessageRow = readonly [
  sent: number,
  arrived: number,
  from: number,
  to: number,
  name: number,
  bytes: number,
  object: number,
  page: number,
  flags: number,
];

/** The datagram had been sent before; the message carries a page's bytes, or a difference to them. */
export const AGAIN = 1;
export const WITH_PAGE = 2;
export const WITH_DIFFERENCE = 4;

/**
 * From then on that machine's cache of a page is in that state, and at its home the directory (else -1). With a `last` that is not
 * -1 it is a range: all pages up to there that have no record of their own. A state of -1: there is no record any more.
 */
export type StateRow = readonly [
  at: number,
  machine: number,
  object: number,
  page: number,
  state: number,
  directory: number,
  owner: number,
  last: number,
];

export interface Mark {
  readonly at: number;
  /** 0: all of them. */
  readonly machine: number;
  readonly text: string;
  /** A fault lasts. */
  readonly until?: number;
}

export interface Timeline {
  readonly title: string;
  /** The command that gives it again. */
  readonly command: string;
  readonly machines: readonly string[];
  readonly end: number;
  /** Paths of shared files, or linkids. */
  readonly objects: readonly string[];
  /** Kinds of messages. */
  readonly names: readonly string[];
  /** Of the page protocol, in the order of its numbers. */
  readonly states: readonly string[];
  readonly messages: readonly MessageRow[];
  readonly changes: readonly StateRow[];
  readonly marks: readonly Mark[];
  /** All that there was, counted also where rows were cut off. */
  readonly counts: {
    readonly frames: number;
    readonly messages: number;
    readonly bytes: number;
    readonly changes: number;
  };
  /** What was left out, in words. */
  readonly cut: readonly string[];
}
