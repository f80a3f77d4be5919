// Figures of the hot paths in TSC ticks, which are instructions under qemu -icount shift=0 and in a seeded machine.
import { pause, rdtsc } from "../arch";
import { print, printDecimal } from "../console";
import { coreCount, thisCore } from "../lwkt/core";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { ipiSend, ipiSendPassive } from "../lwkt/ipi";
import { portCreate, portDestroy } from "../lwkt/port";
import { PRIORITY_KERNEL, PRIORITY_SERVICE, threadYield } from "../lwkt/thread";
import { sleep, WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { apicSend, MESSAGES_VECTOR } from "../machine/apic";
import { nanoseconds } from "../machine/time";
import { frameAllocate, frameFree } from "../memory/frames";
import { allocate, release } from "../memory/slab";
import { countOne } from "./messages";
import { COMMAND_ADD, call, newSum, sumAgent } from "./ports";
import { finished, join, MILLISECOND, shared, start } from "./support";

const REPEATS: u32 = 1000;

function figure(name: string, ticks: u64): void {
  print("figure: ");
  print(name);
  print(" ");
  printDecimal(ticks / u64(REPEATS));
  print(" ticks\n");
}

function yielder(_argument: usize): void {
  for (let i: u32 = 0; i < REPEATS; i++) threadYield();
  finished();
}

/** Waits again and again, so that each wake-up preempts the waker and comes back. */
function answerer(_argument: usize): void {
  const queue = changetype<WaitQueue>(shared + 64);
  for (let i: u32 = 0; i < REPEATS; i++) waitOn(queue, 0);
  finished();
}

export function figures(): void {
  let begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) pause();
  figure("empty loop", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) {
    criticalEnter();
    criticalExit();
  }
  figure("critical section", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) release(allocate(64));
  figure("allocate and release 64 bytes", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) frameFree(frameAllocate());
  figure("frame allocated and freed", rdtsc() - begin);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) nanoseconds();
  figure("nanoseconds", rdtsc() - begin);
  const port = portCreate(0, sumAgent.index);
  const sum = newSum(COMMAND_ADD, 1, 2);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) call(port, sum);
  figure("synchronous port call", rdtsc() - begin);
  release(changetype<usize>(sum));
  portDestroy(port);
  const queue = changetype<WaitQueue>(shared + 64);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) wakeOne(queue);
  figure("wake with nobody waiting", rdtsc() - begin);
  start(yielder.index, 0, thisCore().index, PRIORITY_KERNEL);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) threadYield();
  figure("two yields, two thread switches", rdtsc() - begin);
  join();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) ipiSend(thisCore().index, countOne.index, 0);
  figure("message to this core", rdtsc() - begin);
  criticalEnter();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) apicSend(thisCore().apicId, MESSAGES_VECTOR);
  figure("interrupt to itself, deferred", rdtsc() - begin);
  criticalExit();
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) {
    criticalEnter(); // the command takes two writes
    apicSend(thisCore().apicId, MESSAGES_VECTOR);
    criticalExit();
  }
  figure("interrupt to itself, served", rdtsc() - begin);
  start(answerer.index, 0, thisCore().index, PRIORITY_SERVICE);
  sleep(MILLISECOND);
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) wakeOne(queue);
  figure("wake, switch, wait, switch", rdtsc() - begin);
  join();
  if (coreCount() === 1) return;
  begin = rdtsc();
  for (let i: u32 = 0; i < REPEATS; i++) ipiSendPassive(1, countOne.index, 0);
  figure("passive message", rdtsc() - begin);
}
