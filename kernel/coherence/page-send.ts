// What the engine says about a page leaves as a message: with the page's bytes if it says so, with what an operation gives, alone or
// in a run with the pages before it (runs.ts). Core 0 only. Part of pages.ts, whose invariants hold here.
import { frameAllocate } from "../memory/frames";
import { stats } from "../stats";
import { messageEnd, messageTo } from "../syslink/cluster";
import { operationServed } from "./contention";
import { bytesWrite, lend, lentBytes, operationUsable, partsLock } from "./loans";
import { lossRefuses } from "./losses";
import { mirrorBefore, mirrorBehind, mirrorsOn } from "./mirror-pages";
import { isBorrowing, operationPerform } from "./operation";
import { dataToSend, differenceBytes } from "./page-data";
import { isSuspended } from "./page-members";
import { engine } from "./pages";
import { Action, Page, SAY_INVALIDATE, SAY_OPERATED, SAY_REJECTED, TAKE_IT, WITH_DATA } from "./records";
import { refusalsSent } from "./refusals";
import { runTakes } from "./runs";
import { commandOf, NO_DIFFERENCE, PAGE_MESSAGE_BYTES_MAX, wireWrite } from "./wire";

/** What a short step (steps.ts) has said: one message. */
export function sendOnly(page: Page): void {
  assert(engine.actionCount == 1, "a short step says one thing");
  engine.actionCount = 0;
  send(page, changetype<Action>(engine.actions));
}

export function send(page: Page, action: Action): void {
  if (action.say == SAY_OPERATED) performFor(page, action);
  lossRefuses(page, action);
  const withData = (action.sayFlags & WITH_DATA) != 0;
  const data = withData ? dataToSend(page, action) : 0; // 0 as well when the receiver has it
  if (action.say == SAY_INVALIDATE) stats().invalidations++;
  const bytes = data != 0 ? PAGE_MESSAGE_BYTES_MAX : 96 + lentBytes();
  const command = commandOf(action.say, action.sayFlags);
  refusalsSent(page, action);
  const whole = differenceBytes == NO_DIFFERENCE && !(withData && mirrorsOn());
  if (runTakes(page, action, withData && whole ? data : 0)) return;
  if (withData) mirrorBefore(page, action.to);
  const writer = messageTo(action.to, bytes, page.object, action.transaction, command);
  wireWrite(writer, action, page.index, data, withData ? differenceBytes : NO_DIFFERENCE);
  bytesWrite(writer);
  messageEnd();
  if (withData) mirrorBehind(page, action.to);
}

/** The operation is done as its answer is written: nothing comes between the engine's word and this. */
function performFor(page: Page, action: Action): void {
  if (page.frame == 0) page.frame = frameAllocate(); // it came with a range and was never touched
  const usable = !isSuspended() && page.frame != 0;
  if (isBorrowing(action.operation)) {
    if (!usable || !lend(page, action)) action.say = SAY_REJECTED;
    return;
  }
  // The right may not be used while the home is out of reach, nor bytes that are lent, or lost; mirrored, the page would
  // have to go along.
  if (!usable || mirrorsOn() || !operationUsable(page, action.operation)) {
    action.say = SAY_REJECTED;
    return;
  }
  // What threads do with parts of a page they do under this lock.
  partsLock.acquire();
  action.operand = operationPerform(page.frame, action.operation, action.operand, action.comparand);
  partsLock.release();
  if (operationServed(page, action.to)) action.sayFlags |= TAKE_IT;
}
