// Segment registers and questions about descriptors: MOV, PUSH and POP of segment registers, LDS and its kin, SLDT STR
// LLDT LTR, LAR LSL VERR VERW ARPL. Intel SDM vol. 2. Loads and their checks are microcode (microcode/segments.ts).

import { Mnemonic } from "../../iced.js";
import { CS, DS, ES, FS, GS, LDTR, SHADOW_STACK, SS, TR } from "../layout.js";
import type { Definition, Meaning, Operand, Value, Width } from "./define.js";
import { none } from "./define.js";
import { field, resize } from "./system.js";

const UD = 6;
const isSegment = (kind: Operand["kind"] | undefined) => kind === "segment";

/** Nothing may come between loading SS and loading the stack pointer. */
function holdAfterStackSegment(m: Meaning, number: Value): void {
  m.when(m.equal(number, m.constant(SS, 32)), () => m.shadow(SHADOW_STACK));
}

/** LDS LES LSS LFS LGS: the offset, and the selector behind it. */
const loadFar = (segment: number) => (m: Meaning, dst: Operand, pointer: Operand) => {
  const width = dst.width as Width;
  const offset = m.get(field(pointer, width));
  const selector = m.get(field(m.displaced(pointer, m.constant(width / 8, 16)), 16));
  m.assist("loadSegment", segment, selector);
  m.set(dst, offset);
};

const storeSelector = (register: number) => (m: Meaning, dst: Operand) => {
  m.assist("checkUserMode");
  m.set(dst, resize(m, m.assist("readSelector", register), dst.width as Width));
};

/** Bit 63 of what the four questions give says that the selector passed. */
const describe = (name: "lar" | "lsl") => (m: Meaning, dst: Operand, selector: Operand) => {
  const answer = m.assist(name, resize(m, m.get(selector), 16));
  const passed = m.signBit(answer);
  m.setFlag("ZF", passed);
  m.when(passed, () => m.set(dst, resize(m, m.bitsOf(answer, 0, 32), dst.width as Width)));
};
const verify = (name: "verr" | "verw") => (m: Meaning, selector: Operand) =>
  m.setFlag("ZF", m.signBit(m.assist(name, resize(m, m.get(selector), 16))));

export const segments = [
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => isSegment(kinds[1]),
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) => m.set(dst, resize(m, m.get(src), dst.width as Width)),
  },
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => isSegment(kinds[0]),
    access: ["w", "r"],
    ends: true, // the width of the stack is part of how code is decoded
    flags: none,
    does: (m, dst, src) => {
      const number = m.registerNumber(dst);
      m.faultWhen(m.equal(number, m.constant(CS, 32)), UD);
      m.assist("loadSegment", number, resize(m, m.get(src), 16));
      holdAfterStackSegment(m, number);
    },
  },
  {
    op: Mnemonic.Push,
    forms: (_code, kinds) => isSegment(kinds[0]),
    access: ["r"],
    flags: none,
    does: (m, src) => m.push(resize(m, m.get(src), m.operandSize)),
  },
  {
    op: Mnemonic.Pop,
    forms: (_code, kinds) => isSegment(kinds[0]),
    access: ["w"],
    ends: true,
    flags: none,
    does: (m, dst) => {
      const number = m.registerNumber(dst);
      m.assist("loadSegment", number, resize(m, m.pop(m.operandSize), 16));
      holdAfterStackSegment(m, number);
    },
  },
  { op: Mnemonic.Lds, access: ["w", "r"], only: "legacy", flags: none, does: loadFar(DS) },
  { op: Mnemonic.Les, access: ["w", "r"], only: "legacy", flags: none, does: loadFar(ES) },
  { op: Mnemonic.Lss, access: ["w", "r"], ends: true, flags: none, does: loadFar(SS) },
  { op: Mnemonic.Lfs, access: ["w", "r"], flags: none, does: loadFar(FS) },
  { op: Mnemonic.Lgs, access: ["w", "r"], flags: none, does: loadFar(GS) },

  { op: Mnemonic.Sldt, access: ["w"], only: "protected", flags: none, does: storeSelector(LDTR) },
  { op: Mnemonic.Str, access: ["w"], only: "protected", flags: none, does: storeSelector(TR) },
  {
    op: Mnemonic.Lldt,
    access: ["r"],
    only: "protected",
    privileged: true,
    flags: none,
    does: (m, src) => void m.assist("loadLdtr", resize(m, m.get(src), 16)),
  },
  {
    op: Mnemonic.Ltr,
    access: ["r"],
    only: "protected",
    privileged: true,
    flags: none,
    does: (m, src) => void m.assist("loadTr", resize(m, m.get(src), 16)),
  },

  { op: Mnemonic.Lar, access: ["w", "r"], only: "protected", flags: "ZF", does: describe("lar") },
  { op: Mnemonic.Lsl, access: ["w", "r"], only: "protected", flags: "ZF", does: describe("lsl") },
  { op: Mnemonic.Verr, access: ["r"], only: "protected", flags: "ZF", does: verify("verr") },
  { op: Mnemonic.Verw, access: ["r"], only: "protected", flags: "ZF", does: verify("verw") },
  {
    op: Mnemonic.Arpl,
    access: ["r", "r"], // and written only where it changes, as on AMD's processors
    only: "protected",
    flags: "ZF",
    does: (m, dst, src) => {
      // A 32-bit register keeps its upper half: the operand is a word whatever its name says.
      const whole = m.get(dst);
      const selector = resize(m, whole, 16);
      const level = m.bitsOf(resize(m, m.get(src), 16), 0, 2);
      const below = m.lessUnsigned(m.bitsOf(selector, 0, 2), level);
      const raised = m.or(m.and(selector, m.constant(0xfffc, 16)), level);
      m.setFlag("ZF", below);
      const above = m.and(whole, m.constant(~0xffff, whole.width));
      m.when(below, () => m.set(dst, m.or(above, resize(m, raised, whole.width))));
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
