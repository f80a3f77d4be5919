// Requests to read that guess the owner. The home orders them like any other, but the bytes do not wait for its word to the owner: who
// reads asks the machine that he believes to own the page at the same time, and has them after one hop each way if he is right.
//
//   requester -> home    GET_READ, which names the machine that is asked as well
//   requester -> owner   GUESS. Who has the page to himself, or owns it, gives up the right to write and sends the bytes (EARLY); who does
//                        not, says nothing: the request takes its ordinary way
//   home -> owner        FORWARD_READ, to which there is nothing to add when the bytes were sent
//   home -> requester    ORDERED, if it names the owner: with the bytes it is the grant
//
// Invariants: EARLY and ORDERED each name the owner's request by which it has the page. Who has sent EARLY writes no more by that right,
// and for another it has to ask the home. So where the two name the same request, nothing was written between the bytes and the place in
// the home's order that the reader has; where they do not, the bytes are old, and the owner, which sees the same
// difference in FORWARD_READ, sends the page again. Bytes that came early have a number like all others (serials.ts),
// so they may stay where they are without a right.
import { cacheEvent } from "./engine";
import { bitOf, Engine, Page, PageMessage, peerAt, RIGHT_SHARED, SAY_GUESS, WITH_DATA } from "./records";
import { say, sayEarly } from "./say";
import { serialTaken } from "./serials";
import { EARLY, EXCLUSIVE, GOT_SHARED, GUESSED, INVALID_READ, MODIFIED, OWNED } from "./table";

/** Page.early: nothing; the bytes are here, from `earlyServed`; the home has ordered the request, behind `earlyServed`. */
const EARLY_NOTHING: u8 = 0;
const EARLY_BYTES: u8 = 1;
const EARLY_ORDER: u8 = 2;

// --- Who asks ---

/** A request is made: nothing has come for it. */
export function earlyBegins(page: Page): void {
  page.early = EARLY_NOTHING;
  page.earlyServed = 0;
}

/** Of a request to read: the machine that is to be asked as well; 0 = none. */
export function guessOf(engine: Engine, page: Page): u32 {
  if (engine.guesses == 0 || <u32>page.home == engine.self) return 0;
  const guess = <u32>page.successor;
  return guess == engine.self || guess == <u32>page.home ? 0 : guess;
}

export function sayGuess(engine: Engine, page: Page, guess: u32): void {
  if (guess != 0) say(engine, page, guess, SAY_GUESS, 0, 0, page.transaction, 0);
}

/** The answer of who was asked, to the open request. */
export function earlyCame(engine: Engine, page: Page, message: PageMessage): void {
  if (page.state != INVALID_READ || page.early == EARLY_BYTES) return;
  const ordered = page.early == EARLY_ORDER;
  if (ordered && page.earlyServed != message.served) return;
  serialTaken(page, message);
  page.dirty = 0;
  if (ordered) {
    shared(engine, page, message);
    return;
  }
  page.early = EARLY_BYTES;
  page.earlyServed = message.served;
  cacheEvent(engine, page, EARLY, message);
}

/** The home's word about the open request. */
export function orderCame(engine: Engine, page: Page, message: PageMessage): void {
  if (page.state != INVALID_READ) return;
  if (page.early == EARLY_BYTES && page.earlyServed == message.served) {
    message.flags = RIGHT_SHARED | WITH_DATA;
    shared(engine, page, message);
    return;
  }
  page.early = EARLY_ORDER;
  page.earlyServed = message.served;
}

function shared(engine: Engine, page: Page, message: PageMessage): void {
  earlyForget(page);
  page.transaction = 0;
  cacheEvent(engine, page, GOT_SHARED, message);
}

// --- Who owns ---

/** Another machine believes that this one owns the page. */
export function guessCame(engine: Engine, page: Page, message: PageMessage): void {
  const from = <u32>message.from;
  if (engine.dead & bitOf(from)) return;
  if (page.tenure == 0 || page.broken != 0 || !mayGive(page)) return;
  const peer = peerAt(page, from);
  page.readers |= bitOf(from);
  peer.reader = message.transaction;
  peer.serial = message.serial;
  peer.guessed = 1;
  cacheEvent(engine, page, GUESSED, message);
}

/** The home counts this machine as the owner, as far as it knows. */
function mayGive(page: Page): bool {
  return page.state == EXCLUSIVE || page.state == MODIFIED || (page.state == OWNED && page.dirty != 0);
}

/** A reader that guessed is sent the bytes. */
export function giveEarly(engine: Engine, page: Page, machine: u32): void {
  const peer = peerAt(page, machine);
  peer.guessed = 0;
  if (page.broken != 0) return; // the home's word decides who is told
  page.earlyTo = <u8>machine;
  page.earlyTransaction = peer.reader;
  sayEarly(engine, page, machine, peer.reader, page.tenure, peer.serial);
}

/** FORWARD_READ: is there nothing to add to what the reader was sent early? */
export function wasGivenEarly(page: Page, message: PageMessage): bool {
  if (page.earlyTo == 0 || page.earlyTo != message.requester) return false;
  if (page.earlyTransaction != message.transaction || page.tenure != message.served) return false;
  earlySettled(page);
  return true;
}

/** There is nothing to be remembered of bytes that were sent early. */
export function earlySettled(page: Page): void {
  page.earlyTo = 0;
  page.earlyTransaction = 0;
}

/** This machine's open request is over, and has made it the owner. */
export function tenureBegins(engine: Engine, page: Page): void {
  earlyForget(page);
  if (engine.guesses != 0) page.tenure = page.transaction;
}

/** It owns the page no more, or never did, or what the home has ordered counts no more. */
export function earlyForget(page: Page): void {
  earlyBegins(page);
  page.tenure = 0;
  earlySettled(page);
}

/** That machine has the page now, or owns it. */
export function successorSeen(engine: Engine, page: Page, machine: u8): void {
  if (engine.guesses != 0) page.successor = machine;
}
