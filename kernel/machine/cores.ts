// The other cores: woken one after another by INIT and start-up IPIs (Intel SDM vol. 3A, 8.4.4), each until it answers.
// The first core does it from a thread, and sleeps where the manual wants waits.
import { coreStartBytes, coreStartCode, readCr3, stiHlt } from "../arch";
import { print, printDecimal } from "../console";
import { CORES_MAX, Core, coreAdd, firstCoreBlock } from "../lwkt/core";
import { criticalLeave } from "../lwkt/critical";
import { RING_BYTES } from "../lwkt/ipi";
import { Thread, threadAdopt, threadsReap } from "../lwkt/thread";
import { sleep } from "../lwkt/wait";
import { frameAllocate, framesAllocate } from "../memory/frames";
import { pagingCore, pagingTop } from "../memory/paging";
import { allocate } from "../memory/slab";
import { panic } from "../panic";
import { apicIdAt, apicIdCount } from "./acpi";
import { apicId, apicSendInit, apicSendStartup, apicStart } from "./apic";
import { coreBlockUse, descriptorsCore, descriptorsPrepare } from "./descriptors";
import { timerStart } from "./timer";

/** Where start-up code is laid: below 640 KiB, RAM on every PC, and kept from the frames as all of the first MiB is. */
const START_PAGE: usize = 0x8000;
const IDLE_STACK_ORDER: u32 = 2;
const IDLE_STACK_BYTES: usize = 16384;
const INIT_WAIT: u64 = 10_000_000;
const STARTUP_WAIT: u64 = 200_000;
/** A core that has not come up in so many waits is given up. */
const WAITS_MAX: u32 = 5000;

/** The tables that the loader's stub made: start-up code runs on them until bootCore has its own. */
let startTables: u64 = 0;
let starting: usize = 0;

/** Before pagingStart, which replaces them. */
export function coresRemember(): void {
  startTables = readCr3();
}

/** Wakes every core that ACPI names. From a thread of the first core. */
export function coresStart(): void {
  const own = changetype<Core>(firstCoreBlock()).apicId;
  memory.copy(START_PAGE, coreStartCode(), coreStartBytes());
  assert(coreStartBytes() <= 4096 - 12, "the start-up code fits its page");
  for (let i: u32 = 0; i < apicIdCount; i++) if (apicIdAt(i) !== own) apicSendInit(apicIdAt(i));
  if (apicIdCount > 1) sleep(INIT_WAIT);
  let index: u32 = 1;
  for (let i: u32 = 0; i < apicIdCount && index < CORES_MAX; i++) {
    if (apicIdAt(i) !== own && coreStart(index, apicIdAt(i))) index++;
  }
}

/** What core `index` needs before it can run. */
function coreCreate(index: u32, id: u32, cores: u32): Core {
  const core = changetype<Core>(frameAllocate());
  core.index = index;
  core.apicId = id;
  core.pml4 = pagingTop();
  core.rings = allocate(<usize>cores * RING_BYTES);
  core.critical = 1;
  descriptorsPrepare(core);
  threadAdopt(core, allocate(offsetof<Thread>()), "idle");
  return core;
}

/** False: it does not answer. */
function coreStart(index: u32, id: u32): bool {
  const core = coreCreate(index, id, apicIdCount);
  const started = changetype<usize>(core) + offsetof<Core>("started");
  starting = changetype<usize>(core);
  const stack = framesAllocate(IDLE_STACK_ORDER);
  if (stack === 0) panic("out of memory for a core's stack");
  store<u64>(START_PAGE + 4088, u64(stack + IDLE_STACK_BYTES));
  store<u32>(START_PAGE + 4084, <u32>startTables);
  for (let tries = 0; tries < 2 && atomic.load<u32>(started) === 0; tries++) {
    apicSendStartup(id, <u32>(START_PAGE >> 12));
    for (let i: u32 = 0; i < WAITS_MAX && atomic.load<u32>(started) === 0; i++) sleep(STARTUP_WAIT);
  }
  if (atomic.load<u32>(started) === 0) {
    print("core with APIC ");
    printDecimal(u64(id));
    print(" does not start\n");
    return false; // its memory stays: it may yet wake
  }
  return true;
}

/** The start-up code calls this on the core that starts. */
export function bootCore(): void {
  const core = changetype<Core>(starting);
  coreBlockUse(starting);
  pagingCore(core);
  descriptorsCore(core);
  apicStart();
  assert(apicId() === core.apicId, "the core that starts is not the one that was woken");
  coreAdd(core);
  timerStart(core);
  atomic.store<u32>(starting + offsetof<Core>("started"), 1);
  idle(core);
}

/** What a core's first context becomes. Interrupts off, in a critical section. */
export function idle(core: Core): void {
  core.critical = 0;
  while (true) {
    if (core.dead !== 0) reap(core); // the next tick is far
    stiHlt();
  }
}

function reap(core: Core): void {
  core.critical++;
  threadsReap(core);
  criticalLeave(core);
}
