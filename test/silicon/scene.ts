// The surroundings of a case in the making: registers, memory windows, floating point state, and where things may lie.

import { Instruction, OpCodeOperandKind as Kind, Mnemonic, OpKind, Register } from "iced-x86";
import { Random } from "../../emulator/random.js";
import { type Bits, type Form, formName } from "./forms.js";
import * as map from "./map.js";
import { between, chance, extended, integer, pick, random64, relate, text, vector } from "./values.js";

export interface Case {
  /** Of the instruction, or of a sequence's last. */
  readonly form: Form;
  readonly seed: number;
  /** Length of the code. */
  readonly length: number;
  /** Of bytes at random: how much of it stands before the instruction, to set TF. */
  readonly prelude?: number;
  /** Of a sequence: by offset in the code, RFLAGS bits that are undefined there. */
  readonly undefinedAt?: ReadonlyMap<number, number>;
  /** The wire record: map.CASE_BYTES. */
  readonly record: Uint8Array;
}

export const M64 = 0xffff_ffff_ffff_ffffn;
export const M32 = 0xffff_ffffn;
const CODE_ADDRESS = map.CODE + 0x800;
const LINE_BYTES = 64;
const CODE_CROSSING = map.CODE + 0xffd;

/** What a floating-point instruction of SSE reads, by its name. */
function floatsOf({ mnemonic, row }: Form): "singles" | "doubles" | undefined {
  if (row.needs !== "sse") return undefined;
  const name = Mnemonic[mnemonic]!;
  if (/^Cvtt?[sp]d|[a-oq-z][sp]d$|^Dppd$/.test(name)) return "doubles";
  return /^Cvtt?[sp]s|[a-oq-z][sp]s$|^Dpps$/.test(name) ? "singles" : undefined;
}

const TEXT = /^Pcmp[ei]str/;

const FLAGS_ALWAYS = 0x202n; // bit 1, and IF as user space has it
const FLAGS_ARITHMETIC = 0x8d5n;
const FLAG_DF = 0x400n;

const STOCK_BYTES = 0x10000;
const STOCK_PIECE = 64;
const stock = makeStock();
function makeStock(): Uint8Array {
  const bytes = new Uint8Array(STOCK_BYTES);
  const random = new Random(1);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < STOCK_BYTES; at += 16) vector(random, view, at);
  return bytes;
}

export class Scene {
  readonly random: Random;
  readonly instruction = new Instruction();
  readonly registers: bigint[];
  readonly pinned = new Set<number>();
  readonly record = new Uint8Array(map.CASE_BYTES);
  readonly view = new DataView(this.record.buffer);
  /** Linear address of the instruction. */
  address: number;
  /** What is subtracted from linear addresses to give offsets: 16-bit segments have bases. */
  readonly codeBase: number;
  readonly dataBase: number;
  /** Linear address of the memory operand. */
  target = 0;

  constructor(
    readonly form: Form,
    readonly seed: number,
  ) {
    // Forms draw apart from each other, whatever the seed.
    this.random = new Random(seed).fork(formName(form));
    const { random } = this;
    this.registers = Array.from({ length: 16 }, () => integer(random));
    this.address = chance(random, 10) ? CODE_CROSSING : CODE_ADDRESS;
    this.codeBase = form.bits === 16 ? map.CODE_16_BASE : 0;
    this.dataBase = form.bits === 16 ? map.DATA_16_BASE : 0;
    // Memory is drawn from a stock: to make every byte of it anew would take longer than all the rest.
    for (let at = map.CASE_WINDOWS; at < map.CASE_BYTES; at += STOCK_PIECE) {
      const from = STOCK_PIECE * random.below(STOCK_BYTES / STOCK_PIECE);
      this.record.set(stock.subarray(from, from + STOCK_PIECE), at);
    }
  }

  pin(register: number, value: bigint | number): void {
    this.registers[register] = BigInt.asUintN(64, BigInt(value));
    this.pinned.add(register);
  }

  /** The register holds the offset of a linear address; above 16 bits there may be anything. */
  pinAddress(register: number, linear: number): void {
    const high = this.form.bits === 16 ? random64(this.random) & 0xffff_0000n : 0n;
    this.pin(register, BigInt(linear - this.dataBase) | high);
  }

  /** A place for `bytes` bytes: mostly in a window; sometimes across pages, read-only, or where nothing is. */
  place(bytes: number): number {
    const { random } = this;
    const roll = random.below(100);
    const [middle, end] = map.WINDOWS;
    const size = Math.max(bytes, 1);
    if (roll < 6 && size > 1) return middle + map.WINDOW_BYTES / 2 - between(random, 1, size - 1);
    if (roll < 9) return end + map.WINDOW_BYTES - between(random, 0, size);
    if (roll < 11) return map.READ_ONLY + random.below(map.READ_ONLY_BYTES - size);
    if (roll < 12) return map.DATA + map.DATA_BYTES + random.below(0x800);
    if (roll < 18 && size > 1) return end + LINE_BYTES * between(random, 1, 3) - between(random, 1, size - 1);
    const window = pick(random, map.WINDOWS);
    const at = window + 48 + random.below(map.WINDOW_BYTES - 96 - size);
    return chance(random, 70) ? at - (at % Math.min(16, 1 << Math.ceil(Math.log2(size)))) : at;
  }

  /** Writes into the window bytes that the case will find at a linear address, where a window covers it. */
  poke(at: number, value: bigint, bytes: number): void {
    map.WINDOWS.forEach((window, i) => {
      for (let k = 0; k < bytes; k++) {
        const offset = at + k - window;
        if (offset >= 0 && offset < map.WINDOW_BYTES)
          this.record[map.CASE_WINDOWS + i * map.WINDOW_BYTES + offset] = Number(
            (value >> BigInt(8 * k)) & 0xffn,
          );
      }
    });
  }

  /** Offset of somewhere in the code pages, clear of the instruction. */
  codeTarget(reach = 0x700): number {
    let at: number;
    do at = this.address + between(this.random, -reach, reach);
    while (at >= this.address - 1 && at < this.address + 16);
    return at - this.codeBase;
  }

  /** The case of this code and these registers. */
  finish(bytes: Uint8Array): Case {
    const { form, view, record, random } = this;
    record.fill(map.INT3, map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX);
    record.set(bytes, map.CASE_CODE);
    let flags = FLAGS_ALWAYS | (random64(random) & FLAGS_ARITHMETIC);
    if (chance(random, usesStrings(form) ? 30 : 5)) flags |= FLAG_DF;
    view.setBigUint64(map.CASE_CODE_ADDRESS, BigInt(this.address), true);
    view.setBigUint64(map.CASE_RFLAGS, flags, true);
    view.setUint32(map.CASE_FAR_POINTER, this.address - this.codeBase, true);
    view.setUint16(map.CASE_FAR_POINTER + 4, CODE_SELECTORS[form.bits], true);
    const data = form.bits === 16 ? map.DATA_SELECTOR_16 : map.DATA_SELECTOR;
    view.setBigUint64(map.CASE_DATA_SELECTOR, BigInt(data), true);
    const mask = form.bits === 64 ? M64 : M32;
    this.registers.forEach((v, i) => {
      view.setBigUint64(map.CASE_GPR + 8 * i, i < 8 || form.bits === 64 ? v & mask : 0n, true);
    });
    this.floatingPoint();
    return { form, seed: this.seed, length: bytes.length, record };
  }

  /** Mostly all masked; every rounding mode, sticky flags already there or not, DAZ, FTZ, now and then unmasked. */
  mxcsr(): number {
    const { random } = this;
    let mxcsr = 0x1f80;
    if (chance(random, 50)) mxcsr |= 0x20; // PE: the fast path's case
    if (chance(random, 20)) mxcsr |= random.bits() & 0x3f;
    if (chance(random, 40)) mxcsr |= random.below(4) << 13;
    if (chance(random, 15)) mxcsr |= 0x40;
    if (chance(random, 15)) mxcsr |= 0x8000;
    if (chance(random, 15)) mxcsr &= ~(random.bits() & 0x1f80);
    return mxcsr;
  }

  /** x87: every rounding and precision, the top anywhere, mostly full, seldom an unmasked or a pending exception. */
  stackUnit(pending: number): void {
    const { view, random } = this;
    let control = 0x37f;
    if (chance(random, 50)) control = (control & ~0xc00) | (random.below(4) << 10);
    if (chance(random, 30)) control = (control & ~0x300) | (pick(random, [0, 2, 3]) << 8);
    if (chance(random, 10)) control &= ~(random.bits() & 0x3f);
    let status = (random.below(8) << 11) | (random.bits() & 0x4700);
    if (chance(random, 30)) status |= random.bits() & 0x3f & (chance(random, 90) ? control : 0x3f);
    if (chance(random, pending)) {
      control &= ~1;
      status |= 1;
    }
    if (status & ~control & 0x3f) status |= 0x8080;
    view.setUint16(map.CASE_FX, control, true);
    view.setUint16(map.CASE_FX + 2, status, true);
    view.setUint8(map.CASE_FX + 4, chance(random, 80) ? 0xff : random.bits() & 0xff);
    for (let i = 0; i < 8; i++) extended(random, view, map.CASE_FX + 32 + 16 * i);
    // The last instruction: opcode, address, operand's address, both with selectors
    view.setUint16(map.CASE_FX + 6, random.bits() & 0x7ff, true);
    for (const at of [8, 16]) {
      view.setUint32(map.CASE_FX + at, random.bits(), true);
      view.setUint16(map.CASE_FX + at + 4, random.bits() & 0xffff, true);
    }
    // Comparisons and remainders of near numbers
    if (chance(random, 20)) {
      const [top, other] = [map.CASE_FX + 32, map.CASE_FX + 32 + 16 * random.below(8)];
      for (let i = 0; i < 10; i++) view.setUint8(other + i, view.getUint8(top + i));
      if (chance(random, 50)) view.setUint8(other, view.getUint8(other) ^ 1);
    }
  }

  floatingPoint(): void {
    const { view, random } = this;
    view.setUint16(map.CASE_FX, 0x37f, true);
    if (this.form.row.needs === "fpu" || this.form.mnemonic === Mnemonic.Wait) this.stackUnit(5);
    if (usesMmx(this.form)) {
      this.stackUnit(15);
      for (let i = 0; i < 8; i++) if (chance(random, 90)) vector(random, view, map.CASE_FX + 32 + 16 * i, 8);
    }
    view.setUint32(map.CASE_FX + 24, this.mxcsr(), true);
    const isText = TEXT.test(Mnemonic[this.form.mnemonic]!);
    const wanted = floatsOf(this.form);
    const fill = (to: DataView, at: number) =>
      isText ? text(random, to, at) : vector(random, to, at, 16, wanted);
    for (let i = 0; i < 16; i++) fill(view, map.CASE_FX + 160 + 16 * i);
    if (this.form.memory >= 0 && (isText || wanted !== undefined)) this.fillTarget(fill);
    if (this.form.row.needs === "sse" && chance(random, 30)) this.relateOperands();
  }

  /** Where the memory operand's 16 bytes stand in the record, if they are in a window. */
  fillTarget(fill: (to: DataView, at: number) => void): void {
    map.WINDOWS.forEach((window, i) => {
      const offset = this.target - window;
      if (offset >= 0 && offset + 16 <= map.WINDOW_BYTES)
        fill(this.view, map.CASE_WINDOWS + i * map.WINDOW_BYTES + offset);
    });
  }
  /** Sums that cancel, comparisons that are equal or nearly so, masks that cover. */
  relateOperands(): void {
    const { instruction: ins, random, view } = this;
    const place = (i: number): number | undefined => {
      if (i >= ins.opCount || ins.opKind(i) !== OpKind.Register) return undefined;
      const n = ins.opRegister(i) - Register.XMM0;
      return n >= 0 && n < 16 ? map.CASE_FX + 160 + 16 * n : undefined;
    };
    const [to, from] = [place(0), place(1)];
    if (to === undefined) return;
    if (from !== undefined) relate(random, view, from, view, to);
    else if (this.form.memory === 1) this.fillTarget((memory, at) => relate(random, memory, at, view, to));
  }
}

const CODE_SELECTORS: Record<Bits, number> = {
  16: map.CODE_SELECTOR_16,
  32: map.CODE_SELECTOR_32,
  64: map.CODE_SELECTOR_64,
};

const MMX_KINDS: readonly Kind[] = [Kind.mm_reg, Kind.mm_rm, Kind.mm_or_mem];
export const usesMmx = (form: Form): boolean =>
  form.row.needs === "mmx" || form.kinds.some((k) => MMX_KINDS.includes(k));

const STRING_KINDS: readonly Kind[] = [Kind.seg_rSI, Kind.es_rDI];
export const usesStrings = (form: Form): boolean => form.kinds.some((k) => STRING_KINDS.includes(k));
