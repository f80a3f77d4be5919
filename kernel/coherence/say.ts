// What the engine wants done, and what it says to other machines and to itself: each is written where the caller finds it, the actions in
// order, this machine's own messages in a ring that settle() empties. Part of engine.ts.
import { lossSays, lossTold } from "./losses";
import {
  ACT_SEND,
  ACTION_BYTES,
  ACTIONS_MAX,
  Action,
  DATA_DIRTY,
  Engine,
  LOCAL_MAX,
  ONCE,
  PAGE_MESSAGE_BYTES,
  PARTLY,
  Page,
  PageMessage,
  peerAt,
  RIGHT_MODIFIED,
  SAY_EARLY,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_INVALIDATE,
  SAY_ORDERED,
  WITH_DATA,
} from "./records";
import { dataFor, NO_SERIAL } from "./serials";

export function put(engine: Engine, page: Page, kind: u8, flags: u8): Action {
  assert(engine.actionCount < ACTIONS_MAX, "one event acts too often");
  const action = changetype<Action>(engine.actions + engine.actionCount * ACTION_BYTES);
  engine.actionCount++;
  action.kind = kind;
  action.flags = flags;
  action.page = changetype<usize>(page);
  return action;
}

export function say(
  engine: Engine,
  page: Page,
  to: u32,
  kind: u8,
  requester: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
): void {
  if (to == 0) return; // to a machine that died
  if (to == engine.self) {
    assert(engine.localCount < LOCAL_MAX - 1, "a machine says too much to itself");
    const slot = (engine.localFirst + engine.localCount) % LOCAL_MAX;
    const message = changetype<PageMessage>(engine.local + slot * PAGE_MESSAGE_BYTES);
    engine.localCount++;
    fill(message, engine, page, kind, requester, flags, transaction, acks);
    return;
  }
  const action = put(engine, page, ACT_SEND, 0);
  action.to = <u8>to;
  const at = changetype<usize>(action) + offsetof<Action>("say");
  fill(changetype<PageMessage>(at), engine, page, kind, requester, flags, transaction, acks);
}

function fill(
  message: PageMessage,
  engine: Engine,
  page: Page,
  kind: u8,
  requester: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
): void {
  message.kind = kind;
  message.from = <u8>engine.self;
  message.requester = <u8>requester;
  message.flags = flags;
  message.transaction = transaction;
  message.acks = acks;
  message.operation = 0;
  message.served = 0;
  message.operand = 0;
  message.comparand = 0;
  message.first = 0;
  message.end = 0;
  message.serial = numbered(kind, flags) ? page.serial : 0;
  message.base = NO_SERIAL;
  said = changetype<usize>(message);
}

/** Requests say which bytes are here; what carries data, which they are. */
function numbered(kind: u8, flags: u8): bool {
  if (kind == SAY_GET_READ || kind == SAY_GET_WRITE || kind == SAY_GUESS) return true;
  return (flags & WITH_DATA) != 0;
}

/** The message of the last say(), for what few messages carry; 0: it went to nobody. */
let said: usize = 0;

/** say() of a forward: `served` is the receiver's last request that the home has ordered; who was guessed to own the page wants to know it. */
export function sayForward(
  engine: Engine,
  page: Page,
  to: u32,
  kind: u8,
  flags: u8,
  request: PageMessage,
  acks: u64,
): void {
  said = 0;
  say(engine, page, to, kind, request.from, flags, request.transaction, acks);
  if (said == 0) return;
  if (kind != SAY_INVALIDATE) changetype<PageMessage>(said).serial = request.serial;
  if (page.ranges != 0 || <u32>request.requester == to)
    changetype<PageMessage>(said).served = peerAt(page, to).served;
}

/** At the home: the request is passed on to the owner, which its requester asked as well (early.ts). */
export function sayOrdered(engine: Engine, page: Page, request: PageMessage, acks: u64): void {
  said = 0;
  say(engine, page, request.from, SAY_ORDERED, 0, 0, request.transaction, acks);
  if (said != 0) changetype<PageMessage>(said).served = peerAt(page, page.owner).served;
}

/** The page's bytes before the home's word, for that right, to a machine that still has the bytes `has`. */
export function sayEarly(engine: Engine, page: Page, to: u32, right: u8, transaction: u32, has: u64): void {
  said = 0;
  const dirty: u8 = right == RIGHT_MODIFIED && page.dirty != 0 ? DATA_DIRTY : 0;
  say(engine, page, to, SAY_EARLY, 0, right | dataFor(page, has) | dirty, transaction, 0);
  if (said == 0) return;
  changetype<PageMessage>(said).served = page.tenure;
  changetype<PageMessage>(said).base = has;
}

/** say() of a grant, with data in `flags` or not, to a machine that still has the bytes `has`. */
export function sayPage(
  engine: Engine,
  page: Page,
  to: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
  has: u64,
): void {
  said = 0;
  const data = flags & WITH_DATA ? dataFor(page, has) : 0;
  say(engine, page, to, SAY_GRANT, 0, flags | data, transaction, acks);
  if (said == 0) return;
  changetype<PageMessage>(said).base = has;
  if (to == engine.self || !lossTold(page)) return;
  // Some of its bytes died with the machine that had borrowed them.
  lossSays(page, changetype<PageMessage>(said), PARTLY | ONCE);
  said = 0;
}

/** sayPage() from the home, with a range if `end` is not 0. */
export function sayGrant(
  engine: Engine,
  page: Page,
  to: u32,
  flags: u8,
  transaction: u32,
  acks: u64,
  has: u64,
  first: u64,
  end: u64,
): void {
  sayPage(engine, page, to, flags, transaction, acks, has);
  if (said == 0) return;
  changetype<PageMessage>(said).first = first;
  changetype<PageMessage>(said).end = end;
}

/** say() of an operation, for its requester. */
export function sayOperation(
  engine: Engine,
  page: Page,
  to: u32,
  kind: u8,
  flags: u8,
  transaction: u32,
  requester: u32,
  operation: u32,
  operand: u64,
  comparand: u64,
): void {
  said = 0;
  say(engine, page, to, kind, requester, flags, transaction, 0);
  if (said == 0) return;
  const message = changetype<PageMessage>(said);
  message.operation = operation;
  message.operand = operand;
  message.comparand = comparand;
}
