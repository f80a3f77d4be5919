// Tests that need the machine: several cores, interrupts, page tables. They run in the kernel when the command line says
// `selftest`, each prints `selftest: NAME ok`, and the first that fails panics. `selftest=panic` and `selftest=write`
// show a panic and what happens on a write to the kernel's text.
//
// Each test leaves as many free frames as it found: selfTest() checks it after each.
import { print, printDecimal } from "./console";
import { coreCount } from "./lwkt/core";
import { PRIORITY_USER } from "./lwkt/thread";
import { sleep } from "./lwkt/wait";
import { framesFree } from "./memory/frames";
import { bootOption } from "./options";
import { panic } from "./panic";
import { figures } from "./selftest/figures";
import { checkTest, deviceTest, pagesTest, shootDownTest } from "./selftest/machine";
import { allocatorTest, blocksTest } from "./selftest/memory";
import { callAllTest, messagesTest, passiveTest, spinlockTest } from "./selftest/messages";
import { asynchronousTest, synchronousTest } from "./selftest/ports";
import {
  idleTest,
  kickTest,
  preemptionTest,
  priorityTest,
  threadsTest,
  timeoutsTest,
  wakeTest,
} from "./selftest/scheduling";
import { expect, MILLISECOND, settle, shared, startOnAll } from "./selftest/support";
import { Stats, statsSum } from "./stats";

function run(name: string, test: u32): void {
  settle();
  const before = framesFree();
  memory.fill(shared, 0, 1024);
  const switches = statsSum(offsetof<Stats>("threadSwitches"));
  call_indirect<void>(test);
  // A wake-up storm would show here and nowhere else.
  expect(
    statsSum(offsetof<Stats>("threadSwitches")) - switches < u64(coreCount() + 4) * 20_000,
    "a test switched threads too often",
  );
  settle();
  const after = framesFree();
  if (before !== after) {
    print("frames before ");
    printDecimal(u64(before));
    print(", after ");
    printDecimal(u64(after));
    print("\n");
    panic("a test has leaked memory");
  }
  print("selftest: ");
  print(name);
  print(" ok\n");
}

export function selfTest(): void {
  const which = bootOption("selftest");
  if (load<u8>(which) === 0x70) panicTest(); // panic
  if (load<u8>(which) === 0x77) store<u32>(0x10_0000, 0); // write
  run("allocator", allocatorTest.index);
  run("large blocks", blocksTest.index);
  run("messages", messagesTest.index);
  run("passive messages", passiveTest.index);
  run("call all", callAllTest.index);
  run("spinlock", spinlockTest.index);
  run("synchronous ports", synchronousTest.index);
  run("asynchronous ports", asynchronousTest.index);
  run("preemption", preemptionTest.index);
  run("priority", priorityTest.index);
  run("idle", idleTest.index);
  run("timeouts", timeoutsTest.index);
  run("wake-ups", wakeTest.index);
  run("kick", kickTest.index);
  run("threads", threadsTest.index);
  run("page tables", pagesTest.index);
  run("shoot-down", shootDownTest.index);
  run("device interrupts", deviceTest.index);
  run("check", checkTest.index);
  figures();
}

function panicTest(): void {
  startOnAll(chatter.index, PRIORITY_USER);
  sleep(5 * MILLISECOND);
  panic("selftest: this is what a panic looks like");
}

/** Would go on writing after the panic if its core were not stopped. */
function chatter(core: usize): void {
  while (true) {
    print("core ");
    printDecimal(u64(core));
    print(" is alive\n");
    sleep(MILLISECOND);
  }
}
