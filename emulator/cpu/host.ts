// What the engine asks of the machine around: one Host per core, and a tracer. Here too is the translation between
// the microcode's imports (module "host", microcode/host.ts) and those methods.

import { SCRATCH } from "./layout.js";
import { coreAddress } from "./memory-plan.js";

/** What one core finds outside: called on the core's own thread, at its own moment in time. */
export interface Host {
  portRead(port: number, bytes: number): number;
  portWrite(port: number, bytes: number, value: number): void;
  /** Naturally aligned accesses of 1, 2 or 4 bytes outside RAM and ROM. */
  busRead(physical: number, bytes: number): number;
  busWrite(physical: number, bytes: number, value: number): void;
  /** Machine time in nanoseconds. */
  timestamp(): number;
  /** CPUID: EAX EBX ECX EDX, unsigned. */
  cpuid(leaf: number, subleaf: number): readonly [number, number, number, number];
  /** Whether the local APIC has an interrupt to give now; looks only. */
  pendingInterrupt(): boolean;
  /** Takes it into service: the vector, or -1 when it went away. */
  acknowledge(): number;
  readApicBase(): number;
  /** False: the value has reserved bits set. */
  writeApicBase(low: number, high: number): boolean;
  /** Local APIC registers as MSRs 800H to 8FFH: half a register, or -1 where RDMSR is #GP; false where WRMSR is. */
  readApicMsr(msr: number, half: 0 | 1): number;
  writeApicMsr(msr: number, low: number, high: number): boolean;
  /** IA32_TSC_DEADLINE, by halves; `left`: TSC ticks until then. */
  readTscDeadline(half: 0 | 1): number;
  writeTscDeadline(low: number, high: number, left: number): void;
  readTaskPriority(): number;
  writeTaskPriority(value: number): void;
  /** A performance counter has overflowed. */
  performanceInterrupt(): void;
  /** INIT has come: the local APIC's part of it. A SIPI that has come since stays. */
  initialise(): void;
  /** Something that is not modelled was touched. */
  unimplemented(what: string): void;
}

/** Where a core stands: the linear address of its instruction, and how it runs. */
export interface Place {
  readonly linear: bigint;
  readonly bits: 16 | 32 | 64;
  readonly user: boolean;
}

/** An access that neither RAM nor ROM answers. */
export interface DeviceAccess {
  readonly kind: "devices";
  readonly space: "port" | "address";
  readonly address: number;
  readonly bytes: number;
  readonly write: boolean;
  readonly value: number;
}

/** Where a walk of the page tables has led. */
export interface Walked {
  readonly page: bigint;
  readonly sizeLog2: number;
  readonly entry: bigint;
  readonly entryAddress: bigint;
}

/** What a core has done, for who reads along. */
export type Seen =
  | { readonly kind: "instructions"; readonly bytes: Uint8Array }
  | {
      readonly kind: "memory";
      readonly linear: bigint;
      readonly bytes: number;
      readonly write: boolean;
      /** Of the processor itself: descriptor tables, TSS. */
      readonly implicit: boolean;
      readonly value: bigint;
    }
  | {
      readonly kind: "faults";
      readonly vector: number;
      readonly name: string;
      readonly error: number | null;
      readonly cr2: bigint | null;
    }
  | {
      readonly kind: "walks";
      readonly linear: bigint;
      readonly access: "read" | "write" | "fetch";
      readonly user: boolean;
      /** What was found: the page and its size, and the last entry; else why there is none. */
      readonly found: Walked | "not present" | "reserved bit";
    }
  | { readonly kind: "interrupts"; readonly vector: number; readonly nmi: boolean }
  | DeviceAccess;
export type TraceKind = Seen["kind"];

export interface EngineTracer {
  /** The answer stays the same. */
  wants(kind: TraceKind): boolean;
  see(core: number, now: number, place: Place, seen: Seen): void;
}

/** The imports of the microcode's module. */
export function hostImports(
  hosts: readonly Host[],
  buffer: ArrayBufferLike,
): Record<string, (...args: never[]) => number | undefined> {
  const view = new DataView(buffer);
  const u32 = (n: number) => n >>> 0;
  const scratch = (core: number) => coreAddress(core) + SCRATCH;
  const imports = {
    portRead: (core: number, port: number, bytes: number) => hosts[core].portRead(port, bytes),
    portWrite: (core: number, port: number, bytes: number, value: number) =>
      hosts[core].portWrite(port, bytes, u32(value)),
    busRead: (core: number, physical: number, bytes: number) => hosts[core].busRead(physical, bytes),
    busWrite: (core: number, physical: number, bytes: number, value: number) =>
      hosts[core].busWrite(physical, bytes, u32(value)),
    timestamp: (core: number) => Math.floor(hosts[core].timestamp()),
    cpuid: (core: number, leaf: number, subleaf: number) => {
      hosts[core].cpuid(u32(leaf), u32(subleaf)).forEach((value, i) => {
        view.setUint32(scratch(core) + 4 * i, value, true);
      });
    },
    readApicBase: (core: number) => hosts[core].readApicBase(),
    writeApicBase: (core: number, low: number, high: number) =>
      hosts[core].writeApicBase(u32(low), u32(high)) ? 1 : 0,
    readApicMsr: (core: number, msr: number) => {
      const low = hosts[core].readApicMsr(msr, 0);
      if (low < 0) return 0;
      view.setUint32(scratch(core), low, true);
      view.setUint32(scratch(core) + 4, hosts[core].readApicMsr(msr, 1), true);
      return 1;
    },
    writeApicMsr: (core: number, msr: number, low: number, high: number) =>
      hosts[core].writeApicMsr(msr, u32(low), u32(high)) ? 1 : 0,
    readTscDeadline: (core: number) => {
      view.setUint32(scratch(core), hosts[core].readTscDeadline(0), true);
      view.setUint32(scratch(core) + 4, hosts[core].readTscDeadline(1), true);
    },
    writeTscDeadline: (core: number, low: number, high: number, left: number) =>
      hosts[core].writeTscDeadline(u32(low), u32(high), left),
    readTaskPriority: (core: number) => hosts[core].readTaskPriority(),
    performanceInterrupt: (core: number) => hosts[core].performanceInterrupt(),
    unknownEvent: (core: number, event: number) =>
      hosts[core].unimplemented(`performance event ${event.toString(16)}, which counts nothing`),
    writeTaskPriority: (core: number, value: number) => hosts[core].writeTaskPriority(u32(value)),
  };
  return imports as Record<string, (...args: never[]) => number | undefined>;
}
