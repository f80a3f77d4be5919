// Which of several conditions one instruction raises. Intel SDM vol. 3A, 6.9 and table 6-2 (from debug traps of the
// instruction before to faults of this one's execution); vol. 2, the instructions' lists of exceptions.
// priorities.test.ts has what comes from outside between two instructions.

import { beforeAll, describe, expect, test } from "vitest";
import { ATTENTION_INTERRUPT, ATTENTION_NMI, CORES_BASE, DR } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, PAGE_TABLES, selectors } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

const HANDLERS = 0x3_0000;
const handler = (vector: number) => HANDLERS + 0x100 * vector;
const LOG = 0x2_0000;
const DATA = 0x2_1000;
/** 2 MiB that are not mapped. */
const ABSENT = 0x60_0000;
const DIRECTORY = 0x7_0000;
const DB = 1;
const UD = 6;
const NM = 7;
const SS = 12;
const GP = 13;
const PF = 14;
const FAULTS = [UD, NM, SS, GP, PF, 16, 17, 19];

interface Setting {
  readonly bits?: 64 | 32;
  readonly user?: boolean;
  /** Breakpoints' addresses, and DR7. */
  readonly dr?: readonly number[];
  readonly dr7?: number;
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly dsLimit?: number;
  /** Vectors of the local APIC, and NMI (2), that wait before the first instruction. */
  readonly waiting?: readonly number[];
}

/** The vectors that a program raises, in order. Interrupts come back, #DB with RF set; every other handler halts. */
function raised(program: string | readonly number[], setting: Setting = {}): number[] {
  const { bits = 64, user = false, dr = [], dr7 = 0, cr0 = 0n, cr4 = 0n, waiting = [] } = setting;
  cpu.engine.reset(0);
  cpu.start(program as string, { bits });
  const s = cpu.state();
  const log = (vector: number) => `mov r8, [${LOG}];; mov byte ptr [r8], ${vector};; inc qword ptr [${LOG}]`;
  if (bits === 64) {
    for (const vector of FAULTS) cpu.place(handler(vector), `${log(vector)};; hlt`);
    cpu.place(handler(DB), `${log(DB)};; or dword ptr [rsp+16], 0x10000;; iretq`);
    for (const vector of [2, 0x40]) cpu.place(handler(vector), `${log(vector)};; iretq`);
    for (const vector of [...FAULTS, DB, 2, 0x40]) cpu.gate(vector, handler(vector));
  } else {
    for (const vector of FAULTS) {
      cpu.place(handler(vector), `mov byte ptr [${LOG + 8}], ${vector};; inc dword ptr [${LOG}];; hlt`, 32);
      cpu.write(
        0x9000 + 8 * vector,
        8,
        (BigInt(handler(vector) >>> 16) << 48n) |
          0x8e00_0000_0000n |
          BigInt((selectors.code32 << 16) | (handler(vector) & 0xffff)),
      );
    }
  }
  if (bits === 32) {
    // 32-bit paging: 4 MiB pages one to one, but for that of ABSENT
    for (let i = 0; i < 4; i++) cpu.write(DIRECTORY + 4 * i, 4, i === ABSENT >> 22 ? 0 : (i << 22) | 0x83);
    s.set({ cr3: DIRECTORY, cr4: s.register("cr4") | 0x10n, cr0: s.register("cr0") | 0x8000_0000n });
  }
  cpu.write(LOG, 8, LOG + 8);
  cpu.write(PAGE_TABLES + 0x2000 + 8 * (ABSENT / 0x20_0000), 8, 0);
  s.set({ cr0: s.register("cr0") | cr0, cr4: s.register("cr4") | cr4 });
  const registers = new DataView(cpu.memory.buffer, CORES_BASE + DR);
  for (const [n, at] of dr.entries()) registers.setBigUint64(8 * n, BigInt(at), true);
  registers.setBigUint64(8 * 7, BigInt(0x400 | dr7), true);
  cpu.engine.restore(0, cpu.engine.snapshot(0)); // the engine looks at the debug registers anew
  if (setting.dsLimit !== undefined) s.setSegment("ds", { ...s.segment("ds"), limit: setting.dsLimit });
  if (user) {
    s.cpl = 3;
    s.setSegment("cs", { selector: selectors.userCode, attributes: 0xa0_fb00 });
    s.setSegment("ss", { selector: selectors.user, attributes: 0xc0_f300 });
  }
  s.rflags = waiting.length > 0 ? 0x202 : 2;
  cpu.host.interrupts = waiting.filter((vector) => vector !== 2);
  if (waiting.length > 0) cpu.attend(0, ATTENTION_INTERRUPT | (waiting.includes(2) ? ATTENTION_NMI : 0));
  cpu.run(200);
  return Array.from({ length: Number(cpu.read(LOG, 8)) - LOG - 8 }, (_, i) =>
    Number(cpu.read(LOG + 8 + i, 1)),
  );
}

const ENABLE = 1;
const ON_WRITE = 1 << 16;
const ON_ACCESS = 3 << 16;

describe("debug exceptions and others (SDM vol. 3A, table 6-2)", () => {
  test("an instruction breakpoint comes before any fault of its instruction: fetch, decoding, execution", () => {
    expect(raised("ud2", { dr: [CODE], dr7: ENABLE })).toEqual([DB, UD]);
    expect(raised(`mov eax, [${ABSENT}]`, { dr: [CODE], dr7: ENABLE })).toEqual([DB, PF]);
    expect(raised(`jmp ${ABSENT}`, { dr: [ABSENT], dr7: ENABLE })).toEqual([DB, PF]);
  });
  test("NMI and interrupts come before an instruction breakpoint at the next", () => {
    expect(raised("nop;; hlt", { dr: [CODE], dr7: ENABLE, waiting: [0x40] })).toEqual([0x40, DB]);
    expect(raised("nop;; hlt", { dr: [CODE], dr7: ENABLE, waiting: [2] })).toEqual([2, DB]);
  });
  // SDM vol. 3B, 18.3.1.2: a data breakpoint is a trap after the access
  test("an instruction that faults reports no data breakpoint that it met before (18.3.1.2: a trap)", () => {
    const push = `mov rsp, ${ABSENT + 8};; push qword ptr [${DATA}]`;
    const list = raised(push, { dr: [DATA], dr7: ENABLE | ON_ACCESS });
    expect(list[0]).not.toBe(DB);
    expect(
      raised(`mov rsi, ${DATA};; mov rdi, ${ABSENT};; movsb`, { dr: [DATA], dr7: ENABLE | ON_ACCESS }),
    ).toEqual([PF]);
    expect(
      raised(`mov rsi, ${DATA};; mov rdi, ${DATA + 64};; movsb;; hlt`, {
        dr: [DATA],
        dr7: ENABLE | ON_ACCESS,
      }),
    ).toEqual([DB]);
  });
});

describe("faults of one instruction (SDM vol. 3A, table 6-2: decoding, then execution)", () => {
  const TS = 8n;
  const EM = 4n;
  test("an illegal LOCK is #UD whatever else is wrong", () => {
    expect(raised([0xf0, 0x8b, 0x04, 0x25, 0, 0, 0x60, 0])).toEqual([UD]); // lock mov eax, [ABSENT]
    expect(raised([0xf0, 0xd8, 0x04, 0x25, 0, 0, 0x60, 0], { cr0: TS })).toEqual([UD]); // lock fadd
    expect(raised([0xf0, 0x0f, 0x01, 0x14, 0x25, 0, 0, 0x60, 0], { user: true })).toEqual([UD]); // lock lgdt
  });
  test("#UD of an SSE instruction that is switched off comes before #NM, #NM before its page fault", () => {
    expect(raised(`movups xmm0, [${ABSENT}]`, { cr0: TS })).toEqual([NM]);
    expect(raised(`movups xmm0, [${ABSENT}]`, { cr0: TS | EM })).toEqual([UD]);
    expect(raised(`movups xmm0, [${ABSENT}]`)).toEqual([PF]);
  });
  test("#NM of an x87 instruction comes before its page fault", () => {
    expect(raised(`fld dword ptr [${ABSENT}]`, { cr0: TS })).toEqual([NM]);
    expect(raised(`fld dword ptr [${ABSENT}]`, { cr0: EM })).toEqual([NM]);
    expect(raised(`fld dword ptr [${ABSENT}]`)).toEqual([PF]);
  });
  test.each(["lgdt", "lidt", "invlpg"])("%s: the privilege is looked at before the operand", (name) => {
    expect(raised(`${name} [${ABSENT}]`, { user: true })).toEqual([GP]);
  });
  /** In 32-bit code there is one handler: how many came, and which came last. */
  const limited = (program: string | readonly number[], setting: Setting = {}) => {
    const list = raised(program, { bits: 32, ...setting });
    return [list.length, Number(cpu.read(LOG + 8, 1))];
  };
  test("a segment's limit comes before the page (SDM vol. 3A, 5.3: checks precede translation)", () => {
    const load = `mov eax, [${ABSENT + 4}]`;
    expect(limited(load, { dsLimit: ABSENT })).toEqual([1, GP]);
    expect(limited(load, { dsLimit: 0xffff_ffff })).toEqual([1, PF]);
  });
  test("BOUND's limits are two operands, each with its own checks (SDM vol. 2, BOUND)", () => {
    const bound = `bound eax, [${ABSENT}]`;
    expect(limited(bound, { dsLimit: ABSENT + 3 })).toEqual([1, PF]);
    expect(limited(bound, { dsLimit: ABSENT + 2 })).toEqual([1, GP]);
    expect(limited(`bound eax, [${DATA}]`, { dsLimit: DATA + 3 })).toEqual([1, GP]);
  });
  // APM vol. 3, CALL (near) pushes before it looks at the target; and as an AMD EPYC answers
  test("CALL: the stack's faults come before #GP of the target, which leaves the stack as it was", () => {
    const call = (stack: string) => `mov rsp, ${stack};; mov rax, 0x8000000000000000;; call rax`;
    const user = true;
    expect(raised(call(`${ABSENT + 8}`), { user })).toEqual([PF]);
    expect(raised(call("0x8000000000000008"), { user })).toEqual([SS]);
    cpu.write(DATA, 8, 0x1111n);
    expect(raised(call(`${DATA + 8}`), { user })).toEqual([GP]);
    expect(cpu.read(DATA, 8)).toBe(0x1111n);
  });
  // As an AMD EPYC answers: the manuals do not order these.
  test("RET far reads CS first, then RIP, SS and RSP; IRET begins with RFLAGS", () => {
    const missed = (instruction: string) => {
      expect(raised(`mov rsp, ${ABSENT + 0x40};; ${instruction}`, { user: true })).toEqual([PF]);
      return Number(cpu.state().register("cr2")) - ABSENT - 0x40;
    };
    expect(["db 0x48, 0xcb", "iretq"].map(missed)).toEqual([8, 16]);
  });
  test("16-byte alignment comes before SS's limit; an address that is none before FXSAVE's alignment", () => {
    const beyond = (instruction: string) => `mov ebp, 0xfffffff7;; ${instruction}`;
    expect(limited(beyond("movups xmm0, [ebp]"))).toEqual([1, SS]);
    expect(limited(beyond("movaps xmm0, [ebp]"))).toEqual([1, GP]);
    const nowhere = (instruction: string) => `mov rbp, 0x8000000000000001;; ${instruction}`;
    expect(raised(nowhere("movaps xmm0, [rbp]"))).toEqual([GP]);
    expect(raised(nowhere("db 0x0f, 0xae, 0x45, 0x00"))).toEqual([SS]); // FXSAVE [rbp]
  });
  test("16-byte alignment comes before the page", () => {
    expect(raised(`movaps xmm0, [${ABSENT + 8}]`)).toEqual([GP]);
    expect(raised(`movaps xmm0, [${ABSENT + 16}]`)).toEqual([PF]);
  });
});

describe("what a data breakpoint matches (SDM vol. 3B, 18.2.5)", () => {
  const LEN4 = 3 << 18;
  const LEN2 = 1 << 18;
  test("the low address bits that its length covers are no part of the comparison", () => {
    const stores = (offset: number) => `mov byte ptr [${DATA + offset}], 1;; hlt`;
    const met = (at: number, len: number) =>
      [0, 1, 2, 3, 4].filter(
        (offset) => raised(stores(offset), { dr: [at], dr7: ENABLE | ON_WRITE | len }).length > 0,
      );
    expect(met(DATA + 3, LEN4)).toEqual([0, 1, 2, 3]);
    expect(met(DATA + 1, LEN2)).toEqual([0, 1]);
    expect(met(DATA + 1, 0)).toEqual([1]);
  });
  test("any byte of an access meets it, from below and across", () => {
    const at = { dr: [DATA + 8], dr7: ENABLE | ON_WRITE };
    expect(raised(`mov qword ptr [${DATA + 1}], 1;; hlt`, at)).toEqual([DB]);
    expect(raised(`mov dword ptr [${DATA + 4}], 1;; hlt`, at)).toEqual([]);
    expect(raised(`mov dword ptr [${DATA + 9}], 1;; hlt`, at)).toEqual([]);
  });
});

describe("I/O breakpoints (SDM vol. 3B, 18.2.4 and 18.3.1.2)", () => {
  const ON_PORT = 2 << 16;
  const DE = 8n;
  // SDM vol. 3B, 18.3.1.2: I/O breakpoints, with CR4.DE
  test("each byte of the port access counts, and each iteration of OUTS is a trap", () => {
    const at = { dr: [0x82], dr7: ENABLE | ON_PORT, cr4: DE };
    expect(raised("out 0x80, eax;; hlt", at)).toEqual([DB]);
    expect(raised("out 0x80, ax;; hlt", at)).toEqual([]);
    expect(raised(`mov rsi, ${DATA};; mov dx, 0x82;; mov ecx, 3;; rep outsb;; hlt`, at)).toEqual([
      DB,
      DB,
      DB,
    ]);
  });
});

// SDM vol. 2, MOV to and from debug and control registers: a register that is not there, then CPL, then general detect
describe("privileged registers", () => {
  const DE = 8n;
  const GUARD = 0x2000;
  test("a debug register that CR4.DE takes away is #UD at any level, before #GP", () => {
    for (const user of [false, true])
      expect(["mov rax, dr4", "mov dr5, rax"].map((p) => raised(p, { user, cr4: DE }))).toEqual([[UD], [UD]]);
    expect(raised("mov rax, dr4", { user: true })).toEqual([GP]);
    expect(raised([0x44, 0x0f, 0x21, 0xc0], { user: true })).toEqual([UD]); // DR8
  });
  test("#GP of ring 3 comes before general detect", () => {
    expect(raised("mov rax, dr0;; hlt", { dr7: GUARD })).toEqual([DB]);
    expect(raised("mov rax, dr0", { user: true, dr7: GUARD })).toEqual([GP]);
  });
  test("a control register that does not exist is #UD at any level", () => {
    for (const user of [false, true]) expect(raised([0x0f, 0x20, 0xc8], { user })).toEqual([UD]);
  });
});

test("an instruction breakpoint is of its first byte, whatever LEN says (SDM vol. 3B, 18.2.4)", () => {
  const at = (address: number) => ({ dr: [address], dr7: ENABLE | (1 << 18) });
  expect(raised("nop;; nop;; hlt", at(CODE + 1))).toEqual([DB]);
  expect(raised([0x66, 0x90, 0xf4], at(CODE + 1))).toEqual([]);
  expect(raised("nop;; nop;; hlt", at(CODE + 0x100))).toEqual([]);
});
