// String instructions: MOVS STOS LODS CMPS SCAS INS OUTS. Intel SDM vol. 2. A row is one iteration; the engine counts
// for REP, and stops REPE and REPNE by ZF. The source is in DS or the overriding segment, the destination always in ES.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Width } from "./define.js";
import { none, OSZAPC, RAX, RDI, RDX, RSI } from "./define.js";

type Index = typeof RSI | typeof RDI;

/** Moves the index registers to the next element, downwards when DF is set. */
function advance(m: Meaning, width: Width, ...indexes: Index[]): void {
  const bytes = width / 8;
  const a = m.addressSize;
  const step = m.select(m.flag("DF"), m.constant(-bytes, a), m.constant(bytes, a));
  for (const r of indexes) m.setRegister(r, m.plus(m.register(r, a), step));
}

const source = (m: Meaning, width: Width): Value =>
  m.load(m.segmentOf(), m.register(RSI, m.addressSize), width);
const destination = (m: Meaning, width: Width): Value => m.load("es", m.register(RDI, m.addressSize), width);
const store = (m: Meaning, v: Value): void => m.store("es", m.register(RDI, m.addressSize), v);

const moves = (width: Width) => (m: Meaning) => {
  store(m, source(m, width));
  advance(m, width, RSI, RDI);
};
const stores = (width: Width) => (m: Meaning) => {
  store(m, m.register(RAX, width));
  advance(m, width, RDI);
};
const loads = (width: Width) => (m: Meaning) => {
  m.setRegister(RAX, source(m, width));
  advance(m, width, RSI);
};
const compares = (width: Width) => (m: Meaning) => {
  m.sub(source(m, width), destination(m, width));
  advance(m, width, RSI, RDI);
};
const scans = (width: Width) => (m: Meaning) => {
  m.sub(m.register(RAX, width), destination(m, width));
  advance(m, width, RDI);
};
const port = (m: Meaning): Value => m.zeroExtend(m.register(RDX, 16), 64);

/** Processors ask for permission first, also when REP finds a count of zero; the SDM does not say. */
const permission = (width: Width) => (m: Meaning) => void m.assist("portCheck", port(m), width / 8);

/** Permission comes first; and INS probes, as a port that has been read cannot be read again after a fault. */
const inputs = (width: Width) => (m: Meaning) => {
  m.assist("portCheck", port(m), width / 8);
  m.probe("es", m.register(RDI, m.addressSize), width);
  store(m, m.truncate(m.assist("portIn", port(m), width / 8), width));
  advance(m, width, RDI);
};
const outputs = (width: Width) => (m: Meaning) => {
  m.assist("portCheck", port(m), width / 8);
  const v = source(m, width);
  m.assist("portOut", port(m), width / 8, m.zeroExtend(v, 64));
  advance(m, width, RSI);
};

/** MOVSD and CMPSD are also the names of SSE2 instructions, which have an XMM operand. */
const notVector = (_code: unknown, kinds: readonly Operand["kind"][]) => !kinds.includes("xmm");

export const string = [
  { op: Mnemonic.Movsb, access: ["w", "r"], repeat: "count", flags: none, does: moves(8) },
  { op: Mnemonic.Movsw, access: ["w", "r"], repeat: "count", flags: none, does: moves(16) },
  {
    op: Mnemonic.Movsd,
    forms: notVector,
    access: ["w", "r"],
    repeat: "count",
    flags: none,
    does: moves(32),
  },
  { op: Mnemonic.Movsq, access: ["w", "r"], repeat: "count", flags: none, does: moves(64) },
  { op: Mnemonic.Stosb, access: ["w", "r"], repeat: "count", flags: none, does: stores(8) },
  { op: Mnemonic.Stosw, access: ["w", "r"], repeat: "count", flags: none, does: stores(16) },
  { op: Mnemonic.Stosd, access: ["w", "r"], repeat: "count", flags: none, does: stores(32) },
  { op: Mnemonic.Stosq, access: ["w", "r"], repeat: "count", flags: none, does: stores(64) },
  { op: Mnemonic.Lodsb, access: ["w", "r"], repeat: "count", flags: none, does: loads(8) },
  { op: Mnemonic.Lodsw, access: ["w", "r"], repeat: "count", flags: none, does: loads(16) },
  { op: Mnemonic.Lodsd, access: ["w", "r"], repeat: "count", flags: none, does: loads(32) },
  { op: Mnemonic.Lodsq, access: ["w", "r"], repeat: "count", flags: none, does: loads(64) },
  { op: Mnemonic.Cmpsb, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: compares(8) },
  { op: Mnemonic.Cmpsw, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: compares(16) },
  {
    op: Mnemonic.Cmpsd,
    forms: notVector,
    access: ["r", "r"],
    repeat: "while",
    flags: OSZAPC,
    does: compares(32),
  },
  { op: Mnemonic.Cmpsq, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: compares(64) },
  { op: Mnemonic.Scasb, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: scans(8) },
  { op: Mnemonic.Scasw, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: scans(16) },
  { op: Mnemonic.Scasd, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: scans(32) },
  { op: Mnemonic.Scasq, access: ["r", "r"], repeat: "while", flags: OSZAPC, does: scans(64) },
  {
    op: Mnemonic.Insb,
    access: ["w", "r"],
    repeat: "count",
    beforeCount: permission(8),
    flags: none,
    does: inputs(8),
  },
  {
    op: Mnemonic.Insw,
    access: ["w", "r"],
    repeat: "count",
    beforeCount: permission(16),
    flags: none,
    does: inputs(16),
  },
  {
    op: Mnemonic.Insd,
    access: ["w", "r"],
    repeat: "count",
    beforeCount: permission(32),
    flags: none,
    does: inputs(32),
  },
  {
    op: Mnemonic.Outsb,
    access: ["r", "r"],
    repeat: "count",
    beforeCount: permission(8),
    flags: none,
    does: outputs(8),
  },
  {
    op: Mnemonic.Outsw,
    access: ["r", "r"],
    repeat: "count",
    beforeCount: permission(16),
    flags: none,
    does: outputs(16),
  },
  {
    op: Mnemonic.Outsd,
    access: ["r", "r"],
    repeat: "count",
    beforeCount: permission(32),
    flags: none,
    does: outputs(32),
  },
] satisfies readonly Definition[] as readonly Definition[];
