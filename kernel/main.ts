// The kernel's boot, one call a line.
import { networkStart } from "./net/network";
import { assertionFailed } from "./panic";
import { processStart } from "./process/process";

export function boot(startInfo: usize): void {
  networkStart();
  processStart();
}
export function bootCore(): void {}
export function trap(frame: usize): void {}
export function syscall(frame: usize): void {}
export function threadMain(): void {}
/** Prints the statistics and stops the machine with this status, as the command line says. Never returns. */
export function machineStop(status: u32): void {}
