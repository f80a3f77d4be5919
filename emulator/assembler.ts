// A small assembler in Intel syntax, for hardware-level tests: text in, bytes out. It knows no instruction by
// name: iced's operand tables say which encodings a mnemonic has, the operands choose among them, and the
// shortest that encodes wins. This file is the one door to iced's encoder inside emulator/.
//
//   start: mov eax, 1          ; comments run to the end of the line
//          lock xadd [rbx+rcx*4+8], eax
//          jne start
//          db 0x0f, 0x0b       ; also dw, dd, dq, align N
//
// A statement ends with the line or with ";;". Sizes of memory operands: byte|word|dword|qword|xmmword [ptr].
// `short` before a branch target asks for the 8-bit form; branches are otherwise the near form.

import type * as Iced from "iced-x86";
import { Code, iced, Mnemonic } from "./iced.js";

const { CodeExt, Encoder, EncodingKind, Instruction, MemorySize, MemorySizeExt } = iced;
const { OpCodeOperandKind: Kind, OpKind, Register, RegisterExt } = iced;
type Instruction = Iced.Instruction;
type MemorySize = Iced.MemorySize;
type OpKind = Iced.OpKind;
type Kind = Iced.OpCodeOperandKind;
type Register = Iced.Register;

export type Bits = 16 | 32 | 64;

interface RegisterOperand {
  readonly kind: "register";
  readonly register: Register;
}
interface MemoryOperand {
  readonly kind: "memory";
  readonly base: Register;
  readonly index: Register;
  readonly scale: number;
  readonly displacement: Expression;
  readonly segment: Register /** bits; 0 = as the other operand says */;
  readonly size: number;
}
interface ImmediateOperand {
  readonly kind: "immediate";
  readonly value: Expression;
  readonly short: boolean;
}
interface FarOperand {
  readonly kind: "far";
  readonly selector: Expression;
  readonly offset: Expression;
}
type Operand = RegisterOperand | MemoryOperand | ImmediateOperand | FarOperand;

/** A sum of numbers and labels. */
interface Expression {
  readonly constant: bigint;
  readonly labels: readonly string[];
}

interface Statement {
  readonly line: number;
  readonly text: string;
  readonly label?: string;
  readonly data?: { readonly size: number; readonly values: readonly Expression[] };
  readonly align?: number;
  readonly mnemonic?: string;
  readonly prefixes: ReadonlySet<string>;
  readonly operands: readonly Operand[];
}

export interface AssembleOptions {
  readonly bits?: Bits;
  /** Address of the first byte; 0 unless told. */
  readonly origin?: number | bigint;
}

/** Bytes of the program placed at `origin`. Throws an Error naming the line that cannot be assembled. */
export function assemble(text: string, options: AssembleOptions = {}): Uint8Array {
  return assembleWithLabels(text, options).bytes;
}

export function assembleWithLabels(
  text: string,
  { bits = 64, origin = 0 }: AssembleOptions = {},
): { bytes: Uint8Array; labels: ReadonlyMap<string, bigint> } {
  const statements = parse(text);
  const start = BigInt(origin);
  let labels = new Map<string, bigint>();
  for (const s of statements) if (s.label !== undefined) labels.set(s.label, start);
  // Lengths settle in a few rounds: an encoding only grows when a label turns out to be farther away.
  for (let round = 0; round < 8; round++) {
    const next = new Map<string, bigint>();
    const bytes: number[] = [];
    for (const s of statements) {
      const at = start + BigInt(bytes.length);
      if (s.label !== undefined) {
        if (next.has(s.label)) throw problem(s, `label ${s.label} is there twice`);
        next.set(s.label, at);
      }
      bytes.push(...encodeStatement(s, at, bits, labels));
    }
    const settled = [...next].every(([name, at]) => labels.get(name) === at);
    labels = next;
    if (settled) return { bytes: Uint8Array.from(bytes), labels };
  }
  throw new Error("assembler: the labels do not settle");
}

// --- Text to statements ---

const PREFIXES = new Set(["lock", "rep", "repe", "repz", "repne", "repnz"]);
const SIZES: Record<string, number> = {
  byte: 8,
  word: 16,
  dword: 32,
  qword: 64,
  tword: 80,
  tbyte: 80,
  xmmword: 128,
  oword: 128,
};
const DATA: Record<string, number> = { db: 1, dw: 2, dd: 4, dq: 8 };
const REGISTERS = new Map<string, Register>();
for (const [name, value] of Object.entries(Register)) {
  if (typeof value === "number" && value !== Register.None && !name.startsWith("DontUse")) {
    REGISTERS.set(name.toLowerCase(), value);
  }
}
for (let i = 8; i < 16; i++) REGISTERS.set(`r${i}b`, REGISTERS.get(`r${i}l`)!);
const RIP = Register.RIP;

function parse(text: string): Statement[] {
  const statements: Statement[] = [];
  text.split("\n").forEach((whole, index) => {
    for (const part of whole.split(";;")) {
      const line = part.replace(/;.*/, "").trim();
      if (line !== "") statements.push(...parseLine(line, index + 1));
    }
  });
  return statements;
}

function parseLine(line: string, number: number): Statement[] {
  const where = { line: number, text: line, prefixes: new Set<string>(), operands: [] };
  const labelled = /^([A-Za-z_.$][\w.$]*):\s*(.*)$/.exec(line);
  if (labelled !== null) {
    const label: Statement = { ...where, label: labelled[1]! };
    return labelled[2] === "" ? [label] : [label, ...parseLine(labelled[2]!, number)];
  }
  const prefixes = new Set<string>();
  let rest = line;
  for (;;) {
    const [, word = "", after = ""] = /^(\S+)\s*(.*)$/.exec(rest)!;
    const name = word.toLowerCase();
    if (PREFIXES.has(name)) {
      prefixes.add(name);
      if (after === "") throw problem(where, "a prefix stands alone");
      rest = after;
      continue;
    }
    if (name in DATA) {
      const values = split(after).map((t) => parseExpression(t, where));
      return [{ ...where, data: { size: DATA[name]!, values } }];
    }
    if (name === "align") return [{ ...where, align: Number(after) }];
    const operands = after === "" ? [] : split(after).map((t) => parseOperand(t, where));
    return [{ ...where, prefixes, mnemonic: name, operands }];
  }
}

const split = (text: string) => text.split(",").map((t) => t.trim());

function parseOperand(text: string, where: Statement): Operand {
  const memory = /^(?:(\w+)\s+)?(?:ptr\s+)?(?:(\w\w):)?\[(?:(\w\w):)?(.*)\]$/i.exec(text);
  if (memory !== null) return parseMemory(memory, where);
  const register = REGISTERS.get(text.toLowerCase());
  if (register !== undefined) return { kind: "register", register };
  const far = /^([^:]+):([^:]+)$/.exec(text);
  if (far !== null) {
    return {
      kind: "far",
      selector: parseExpression(far[1]!, where),
      offset: parseExpression(far[2]!, where),
    };
  }
  const short = /^short\s+/i.test(text);
  return { kind: "immediate", value: parseExpression(text.replace(/^short\s+/i, ""), where), short };
}

function parseMemory(match: RegExpExecArray, where: Statement): MemoryOperand {
  const sizeName = match[1]?.toLowerCase();
  const size = sizeName === undefined || sizeName === "ptr" ? 0 : SIZES[sizeName];
  if (size === undefined) throw problem(where, `unknown size ${match[1]}`);
  const segmentName = match[2] ?? match[3];
  const segment = segmentName === undefined ? Register.None : REGISTERS.get(segmentName.toLowerCase());
  if (segment === undefined) throw problem(where, `unknown segment ${segmentName}`);
  let base = Register.None;
  let index = Register.None;
  let scale = 1;
  const terms: string[] = [];
  for (const [, sign = "+", term = ""] of match[4]!.matchAll(/([+-]?)\s*([^+-]+)/g)) {
    const name = term.trim().toLowerCase();
    const scaled = /^(\w+)\s*\*\s*([1248])$/.exec(name) ?? /^([1248])\s*\*\s*(\w+)$/.exec(name);
    const scaledRegister = scaled && (REGISTERS.get(scaled[1]!) ?? REGISTERS.get(scaled[2]!));
    const register = REGISTERS.get(name);
    if (scaled && scaledRegister !== undefined && scaledRegister !== null) {
      index = scaledRegister;
      scale = Number(/^\d$/.test(scaled[1]!) ? scaled[1] : scaled[2]);
    } else if (register !== undefined && sign !== "-") {
      if (base === Register.None) base = register;
      else if (index === Register.None) index = register;
      else throw problem(where, "more than two registers in an address");
    } else terms.push(sign + term.trim());
  }
  const displacement = parseExpression(terms.join("") || "0", where);
  return { kind: "memory", base, index, scale, displacement, segment, size };
}

function parseExpression(text: string, where: Statement): Expression {
  let constant = 0n;
  const labels: string[] = [];
  const terms = [...text.replace(/\s+/g, "").matchAll(/([+-]?)([^+-]+)/g)];
  if (terms.length === 0) throw problem(where, `cannot read "${text}"`);
  for (const [, sign = "+", term = ""] of terms) {
    if (/^(0x[\da-f_]+|0b[01_]+|\d[\d_]*)$/i.test(term)) {
      const value = BigInt(term.replaceAll("_", ""));
      constant += sign === "-" ? -value : value;
    } else if (/^'.'$/.test(term)) constant += BigInt(term.charCodeAt(1));
    else if (/^[A-Za-z_.$][\w.$]*$/.test(term) && sign !== "-") labels.push(term);
    else throw problem(where, `cannot read "${text}"`);
  }
  return { constant, labels };
}

function problem(where: { line: number; text: string }, what: string): Error {
  return new Error(`assembler, line ${where.line}, "${where.text}": ${what}`);
}

// --- Statements to bytes ---

type Labels = ReadonlyMap<string, bigint>;

function evaluate(e: Expression, labels: Labels, where: Statement): bigint {
  return e.labels.reduce((sum, name) => {
    const at = labels.get(name);
    if (at === undefined) throw problem(where, `unknown name ${name}`);
    return sum + at;
  }, e.constant);
}

function encodeStatement(s: Statement, at: bigint, bits: Bits, labels: Labels): number[] {
  if (s.data !== undefined) {
    const { size, values } = s.data;
    return values.flatMap((v) => {
      const value = BigInt.asUintN(size * 8, evaluate(v, labels, s));
      return Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
    });
  }
  if (s.align !== undefined) {
    const size = BigInt(s.align);
    return new Array<number>(Number((size - (at % size)) % size)).fill(0x90);
  }
  if (s.mnemonic === undefined) return [];
  let best: Uint8Array | null = null;
  const [first, second] = s.operands;
  // XCHG and TEST take their operands either way round; the tables list memory first.
  const swapped = /^(xchg|test)$/.test(s.mnemonic) && first?.kind === "register" && second?.kind === "memory";
  const statement = swapped ? { ...s, operands: [second!, first!] } : s;
  const forms = formsOf(s.mnemonic, bits, s);
  // A memory operand without a size: a register operand must tell, or all forms agree.
  const sized =
    s.operands.some((o) => o.kind === "register" && !RegisterExt.isSegmentRegister(o.register)) ||
    forms.every((f) => f.memorySize === forms[0]!.memorySize);
  for (const form of forms) {
    const bytes = tryForm(form, statement, at, bits, labels, sized);
    if (bytes !== null && (best === null || bytes.length < best.length)) best = bytes;
  }
  if (best === null) throw problem(s, "no encoding takes these operands");
  return [...best];
}

interface Form {
  readonly code: Code;
  readonly kinds: readonly Kind[];
  readonly memorySize: number;
}

let formIndex: Map<string, Form[]> | null = null;

/** All legacy-encoded forms by mnemonic; built once, in about 20 ms. */
function formsOf(mnemonic: string, bits: Bits, where: Statement): Form[] {
  if (formIndex === null) {
    formIndex = new Map();
    for (const code of Object.values(Code)) {
      if (typeof code !== "number") continue;
      const info = CodeExt.opCode(code);
      const usable = info.encoding === EncodingKind.Legacy && info.isInstruction;
      if (usable) {
        const name = Mnemonic[info.mnemonic]!.toLowerCase();
        const kinds = Array.from({ length: info.opCount }, (_, i) => info.opKind(i));
        const form = { code, kinds, memorySize: sizeInBits(info.memorySize) };
        const forms = formIndex.get(name);
        if (forms === undefined) formIndex.set(name, [form]);
        else forms.push(form);
      }
      info.free();
    }
  }
  const forms = formIndex.get(ALIASES[mnemonic] ?? mnemonic);
  if (forms === undefined) throw problem(where, `unknown mnemonic ${mnemonic}`);
  return forms.filter(({ code }) => {
    const info = CodeExt.opCode(code);
    const fits = bits === 64 ? info.mode64 : bits === 32 ? info.mode32 : info.mode16;
    info.free();
    return fits;
  });
}

const ALIASES: Record<string, string> = {
  jz: "je",
  jnz: "jne",
  jc: "jb",
  jnc: "jae",
  jnae: "jb",
  jnb: "jae",
  jna: "jbe",
  jnbe: "ja",
  jpe: "jp",
  jpo: "jnp",
  jnge: "jl",
  jnl: "jge",
  jng: "jle",
  jnle: "jg",
  setz: "sete",
  setnz: "setne",
  setc: "setb",
  setnc: "setae",
  cmovz: "cmove",
  cmovnz: "cmovne",
  cmovc: "cmovb",
  cmovnc: "cmovae",
  sal: "shl",
  fwait: "wait",
  repz: "repe",
  loopz: "loope",
  loopnz: "loopne",
  ret: "ret",
};

function sizeInBits(size: MemorySize): number {
  return size === MemorySize.Unknown ? 0 : MemorySizeExt.size(size) * 8;
}

function tryForm(
  form: Form,
  s: Statement,
  at: bigint,
  bits: Bits,
  labels: Labels,
  sized: boolean,
): Uint8Array | null {
  const explicit = form.kinds.filter((k) => !IMPLICIT.has(k));
  const operands = s.operands.length === form.kinds.length ? s.operands : null;
  if (operands === null && !(s.operands.length === 0 && explicit.length === 0)) return null;
  const instruction = new Instruction();
  try {
    instruction.code = form.code;
    const addressBits = bits;
    for (let i = 0; i < form.kinds.length; i++) {
      const kind = form.kinds[i]!;
      const ok =
        operands === null
          ? setImplicit(instruction, i, kind, addressBits)
          : setOperand(instruction, i, kind, operands[i]!, form, s, labels, bits, sized);
      if (!ok) return null;
    }
    if (s.prefixes.has("lock")) instruction.hasLockPrefix = true;
    if (s.prefixes.has("rep") || s.prefixes.has("repe") || s.prefixes.has("repz"))
      instruction.hasRepePrefix = true;
    if (s.prefixes.has("repne") || s.prefixes.has("repnz")) instruction.hasRepnePrefix = true;
    const encoder = new Encoder(bits);
    try {
      encoder.encode(instruction, at);
      return encoder.takeBuffer();
    } catch {
      return null;
    } finally {
      encoder.free();
    }
  } finally {
    instruction.free();
  }
}

const IMPLICIT = new Set([
  Kind.seg_rSI,
  Kind.es_rDI,
  Kind.seg_rDI,
  Kind.al,
  Kind.ax,
  Kind.eax,
  Kind.rax,
  Kind.dx,
  Kind.seg_rBX_al,
]);

/** Operands that string instructions imply (MOVSB, STOSQ ...): RSI, RDI and the accumulator. */
function setImplicit(instruction: Instruction, i: number, kind: Kind, bits: Bits): boolean {
  const pick = (k16: OpKind, k32: OpKind, k64: OpKind) => (bits === 64 ? k64 : bits === 32 ? k32 : k16);
  const fixed = FIXED.get(kind);
  if (fixed !== undefined) {
    instruction.setOpKind(i, OpKind.Register);
    instruction.setOpRegister(i, fixed);
  } else if (kind === Kind.seg_rSI) {
    instruction.setOpKind(i, pick(OpKind.MemorySegSI, OpKind.MemorySegESI, OpKind.MemorySegRSI));
  } else if (kind === Kind.es_rDI) {
    instruction.setOpKind(i, pick(OpKind.MemoryESDI, OpKind.MemoryESEDI, OpKind.MemoryESRDI));
  } else if (kind === Kind.seg_rBX_al) {
    instruction.setOpKind(i, OpKind.Memory);
    instruction.memoryBase = bits === 64 ? Register.RBX : bits === 32 ? Register.EBX : Register.BX;
    instruction.memoryIndex = Register.AL;
  } else return false;
  return true;
}

const FIXED = new Map<Kind, Register>([
  [Kind.al, Register.AL],
  [Kind.ax, Register.AX],
  [Kind.eax, Register.EAX],
  [Kind.rax, Register.RAX],
  [Kind.cl, Register.CL],
  [Kind.dx, Register.DX],
  [Kind.es, Register.ES],
  [Kind.cs, Register.CS],
  [Kind.ss, Register.SS],
  [Kind.ds, Register.DS],
  [Kind.fs, Register.FS],
  [Kind.gs, Register.GS],
  [Kind.st0, Register.ST0],
]);

type Class = (r: Register) => boolean;
const gpr =
  (size: number): Class =>
  (r) =>
    RegisterExt.isGPR(r) && RegisterExt.size(r) * 8 === size;
const xmm: Class = (r) => r >= Register.XMM0 && r <= Register.XMM15;
const mm: Class = (r) => r >= Register.MM0 && r <= Register.MM7;

/** What may stand at an operand: a class of registers, memory, or both. */
const SHAPES = new Map<Kind, { register?: Class; memory?: boolean }>([
  [Kind.r8_reg, { register: gpr(8) }],
  [Kind.r16_reg, { register: gpr(16) }],
  [Kind.r32_reg, { register: gpr(32) }],
  [Kind.r64_reg, { register: gpr(64) }],
  [Kind.r8_opcode, { register: gpr(8) }],
  [Kind.r16_opcode, { register: gpr(16) }],
  [Kind.r32_opcode, { register: gpr(32) }],
  [Kind.r64_opcode, { register: gpr(64) }],
  [Kind.r16_rm, { register: gpr(16) }],
  [Kind.r32_rm, { register: gpr(32) }],
  [Kind.r64_rm, { register: gpr(64) }],
  [Kind.r8_or_mem, { register: gpr(8), memory: true }],
  [Kind.r16_or_mem, { register: gpr(16), memory: true }],
  [Kind.r32_or_mem, { register: gpr(32), memory: true }],
  [Kind.r64_or_mem, { register: gpr(64), memory: true }],
  [Kind.mem, { memory: true }],
  [Kind.xmm_reg, { register: xmm }],
  [Kind.xmm_rm, { register: xmm }],
  [Kind.xmm_or_mem, { register: xmm, memory: true }],
  [Kind.mm_reg, { register: mm }],
  [Kind.mm_rm, { register: mm }],
  [Kind.mm_or_mem, { register: mm, memory: true }],
  [Kind.seg_reg, { register: (r) => RegisterExt.isSegmentRegister(r) }],
  [Kind.cr_reg, { register: (r) => RegisterExt.isCR(r) }],
  [Kind.dr_reg, { register: (r) => RegisterExt.isDR(r) }],
  [Kind.sti_opcode, { register: (r) => RegisterExt.isST(r) }],
]);

/** Immediates: the OpKind, how many bits are stored, and to how many they are sign-extended (0: not). */
const IMMEDIATES = new Map<Kind, readonly [OpKind, bits: number, extended: number]>([
  [Kind.imm8, [OpKind.Immediate8, 8, 0]],
  [Kind.imm16, [OpKind.Immediate16, 16, 0]],
  [Kind.imm32, [OpKind.Immediate32, 32, 0]],
  [Kind.imm64, [OpKind.Immediate64, 64, 0]],
  [Kind.imm8sex16, [OpKind.Immediate8to16, 8, 16]],
  [Kind.imm8sex32, [OpKind.Immediate8to32, 8, 32]],
  [Kind.imm8sex64, [OpKind.Immediate8to64, 8, 64]],
  [Kind.imm32sex64, [OpKind.Immediate32to64, 32, 64]],
]);

const BRANCHES = new Map<Kind, readonly [OpKind, short: boolean]>([
  [Kind.br16_1, [OpKind.NearBranch16, true]],
  [Kind.br32_1, [OpKind.NearBranch32, true]],
  [Kind.br64_1, [OpKind.NearBranch64, true]],
  [Kind.br16_2, [OpKind.NearBranch16, false]],
  [Kind.br32_4, [OpKind.NearBranch32, false]],
  [Kind.br64_4, [OpKind.NearBranch64, false]],
]);

function setOperand(
  instruction: Instruction,
  i: number,
  kind: Kind,
  operand: Operand,
  form: Form,
  s: Statement,
  labels: Labels,
  bits: Bits,
  sized: boolean,
): boolean {
  if (operand.kind === "register") {
    const fits =
      FIXED.get(kind) === operand.register || SHAPES.get(kind)?.register?.(operand.register) === true;
    if (!fits) return false;
    instruction.setOpKind(i, OpKind.Register);
    instruction.setOpRegister(i, operand.register);
    return true;
  }
  if (operand.kind === "memory") {
    if (SHAPES.get(kind)?.memory !== true) return false;
    if (operand.size !== 0 && form.memorySize !== 0 && operand.size !== form.memorySize) return false;
    if (operand.size === 0 && !sized) return false;
    setMemory(instruction, i, operand, evaluate(operand.displacement, labels, s), bits);
    return true;
  }
  if (operand.kind === "far") {
    if (kind !== Kind.farbr2_2 && kind !== Kind.farbr4_2) return false;
    const wide = kind === Kind.farbr4_2;
    if (wide !== (bits === 32)) return false;
    instruction.setOpKind(i, wide ? OpKind.FarBranch32 : OpKind.FarBranch16);
    const offset = Number(evaluate(operand.offset, labels, s));
    if (wide) instruction.farBranch32 = offset;
    else instruction.farBranch16 = offset;
    instruction.farBranchSelector = Number(evaluate(operand.selector, labels, s));
    return true;
  }
  return setImmediate(instruction, i, kind, operand, s, labels, bits);
}

function setMemory(
  instruction: Instruction,
  i: number,
  o: MemoryOperand,
  displacement: bigint,
  bits: Bits,
): void {
  instruction.setOpKind(i, OpKind.Memory);
  instruction.memoryBase = o.base;
  instruction.memoryIndex = o.index;
  instruction.memoryIndexScale = o.scale;
  instruction.segmentPrefix = o.segment;
  const bare = o.base === Register.None && o.index === Register.None;
  const width = o.base === RIP || bits === 64 ? 64 : 32;
  instruction.memoryDisplacement = BigInt.asUintN(width, displacement);
  const rip = o.base === RIP;
  const needed = bare ? (bits === 16 ? 2 : bits === 64 ? 8 : 4) : rip ? 8 : displacement === 0n ? 0 : 1;
  instruction.memoryDisplSize = needed;
}

function setImmediate(
  instruction: Instruction,
  i: number,
  kind: Kind,
  o: ImmediateOperand,
  s: Statement,
  labels: Labels,
  bits: Bits,
): boolean {
  const value = evaluate(o.value, labels, s);
  const branch = BRANCHES.get(kind);
  if (branch !== undefined) {
    const [opKind, short] = branch;
    const width = opKind === OpKind.NearBranch64 ? 64 : opKind === OpKind.NearBranch32 ? 32 : 16;
    if (width !== bits) return false;
    if (!o.short && short && !SHORT_ONLY.test(s.mnemonic!)) return false;
    instruction.setOpKind(i, opKind);
    const target = BigInt.asUintN(width, value);
    if (width === 64) instruction.nearBranch64 = target;
    else if (width === 32) instruction.nearBranch32 = Number(target);
    else instruction.nearBranch16 = Number(target);
    return true;
  }
  if (kind === Kind.imm8_const_1) {
    if (value !== 1n) return false;
    instruction.setOpKind(i, OpKind.Immediate8);
    instruction.immediate8 = 1;
    return true;
  }
  const immediate = IMMEDIATES.get(kind);
  if (immediate === undefined) return false;
  const [opKind, stored, extended] = immediate;
  if (extended === 0) {
    if (value < -(1n << BigInt(stored - 1)) || value >= 1n << BigInt(stored)) return false;
  } else {
    const asWide = BigInt.asIntN(extended, value);
    if (value >= 1n << BigInt(extended) || value < -(1n << BigInt(extended - 1))) return false;
    if (asWide !== BigInt.asIntN(stored, value)) return false;
  }
  instruction.setOpKind(i, opKind);
  instruction.setImmediateU64(
    i,
    BigInt.asUintN(64, extended === 0 ? BigInt.asUintN(stored, value) : BigInt.asIntN(stored, value)),
  );
  return true;
}

const SHORT_ONLY = /^(loop|jcxz|jecxz|jrcxz)/;
