// Segment loads, far transfers, call gates, fast system calls, and the way between modes. Intel SDM vol. 2 and vol.
// 3A, chapters 5 and 9.8.

import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  BIG,
  CODE,
  CR0,
  CR4,
  DATA,
  descriptor,
  EFER,
  enterLong,
  enterProtected,
  GDT,
  GRANULAR,
  LONG,
  MSR_EFER,
  must,
  P,
  selector,
  Tables,
  TSS,
  U,
  W,
} from "../support/paging.js";

const [RCX, RDX, RSP, R11] = [1, 2, 4, 11];
const STACK = 0x6000n;
const SPARE = 0x60; // a free GDT slot of 16 bytes, before another one
const SPARE2 = 0x70;
const notPresent = (d: bigint) => d & ~(0x80n << 40n);
const system = (type: number, dpl: number, base = 0, limit = 0) =>
  descriptor(type, dpl, 0, base, limit) & ~(0x10n << 40n);

function long() {
  const m = new Microcode();
  enterLong(m, new Tables(m).identity(P | W | U));
  m.setGpr(RSP, STACK);
  m.setU64(L.RIP, 0x8000n);
  m.write64(TSS + 4, 0x7000n);
  return m;
}
function protectedMode() {
  const m = new Microcode();
  enterProtected(m);
  m.setGpr(RSP, STACK);
  m.setU64(L.RIP, 0x8000n);
  m.physical.setUint32(TSS + 4, 0x7000, true);
  m.physical.setUint16(TSS + 8, selector.data, true);
  return m;
}
/** Ring 3 without the trip: CS, SS and CPL as they would be. */
function ring3(m: Microcode, code: number = selector.userCode32) {
  const bits = m.u32(L.MODE) & L.MODE_LONG ? 8 : 4;
  const write = (at: number, v: number) =>
    bits === 8 ? m.write64(at, BigInt(v)) : m.physical.setUint32(at, v, true);
  [0x40_1000, code, 2, 0x5000, selector.userData].forEach((v, i) => {
    write(0x5800 + bits * i, v);
  });
  m.setGpr(RSP, 0x5800);
  must(m, "iret", bits);
}

// SDM vol. 2, MOV
describe("loading a segment register", () => {
  type Case = [
    what: string,
    index: number,
    value: number,
    descriptor: bigint | undefined,
    fault?: [number, number],
  ];
  const cases: Case[] = [
    ["DS null", L.DS, 3, undefined],
    ["DS data", L.DS, SPARE, descriptor(DATA, 0, BIG)],
    ["DS readable code", L.DS, SPARE, descriptor(CODE, 0, BIG)],
    ["DS execute-only code", L.DS, SPARE, descriptor(0x9, 0, BIG), [13, SPARE]],
    ["DS a system segment", L.DS, SPARE, system(2, 0), [13, SPARE]],
    ["DS not present", L.DS, SPARE, notPresent(descriptor(DATA, 0, BIG)), [11, SPARE]],
    ["DS beyond the GDT", L.DS, 0x100, undefined, [13, 0x100]],
    ["DS in an LDT that is not there", L.DS, 0x0c, undefined, [13, 0x0c]],
    ["DS with an RPL beyond its DPL", L.DS, SPARE | 1, descriptor(DATA, 0, BIG), [13, SPARE]],
    ["DS conforming code with any RPL", L.DS, SPARE | 3, descriptor(CODE | 4, 0, BIG)],
    ["SS writable data", L.SS, SPARE, descriptor(DATA, 0, BIG)],
    ["SS null", L.SS, 0, undefined, [13, 0]],
    ["SS read-only", L.SS, SPARE, descriptor(0x1, 0, BIG), [13, SPARE]],
    ["SS code", L.SS, SPARE, descriptor(CODE, 0, BIG), [13, SPARE]],
    ["SS with another RPL", L.SS, SPARE | 1, descriptor(DATA, 0, BIG), [13, SPARE]],
    ["SS with another DPL", L.SS, SPARE, descriptor(DATA, 1, BIG), [13, SPARE]],
    ["SS not present", L.SS, SPARE, notPresent(descriptor(DATA, 0, BIG)), [12, SPARE]],
  ];
  for (const [what, index, value, entry, fault] of cases)
    test(what, () => {
      const m = protectedMode();
      if (entry !== undefined) m.write64(GDT + SPARE, entry);
      const before = m.segment(index);
      const raised = m.faultOf("loadSegment", index, value);
      if (fault === undefined) {
        expect(raised).toBeUndefined();
        expect(m.segment(index).selector).toBe(value);
      } else {
        expect(raised).toMatchObject({ vector: fault[0], error: fault[1] });
        expect(m.segment(index)).toEqual(before);
      }
    });

  test("base, limit, attributes and the accessed bit", () => {
    const m = protectedMode();
    m.write64(GDT + SPARE, descriptor(0x2, 0, GRANULAR | BIG, 0x1234_5678, 0x12));
    must(m, "loadSegment", L.ES, SPARE);
    expect(m.segment(L.ES)).toEqual({
      selector: SPARE,
      attributes: 0xc0_9300,
      base: 0x1234_5678n,
      limit: 0x1_2fff,
    });
    expect((m.read64(GDT + SPARE) >> 40n) & 1n).toBe(1n);
  });

  test("ring 3 may not load what ring 0 owns", () => {
    const m = protectedMode();
    ring3(m);
    expect(m.faultOf("loadSegment", L.DS, selector.data)).toMatchObject({ vector: 13, error: selector.data });
    must(m, "loadSegment", L.DS, selector.userData);
  });

  test("64-bit ring 0 may have a null SS", () => {
    const m = long();
    must(m, "loadSegment", L.SS, 0);
    expect(m.segment(L.SS).attributes).toBe(0);
    ring3(m, selector.userCode64);
    expect(m.faultOf("loadSegment", L.SS, 3)).toMatchObject({ vector: 13, error: 0 });
  });

  test("through the LDT", () => {
    const m = protectedMode();
    m.write64(GDT + SPARE, system(2, 0, 0x4000, 0x1f));
    must(m, "loadLdtr", SPARE);
    m.write64(0x4000 + 0x18, descriptor(DATA, 0, BIG, 0x5_0000));
    must(m, "loadSegment", L.ES, 0x1c);
    expect(m.segment(L.ES).base).toBe(0x5_0000n);
    expect(m.faultOf("loadSegment", L.ES, 0x24)).toMatchObject({ vector: 13, error: 0x24 });
    must(m, "loadLdtr", 0);
    expect(m.faultOf("loadSegment", L.ES, 0x1c)).toMatchObject({ vector: 13, error: 0x1c });
  });

  // SDM vol. 3A, 10.9.1 and 21.1.1: segment registers of real mode
  test("real mode keeps a limit that protected mode set", () => {
    const m = protectedMode();
    must(m, "writeControl", 0, CR0.ET);
    must(m, "loadSegment", L.DS, 0x1234);
    expect(m.segment(L.DS)).toMatchObject({ base: 0x1_2340n, limit: 0xffff_ffff });
    expect(must(m, "linear", L.DS, 0x1_0000, 4, L.ACCESS_WRITE)).toBe(0x2_2340n);
  });

  // SDM vol. 3A, 5.3: limits, types and null segments of an access
  test("segmented accesses: limits, expand-down, types, null", () => {
    const m = protectedMode();
    const check = (entry: bigint, offset: number, bytes: number, access: number) => {
      m.write64(GDT + SPARE, entry);
      must(m, "loadSegment", L.DS, SPARE);
      return m.faultOf("linear", L.DS, offset, bytes, access) === undefined;
    };
    const [read, write] = [L.ACCESS_READ, L.ACCESS_WRITE];
    const data = descriptor(DATA, 0, BIG, 0x1000, 0xff);
    expect([
      check(data, 0xfc, 4, read),
      check(data, 0xfd, 4, read),
      check(data, 0xffff_ffff, 2, read),
    ]).toEqual([true, false, false]);
    const down = descriptor(DATA | 4, 0, BIG, 0, 0xff);
    expect([
      check(down, 0x100, 4, write),
      check(down, 0xff, 1, write),
      check(down, 0xffff_fffe, 4, write),
    ]).toEqual([true, false, false]);
    const narrow = descriptor(DATA | 4, 0, 0, 0, 0xff);
    expect([check(narrow, 0xfffc, 4, write), check(narrow, 0xfffd, 4, write)]).toEqual([true, false]);
    const readOnly = descriptor(1, 0, BIG);
    expect([check(readOnly, 0, 4, read), check(readOnly, 0, 4, write)]).toEqual([true, false]);
    const code = descriptor(CODE, 0, BIG);
    expect([check(code, 0, 4, read), check(code, 0, 4, write)]).toEqual([true, false]);
    must(m, "loadSegment", L.DS, 0);
    expect(m.faultOf("linear", L.DS, 0, 1, read)).toMatchObject({ vector: 13, error: 0 });
    expect(m.faultOf("linear", L.SS, 0xffff_ffff, 2, read)).toMatchObject({ vector: 12, error: 0 });
  });
});

describe("LTR, LLDT and questions", () => {
  // SDM vol. 2, LTR
  test("LTR takes an available TSS and makes it busy", () => {
    const m = long();
    expect((m.read64(GDT + selector.task) >> 40n) & 15n).toBe(11n);
    expect(m.segment(L.TR)).toMatchObject({ selector: selector.task, base: BigInt(TSS) });
    expect(m.faultOf("loadTr", selector.task)).toMatchObject({ vector: 13, error: selector.task });
    expect(m.faultOf("loadTr", 0)).toMatchObject({ vector: 13, error: 0 });
    m.write64(GDT + SPARE, notPresent(system(9, 0)));
    expect(m.faultOf("loadTr", SPARE)).toMatchObject({ vector: 11, error: SPARE });
    m.write64(GDT + SPARE, system(9, 0, 0x3000, 0x67));
    m.write64(GDT + SPARE + 8, 0xffff_8000n);
    must(m, "loadTr", SPARE);
    expect(m.segment(L.TR).base).toBe(0xffff_8000_0000_3000n);
  });

  // SDM vol. 2, LAR, LSL, VERR and VERW
  test("LAR, LSL, VERR and VERW by type, DPL and RPL", () => {
    const m = protectedMode();
    const passed = 1n << 63n;
    m.write64(GDT + SPARE, descriptor(DATA, 1, GRANULAR | BIG, 0x12_3456, 0x1f));
    expect(must(m, "lar", SPARE)).toBe(passed | 0xc0_b300n);
    expect(must(m, "lsl", SPARE)).toBe(passed | 0x1_ffffn);
    expect([must(m, "verr", SPARE), must(m, "verw", SPARE | 1)]).toEqual([passed, passed]);
    expect([must(m, "lar", SPARE | 2), must(m, "verw", SPARE | 2)]).toEqual([0n, 0n]);
    expect([must(m, "verr", selector.code32), must(m, "verw", selector.code32)]).toEqual([passed, 0n]);
    expect([must(m, "lar", 0), must(m, "lsl", 0xfff8)]).toEqual([0n, 0n]);
    m.write64(GDT + SPARE, system(12, 0)); // a call gate has rights but no limit
    expect([must(m, "lar", SPARE) >> 63n, must(m, "lsl", SPARE)]).toEqual([1n, 0n]);
    m.write64(GDT + SPARE, system(14, 0));
    expect(must(m, "lar", SPARE)).toBe(0n);
  });

  // SDM vol. 3A, 2.5: UMIP
  test("UMIP keeps the tables from ring 3", () => {
    const m = long();
    must(m, "storeTable", L.DS, 0x4000, 0);
    expect([m.physical.getUint16(0x4000, true), m.physical.getBigUint64(0x4002, true)]).toEqual([
      0xff,
      BigInt(GDT),
    ]);
    ring3(m, selector.userCode64);
    must(m, "storeTable", L.DS, 0x4000, 1);
    m.setU64(L.CR4, m.u64(L.CR4) | CR4.UMIP);
    expect(m.faultOf("storeTable", L.DS, 0x4000, 1)).toMatchObject({ vector: 13, error: 0 });
    expect(m.faultOf("checkUserMode")).toMatchObject({ vector: 13, error: 0 });
  });
});

// SDM vol. 3A, 5.8
describe("far transfers", () => {
  test("CALL and RET at the same level, 32 and 64 bits", () => {
    for (const bytes of [4, 8]) {
      const m = bytes === 8 ? long() : protectedMode();
      const code = bytes === 8 ? selector.code64 : selector.code32;
      must(m, "farCall", code | 0, 0x9000, bytes, 0x8007);
      expect([m.rip, m.gpr(RSP)]).toEqual([0x9000n, STACK - 2n * BigInt(bytes)]);
      expect(Number(must(m, "loadSlow", m.gpr(RSP), 4))).toBe(0x8007);
      must(m, "farReturn", bytes, 0x10);
      expect([m.rip, m.gpr(RSP)]).toEqual([0x8007n, STACK + 0x10n]);
    }
  });

  const jumps: [string, bigint | undefined, number, [number, number] | undefined][] = [
    ["null", undefined, 0, [13, 0]],
    ["beyond the GDT", undefined, 0x100, [13, 0x100]],
    ["data", descriptor(DATA, 0, BIG), SPARE, [13, SPARE]],
    ["code of an outer level", descriptor(CODE, 3, BIG), SPARE, [13, SPARE]],
    ["code with RPL beyond CPL", descriptor(CODE, 0, BIG), SPARE | 1, [13, SPARE]],
    ["conforming code of an outer level", descriptor(CODE | 4, 3, BIG), SPARE, [13, SPARE]],
    ["code that is not present", notPresent(descriptor(CODE, 0, BIG)), SPARE, [11, SPARE]],
    ["an offset beyond the limit", descriptor(CODE, 0, BIG, 0, 0x8fff), SPARE, [13, 0]],
    ["an interrupt gate", system(14, 0), SPARE, [13, SPARE]],
    ["conforming code with any RPL", descriptor(CODE | 4, 0, BIG), SPARE | 3, undefined],
    ["code", descriptor(CODE, 0, BIG), SPARE, undefined],
  ];
  for (const [what, entry, to, fault] of jumps)
    test(`JMP to ${what}`, () => {
      const m = protectedMode();
      if (entry !== undefined) m.write64(GDT + SPARE, entry);
      const raised = m.faultOf("farJump", to, 0x9000, 4);
      if (fault !== undefined) expect(raised).toMatchObject({ vector: fault[0], error: fault[1] });
      else expect(raised).toBeUndefined();
      expect(m.rip).toBe(fault === undefined ? 0x9000n : 0x8000n);
      expect(m.u32(L.CPL)).toBe(0);
    });

  test("a code descriptor with both L and D is refused in long mode", () => {
    const m = long();
    m.write64(GDT + SPARE, descriptor(CODE, 0, LONG | BIG));
    expect(m.faultOf("farJump", SPARE, 0x9000, 4)).toMatchObject({ vector: 13, error: SPARE });
  });

  // As an AMD EPYC answers, and as APM vol. 3 tells it: CS is loaded, then CS and RIP are pushed
  test("CALL into and out of 64-bit code uses the stack as the called code has it", () => {
    const m = long();
    m.write64(GDT + SPARE, descriptor(DATA, 0, BIG, 0x2000, 0xffff));
    must(m, "loadSegment", L.SS, SPARE);
    must(m, "farCall", selector.code32, 0x9000, 4, 0x8007);
    expect([m.gpr(RSP), m.physical.getUint32(0x8000 - 8, true)]).toEqual([STACK - 8n, 0x8007]);
    m.physical.setUint32(0x6000 - 16, 0, true);
    must(m, "farCall", selector.code64, 0x9000, 4, 0x9007);
    expect([m.gpr(RSP), m.physical.getUint32(0x6000 - 16, true)]).toEqual([STACK - 16n, 0x9007]);
    // RET releases its parameters as well as the code there has the stack: here 16 bits, or 64
    m.write64(GDT + SPARE, descriptor(DATA, 0, 0, 0, 0xffff));
    for (const [code, pointer] of [
      [selector.code64, 0x1_6006n],
      [selector.code32, 0x6006n],
    ] as const) {
      must(m, "loadSegment", L.SS, SPARE);
      m.setGpr(RSP, STACK);
      m.write64(0x6000, (BigInt(code) << 32n) | 0x9000n);
      must(m, "farReturn", 4, 0xfffe);
      expect(m.gpr(RSP)).toBe(pointer);
    }
  });

  // APM vol. 3, RET (far) and IRET: the pops come first
  test("RET and IRET read all of their frame before they look at a descriptor", () => {
    const m = protectedMode();
    const limited = (limit: number) => {
      m.write64(GDT + SPARE, descriptor(DATA, 0, BIG, 0, limit));
      must(m, "loadSegment", L.SS, SPARE);
    };
    limited(0x6007);
    m.physical.setUint32(0x6000, 0x9000, true);
    m.physical.setUint32(0x6004, 0x100 | 3, true); // beyond the GDT
    expect(m.faultOf("farReturn", 4, 0)).toMatchObject({ vector: 12, error: 0 });
    m.physical.setUint32(0x6004, 0x100, true);
    expect(m.faultOf("farReturn", 4, 0)).toMatchObject({ vector: 13, error: 0x100 });
    limited(0x600f);
    m.physical.setUint32(0x6004, 3, true);
    expect(m.faultOf("iret", 4, 0)).toMatchObject({ vector: 12, error: 0 });
    limited(0x6013);
    m.write64(GDT + SPARE2, descriptor(CODE, 3, BIG, 0, 0x8fff));
    m.physical.setUint32(0x6004, SPARE2 | 3, true);
    m.physical.setUint32(0x600c, 0x100, true); // a stack beyond the GDT, and RIP is beyond CS's limit
    expect(m.faultOf("farReturn", 4, 0)).toMatchObject({ vector: 13, error: 0 });
    m.physical.setUint32(0x6000, 0x8000, true);
    expect(m.faultOf("farReturn", 4, 0)).toMatchObject({ vector: 13, error: 0x100 });
  });

  test("there is no jump to a TSS in long mode", () => {
    const l = long();
    expect(l.faultOf("farJump", selector.task, 0, 4)).toMatchObject({ vector: 13, error: selector.task });
  });

  describe("call gates", () => {
    const callGate = (m: Microcode, code: number, offset: number, dpl: number, parameters = 0, type = 12) =>
      m.write64(
        GDT + SPARE,
        BigInt(offset & 0xffff) |
          (BigInt(code) << 16n) |
          (BigInt(parameters) << 32n) |
          (BigInt(type | (dpl << 5) | 0x80) << 40n) |
          (BigInt(offset >>> 16) << 48n),
      );

    test("32-bit: from ring 3 on the inner stack, with parameters copied, and back", () => {
      const m = protectedMode();
      callGate(m, selector.code32, 0x1_9000, 3, 2);
      ring3(m);
      m.physical.setUint32(0x5000, 0x1111, true);
      m.physical.setUint32(0x5004, 0x2222, true);
      must(m, "farCall", SPARE | 3, 0xdead, 4, 0x40_1007);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([0, 0x1_9000n, 0x7000n - 24n]);
      const words = [0, 1, 2, 3, 4, 5].map((i) => m.physical.getUint32(0x7000 - 24 + 4 * i, true));
      expect(words).toEqual([0x40_1007, selector.userCode32, 0x1111, 0x2222, 0x5000, selector.userData]);
      must(m, "farReturn", 4, 8);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x40_1007n, 0x5008n]);
    });

    // SDM vol. 3A, 5.8.5: "the size of the call gate determines the size of the parameters" and of all that is pushed
    test("16-bit: words, and an offset of 16 bits", () => {
      const m = protectedMode();
      callGate(m, selector.code32, 0x1_9000, 3, 2, 4);
      ring3(m);
      m.physical.setUint32(0x5000, 0x2222_1111, true);
      must(m, "farCall", SPARE | 3, 0, 2, 0x1007);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([0, 0x9000n, 0x7000n - 12n]);
      const words = [0, 1, 2, 3, 4, 5].map((i) => m.physical.getUint16(0x7000 - 12 + 2 * i, true));
      expect(words).toEqual([0x1007, selector.userCode32, 0x1111, 0x2222, 0x5000, selector.userData]);
      must(m, "farReturn", 2, 4);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x1007n, 0x5004n]);
    });
    // SDM vol. 3A, 5.8.4: to a conforming segment there is no change of level, and JMP may use the gate
    test("to conforming code: CPL and stack stay", () => {
      const m = protectedMode();
      m.write64(GDT + SPARE2, descriptor(CODE | 4, 0, GRANULAR | BIG));
      callGate(m, SPARE2, 0x9000, 3);
      ring3(m);
      must(m, "farCall", SPARE | 3, 0, 4, 0x40_1007);
      expect([m.u32(L.CPL), m.segment(L.CS).selector, m.gpr(RSP)]).toEqual([3, SPARE2 | 3, 0x5000n - 8n]);
      must(m, "farJump", SPARE | 3, 0, 4);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x9000n, 0x5000n - 8n]);
    });
    // SDM vol. 2, CALL: "IF stack not large enough ... #SS", then "IF EIP outside code segment limit ... #GP(0)"
    test("the stack's faults come before an address outside of the code segment", () => {
      const m = protectedMode();
      m.write64(GDT + SPARE2, descriptor(CODE, 0, BIG, 0, 0xfff));
      expect(m.faultOf("farCall", SPARE2, 0x1000, 4, 0)).toMatchObject({ vector: 13, error: 0 });
      expect([m.gpr(RSP), m.segment(L.CS).selector]).toEqual([STACK, selector.code32]);
      m.setGpr(RSP, 2n);
      expect(m.faultOf("farCall", SPARE2, 0x1000, 4, 0)).toMatchObject({ vector: 12, error: 0 });
      callGate(m, SPARE2, 0x1000, 3);
      expect(m.faultOf("farCall", SPARE, 0, 4, 0)).toMatchObject({ vector: 12, error: 0 });
      expect(m.faultOf("farJump", SPARE, 0, 4)).toMatchObject({ vector: 13, error: 0 });
      ring3(m);
      expect(m.faultOf("farCall", SPARE | 3, 0, 4, 0)).toMatchObject({ vector: 13, error: 0 });
      m.physical.setUint32(TSS + 4, 2, true);
      expect(m.faultOf("farCall", SPARE | 3, 0, 4, 0)).toMatchObject({ vector: 12, error: selector.data });
      const r = new Microcode();
      r.setGpr(RSP, 1n);
      expect(r.faultOf("farCall", 0, 0x1_0000, 4, 0)).toMatchObject({ vector: 12 });
      const l = long();
      callGate(l, selector.code64, 0x9000, 3);
      l.write64(GDT + SPARE + 8, 0x8000n);
      expect(l.faultOf("farCall", SPARE, 0, 4, 0)).toMatchObject({ vector: 13, error: 0 });
      l.setGpr(RSP, 1n << 63n);
      expect(l.faultOf("farCall", SPARE, 0, 4, 0)).toMatchObject({ vector: 12, error: 0 });
    });
    test("64-bit: 16-byte gates, a null SS, eight-byte words", () => {
      const m = long();
      callGate(m, selector.code64, 0x9000, 3);
      m.write64(GDT + SPARE + 8, 0x7fffn);
      ring3(m, selector.userCode64);
      must(m, "farCall", SPARE | 3, 0, 4, 0x40_1007);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([0, 0x7fff_0000_9000n, 0x7000n - 32n]);
    });

    test("checks: DPL against CPL and RPL, presence, target", () => {
      const m = protectedMode();
      callGate(m, selector.code32, 0x9000, 0);
      ring3(m);
      expect(m.faultOf("farCall", SPARE, 0, 4, 0)).toMatchObject({ vector: 13, error: SPARE });
      callGate(m, selector.data, 0x9000, 3);
      expect(m.faultOf("farCall", SPARE | 3, 0, 4, 0)).toMatchObject({ vector: 13, error: selector.data });
      callGate(m, 0, 0x9000, 3);
      expect(m.faultOf("farCall", SPARE | 3, 0, 4, 0)).toMatchObject({ vector: 13, error: 0 });
      callGate(m, selector.code32, 0x9000, 3);
      m.write64(GDT + SPARE, notPresent(m.read64(GDT + SPARE)));
      expect(m.faultOf("farCall", SPARE | 3, 0, 4, 0)).toMatchObject({ vector: 11, error: SPARE });
      callGate(m, selector.code32, 0x9000, 3);
      expect(m.faultOf("farJump", SPARE | 3, 0, 4)).toMatchObject({ vector: 13, error: selector.code32 });
      const l = long();
      callGate(l, selector.code32, 0x9000, 0);
      expect(l.faultOf("farJump", SPARE, 0, 4)).toMatchObject({ vector: 13, error: selector.code32 });
      l.write64(GDT + SPARE2, 0n);
    });
  });
});

describe("between modes", () => {
  test("real, protected, compatibility, 64-bit, and back to real", () => {
    const m = new Microcode();
    const tables = new Tables(m).identity();
    expect(m.u32(L.MODE)).toBe(0);
    enterLong(m, tables);
    expect(m.u32(L.MODE)).toBe(L.MODE_PROTECTED | L.MODE_LONG | L.MODE_64 | L.MODE_PAGING);
    expect(m.u64(L.EFER) & EFER.LMA).toBe(EFER.LMA);
    expect(m.faultOf("writeControl", 0, CR0.PE | CR0.ET)).toMatchObject({ vector: 13 }); // not from 64-bit code
    must(m, "farJump", selector.code32, 0x8000, 4);
    expect(m.u32(L.MODE) & (L.MODE_64 | L.MODE_CODE32)).toBe(L.MODE_CODE32);
    must(m, "writeControl", 0, CR0.PE | CR0.ET);
    expect(m.u64(L.EFER) & EFER.LMA).toBe(0n);
    must(m, "farJump", selector.code16, 0x8000, 4);
    must(m, "loadSegment", L.SS, selector.data16);
    must(m, "writeControl", 0, CR0.ET);
    must(m, "farJump", 0x800, 0x10, 2);
    expect([m.u32(L.MODE), m.segment(L.CS).base, m.rip]).toEqual([0, 0x8000n, 0x10n]);
  });

  // APM vol. 2, 14.6: into long mode and out of it
  test("what long mode wants before PG: PAE, no L in CS; and what it keeps", () => {
    const m = new Microcode();
    const tables = new Tables(m).identity();
    enterProtected(m);
    must(m, "writeMsr", MSR_EFER, EFER.LME);
    must(m, "writeControl", 3, BigInt(tables.root));
    const on = CR0.PE | CR0.ET | CR0.PG;
    expect(m.faultOf("writeControl", 0, on)).toMatchObject({ vector: 13, error: 0 });
    must(m, "writeControl", 4, CR4.PAE);
    must(m, "writeControl", 0, on);
    expect(m.faultOf("writeControl", 4, 0)).toMatchObject({ vector: 13, error: 0 });
    expect(m.faultOf("writeMsr", MSR_EFER, 0)).toMatchObject({ vector: 13, error: 0 });
    must(m, "writeMsr", MSR_EFER, EFER.LME | EFER.NXE);
    expect(m.u64(L.EFER)).toBe(EFER.LME | EFER.LMA | EFER.NXE);
  });
});

describe("fast system calls", () => {
  const STAR = (0x1bn << 48n) | (0x08n << 32n); // user base 18 (compat), +8 SS, +16 64-bit; kernel 8, SS 10
  function ready() {
    const m = long();
    must(m, "writeMsr", 0xc000_0081, STAR);
    must(m, "writeMsr", 0xc000_0082, 0xffff_8000_0010_0000n);
    must(m, "writeMsr", 0xc000_0084, 0x4_7700n);
    return m;
  }
  test("SYSCALL and SYSRET", () => {
    const m = ready();
    ring3(m, selector.userCode64);
    m.setU64(L.FLAGS_OTHER, 0x246n & ~0x44n);
    must(m, "syscall", 0x40_1002n);
    expect([m.rip, m.u32(L.CPL), m.gpr(RCX), m.gpr(R11)]).toEqual([
      0xffff_8000_0010_0000n,
      0,
      0x40_1002n,
      m.gpr(R11),
    ]);
    expect(m.gpr(R11) & 0x202n).toBe(0x202n);
    expect(m.u64(L.FLAGS_OTHER)).toBe(2n);
    expect(m.segment(L.CS)).toMatchObject({ selector: 8, attributes: 0xa0_9b00, base: 0n });
    expect(m.segment(L.SS)).toMatchObject({ selector: 0x10, attributes: 0xc0_9300 });
    must(m, "sysret", 8);
    expect([m.rip, m.u32(L.CPL), m.segment(L.CS).selector, m.segment(L.SS).selector]).toEqual([
      0x40_1002n,
      3,
      0x2b,
      0x23,
    ]);
    expect(m.u64(L.FLAGS_OTHER)).toBe(0x202n);
    expect(m.u32(L.MODE) & L.MODE_64).toBe(L.MODE_64);
    must(m, "syscall", 0x40_1002n);
    must(m, "sysret", 4);
    expect([m.segment(L.CS).selector, m.u32(L.MODE) & (L.MODE_64 | L.MODE_CODE32)]).toEqual([
      0x1b,
      L.MODE_CODE32,
    ]);
    must(m, "writeMsr", 0xc000_0083, 0xffff_8000_0020_0000n);
    must(m, "syscall", 0x40_1004n);
    expect([m.rip, m.gpr(RCX), m.u32(L.MODE) & L.MODE_64]).toEqual([
      0xffff_8000_0020_0000n,
      0x40_1004n,
      L.MODE_64,
    ]);
  });
  // APM vol. 3, SYSRET: "SS selector is changed, SS base, limit, attributes unchanged"
  test("SYSRET changes the selector of SS only, and takes its RPL from STAR", () => {
    const m = ready();
    must(m, "loadSegment", L.SS, 0);
    m.setGpr(RCX, 0x40_1000n);
    must(m, "sysret", 8);
    expect(m.segment(L.SS)).toMatchObject({ selector: 0x23, attributes: 0 });
  });
  // APM vol. 3, SYSCALL: "CS.sel = MSR_STAR.SYSCALL_CS AND 0xFFFC", "SS.sel = MSR_STAR.SYSCALL_CS + 8"
  test("SYSCALL clears the RPL of CS alone", () => {
    const m = ready();
    must(m, "writeMsr", 0xc000_0081, 0x0bn << 32n);
    must(m, "syscall", 0x40_1002n);
    expect([m.segment(L.CS).selector, m.segment(L.SS).selector, m.u32(L.CPL)]).toEqual([8, 0x13, 0]);
  });
  // APM vol. 3, SYSCALL and SYSRET, legacy mode: the target is in STAR, flags are not saved
  test("SYSCALL and SYSRET in legacy mode", () => {
    const m = protectedMode();
    must(m, "writeMsr", MSR_EFER, EFER.SCE);
    must(m, "writeMsr", 0xc000_0081, (0x18n << 48n) | (BigInt(selector.code32) << 32n) | 0x12_3456n);
    ring3(m, selector.userCode32);
    m.setU64(L.FLAGS_OTHER, 0x602n);
    must(m, "syscall", 0x40_1002n);
    expect([m.rip, m.gpr(RCX), m.u32(L.CPL), m.u64(L.FLAGS_OTHER)]).toEqual([
      0x12_3456n,
      0x40_1002n,
      0,
      0x402n,
    ]);
    expect(m.segment(L.CS)).toMatchObject({ selector: selector.code32, attributes: 0xc0_9b00 });
    must(m, "sysret", 4);
    expect([m.rip, m.u32(L.CPL), m.u64(L.FLAGS_OTHER)]).toEqual([0x40_1002n, 3, 0x602n]);
  });
  // APM vol. 3, SYSRET: SYSRET loads a non-canonical RIP, and the fault is ring 3's
  test("are #UD without EFER.SCE, SYSRET #GP outside ring 0; a non-canonical RCX faults in ring 3", () => {
    const m = ready();
    m.setGpr(RCX, 0x8000_0000_0000n);
    must(m, "sysret", 8);
    expect([m.rip, m.u32(L.CPL)]).toEqual([0x8000_0000_0000n, 3]);
    expect(m.faultOf("translate", m.rip, L.ACCESS_EXECUTE)).toMatchObject({ vector: 13, error: 0 });
    m.setU32(L.CPL, 0);
    ring3(m, selector.userCode64);
    expect(m.faultOf("sysret", 8)).toMatchObject({ vector: 13, error: 0 });
    m.setU32(L.CPL, 0);
    must(m, "writeMsr", MSR_EFER, EFER.LME);
    expect(m.faultOf("syscall", 0n)).toMatchObject({ vector: 6 });
  });
  // APM vol. 3, SYSENTER and SYSEXIT
  test("SYSENTER and SYSEXIT", () => {
    const m = protectedMode();
    expect(m.faultOf("sysenter")).toMatchObject({ vector: 13, error: 0 }); // SYSENTER_CS is null
    must(m, "writeMsr", 0x174, 0x08);
    must(m, "writeMsr", 0x175, 0x7000);
    must(m, "writeMsr", 0x176, 0x9000);
    ring3(m, selector.userCode32);
    must(m, "sysenter");
    expect([m.rip, m.gpr(RSP), m.u32(L.CPL), m.segment(L.CS).selector]).toEqual([0x9000n, 0x7000n, 0, 8]);
    m.setGpr(RCX, 0x5000n);
    m.setGpr(RDX, 0x40_1000n);
    must(m, "sysexit");
    expect([m.rip, m.gpr(RSP), m.u32(L.CPL), m.segment(L.CS).selector]).toEqual([
      0x40_1000n,
      0x5000n,
      3,
      0x1b,
    ]);
    expect(m.faultOf("sysexit")).toMatchObject({ vector: 13, error: 0 });
  });
  // APM vol. 3, SYSENTER and SYSEXIT: "The instruction is not recognized in long mode"
  test("SYSENTER and SYSEXIT are #UD in long mode", () => {
    const m = long();
    must(m, "writeMsr", 0x174, 0x08);
    expect(m.faultOf("sysexit")).toMatchObject({ vector: 6 });
    ring3(m, selector.userCode64);
    expect(m.faultOf("sysenter")).toMatchObject({ vector: 6 });
  });
  // APM vol. 3, SWAPGS
  test("SWAPGS exchanges the bases", () => {
    const m = long();
    must(m, "writeMsr", 0xc000_0101, 0x1111n);
    must(m, "writeMsr", 0xc000_0102, 0xffff_8000_0000_0000n);
    must(m, "swapgs");
    expect([m.segment(L.GS).base, m.u64(L.MSR_KERNEL_GS_BASE)]).toEqual([0xffff_8000_0000_0000n, 0x1111n]);
  });
});
