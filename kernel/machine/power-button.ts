// The power button (ACPI 6.5, 4.8.3.1, fixed hardware): the machine is to end. Init gets SIGTERM, SIGKILL when the button is pressed
// again; what follows is the end of a program, but that the machine does not wait for the others' programs (syslink/farewell.ts).
import { print } from "../console";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { PRIORITY_KERNEL, threadCreate } from "../lwkt/thread";
import { WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { powerButtonEnable, powerButtonPressed } from "./acpi";
import { interruptAllocate } from "./apic";
import { ioApicRouteSci } from "./io-apic";

const queue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>(), 8));
/** Table index of (times: u32): void. */
let listener: u32 = 0;
let pressed: u32 = 0;
let told: u32 = 0;

/** On core 0. `heard` is called in a critical section of core 0, each time with how often it was. */
export function powerButtonStart(heard: u32): void {
  listener = heard;
  const line = powerButtonEnable();
  if (line === 0) return;
  threadCreate(serve.index, 0, "power", 0, PRIORITY_KERNEL);
  ioApicRouteSci(line, interruptAllocate(interrupted.index, 0));
}

function interrupted(_argument: usize): void {
  if (!powerButtonPressed()) return;
  pressed++;
  wakeOne(queue);
}

function serve(_argument: usize): void {
  criticalEnter();
  while (true) {
    while (told === pressed) waitOn(queue, 0);
    told++;
    print("power button: init is told to end\n");
    call_indirect<void>(listener, told);
  }
  criticalExit();
}
