// Random cases for one form: an encoded instruction, and registers and memory under which it does something telling.
// Everything comes from the seed: `silicon(seed, form)` is always the same case.

import { Code, Encoder, OpCodeOperandKind as Kind, Mnemonic, OpKind, Register } from "iced-x86";
import { type Bits, type Form, operandKind } from "./forms.js";
import * as map from "./map.js";
import { type Case, M32, M64, Scene, usesStrings } from "./scene.js";
import { between, chance, integer, pick, random64 } from "./values.js";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const STACK_USERS = new Set<Mnemonic>([
  Mnemonic.Push,
  Mnemonic.Pop,
  Mnemonic.Pusha,
  Mnemonic.Pushad,
  Mnemonic.Popa,
  Mnemonic.Popad,
  Mnemonic.Pushf,
  Mnemonic.Pushfd,
  Mnemonic.Pushfq,
  Mnemonic.Popf,
  Mnemonic.Popfd,
  Mnemonic.Popfq,
  Mnemonic.Call,
  Mnemonic.Ret,
  Mnemonic.Enter,
  Mnemonic.Leave,
]);
const POPS_FLAGS = new Set<Mnemonic>([Mnemonic.Popf, Mnemonic.Popfd, Mnemonic.Popfq]);
const BIT_TESTS = new Set<Mnemonic>([Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc]);
// biome-ignore format: a table
const EXPLICIT_LENGTHS = new Set<Mnemonic>([
  Mnemonic.Pcmpestri, Mnemonic.Pcmpestrm, Mnemonic.Pcmpestri64, Mnemonic.Pcmpestrm64,
]);
const DIVISIONS = new Set<Mnemonic>([Mnemonic.Div, Mnemonic.Idiv]);

/** Memory operands that a segment override may move. */
const OVERRIDABLE = new Set<Kind>([
  ...[Kind.mem, Kind.mem_offs, Kind.seg_rSI, Kind.seg_rDI, Kind.seg_rBX_al],
  ...[Kind.r8_or_mem, Kind.r16_or_mem, Kind.r32_or_mem, Kind.r64_or_mem, Kind.mm_or_mem, Kind.xmm_or_mem],
]);
const SEGMENTS = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS] as const;
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
const LOCK_PREFIX = 0xf0;
const BRANCHES = new Set<Kind>([
  ...[Kind.br16_1, Kind.br32_1, Kind.br64_1, Kind.br16_2, Kind.br32_4, Kind.br64_4],
]);
const isBranch = (form: Form): boolean => form.kinds.some((kind) => BRANCHES.has(kind));

/** Register operands that are free to choose. */
const REGISTERS = new Set<Kind>([
  ...[
    Kind.r8_reg,
    Kind.r8_or_mem,
    Kind.r16_reg,
    Kind.r16_or_mem,
    Kind.r32_reg,
    Kind.r32_or_mem,
    Kind.r64_reg,
  ],
  ...[Kind.r64_or_mem, Kind.xmm_reg, Kind.xmm_rm, Kind.xmm_or_mem, Kind.mm_reg, Kind.mm_rm, Kind.mm_or_mem],
]);
const widthOf = (kind: Kind): string | undefined => /^r(\d+)_/.exec(Kind[kind]!)?.[1];

/** One case in the making. */
export class Builder extends Scene {
  /** An addressing mode that reaches `target`. */
  memoryOperand(i: number, target: number): void {
    const { instruction: ins, random, form } = this;
    this.target = target;
    ins.setOpKind(i, OpKind.Memory);
    const segmentBase = form.bits === 64 && chance(random, 5) ? map.FS_BASE : 0;
    if (segmentBase !== 0) ins.segmentPrefix = Register.FS;
    let goal = BigInt(target - segmentBase - this.dataBase);
    // 32-bit code reaches nothing by 16-bit addresses, but computes them.
    const shortAddress = form.bits === 16 ? 75 : form.mnemonic === Mnemonic.Lea && form.bits === 32 ? 30 : 0;
    if (chance(random, shortAddress)) {
      this.shortMemoryOperand(i, goal);
      return;
    }
    if (form.kinds[i] === Kind.mem_offs) {
      ins.memoryDisplSize = form.bits === 64 && chance(random, 80) ? 8 : 4;
      ins.memoryDisplacement = goal;
      return;
    }
    const narrow = form.bits !== 64 || chance(random, 10);
    const mode = random.below(10);
    if (form.bits === 64 && mode === 0 && !narrow) {
      ins.memoryBase = Register.RIP;
      ins.memoryDisplSize = 8;
      ins.memoryDisplacement = goal;
      return;
    }
    const register = (n: number): Register => (narrow ? Register.EAX : Register.RAX) + n;
    const count = form.bits === 64 ? 16 : 8;
    if (mode === 1) {
      ins.memoryDisplSize = form.bits === 64 && !narrow ? 8 : 4;
      ins.memoryDisplacement = goal;
      return;
    }
    if (mode < 6) {
      let index = random.below(count);
      if (index === RSP) index = RBX;
      if (!this.pinned.has(index)) this.pin(index, BigInt(between(random, -40, 40)));
      const scale = pick(random, [1, 2, 4, 8] as const);
      ins.memoryIndex = register(index);
      ins.memoryIndexScale = scale;
      goal -= this.registers[index]! * BigInt(scale);
    }
    const displacement = mode === 9 ? 0n : BigInt(between(random, -200, 200));
    this.base(register, random.below(count), goal, displacement, narrow);
  }

  /** 16-bit addressing: BX or BP, SI or DI, and a displacement. */
  shortMemoryOperand(i: number, goal: bigint): void {
    const { instruction: ins, random } = this;
    if (this.form.kinds[i] === Kind.mem_offs || chance(random, 10)) {
      ins.memoryDisplSize = 2;
      ins.memoryDisplacement = goal & 0xffffn;
      return;
    }
    const base = pick(random, [0, RBX, RBP]);
    const index = pick(random, base === 0 ? [RSI, RDI] : [0, RSI, RDI]);
    let rest = goal;
    if (base !== 0) ins.memoryBase = Register.AX + base;
    if (index !== 0 && base === 0) ins.memoryBase = Register.AX + index;
    else if (index !== 0) ins.memoryIndex = Register.AX + index;
    const free = [base, index].filter((r) => r !== 0 && !this.pinned.has(r));
    for (const r of [base, index]) if (r !== 0 && !free.includes(r)) rest -= this.registers[r]!;
    const last = free.pop();
    for (const r of free) rest -= this.registers[r]!;
    const displacement = last === undefined ? rest : BigInt(between(random, -200, 200));
    if (last !== undefined) {
      const high = this.registers[last]! & ~0xffffn;
      this.pin(last, high | ((rest - displacement) & 0xffffn));
    }
    for (const r of free) this.pin(r, this.registers[r]!);
    ins.memoryDisplSize = last === undefined || displacement !== 0n ? 1 : 0;
    ins.memoryDisplacement = displacement & 0xffffn;
  }

  /** Chooses the base so that base + displacement is the goal; a register in use already fixes the displacement. */
  base(register: (n: number) => Register, n: number, goal: bigint, wanted: bigint, narrow: boolean): void {
    const { instruction: ins, random } = this;
    const width = narrow ? 32 : 64;
    let displacement = wanted;
    if (this.pinned.has(n)) {
      displacement = BigInt.asIntN(width, goal - this.registers[n]!);
      if (BigInt.asIntN(32, displacement) !== displacement) {
        // Out of reach: an absolute displacement will do, or a page fault.
        displacement = BigInt.asIntN(32, goal);
        ins.memoryIndex = Register.None;
        ins.memoryDisplSize = narrow ? 4 : 8;
        ins.memoryDisplacement = BigInt.asUintN(width, displacement);
        return;
      }
    } else {
      // Above a 32-bit address lies garbage that must not count.
      const high = narrow && this.form.bits === 64 ? random64(random) & ~M32 : 0n;
      this.pin(n, (BigInt.asUintN(width, goal - displacement) | high) & M64);
      // Long operands are the microcode's, which gives #GP where the stack's #SS is due.
      if (!narrow && this.form.memoryBytes <= 16 && this.form.memoryBytes !== 14 && chance(random, 1))
        this.pin(n, this.registers[n]! ^ (1n << 62n)); // not canonical
    }
    ins.memoryBase = register(n);
    ins.memoryDisplSize = displacement === 0n && chance(random, 50) ? 0 : 1;
    ins.memoryDisplacement = BigInt.asUintN(width, displacement);
  }

  /** The first operand's register again, where that is of the same kind. */
  sameAsFirst(i: number): boolean {
    const { form, instruction: ins } = this;
    const [first, kind] = [operandKind(form.kinds[0]!, false), form.kinds[i]!];
    const free = REGISTERS.has(kind) && REGISTERS.has(form.kinds[0]!) && form.memory !== 0;
    if (!free || operandKind(kind, false) !== first) return false;
    const again = ins.opRegister(0);
    if (first === "general" && widthOf(kind) !== widthOf(form.kinds[0]!)) return false;
    ins.setOpKind(i, OpKind.Register);
    ins.setOpRegister(i, again);
    return true;
  }

  operand(i: number): unknown {
    const { form, instruction: ins, random } = this;
    const kind = form.kinds[i]!;
    if (i === form.memory) {
      return this.memoryOperand(i, this.place(form.memoryBytes));
    }
    const registers = form.bits === 64 ? 16 : 8;
    if (i > 0 && chance(random, 8) && this.sameAsFirst(i)) return undefined;
    const set = (r: Register) => {
      ins.setOpKind(i, OpKind.Register);
      ins.setOpRegister(i, r);
    };
    const immediate = (opKind: OpKind, value: bigint) => {
      ins.setOpKind(i, opKind);
      ins.setImmediateU64(i, BigInt.asUintN(64, value));
    };
    const branch = (opKind: OpKind, reach?: number) => {
      ins.setOpKind(i, opKind);
      const to = this.codeTarget(reach);
      if (opKind === OpKind.NearBranch64) ins.nearBranch64 = BigInt(to);
      else if (opKind === OpKind.NearBranch32) ins.nearBranch32 = to;
      else ins.nearBranch16 = to & 0xffff;
    };
    const string = (k16: OpKind, k32: OpKind, k64: OpKind) =>
      ins.setOpKind(i, this.stringBits === 64 ? k64 : this.stringBits === 32 ? k32 : k16);
    // biome-ignore format: a table
    switch (kind) {
      case Kind.r8_reg: case Kind.r8_or_mem: case Kind.r8_opcode:
        return set(form.bits !== 64 || chance(random, 30) ? Register.AL + random.below(8)
          : pick(random, BYTE_REGISTERS));
      case Kind.r16_reg: case Kind.r16_or_mem: case Kind.r16_opcode: case Kind.r16_rm: case Kind.r16_reg_mem:
        return set(Register.AX + random.below(registers));
      case Kind.r32_reg: case Kind.r32_or_mem: case Kind.r32_opcode: case Kind.r32_rm: case Kind.r32_reg_mem:
        return set(Register.EAX + random.below(registers));
      case Kind.r64_reg: case Kind.r64_or_mem: case Kind.r64_opcode: case Kind.r64_rm: case Kind.r64_reg_mem:
        return set(Register.RAX + random.below(registers));
      case Kind.xmm_reg: case Kind.xmm_rm: case Kind.xmm_or_mem: return set(Register.XMM0 + random.below(registers));
      case Kind.mm_reg: case Kind.mm_rm: case Kind.mm_or_mem: return set(Register.MM0 + random.below(8));
      case Kind.seg_reg: return set(pick(random, [Register.ES, Register.DS, Register.FS, Register.GS]));
      case Kind.es: return set(Register.ES);
      case Kind.cs: return set(Register.CS);
      case Kind.ss: return set(Register.SS);
      case Kind.ds: return set(Register.DS);
      case Kind.fs: return set(Register.FS);
      case Kind.gs: return set(Register.GS);
      case Kind.farbr2_2: case Kind.farbr4_2:
        ins.setOpKind(i, kind === Kind.farbr2_2 ? OpKind.FarBranch16 : OpKind.FarBranch32);
        return undefined;
      case Kind.cr_reg: return set(Register.CR0 + pick(random, [0, 2, 3, 4]));
      case Kind.dr_reg: return set(Register.DR0 + pick(random, [0, 1, 2, 3, 6, 7]));
      case Kind.st0: return set(Register.ST0);
      case Kind.sti_opcode: return set(Register.ST0 + random.below(8));
      case Kind.al: return set(Register.AL);
      case Kind.cl: return set(Register.CL);
      case Kind.ax: return set(Register.AX);
      case Kind.dx: return set(Register.DX);
      case Kind.eax: return set(Register.EAX);
      case Kind.rax: return set(Register.RAX);
      case Kind.imm8_const_1: return immediate(OpKind.Immediate8, 1n);
      case Kind.imm8: return immediate(i > 0 && form.kinds[i - 1] === Kind.imm16 ? OpKind.Immediate8_2nd : OpKind.Immediate8, integer(random) & 0xffn);
      case Kind.imm8sex16: return immediate(OpKind.Immediate8to16, BigInt.asIntN(8, integer(random)));
      case Kind.imm8sex32: return immediate(OpKind.Immediate8to32, BigInt.asIntN(8, integer(random)));
      case Kind.imm8sex64: return immediate(OpKind.Immediate8to64, BigInt.asIntN(8, integer(random)));
      case Kind.imm16: return immediate(OpKind.Immediate16, integer(random) & 0xffffn);
      case Kind.imm32: return immediate(OpKind.Immediate32, integer(random) & M32);
      case Kind.imm32sex64: return immediate(OpKind.Immediate32to64, BigInt.asIntN(32, integer(random)));
      case Kind.imm64: return immediate(OpKind.Immediate64, integer(random));
      case Kind.br16_1: return branch(OpKind.NearBranch16, 100);
      case Kind.br32_1: return branch(OpKind.NearBranch32, 100);
      case Kind.br64_1: return branch(OpKind.NearBranch64, 100);
      case Kind.br16_2: return branch(OpKind.NearBranch16);
      case Kind.br32_4: return branch(OpKind.NearBranch32);
      case Kind.br64_4: return branch(OpKind.NearBranch64);
      case Kind.seg_rSI: return string(OpKind.MemorySegSI, OpKind.MemorySegESI, OpKind.MemorySegRSI);
      case Kind.es_rDI: return string(OpKind.MemoryESDI, OpKind.MemoryESEDI, OpKind.MemoryESRDI);
      case Kind.seg_rDI: return string(OpKind.MemorySegDI, OpKind.MemorySegEDI, OpKind.MemorySegRDI);
      case Kind.seg_rBX_al:
        ins.setOpKind(i, OpKind.Memory);
        ins.memoryBase = STRING_RBX[this.stringBits];
        ins.memoryIndex = Register.AL;
        return undefined;
      default: throw new Error(`silicon: no way to choose an operand of kind ${Kind[kind]} (${Code[form.code]})`);
    }
  }

  /** Address size of implicit operands: the mode's, or what the prefix makes of it. */
  stringBits: Bits = 64;

  prepare(): void {
    const { form, random } = this;
    this.stringBits = form.bits;
    if (form.bits !== 32 && chance(random, 10)) this.stringBits = 32;
    this.implicitOperands();
  }

  /** Registers that the instruction uses by itself. */
  implicitOperands(): void {
    const { form, random } = this;
    const { mnemonic: op } = form;
    if (STACK_USERS.has(op)) {
      const at = this.place(op === Mnemonic.Enter ? 64 : 16);
      this.pinAddress(RSP, at);
      if (op === Mnemonic.Ret) {
        this.poke(at, BigInt(this.codeTarget()), form.bits === 16 ? 4 : form.bits / 8);
      } else if (POPS_FLAGS.has(op)) {
        // neither single steps nor NT, which belongs to the kernel when it returns
        this.poke(at, integer(random) & ~0x4100n, 8);
      }
      if (op === Mnemonic.Leave || op === Mnemonic.Enter) this.pinAddress(RBP, this.place(32));
    }
    if (usesStrings(form)) {
      const bytes = Math.max(1, form.memoryBytes);
      const [from, to] = [this.place(bytes), this.place(bytes)];
      this.pinString(RSI, from);
      this.pinString(RDI, to);
      this.pin(RCX, this.widened(BigInt(random.below(chance(random, 80) ? 6 : 24))));
      if (chance(random, 50) && from < map.READ_ONLY) {
        const same = random64(random) & 0x0101n; // CMPS and SCAS should go on sometimes
        for (let i = -48; i < 48; i++) {
          this.poke(from + i, same, 1);
          this.poke(to + i, same, 1);
        }
        this.pin(RAX, (same * 0x0101_0101_0101_0101n) & M64);
      }
    }
    if (form.kinds.includes(Kind.seg_rBX_al)) {
      this.pin(RAX, this.registers[RAX]!);
      this.pinString(RBX, this.place(1) - Number(this.registers[RAX]! & 0xffn));
    }
    if (op === Mnemonic.Maskmovdqu || op === Mnemonic.Maskmovq)
      this.pinString(RDI, this.place(form.memoryBytes));
    if (form.kinds.some((k) => k === Kind.br64_1 || k === Kind.br32_1) && chance(random, 50))
      this.pin(RCX, BigInt(random.below(3)) | (chance(random, 30) ? random64(random) & ~M32 : 0n));
  }

  /** An address of an implicit operand, with garbage above its size. */
  pinString(register: number, linear: number): void {
    this.pin(register, this.widened(BigInt(linear - this.dataBase)));
  }
  widened(low: bigint): bigint {
    const { stringBits, form, random } = this;
    if (stringBits === form.bits && form.bits === 64) return low;
    if (stringBits === 16) return (low & 0xffffn) | (random64(random) & 0xffff_0000n);
    return (low & M32) | (form.bits === 64 ? random64(random) & ~M32 : 0n);
  }

  /** Values that make sense only once the operands are known. */
  adjust(): void {
    const { form, instruction: ins, random } = this;
    const { mnemonic: op } = form;
    if (DIVISIONS.has(op) && !this.pinned.has(RDX) && chance(random, 60)) {
      this.pin(RDX, chance(random, 50) ? 0 : BigInt.asIntN(64, this.registers[RAX]!) >> 63n);
      if (chance(random, 50)) this.registers[RAX] = this.registers[RAX]! & ~0xff00n;
    }
    if (op === Mnemonic.Cmpxchg && chance(random, 40) && form.memory === 0)
      this.poke(this.target, this.registers[RAX]!, 8);
    if ((op === Mnemonic.Cmpxchg8b || op === Mnemonic.Cmpxchg16b) && chance(random, 50)) {
      const half = op === Mnemonic.Cmpxchg8b ? 4 : 8;
      this.poke(this.target, this.registers[RAX]!, half);
      this.poke(this.target + half, this.registers[RDX]!, half);
    }
    if (BIT_TESTS.has(op) && form.memory === 0 && ins.op1Kind === OpKind.Register) {
      const n = registerNumber(ins.op1Register);
      const high = integer(random) & (M64 << BigInt(form.memoryBytes * 8));
      if (!this.pinned.has(n))
        this.registers[n] = high | BigInt.asUintN(form.memoryBytes * 8, BigInt(between(random, -300, 300)));
    }
    const indirect = op === Mnemonic.Jmp || op === Mnemonic.Call;
    if (indirect && form.kinds.length === 1 && form.memory === 0)
      this.poke(this.target, BigInt(this.codeTarget()), form.bits === 16 ? 4 : form.bits / 8);
    if (indirect && ins.op0Kind === OpKind.Register) {
      const n = registerNumber(ins.op0Register);
      if (!this.pinned.has(n)) this.registers[n] = BigInt(this.codeTarget());
    }
    if (op === Mnemonic.Enter) {
      // Deeper displays would reach out of the windows.
      if (chance(random, 80)) ins.immediate16 = random.below(64);
      ins.immediate8_2nd = pick(random, [0, 0, 1, 2, 3, 5, 32, 33]);
      // Without a display nothing is read there, and what stays of the old frame pointer shows.
      if ((ins.immediate8_2nd & 31) < 2) this.registers[RBP] = integer(random);
    }
    if (EXPLICIT_LENGTHS.has(op))
      for (const n of [RAX, RDX])
        if (!this.pinned.has(n) && chance(random, 90))
          this.registers[n] = BigInt.asUintN(64, BigInt(between(random, -20, 20)));
    if (op === Mnemonic.Ret && ins.opCount === 1) ins.immediate16 = random.below(300);
    if (op === Mnemonic.Bound && chance(random, 70)) {
      const n = registerNumber(ins.op0Register);
      const half = form.memoryBytes / 2;
      const value = BigInt.asIntN(half * 8, this.registers[n]!);
      this.poke(this.target, value - BigInt(random.below(3)), half);
      this.poke(this.target + half, value + BigInt(between(random, -1, 2)), half);
    }
  }

  /** Another segment for the memory operand: in 64-bit mode only FS and GS have bases, in 32-bit mode they are null. */
  overrideSegment(): void {
    const { form, instruction: ins, random } = this;
    if (!form.kinds.some((kind) => OVERRIDABLE.has(kind)) || !chance(random, 4)) return;
    if (ins.segmentPrefix === Register.None) ins.segmentPrefix = pick(random, SEGMENTS);
  }

  /** Prefixes that do not belong to the form may stand before it. */
  strays = true;

  /** Now and then a prefix that says nothing here, or LOCK where it must not be. */
  prefixed(bytes: Uint8Array): Uint8Array {
    const { form, random } = this;
    const sayNothing = !form.kinds.some((kind) => OVERRIDABLE.has(kind)) && form.mnemonic !== Mnemonic.Jmp;
    let prefix: number | undefined;
    if (form.prefix === undefined && chance(random, 1)) prefix = LOCK_PREFIX;
    else if (sayNothing && !isBranch(form) && chance(random, 2)) prefix = pick(random, SEGMENT_PREFIXES);
    return prefix === undefined || !this.strays ? bytes : Uint8Array.from([prefix, ...bytes]);
  }

  encode(): Uint8Array | undefined {
    const { form, instruction: ins } = this;
    if (form.prefix === "lock") ins.hasLockPrefix = true;
    if (form.prefix === "rep") ins.hasRepePrefix = true;
    if (form.prefix === "repne") ins.hasRepnePrefix = true;
    this.overrideSegment();
    const encoder = new Encoder(form.bits);
    try {
      encoder.encode(ins, BigInt(this.address - this.codeBase));
      return this.prefixed(encoder.takeBuffer());
    } catch {
      return undefined; // AH with a REX prefix, and the like: another draw will do
    } finally {
      encoder.free();
    }
  }

  build(): Case | undefined {
    try {
      this.instruction.code = this.form.code;
      this.prepare();
      this.operands();
      this.adjust();
      const bytes = this.encode();
      return bytes && this.finish(bytes);
    } finally {
      this.instruction.free();
    }
  }
  operands(): void {
    for (let i = 0; i < this.form.kinds.length; i++) this.operand(i);
  }
}

// biome-ignore format: a table
const BYTE_REGISTERS = [
  Register.AL, Register.CL, Register.DL, Register.BL, Register.SPL, Register.BPL, Register.SIL, Register.DIL,
  Register.R8L, Register.R9L, Register.R10L, Register.R11L, Register.R12L, Register.R13L, Register.R14L, Register.R15L,
];

const STRING_RBX: Record<Bits, Register> = { 16: Register.BX, 32: Register.EBX, 64: Register.RBX };

/** Encoding number of a 16, 32 or 64-bit general register. */
function registerNumber(r: Register): number {
  for (const first of [Register.RAX, Register.EAX, Register.AX])
    if (r >= first && r < first + 16) return r - first;
  throw new Error(`silicon: ${Register[r]} is no general register of 16 bits or more`);
}

/** A case in which the form is what it says it is: no other prefixes. */
export const exampleOf = (form: Form): Case => makeCase(form, 1, false);

/** The case of a form and a seed. Draws that cannot be encoded are redrawn from seeds that follow from it. */
export function makeCase(form: Form, seed: number, strays = true): Case {
  for (let attempt = 0; attempt < 64; attempt++) {
    const builder = new Builder(form, seed + attempt * 0x10_0000);
    builder.strays = strays;
    const made = builder.build();
    if (made !== undefined) return { ...made, seed };
  }
  throw new Error(`silicon: form ${Code[form.code]} does not encode from seed ${seed}`);
}
