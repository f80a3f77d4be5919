// What operating systems turn on: FSGSBASE, PKU, INVPCID, XSAVE, MONITOR; and what every program may ask: RDPID, RDRAND,
// RDSEED. Intel SDM vol. 2; AMD APM vol. 3 and 4. Microcode decides, rows carry operands.

import { Mnemonic } from "../../iced.js";
import { FS, GS } from "../layout.js";
import type { Definition, Meaning, Operand, Width } from "./define.js";
import { none, OSZAPC, RAX, RCX, RDX } from "./define.js";
import { field, resize } from "./system.js";

const readBase = (segment: number) => (m: Meaning, dst: Operand) =>
  m.set(dst, resize(m, m.assist("readSegmentBase", segment), dst.width as Width));
const writeBase = (segment: number) => (m: Meaning, src: Operand) =>
  void m.assist("writeSegmentBase", segment, m.get(src));

/** How to save, as microcode/xsave.ts has it. */
const WIDE = 1;
const OPTIMIZED = 2;
const COMPACTED = 4;
const save = (how: number) => (m: Meaning, area: Operand) => {
  m.assist("xsave", m.segmentNumber(area), m.address(area), how);
};
const restore = (how: number) => (m: Meaning, area: Operand) => {
  m.assist("xrstor", m.segmentNumber(area), m.address(area), how);
};

/** MONITOR's address is in DS or the segment of its prefix, and in no operand. */
const MONITORED: Operand = { kind: "memory", width: 8 };

export const extended = [
  { op: Mnemonic.Rdfsbase, access: ["w"], only: "mode64", flags: none, does: readBase(FS) },
  { op: Mnemonic.Rdgsbase, access: ["w"], only: "mode64", flags: none, does: readBase(GS) },
  { op: Mnemonic.Wrfsbase, access: ["r"], only: "mode64", flags: none, does: writeBase(FS) },
  { op: Mnemonic.Wrgsbase, access: ["r"], only: "mode64", flags: none, does: writeBase(GS) },

  {
    op: Mnemonic.Rdpkru,
    access: [],
    flags: none,
    does: (m) => {
      const rights = m.assist("accessKeys", 0, m.register(RCX, 32), 0, 0);
      m.setRegister(RAX, m.truncate(rights, 32));
      m.setRegister(RDX, m.constant(0, 32));
    },
  },
  {
    op: Mnemonic.Wrpkru,
    access: [],
    flags: none,
    does: (m) => {
      m.assist("accessKeys", 1, m.register(RCX, 32), m.register(RDX, 32), m.register(RAX, 32));
    },
  },
  {
    op: Mnemonic.Invpcid,
    access: ["r", "r"],
    privileged: true,
    ends: true,
    flags: none,
    does: (m, type, descriptor) => {
      const context = m.get(field(descriptor, 64));
      const address = m.get(field(m.displaced(descriptor, m.constant(8, 16)), 64));
      m.assist("invalidateContext", m.get(type), context, address);
    },
  },

  // --- the state of several units at once ---
  { op: Mnemonic.Xsave, access: ["rw"], flags: none, does: save(0) },
  { op: Mnemonic.Xsave64, access: ["rw"], flags: none, does: save(WIDE) },
  { op: Mnemonic.Xsaveopt, access: ["rw"], flags: none, does: save(OPTIMIZED) },
  { op: Mnemonic.Xsaveopt64, access: ["rw"], flags: none, does: save(OPTIMIZED | WIDE) },
  { op: Mnemonic.Xsavec, access: ["w"], flags: none, does: save(COMPACTED) },
  { op: Mnemonic.Xsavec64, access: ["w"], flags: none, does: save(COMPACTED | WIDE) },
  { op: Mnemonic.Xsaves, access: ["w"], privileged: true, flags: none, does: save(COMPACTED) },
  { op: Mnemonic.Xsaves64, access: ["w"], privileged: true, flags: none, does: save(COMPACTED | WIDE) },
  { op: Mnemonic.Xrstors, access: ["r"], privileged: true, flags: none, does: restore(COMPACTED) },
  { op: Mnemonic.Xrstors64, access: ["r"], privileged: true, flags: none, does: restore(COMPACTED | WIDE) },
  { op: Mnemonic.Xrstor, access: ["r"], flags: none, does: restore(0) },
  { op: Mnemonic.Xrstor64, access: ["r"], flags: none, does: restore(WIDE) },
  {
    op: Mnemonic.Xgetbv,
    access: [],
    flags: none,
    does: (m) => {
      const mask = m.assist("xgetbv", m.register(RCX, 32));
      m.setRegister(RAX, m.truncate(mask, 32));
      m.setRegister(RDX, m.constant(0, 32)); // no component beyond 31
    },
  },
  {
    op: Mnemonic.Xsetbv,
    access: [],
    ends: true,
    flags: none,
    does: (m) => {
      m.assist("xsetbv", m.register(RCX, 32), m.register(RDX, 32), m.register(RAX, 32));
    },
  },

  // --- waiting for a store ---
  {
    op: Mnemonic.Monitor,
    access: [],
    flags: none,
    does: (m) => {
      const offset = m.zeroExtend(m.register(RAX, m.addressSize), 64);
      m.assist("monitor", m.segmentNumber(MONITORED), offset, m.register(RCX, 32));
    },
  },
  {
    op: Mnemonic.Mwait,
    access: [],
    ends: true,
    flags: none,
    does: (m) => void m.assist("mwait", m.register(RCX, 32)),
  },

  {
    op: Mnemonic.Rdpid,
    access: ["w"],
    flags: none,
    does: (m, dst) => m.set(dst, resize(m, m.assist("readTscAux"), dst.width as Width)),
  },
  {
    op: [Mnemonic.Rdrand, Mnemonic.Rdseed],
    access: ["w"],
    flags: OSZAPC,
    does: (m, dst) => {
      m.set(dst, resize(m, m.assist("random"), dst.width as Width));
      // A number is always there: CF says so, the other flags are cleared.
      for (const flag of ["OF", "SF", "ZF", "AF", "PF"] as const) m.setFlag(flag, m.constant(0, 8));
      m.setFlag("CF", m.constant(1, 8));
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
