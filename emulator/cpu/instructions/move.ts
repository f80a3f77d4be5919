// Moves of general registers and memory: MOV, extensions, exchanges, conditional moves, LEA, XLAT, BSWAP, CBW.. CQO.
// Intel SDM vol. 2. MOV of segment, control and debug registers has rows of its own in segments.ts and system.ts.

import { Code, Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Width } from "./define.js";
import { none, RAX, RBX, RDX } from "./define.js";

const SYSTEM_KINDS: readonly Operand["kind"][] = ["segment", "control", "debug"];

const extend =
  (operation: "zeroExtend" | "signExtend") =>
  (m: Meaning, dst: Operand, src: Operand): void =>
    m.set(dst, m[operation](m.get(src), dst.width as Width));

/** RAX := its own lower half, sign-extended: CBW CWDE CDQE. */
const widen = (from: Width, to: Width) => (m: Meaning) =>
  m.setRegister(RAX, m.signExtend(m.register(RAX, from), to));

/** RDX := copies of RAX's sign: CWD CDQ CQO. */
const spread = (width: Width) => (m: Meaning) =>
  m.setRegister(RDX, m.shiftRightSigned(m.register(RAX, width), m.constant(width - 1, 8)));

// biome-ignore format: a table
const CMOVCC = [
  Mnemonic.Cmovo, Mnemonic.Cmovno, Mnemonic.Cmovb, Mnemonic.Cmovae, Mnemonic.Cmove, Mnemonic.Cmovne, Mnemonic.Cmovbe, Mnemonic.Cmova,
  Mnemonic.Cmovs, Mnemonic.Cmovns, Mnemonic.Cmovp, Mnemonic.Cmovnp, Mnemonic.Cmovl, Mnemonic.Cmovge, Mnemonic.Cmovle, Mnemonic.Cmovg,
];
// biome-ignore format: a table
const SETCC = [
  Mnemonic.Seto, Mnemonic.Setno, Mnemonic.Setb, Mnemonic.Setae, Mnemonic.Sete, Mnemonic.Setne, Mnemonic.Setbe, Mnemonic.Seta,
  Mnemonic.Sets, Mnemonic.Setns, Mnemonic.Setp, Mnemonic.Setnp, Mnemonic.Setl, Mnemonic.Setge, Mnemonic.Setle, Mnemonic.Setg,
];

export const move = [
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => !kinds.some((kind) => SYSTEM_KINDS.includes(kind)),
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) => m.set(dst, m.get(src)),
  },
  {
    op: Mnemonic.Movnti, // the non-temporal hint changes no order here: stores are never combined
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) => m.set(dst, m.get(src)),
  },
  {
    op: Mnemonic.Movbe,
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) => m.set(dst, m.byteSwap(m.get(src))),
  },
  { op: Mnemonic.Movzx, access: ["w", "r"], flags: none, does: extend("zeroExtend") },
  {
    // AMD APM vol. 3: the source is 32 bits wide even then, and memory is read so.
    op: Mnemonic.Movsxd,
    forms: (code) => code === Code.Movsxd_r16_rm16,
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) => {
      const v = m.get(m.isMemory(src) ? { ...src, width: 32 } : src);
      m.set(dst, m.truncate(v, 16));
    },
  },
  { op: [Mnemonic.Movsx, Mnemonic.Movsxd], access: ["w", "r"], flags: none, does: extend("signExtend") },
  {
    op: Mnemonic.Xchg,
    access: ["rw", "rw"],
    lock: "always",
    flags: none,
    does: (m, a, b) => {
      const first = m.get(a);
      const second = m.get(b);
      m.set(a, second);
      m.set(b, first);
    },
  },
  {
    op: CMOVCC,
    access: ["rw", "r"], // the load happens, and may fault, whatever the condition says
    flags: none,
    does: (m, dst, src) => m.set(dst, m.select(m.conditionOf(), m.get(src), m.get(dst))),
  },
  { op: SETCC, access: ["w"], flags: none, does: (m, dst) => m.set(dst, m.conditionOf()) },
  {
    op: Mnemonic.Lea,
    access: ["w", "-"],
    flags: none,
    does: (m, dst, src) => {
      const address = m.address(src);
      const width = dst.width as Width;
      m.set(dst, width < address.width ? m.truncate(address, width) : m.zeroExtend(address, width));
    },
  },
  {
    op: Mnemonic.Bswap,
    access: ["rw"],
    flags: none,
    // With a 16-bit operand the manual leaves the result undefined; processors give zero.
    does: (m, dst) => m.set(dst, dst.width === 16 ? m.constant(0, 16) : m.byteSwap(m.get(dst))),
  },
  {
    op: Mnemonic.Xlatb,
    access: ["r"],
    flags: none,
    does: (m) => {
      const width = m.addressSize;
      const offset = m.plus(m.register(RBX, width), m.zeroExtend(m.register(RAX, 8), width));
      m.setRegister(RAX, m.load(m.segmentOf(), offset, 8));
    },
  },
  { op: Mnemonic.Cbw, access: [], flags: none, does: widen(8, 16) },
  { op: Mnemonic.Cwde, access: [], flags: none, does: widen(16, 32) },
  { op: Mnemonic.Cdqe, access: [], flags: none, does: widen(32, 64) },
  { op: Mnemonic.Cwd, access: [], flags: none, does: spread(16) },
  { op: Mnemonic.Cdq, access: [], flags: none, does: spread(32) },
  { op: Mnemonic.Cqo, access: [], flags: none, does: spread(64) },
] satisfies readonly Definition[] as readonly Definition[];
