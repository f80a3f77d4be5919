// What a machine answers about pages of an object that it does not know, or no more: it has never opened it, has let go of it, or
// began anew meanwhile. It has nothing of the page, and says so to whoever waits for a word of it: the home that asks all machines
// for what a dead owner may have left, a writer, a machine that guessed that the page was here.
import { isDead, messageEnd } from "../syslink/cluster";
import { ITEM_ERROR, ITEM_PAGE } from "../syslink/commands";
import { itemPut } from "../syslink/message";
import { answerTo } from "../syslink/outbox";
import {
  PageMessage,
  SAY_ACKNOWLEDGED,
  SAY_EXECUTE,
  SAY_INVALIDATE,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
} from "./records";
import { commandOf, EAGAIN } from "./wire";

export function strangerAnswers(object: u64, index: u64, message: PageMessage): void {
  switch (message.kind) {
    case SAY_PURGE:
      answer(message.from, SAY_SURRENDER, object, index, 0);
      break;
    case SAY_INVALIDATE:
      answer(message.requester, SAY_ACKNOWLEDGED, object, index, message.transaction);
      break;
    case SAY_EXECUTE:
      answer(message.requester, SAY_REJECTED, object, index, message.transaction);
      break;
  }
}

function answer(to: u32, say: u8, object: u64, index: u64, transaction: u32): void {
  // The home may know this machine before it knows the home.
  if (say != SAY_SURRENDER && isDead(to)) return;
  const writer = answerTo(to, 16 + 16 + 8, object, transaction, commandOf(say, 0));
  store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), index);
  if (say == SAY_REJECTED) itemPut(writer, ITEM_ERROR, EAGAIN, 0);
  messageEnd();
}
