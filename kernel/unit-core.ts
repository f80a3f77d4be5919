// The part of kernel/unit.ts for the kernel's core: memory, IPI messages, ports and what reads the firmware's tables, for
// tests in Node. Up to four cores are played by one: coreBlock() answers with the block that the test chooses, so that a
// test sees each step between two cores.
import { CORE_BYTES, CORE_STATS, Core, coreAdd } from "./lwkt/core";
import { RING_BYTES } from "./lwkt/ipi";
import { Message, Port, portPoll, portReply } from "./lwkt/port";
import { Thread, threadAdopt } from "./lwkt/thread";
import { slabStart } from "./memory/slab";
import { bootNumber, bootOption, rsdp } from "./options";
import { Stats } from "./stats";

export { criticalEnter, criticalExit } from "./lwkt/critical";
export { ipiPoll, ipiSend, ipiSendPassive } from "./lwkt/ipi";
export { portCall, portCreate, portSend } from "./lwkt/port";
export { acpiPowerOff, acpiStart, apicIdAt, apicIdCount, isaFlags, isaInterrupt } from "./machine/acpi";
export { scale } from "./machine/time";
export {
  frameAllocate,
  frameFree,
  framesAdd,
  framesAllocate,
  framesFree,
  framesRelease,
  framesStart,
} from "./memory/frames";
export { allocate, release, slabTrim } from "./memory/slab";
export { bootArguments, memoryStart, moduleAddress, moduleBytes, optionsStart } from "./options";
export { panic } from "./panic";
export { statsPrint } from "./stats";

const CORES: usize = 4;
const blocks: usize = memory.data(16384, 64);
const threads: usize = memory.data(2048, 16);
const rings: usize = memory.data(18432, 64);

/** What coreBlock() is to answer for core `index`. */
export function unitCoreBlock(index: usize): usize {
  return blocks + index * CORE_BYTES;
}

/** Makes core `index` known; coreBlock() must answer with its block. Core 0 first. */
export function unitCore(index: u32): void {
  const core = changetype<Core>(unitCoreBlock(index));
  assert(
    <usize>index < CORES && CORES * CORES * RING_BYTES <= 18432 && offsetof<Thread>() <= 512,
    "unit: room",
  );
  core.index = index;
  core.apicId = 16 + index;
  core.rings = rings + <usize>index * CORES * RING_BYTES;
  threadAdopt(core, threads + <usize>index * 512, "unit");
  coreAdd(core);
  if (index === 0) slabStart();
}

export function unitThread(core: usize): usize {
  return threads + core * 512;
}

/** Counters that tests read. */
export function unitIpisSent(core: usize): u64 {
  return changetype<Stats>(unitCoreBlock(core) + CORE_STATS).ipisSent;
}
export function unitIpisPassive(core: usize): u64 {
  return changetype<Stats>(unitCoreBlock(core) + CORE_STATS).ipisPassive;
}
export function unitThreadSwitches(core: usize): u64 {
  return changetype<Stats>(unitCoreBlock(core) + CORE_STATS).threadSwitches;
}
export function unitCriticalDepth(core: usize): u32 {
  return changetype<Core>(unitCoreBlock(core)).critical;
}

/** bootOption takes a static string. */
export function unitOption(which: u32): usize {
  if (which === 0) return bootOption("node");
  if (which === 1) return bootOption("init");
  if (which === 2) return bootOption("exit");
  return bootOption("nod");
}
export function unitNode(): u64 {
  return bootNumber("node", 77);
}

/** The messages from source `argument >> 28`, in order: a count, then the arguments. */
const log: usize = memory.data(4 * 4096);
export function unitReceive(argument: usize): void {
  const mine = log + (argument >> 28) * 4096;
  const count = load<u32>(mine) + 1;
  store<u32>(mine, count);
  if (count < 1024) store<u32>(mine + ((<usize>count) << 2), <u32>argument);
}
export function unitReceiveIndex(): u32 {
  return unitReceive.index;
}
export function unitLog(source: usize): usize {
  return log + source * 4096;
}

/** An agent that adds the two words behind the message. */
function adder(message: usize): i64 {
  return <i64>load<u32>(message + offsetof<Message>()) + <i64>load<u32>(message + offsetof<Message>(), 4);
}
export function unitAdder(): u32 {
  return adder.index;
}
export function unitMessageBytes(): usize {
  return offsetof<Message>();
}
export function unitMessageFlags(message: Message): u32 {
  return message.flags;
}
export function unitReplyTo(message: Message, port: usize): void {
  message.replyPort = port;
}
export function unitPoll(port: Port): usize {
  return changetype<usize>(portPoll(port));
}
export function unitReply(message: Message, result: i64): void {
  portReply(message, result);
}
export function unitResult(message: Message): i64 {
  return message.result;
}
export function unitRsdp(): usize {
  return rsdp;
}
