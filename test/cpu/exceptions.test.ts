// Interrupts and exceptions in every mode, and IRET. Intel SDM vol. 3A, chapter 6: frames, error codes, stacks, the
// double-fault table.

import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  CODE,
  DATA,
  descriptor,
  enterLong,
  enterProtected,
  GDT,
  gate,
  HANDLER,
  IDT,
  longGate,
  must,
  P,
  selector,
  Tables,
  TSS,
  U,
  W,
} from "../support/paging.js";

const RSP = 4;
const FLAGS_IF = 0x200n;
const KERNEL_STACK = 0x7000n; // RSP0
const STACK = 0x6000n;
const USER_RIP = 0x40_1234n;
const USER_STACK = 0x5ff8n;

function long() {
  const m = new Microcode();
  const tables = new Tables(m).identity(P | W | U);
  enterLong(m, tables);
  m.write64(TSS + 4, KERNEL_STACK);
  m.setGpr(RSP, STACK);
  m.setU64(L.RIP, 0x8000n);
  for (const vector of [0, 3, 6, 8, 10, 11, 12, 13, 14, 32, 128]) longGate(m, vector, {});
  return { m, tables };
}

/** On to ring 3 by IRET. */
function toUser(m: Microcode, flags = FLAGS_IF | 2n, code: number = selector.userCode64) {
  const rsp = m.gpr(RSP) - 40n;
  [USER_RIP, BigInt(code), flags, USER_STACK, BigInt(selector.userData)].forEach((v, i) => {
    m.write64(Number(rsp) + 8 * i, v);
  });
  m.setGpr(RSP, rsp);
  must(m, "iret", 8);
}

const frame = (m: Microcode, words: number) =>
  Array.from({ length: words }, (_, i) => m.read64(Number(m.gpr(RSP)) + 8 * i));
const code = (m: Microcode) => m.segment(L.CS).selector;

function raise(m: Microcode, vector: number, error?: number) {
  m.setU32(L.FAULT_VECTOR, vector);
  m.setU32(L.FAULT_ERROR, error ?? 0);
  m.setU32(L.FAULT_HAS_ERROR, error === undefined ? 0 : 1);
}
const deliver = (m: Microcode, vector: number, error?: number) => {
  raise(m, vector, error);
  return m.call("deliver");
};

describe("long mode", () => {
  test("an exception of user code switches to RSP0 and pushes six words with RF set", () => {
    const { m } = long();
    toUser(m);
    expect([m.u32(L.CPL), m.rip, m.gpr(RSP), code(m)]).toEqual([
      3,
      USER_RIP,
      USER_STACK,
      selector.userCode64,
    ]);
    expect(deliver(m, 13, 0x58)).toBe(1n);
    expect([m.u32(L.CPL), m.rip, code(m)]).toEqual([0, HANDLER(13), selector.code64]);
    expect(m.gpr(RSP)).toBe(KERNEL_STACK - 48n);
    expect(frame(m, 6)).toEqual([
      0x58n,
      USER_RIP,
      BigInt(selector.userCode64),
      0x1_0202n,
      USER_STACK,
      BigInt(selector.userData),
    ]);
    expect(m.segment(L.SS)).toMatchObject({ selector: 0, attributes: 0 });
    expect(m.u64(L.FLAGS_OTHER)).toBe(2n); // IF is off behind an interrupt gate
  });

  test("an interrupt at the same level keeps the stack, aligns it and has RF clear", () => {
    const { m } = long();
    m.setGpr(RSP, STACK - 4n);
    m.setU64(L.FLAGS_OTHER, 0x202n);
    longGate(m, 32, { type: 15 });
    must(m, "interrupt", 32, L.EVENT_EXTERNAL);
    expect(m.gpr(RSP)).toBe(STACK - 16n - 40n);
    expect(frame(m, 5)).toEqual([
      0x8000n,
      BigInt(selector.code64),
      0x202n,
      STACK - 4n,
      BigInt(selector.data),
    ]);
    expect(m.u64(L.FLAGS_OTHER)).toBe(0x202n); // a trap gate leaves IF
    expect(m.segment(L.SS).selector).toBe(selector.data);
  });

  test("the interrupt stack table changes the stack without a change of level", () => {
    const { m } = long();
    m.write64(TSS + 0x24 + 2 * 8, 0x6ff0n);
    longGate(m, 32, { ist: 3 });
    must(m, "interrupt", 32, L.EVENT_EXTERNAL);
    expect(m.gpr(RSP)).toBe(0x6ff0n - 40n);
    expect(frame(m, 4)[3]).toBe(STACK);
  });

  // SDM vol. 3A, 6.13: selector, EXT, IDT and TI
  test("INT n pushes the next instruction's address and obeys the gate's DPL", () => {
    const { m } = long();
    toUser(m);
    expect(m.faultOf("softwareInterrupt", 128, L.EVENT_SOFTWARE, USER_RIP + 2n)).toMatchObject({
      vector: 13,
      error: 128 * 8 + 2,
    });
    expect(m.rip).toBe(USER_RIP);
    longGate(m, 128, { dpl: 3 });
    must(m, "softwareInterrupt", 128, L.EVENT_SOFTWARE, USER_RIP + 2n);
    expect(m.rip).toBe(HANDLER(128));
    expect(frame(m, 1)).toEqual([USER_RIP + 2n]);
  });

  test("INT3 obeys the gate's DPL too, INT1 does not", () => {
    const { m } = long();
    longGate(m, 1, {});
    toUser(m);
    expect(m.faultOf("softwareInterrupt", 3, L.EVENT_SOFTWARE_EXCEPTION, 0n)).toMatchObject({
      error: 3 * 8 + 2,
    });
    must(m, "softwareInterrupt", 1, L.EVENT_PRIVILEGED, USER_RIP + 1n);
    expect(m.rip).toBe(HANDLER(1));
  });

  // SDM vol. 3A, 6.13: selector, EXT, IDT and TI
  describe("a gate that cannot be used", () => {
    const bad: [string, (m: Microcode) => void, vector: number, error: number][] = [
      ["beyond the IDT's limit", (m) => must(m, "loadIdtr", IDT, 32 * 16 + 14), 13, 32 * 8 + 2],
      ["of a wrong type", (m) => longGate(m, 32, { type: 12 }), 13, 32 * 8 + 2],
      ["not present", (m) => longGate(m, 32, { present: false }), 11, 32 * 8 + 2],
      ["with a null selector", (m) => longGate(m, 32, { selector: 3 }), 13, 0],
      ["with a selector beyond the GDT", (m) => longGate(m, 32, { selector: 0x200 }), 13, 0x200],
      ["to a data segment", (m) => longGate(m, 32, { selector: selector.data }), 13, selector.data],
      ["to 32-bit code", (m) => longGate(m, 32, { selector: selector.code32 }), 13, selector.code32],
      [
        "to an outer level",
        (m) => longGate(m, 32, { selector: selector.userCode64 }),
        13,
        selector.userCode64 & ~3,
      ],
      ["to a non-canonical address", (m) => longGate(m, 32, { offset: 0x8000_0000_0000n }), 13, 0],
      [
        "to a segment that is not present",
        (m) => m.write64(GDT + 0x60, descriptor(CODE, 0, 2) & ~(0x80n << 40n)),
        11,
        0x60,
      ],
    ];
    for (const [what, spoil, vector, error] of bad)
      test(what, () => {
        const { m } = long();
        longGate(m, 32, {
          selector: what.endsWith("not present") && what.startsWith("to") ? 0x60 : selector.code64,
        });
        spoil(m);
        const before = m.gpr(RSP);
        // INT n: EXT is clear, and the machine is as it was
        expect(m.faultOf("softwareInterrupt", 32, L.EVENT_SOFTWARE, 0x8002n)).toMatchObject({
          vector,
          error,
        });
        expect([m.rip, m.gpr(RSP)]).toEqual([0x8000n, before]);
        // An external interrupt: the fault is delivered in its place with EXT set
        if (what.startsWith("beyond")) return; // then #GP's gate is there still, but 32 was the last one
        must(m, "interrupt", 32, L.EVENT_EXTERNAL);
        expect(m.rip).toBe(HANDLER(vector));
        expect(frame(m, 2)).toEqual([BigInt(error | 1), 0x8000n]);
      });
  });

  // SDM vol. 3A, 6.15
  test("a TSS that is too short is #TS with its selector", () => {
    const { m } = long();
    longGate(m, 128, { dpl: 3 });
    toUser(m);
    const limit = L.SEGMENTS + L.TR * L.SEGMENT_BYTES + L.SEG_LIMIT;
    m.setU32(limit, 10);
    expect(m.faultOf("softwareInterrupt", 128, L.EVENT_SOFTWARE, 0n)).toMatchObject({
      vector: 10,
      error: selector.task,
    });
  });

  // SDM vol. 1, 3.3.7.1: #GP(0), by the stack #SS(0)
  test("a non-canonical stack is #SS", () => {
    const { m } = long();
    longGate(m, 128, { dpl: 3 });
    toUser(m);
    m.write64(TSS + 4, 0x9000_0000_0000n);
    expect(m.faultOf("softwareInterrupt", 128, L.EVENT_SOFTWARE, 0n)).toMatchObject({ vector: 12, error: 0 });
  });

  test("the page fault of a push names the word that was pushed", () => {
    const { m, tables } = long();
    longGate(m, 128, { dpl: 3 });
    tables.map(0x7000_0000_0000n, 0x40_0000, P | W);
    m.write64(TSS + 4, 0x7000_0000_0000n + 16n);
    toUser(m);
    const fault = m.faultOf("softwareInterrupt", 128, L.EVENT_SOFTWARE, 0n);
    expect(fault).toEqual({ vector: 14, error: 2, cr2: 0x7000_0000_0000n - 8n }); // two words fit
    expect([m.u32(L.CPL), m.gpr(RSP)]).toEqual([3, USER_STACK]);
  });

  describe("a fault while an exception is delivered", () => {
    const contributory = [0, 10, 11, 12, 13];
    // SDM vol. 3A, 6.15
    test("benign first: the second is delivered", () => {
      for (const second of [11, 13]) {
        const { m } = long();
        longGate(m, 6, second === 11 ? { present: false } : { type: 1 });
        deliver(m, 6);
        expect(m.rip).toBe(HANDLER(second));
      }
    });
    // SDM vol. 3A, 6.15
    test("contributory or page fault, then contributory: a double fault with error code 0", () => {
      for (const first of [...contributory, 14]) {
        const { m } = long();
        longGate(m, first, { type: 1 }); // its gate raises #GP
        if (first === 13) longGate(m, 13, { type: 1 });
        deliver(m, first, first === 0 ? undefined : 4);
        expect([first, m.rip]).toEqual([first, HANDLER(8)]);
        expect(frame(m, 2)).toEqual([0n, 0x8000n]);
      }
    });
    // SDM vol. 3A, 6.15
    test("page fault, then page fault: a double fault, CR2 from the second", () => {
      const { m, tables } = long();
      longGate(m, 14, { ist: 1 });
      m.write64(TSS + 0x24, 0x7000_0000_0000n);
      tables.map(0x7000_0000_0000n, 0, 0n);
      deliver(m, 14, 2);
      expect(m.rip).toBe(HANDLER(8));
      expect(m.u64(L.CR2)).toBe(0x7000_0000_0000n - 8n);
    });
    // SDM vol. 3A, 6.15
    test("contributory, then page fault: the page fault is delivered", () => {
      const { m } = long();
      longGate(m, 13, { ist: 1 });
      m.write64(TSS + 0x24, 0x7000_0000_0000n);
      deliver(m, 13, 0);
      expect(m.rip).toBe(HANDLER(14));
      expect(frame(m, 1)).toEqual([2n]);
    });
    // SDM vol. 3A, 6.15: a fault of the double fault is shutdown
    test("a fault while a double fault is delivered is shutdown", () => {
      const { m } = long();
      longGate(m, 13, { type: 1 });
      longGate(m, 8, { present: false });
      expect(deliver(m, 13, 0)).toBe(0n);
      expect([m.u32(L.ACTIVITY), m.rip, m.u32(L.FAULT_VECTOR) | 0]).toEqual([L.SHUTDOWN, 0x8000n, -1]);
    });
  });

  // SDM vol. 3A, 6.7.1: NMI blocks NMI until IRET, whatever comes of that
  test("an NMI blocks NMIs until IRET; an interrupt ends HLT and the shadow", () => {
    const { m } = long();
    longGate(m, 2, {});
    must(m, "halt");
    m.setU32(L.SHADOW, 1);
    must(m, "interrupt", 2, L.EVENT_NMI);
    expect([m.u32(L.NMI_BLOCKED), m.u32(L.ACTIVITY), m.u32(L.SHADOW), m.rip]).toEqual([
      1,
      L.ACTIVE,
      0,
      HANDLER(2),
    ]);
    must(m, "iret", 8);
    expect([m.u32(L.NMI_BLOCKED), m.rip, m.gpr(RSP)]).toEqual([0, 0x8000n, STACK]);
  });

  test("a single step sets DR6.BS", () => {
    const { m } = long();
    longGate(m, 1, {});
    m.setU64(L.FLAGS_OTHER, 0x302n);
    m.setU32(L.DEBUG_PENDING, 0x4000);
    must(m, "debugTrap");
    expect(m.rip).toBe(HANDLER(1));
    expect(m.u64(L.DR + 48) & 0x4000n).toBe(0x4000n);
    expect(frame(m, 3)[2]).toBe(0x302n);
    expect(m.u64(L.FLAGS_OTHER)).toBe(2n); // TF is off in the handler
  });

  test("delivery sets the accessed bit of the handler's code segment", () => {
    const { m } = long();
    m.write64(GDT + 0x60, descriptor(CODE & ~1, 0, 2));
    longGate(m, 32, { selector: 0x60 });
    must(m, "interrupt", 32, L.EVENT_EXTERNAL);
    expect((m.read64(GDT + 0x60) >> 40n) & 1n).toBe(1n);
  });
});

// SDM vol. 2, IRET
describe("IRET in long mode", () => {
  const enter = (m: Microcode, words: (bigint | number)[], bytes = 8) => {
    const rsp = 0x5000;
    m.setGpr(RSP, rsp);
    words.forEach((v, i) => {
      if (bytes === 8) m.write64(rsp + 8 * i, BigInt(v));
      else m.physical.setUint32(rsp + 4 * i, Number(v), true);
    });
    return m.faultOf("iret", bytes);
  };

  test("to compatibility mode", () => {
    const { m } = long();
    expect(enter(m, [0x40_1000, selector.userCode32, 0x202, 0x5000, selector.userData])).toBeUndefined();
    expect(m.u32(L.MODE)).toBe(
      L.MODE_PROTECTED | L.MODE_LONG | L.MODE_CODE32 | L.MODE_STACK32 | L.MODE_PAGING,
    );
    // ... and back: the frame is 64-bit again
    deliver(m, 6);
    expect(frame(m, 5)).toEqual([
      0x40_1000n,
      BigInt(selector.userCode32),
      0x1_0202n,
      0x5000n,
      BigInt(selector.userData),
    ]);
    expect(m.u32(L.MODE) & L.MODE_64).toBe(L.MODE_64);
  });

  test("with 32-bit operands", () => {
    const { m } = long();
    expect(enter(m, [0x40_1000, selector.userCode64, 0x202, 0x5000, selector.userData], 4)).toBeUndefined();
    expect([m.rip, m.gpr(RSP), m.u32(L.CPL)]).toEqual([0x40_1000n, 0x5000n, 3]);
  });

  test("a null SS is good for 64-bit code inside ring 3 only", () => {
    const { m } = long();
    expect(enter(m, [0x9000, selector.code64, 2, 0x5000, 0])).toBeUndefined();
    expect(m.segment(L.SS)).toMatchObject({ selector: 0, attributes: 0 });
    expect(enter(m, [0x9000, selector.userCode64, 2, 0x5000, 3])).toMatchObject({ vector: 13, error: 0 });
    expect(enter(m, [0x9000, selector.code32, 2, 0x5000, 0])).toMatchObject({ vector: 13, error: 0 });
  });

  test("flags: user code changes neither IF nor IOPL", () => {
    const { m } = long();
    toUser(m, 0x202n);
    m.setGpr(RSP, 0x5000n);
    const words = [0x40_1000, selector.userCode64, 0x7f_ffff, 0x5000, selector.userData];
    expect(enter(m, words)).toBeUndefined();
    // VM, RF, VIF, VIP and IOPL stay out; NT AC ID DF TF are the user's
    expect(m.u64(L.FLAGS_OTHER)).toBe(0x24_4702n);
    expect(m.takeFault()).toBeUndefined();
  });

  test("NT is #GP(0)", () => {
    const { m } = long();
    m.setU64(L.FLAGS_OTHER, 0x4002n);
    expect(enter(m, [0x9000, selector.code64, 2, 0x5000, selector.data])).toMatchObject({
      vector: 13,
      error: 0,
    });
  });

  const refused: [string, (bigint | number)[], vector: number, error: number][] = [
    ["a null CS", [0x9000, 3, 2, 0x5000, selector.data], 13, 0],
    ["a CS beyond the GDT", [0x9000, 0x200, 2, 0x5000, selector.data], 13, 0x200],
    ["a CS that is data", [0x9000, selector.data, 2, 0x5000, selector.data], 13, selector.data],
    [
      "a CS whose DPL is not its RPL",
      [0x9000, selector.code64 | 3, 2, 0x5000, selector.userData],
      13,
      selector.code64,
    ],
    ["an SS of another level", [0x9000, selector.userCode64, 2, 0x5000, selector.data], 13, selector.data],
    ["an SS that is code", [0x9000, selector.code64, 2, 0x5000, selector.code64], 13, selector.code64],
    ["a non-canonical RIP", [0x8000_0000_0000n, selector.userCode64, 2, 0x5000, selector.userData], 13, 0],
  ];
  for (const [what, words, vector, error] of refused)
    test(`${what} is refused`, () => {
      const { m } = long();
      expect(enter(m, words)).toMatchObject({ vector, error });
      expect([m.rip, m.gpr(RSP), m.u32(L.CPL)]).toEqual([0x8000n, 0x5000n, 0]);
    });

  // SDM vol. 3A, 6.15
  test("an SS that is not present is #SS with its selector", () => {
    const { m } = long();
    m.write64(GDT + 0x60, descriptor(DATA, 3, 12) & ~(0x80n << 40n));
    expect(enter(m, [0x9000, selector.userCode64, 2, 0x5000, 0x63])).toMatchObject({
      vector: 12,
      error: 0x60,
    });
  });

  test("data segments that the outer level may not use are taken away", () => {
    const { m } = long();
    must(m, "loadSegment", L.FS, selector.userData);
    must(m, "writeMsr", 0xc000_0101, 0x1234_5678_9000n); // GS base
    toUser(m);
    expect(m.segment(L.DS)).toMatchObject({ selector: 0, attributes: 0 });
    expect(m.segment(L.FS).selector).toBe(selector.userData);
    expect(m.segment(L.GS).base).toBe(0x1234_5678_9000n);
  });

  // SDM vol. 2, IRET: "IF (SegmentSelector == NULL) OR ... THEN SegmentSelector := 0"
  test("null selectors lose their RPL, and keep their base", () => {
    const { m } = long();
    for (const index of [L.DS, L.ES, L.GS]) must(m, "loadSegment", index, 3);
    must(m, "writeMsr", 0xc000_0101, 0x1234_5678_9000n); // GS base
    expect(m.segment(L.DS).selector).toBe(3);
    toUser(m);
    for (const index of [L.DS, L.ES, L.GS])
      expect(m.segment(index)).toMatchObject({ selector: 0, attributes: 0 });
    expect(m.segment(L.GS).base).toBe(0x1234_5678_9000n);
  });
});

describe("real mode", () => {
  function real() {
    const m = new Microcode();
    must(m, "farJump", 0x100, 0x10, 2);
    must(m, "loadSegment", L.SS, 0x200);
    m.setGpr(RSP, 0xffff_0100);
    m.setU64(L.FLAGS_OTHER, 0x4_0302n);
    m.physical.setUint16(0x21 * 4, 0x5678, true);
    m.physical.setUint16(0x21 * 4 + 2, 0x1234, true);
    m.physical.setUint16(13 * 4, 0x1313, true);
    return m;
  }
  test("INT n goes through the vector table with three words, and IRET comes back", () => {
    const m = real();
    must(m, "softwareInterrupt", 0x21, L.EVENT_SOFTWARE, 0x12n);
    expect([code(m), m.segment(L.CS).base, m.rip]).toEqual([0x1234, 0x1_2340n, 0x5678n]);
    expect(m.gpr(RSP)).toBe(0xffff_00fan);
    const words = [0, 2, 4].map((at) => m.physical.getUint16(0x20fa + at, true));
    expect(words).toEqual([0x12, 0x100, 0x302]);
    expect(m.u64(L.FLAGS_OTHER)).toBe(2n); // IF TF AC off
    must(m, "iret", 2);
    expect([code(m), m.rip, m.gpr(RSP), m.u64(L.FLAGS_OTHER)]).toEqual([0x100, 0x12n, 0xffff_0100n, 0x302n]);
  });
  // SDM vol. 2, IRET: of a doubleword in real mode ID, AC and RF count beyond FLAGS; VIF, VIP and VM stay
  test("IRETD changes ID and AC, and neither VIF nor VIP", () => {
    const [ID, VIP, VIF, AC] = [0x20_0000, 0x10_0000, 0x8_0000, 0x4_0000];
    const left = (before: number, image: number) => {
      const m = real();
      m.setU64(L.FLAGS_OTHER, BigInt(before | 2));
      [0x12, 0x100, image].forEach((word, i) => {
        m.physical.setUint32(0x2100 + 4 * i, word, true);
      });
      must(m, "iret", 4);
      return Number(m.u64(L.FLAGS_OTHER));
    };
    expect(left(0, ID | VIP | VIF | AC | 0x3202)).toBe(ID | AC | 0x3202);
    expect(left(VIP | VIF | AC, ID)).toBe(ID | VIP | VIF | 2);
  });
  test("an exception has no error code", () => {
    const m = real();
    deliver(m, 13, 0);
    expect([m.rip, m.gpr(RSP)]).toEqual([0x1313n, 0xffff_00fan]);
  });
  // SDM vol. 3B, 21.1.4: in real mode
  test("a vector beyond the table's limit raises #GP, and without that one a triple fault", () => {
    const m = real();
    must(m, "loadIdtr", 0, 13 * 4 + 3);
    expect(m.faultOf("softwareInterrupt", 0x21, L.EVENT_SOFTWARE, 0x12n)).toMatchObject({ vector: 13 });
    must(m, "loadIdtr", 0, 0);
    expect(deliver(m, 13)).toBe(0n);
    expect(m.u32(L.ACTIVITY)).toBe(L.SHUTDOWN);
  });
});

describe("protected mode", () => {
  function protectedMode() {
    const m = new Microcode();
    enterProtected(m);
    m.physical.setUint32(TSS + 4, Number(KERNEL_STACK), true);
    m.physical.setUint16(TSS + 8, selector.data, true);
    m.setGpr(RSP, STACK);
    m.setU64(L.RIP, 0x8000n);
    for (const vector of [8, 10, 12, 13, 32, 128]) gate(m, vector);
    return m;
  }
  const words = (m: Microcode, count: number) =>
    Array.from({ length: count }, (_, i) => m.physical.getUint32(Number(m.gpr(RSP)) + 4 * i, true));
  function toRing3(m: Microcode, flags = 0x202) {
    const rsp = Number(m.gpr(RSP)) - 20;
    [0x40_1000, selector.userCode32, flags, 0x5000, selector.userData].forEach((v, i) => {
      m.physical.setUint32(rsp + 4 * i, v, true);
    });
    m.setGpr(RSP, rsp);
    must(m, "iret", 4);
  }

  test("same level: EFLAGS, CS, EIP", () => {
    const m = protectedMode();
    must(m, "interrupt", 32, L.EVENT_EXTERNAL);
    expect(m.gpr(RSP)).toBe(STACK - 12n);
    expect(words(m, 3)).toEqual([0x8000, selector.code32, 2]);
    must(m, "iret", 4);
    expect([m.rip, m.gpr(RSP)]).toEqual([0x8000n, STACK]);
  });
  test("inner level: SS:ESP from the TSS, and back", () => {
    const m = protectedMode();
    toRing3(m);
    expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x40_1000n, 0x5000n]);
    deliver(m, 13, 0x10);
    expect([m.u32(L.CPL), m.gpr(RSP), m.segment(L.SS).selector]).toEqual([
      0,
      KERNEL_STACK - 24n,
      selector.data,
    ]);
    expect(words(m, 6)).toEqual([0x10, 0x40_1000, selector.userCode32, 0x1_0202, 0x5000, selector.userData]);
    m.setGpr(RSP, m.gpr(RSP) + 4n);
    must(m, "iret", 4);
    expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x40_1000n, 0x5000n]);
  });
  // SDM vol. 3A, 6.15
  test("the TSS's stack segment is checked: #TS and #SS with its selector", () => {
    for (const [ss, vector, error] of [
      [0, 10, 0],
      [0x200, 10, 0x200],
      [selector.userData, 10, selector.userData & ~3],
      [selector.code32, 10, selector.code32],
      [0x60, 12, 0x60],
    ]) {
      const m = protectedMode();
      m.write64(GDT + 0x60, descriptor(DATA, 0, 12) & ~(0x80n << 40n));
      gate(m, 128, { dpl: 3 });
      toRing3(m);
      m.physical.setUint16(TSS + 8, ss, true);
      expect(m.faultOf("softwareInterrupt", 128, L.EVENT_SOFTWARE, 0n)).toMatchObject({ vector, error });
    }
  });
  test("a 16-bit gate pushes words", () => {
    const m = protectedMode();
    gate(m, 32, { type: 6 });
    must(m, "interrupt", 32, L.EVENT_EXTERNAL);
    expect(m.gpr(RSP)).toBe(STACK - 6n);
    must(m, "iret", 2);
    expect([m.rip, m.gpr(RSP)]).toEqual([0x8000n, STACK]);
  });
  test("a handler beyond its segment's limit is #GP", () => {
    const m = protectedMode();
    m.write64(GDT + 0x60, descriptor(CODE, 0, 4, 0, 0xfff));
    gate(m, 32, { selector: 0x60, offset: 0x1000 });
    expect(m.faultOf("softwareInterrupt", 32, L.EVENT_SOFTWARE, 0n)).toMatchObject({ vector: 13, error: 0 });
  });
  // SDM vol. 3A, 6.15
  test("a push beyond the stack's limit is #SS(0)", () => {
    const m = protectedMode();
    m.write64(GDT + 0x60, descriptor(DATA | 4, 0, 4, 0, 0x5ff7)); // expand-down: from 5FF8 up
    must(m, "loadSegment", L.SS, 0x60);
    expect(m.faultOf("softwareInterrupt", 32, L.EVENT_SOFTWARE, 0n)).toMatchObject({ vector: 12, error: 0 });
    m.write64(GDT + 0x60, descriptor(DATA | 4, 0, 4, 0, 0x5ff3));
    must(m, "loadSegment", L.SS, 0x60);
    must(m, "softwareInterrupt", 32, L.EVENT_SOFTWARE, 0n);
  });

  describe("virtual-8086 mode", () => {
    function virtual(iopl: number) {
      const m = protectedMode();
      const rsp = 0x5000;
      m.setGpr(RSP, rsp);
      [0x10, 0x1000, 0x2_0202 | (iopl << 12), 0x100, 0x2000, 0x11, 0x22, 0x33, 0x44].forEach((v, i) => {
        m.physical.setUint32(rsp + 4 * i, v, true);
      });
      must(m, "iret", 4);
      return m;
    }
    test("IRET enters it with all segments, an interrupt leaves it with all saved", () => {
      const m = virtual(3);
      expect(m.u32(L.MODE)).toBe(L.MODE_V86);
      expect([m.u32(L.CPL), m.rip, m.gpr(RSP)]).toEqual([3, 0x10n, 0x100n]);
      expect(m.segment(L.CS)).toMatchObject({ selector: 0x1000, base: 0x1_0000n, limit: 0xffff });
      expect(m.segment(L.GS)).toMatchObject({ selector: 0x44, base: 0x440n });
      must(m, "interrupt", 32, L.EVENT_EXTERNAL);
      expect(m.u32(L.MODE) & L.MODE_V86).toBe(0);
      expect(words(m, 9)).toEqual([0x10, 0x1000, 0x2_3202, 0x100, 0x2000, 0x11, 0x22, 0x33, 0x44]);
      expect(m.segment(L.DS)).toMatchObject({ selector: 0, attributes: 0 });
      must(m, "iret", 4);
      expect(m.segment(L.DS)).toMatchObject({ selector: 0x22, base: 0x220n });
    });
    test("INT n needs IOPL 3", () => {
      expect(virtual(0).faultOf("softwareInterrupt", 32, L.EVENT_SOFTWARE, 0n)).toMatchObject({
        vector: 13,
        error: 0,
      });
      const m = virtual(3);
      gate(m, 32, { dpl: 3 });
      must(m, "softwareInterrupt", 32, L.EVENT_SOFTWARE, 0x12n);
      expect(words(m, 1)).toEqual([0x12]);
    });
    test("so does IRET, which then keeps VM and IOPL", () => {
      expect(virtual(0).faultOf("iret", 2)).toMatchObject({ vector: 13, error: 0 });
      const m = virtual(3);
      m.physical.setUint16(0x2_0100, 0x50, true);
      m.physical.setUint16(0x2_0102, 0x1100, true);
      m.physical.setUint16(0x2_0104, 0x0001, true);
      must(m, "iret", 2);
      expect([m.rip, m.segment(L.CS).base, m.u32(L.MODE)]).toEqual([0x50n, 0x1_1000n, L.MODE_V86]);
      expect(m.u64(L.FLAGS_OTHER)).toBe(0x2_3002n);
    });
    test("segment loads take any selector", () => {
      const m = virtual(0);
      must(m, "loadSegment", L.ES, 0xffff);
      expect(m.segment(L.ES)).toMatchObject({ base: 0xf_fff0n, limit: 0xffff });
    });
  });
});
