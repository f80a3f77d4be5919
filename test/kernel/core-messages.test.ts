// IPI messages and ports in Node, with cores that the test plays one after another: each step between two cores is seen.
import { describe, expect, test } from "vitest";
import { KernelCore, random } from "../support/kernel-core.js";

const MESSAGES_VECTOR = 0xf1;
const ASSERT = 0x4000;
const RING = 128;

/** The messages that came from `source`, in the order in which they ran. */
function log(core: KernelCore, source: number): number[] {
  const at = core.call("unitLog", source);
  const count = core.kernel.view.getUint32(at, true);
  return Array.from(
    { length: count },
    (_, i) => core.kernel.view.getUint32(at + 4 + 4 * i, true) & 0xfff_ffff,
  );
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("IPI messages", () => {
  test("promise 41: an active message raises an interrupt at its target, a passive one none", () => {
    const core = new KernelCore(3);
    const receive = core.call("unitReceiveIndex");
    core.on(0).call("ipiSendPassive", 2, receive, 0);
    expect(core.commands).toEqual([]);
    core.call("ipiSend", 2, receive, 1);
    expect(core.commands).toEqual([[18, MESSAGES_VECTOR | ASSERT]]); // APIC ids begin at 16 here
    expect(log(core, 0)).toEqual([]); // nothing has run: sending is asynchronous
    core.on(1).call("ipiPoll");
    expect(log(core, 0)).toEqual([]); // they were not for core 1
    core.on(2).call("ipiPoll");
    expect(log(core, 0)).toEqual([0, 1]);
    expect([core.call("unitIpisSent", 0), core.call("unitIpisPassive", 0)]).toEqual([1, 1]);
  });

  test("a message to one's own core runs at once", () => {
    const core = new KernelCore(2);
    core.on(1).call("ipiSend", 1, core.call("unitReceiveIndex"), 5);
    expect(log(core, 0)).toEqual([5]);
    expect(core.commands).toEqual([]);
    expect(core.call("unitCriticalDepth", 1)).toBe(0);
  });

  test.each([1, 2, 3])("messages of a pair of cores stay in order (seed %i)", (seed) => {
    const core = new KernelCore(4);
    const receive = core.call("unitReceiveIndex");
    const below = random(seed);
    const sent = [0, 0, 0, 0];
    for (let step = 0; step < 800; step++) {
      const source = 1 + below(3);
      core.on(source);
      core.call(below(2) ? "ipiSend" : "ipiSendPassive", 0, receive, (source << 28) | sent[source]!++);
      if (below(40) === 0) core.on(0).call("ipiPoll");
    }
    core.on(0).call("ipiPoll");
    for (const source of [1, 2, 3]) expect(log(core, source)).toEqual(numbers(sent[source]!));
  });

  test("a full ring prods its target, and the sender serves itself meanwhile: two full cores do not lock up", () => {
    const core = new KernelCore(2);
    const receive = core.call("unitReceiveIndex");
    for (let i = 0; i < RING; i++) core.on(1).call("ipiSendPassive", 0, receive, (1 << 28) | i);
    for (let i = 0; i < RING; i++) core.on(0).call("ipiSendPassive", 1, receive, i);
    expect(core.commands).toEqual([]);
    core.onPause = () => {
      core.on(1).call("ipiPoll"); // the other core wakes up by the prod
      core.on(0);
    };
    core.call("ipiSendPassive", 1, receive, RING);
    expect(core.commands).toEqual([[17, MESSAGES_VECTOR | ASSERT]]);
    expect(log(core, 1)).toEqual(numbers(RING)); // served while it waited
    core.on(1).call("ipiPoll");
    expect(log(core, 0)).toEqual(numbers(RING + 1));
  });
});

/** A message with two numbers behind it, and a port's agent that adds them. */
function sum(core: KernelCore, a: number, b: number): number {
  const at = core.kernel.room(64);
  const body = at + core.call("unitMessageBytes");
  core.kernel.view.setUint32(body, a, true);
  core.kernel.view.setUint32(body + 4, b, true);
  return at;
}

describe("ports", () => {
  test("promises 44 and 50: an idle port's agent serves the sender's own record, without switch, copy or message", () => {
    const core = new KernelCore(2);
    core.memory(64);
    const port = core.call("portCreate", 0, core.call("unitAdder"));
    const message = sum(core, 40, 2);
    expect(core.call("portCall", port, message)).toBe(42);
    expect(core.call("unitThreadSwitches", 0)).toBe(0);
    expect(core.call("unitIpisSent", 0)).toBe(0);
    expect(core.call("unitCriticalDepth", 0)).toBe(0);
    // The record is the sender's again: it can be sent once more.
    expect(core.call("portCall", port, message)).toBe(42);
  });

  test("promise 45: the same call reaches another core by a message, and the reply comes back the same way", () => {
    const core = new KernelCore(2);
    core.memory(64);
    const replies = core.on(1).call("portCreate", core.call("unitThread", 1), 0);
    const port = core.on(0).call("portCreate", 0, core.call("unitAdder"));
    const message = sum(core, 30, 3);
    core.on(1).call("unitReplyTo", message, replies);
    core.call("portSend", port, message);
    expect(core.commands.at(-1)![0]).toBe(16);
    expect(core.call("unitPoll", replies)).toBe(0);
    core.on(0).call("ipiPoll");
    expect(core.commands.at(-1)![0]).toBe(17);
    expect(core.on(1).call("unitPoll", replies)).toBe(0);
    core.call("ipiPoll");
    expect(core.call("unitPoll", replies)).toBe(message);
    expect(core.call("unitResult", message)).toBe(33);
  });

  test("messages to a thread's port wait there in order; one that is on its way cannot be sent again", () => {
    const core = new KernelCore(1);
    core.memory(64);
    const port = core.call("portCreate", core.call("unitThread", 0), 0);
    const messages = [1, 2, 3].map((n) => sum(core, n, 0));
    for (const message of messages) core.call("portSend", port, message);
    expect(() => core.call("portSend", port, messages[0]!)).toThrow(
      /a message is sent that is on its way already/,
    );
    expect(messages.map(() => core.call("unitPoll", port))).toEqual(messages);
    expect(core.call("unitPoll", port)).toBe(0);
    core.call("unitReply", messages[0]!, 7n);
    expect(core.call("unitResult", messages[0]!)).toBe(7);
    expect(() => core.call("unitReply", messages[0]!, 8n)).toThrow(
      /a message is replied that is not being served/,
    );
  });
});
