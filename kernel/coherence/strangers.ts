// What a machine answers about pages of an object that it does not know, or no more: it has never opened it, has let go of it, or
// began anew meanwhile. It has nothing of the page, and says so to whoever waits for a word of it: the home that asks all machines
// for what a dead owner may have left, a writer, a machine that guessed that the page was here, one that offers it the page, and one whose
// guess was wrong while the home died and came back, so that its operation reaches the new life.
import { isDead, messageEnd } from "../syslink/cluster";
import { ITEM_ERROR, ITEM_PAGE } from "../syslink/commands";
import { itemPut } from "../syslink/message";
import { answerTo } from "../syslink/outbox";
import {
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
import { commandOf, EAGAIN } from "./wire";

export function strangerAnswers(object: u64, index: u64, message: PageMessage): void {
  switch (message.kind) {
    case SAY_PURGE:
      answer(message.from, SAY_SURRENDER, object, index, 0);
      break;
    case SAY_INVALIDATE:
      answerThird(message, SAY_ACKNOWLEDGED, object, index);
      break;
    case SAY_EXECUTE:
      answerThird(message, SAY_REJECTED, object, index);
      break;
    case SAY_EARLY:
      if ((message.flags & RIGHT) == RIGHT_MODIFIED)
        answer(message.from, SAY_UNTAKEN, object, index, message.transaction);
      break;
    case SAY_GET_OPERATE:
      answer(message.from, SAY_REJECTED, object, index, message.transaction);
      break;
  }
}

/** Who asked himself may know this machine's new life before it knows him: he is answered whoever is a member. */
function answerThird(message: PageMessage, say: u8, object: u64, index: u64): void {
  const to = message.requester;
  if (to == message.from || !isDead(to)) answer(to, say, object, index, message.transaction);
}

function answer(to: u32, say: u8, object: u64, index: u64, transaction: u32): void {
  const writer = answerTo(to, 16 + 16 + 8, object, transaction, commandOf(say, 0));
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), index);
  if (say == SAY_REJECTED) itemPut(writer, ITEM_ERROR, EAGAIN, 0);
  messageEnd();
}
