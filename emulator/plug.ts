// What the command line plugs into a machine besides its board: disks, a virtio console, the devices of --device; and
// what differs between live and seeded machines there: the date, and where random bytes come from.

import { byteOutput } from "./byte-output.js";
import { openDisk, parseDisk } from "./disk.js";
import { hostEntropy, seededEntropy } from "./entropy.js";
import type { MachineOptions } from "./hardware.js";
import { hostMicroseconds } from "./host-clock.js";

export interface PlugOptions {
  /** Without one the machine is live. */
  readonly seed?: number;
  readonly disk?: readonly string[];
  readonly device?: readonly string[];
  /** The test device of public test suites, beside the exit port; there unless told. */
  readonly testdev?: boolean;
  /** Where a virtio console prints; without it there is none. */
  readonly console?: string;
  /** Where port E9 prints, which is the test device's otherwise. */
  readonly debugConsole?: string;
  /** Where port 402 prints; without it there is none. */
  readonly biosConsole?: string;
}

const MICROSECONDS = 1_000_000;

/** --device's names, and what each plugs in. */
const devices: Readonly<Record<string, (o: PlugOptions) => MachineOptions>> = {
  rng: ({ seed }) => ({ entropy: seed === undefined ? hostEntropy() : seededEntropy(seed) }),
};

export interface Plugged {
  readonly options: MachineOptions;
  /** Writes out what consoles still hold. */
  end(): Promise<void>;
}

export function plug(o: PlugOptions): Plugged {
  const console = o.console === undefined ? null : byteOutput("--console", o.console);
  const debug = o.debugConsole === undefined ? null : byteOutput("--debug-console", o.debugConsole);
  const bios = o.biosConsole === undefined ? null : byteOutput("--bios-console", o.biosConsole);
  const named = (o.device ?? []).map((name) => {
    const device = Object.hasOwn(devices, name) ? devices[name] : undefined;
    if (device === undefined)
      throw new Error(`--device ${name}: wanted one of ${Object.keys(devices).join(", ")}`);
    return device(o);
  });
  return {
    options: Object.assign(
      {
        disks: (o.disk ?? []).map((text) => openDisk(parseDisk(text))),
        ...(console === null ? {} : { virtioConsole: (byte: number) => console.write(byte) }),
        ...(debug === null ? {} : { debugConsole: (byte: number) => debug.write(byte) }),
        ...(bios === null ? {} : { biosConsole: (byte: number) => bios.write(byte) }),
        testDevice: o.testdev !== false && debug === null, // both have port E9
        keyboard: o.console === "stdio" ? "virtio-console" : "serial",
        // A seeded machine has the board's own date, so that a run repeats.
        ...(o.seed === undefined ? { startTime: Math.floor(hostMicroseconds() / MICROSECONDS) } : {}),
      } satisfies MachineOptions,
      ...named,
    ) as MachineOptions,
    end: async () => {
      await Promise.all([console?.end(), debug?.end(), bios?.end()]);
    },
  };
}
