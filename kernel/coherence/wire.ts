// Page messages as SYSLINK messages (commands.ts) and back. msgid is the transaction, linkid the object.
import {
  COMMAND_CLEAN,
  COMMAND_EXECUTE,
  COMMAND_FORWARD_READ,
  COMMAND_FORWARD_WRITE,
  COMMAND_GUESS,
  COMMAND_INVALIDATE,
  COMMAND_OPERATE,
  COMMAND_ORDERED,
  COMMAND_PAGE_LOSS,
  COMMAND_PURGE,
  COMMAND_READ_PAGE,
  COMMAND_UNTAKEN,
  COMMAND_WRITE_PAGE,
  ITEM_ACKS,
  ITEM_BYTES,
  ITEM_DATA,
  ITEM_DIFFERENCE,
  ITEM_ERROR,
  ITEM_OPERATION,
  ITEM_PAGE,
  ITEM_PAGES,
  ITEM_REQUESTER,
  ITEM_SERIAL,
  ITEM_SERVED,
} from "../syslink/commands";
import {
  ITEM_NUMBER,
  itemData,
  itemDataBytes,
  itemFirst,
  itemNext,
  itemPut,
  MessageHeader,
  MessageWriter,
  RESPONSE,
} from "../syslink/message";
import { differenceValid } from "./difference";
import { isBorrowing, operationValid } from "./operation";
import { partBytesValid } from "./parts";
import { PAGE_LAST } from "./ranges";
import {
  Action,
  DATA_DIRTY,
  PageMessage,
  RIGHT,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAME_DATA,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_EARLY,
  SAY_EXECUTE,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_OPERATE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_GUESS,
  SAY_INVALIDATE,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_OPERATED,
  SAY_ORDERED,
  SAY_PURGE,
  SAY_REJECTED,
  SAY_SURRENDER,
  SAY_UNTAKEN,
  WITH_DATA,
} from "./records";

export const PAGE_BYTES: u32 = 4096;
/** The longest page message: header, PAGE, SERIAL, RANGE, ACKS, DATA. */
export const PAGE_MESSAGE_BYTES_MAX: u32 = 16 + 16 + 16 + 24 + 16 + 8 + 4096;
export const NO_DIFFERENCE: u32 = 0xffff_ffff;
const EIO: u32 = 5;
export const EAGAIN: u32 = 11;
/** ITEM_ERROR of a page behind the object's end, of which nothing is lost: ENXIO. */
export const REFUSED: u32 = 6;
/** ITEM_ERROR of a request that is to be made again (refusals.ts): EBUSY. */
export const AGAIN: u32 = 16;

export function commandOf(say: u8, flags: u8): u32 {
  switch (say) {
    case SAY_GET_READ:
      return COMMAND_READ_PAGE;
    case SAY_GET_WRITE:
      return COMMAND_WRITE_PAGE;
    case SAY_GRANT:
      return ((flags & RIGHT) == RIGHT_MODIFIED ? COMMAND_WRITE_PAGE : COMMAND_READ_PAGE) | RESPONSE;
    case SAY_FAILURE:
      return COMMAND_READ_PAGE | RESPONSE;
    case SAY_GUESS:
      return COMMAND_GUESS;
    case SAY_EARLY:
      return COMMAND_GUESS | RESPONSE;
    case SAY_ORDERED:
      return COMMAND_ORDERED;
    case SAY_UNTAKEN:
      return COMMAND_UNTAKEN;
    case SAY_FORWARD_READ:
      return COMMAND_FORWARD_READ;
    case SAY_FORWARD_WRITE:
      return COMMAND_FORWARD_WRITE;
    case SAY_INVALIDATE:
      return COMMAND_INVALIDATE;
    case SAY_ACKNOWLEDGED:
      return COMMAND_INVALIDATE | RESPONSE;
    case SAY_CLEAN:
      return COMMAND_CLEAN;
    case SAY_LOSS:
      return COMMAND_PAGE_LOSS;
    case SAY_LOSS_KNOWN:
      return COMMAND_PAGE_LOSS | RESPONSE;
    case SAY_PURGE:
      return COMMAND_PURGE;
    case SAY_SURRENDER:
      return COMMAND_PURGE | RESPONSE;
    case SAY_GET_OPERATE:
      return COMMAND_OPERATE;
    case SAY_EXECUTE:
      return COMMAND_EXECUTE;
    case SAY_OPERATED:
    case SAY_REJECTED:
      return COMMAND_EXECUTE | RESPONSE;
  }
  assert(false, "a page message of no kind");
  return 0;
}

/**
 * The items of an ACT_SEND. `frame`: the page's bytes when they come along, 0 = all zeros, which need no item; or
 * `difference` of so many bytes at `frame`, NO_DIFFERENCE = none.
 */
export function wireWrite(
  writer: MessageWriter,
  action: Action,
  index: u64,
  frame: usize,
  difference: u32,
): void {
  store<u64>(itemPut(writer, ITEM_PAGE, action.sayFlags, 8), index);
  if (action.requester != 0) itemPut(writer, ITEM_REQUESTER, action.requester, 0);
  if (action.acks != 0) store<u64>(itemPut(writer, ITEM_ACKS, 0, 8), action.acks);
  if (action.serial != 0) store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), action.serial);
  if (action.served != 0) itemPut(writer, ITEM_SERVED, action.served, 0);
  if (action.end != 0) {
    const range = itemPut(writer, ITEM_PAGES, 0, 16);
    store<u64>(range, action.first);
    store<u64>(range, action.end - 1, 8);
  }
  if (action.say == SAY_FAILURE) itemPut(writer, ITEM_ERROR, EIO, 0);
  if (action.say == SAY_REJECTED) itemPut(writer, ITEM_ERROR, EAGAIN, 0);
  if (action.operation != 0 && action.say != SAY_REJECTED) {
    const data = itemPut(writer, ITEM_OPERATION, action.operation, 16);
    store<u64>(data, action.operand);
    store<u64>(data, action.comparand, 8);
  }
  if (difference != NO_DIFFERENCE) {
    memory.copy(itemPut(writer, ITEM_DIFFERENCE, 0, difference), frame, difference);
  } else if (frame != 0) memory.copy(itemPut(writer, ITEM_DATA, 0, PAGE_BYTES), frame, PAGE_BYTES);
}

/** Where a message that wireRead() took has its index and its page, the latter 0 when it has none. */
export let wireIndex: u64 = 0;
export let wireData: usize = 0;
/** It says that the page lies behind the object's end. */
export let wireRefused: bool = false;
/** It says that the request is to be made again. */
export let wireAgain: bool = false;
/** Where its difference is, and how long; NO_DIFFERENCE = it has none. */
export let wireDifference: usize = 0;
export let wireDifferenceBytes: u32 = NO_DIFFERENCE;
/** Where the chunks are that it lends (parts.ts), and the number of the loan; 0: it lends none. */
export let wireLent: usize = 0;
export let wireLoan: u32 = 0;

/** A message that commandCheck() accepted, from that machine; false: its numbers make no sense. */
export function wireRead(header: MessageHeader, from: u32, machines: u32, into: PageMessage): bool {
  into.from = <u8>from;
  into.requester = 0;
  into.flags = 0;
  into.transaction = header.msgid;
  into.acks = 0;
  into.operation = 0;
  into.operand = 0;
  into.comparand = 0;
  into.served = 0;
  into.serial = 0;
  into.base = 0;
  into.first = 0;
  into.end = 0;
  wireData = 0;
  wireRefused = false;
  wireAgain = false;
  wireDifferenceBytes = NO_DIFFERENCE;
  wireLent = 0;
  let lentBytes: u32 = 0;
  let failed = false;
  let item = itemFirst(header);
  while (changetype<usize>(item) != 0) {
    const number = <u32>item.id & ITEM_NUMBER;
    if (number == ITEM_PAGE) {
      into.flags = <u8>item.aux;
      wireIndex = load<u64>(itemData(item));
    } else if (number == ITEM_REQUESTER) into.requester = <u8>item.aux;
    else if (number == ITEM_ACKS) into.acks = load<u64>(itemData(item));
    else if (number == ITEM_DATA) wireData = itemData(item);
    else if (number == ITEM_DIFFERENCE) {
      wireDifference = itemData(item);
      wireDifferenceBytes = itemDataBytes(item);
    } else if (number == ITEM_OPERATION) {
      into.operation = item.aux;
      into.operand = load<u64>(itemData(item));
      into.comparand = load<u64>(itemData(item), 8);
    } else if (number == ITEM_BYTES) {
      wireLent = itemData(item);
      wireLoan = item.aux;
      lentBytes = itemDataBytes(item);
    } else if (number == ITEM_SERIAL) into.serial = load<u64>(itemData(item));
    else if (number == ITEM_SERVED) into.served = item.aux;
    else if (number == ITEM_PAGES) {
      into.first = load<u64>(itemData(item));
      into.end = load<u64>(itemData(item), 8) + 1;
    } else if (number == ITEM_ERROR) {
      failed = true;
      wireRefused = item.aux == REFUSED;
      wireAgain = item.aux == AGAIN;
    }
    item = itemNext(header, item);
  }
  into.kind = sayOf(header.command, failed);
  if (into.first > into.end || into.end > PAGE_LAST + 1) return false;
  const executes = into.kind == SAY_EXECUTE || into.kind == SAY_GET_OPERATE;
  if (executes && !operationValid(into.operation)) return false;
  if (executes && isBorrowing(into.operation) && into.operand == 0) return false;
  if (wireLent != 0 && !partBytesValid(wireLent, lentBytes)) return false;
  const passedOn =
    into.kind == SAY_FORWARD_READ ||
    into.kind == SAY_FORWARD_WRITE ||
    into.kind == SAY_INVALIDATE ||
    into.kind == SAY_EXECUTE;
  if (<u32>into.requester > machines || (passedOn && into.requester == 0)) return false;
  if (into.kind == SAY_GRANT && (into.flags & RIGHT) == 0) return false;
  if (into.kind == SAY_GUESS && into.flags != 0 && into.flags != RIGHT_MODIFIED) return false;
  if (into.kind == SAY_EARLY && !isEarly(into.flags & ~SAME_DATA)) return false;
  const differs = wireDifferenceBytes != NO_DIFFERENCE;
  if (differs && (wireData != 0 || !differenceValid(wireDifference, wireDifferenceBytes))) return false;
  return wireIndex < 1 << 40;
}

function isEarly(flags: u8): bool {
  return flags == (RIGHT_SHARED | WITH_DATA) || (flags & ~DATA_DIRTY) == (RIGHT_MODIFIED | WITH_DATA);
}

/** A message of a run (runs.ts): of this page, with its bytes at `data` if that is not 0. */
export function wirePage(index: u64, data: usize): void {
  wireIndex = index;
  wireData = data;
  wireRefused = false;
  wireAgain = false;
  wireDifferenceBytes = NO_DIFFERENCE;
  wireLent = 0;
}

function sayOf(command: u32, failed: bool): u8 {
  switch (command) {
    case COMMAND_READ_PAGE:
      return SAY_GET_READ;
    case COMMAND_WRITE_PAGE:
      return SAY_GET_WRITE;
    case COMMAND_READ_PAGE | RESPONSE:
      return failed ? SAY_FAILURE : SAY_GRANT;
    case COMMAND_WRITE_PAGE | RESPONSE:
      return SAY_GRANT;
    case COMMAND_GUESS:
      return SAY_GUESS;
    case COMMAND_GUESS | RESPONSE:
      return SAY_EARLY;
    case COMMAND_ORDERED:
      return SAY_ORDERED;
    case COMMAND_UNTAKEN:
      return SAY_UNTAKEN;
    case COMMAND_FORWARD_READ:
      return SAY_FORWARD_READ;
    case COMMAND_FORWARD_WRITE:
      return SAY_FORWARD_WRITE;
    case COMMAND_INVALIDATE:
      return SAY_INVALIDATE;
    case COMMAND_INVALIDATE | RESPONSE:
      return SAY_ACKNOWLEDGED;
    case COMMAND_CLEAN:
      return SAY_CLEAN;
    case COMMAND_PAGE_LOSS:
      return SAY_LOSS;
    case COMMAND_PAGE_LOSS | RESPONSE:
      return SAY_LOSS_KNOWN;
    case COMMAND_PURGE:
      return SAY_PURGE;
    case COMMAND_OPERATE:
      return SAY_GET_OPERATE;
    case COMMAND_EXECUTE:
      return SAY_EXECUTE;
    case COMMAND_EXECUTE | RESPONSE:
      return failed ? SAY_REJECTED : SAY_OPERATED;
    default:
      return SAY_SURRENDER;
  }
}
