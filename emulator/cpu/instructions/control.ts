// Near transfers of control, and the instructions that only order or hint: NOP, PAUSE, fences, prefetches, CLFLUSH.
// Intel SDM vol. 2. Far CALL, JMP and RET are in far.ts.

import { Code, Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Width } from "./define.js";
import { none, RCX, RSP } from "./define.js";

const UD = 6;
const BR = 5;

/** The forms of JMP and CALL that load CS. */
// biome-ignore format: a table
export const FAR_TRANSFERS: readonly Code[] = [
  Code.Jmp_ptr1616, Code.Jmp_ptr1632, Code.Jmp_m1616, Code.Jmp_m1632, Code.Jmp_m1664,
  Code.Call_ptr1616, Code.Call_ptr1632, Code.Call_m1616, Code.Call_m1632, Code.Call_m1664,
];
const near = (code: Code) => !FAR_TRANSFERS.includes(code);

// biome-ignore format: a table
const JCC = [
  Mnemonic.Jo, Mnemonic.Jno, Mnemonic.Jb, Mnemonic.Jae, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jbe, Mnemonic.Ja,
  Mnemonic.Js, Mnemonic.Jns, Mnemonic.Jp, Mnemonic.Jnp, Mnemonic.Jl, Mnemonic.Jge, Mnemonic.Jle, Mnemonic.Jg,
];

const target = (m: Meaning, o: Operand): Value => (o.kind === "branch" ? m.branchTarget(o) : m.get(o));

/** LOOP and its kin: count down RCX, ECX or CX (by the address size), go on while it is not 0 and `also` holds. */
const loop = (also?: (m: Meaning) => Value) => (m: Meaning, destination: Operand) => {
  const count = m.minus(m.register(RCX, m.addressSize), m.constant(1, m.addressSize));
  m.setRegister(RCX, count);
  const more = m.notEqual(count, m.constant(0, m.addressSize));
  m.jumpWhen(also === undefined ? more : m.and(more, also(m)), m.branchTarget(destination));
};

/** JCXZ, JECXZ, JRCXZ. */
const jumpWhenCountIsZero = (width: Width) => (m: Meaning, destination: Operand) =>
  m.jumpWhen(m.isZero(m.register(RCX, width)), m.branchTarget(destination));

const PREFETCH_OF_REGISTERS: ReadonlySet<Code> = new Set([
  Code.Reservednop_rm16_r16_0F0D,
  Code.Reservednop_rm32_r32_0F0D,
  Code.Reservednop_rm64_r64_0F0D,
]);

export const control = [
  {
    op: Mnemonic.Jmp,
    forms: near,
    access: ["r"],
    flags: none,
    does: (m, destination) => m.jump(target(m, destination)),
  },
  {
    op: Mnemonic.Call,
    forms: near,
    access: ["r"],
    flags: none,
    does: (m, destination) => {
      const to = target(m, destination);
      m.push(m.truncate(m.nextRip(), m.operandSize));
      m.jump(to, "call");
    },
  },
  {
    op: Mnemonic.Ret,
    access: ["r"],
    flags: none,
    does: (m, release?: Operand) => {
      const to = m.pop(m.operandSize);
      if (release !== undefined) {
        const stack = m.stackPointer();
        const bytes = m.get(release);
        m.setRegister(RSP, m.plus(stack, m.zeroExtend(bytes, stack.width)));
      }
      m.jump(to, "return");
    },
  },
  { op: JCC, access: ["r"], flags: none, does: (m, to) => m.jumpWhen(m.conditionOf(), m.branchTarget(to)) },
  { op: Mnemonic.Jcxz, access: ["r"], flags: none, does: jumpWhenCountIsZero(16) },
  { op: Mnemonic.Jecxz, access: ["r"], flags: none, does: jumpWhenCountIsZero(32) },
  { op: Mnemonic.Jrcxz, access: ["r"], flags: none, does: jumpWhenCountIsZero(64) },
  { op: Mnemonic.Loop, access: ["r"], flags: none, does: loop() },
  { op: Mnemonic.Loope, access: ["r"], flags: none, does: loop((m) => m.flag("ZF")) },
  { op: Mnemonic.Loopne, access: ["r"], flags: none, does: loop((m) => m.isZero(m.flag("ZF"))) },

  // PREFETCHW's opcode with a register (AMD APM vol. 3; to Intel it is a reserved NOP).
  {
    op: Mnemonic.Reservednop,
    forms: (code) => PREFETCH_OF_REGISTERS.has(code),
    flags: none,
    does: (m) => m.fault(UD),
  },
  // CET's ENDBR and RDSSP and some hints are in the space of reserved NOPs: without the feature, that is what they are.
  {
    op: [
      Mnemonic.Nop,
      Mnemonic.Reservednop,
      Mnemonic.Pause,
      Mnemonic.Endbr64,
      Mnemonic.Endbr32,
      Mnemonic.Rdsspd,
      Mnemonic.Rdsspq,
      Mnemonic.Cldemote,
      Mnemonic.Prefetchit0,
      Mnemonic.Prefetchit1,
    ],
    flags: none,
    does: () => {},
  },
  {
    op: [
      Mnemonic.Prefetchnta,
      Mnemonic.Prefetcht0,
      Mnemonic.Prefetcht1,
      Mnemonic.Prefetcht2,
      Mnemonic.Prefetch,
      Mnemonic.Prefetchw,
      Mnemonic.Prefetchwt1,
    ],
    access: ["-"], // hints never fault
    flags: none,
    does: () => {},
  },
  {
    op: [Mnemonic.Clflush, Mnemonic.Clflushopt, Mnemonic.Clwb],
    access: ["r"],
    flags: none,
    // There is no cache to flush; the manual has it checked like a load of one byte.
    does: (m, line) => void m.get({ ...line, width: 8 }),
  },
  { op: Mnemonic.Mfence, access: [], flags: none, does: (m) => m.fence() },
  // Loads are not reordered with loads, nor stores with stores: nothing is left for these to do.
  { op: [Mnemonic.Lfence, Mnemonic.Sfence], access: [], flags: none, does: () => {} },
  { op: [Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2], flags: none, does: (m) => m.fault(UD) },
  {
    op: Mnemonic.Bound,
    access: ["r", "r"],
    only: "legacy",
    flags: none,
    does: (m, index, bounds) => {
      const width = index.width as 16 | 32;
      // Two accesses, each with its own limit, alignment and page.
      const lower = m.get({ ...bounds, width });
      const upper = m.get({ ...m.displaced(bounds, m.constant(width / 8, 16)), width });
      const i = m.get(index);
      m.faultWhen(m.or(m.lessSigned(i, lower), m.lessSigned(upper, i)), BR);
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
