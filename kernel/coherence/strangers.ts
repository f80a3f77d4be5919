// What a machine answers about pages of an object that it does not know, or no more: it has never opened it, has let go of it, or
// began anew meanwhile. It has nothing of the page, and says so to whoever waits for a word of it: the home that asks all machines
// for what a dead owner may have left, a writer, a machine that guessed that the page was here, one that offers it the page, and one whose
// guess was wrong while the home died and came back, so that its operation reaches the new life. Pure, as engine.ts; page-messages.ts sends it.
import {
  bitOf,
  PageMessage,
  RIGHT,
  RIGHT_MODIFIED,
  SAY_ACKNOWLEDGED,
  SAY_EARLY,
  SAY_EXECUTE,
  SAY_GET_OPERATE,
  SAY_INVALIDATE,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  SAY_UNTAKEN,
} from "./records";

/** 0: nothing. */
export function strangerSays(message: PageMessage): u8 {
  switch (message.kind) {
    case SAY_PURGE:
      return SAY_SURRENDER;
    case SAY_INVALIDATE:
      return SAY_ACKNOWLEDGED;
    case SAY_EXECUTE:
    case SAY_GET_OPERATE:
      return SAY_REJECTED;
    case SAY_EARLY:
      return (message.flags & RIGHT) == RIGHT_MODIFIED ? SAY_UNTAKEN : 0;
    default:
      return 0;
  }
}

/** To whom; 0: to nobody, since he is dead. Who asked himself may know this machine's new life before it knows him: he is answered whoever is a member. */
export function strangerTells(message: PageMessage, dead: u64): u32 {
  if (message.kind != SAY_INVALIDATE && message.kind != SAY_EXECUTE) return message.from;
  const to = message.requester;
  return to == message.from || !(dead & bitOf(to)) ? to : 0;
}

/** The transaction that the answer is of. */
export function strangerAnswers(message: PageMessage): u32 {
  return message.kind == SAY_PURGE ? 0 : message.transaction;
}
