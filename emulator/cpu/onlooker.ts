// Who looks on while cores run: a tracer, and a debugger's watchpoints. An onlooker of instructions or of memory has the
// engine go instruction by instruction; one of memory has data take the bank that never hits, so that the microcode
// tells of every access (microcode/access.ts).
// Invariants: the guest cannot tell that somebody looks on, and a run with onlookers is the run without. With nobody
// there generated code has no check that it has not anyway.

import type { DeviceAccess, EngineTracer, Host, Place, Seen, TraceKind } from "./host.js";
import {
  ACCESS_EXECUTE,
  ACCESS_IMPLICIT,
  ACCESS_SUPERVISOR,
  ACCESS_WRITE,
  BLOCK_RIP,
  CPL,
  CR2,
  CS,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  LOOKING_DATA,
  LOOKING_WALKS,
  LOOKING_WORD,
  MODE,
  MODE_64,
  MODE_CODE32,
  OP_OFFSET,
  RIP,
  RUN_OP,
  SEG_BASE,
  SEGMENT_BYTES,
  SEGMENTS,
  SLOW_DATA_WORD,
} from "./layout.js";
import { coreAddress } from "./memory-plan.js";

/** A debugger's watchpoints. */
export interface Watch {
  /** A program's access to data, a store before it is made. True: the core is to stop after this instruction. */
  accessed(core: number, linear: bigint, bytes: number, write: boolean): boolean;
}

const CS_BASE = SEGMENTS + CS * SEGMENT_BYTES + SEG_BASE;
const PAGE_FAULT = 14;
const EXCEPTION_NAMES: Record<number, string> = {
  0: "#DE", 1: "#DB", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS", 11: "#NP", 12: "#SS",
  13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC", 19: "#XM",
}; // biome-ignore format: a table

/** Outcomes of microcode/walk.ts. */
const WALK_NOT_PRESENT = 1;
const WALK_RESERVED = 2;
type Found = [entry: bigint, entryAddress: bigint, page: bigint, sizeLog2: number];

type Imports = Record<string, (...args: never[]) => number | undefined>;

export class Onlooker {
  readonly #view: DataView;
  readonly #hosts: readonly Host[];
  readonly #tracer: EngineTracer | null;
  /** Data take the slow way whether somebody looks or not. */
  readonly #slowAnyway: boolean;
  #watch: Watch | null = null;
  /** The engine has to go instruction by instruction. */
  stepwise = false;
  /** The instruction that has just run touched what is watched. Who looked sets it back. */
  hit = false;

  constructor(
    buffer: ArrayBufferLike,
    hosts: readonly Host[],
    tracer: EngineTracer | null,
    slowAnyway: boolean,
  ) {
    this.#view = new DataView(buffer);
    this.#hosts = hosts;
    this.#tracer = tracer;
    this.#slowAnyway = slowAnyway;
    this.#arrange();
  }

  watch(watch: Watch | null): void {
    this.#watch = watch;
    this.hit = false;
    this.#arrange();
  }

  #wants(kind: TraceKind): boolean {
    return this.#tracer?.wants(kind) ?? false;
  }

  #arrange(): void {
    const looking = this.#watch !== null || this.#wants("memory");
    this.stepwise = looking || this.#wants("instructions");
    const walks = this.#wants("walks") ? LOOKING_WALKS : 0;
    this.#view.setUint32(LOOKING_WORD, (looking ? LOOKING_DATA : 0) | walks, true);
    this.#view.setUint32(SLOW_DATA_WORD, looking || this.#slowAnyway ? 1 : 0, true);
  }

  /** The microcode's imports, and around those that reach devices a tracer's ears, if one wants to hear of them. */
  imports(plain: Imports): Imports {
    const accessed = (core: number, linear: bigint, bytes: number, access: number, value: bigint) => {
      this.#accessed(core, BigInt.asUintN(64, linear), bytes, access, value);
      return undefined;
    };
    const walked = (core: number, linear: bigint, access: number, outcome: number, ...found: Found) => {
      this.#walked(core, linear, access, outcome, found);
      return undefined;
    };
    const all = { ...plain, accessed, walked } as unknown as Imports;
    if (!this.#wants("devices")) return all;
    const reading =
      (name: string, space: DeviceAccess["space"]) => (core: number, at: number, bytes: number) => {
        const read = plain[name] as unknown as (core: number, at: number, bytes: number) => number;
        const value = read(core, at, bytes) >>> 0;
        this.#see(core, { kind: "devices", space, address: at, bytes, write: false, value });
        return value;
      };
    const writing =
      (name: string, space: DeviceAccess["space"]) =>
      (core: number, at: number, bytes: number, value: number) => {
        const write = plain[name] as unknown as (
          core: number,
          at: number,
          bytes: number,
          value: number,
        ) => void;
        this.#see(core, { kind: "devices", space, address: at, bytes, write: true, value: value >>> 0 });
        write(core, at, bytes, value);
      };
    return {
      ...all,
      portRead: reading("portRead", "port"),
      portWrite: writing("portWrite", "port"),
      busRead: reading("busRead", "address"),
      busWrite: writing("busWrite", "address"),
    } as unknown as Imports;
  }

  #accessed(core: number, linear: bigint, bytes: number, access: number, value: bigint): void {
    const write = (access & 3) === ACCESS_WRITE;
    const implicit = (access & ACCESS_IMPLICIT) !== 0;
    if (this.#watch !== null && !implicit && this.#watch.accessed(core, linear, bytes, write))
      this.hit = true;
    if (!this.#wants("memory")) return;
    const stored = BigInt.asUintN(8 * bytes, value);
    this.#see(core, { kind: "memory", linear, bytes, write, implicit, value: stored });
  }

  #walked(core: number, linear: bigint, access: number, outcome: number, found: Found): void {
    const [entry, entryAddress, page, sizeLog2] = found;
    const wide = (value: bigint) => BigInt.asUintN(64, value);
    const kind = access & 3;
    this.#see(core, {
      kind: "walks",
      linear: wide(linear),
      access: kind === ACCESS_WRITE ? "write" : kind === ACCESS_EXECUTE ? "fetch" : "read",
      user: (access & ACCESS_SUPERVISOR) === 0,
      found:
        outcome === WALK_NOT_PRESENT
          ? "not present"
          : outcome === WALK_RESERVED
            ? "reserved bit"
            : { entry: wide(entry), entryAddress: wide(entryAddress), page: wide(page), sizeLog2 },
    });
  }

  #see(core: number, seen: Seen): void {
    this.#tracer?.see(core, this.#hosts[core].timestamp(), this.#place(core), seen);
  }

  /** Where the core stands, exact inside an instruction's slow call as well. */
  #place(core: number): Place {
    const view = this.#view;
    const c = coreAddress(core);
    const mode = view.getUint32(c + MODE, true);
    const bits = (mode & MODE_64) !== 0 ? 64 : (mode & MODE_CODE32) !== 0 ? 32 : 16;
    const op = view.getUint32(c + RUN_OP, true);
    let rip = view.getBigUint64(c + RIP, true);
    if (op !== 0) rip = view.getBigUint64(c + BLOCK_RIP, true) + BigInt(view.getUint8(op + OP_OFFSET));
    if (bits !== 64) rip = BigInt.asUintN(32, rip + view.getBigUint64(c + CS_BASE, true));
    return { linear: rip, bits, user: view.getUint32(c + CPL, true) === 3 };
  }

  // --- what the engine tells ---

  /** `bytes` is asked for only if somebody wants instructions. */
  instruction(core: number, bytes: () => Uint8Array): void {
    if (this.#wants("instructions")) this.#see(core, { kind: "instructions", bytes: bytes() });
  }

  fault(core: number): void {
    if (!this.#wants("faults")) return;
    const view = this.#view;
    const c = coreAddress(core);
    const vector = view.getInt32(c + FAULT_VECTOR, true);
    this.#see(core, {
      kind: "faults",
      vector,
      name: EXCEPTION_NAMES[vector] ?? `vector ${vector}`,
      error: view.getUint32(c + FAULT_HAS_ERROR, true) === 0 ? null : view.getUint32(c + FAULT_ERROR, true),
      cr2: vector === PAGE_FAULT ? view.getBigUint64(c + CR2, true) : null,
    });
  }

  interrupt(core: number, vector: number, nmi: boolean): void {
    if (this.#wants("interrupts")) this.#see(core, { kind: "interrupts", vector, nmi });
  }
}
