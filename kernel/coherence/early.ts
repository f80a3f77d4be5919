// Requests that guess the owner. The home orders them like any other, but the bytes do not wait for its word to the owner: who asks
// for a page asks the machine that he believes to own it at the same time, and has them after one hop each way if he is right.
//
//   requester -> home    GET_READ or GET_WRITE, which names the machine that is asked as well
//   requester -> owner   GUESS. Who has the page to himself gives up the right to write, or for a writer the page, and sends the bytes
//                        (EARLY); to a reader also who owns it. Who has neither says nothing: the request takes its ordinary way
//   home -> owner        FORWARD_READ or FORWARD_WRITE, to which there is nothing to add when the bytes were sent
//   home -> requester    ORDERED, if it names the owner: with the bytes it is the grant
//
// Invariants: EARLY and ORDERED each name the owner's request by which it has the page. Who has sent EARLY writes no more by that right,
// nor reads when it was to a writer (OFFERED), and for another it has to ask the home. So where the two name the same request, nothing was
// written between the bytes and the place in the home's order that the requester has; where they do not, the bytes are old, and the owner,
// which sees the same difference in the forward, sends the page again. Bytes that came early have a number like all others
// (serials.ts), so they may stay where they are without a right. The page is offered to one machine at a time.
//
// The writer may use the page, and give it to others, before the home's word has come to who offered it. So
//   - what the writer's successors send there may overtake that word, once for each offer (Page.overtaken);
//   - a writer whose request was over when the bytes came says so (UNTAKEN): by his silence he has taken them, or will;
//   - when the page's home moves, who offered it cannot know whose it is. It says so to the new home (takeover.ts), and the writer says
//     whether his request was open still when he froze. If it was, nobody has written since; if not, or if he is dead, what nobody
//     else has is lost. So who offered it must know by then when it was not taken: nobody sends anything early once he has said that he
//     flushes a view, so it has come before its receiver freezes, and UNTAKEN is in front of the word that he has.
import { cacheEvent, collected } from "./engine";
import {
  AS_GUESSED,
  bitOf,
  DATA_DIRTY,
  Engine,
  Page,
  PageMessage,
  peerAt,
  RIGHT,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAY_FAILURE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_UNTAKEN,
  WITH_DATA,
} from "./records";
import { say, sayEarly } from "./say";
import { serialTaken } from "./serials";
import {
  EARLY,
  EXCLUSIVE,
  GOT_COLLECT,
  GOT_MODIFIED,
  GOT_SHARED,
  GUESSED,
  GUESSED_WRITE,
  INVALID_READ,
  INVALID_WRITE,
  MODIFIED,
  OFFERED,
  OFFERED_WRITE,
  OWNED,
  TAKEN,
} from "./table";

/** Page.early: nothing; the bytes are here, from `earlyServed`; the home has ordered the request, behind `earlyServed`. */
const EARLY_NOTHING: u8 = 0;
const EARLY_BYTES: u8 = 1;
const EARLY_ORDER: u8 = 2;
/** Page.offered: the writer may take the page; he died, and what the home had ordered for him had come here by then. */
const OFFER_OPEN: u8 = 1;
export const OFFER_DEAD: u8 = 2;
/** Peer.guessed */
const GUESSED_READ: u8 = 1;
const GUESSED_WRITER: u8 = 2;

// --- Who asks ---

/** A request is made: nothing has come for it. */
export function earlyBegins(page: Page): void {
  page.early = EARLY_NOTHING;
  page.earlyServed = 0;
}

/** Of the request that is made: the machine that is to be asked as well; 0 = none. Who has a copy needs the right alone. */
export function guessOf(engine: Engine, page: Page): u32 {
  if (engine.guesses == 0 || <u32>page.home == engine.self) return 0;
  if (page.state != INVALID_READ && (page.state != INVALID_WRITE || page.contended != 0)) return 0;
  const guess = <u32>page.successor;
  return guess == engine.self || guess == <u32>page.home ? 0 : guess;
}

export function sayGuess(engine: Engine, page: Page, guess: u32): void {
  if (guess == 0) return;
  const right: u8 = page.state == INVALID_WRITE ? RIGHT_MODIFIED : 0;
  say(engine, page, guess, SAY_GUESS, 0, right, page.transaction, 0);
}

function isAsking(page: Page): bool {
  return page.state == INVALID_READ || page.state == INVALID_WRITE;
}

/** The answer of who was asked. */
export function earlyCame(engine: Engine, page: Page, message: PageMessage): void {
  const open = page.transaction != 0 && page.transaction == message.transaction && isAsking(page);
  if (!open) sayUntaken(engine, page, message);
  if (!open || !earlyMatches(page, message)) return;
  const ordered = isOrdered(page);
  earlyTaken(page, message);
  if (ordered) earlyServes(engine, page, message);
  else cacheEvent(engine, page, EARLY, message);
}

/** The bytes may be what the home's word is about, if that has come. */
function earlyMatches(page: Page, message: PageMessage): bool {
  return page.early == EARLY_NOTHING || (isOrdered(page) && page.earlyServed == message.served);
}

/** Of the open request: the home's word has come. */
function isOrdered(page: Page): bool {
  return page.early == EARLY_ORDER;
}

/** The bytes are here. */
function earlyTaken(page: Page, message: PageMessage): void {
  serialTaken(page, message);
  page.dirty = u8((message.flags & DATA_DIRTY) != 0);
  tenureForget(page); // what this machine has offered itself is here no more
  page.early = EARLY_BYTES;
  page.earlyServed = message.served;
}

/** Of bytes that were to be written. */
function sayUntaken(engine: Engine, page: Page, message: PageMessage): void {
  if ((message.flags & RIGHT) != RIGHT_MODIFIED || engine.dead & bitOf(message.from)) return;
  say(engine, page, message.from, SAY_UNTAKEN, 0, 0, message.transaction, 0);
}

/** The home's word about the open request. */
export function orderCame(engine: Engine, page: Page, message: PageMessage): void {
  if (!isAsking(page)) return;
  page.acksExpected = message.acks;
  if (!orderMatches(page, message)) return;
  message.flags = WITH_DATA;
  earlyServes(engine, page, message);
}

/** Is it about the bytes that have come? Else it is kept. */
export function orderMatches(page: Page, message: PageMessage): bool {
  if (page.early == EARLY_BYTES && page.earlyServed == message.served) return true;
  page.early = EARLY_ORDER;
  page.earlyServed = message.served;
  return false;
}

/** Both have come, and name the same request of the owner's. */
function earlyServes(engine: Engine, page: Page, message: PageMessage): void {
  if (page.state == INVALID_READ) {
    earlyForget(page);
    page.transaction = 0;
    cacheEvent(engine, page, GOT_SHARED, message);
  } else if (collected(engine, page)) {
    tenureBegins(engine, page);
    page.transaction = 0;
    cacheEvent(engine, page, GOT_MODIFIED, message);
  } else cacheEvent(engine, page, GOT_COLLECT, message);
}

// --- Who owns ---

/** Another machine believes that this one owns the page. */
export function guessCame(engine: Engine, page: Page, message: PageMessage): void {
  const from = <u32>message.from;
  if (engine.dead & bitOf(from)) return;
  const writes = (message.flags & RIGHT) == RIGHT_MODIFIED;
  if (page.tenure == 0 || page.broken != 0 || !(writes ? isAlone(page) : mayGive(page))) return;
  const peer = peerAt(page, from);
  page.readers |= bitOf(from);
  peer.reader = message.transaction;
  peer.serial = message.serial;
  peer.guessed = writes ? GUESSED_WRITER : GUESSED_READ;
  cacheEvent(engine, page, writes ? GUESSED_WRITE : GUESSED, message);
}

function isAlone(page: Page): bool {
  return page.state == EXCLUSIVE || page.state == MODIFIED;
}

/** The home counts this machine as the owner, as far as it knows. */
function mayGive(page: Page): bool {
  return isAlone(page) || (page.state == OWNED && page.dirty != 0);
}

/** Who guessed is sent the bytes; a writer unless the home has ordered somebody meanwhile. */
export function giveEarly(engine: Engine, page: Page, machine: u32): void {
  const peer = peerAt(page, machine);
  const writes = peer.guessed == GUESSED_WRITER;
  peer.guessed = 0;
  // The home's word decides who is told; and who has frozen takes nothing early.
  if (page.broken != 0 || engine.flushes != 0) return;
  if (writes && page.state != OFFERED) return;
  page.earlyTo = <u8>machine;
  page.earlyTransaction = peer.reader;
  page.offered = writes ? OFFER_OPEN : 0;
  sayEarly(engine, page, machine, writes ? RIGHT_MODIFIED : RIGHT_SHARED, peer.reader, peer.serial);
}

/** FORWARD_READ: is there nothing to add to what the reader was sent early? */
export function wasGivenEarly(page: Page, message: PageMessage): bool {
  if (!isOfEarly(page, message)) return false;
  earlySettled(page);
  return true;
}

/** The forward is of the request that was sent the page's bytes, and its requester has heard that he is next. */
function isOfEarly(page: Page, message: PageMessage): bool {
  if (page.earlyTo == 0 || page.earlyTo != message.requester || !(message.flags & AS_GUESSED)) return false;
  return page.earlyTransaction == message.transaction && page.tenure == message.served;
}

/** FORWARD_WRITE: is it for whom the page was offered to? */
export function wasOffered(engine: Engine, page: Page, message: PageMessage): bool {
  if (page.offered == 0 || !isOfEarly(page, message)) return false;
  taken(engine, page, message);
  return true;
}

/** What another machine has offered is here now. */
export function offerTaken(page: Page, to: u32, request: u32): void {
  page.offered = OFFER_OPEN;
  page.earlyTo = <u8>to;
  page.earlyTransaction = request;
}

/** UNTAKEN: what is here is the page still, as far as the home has not ordered otherwise. */
export function offerEnds(page: Page, message: PageMessage): bool {
  if (page.offered == 0 || page.earlyTo != message.from || page.earlyTransaction != message.transaction)
    return false;
  page.offered = 0; // whose request that was nobody will forward again
  return page.frozen != 0 || page.state == OFFERED || page.state == OFFERED_WRITE;
}

/** A machine that was sent bytes early has died; the page is not frozen. What it was ordered is known here, unless the page's home is dead. */
export function earlyTellsNobody(engine: Engine, page: Page, peer: u32): void {
  if (<u32>page.earlyTo != peer) return;
  if (page.offered == 0) earlySettled(page);
  else if (!(engine.dead & bitOf(page.home))) {
    page.offered = OFFER_DEAD;
    page.offerEra = engine.era;
  }
}

/** The page's home has died: if the writer did by the same view, what he was ordered may not have come here. */
export function offerDoubted(engine: Engine, page: Page): void {
  if (page.offered == OFFER_DEAD && page.offerEra == engine.era) page.offered = OFFER_OPEN;
}

/** What was offered stays known (takeover.ts) until something else of the page comes here, with its own word of the backing store. */
function taken(engine: Engine, page: Page, message: PageMessage): void {
  successorSeen(engine, page, engine.dead & bitOf(page.earlyTo) ? 0 : page.earlyTo);
  cacheEvent(engine, page, TAKEN, message);
}

/** The answer to this machine's request, by another: then the page was taken first. That FORWARD_WRITE is on its way here still. */
export function offerOvertaken(engine: Engine, page: Page, message: PageMessage): void {
  if (page.state != OFFERED_WRITE) return;
  const brought = message.kind == SAY_GRANT && (message.flags & WITH_DATA) != 0;
  if (!brought && message.kind != SAY_FAILURE) return;
  page.overtaken++;
  taken(engine, page, message);
}

/** FORWARD_WRITE: is it such a one? */
export function wasOvertaken(page: Page): bool {
  if (page.overtaken == 0) return false;
  page.overtaken--;
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
  tenureForget(page);
}

export function tenureForget(page: Page): void {
  page.tenure = 0;
  page.offered = 0;
  earlySettled(page);
}

/** That machine has the page now, or owns it. */
export function successorSeen(engine: Engine, page: Page, machine: u8): void {
  if (engine.guesses != 0) page.successor = machine;
}
