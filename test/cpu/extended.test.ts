// Extensions that an operating system turns on, as instructions: FSGSBASE, PKU, INVPCID and PCID, XSAVE, MONITOR; and
// RDRAND and RDPID. Intel SDM vol. 1 to 3, AMD APM vol. 2 to 4; chapters at the tests.

import { beforeAll, describe, expect, test } from "vitest";
import { HALTED } from "../../emulator/cpu/layout.js";
import { Cpu, PAGE_TABLES, STACK_TOP, selectors } from "../support/cpu.js";

const HANDLER = 0x3_0000;
const AREA = 0x4_0000;
const UD = 6;
const NM = 7;
const GP = 13;
const PF = 14;
const CR4_FSGSBASE = 1n << 16n;
const CR4_PCIDE = 1n << 17n;
const CR4_OSXSAVE = 1n << 18n;
const CR4_PKE = 1n << 22n;
const X87_SSE = 3;
const ALL = 0x203;
const NON_CANONICAL = 0x8000_0000_0000n;

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create({ cores: 2 });
});

interface Setting {
  readonly cr4?: bigint;
  readonly user?: boolean;
}
/** Starts a program with bits of CR4 set, in ring 0 or 3. */
function start(program: string, { cr4 = 0n, user = false }: Setting = {}) {
  cpu.place(HANDLER, "hlt");
  cpu.start(program);
  for (const vector of [UD, NM, GP, PF]) cpu.gate(vector, HANDLER + 0x10 * vector);
  for (const vector of [UD, NM, GP, PF]) cpu.place(HANDLER + 0x10 * vector, "hlt");
  const s = cpu.state();
  s.set({ cr4: s.register("cr4") | cr4 });
  if (user) {
    s.cpl = 3;
    s.setSegment("cs", { selector: selectors.userCode, attributes: 0xa0_fb00 });
    s.setSegment("ss", { selector: selectors.user, attributes: 0xc0_f300 });
  }
  return s;
}
/** Runs to the program's HLT, or to an exception's: gives its vector and error code, or nothing. */
function run(program: string, setting: Setting = {}) {
  const s = start(program, setting);
  cpu.run(1000);
  if (s.activity !== HALTED) throw new Error(`not halted: rip ${s.rip.toString(16)}`);
  const vector = (Number(s.rip) - 1 - HANDLER) >> 4;
  const faulted = vector === UD || vector === NM || vector === GP || vector === PF;
  if (!faulted) return { s, vector: undefined, error: undefined };
  return {
    s,
    vector,
    error: vector === UD || vector === NM ? undefined : cpu.read(Number(s.register("rsp")), 8),
  };
}
const vectorOf = (program: string, setting: Setting = {}) => run(program, setting).vector;

describe("FSGSBASE (SDM vol. 2, RDFSBASE, WRFSBASE)", () => {
  const on = { cr4: CR4_FSGSBASE };
  test("reads and writes the bases, 32 or 64 bits wide, in user code as well", () => {
    const { s, vector } = run(
      `mov rax, 0xffff800012345678
       wrfsbase rax
       rdfsbase rbx
       rdfsbase ecx
       wrgsbase ecx
       rdgsbase rdx
       hlt`,
      on,
    );
    expect(vector).toBeUndefined();
    expect(s.segment("fs").base).toBe(0xffff_8000_1234_5678n);
    expect([s.register("rbx"), s.register("rcx"), s.register("rdx")]).toEqual([
      0xffff_8000_1234_5678n,
      0x1234_5678n,
      0x1234_5678n,
    ]);
    expect(vectorOf("wrgsbase rax;; rdgsbase rbx;; hlt", { ...on, user: true })).toBe(GP); // the HLT's
  });
  test("#UD without CR4.FSGSBASE, #GP(0) for a non-canonical base", () => {
    expect(vectorOf("rdfsbase rax;; hlt")).toBe(UD);
    expect(vectorOf("wrgsbase rax;; hlt")).toBe(UD);
    const { vector, error } = run(`mov rax, ${NON_CANONICAL};; wrfsbase rax;; hlt`, on);
    expect([vector, error]).toEqual([GP, 0n]);
  });
});

describe("protection keys (SDM vol. 3A, 4.6.2 and 4.7)", () => {
  const DATA = 0x60_0000; // in the 2 MiB page at 6 MiB, whose entry gets the key
  const AT = PAGE_TABLES + 0x2000 + 8 * 3;
  const KEY = 5n;
  const denied = (bits: number) => bits << (2 * Number(KEY));
  const [AD, WD] = [1, 2].map(denied) as [number, number];
  /** A program that sets PKRU and then makes an access. */
  const access = (rights: number, what: string) =>
    `mov eax, ${rights};; xor ecx, ecx;; xor edx, edx;; wrpkru;; mov rbx, ${DATA};; ${what};; hlt`;
  function error(rights: number, what: string, setting: Setting = {}, key = KEY) {
    const s = start(access(rights, what), { cr4: CR4_PKE, ...setting });
    cpu.write(AT, 8, cpu.read(AT, 8) | (key << 59n));
    cpu.place(DATA, "ret");
    cpu.run(1000);
    const vector = (Number(s.rip) - 1 - HANDLER) >> 4;
    return vector === PF ? Number(cpu.read(Number(s.register("rsp")), 8)) : undefined;
  }
  const READ = "mov al, [rbx]";
  const WRITE = "mov [rbx], al";

  test("AD denies all data accesses, WD writes; the fault says PK", () => {
    const user = { user: true };
    expect(error(AD, READ, user)).toBe(0b100101);
    expect(error(AD, WRITE, user)).toBe(0b100111);
    expect(error(WD, WRITE, user)).toBe(0b100111);
    expect(error(WD, READ, user)).toBeUndefined();
    expect(error(AD, READ)).toBe(0b100001); // the supervisor's accesses to user pages as well
    expect(error(WD, WRITE)).toBe(0b100011); // CR0.WP is set
    expect(error(AD, READ, user, 6n)).toBeUndefined();
  });
  test("without CR0.WP the supervisor writes where WD is set", () => {
    const noWp = `mov rax, cr0;; and eax, 0xfffeffff;; mov cr0, rax`;
    expect(error(WD, `${noWp};; ${WRITE}`)).toBeUndefined();
    expect(error(AD, `${noWp};; ${WRITE}`)).toBe(0b100011);
  });
  test("fetches are free, and open no way for data", () => {
    expect(error(AD, `call rbx`)).toBeUndefined();
    expect(error(AD, `call rbx;; ${READ}`)).toBe(0b100001);
  });
  test("a cached translation follows PKRU both ways", () => {
    const set = (rights: number) => `mov eax, ${rights};; wrpkru`;
    expect(error(0, `${READ};; ${WRITE};; ${set(WD)};; ${READ};; ${set(0)};; ${WRITE}`)).toBeUndefined();
    expect(error(0, `${READ};; ${WRITE};; ${set(WD)};; ${READ};; ${WRITE}`)).toBe(0b100011);
    expect(error(0, `${READ};; ${WRITE};; ${set(AD)};; ${READ}`)).toBe(0b100001);
  });
  test("RDPKRU and WRPKRU want ECX (and EDX) zero and CR4.PKE", () => {
    const on = { cr4: CR4_PKE };
    const { s } = run(
      "mov eax, 0x55555554;; xor ecx, ecx;; xor edx, edx;; wrpkru;; xor eax, eax;; mov edx, 1;; rdpkru;; hlt",
      on,
    );
    expect([s.register("rax"), s.register("rdx")]).toEqual([0x5555_5554n, 0n]);
    expect(vectorOf("mov ecx, 1;; rdpkru;; hlt", on)).toBe(GP);
    expect(vectorOf("mov ecx, 1;; xor edx, edx;; wrpkru;; hlt", on)).toBe(GP);
    expect(vectorOf("xor ecx, ecx;; mov edx, 1;; wrpkru;; hlt", on)).toBe(GP);
    expect(vectorOf("xor ecx, ecx;; rdpkru;; hlt")).toBe(UD);
    expect(vectorOf("xor ecx, ecx;; xor edx, edx;; wrpkru;; hlt")).toBe(UD);
  });
});

describe("PCID and INVPCID (SDM vol. 3A, 4.10.1 and vol. 2)", () => {
  const DESCRIPTOR = 0x5_0000;
  /** Its TLB entry is not that of the page directory, whose use would evict it. */
  const PAGE = 0x60_1000;
  const invpcid = (type: number, context: bigint, address: bigint, setting: Setting = {}) => {
    const program = `mov eax, ${type};; mov rbx, ${DESCRIPTOR};; invpcid rax, [rbx];; hlt`;
    start(program, setting);
    cpu.write(DESCRIPTOR, 8, context);
    cpu.write(DESCRIPTOR + 8, 8, address);
    cpu.run(100);
    const vector = (Number(cpu.state().rip) - 1 - HANDLER) >> 4;
    return vector === GP || vector === UD ? vector : undefined;
  };
  test("CR4.PCIDE: only in long mode with a PCID of zero, and paging stays on", () => {
    const enable = "mov rax, cr4;; or eax, 0x20000;; mov cr4, rax";
    const cr3 = (low: number) => `mov rax, ${PAGE_TABLES + low};; mov cr3, rax`;
    expect(vectorOf(`${enable};; hlt`)).toBeUndefined();
    expect(vectorOf(`${cr3(1)};; ${enable};; hlt`)).toBe(GP);
    expect(vectorOf(`${enable};; mov rax, cr0;; btr rax, 31;; mov cr0, rax;; hlt`)).toBe(GP);
  });
  test("CR3 holds the PCID; bit 63 is an order, not kept, and reserved without PCIDE", () => {
    const keep = `mov rax, ${(1n << 63n) | BigInt(PAGE_TABLES) | 0xabcn};; mov cr3, rax;; mov rbx, cr3;; hlt`;
    const { s, vector } = run(keep, { cr4: CR4_PCIDE });
    expect([vector, s.register("rbx")]).toEqual([undefined, BigInt(PAGE_TABLES) | 0xabcn]);
    expect(vectorOf(keep)).toBe(GP);
  });
  // SDM vol. 2, INVPCID: INVPCID
  test("INVPCID: reserved bits, types and non-canonical addresses are #GP(0)", () => {
    for (const type of [0, 1, 2, 3]) {
      expect(invpcid(type, 0n, 0n)).toBeUndefined();
      expect(invpcid(type, 1n << 12n, 0n, { cr4: CR4_PCIDE })).toBe(GP);
      expect(invpcid(type, 7n, 0n, { cr4: CR4_PCIDE })).toBeUndefined();
      expect(invpcid(type, 7n, 0n)).toBe(type < 2 ? GP : undefined);
    }
    expect(invpcid(4, 0n, 0n)).toBe(GP);
    expect(invpcid(0, 0n, NON_CANONICAL)).toBe(GP);
    expect(invpcid(1, 0n, NON_CANONICAL)).toBeUndefined();
    expect(invpcid(0, 0n, 0n, { user: true })).toBe(GP);
  });
  test("each type drops the page's translation", () => {
    for (const type of [0, 1, 2, 3]) {
      const at = PAGE_TABLES + 0x2000 + 8 * 3;
      const s = start(
        `mov rbx, ${PAGE};; mov al, [rbx];; mov qword ptr [${at}], 0
         mov rbx, ${DESCRIPTOR};; mov eax, ${type};; invpcid rax, [rbx];; mov rbx, ${PAGE};; mov al, [rbx];; hlt`,
      );
      cpu.write(DESCRIPTOR, 8, 0);
      cpu.write(DESCRIPTOR + 8, 8, PAGE);
      cpu.run(100);
      expect([type, (Number(s.rip) - 1 - HANDLER) >> 4]).toEqual([type, PF]);
    }
  });
});

describe("XSAVE (SDM vol. 1, chapter 13)", () => {
  const on = { cr4: CR4_OSXSAVE };
  const xsetbv = (mask: number) => `xor ecx, ecx;; xor edx, edx;; mov eax, ${mask};; xsetbv`;
  const request = (mask: number) => `mov eax, ${mask};; xor edx, edx;; mov rbx, ${AREA}`;
  const STATE = AREA + 512;
  const FORMAT = AREA + 520;
  const KEYS = AREA + 576;
  const wipe = () => cpu.ram.fill(0xcc, AREA, AREA + 1024);
  const clearHeader = () => cpu.ram.fill(0, AREA + 512, AREA + 576);

  // SDM vol. 1, 13.3: XCR0
  test("XGETBV, XSETBV: XCR0's rules (13.3)", () => {
    const { s } = run(`${xsetbv(ALL)};; xor ecx, ecx;; mov edx, 5;; xgetbv;; hlt`, on);
    expect([s.register("rax"), s.register("rdx")]).toEqual([BigInt(ALL), 0n]);
    for (const mask of [0, 2, 5, 7, 0x201 | 8])
      expect([mask, vectorOf(`${xsetbv(mask)};; hlt`, on)]).toEqual([mask, GP]);
    expect(vectorOf(`mov ecx, 1;; xor edx, edx;; mov eax, 3;; xsetbv;; hlt`, on)).toBe(GP);
    expect(vectorOf(`xor ecx, ecx;; mov edx, 1;; mov eax, 3;; xsetbv;; hlt`, on)).toBe(GP);
    expect(vectorOf(`${xsetbv(3)};; hlt`, { ...on, user: true })).toBe(GP);
    expect(vectorOf("mov ecx, 2;; xgetbv;; hlt", on)).toBe(GP);
    for (const what of ["xgetbv", "xsetbv", "xsave [rbx]", "xrstor [rbx]", "xsavec [rbx]", "xsaveopt [rbx]"])
      expect([what, vectorOf(`${request(1)};; xor ecx, ecx;; ${what};; hlt`)]).toEqual([what, UD]);
  });
  test("CPUID tells OSXSAVE, and the area's size by XCR0", () => {
    // The test's host answers CPUID with its leaf and subleaf; microcode puts in what the core decides.
    const { s } = run(
      `${xsetbv(3)};; mov eax, 1;; cpuid;; mov esi, ecx;; mov eax, 13;; xor ecx, ecx;; cpuid;; hlt`,
      on,
    );
    expect((s.register("rsi") >> 27n) & 1n).toBe(1n);
    expect(s.register("rbx")).toBe(576n);
    expect(run(`${xsetbv(ALL)};; mov eax, 13;; xor ecx, ecx;; cpuid;; hlt`, on).s.register("rbx")).toBe(584n);
    expect((run("mov eax, 1;; cpuid;; hlt").s.register("rcx") >> 27n) & 1n).toBe(0n);
    expect(
      (run("mov eax, 7;; xor ecx, ecx;; cpuid;; hlt", { cr4: CR4_PKE }).s.register("rcx") >> 4n) & 1n,
    ).toBe(1n);
  });
  test("what is saved comes back, what is not in the area is initialised", () => {
    wipe();
    clearHeader();
    const { s, vector } = run(
      `${xsetbv(ALL)}
       mov eax, 0xc;; xor ecx, ecx;; xor edx, edx;; wrpkru
       mov rax, 0x1122334455667788;; movq xmm1, rax
       ${request(0xffff)};; xsave [rbx]
       pxor xmm1, xmm1;; mov rax, 7;; movq xmm2, rax
       xor eax, eax;; xor ecx, ecx;; wrpkru
       ${request(0xffff)};; xrstor [rbx]
       rdpkru
       hlt`,
      { cr4: CR4_OSXSAVE | CR4_PKE },
    );
    expect(vector).toBeUndefined();
    expect([s.xmm(1), s.xmm(2), s.register("rax")]).toEqual([0x1122_3344_5566_7788n, 0n, 0xcn]);
    expect(cpu.read(FORMAT, 8)).toBe(0n);
    expect(cpu.read(STATE, 8) & 0x202n).toBe(0x202n);
    expect(cpu.read(KEYS, 4)).toBe(0xcn);
  });
  test("XSTATE_BV says what is in use; XSAVEOPT leaves the rest of the area alone (13.6, 13.9)", () => {
    wipe();
    clearHeader();
    const clear = "fninit;; pxor xmm0, xmm0;; pxor xmm1, xmm1;; pxor xmm2, xmm2";
    run(`${xsetbv(3)};; ${clear};; ${request(3)};; xsaveopt [rbx];; hlt`, on);
    expect(cpu.read(STATE, 8)).toBe(0n);
    expect(cpu.read(AREA, 8)).toBe(0xcccc_cccc_cccc_ccccn);
    const { s } = run(`${xsetbv(3)};; ${clear};; mov ecx, 1;; xgetbv;; hlt`, on);
    expect(s.register("rax")).toBe(0n);
    run(`${xsetbv(3)};; ${clear};; fld1;; ${request(3)};; xsaveopt [rbx];; hlt`, on);
    expect(cpu.read(STATE, 8)).toBe(1n);
    expect(cpu.read(AREA, 2)).toBe(0x37fn);
  });
  test("only requested components change, in XSTATE_BV too", () => {
    wipe();
    clearHeader();
    cpu.write(STATE, 8, 0x200);
    run(`${xsetbv(ALL)};; mov eax, 1;; movd xmm0, eax;; ${request(2)};; xsave [rbx];; hlt`, on);
    expect(cpu.read(STATE, 8)).toBe(0x202n);
    expect(cpu.read(AREA, 8)).toBe(0xcccc_cccc_cccc_ccccn);
    expect(cpu.read(AREA + 160, 8)).toBe(1n);
    expect(cpu.read(KEYS, 4)).toBe(0xcccc_ccccn);
  });
  test("XSAVEC writes the compacted format, which XRSTOR takes (13.10, 13.8.2)", () => {
    wipe();
    clearHeader();
    const { s, vector } = run(
      `${xsetbv(ALL)};; mov eax, 9;; movd xmm3, eax;; ${request(0x202)};; xsavec [rbx]
       pxor xmm3, xmm3;; ${request(0x202)};; xrstor [rbx];; hlt`,
      on,
    );
    expect([vector, s.xmm(3)]).toEqual([undefined, 9n]);
    expect(cpu.read(FORMAT, 8)).toBe((1n << 63n) | 0x202n);
    expect(cpu.read(STATE, 8) & 2n).toBe(2n);
  });
  test("XSAVES and XRSTORS: ring 0 only, the compacted format only (13.11, 13.12)", () => {
    wipe();
    clearHeader();
    const { s, vector } = run(
      `${xsetbv(ALL)};; mov eax, 9;; movd xmm3, eax;; ${request(0xffff)};; xsaves [rbx]
       pxor xmm3, xmm3;; ${request(0xffff)};; xrstors [rbx];; hlt`,
      on,
    );
    expect([vector, s.xmm(3), cpu.read(FORMAT, 8)]).toEqual([undefined, 9n, (1n << 63n) | 0x203n]);
    run(`${xsetbv(ALL)};; ${request(3)};; xsave [rbx];; hlt`, on);
    cpu.ram.fill(0, FORMAT, FORMAT + 56);
    expect(vectorOf(`${xsetbv(ALL)};; ${request(3)};; xrstors [rbx];; hlt`, on)).toBe(GP);
    expect(vectorOf(`${request(3)};; xsaves [rbx];; hlt`, { ...on, user: true })).toBe(GP);
    expect(vectorOf(`mov ecx, 0xda0;; xor edx, edx;; mov eax, 1;; wrmsr;; hlt`)).toBe(GP);
    expect(run("mov ecx, 0xda0;; rdmsr;; hlt").s.register("rax")).toBe(0n);
  });
  test("alignment, TS and reserved header bits", () => {
    expect(vectorOf(`${request(3)};; add rbx, 16;; xsave [rbx];; hlt`, on)).toBe(GP);
    expect(vectorOf(`${request(3)};; mov rcx, cr0;; or ecx, 8;; mov cr0, rcx;; xsave [rbx];; hlt`, on)).toBe(
      NM,
    );
    const restore = `${xsetbv(X87_SSE)};; ${request(3)};; xrstor [rbx];; hlt`;
    const header = (words: Record<number, bigint>) => {
      cpu.ram.fill(0, AREA, AREA + 1024);
      cpu.write(AREA + 24, 4, 0x1f80);
      for (const [at, value] of Object.entries(words)) cpu.write(AREA + Number(at), 8, value);
      return vectorOf(restore, on);
    };
    const C = 1n << 63n;
    expect(header({})).toBeUndefined();
    expect(header({ 512: 0x200n })).toBe(GP); // not in XCR0
    expect(header({ 520: 1n })).toBe(GP); // XCOMP_BV without its top bit
    expect(header({ 528: 1n })).toBe(GP);
    expect(header({ 536: 1n })).toBeUndefined(); // the standard form ignores the rest
    expect(header({ 520: C | 3n, 512: 3n })).toBeUndefined();
    expect(header({ 520: C | 1n, 512: 2n })).toBe(GP);
    expect(header({ 520: C | 0x203n })).toBe(GP);
    expect(header({ 520: C | 3n, 568: 1n })).toBe(GP);
    expect(header({ 24: 1n << 16n })).toBe(GP); // MXCSR, even if SSE is to be initialised
    expect(header({ 520: C | 3n, 24: 1n << 16n })).toBeUndefined();
  });
  test("a fault on the area's second page changes nothing", () => {
    const s = start(`${request(3)};; mov rbx, 0x5fff00;; xrstor [rbx];; hlt`, on);
    cpu.write(PAGE_TABLES + 0x2000 + 8 * 3, 8, 0);
    cpu.ram.fill(0, 0x5f_ff00, 0x60_0000);
    s.setXmm(4, 5n);
    cpu.run(100);
    expect(s.register("cr2")).toBe(0x60_0000n);
    expect(s.xmm(4)).toBe(5n);
  });
});

describe("RDRAND, RDSEED, RDPID, cache lines", () => {
  test("RDRAND sets CF, clears the other flags, and gives every width", () => {
    cpu.engine.seedRandom(0, new Uint32Array(8));
    const { s } = run(
      "mov rbx, -1;; cmp eax, eax;; rdrand rax;; pushfq;; pop rdx;; rdrand bx;; rdseed ecx;; hlt",
    );
    expect(s.register("rdx") & 0x8d5n).toBe(1n);
    // ChaCha20 with a key of zeros, counter and nonce zero, RFC 8439 A.1, test vector 1: 76 b8 e0 ad a0 f1 3d 90
    expect(s.register("rax")).toBe(0x903d_f1a0_ade0_b876n);
    expect(s.register("rbx") >> 16n).toBe(0xffff_ffff_ffffn);
    // ... vector 2, counter 1: 9f 07 e7 be
    expect(s.register("rbx") & 0xffffn).toBe(0x079fn);
  });
  test("the same key gives the same numbers, another key others", () => {
    const draw = (word: number) => {
      cpu.engine.seedRandom(0, new Uint32Array(8).fill(word));
      return run("rdrand rax;; hlt").s.register("rax");
    };
    expect(new Set([draw(1), draw(2), draw(3)]).size).toBe(3);
  });
  // SDM vol. 2, RDPID: TSC_AUX
  test("RDPID is TSC_AUX, for user code too", () => {
    const s = start("mov ecx, 0xc0000103;; xor edx, edx;; mov eax, 0x1234;; wrmsr;; rdpid rbx;; hlt");
    cpu.run(100);
    expect(s.register("rbx")).toBe(0x1234n);
  });
  test("CLFLUSHOPT and CLWB fault like a load; WBNOINVD is privileged", () => {
    for (const what of ["clflushopt [rbx]", "clwb [rbx]"]) {
      expect(vectorOf(`mov rbx, 0x600000;; ${what};; hlt`)).toBeUndefined();
      const s = start(`mov rbx, 0x600000;; ${what};; hlt`);
      cpu.write(PAGE_TABLES + 0x2000 + 8 * 3, 8, 0);
      cpu.run(100);
      expect(s.register("cr2")).toBe(0x60_0000n);
    }
    expect(vectorOf("wbnoinvd;; hlt")).toBeUndefined();
    expect(vectorOf("wbnoinvd;; hlt", { user: true })).toBe(GP);
  });
});

describe("MONITOR and MWAIT (SDM vol. 3A, 9.10.4)", () => {
  const LINE = 0x4_8040;
  const wait = (extensions = 0) =>
    `mov rax, ${LINE + 8};; xor ecx, ecx;; xor edx, edx;; monitor
     xor eax, eax;; mov ecx, ${extensions};; mwait;; mov ebx, 1;; hlt`;
  function waiting(program: string) {
    const s = start(program);
    cpu.ram.fill(0, LINE - 64, LINE + 128);
    s.set({ rbx: 0 });
    cpu.run(1000);
    expect([s.activity, s.register("rbx"), cpu.engine.runnable(0)]).toEqual([HALTED, 0n, false]);
    return s;
  }
  test("a store of another core to the line wakes, to the next line does not", () => {
    const s = waiting(wait());
    cpu.start(`mov byte ptr [${LINE + 64}], 1;; hlt`, { at: 0x6_0000, core: 1, rsp: STACK_TOP });
    cpu.run(10, 1);
    expect(cpu.engine.runnable(0)).toBe(false);
    cpu.start(`mov byte ptr [${LINE + 63}], 1;; hlt`, { at: 0x6_0000, core: 1, rsp: STACK_TOP });
    cpu.run(10, 1);
    expect(cpu.engine.runnable(0)).toBe(true);
    cpu.run(100);
    expect(s.register("rbx")).toBe(1n);
  });
  test.each([
    `mov byte ptr [${LINE + 63}], 0`,
    `mov qword ptr [${LINE + 8}], 5;; mov qword ptr [${LINE + 8}], 0`,
    `lock or dword ptr [${LINE}], 0`,
    `xor eax, eax;; xchg [${LINE + 32}], ax`,
    `mov eax, 7;; lock cmpxchg [${LINE}], ecx`,
    `pxor xmm0, xmm0;; movups [${LINE - 15}], xmm0`,
    `xor eax, eax;; mov edi, ${LINE - 64};; mov ecx, 17;; rep stosd`,
    `mov esi, ${LINE};; mov edi, ${LINE};; mov ecx, 64;; rep movsb`,
    `mov esp, ${LINE + 64};; push 0`,
  ])("a store that leaves the line as it was wakes: %s", (store) => {
    const s = waiting(wait());
    cpu.start(`xor ecx, ecx;; ${store};; hlt`, { at: 0x6_0000, core: 1, rsp: STACK_TOP });
    cpu.run(300, 1);
    expect(cpu.engine.runnable(0)).toBe(true);
    cpu.run(100);
    expect(s.register("rbx")).toBe(1n);
  });
  test("a store to code in the line's page, whose stores nobody looks at then, does not lose the wait", () => {
    waiting(wait());
    const code = LINE + 0x100;
    cpu.start("nop;; hlt", { at: code, core: 1, rsp: STACK_TOP });
    cpu.run(10, 1);
    cpu.start(`mov byte ptr [${code}], 0x90;; mov byte ptr [${LINE}], 0;; hlt`, {
      at: 0x6_0000,
      core: 1,
      rsp: STACK_TOP,
    });
    cpu.run(10, 1);
    expect(cpu.engine.runnable(0)).toBe(true);
  });
  test("two cores wait for lines of one page: each for its own", () => {
    waiting(wait());
    const other = wait().replace(String(LINE + 8), String(LINE + 64));
    cpu.start(other, { at: 0x6_0000, core: 1, rsp: STACK_TOP });
    cpu.run(100, 1);
    cpu.write(LINE + 64, 4, 0);
    expect([0, 1].map((core) => cpu.engine.runnable(core))).toEqual([false, true]);
    cpu.write(LINE + 60, 4, 0);
    expect(cpu.engine.runnable(0)).toBe(true);
  });
  test("a device's store wakes as well, whatever it is", () => {
    for (const value of [5, 0]) {
      waiting(wait());
      cpu.write(LINE + 60, 4, value);
      expect(cpu.engine.runnable(0)).toBe(true);
    }
  });
  test("a store between the two is not missed; without MONITOR MWAIT goes on", () => {
    const s = start(`mov rax, ${LINE};; xor ecx, ecx;; xor edx, edx;; monitor;; inc qword ptr [rax]
      xor eax, eax;; mwait;; mov ebx, 1;; mwait;; mov ebx, 2;; hlt`);
    cpu.run(1000);
    expect(s.register("rbx")).toBe(2n);
  });
  test("after it HLT is a HLT: the line no longer wakes", () => {
    waiting(`mov rax, ${LINE};; xor ecx, ecx;; xor edx, edx;; monitor;; hlt;; mov ebx, 1;; hlt`);
    cpu.write(LINE, 4, 5);
    expect(cpu.engine.runnable(0)).toBe(false);
  });
  test("ECX: no extensions of MONITOR, one of MWAIT; user code has neither", () => {
    expect(vectorOf(`mov rax, ${LINE};; mov ecx, 1;; monitor;; hlt`)).toBe(GP);
    expect(vectorOf("mov ecx, 2;; mwait;; hlt")).toBe(GP);
    for (const what of ["monitor", "mwait"])
      expect(vectorOf(`mov rax, ${LINE};; xor ecx, ecx;; ${what};; hlt`, { user: true })).toBe(UD);
    expect(vectorOf(`mov rax, ${NON_CANONICAL};; xor ecx, ecx;; monitor;; hlt`)).toBe(GP);
  });
  test("an interrupt wakes with IF clear when ECX bit 0 asks for it, and is not taken", () => {
    for (const extensions of [0, 1]) {
      const s = waiting(wait(extensions));
      cpu.host.interrupts = [0x40];
      cpu.attend(0, 1);
      expect(cpu.engine.runnable(0)).toBe(extensions === 1);
      cpu.run(100);
      expect([s.register("rbx"), cpu.host.interrupts.length]).toEqual([BigInt(extensions), 1]);
      cpu.host.interrupts = [];
    }
  });
});
