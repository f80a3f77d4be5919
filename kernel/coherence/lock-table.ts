// What becomes of one request for range locks on the machine whose thread makes it: states, events, actions. The rest of the
// protocol has no states of its own: a home's grants and a machine's rights are sets of pieces (lock-space.ts, lock-home.ts).

/** Not asked for: something stands against it here, or its home moves. */
export const LOCK_WANTED: u32 = 0;
/** The home has it. */
export const LOCK_ASKED: u32 = 1;
/** The home has granted it, and a lock that is held here is in its way. */
export const LOCK_GRANTED: u32 = 2;
export const LOCK_HELD: u32 = 3;
export const LOCK_ENDED: u32 = 4;

/** Nothing stands against it here, and the machine has the rights; or lacks some. */
export const LOCK_FREE: u32 = 0;
export const LOCK_LACKS: u32 = 1;
/** It is not to wait, and a lock that is held here is in its way. */
export const LOCK_OBSTACLE: u32 = 2;
/** From the home: the rights; or that a lock held elsewhere is in its way. */
export const LOCK_GRANT: u32 = 3;
export const LOCK_REFUSED: u32 = 4;
/** The object's home moves. */
export const LOCK_FROZEN: u32 = 5;
/** The thread gives up. */
export const LOCK_CANCEL: u32 = 6;
export const LOCK_EVENTS: u32 = 7;

export const DO_HOLD: u32 = 0x10;
export const DO_ASK: u32 = 0x20;
export const DO_DENY: u32 = 0x40;
export const DO_TELL: u32 = 0x80;
/** It cannot happen. */
const NEVER: u32 = 0xff;

// biome-ignore format: a table reads by columns
const ROWS: usize = memory.data<u32>([
  //           FREE                  LACKS                 OBSTACLE              GRANT         REFUSED               FROZEN       CANCEL
  /* WANTED */  LOCK_HELD | DO_HOLD, LOCK_ASKED | DO_ASK,  LOCK_ENDED | DO_DENY, NEVER,        NEVER,                LOCK_WANTED, LOCK_ENDED,
  /* ASKED */   NEVER,               NEVER,                NEVER,                LOCK_GRANTED, LOCK_ENDED | DO_DENY, LOCK_WANTED, LOCK_ENDED | DO_TELL,
  /* GRANTED */ LOCK_HELD | DO_HOLD, LOCK_ASKED | DO_ASK,  LOCK_ENDED | DO_DENY, NEVER,        NEVER,                LOCK_WANTED, LOCK_ENDED,
]);

/** The next state, and what is to be done. */
export function lockNext(state: u32, event: u32): u32 {
  assert(state <= LOCK_GRANTED && event < LOCK_EVENTS, "a request for range locks is over");
  const next = load<u32>(ROWS + ((<usize>(state * LOCK_EVENTS + event)) << 2));
  assert(next != NEVER, "an event that a request for range locks cannot meet");
  return next;
}
