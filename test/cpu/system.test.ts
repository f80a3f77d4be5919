// Control and debug registers, MSRs, ports, the x87 and SSE image, reset and start-up. Intel SDM vol. 3A, vol. 2.

import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  CR0,
  CR4,
  EFER,
  enterLong,
  enterProtected,
  MSR_EFER,
  must,
  P,
  Tables,
  TSS,
  U,
  W,
} from "../support/paging.js";

function long() {
  const m = new Microcode();
  enterLong(m, new Tables(m).identity(P | W | U));
  return m;
}
const GP0 = { vector: 13, error: 0 };

describe("control registers", () => {
  // SDM vol. 3A, 2.5
  test("CR0: impossible combinations are #GP, unknown bits are dropped, ET stays", () => {
    const m = new Microcode();
    expect(m.faultOf("writeControl", 0, CR0.PG)).toMatchObject(GP0);
    expect(m.faultOf("writeControl", 0, 1n << 29n)).toMatchObject(GP0); // NW without CD
    expect(m.faultOf("writeControl", 0, 1n << 32n)).toMatchObject(GP0);
    must(m, "writeControl", 0, 0x0ff8_0000n);
    expect(must(m, "readControl", 0)).toBe(CR0.ET);
  });
  // SDM vol. 3A, 2.5
  test("CR3 and CR4: reserved bits are #GP", () => {
    const m = new Microcode();
    expect(m.faultOf("writeControl", 3, 1n << 40n)).toMatchObject(GP0);
    must(m, "writeControl", 3, 0xff_ffff_ffffn);
    // LA57, VMXE, SMXE, CET, PKS; PCIDE outside long mode; the upper half
    for (const bit of [12, 13, 14, 15, 17, 19, 23, 24, 32, 63]) {
      expect(m.faultOf("writeControl", 4, 1n << BigInt(bit))).toMatchObject(GP0);
    }
    must(
      m,
      "writeControl",
      4,
      CR4.PSE | CR4.PGE | CR4.OSFXSR | CR4.UMIP | CR4.SMEP | CR4.SMAP | CR4.TSD | CR4.DE,
    );
  });
  // SDM vol. 3A, 2.5
  test("CR4 in long mode: what CPUID promises may be set, every other bit is #GP", () => {
    const m = long();
    const allowed = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 20, 21, 22]);
    const before = m.u64(L.CR4);
    for (let bit = 0n; bit < 64n; bit++) {
      const fault = m.faultOf("writeControl", 4, before | (1n << bit));
      expect([bit, fault?.vector]).toEqual([bit, allowed.has(Number(bit)) ? undefined : 13]);
      must(m, "writeControl", 4, before);
    }
    expect(m.faultOf("writeControl", 4, before & ~CR4.PAE)).toMatchObject(GP0);
  });
  // SDM vol. 3A, 2.5
  test("CR8 is the task priority; CR1, CR5 and the rest are #UD", () => {
    const m = long();
    must(m, "writeControl", 8, 9);
    expect(m.taskPriority).toBe(9);
    expect(must(m, "readControl", 8)).toBe(9n);
    expect(m.faultOf("writeControl", 8, 16)).toMatchObject(GP0);
    for (const n of [1, 5, 7, 9, 15]) {
      expect(m.faultOf("readControl", n)).toMatchObject({ vector: 6, error: undefined });
      expect(m.faultOf("writeControl", n, 0)).toMatchObject({ vector: 6, error: undefined });
    }
  });
  // SDM vol. 3A, 2.5
  test("LMSW sets PE but never clears it; CLTS", () => {
    const m = new Microcode();
    must(m, "loadStatusWord", 0xffff);
    expect(m.u64(L.CR0) & 0xfn).toBe(0xfn);
    must(m, "loadStatusWord", 0);
    expect(m.u64(L.CR0) & 0xfn).toBe(1n);
    must(m, "loadStatusWord", 8);
    must(m, "clearTaskSwitched");
    expect(m.u64(L.CR0) & 0xfn).toBe(1n);
  });
});

describe("debug registers", () => {
  // SDM vol. 3B, 18.2.2: DR4 and DR5
  test("fixed bits, aliases, and DR4 under CR4.DE", () => {
    const m = long();
    must(m, "writeDebug", 6, 0n);
    expect(must(m, "readDebug", 6)).toBe(0xffff_0ff0n);
    must(m, "writeDebug", 5, 0xffff_0000n);
    expect(must(m, "readDebug", 7)).toBe(0xffff_0400n);
    expect(m.faultOf("writeDebug", 7, 1n << 32n)).toMatchObject(GP0);
    must(m, "writeDebug", 2, 0xffff_8000_1234_5678n);
    expect(must(m, "readDebug", 2)).toBe(0xffff_8000_1234_5678n);
    must(m, "writeControl", 4, CR4.PAE | CR4.DE);
    expect(m.faultOf("readDebug", 4)).toMatchObject({ vector: 6 });
    expect(m.faultOf("readDebug", 8)).toMatchObject({ vector: 6 });
  });
});

describe("model-specific registers", () => {
  // SDM vol. 2, WRMSR: MSRs: reserved bits, unknown numbers
  test("what is not in the table is #GP", () => {
    const m = long();
    for (const index of [
      0, 0x48, 0x49, 0x10a, 0x17f, 0x210, 0x418, 0x47f, 0x7ff, 0xc000_0104, 0xc001_0011, 0xc001_0114,
    ]) {
      expect(m.faultOf("readMsr", index)).toMatchObject(GP0);
      expect(m.faultOf("writeMsr", index, 0)).toMatchObject(GP0);
    }
  });
  // SDM vol. 2, WRMSR: MSRs and segment bases
  test("addresses must be canonical, reserved bits clear", () => {
    const m = long();
    const bad = 0x8000_0000_0000n;
    for (const index of [0x175, 0x176, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
      expect([index, m.faultOf("writeMsr", index, bad)]).toMatchObject([index, GP0]);
      must(m, "writeMsr", index, 0xffff_8000_0000_1000n);
      expect(must(m, "readMsr", index)).toBe(0xffff_8000_0000_1000n);
    }
    for (const [index, value] of [
      [0xc000_0084, 1n << 32n],
      [0x277, 2n],
      [0x277, 8n],
      [0x10a, 0n],
      [MSR_EFER, EFER.LME | 2n],
      [0x1b, 1n << 40n],
    ] as const) {
      expect(m.faultOf("writeMsr", index, value)).toMatchObject(GP0);
    }
  });
  // SDM vol. 2, RDPID: TSC_AUX
  test("TSC_AUX drops bits 63 to 32, as AMD's processors do", () => {
    const m = long();
    must(m, "writeMsr", 0xc000_0103, 0xaaaa_5555_1234_5678n);
    expect(must(m, "readMsr", 0xc000_0103)).toBe(0x1234_5678n);
  });
  // APM vol. 2, 6.1.2: SYSENTER_CS
  test("SYSENTER_CS is a selector: bits 63 to 16 read as zero", () => {
    const m = long();
    must(m, "writeMsr", 0x174, 0xaaaa_5555_1234_5678n);
    expect(must(m, "readMsr", 0x174)).toBe(0x5678n);
  });
  test("the time-stamp counter is the machine's nanoseconds from a base of its own", () => {
    const m = long();
    m.nanoseconds = 1000n;
    expect(must(m, "rdtsc")).toBe(1000n);
    must(m, "writeMsr", 0x10, 5n);
    m.nanoseconds = 1010n;
    expect(must(m, "readMsr", 0x10)).toBe(15n);
    m.setU32(L.CPL, 3);
    expect(must(m, "rdtsc")).toBe(15n);
    m.setU64(L.CR4, m.u64(L.CR4) | CR4.TSD);
    expect(m.faultOf("rdtsc")).toMatchObject(GP0);
    expect(m.faultOf("rdpmc", 0)).toMatchObject(GP0);
  });
  test("IA32_APIC_BASE is the board's", () => {
    const m = long();
    expect(must(m, "readMsr", 0x1b)).toBe(0xfee0_0900n);
    must(m, "writeMsr", 0x1b, 0xfee0_0100n);
    expect(m.apicBase).toEqual([0xfee0_0100, 0]);
  });
  test("CPUID gives the host's four words", () => {
    const m = long();
    expect(must(m, "cpuidLower", 2, 0)).toBe((33n << 32n) | 32n);
    expect(must(m, "cpuidUpper")).toBe((35n << 32n) | 34n);
  });
});

describe("ports", () => {
  // SDM vol. 1, 19.5: ports: IOPL and the TSS's bitmap
  test("are free in real mode and within IOPL", () => {
    const m = new Microcode();
    m.answer = 0x1234_5678;
    expect(must(m, "portIn", 0x3f8, 1)).toBe(0x78n);
    must(m, "portOut", 0x1_0cf8, 4, 0xffff_ffff_0000_0001n);
    expect(m.log.portWrites).toEqual([{ port: 0xcf8, bytes: 4, value: 1 }]);
    const l = long();
    l.setU32(L.CPL, 3);
    expect(l.faultOf("portIn", 0x3f8, 1)).toMatchObject(GP0);
    l.setU64(L.FLAGS_OTHER, 0x3002n);
    must(l, "portIn", 0x3f8, 1);
    expect(l.log.portReads).toHaveLength(1);
  });
  // SDM vol. 1, 19.5: ports: IOPL and the TSS's bitmap
  test("beyond IOPL the TSS's bitmap decides, every port of the access", () => {
    const m = new Microcode();
    enterProtected(m);
    m.setU32(L.CPL, 3);
    const limit = L.SEGMENTS + L.TR * L.SEGMENT_BYTES + L.SEG_LIMIT;
    m.setU32(limit, 0x67 + 0x21);
    m.physical.setUint16(TSS + 0x66, 0x68, true);
    m.ram.fill(0xff, TSS + 0x68, TSS + 0x68 + 0x22);
    m.ram[TSS + 0x68 + 1] = 0b1110_0111; // ports B and C
    must(m, "portIn", 0xb, 1);
    must(m, "portIn", 0xb, 2);
    expect(m.faultOf("portIn", 0xb, 4)).toMatchObject(GP0);
    expect(m.faultOf("portIn", 0xa, 2)).toMatchObject(GP0);
    m.ram[TSS + 0x68 + 0x21] = 0;
    expect(m.faultOf("portOut", 0x108, 1, 0)).toMatchObject(GP0); // its second byte lies beyond the limit
    m.setU32(limit, 0x66);
    expect(m.faultOf("portIn", 0xb, 1)).toMatchObject(GP0);
    expect(m.log.portReads).toHaveLength(2);
  });
});

describe("the x87 and SSE image", () => {
  test("FXRSTOR undoes FXSAVE, in ST order from the top", () => {
    const m = long();
    must(m, "fninit");
    m.setU32(L.FSW, 3 << 11);
    m.setU32(L.FTW, 0xa5);
    m.setU64(L.ST + 16 * 3, 0x1234n); // ST(0)
    m.setU64(L.ST + 16 * 3 + 8, 0x3fffn);
    for (let i = 0; i < 16; i++) m.setU64(L.XMM + 16 * i, BigInt(i + 1));
    m.ram.fill(0x77, 0x4000, 0x4200);
    must(m, "fxsave", L.DS, 0x4000, 1);
    expect([m.read64(0x4000 + 32), m.read64(0x4000 + 40)]).toEqual([0x1234n, 0x3fffn]);
    expect(m.read64(0x4000)).toBe(0x037fn | (0x1800n << 16n) | (0xa5n << 32n));
    expect(m.read64(0x4018)).toBe(0x1f80n | (0xffffn << 32n));
    expect(m.read64(0x4000 + 160 + 15 * 16)).toBe(16n);
    expect(m.ram[0x4000 + 416]).toBe(0x77);
    for (let i = 0; i < 16; i++) m.setU64(L.XMM + 16 * i, 0n);
    must(m, "fninit");
    must(m, "fxrstor", L.DS, 0x4000, 1);
    expect([m.u32(L.FSW), m.u32(L.FTW), m.u64(L.ST + 48), m.u64(L.XMM + 240)]).toEqual([
      0x1800,
      0xa5,
      0x1234n,
      16n,
    ]);
  });
  // SDM vol. 2, FXRSTOR
  test("alignment, reserved MXCSR bits, and a fault on the second page leave all as it was", () => {
    const m = new Microcode();
    const tables = new Tables(m).identity(P | W);
    enterLong(m, tables);
    expect(m.faultOf("fxsave", L.DS, 0x4008, 0)).toMatchObject(GP0);
    m.physical.setUint32(0x4000 + 24, 0x1_0000, true);
    expect(m.faultOf("fxrstor", L.DS, 0x4000, 0)).toMatchObject(GP0);
    const va = 0x7000_0000_0000n;
    tables.map(va, 0x40_0000, P | W);
    expect(m.faultOf("fxsave", L.DS, va + 0xf00n, 0)).toEqual({ vector: 14, error: 2, cr2: va + 0x1000n });
    expect(m.ram[0x40_0f00 + 24]).toBe(0);
  });
  test("FLDCW that unmasks a flagged exception makes it pending, FNCLEX clears it", () => {
    const m = long();
    must(m, "fninit");
    m.setU32(L.FSW, 4);
    must(m, "writeFpuControl", 0x37b);
    expect(must(m, "readFpuStatus")).toBe(0x8084n);
    expect(m.faultOf("waitFpu")).toMatchObject({ vector: 16 });
    must(m, "fnclex");
    must(m, "waitFpu");
    must(m, "writeControl", 0, m.u64(L.CR0) | CR0.MP | CR0.TS);
    expect(m.faultOf("waitFpu")).toMatchObject({ vector: 7, error: undefined });
  });
});

// SDM vol. 3A, table 10-1
describe("reset", () => {
  test("is the manual's table", () => {
    const m = long();
    m.call("reset", 0);
    expect([m.rip, m.segment(L.CS).selector, m.segment(L.CS).base]).toEqual([0xfff0n, 0xf000, 0xffff_0000n]);
    expect([m.u64(L.CR0), m.u64(L.CR3), m.u64(L.CR4), m.u64(L.EFER)]).toEqual([0x6000_0010n, 0n, 0n, 0n]);
    expect([m.u32(L.MODE), m.u32(L.CPL), m.u64(L.FLAGS_OTHER), m.gpr(2)]).toEqual([0, 0, 2n, 16n]);
    expect([m.u64(L.DR + 48), m.u64(L.DR + 56), m.u32(L.MXCSR)]).toEqual([0xffff_0ff0n, 0x400n, 0x1f80]);
    expect([m.u32(L.ACTIVITY), m.u32(L.ACTIVITY, 1)]).toEqual([L.ACTIVE, L.WAIT_FOR_SIPI]);
  });
  test("INIT keeps SSE state, MSRs and CR0's cache bits", () => {
    const m = long();
    m.setU64(L.XMM, 7n);
    must(m, "writeMsr", 0xc000_0082, 0x1234n);
    m.call("reset", 1);
    expect([m.u64(L.XMM), m.u64(L.MSR_LSTAR), m.u64(L.CR0), m.u64(L.EFER)]).toEqual([7n, 0x1234n, 0x10n, 0n]);
  });
  test("a start-up interrupt starts a waiting core at its page, and no other", () => {
    const m = new Microcode();
    expect(m.call("startup", 0x9a)).toBe(0n);
    expect(m.rip).toBe(0xfff0n);
    expect(m.callOn(1, "startup", 0x9a)).toBe(1n);
    const cs = L.SEGMENTS + L.CS * L.SEGMENT_BYTES;
    expect([m.u64(L.RIP, 1), m.u32(cs, 1), m.u64(cs + L.SEG_BASE, 1)]).toEqual([0n, 0x9a00, 0x9_a000n]);
    expect(m.u32(L.ACTIVITY, 1)).toBe(L.ACTIVE);
    expect(m.callOn(1, "startup", 0x10)).toBe(0n);
  });
});
