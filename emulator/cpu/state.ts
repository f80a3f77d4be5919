// A core's architectural state, to read and to write between runs: for tests, tracing, the debugger and snapshots.
// Invariant: what is written here takes effect at the next instruction; derived words (MODE, the TLB) follow.

import { deflateRawSync, inflateRawSync } from "node:zlib";
import { checkWhole } from "../bounds.js";
import {
  ACTIVE,
  ACTIVITY,
  CORE_BYTES,
  CORE_INDEX,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  CS,
  DR,
  DS,
  EFER,
  ES,
  FCW,
  FDP,
  FIP,
  FLAGS_CARRIES,
  FLAGS_OTHER,
  FLAGS_RESULT,
  FOP,
  FS,
  FSW,
  FTW,
  GDTR_BASE,
  GDTR_LIMIT,
  GPR,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  MAILBOX,
  MODE,
  MODE_64,
  MODE_CODE32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_STACK32,
  MODE_V86,
  MORE_STATE,
  MORE_STATE_END,
  MSR_CSTAR,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_PAT,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  MSR_TSC_AUX,
  MSR_TSC_OFFSET,
  MXCSR,
  PERFORMANCE,
  PERFORMANCE_END,
  REPEATING,
  RETIRED,
  RIP,
  SEG_ATTRIBUTES,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEGMENT_BYTES,
  SEGMENTS,
  SHUTDOWN,
  SS,
  ST,
  STORE_BUFFER,
  STORE_BUFFER_MAX,
  STORE_BYTES,
  STORES_WAITING,
  TLB,
  TLB_BANKS,
  TLB_DATA_BANKS,
  TLB_END,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FLAGS,
  TLB_PHYSICAL,
  TLB_READ,
  TLB_VALID,
  TR,
  XMM,
} from "./layout.js";

// biome-ignore format: a table
export const generalNames = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
] as const;
export type GeneralName = (typeof generalNames)[number];

export const segmentNumbers = { es: ES, cs: CS, ss: SS, ds: DS, fs: FS, gs: GS, ldtr: LDTR, tr: TR } as const;
export type SegmentName = keyof typeof segmentNumbers;

/** Registers of 64 bits that are one word of the core block each. */
const words = {
  rip: RIP,
  cr0: CR0,
  cr2: CR2,
  cr3: CR3,
  cr4: CR4,
  efer: EFER,
  star: MSR_STAR,
  lstar: MSR_LSTAR,
  cstar: MSR_CSTAR,
  sfmask: MSR_SFMASK,
  kernelGsBase: MSR_KERNEL_GS_BASE,
  tscAux: MSR_TSC_AUX,
  sysenterCs: MSR_SYSENTER_CS,
  sysenterEsp: MSR_SYSENTER_ESP,
  sysenterEip: MSR_SYSENTER_EIP,
  pat: MSR_PAT,
  tscOffset: MSR_TSC_OFFSET,
} as const;
const fpuWords = { control: FCW, status: FSW, tags: FTW, opcode: FOP, instruction: FIP, data: FDP } as const;
type WordName = keyof typeof words;

export interface SegmentState {
  readonly selector: number;
  /** Bits 8 to 23 of the descriptor's high dword, in place; 0 for a null segment. */
  readonly attributes: number;
  readonly base: bigint;
  /** In bytes, inclusive. */
  readonly limit: number;
}
export interface TableState {
  readonly base: bigint;
  readonly limit: number;
}

/** A 4 KiB page, or a fragment of a larger one. */
export interface Translation {
  readonly linear: bigint;
  readonly physical: number;
  /** TLB_WRITABLE and its kin. */
  readonly flags: number;
  /** For instructions; else for data. */
  readonly code: boolean;
  /** Filled by an access of ring 3. */
  readonly user: boolean;
}

const ARITHMETIC = 0x8d5n;
const FLAGS_FIXED = 2n;
const VM = 1n << 17n;
const evenParity = (byte: bigint): bigint => {
  let bits = 0n;
  for (let i = 0n; i < 8n; i++) bits ^= (byte >> i) & 1n;
  return bits ^ 1n;
};

/** What a snapshot of a core holds. The translations belong to it: the guest may rely on stale ones. */
export interface CoreRecord {
  readonly version: 5;
  /** Registers and execution state, base64. */
  readonly block: string;
  /** The registers from MORE_STATE on, base64. */
  readonly more: string;
  /** The TLB with its second level, deflated, base64. */
  readonly translations: string;
  /** The performance counters, base64. */
  readonly counters: string;
  /** The store buffer's entries, base64. */
  readonly stores?: string;
}
/** The architectural state and the execution state that belongs to it lie below the mailbox and the engine's words. */
const RECORDED_BYTES = MAILBOX;

function numbered(what: string, n: number, count: number): number {
  if (!Number.isInteger(n) || n < 0 || n >= count)
    throw new RangeError(`no register ${what}${n}: there are ${what}0 to ${what}${count - 1}`);
  return n;
}

type Registers = { [name in GeneralName | WordName]: bigint };

export class CoreState {
  readonly #view: DataView;
  readonly #changed: () => void;

  /** `changed` is called after a write that translations or decoding depend on. */
  constructor(buffer: ArrayBufferLike, address: number, changed: () => void) {
    this.#view = new DataView(buffer, address, CORE_BYTES);
    this.#changed = changed;
  }

  #u64(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }
  #setU64(at: number, value: bigint): void {
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }

  register(name: GeneralName | WordName): bigint {
    return this.#u64(offsetOf(name));
  }
  setRegister(name: GeneralName | WordName, value: bigint | number): void {
    this.#setU64(offsetOf(name), BigInt(value));
    if (name === "rip") this.#view.setUint32(REPEATING, 0, true);
    if (name.startsWith("cr") || name === "efer") this.#updateMode();
  }
  /** Several at once: set({ rax: 1, rip: 0x1000 }). */
  set(values: Partial<Record<GeneralName | WordName, bigint | number>>): void {
    for (const [name, value] of Object.entries(values))
      this.setRegister(name as GeneralName, value as bigint | number);
  }
  /** All general registers and RIP. */
  general(): Record<GeneralName | "rip", bigint> {
    const names = [...generalNames, "rip"] as const;
    return Object.fromEntries(names.map((n) => [n, this.register(n)])) as Record<GeneralName | "rip", bigint>;
  }

  get rip(): bigint {
    return this.register("rip");
  }
  set rip(value: bigint | number) {
    this.setRegister("rip", value);
  }

  get rflags(): bigint {
    const result = this.#u64(FLAGS_RESULT);
    const carries = this.#u64(FLAGS_CARRIES);
    const bit = (v: bigint, n: bigint) => (v >> n) & 1n;
    let flags = this.#u64(FLAGS_OTHER) | bit(carries, 63n) | (bit(carries, 3n) << 4n);
    if (result === 0n) flags |= 1n << 6n;
    flags |= (bit(result, 63n) ^ bit(carries, 0n)) << 7n;
    flags |= (bit(carries, 63n) ^ bit(carries, 62n)) << 11n;
    flags |= (evenParity(result & 0xffn) ^ bit(carries, 1n)) << 2n;
    return flags;
  }
  set rflags(flags: bigint | number) {
    const f = BigInt(flags);
    const bit = (n: bigint) => (f >> n) & 1n;
    // RESULT 0 says ZF and even parity, 1 neither; CARRIES bits 0 and 1 put SF and PF right (layout.ts).
    this.#setU64(FLAGS_RESULT, bit(6n) ^ 1n);
    const carries = (bit(0n) << 63n) | ((bit(0n) ^ bit(11n)) << 62n) | (bit(4n) << 3n);
    this.#setU64(FLAGS_CARRIES, carries | ((bit(2n) ^ bit(6n)) << 1n) | bit(7n));
    this.#setU64(FLAGS_OTHER, (f & ~ARITHMETIC) | FLAGS_FIXED);
    this.#updateMode();
  }

  segment(name: SegmentName): SegmentState {
    const at = SEGMENTS + segmentNumbers[name] * SEGMENT_BYTES;
    return {
      selector: this.#view.getUint32(at + SEG_SELECTOR, true),
      attributes: this.#view.getUint32(at + SEG_ATTRIBUTES, true),
      base: this.#u64(at + SEG_BASE),
      limit: this.#view.getUint32(at + SEG_LIMIT, true),
    };
  }
  setSegment(name: SegmentName, state: Partial<SegmentState>): void {
    const at = SEGMENTS + segmentNumbers[name] * SEGMENT_BYTES;
    const s = { ...this.segment(name), ...state };
    checkWhole("selector", s.selector, 0, 0xffff);
    checkWhole("attributes", s.attributes, 0, 0xff_ffff);
    checkWhole("limit", s.limit, 0, 0xffff_ffff);
    this.#view.setUint32(at + SEG_SELECTOR, s.selector, true);
    this.#view.setUint32(at + SEG_ATTRIBUTES, s.attributes, true);
    this.#setU64(at + SEG_BASE, s.base);
    this.#view.setUint32(at + SEG_LIMIT, s.limit, true);
    this.#updateMode();
  }
  get gdtr(): TableState {
    return { base: this.#u64(GDTR_BASE), limit: this.#view.getUint32(GDTR_LIMIT, true) };
  }
  set gdtr({ base, limit }: TableState) {
    this.#setU64(GDTR_BASE, base);
    this.#view.setUint32(GDTR_LIMIT, checkWhole("limit", limit, 0, 0xffff), true);
  }
  get idtr(): TableState {
    return { base: this.#u64(IDTR_BASE), limit: this.#view.getUint32(IDTR_LIMIT, true) };
  }
  set idtr({ base, limit }: TableState) {
    this.#setU64(IDTR_BASE, base);
    this.#view.setUint32(IDTR_LIMIT, checkWhole("limit", limit, 0, 0xffff), true);
  }
  get cpl(): number {
    return this.#view.getUint32(CPL, true);
  }
  set cpl(level: number) {
    this.#view.setUint32(CPL, checkWhole("privilege level", level, 0, 3), true);
    this.#changed();
  }

  /** 128 bits. */
  xmm(n: number): bigint {
    const at = XMM + 16 * numbered("XMM", n, 16);
    return (this.#u64(at + 8) << 64n) | this.#u64(at);
  }
  setXmm(n: number, value: bigint): void {
    const at = XMM + 16 * numbered("XMM", n, 16);
    this.#setU64(at, value);
    this.#setU64(at + 8, value >> 64n);
  }
  get mxcsr(): number {
    return this.#view.getUint32(MXCSR, true);
  }
  set mxcsr(value: number) {
    this.#view.setUint32(MXCSR, value, true);
  }
  /** ST(n), counted from the top of the stack: 80 bits. */
  st(n: number): bigint {
    const at = ST + 16 * ((numbered("ST", n, 8) + (this.fpu("status") >> 11)) & 7);
    return ((this.#u64(at + 8) & 0xffffn) << 64n) | this.#u64(at);
  }
  setSt(n: number, value: bigint): void {
    const at = ST + 16 * ((numbered("ST", n, 8) + (this.fpu("status") >> 11)) & 7);
    this.#setU64(at, value);
    this.#setU64(at + 8, (value >> 64n) & 0xffffn);
  }
  /** x87's words; the tags are abridged (bit n: physical register n is not empty). */
  fpu(word: keyof typeof fpuWords): number {
    return this.#view.getUint32(fpuWords[word], true);
  }
  setFpu(word: keyof typeof fpuWords, value: number): void {
    this.#view.setUint32(fpuWords[word], value, true);
  }
  dr(n: number): bigint {
    return this.#u64(DR + 8 * numbered("DR", n, 8));
  }

  /** ACTIVE, HALTED, WAIT_FOR_SIPI or SHUTDOWN (layout.ts). */
  get activity(): number {
    return this.#view.getUint32(ACTIVITY, true);
  }
  set activity(value: number) {
    this.#view.setUint32(ACTIVITY, checkWhole("activity", value, ACTIVE, SHUTDOWN), true);
  }
  /** MODE_CODE32 and its kin (layout.ts). */
  get mode(): number {
    return this.#view.getUint32(MODE, true);
  }
  /** Instructions since the machine was made. */
  get retired(): number {
    return Number(this.#u64(RETIRED));
  }

  /** The translations that the core holds for the context in use, as the TLB has them. */
  translations(): Translation[] {
    const found: Translation[] = [];
    for (let index = 0; index < TLB_BANKS * TLB_ENTRIES; index++) {
      const at = TLB + index * TLB_ENTRY_BYTES;
      const flags = this.#view.getUint32(at + TLB_FLAGS, true);
      if ((flags & TLB_VALID) === 0) continue;
      const linear = this.#u64(at + TLB_READ) & ~0xfffn;
      const physical = this.#view.getUint32(at + TLB_PHYSICAL, true) * 0x1000;
      const bank = Math.floor(index / TLB_ENTRIES);
      const code = bank >= TLB_DATA_BANKS;
      found.push({ linear, physical, flags, code, user: bank === 1 || bank === TLB_DATA_BANKS + 1 });
    }
    return found;
  }

  /** As microcode/core.ts updateMode(). */
  #updateMode(): void {
    const LONG = 0x20_0000;
    const BIG = 0x40_0000;
    const code = this.segment("cs").attributes;
    const cr0 = this.#u64(CR0);
    let mode = (cr0 >> 31n) & 1n ? MODE_PAGING : 0;
    if (cr0 & 1n) mode |= this.#u64(FLAGS_OTHER) & VM ? MODE_V86 : MODE_PROTECTED;
    const long = (this.#u64(EFER) >> 10n) & 1n;
    if (long) mode |= MODE_LONG;
    if (long && code & LONG) mode |= MODE_64;
    else {
      if (code & BIG) mode |= MODE_CODE32;
      if (this.segment("ss").attributes & BIG) mode |= MODE_STACK32;
    }
    this.#view.setUint32(MODE, mode, true);
    this.#changed();
  }

  // --- snapshots ---
  record(): CoreRecord {
    return {
      version: 5,
      block: Buffer.from(this.#bytes(0, RECORDED_BYTES)).toString("base64"),
      more: Buffer.from(this.#bytes(MORE_STATE, MORE_STATE_END)).toString("base64"),
      counters: Buffer.from(this.#bytes(PERFORMANCE, PERFORMANCE_END)).toString("base64"),
      translations: deflateRawSync(this.#bytes(TLB, TLB_END).slice(), { level: 1 }).toString("base64"),
      stores: Buffer.from(this.#bytes(STORE_BUFFER, this.#storesEnd())).toString("base64"),
    };
  }
  /** Takes a record of a core of the same number, of a machine of the same shape. */
  restore(record: CoreRecord): void {
    const block = Buffer.from(record.block ?? "", "base64");
    const more = Buffer.from(record.more ?? "", "base64");
    const counters = Buffer.from(record.counters ?? "", "base64");
    const whole =
      block.length === RECORDED_BYTES &&
      more.length === MORE_STATE_END - MORE_STATE &&
      counters.length === PERFORMANCE_END - PERFORMANCE;
    if (record.version !== 5 || !whole)
      throw new Error(
        `core record of version ${record.version} with ${block.length} bytes: not of this engine`,
      );
    const index = this.#view.getUint32(CORE_INDEX, true);
    const of = block.readUInt32LE(CORE_INDEX);
    if (of !== index) throw new Error(`core record of core ${of} given to core ${index}`);
    const translations = inflateRawSync(Buffer.from(record.translations, "base64"));
    if (translations.length !== TLB_END - TLB) throw new Error("core record: the translations are cut");
    const stores = Buffer.from(record.stores ?? "", "base64");
    const waiting = block.readUInt32LE(STORES_WAITING);
    if (waiting > STORE_BUFFER_MAX || stores.length !== waiting * STORE_BYTES)
      throw new Error(`core record: ${stores.length} bytes of ${waiting} waiting stores`);
    this.#bytes(0, RECORDED_BYTES).set(block);
    this.#bytes(MORE_STATE, MORE_STATE_END).set(more);
    this.#bytes(PERFORMANCE, PERFORMANCE_END).set(counters);
    this.#bytes(STORE_BUFFER, this.#storesEnd()).set(stores);
    this.#bytes(TLB, TLB_END).set(translations);
  }
  #storesEnd(): number {
    return STORE_BUFFER + this.#view.getUint32(STORES_WAITING, true) * STORE_BYTES;
  }
  #bytes(from: number, to: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + from, to - from);
  }

  /** A few lines that say where the core stands. */
  describe(): string {
    const hex = (n: bigint) => n.toString(16).padStart(16, "0");
    const lines: string[] = [];
    for (let row = 0; row < 4; row++)
      lines.push(
        generalNames
          .slice(4 * row, 4 * row + 4)
          .map((n) => `${n.padStart(3)} ${hex(this.register(n))}`)
          .join("  "),
      );
    lines.push(
      `rip ${hex(this.rip)}  flags ${hex(this.rflags)}  cpl ${this.cpl}  mode ${this.mode.toString(16)}`,
    );
    const control = (["cr0", "cr2", "cr3", "cr4"] as const).map((n) => `${n} ${hex(this.register(n))}`);
    lines.push(control.join("  "));
    return lines.join("\n");
  }
}

function offsetOf(name: keyof Registers): number {
  const general = generalNames.indexOf(name as GeneralName);
  const offset = general >= 0 ? GPR + 8 * general : words[name as WordName];
  if (offset === undefined) throw new RangeError(`no register named ${name}`);
  return offset;
}
