// Messages and ports, after the Amiga and LWKT: a message is sent in place (promise 50), a port with an agent
// is served in the caller's context without a thread switch (promise 44).

/** Message.flags */
export const MESSAGE_QUEUED: u32 = 1;
export const MESSAGE_DONE: u32 = 2;
export const MESSAGE_SYNCHRONOUS: u32 = 4;
/** What an agent returns when it kept the message and will portReply() it later. */
export const ASYNCHRONOUS: i64 = -0x7fff_ffff;

/** Embed it at the start of a larger record: `changetype<Message>(record)`. */
@unmanaged
export class Message {
  next: usize = 0;
  /** Where it was sent. */
  port: usize = 0;
  /** Where portReply() takes it; 0 when a thread waits for it in portCall(). */
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
}

/** A port owned by `thread` on its core (0: by this core without a thread); agent: table index of (message: usize) => i64, 0 = none. */
export function portCreate(thread: usize, agent: u32): Port {
  return changetype<Port>(0);
}
export function portDestroy(port: Port): void {}
/** Asynchronous: the reply comes to message.replyPort. From any core. */
export function portSend(port: Port, message: Message): void {}
/** Synchronous: returns the reply's result. */
export function portCall(port: Port, message: Message): i64 {
  return 0;
}
/** By the owner thread: the next message, waiting for one. */
export function portWait(port: Port): Message {
  return changetype<Message>(0);
}
/** By the owner thread: the next message or 0. */
export function portPoll(port: Port): Message {
  return changetype<Message>(0);
}
export function portReply(message: Message, result: i64): void {}
