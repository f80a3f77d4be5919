// What only an operating system runs: control and debug registers, descriptor-table registers, HLT, INVLPG, ports;
// and the processor's own state: CPUID, FXSAVE. Intel SDM vol. 2. The rows check
// privilege and carry operands; microcode does the rest.

import { Mnemonic } from "../../iced.js";
import { MXCSR_MASK } from "../layout.js";
import type { Definition, Meaning, Operand, Value, Width } from "./define.js";
import { none, RAX, RBX, RCX, RDX } from "./define.js";

/** The first bytes of a memory operand that has several fields. */
export const field = (o: Operand, width: Width): Operand => ({ ...o, width });

export const resize = (m: Meaning, v: Value, width: Width): Value =>
  v.width === width ? v : v.width > width ? m.truncate(v, width) : m.zeroExtend(v, width);

const upperHalf = (m: Meaning, v: Value): Value => m.truncate(m.shiftRight(v, m.constant(32, 8)), 32);

/** RDMSR, RDTSC: a quadword to EDX:EAX. */
function toEdxEax(m: Meaning, v: Value): void {
  m.setRegister(RAX, m.truncate(v, 32));
  m.setRegister(RDX, upperHalf(m, v));
}

const loadTable = (name: "loadGdtr" | "loadIdtr") => (m: Meaning, table: Operand) => {
  const limit = m.get(field(table, 16));
  let base = m.get(field(m.displaced(table, m.constant(2, 16)), m.mode64 ? 64 : 32));
  if (m.operandSize === 16) base = m.bitsOf(base, 0, 24); // the 286's form
  m.assist(name, base, limit);
};
const storeTable = (interrupts: 0 | 1) => (m: Meaning, table: Operand) => {
  m.assist("storeTable", m.segmentNumber(table), m.address(table), interrupts);
};

const saveState = (name: "fxsave" | "fxrstor", wide: 0 | 1) => (m: Meaning, image: Operand) => {
  m.assist(name, m.segmentNumber(image), m.address(image), wide);
};

const UD = 6;
const GP = 13;
function setAlignmentCheck(m: Meaning, bit: 0 | 1): void {
  m.faultWhen(m.privilege(), UD);
  m.setFlag("AC", m.constant(bit, 8));
}

/** IN, OUT: the port is an immediate byte or DX. */
const portOf = (m: Meaning, o: Operand): Value => m.zeroExtend(m.get(o), 64);

export const system = [
  // --- control and debug registers; microcode asks for the privilege that debug registers want ---
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => kinds[1] === "control",
    access: ["w", "r"],
    privileged: true,
    flags: none,
    does: (m, dst, src) =>
      m.set(dst, resize(m, m.assist("readControl", m.registerNumber(src)), dst.width as Width)),
  },
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => kinds[0] === "control",
    access: ["w", "r"],
    privileged: true,
    ends: true,
    flags: none,
    does: (m, dst, src) => void m.assist("writeControl", m.registerNumber(dst), m.get(src)),
  },
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => kinds[1] === "debug",
    access: ["w", "r"],
    flags: none,
    does: (m, dst, src) =>
      m.set(dst, resize(m, m.assist("readDebug", m.registerNumber(src)), dst.width as Width)),
  },
  {
    op: Mnemonic.Mov,
    forms: (_code, kinds) => kinds[0] === "debug",
    access: ["w", "r"],
    ends: true,
    flags: none,
    does: (m, dst, src) => void m.assist("writeDebug", m.registerNumber(dst), m.get(src)),
  },
  {
    op: Mnemonic.Lmsw,
    access: ["r"],
    privileged: true,
    ends: true,
    flags: none,
    does: (m, src) => void m.assist("loadStatusWord", resize(m, m.get(src), 16)),
  },
  {
    op: Mnemonic.Smsw,
    access: ["w"],
    flags: none,
    does: (m, dst) => {
      m.assist("checkUserMode");
      m.set(dst, resize(m, m.assist("readControl", 0), dst.width as Width));
    },
  },
  {
    op: Mnemonic.Clts,
    access: [],
    privileged: true,
    ends: true,
    flags: none,
    does: (m) => void m.assist("clearTaskSwitched"),
  },

  // --- descriptor tables ---
  { op: Mnemonic.Lgdt, access: ["r"], privileged: true, flags: none, does: loadTable("loadGdtr") },
  { op: Mnemonic.Lidt, access: ["r"], privileged: true, flags: none, does: loadTable("loadIdtr") },
  { op: Mnemonic.Sgdt, access: ["w"], flags: none, does: storeTable(0) },
  { op: Mnemonic.Sidt, access: ["w"], flags: none, does: storeTable(1) },

  // --- caches and translations ---
  {
    op: Mnemonic.Invlpg,
    access: ["-"],
    privileged: true,
    ends: true,
    flags: none,
    does: (m, page) => void m.assist("invalidate", m.segmentNumber(page), m.address(page)),
  },
  // There is no cache to write back or to drop; they serialize.
  {
    op: [Mnemonic.Wbinvd, Mnemonic.Wbnoinvd, Mnemonic.Invd],
    access: [],
    privileged: true,
    flags: none,
    does: (m) => m.fence(),
  },

  // AC lets supervisor code touch user pages under SMAP: the engine then uses another bank of the TLB.
  { op: Mnemonic.Stac, access: [], ends: true, flags: "AC", does: (m) => setAlignmentCheck(m, 1) },
  { op: Mnemonic.Clac, access: [], ends: true, flags: "AC", does: (m) => setAlignmentCheck(m, 0) },

  {
    op: Mnemonic.Hlt,
    access: [],
    privileged: true,
    ends: true,
    flags: none,
    does: (m) => void m.assist("halt"),
  },

  // --- ports ---
  {
    op: Mnemonic.In,
    access: ["w", "r"],
    ends: true,
    flags: none,
    does: (m, dst, port) =>
      m.set(dst, resize(m, m.assist("portIn", portOf(m, port), dst.width / 8), dst.width as Width)),
  },
  {
    op: Mnemonic.Out,
    access: ["r", "r"],
    ends: true, // the write may raise an interrupt, or reset the machine
    flags: none,
    does: (m, port, src) => void m.assist("portOut", portOf(m, port), src.width / 8, m.get(src)),
  },

  // --- identity and time ---
  {
    op: Mnemonic.Cpuid,
    access: [],
    flags: none,
    does: (m) => {
      const lower = m.assist("cpuidLower", m.register(RAX, 32), m.register(RCX, 32));
      const upper = m.assist("cpuidUpper");
      m.setRegister(RAX, m.truncate(lower, 32));
      m.setRegister(RBX, upperHalf(m, lower));
      m.setRegister(RCX, m.truncate(upper, 32));
      m.setRegister(RDX, upperHalf(m, upper));
    },
  },
  { op: Mnemonic.Rdtsc, access: [], flags: none, does: (m) => toEdxEax(m, m.assist("rdtsc")) },
  {
    op: Mnemonic.Rdtscp,
    access: [],
    flags: none,
    does: (m) => {
      toEdxEax(m, m.assist("rdtsc"));
      m.setRegister(RCX, m.truncate(m.assist("readTscAux"), 32));
    },
  },
  {
    op: Mnemonic.Rdpmc,
    access: [],
    flags: none,
    does: (m) => toEdxEax(m, m.assist("rdpmc", m.register(RCX, 32))),
  },

  // --- x87 and SSE state ---
  { op: Mnemonic.Fxsave, access: ["w"], needs: "fpu", flags: none, does: saveState("fxsave", 0) },
  { op: Mnemonic.Fxsave64, access: ["w"], needs: "fpu", flags: none, does: saveState("fxsave", 1) },
  { op: Mnemonic.Fxrstor, access: ["r"], needs: "fpu", flags: none, does: saveState("fxrstor", 0) },
  { op: Mnemonic.Fxrstor64, access: ["r"], needs: "fpu", flags: none, does: saveState("fxrstor", 1) },
  {
    op: Mnemonic.Ldmxcsr,
    access: ["r"],
    needs: "sse",
    flags: none,
    does: (m, src) => {
      const v = m.get(src);
      m.faultWhen(m.notEqual(m.and(v, m.constant(~MXCSR_MASK, 32)), m.constant(0, 32)), GP, 0);
      m.setMxcsr(v);
    },
  },
  { op: Mnemonic.Stmxcsr, access: ["w"], needs: "sse", flags: none, does: (m, dst) => m.set(dst, m.mxcsr()) },
] satisfies readonly Definition[] as readonly Definition[];
