// Every SYSLINK command, once: number, name, and the items that it and its response carry. Numbers are never reused.
//
//   name            items of the command                       items of the response
//
// linkid names the end point at the receiver: a shared object by its id, or DIRECTORY_LINKID. msgid is the transaction
// of the machine that began it, and stays with it while the command is passed on: the response may come from a third.
import {
  GOOD,
  HEADER_BYTES,
  itemDataBytes,
  MessageHeader,
  MessageItem,
  messageIsLike,
  messageKeep,
  padded,
  REFERENCES,
  RESPONSE,
} from "./message";

/** The end point of every machine that opens and removes objects by name. */
export const DIRECTORY_LINKID: u64 = 1;

export const COMMAND_FAREWELL: u32 = 1;
// 2 was LOST: a machine accused another of being dead, before there were views.
/** The machines that the sender has links with. */
export const COMMAND_MEMBERS: u32 = 3;
/** A marker: its sender has ended a phase (aux: members.ts) of the view whose number ITEM_ACKS holds. */
export const COMMAND_VIEW: u32 = 4;
export const COMMAND_OPEN: u32 = 8;
export const COMMAND_CLOSE: u32 = 9;
export const COMMAND_SIZE: u32 = 10;
export const COMMAND_TRUNCATE: u32 = 11;
export const COMMAND_UNLINK: u32 = 12;
export const COMMAND_EXTEND: u32 = 13;
export const COMMAND_GONE: u32 = 14;
/** A name is to stand for what another one does (coherence/by-name.ts). */
export const COMMAND_LINK: u32 = 15;
export const COMMAND_READ_PAGE: u32 = 16;
export const COMMAND_WRITE_PAGE: u32 = 17;
export const COMMAND_FORWARD_READ: u32 = 18;
export const COMMAND_FORWARD_WRITE: u32 = 19;
export const COMMAND_INVALIDATE: u32 = 20;
export const COMMAND_CLEAN: u32 = 21;
export const COMMAND_PAGE_LOSS: u32 = 22;
export const COMMAND_PURGE: u32 = 23;
export const COMMAND_FUTEX_WAIT: u32 = 24;
export const COMMAND_FUTEX_CANCEL: u32 = 25;
export const COMMAND_FUTEX_WAKE: u32 = 26;
export const COMMAND_FUTEX_WOKEN: u32 = 27;
export const COMMAND_OPERATE: u32 = 28;
export const COMMAND_EXECUTE: u32 = 29;
// Threads of one process on several machines (process/spread.ts); linkid is the object of the process's memory.
/** An object's home moves (coherence/homes.ts): what its new home is told; msgid is the hash of its name. */
export const COMMAND_HOME_OBJECT: u32 = 32;
export const COMMAND_HOME_PAGE: u32 = 33;
/** To a machine whose copy is the page from now on. */
export const COMMAND_HOME_OWNER: u32 = 34;
/** What the home would leave, to who would be the home then (coherence/wills.ts); msgid is the hash of the name. */
export const COMMAND_WILL: u32 = 35;
/** A page for the receiver to keep, should the sender die (coherence/mirrors.ts); msgid is the hash of the name. */
export const COMMAND_MIRROR: u32 = 36;
export const COMMAND_JOIN: u32 = 40; // opens an object by its linkid
export const COMMAND_THREAD_START: u32 = 41; // a thread goes on at the receiver
export const COMMAND_THREAD_CALL: u32 = 42; // a thread's system call, to where its process began
export const COMMAND_THREAD_SIGNAL: u32 = 43; // to where the thread runs, as all that follow
export const COMMAND_PROCESS_FORGET: u32 = 44; // a range of the map has changed
export const COMMAND_PROCESS_ACTION: u32 = 45; // a signal's action
export const COMMAND_PROCESS_END: u32 = 46; // every thread ends
export const COMMAND_PROCESS_GONE: u32 = 47; // no thread is left anywhere
export const COMMAND_SPREAD_OVER: u32 = 48; // linkid 0: no more processes
export const COMMAND_RECALL: u32 = 30; // of ranges, from the home; to the home: others are to give these up
// Range locks (coherence/lock-space.ts).
export const COMMAND_LOCK: u32 = 56;
export const COMMAND_LOCK_RECALL: u32 = 57;
export const COMMAND_LOCK_CANCEL: u32 = 58;
/** An object's home moves: the rights that the sender keeps. */
export const COMMAND_HOME_LOCKS: u32 = 59;
/** Whether processes wait for locks in a circle (coherence/lock-circles.ts). */
export const COMMAND_LOCK_SEARCH: u32 = 60;
export const COMMAND_LOCK_FOLLOW: u32 = 61;
/** The home is asked to take the page (coherence/budget.ts). */
export const COMMAND_GIVE_BACK: u32 = 38;

/** Chunks of a page that were lent are recalled (coherence/loans.ts); msgid is the loan's number. The response brings them back. */
export const COMMAND_BYTES: u32 = 39;
/** Without queues: the request for a page is over (coherence/refusals.ts). */
export const COMMAND_CONFIRM: u32 = 31;

// Runs of pages (coherence/runs.ts): READ_PAGE, FORWARD_READ and CLEAN of pages and transactions that follow each other; msgid is the first.
export const COMMAND_READ_RUN: u32 = 49;
export const COMMAND_FORWARD_RUN: u32 = 50;
export const COMMAND_CLEAN_RUN: u32 = 51;
// Requests that guess the owner (coherence/early.ts): to the owner, and the home's word.
export const COMMAND_GUESS: u32 = 52;
export const COMMAND_ORDERED: u32 = 53;
export const COMMAND_UNTAKEN: u32 = 54; // to who sent the page to a writer who has no use for it

/** Items. aux: */
export const ITEM_NAME: u32 = 1; // 1 = create it, of LINK: replace what it stood for; data: ASCII without an end mark
export const ITEM_OBJECT: u32 = 2; // data: the object's linkid
export const ITEM_SIZE: u32 = 3; // in an answer to SIZE: the names that lead to it; data: bytes[8]
export const ITEM_ERROR: u32 = 4; // the errno; no data
export const ITEM_PAGE: u32 = 5; // PageMessage.flags; data: index[8]
export const ITEM_REQUESTER: u32 = 6; // a machine; no data
export const ITEM_ACKS: u32 = 7; // data: bit per machine[8]
export const ITEM_DATA: u32 = 8; // data: the page
export const ITEM_FUTEX: u32 = 9; // a msgid or a count; data: offset[8]
export const ITEM_OPERATION: u32 = 10; // coherence/operation.ts; data: operand (of a response: old value)[8], comparand[8]
export const ITEM_DIFFERENCE: u32 = 11; // data: coherence/difference.ts, to what the receiver last sent
export const ITEM_PAGES: u32 = 12; // 1 = the last answer about it; data: first[8], last page[8]
export const ITEM_HELD: u32 = 13; // data: page numbers[8 each]
export const ITEM_SERVED: u32 = 14; // a msgid of the receiver's, of HOME_PAGE the sender's; no data
export const ITEM_SERIAL: u32 = 15; // data: serial number[8] of the bytes that come along, or that the requester has; without: 0
export const ITEM_RUN: u32 = 16; // PageMessage.flags of each; data: first index[8], how many pages[8]
export const ITEM_RUN_PAGES: u32 = 17; // data: serial number[8] and the page, each
export const ITEM_RUN_SERVED: u32 = 18; // data: a msgid of the receiver's[4], each
export const ITEM_OFFERED: u32 = 19; // the machine that the page was offered to; data: the msgid of its request[8]

export const ITEM_THREAD: u32 = 20; // the thread's id; data: per command
export const ITEM_STATE: u32 = 21; // data: registers to go on with (process/lwp.ts)
export const ITEM_CALL: u32 = 22; // the call's number; data: six arguments, the signals that the thread blocks[8], how many it has been passed[8], which it could take[8]
export const ITEM_RESULT: u32 = 23; // 1 = may be run again after a signal; data: the result[8], the origin's time[8]
export const ITEM_RANGE: u32 = 24; // protection, kind << 8; data: start[8] end[8], and of a map entry offset[8] limit[8] object[8]
export const ITEM_SIGNAL: u32 = 25; // the signal; data: itself (process/signal-queue.ts), or its action
export const ITEM_ACTIONS: u32 = 26; // data: the actions of all signals
export const ITEM_LWP: u32 = 27; // data: what a thread that moves has besides registers (process/migration.ts)
/** Which space of locks, flags << 8; data: first[8] last[8] mode[4] number[4], each */
export const ITEM_LOCKS: u32 = 28;
export const ITEM_ROOM: u32 = 29; // mirrors that the receiver may send, in all (coherence/mirror-room.ts); data: how many are answered[8]
/** 1 = it was counted, of an object's home: names beside its own; data: the object that a name is a link to[8], the hash that its home is found by[8] */
export const ITEM_LINK: u32 = 31;
export const ITEM_BYTES: u32 = 30; // the loan's number; data: chunks[8] and their bytes (coherence/parts.ts)

const ONE: u32 = 1;
const ANY: u32 = 0;
const R: u32 = 0x8000;

/** command, item, least and most bytes of data, 1 = must be there. A command without items: item 0. */
// biome-ignore format: a table reads by columns
const ROWS: usize = memory.data<u32>([
  COMMAND_FAREWELL,          0,              0,    0,    ANY,

  COMMAND_MEMBERS,           ITEM_ACKS,      8,    8,    ONE,
  COMMAND_VIEW,              ITEM_ACKS,      8,    8,    ONE,

  COMMAND_OPEN,              ITEM_NAME,      1,    255,  ONE,
  COMMAND_OPEN | R,          ITEM_OBJECT,    8,    8,    ANY,
  COMMAND_OPEN | R,          ITEM_SIZE,      8,    8,    ANY,
  COMMAND_OPEN | R,          ITEM_LINK,      16,   16,   ANY,
  COMMAND_OPEN | R,          ITEM_ERROR,     0,    0,    ANY,
  COMMAND_CLOSE,             0,              0,    0,    ANY,
  COMMAND_SIZE,              0,              0,    0,    ANY,
  COMMAND_SIZE | R,          ITEM_SIZE,      8,    8,    ANY,
  COMMAND_SIZE | R,          ITEM_ERROR,     0,    0,    ANY,
  COMMAND_TRUNCATE,          ITEM_SIZE,      8,    8,    ONE,
  COMMAND_TRUNCATE | R,      ITEM_SIZE,      8,    8,    ANY,
  COMMAND_TRUNCATE | R,      ITEM_ERROR,     0,    0,    ANY,
  COMMAND_EXTEND,            ITEM_SIZE,      8,    8,    ONE,
  COMMAND_EXTEND | R,        ITEM_SIZE,      8,    8,    ANY,
  COMMAND_EXTEND | R,        ITEM_ERROR,     0,    0,    ANY,
  COMMAND_GONE,              0,              0,    0,    ANY,
  COMMAND_UNLINK,            ITEM_NAME,      1,    255,  ONE,
  COMMAND_UNLINK | R,        ITEM_LINK,      16,   16,   ANY,
  COMMAND_UNLINK | R,        ITEM_ERROR,     0,    0,    ANY,
  COMMAND_LINK,              ITEM_NAME,      1,    255,  ONE,
  COMMAND_LINK,              ITEM_LINK,      16,   16,   ANY,
  COMMAND_LINK | R,          ITEM_LINK,      16,   16,   ANY,
  COMMAND_LINK | R,          ITEM_ERROR,     0,    0,    ANY,

  COMMAND_READ_PAGE,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_READ_PAGE,         ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_READ_PAGE,         ITEM_REQUESTER, 0,    0,    ANY,
  COMMAND_READ_PAGE | R,     ITEM_PAGE,      8,    8,    ONE,
  COMMAND_READ_PAGE | R,     ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_READ_PAGE | R,     ITEM_PAGES,     16,   16,   ANY,
  COMMAND_READ_PAGE | R,     ITEM_DATA,      4096, 4096, ANY,
  COMMAND_READ_PAGE | R,     ITEM_ERROR,     0,    0,    ANY,
  COMMAND_WRITE_PAGE,        ITEM_PAGE,      8,    8,    ONE,
  COMMAND_WRITE_PAGE,        ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_WRITE_PAGE,        ITEM_REQUESTER, 0,    0,    ANY,
  COMMAND_WRITE_PAGE | R,    ITEM_PAGE,      8,    8,    ONE,
  COMMAND_WRITE_PAGE | R,    ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_WRITE_PAGE | R,    ITEM_ACKS,      8,    8,    ANY,
  COMMAND_WRITE_PAGE | R,    ITEM_PAGES,     16,   16,   ANY,
  COMMAND_WRITE_PAGE | R,    ITEM_DATA,      4096, 4096, ANY,
  COMMAND_WRITE_PAGE | R,    ITEM_DIFFERENCE, 0,   1024, ANY,
  COMMAND_GUESS,             ITEM_PAGE,      8,    8,    ONE,
  COMMAND_GUESS,             ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_GUESS | R,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_GUESS | R,         ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_GUESS | R,         ITEM_SERVED,    0,    0,    ONE,
  COMMAND_GUESS | R,         ITEM_DATA,      4096, 4096, ANY,
  COMMAND_ORDERED,           ITEM_PAGE,      8,    8,    ONE,
  COMMAND_ORDERED,           ITEM_SERVED,    0,    0,    ONE,
  COMMAND_ORDERED,           ITEM_ACKS,      8,    8,    ANY,
  COMMAND_UNTAKEN,           ITEM_PAGE,      8,    8,    ONE,
  COMMAND_FORWARD_READ,      ITEM_PAGE,      8,    8,    ONE,
  COMMAND_FORWARD_READ,      ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_FORWARD_READ,      ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_FORWARD_READ,      ITEM_SERVED,    0,    0,    ANY,
  COMMAND_FORWARD_WRITE,     ITEM_PAGE,      8,    8,    ONE,
  COMMAND_FORWARD_WRITE,     ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_FORWARD_WRITE,     ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_FORWARD_WRITE,     ITEM_SERVED,    0,    0,    ANY,
  COMMAND_FORWARD_WRITE,     ITEM_ACKS,      8,    8,    ANY,
  COMMAND_INVALIDATE,        ITEM_PAGE,      8,    8,    ONE,
  COMMAND_INVALIDATE,        ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_INVALIDATE,        ITEM_SERVED,    0,    0,    ANY,
  COMMAND_INVALIDATE | R,    ITEM_PAGE,      8,    8,    ONE,
  COMMAND_INVALIDATE | R,    ITEM_REQUESTER, 0,    0,    ANY,
  COMMAND_CLEAN,             ITEM_PAGE,      8,    8,    ONE,
  COMMAND_PAGE_LOSS,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_PAGE_LOSS | R,     ITEM_PAGE,      8,    8,    ONE,
  COMMAND_PURGE,             ITEM_PAGE,      8,    8,    ONE,
  COMMAND_PURGE | R,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_PURGE | R,         ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_PURGE | R,         ITEM_DATA,      4096, 4096, ANY,

  COMMAND_READ_RUN,          ITEM_RUN,       16,   16,   ONE,
  COMMAND_READ_RUN | R,      ITEM_RUN,       16,   16,   ONE,
  COMMAND_READ_RUN | R,      ITEM_RUN_PAGES, 4104, 28728, ONE,
  COMMAND_FORWARD_RUN,       ITEM_RUN,       16,   16,   ONE,
  COMMAND_FORWARD_RUN,       ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_FORWARD_RUN,       ITEM_RUN_SERVED, 4,   1024, ONE,
  COMMAND_CLEAN_RUN,         ITEM_RUN,       16,   16,   ONE,

  COMMAND_FUTEX_WAIT,        ITEM_FUTEX,     8,    8,    ONE,
  COMMAND_FUTEX_WAIT | R,    ITEM_ERROR,     0,    0,    ANY,
  COMMAND_FUTEX_CANCEL,      ITEM_FUTEX,     8,    8,    ONE,
  COMMAND_FUTEX_CANCEL | R,  ITEM_FUTEX,     8,    8,    ANY,
  COMMAND_FUTEX_CANCEL | R,  ITEM_ERROR,     0,    0,    ANY,
  COMMAND_FUTEX_WAKE,        ITEM_FUTEX,     8,    8,    ONE,
  COMMAND_FUTEX_WAKE | R,    ITEM_FUTEX,     8,    8,    ANY,
  COMMAND_FUTEX_WAKE | R,    ITEM_ERROR,     0,    0,    ANY,
  COMMAND_FUTEX_WOKEN,       ITEM_FUTEX,     8,    8,    ONE,

  COMMAND_OPERATE,           ITEM_PAGE,      8,    8,    ONE,
  COMMAND_OPERATE,           ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_OPERATE,           ITEM_OPERATION, 16,   16,   ONE,
  COMMAND_EXECUTE,           ITEM_PAGE,      8,    8,    ONE,
  COMMAND_EXECUTE,           ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_EXECUTE,           ITEM_OPERATION, 16,   16,   ONE,
  COMMAND_EXECUTE | R,       ITEM_PAGE,      8,    8,    ONE,
  COMMAND_EXECUTE | R,       ITEM_OPERATION, 16,   16,   ANY,
  COMMAND_EXECUTE | R,       ITEM_ERROR,     0,    0,    ANY,
  COMMAND_EXECUTE | R,       ITEM_BYTES,     72,   4104, ANY,
  COMMAND_BYTES,             ITEM_PAGE,      8,    8,    ONE,
  COMMAND_BYTES | R,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_BYTES | R,         ITEM_BYTES,     72,   4104, ONE,

  COMMAND_HOME_OBJECT,       ITEM_NAME,      1,    255,  ONE,
  COMMAND_HOME_OBJECT,       ITEM_SIZE,      8,    8,    ONE,
  COMMAND_HOME_OBJECT,       ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_HOME_OBJECT,       ITEM_LINK,      16,   16,   ANY,
  COMMAND_HOME_PAGE,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_HOME_PAGE,         ITEM_PAGES,     16,   16,   ANY,
  COMMAND_HOME_PAGE,         ITEM_DATA,      4096, 4096, ANY,
  COMMAND_HOME_PAGE,         ITEM_SERIAL,    8,    8,    ANY,
  COMMAND_HOME_PAGE,         ITEM_SERVED,    0,    0,    ANY,
  COMMAND_HOME_PAGE,         ITEM_OFFERED,   8,    8,    ANY,
  COMMAND_HOME_OWNER,        ITEM_PAGE,      8,    8,    ONE,
  COMMAND_HOME_OWNER,        ITEM_PAGES,     16,   16,   ANY,
  COMMAND_MIRROR,            ITEM_PAGE,      8,    8,    ONE,
  COMMAND_MIRROR,            ITEM_SERIAL,    8,    8,    ONE,
  COMMAND_MIRROR,            ITEM_REQUESTER, 0,    0,    ONE,
  COMMAND_MIRROR,            ITEM_DATA,      4096, 4096, ANY,
  COMMAND_MIRROR | R,        ITEM_ROOM,      8,    8,    ONE,
  COMMAND_WILL,              ITEM_NAME,      1,    255,  ANY,
  COMMAND_WILL,              ITEM_SIZE,      8,    8,    ANY,
  COMMAND_WILL,              ITEM_LINK,      16,   16,   ANY,
  COMMAND_WILL,              ITEM_PAGES,     16,   16,   ANY,

  COMMAND_JOIN,              0,              0,    0,    ANY,
  COMMAND_JOIN | R,          ITEM_OBJECT,    8,    8,    ANY,
  COMMAND_JOIN | R,          ITEM_SIZE,      8,    8,    ANY,
  COMMAND_JOIN | R,          ITEM_ERROR,     0,    0,    ANY,
  COMMAND_THREAD_START,      ITEM_THREAD,    24,   24,   ONE,
  COMMAND_THREAD_START,      ITEM_STATE,     1,    1024, ONE,
  COMMAND_THREAD_START,      ITEM_LWP,       40,   1552,  ANY,
  COMMAND_THREAD_START,      ITEM_OBJECT,    8,    8,    ANY,
  COMMAND_THREAD_START,      ITEM_NAME,      1,    255,  ANY,
  COMMAND_THREAD_START,      ITEM_ACTIONS,   2048, 2048, ANY,
  COMMAND_THREAD_START | R,  ITEM_ERROR,     0,    0,    ANY,
  COMMAND_THREAD_CALL,       ITEM_THREAD,    0,    0,    ONE,
  COMMAND_THREAD_CALL,       ITEM_CALL,      72,   72,   ONE,
  COMMAND_THREAD_CALL,       ITEM_STATE,     1,    1024, ANY,
  COMMAND_THREAD_CALL,       ITEM_LWP,       40,   1552,  ANY,
  COMMAND_THREAD_CALL | R,   ITEM_RESULT,    16,   16,   ANY,
  COMMAND_THREAD_CALL | R,   ITEM_RANGE,     40,   40,   ANY,
  COMMAND_THREAD_CALL | R,   ITEM_ERROR,     0,    0,    ANY,
  COMMAND_THREAD_SIGNAL,     ITEM_THREAD,    0,    0,    ONE,
  COMMAND_THREAD_SIGNAL,     ITEM_SIGNAL,    24,   24,   ONE,
  COMMAND_PROCESS_FORGET,    ITEM_RANGE,     16,   16,   ONE,
  COMMAND_PROCESS_FORGET | R, ITEM_ERROR,    0,    0,    ANY,
  COMMAND_PROCESS_ACTION,    ITEM_SIGNAL,    32,   32,   ONE,
  COMMAND_PROCESS_ACTION | R, ITEM_ERROR,    0,    0,    ANY,
  COMMAND_PROCESS_END,       ITEM_RESULT,    8,    8,    ONE,
  COMMAND_PROCESS_GONE,      0,              0,    0,    ANY,
  COMMAND_PROCESS_GONE | R,  ITEM_ERROR,     0,    0,    ANY,
  COMMAND_SPREAD_OVER,       0,              0,    0,    ANY,
  COMMAND_RECALL,            ITEM_PAGES,     16,   16,   ONE,
  COMMAND_RECALL | R,        ITEM_PAGES,     16,   16,   ONE,
  COMMAND_RECALL | R,        ITEM_HELD,      8,    2048, ANY,
  COMMAND_LOCK,              ITEM_LOCKS,     24,   384,  ONE,
  COMMAND_LOCK | R,          ITEM_LOCKS,     24,   384,  ONE,
  COMMAND_LOCK | R,          ITEM_SIZE,      8,    8,    ANY,
  COMMAND_LOCK | R,          ITEM_ERROR,     0,    0,    ANY,
  COMMAND_LOCK_RECALL,       ITEM_LOCKS,     24,   384,  ONE,
  COMMAND_LOCK_RECALL | R,   ITEM_LOCKS,     24,   384,  ONE,
  COMMAND_LOCK_RECALL | R,   ITEM_ERROR,     0,    0,    ANY,
  COMMAND_LOCK_CANCEL,       ITEM_LOCKS,     0,    0,    ONE,
  COMMAND_HOME_LOCKS,        ITEM_LOCKS,     24,   384,  ONE,
  COMMAND_LOCK_SEARCH,       ITEM_LOCKS,     24,   24,   ONE,
  COMMAND_LOCK_FOLLOW,       ITEM_LOCKS,     24,   24,   ONE,
  COMMAND_GIVE_BACK,         ITEM_PAGE,      8,    8,    ONE,
  COMMAND_CONFIRM,           ITEM_PAGE,      8,    8,    ONE,
  0,                         0,              0,    0,    0,
]);
const ROW_BYTES: usize = 20;

export function commandName(command: u32): string {
  switch (command & ~RESPONSE) {
    case COMMAND_FAREWELL:
      return "FAREWELL";
    case COMMAND_MEMBERS:
      return "MEMBERS";
    case COMMAND_VIEW:
      return "VIEW";
    case COMMAND_OPEN:
      return "OPEN";
    case COMMAND_CLOSE:
      return "CLOSE";
    case COMMAND_SIZE:
      return "SIZE";
    case COMMAND_TRUNCATE:
      return "TRUNCATE";
    case COMMAND_EXTEND:
      return "EXTEND";
    case COMMAND_GONE:
      return "GONE";
    case COMMAND_UNLINK:
      return "UNLINK";
    case COMMAND_LINK:
      return "LINK";
    case COMMAND_READ_PAGE:
      return "READ_PAGE";
    case COMMAND_WRITE_PAGE:
      return "WRITE_PAGE";
    case COMMAND_GUESS:
      return "GUESS";
    case COMMAND_ORDERED:
      return "ORDERED";
    case COMMAND_UNTAKEN:
      return "UNTAKEN";
    case COMMAND_FORWARD_READ:
      return "FORWARD_READ";
    case COMMAND_FORWARD_WRITE:
      return "FORWARD_WRITE";
    case COMMAND_INVALIDATE:
      return "INVALIDATE";
    case COMMAND_CLEAN:
      return "CLEAN";
    case COMMAND_PAGE_LOSS:
      return "PAGE_LOSS";
    case COMMAND_PURGE:
      return "PURGE";
    case COMMAND_READ_RUN:
      return "READ_RUN";
    case COMMAND_FORWARD_RUN:
      return "FORWARD_RUN";
    case COMMAND_CLEAN_RUN:
      return "CLEAN_RUN";
    case COMMAND_FUTEX_WAIT:
      return "FUTEX_WAIT";
    case COMMAND_FUTEX_CANCEL:
      return "FUTEX_CANCEL";
    case COMMAND_FUTEX_WAKE:
      return "FUTEX_WAKE";
    case COMMAND_FUTEX_WOKEN:
      return "FUTEX_WOKEN";
    case COMMAND_OPERATE:
      return "OPERATE";
    case COMMAND_EXECUTE:
      return "EXECUTE";
    case COMMAND_HOME_OBJECT:
      return "HOME_OBJECT";
    case COMMAND_HOME_PAGE:
      return "HOME_PAGE";
    case COMMAND_HOME_OWNER:
      return "HOME_OWNER";
    case COMMAND_WILL:
      return "WILL";
    case COMMAND_MIRROR:
      return "MIRROR";
    case COMMAND_JOIN:
      return "JOIN";
    case COMMAND_THREAD_START:
      return "THREAD_START";
    case COMMAND_THREAD_CALL:
      return "THREAD_CALL";
    case COMMAND_THREAD_SIGNAL:
      return "THREAD_SIGNAL";
    case COMMAND_PROCESS_FORGET:
      return "PROCESS_FORGET";
    case COMMAND_PROCESS_ACTION:
      return "PROCESS_ACTION";
    case COMMAND_PROCESS_END:
      return "PROCESS_END";
    case COMMAND_PROCESS_GONE:
      return "PROCESS_GONE";
    case COMMAND_SPREAD_OVER:
      return "SPREAD_OVER";
    case COMMAND_RECALL:
      return "RECALL";
    case COMMAND_LOCK:
      return "LOCK";
    case COMMAND_LOCK_RECALL:
      return "LOCK_RECALL";
    case COMMAND_LOCK_CANCEL:
      return "LOCK_CANCEL";
    case COMMAND_HOME_LOCKS:
      return "HOME_LOCKS";
    case COMMAND_LOCK_SEARCH:
      return "LOCK_SEARCH";
    case COMMAND_LOCK_FOLLOW:
      return "LOCK_FOLLOW";
    case COMMAND_BYTES:
      return "BYTES";
    case COMMAND_CONFIRM:
      return "CONFIRM";
    case COMMAND_GIVE_BACK:
      return "GIVE_BACK";
    default:
      return "?";
  }
}

/** Beyond the reasons of messageCheck(). */
export const COMMAND_UNKNOWN: u32 = 32;
export const ITEM_UNKNOWN: u32 = 33;
export const ITEM_MISSING: u32 = 34;
export const ITEM_LENGTH: u32 = 35;
export const ITEM_TWICE: u32 = 36;

/** By command, responses behind: number + 1 of its first row; the items that must be there, a bit each. */
const INDEX: usize = memory.data(128);
const NEEDED: usize = memory.data(512, 4);
/** ... and by item: number + 1 of its row. */
const ITEM_INDEX: usize = memory.data(4096);
const ITEMS: u32 = 32;
let indexed: bool = false;

function slotOf(command: u32): u32 {
  return (command & 63) | ((command & RESPONSE) >> 9);
}

function index(): void {
  let number: u32 = 1;
  for (let row = ROWS; load<u32>(row) != 0; row += ROW_BYTES) {
    assert(number < 256, "the table of commands has more rows than a byte can number");
    const slot = slotOf(load<u32>(row));
    const item = load<u32>(row, 4);
    if (load<u8>(INDEX + slot) == 0) store<u8>(INDEX + slot, <u8>number);
    store<u8>(ITEM_INDEX + slot * ITEMS + item, <u8>number);
    const needed = NEEDED + (slot << 2);
    if (load<u32>(row, 16) == ONE) store<u32>(needed, load<u32>(needed) | (1 << item));
    number++;
  }
  indexed = true;
}

function rowOf(number: u32): usize {
  return ROWS + (<usize>number - 1) * ROW_BYTES;
}

/** GOOD, or why a well-formed message is no command of this table. */
export function commandCheck(message: MessageHeader): u32 {
  return messageIsLike(message) ? GOOD : look(message);
}

function look(message: MessageHeader): u32 {
  if (!indexed) index();
  const slot = slotOf(message.command);
  const first = <u32>load<u8>(INDEX + slot);
  if (first == 0 || load<u32>(rowOf(first)) != <u32>message.command) return COMMAND_UNKNOWN;
  const items = ITEM_INDEX + slot * ITEMS;
  const end = changetype<usize>(message) + <usize>message.length;
  let seen: u32 = 0;
  let at = changetype<usize>(message) + HEADER_BYTES;
  while (at < end) {
    const item = changetype<MessageItem>(at);
    // None of ours holds items; those with linkids are objects.
    const id = <u32>item.id;
    const number = id == (ITEM_OBJECT | REFERENCES) ? ITEM_OBJECT : id;
    if (number - 1 >= ITEMS - 1 || id == ITEM_OBJECT) return ITEM_UNKNOWN;
    const known = <u32>load<u8>(items + number);
    if (known == 0) return ITEM_UNKNOWN;
    const row = rowOf(known);
    const bytes = itemDataBytes(item);
    if (bytes < load<u32>(row, 8) || bytes > load<u32>(row, 12)) return ITEM_LENGTH;
    const mark = (<u32>1) << number;
    if (seen & mark) return ITEM_TWICE;
    seen |= mark;
    at += padded(<u32>item.length);
  }
  if (load<u32>(NEEDED + (slot << 2)) & ~seen) return ITEM_MISSING;
  messageKeep(message);
  return GOOD;
}

/** The table's rows, for tests and for people: command, item, least, most, must; five u32 each, ended by zero. */
export function commandRows(): usize {
  return ROWS;
}
