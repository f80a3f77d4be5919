// Letters: SYSLINK messages that a thread writes in memory of its own and core 0 sends, and the answers to them. What
// is a command or an item is said in commands.ts, as of every message; a letter is only how it gets to the link.

import { ASK_LETTER, Client, clientCurrent } from "../coherence/client";
import { commitOutput } from "../coherence/commits";
import { begin } from "../coherence/questions";
import { ASYNCHRONOUS, Port, portCall, portSend, portWait } from "../lwkt/port";
import { allocate, release } from "../memory/slab";
import { forgetCount } from "../process/spread";
import { clusterPort, isDead, messageEnd, messageTo } from "./cluster";
import {
  HEADER_BYTES,
  itemPut,
  MessageHeader,
  MessageWriter,
  padded,
  writerBegin,
  writerEnd,
} from "./message";

const EIO: i64 = 5;

@unmanaged
export class Letter {
  room: usize = 0;
  roomBytes: u32 = 0;
  machine: u32 = 0;
  /** Of the answer that is sent; 0: a new transaction. */
  msgid: u32 = 0;
  /** Somebody waits for the answer. */
  asks: u32 = 0;
  writer: usize = 0;
  /** PROCESS_FORGET messages that this machine had got when the answer came (process/shadow.ts). */
  forgets: u32 = 0;
}

export function letterCreate(bytes: u32): Letter {
  const letter = changetype<Letter>(allocate(offsetof<Letter>()));
  letter.room = allocate(bytes);
  letter.roomBytes = bytes;
  letter.writer = allocate(offsetof<MessageWriter>());
  return letter;
}

export function letterDestroy(letter: Letter): void {
  release(letter.room);
  release(letter.writer);
  release(changetype<usize>(letter));
}

export function letterBegin(letter: Letter, machine: u32, linkid: u64, msgid: u32, command: u32): void {
  letter.machine = machine;
  letter.msgid = msgid;
  writerBegin(
    changetype<MessageWriter>(letter.writer),
    letter.room,
    letter.roomBytes,
    linkid,
    msgid,
    command,
  );
}

/** Where the item's data go. */
export function letterPut(letter: Letter, item: u32, aux: u32, bytes: u32): usize {
  const at = itemPut(changetype<MessageWriter>(letter.writer), item, aux, bytes);
  assert(at != 0, "a letter is longer than its room");
  return at;
}

/** Sends it; nobody waits for an answer. Returns as soon as it is on its way, after all that was sent before. */
export function letterSend(letter: Letter): void {
  call(letter, 0);
}

/** Sends it and waits for the answer, which is in letterAnswer() then; negative: an error, or the machine died. */
export function letterAsk(letter: Letter): i64 {
  return call(letter, 1);
}

/** Sends it; its answer comes to the calling thread's port. The letter is the port's until lettersAwait(). */
export function letterAskBy(letter: Letter, port: Port): void {
  const client = changetype<Client>(allocate(offsetof<Client>()));
  client.replyPort = changetype<usize>(port);
  prepare(letter, client, 1);
  portSend(clusterPort(), client);
}

/** Waits for so many answers, which nobody reads, and destroys their letters. */
export function lettersAwait(port: Port, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const client = changetype<Client>(changetype<usize>(portWait(port)));
    letterDestroy(changetype<Letter>(client.letter));
    release(changetype<usize>(client));
  }
}

export function letterAnswer(letter: Letter): MessageHeader {
  return changetype<MessageHeader>(letter.room);
}

function prepare(letter: Letter, client: Client, asks: u32): void {
  const bytes = writerEnd(changetype<MessageWriter>(letter.writer));
  assert(bytes != 0, "a letter is longer than its room");
  letter.asks = asks;
  client.letter = changetype<usize>(letter);
  client.command = ASK_LETTER;
}

function call(letter: Letter, asks: u32): i64 {
  commitOutput(); // what is done for it elsewhere may be seen
  const client = clientCurrent();
  prepare(letter, client, asks);
  return portCall(clusterPort(), client);
}

// --- On core 0 ---

/** ASK_LETTER */
export function letterOut(client: Client): i64 {
  const letter = changetype<Letter>(client.letter);
  if (isDead(letter.machine)) return letter.asks != 0 ? -EIO : 0;
  const header = letterAnswer(letter);
  let msgid = letter.msgid;
  if (letter.asks != 0) {
    begin(client, letter.machine);
    msgid = client.msgid;
  }
  const items = <u32>header.length - HEADER_BYTES;
  const room = HEADER_BYTES + padded(items);
  const writer = messageTo(letter.machine, room, header.linkid, msgid, <u32>header.command);
  memory.copy(writer.at, letter.room + HEADER_BYTES, items);
  writer.at += items;
  writer.references = changetype<MessageWriter>(letter.writer).references;
  messageEnd();
  return letter.asks != 0 ? ASYNCHRONOUS : 0;
}

/** The answer takes the letter's place. */
export function letterAnswered(client: Client, message: MessageHeader): void {
  const letter = changetype<Letter>(client.letter);
  assert(<u32>message.length <= letter.roomBytes, "an answer is longer than the letter's room");
  memory.copy(letter.room, changetype<usize>(message), message.length);
  letter.forgets = forgetCount;
}
