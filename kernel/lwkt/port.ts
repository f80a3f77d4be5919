// Messages and ports (promises 43-45), after the Amiga and LWKT. A message is a record of the sender's; it is sent in
// place (promise 50), belongs to the port until it is replied, and then to the reply port.
//
// A port belongs to one core; its queue is touched there only, inside a critical section, so that nothing is locked:
// from another core the message goes by IPI. A port is served by a thread (portWait), by an agent function, or both.
// The agent is the synchronous fast path (promise 44): when nothing is queued before it, a message is handed to it in
// the caller's context, without a thread switch. It runs in a critical section of the port's core and must not block;
// what it cannot finish it leaves to the thread (portDefer) or replies later, and returns ASYNCHRONOUS.

import { allocate, release } from "../memory/slab";
import { thisCore } from "./core";
import { criticalLeave } from "./critical";
import { ipiSend } from "./ipi";
import { block, ready } from "./scheduler";
import { Thread } from "./thread";

/** Message.flags. 0: the sender owns it. */
export const MESSAGE_SENT: u32 = 1;
export const MESSAGE_QUEUED: u32 = 2;
export const MESSAGE_DONE: u32 = 4;
/** What an agent returns when it kept the message: portReply() comes later. */
export const ASYNCHRONOUS: i64 = -0x7fff_ffff_0000_0000;

/** Embed it at the start of a larger record: `changetype<Message>(record)`. All-zero memory is a message. */
@unmanaged
export class Message {
  next: usize = 0;
  /** Where it was sent. */
  port: usize = 0;
  /** Where portReply() takes it; 0: to the thread in portCall(), or nowhere. */
  replyPort: usize = 0;
  waiter: usize = 0;
  command: u32 = 0;
  flags: u32 = 0;
  result: i64 = 0;
}

@unmanaged
export class Port {
  first: usize = 0;
  last: usize = 0;
  count: u32 = 0;
  core: u32 = 0;
  thread: usize = 0;
  agent: u32 = 0;
  /** The thread is in portWait. */
  waiting: u32 = 0;
}

/** Served by `thread`, on its core; 0: no thread, this core. `agent`: table index of (message: usize) => i64; 0 = none. */
export function portCreate(thread: usize, agent: u32): Port {
  const port = changetype<Port>(allocate(offsetof<Port>()));
  port.core = thread !== 0 ? changetype<Thread>(thread).core : thisCore().index;
  port.thread = thread;
  port.agent = agent;
  return port;
}

/** On the port's core. */
export function portDestroy(port: Port): void {
  assert(port.count === 0 && port.waiting === 0, "a port is destroyed with messages or its thread in it");
  release(changetype<usize>(port));
}

function send(port: Port, message: Message, waiter: usize): void {
  assert((message.flags & ~MESSAGE_DONE) === 0, "a message is sent that is on its way already");
  message.port = changetype<usize>(port);
  message.waiter = waiter;
  message.flags = MESSAGE_SENT;
  ipiSend(port.core, deliver.index, changetype<usize>(message));
}

/** Asynchronous: the reply comes to message.replyPort. From any core, also from handlers. */
export function portSend(port: Port, message: Message): void {
  send(port, message, 0);
}

/** Synchronous: returns the reply's result. On the port's core and served by its agent, it does not switch. */
export function portCall(port: Port, message: Message): i64 {
  const core = thisCore();
  core.critical++;
  if (port.core === core.index && port.agent !== 0 && port.count === 0) {
    assert((message.flags & ~MESSAGE_DONE) === 0, "a message is sent that is on its way already");
    message.port = changetype<usize>(port);
    message.waiter = core.thread;
    message.replyPort = 0;
    message.flags = MESSAGE_SENT;
    const result = call_indirect<i64>(port.agent, changetype<usize>(message));
    if (result !== ASYNCHRONOUS) {
      message.flags = MESSAGE_DONE;
      message.result = result;
      criticalLeave(core);
      return result;
    }
  } else {
    message.replyPort = 0;
    send(port, message, core.thread);
  }
  while ((message.flags & MESSAGE_DONE) === 0) block(core);
  criticalLeave(core);
  return message.result;
}

/** On the port's core, in a critical section. */
function deliver(argument: usize): void {
  const message = changetype<Message>(argument);
  const port = changetype<Port>(message.port);
  assert(
    port.core === thisCore().index && message.flags === MESSAGE_SENT,
    "a message is delivered once, at home",
  );
  if (port.agent !== 0 && port.count === 0) {
    const result = call_indirect<i64>(port.agent, argument);
    if (result !== ASYNCHRONOUS) portReply(message, result);
    return;
  }
  portDefer(port, message);
}

/** Queues it for the port's thread: also what an agent calls that needs the thread. On the port's core. */
export function portDefer(port: Port, message: Message): void {
  assert(port.thread !== 0, "a message is left to the thread of a port that has none");
  assert((message.flags & MESSAGE_QUEUED) === 0, "a message is queued twice");
  const core = thisCore();
  core.critical++;
  message.flags |= MESSAGE_QUEUED;
  message.next = 0;
  if (port.last !== 0) changetype<Message>(port.last).next = changetype<usize>(message);
  else port.first = changetype<usize>(message);
  port.last = changetype<usize>(message);
  port.count++;
  if (port.waiting) {
    port.waiting = 0;
    ready(core, changetype<Thread>(port.thread));
  }
  criticalLeave(core);
}

/** By the port's thread: the next message, waiting for one. */
export function portWait(port: Port): Message {
  const core = thisCore();
  assert(port.thread === core.thread, "portWait by a thread that does not serve the port");
  core.critical++;
  while (port.first === 0) {
    port.waiting = 1;
    block(core);
  }
  const message = take(port);
  criticalLeave(core);
  return message;
}

/** On the port's core: the next message, or 0. */
export function portPoll(port: Port): Message {
  const core = thisCore();
  assert(port.core === core.index, "portPoll on another core than the port's");
  core.critical++;
  const message = port.first !== 0 ? take(port) : changetype<Message>(0);
  criticalLeave(core);
  return message;
}

function take(port: Port): Message {
  const message = changetype<Message>(port.first);
  port.first = message.next;
  if (port.first === 0) port.last = 0;
  port.count--;
  message.flags &= ~MESSAGE_QUEUED;
  return message;
}

/** Gives the message back to its sender. On the port's core. */
export function portReply(message: Message, result: i64): void {
  assert(message.flags === MESSAGE_SENT, "a message is replied that is not being served");
  message.result = result;
  const waiter = message.waiter;
  if (waiter !== 0) {
    ipiSend(changetype<Thread>(waiter).core, finish.index, changetype<usize>(message));
  } else if (message.replyPort !== 0) {
    ipiSend(changetype<Port>(message.replyPort).core, deliverReply.index, changetype<usize>(message));
  } else message.flags = MESSAGE_DONE;
}

/** On the waiting thread's core: it may use the message, which lies on its stack perhaps, only after this. */
function finish(argument: usize): void {
  const message = changetype<Message>(argument);
  const core = thisCore();
  const waiter = message.waiter;
  message.flags = MESSAGE_DONE;
  // In portCall of this very core it may be the caller itself whose agent replied at once.
  if (waiter !== core.thread) ready(core, changetype<Thread>(waiter));
}

/** A reply port is a port like any other; replies arrive with MESSAGE_DONE set. */
function deliverReply(argument: usize): void {
  const message = changetype<Message>(argument);
  const port = changetype<Port>(message.replyPort);
  message.flags = MESSAGE_DONE;
  if (port.agent !== 0 && port.count === 0) call_indirect<i64>(port.agent, argument);
  else portDefer(port, message);
}
