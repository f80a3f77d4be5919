// The kernel's boot, one call a line. The loader's context becomes the first core's idle thread; the rest of the boot,
// which may sleep, runs in a thread.
import { out8 } from "./arch";
import { consoleDrain, consoleStart, print, printDecimal } from "./console";
import { Core, coreAdd, coreCount, firstCoreBlock } from "./lwkt/core";
import { RING_BYTES } from "./lwkt/ipi";
import { firstThreadRecord, PRIORITY_KERNEL, threadAdopt, threadCreate } from "./lwkt/thread";
import { acpiPowerOff, acpiStart, apicIdCount } from "./machine/acpi";
import { apicId, apicStart, apicTimerReady, picsMask } from "./machine/apic";
import { coresRemember, coresStart, idle } from "./machine/cores";
import { coreBlockUse, descriptorsCore, descriptorsPrepare, idtStart } from "./machine/descriptors";
import { ioApicStart } from "./machine/io-apic";
import { powerButtonStart } from "./machine/power-button";
import { timeStart, tscHertz } from "./machine/time";
import { timerStart } from "./machine/timer";
import { framesFree } from "./memory/frames";
import { pagingCore, pagingStart, pagingTop } from "./memory/paging";
import { allocate, slabStart } from "./memory/slab";
import { networkStart } from "./net/network";
import { bootOption, memoryStart, optionsStart, ramEnd, rsdp } from "./options";
import { panic } from "./panic";
import { initStop, processStart } from "./process/process";
import { selfTest } from "./selftest";
import { statsPrint } from "./stats";

export { threadMain } from "./lwkt/thread";
export { bootCore } from "./machine/cores";
export { syscall, trap } from "./trap";

const EXIT_PORT: u32 = 0xf4;

/** `startInfo`: hvm_start_info, as the loader left it. Interrupts off. */
export function boot(startInfo: usize): void {
  const core = changetype<Core>(firstCoreBlock());
  coreBlockUse(firstCoreBlock()); // a critical section works from here on
  core.critical = 1;
  threadAdopt(core, firstThreadRecord(), "idle");
  consoleStart(); // and print, and panic
  optionsStart(startInfo);
  coresRemember();
  memoryStart(startInfo);
  slabStart();
  pagingStart(ramEnd);
  core.pml4 = pagingTop();
  pagingCore(core);
  idtStart();
  descriptorsPrepare(core);
  descriptorsCore(core);
  acpiStart(rsdp);
  picsMask();
  ioApicStart();
  apicStart();
  timeStart();
  apicTimerReady();
  core.apicId = apicId();
  core.rings = allocate(<usize>apicIdCount * RING_BYTES);
  coreAdd(core);
  timerStart(core);
  threadCreate(bootThread.index, 0, "boot", 0, PRIORITY_KERNEL);
  idle(core);
}

/** The part of the boot that may wait. */
function bootThread(_argument: usize): void {
  coresStart();
  print("Buslock: ");
  printDecimal(u64(coreCount()));
  print(" cores, ");
  printDecimal(u64(framesFree() >> 8));
  print(" MiB free, TSC ");
  printDecimal(tscHertz / 1_000_000);
  print(" MHz\n");
  if (bootOption("selftest") !== 0) {
    selfTest();
    machineStop(0);
  }
  networkStart();
  powerButtonStart(initStop.index);
  processStart();
}

/** Prints the statistics and stops the machine with this status, as the command line says. Never returns. */
export function machineStop(status: u32): void {
  statsPrint();
  consoleDrain();
  if (bootOption("exit") !== 0) out8(EXIT_PORT, status);
  acpiPowerOff();
  panic("the machine does not power off");
}
