// The store buffer of seeded cores (emulator/cpu/microcode/store-buffer.ts), instruction by instruction: what waits, what
// orders, what a core sees of its own; and what it is for: a program that forgets its MFENCE fails under some seed.
// That all of x86-TSO is seen and nothing else: machine.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { Machine } from "../../emulator/index.js";

const X = 0x20_0000;
const OWN = 0x20_1000;
const CODE = 0x1_0000;
const HANDLER = 0x2_0000;
const IDT = 0x7000;
const GATE = 0x8e00n;

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.create({ cores: 2, memory: 16 << 20, storeBuffer: 4 });
});

/** Starts core 0 with an interrupt table whose gates lead to a HLT. */
function start(program: string): void {
  machine.drainStores(null); // what the test before has left
  for (const address of [X, X + 8, X + 16, X + 24, X + 32, OWN]) machine.write(address, 8, 0);
  machine.start(program, { at: CODE, cores: [0] });
  const core = machine.core(0);
  const selector = BigInt(core.segment("cs").selector);
  for (let vector = 0; vector < 32; vector++) {
    machine.write(
      IDT + 16 * vector,
      8,
      BigInt(HANDLER & 0xffff) | (selector << 16n) | (GATE << 32n) | (BigInt(HANDLER >> 16) << 48n),
    );
    machine.write(IDT + 16 * vector + 8, 8, 0);
  }
  machine.load(HANDLER, Uint8Array.of(0xf4));
  core.idtr = { base: BigInt(IDT), limit: 0x1ff };
}

const STORE = `mov dword ptr [${X}], 1`;

// SDM vol. 3A, 9.2.5: what drains the store buffer
describe("a store waits until something orders it", () => {
  test.each([
    ["a store", `mov dword ptr [${OWN}], 1`],
    ["a load of the same place", `mov ebx, [${X}]`],
    ["a load of another place", `mov ebx, [${OWN}]`],
    ["a read-modify-write without LOCK", `add dword ptr [${OWN}], 1`],
    ["SFENCE", "sfence"],
    ["LFENCE", "lfence"],
    ["PAUSE", "pause"],
    ["RDTSC", "rdtsc"],
    ["CLI", "cli"],
    ["a jump", "jmp next\nnext: nop"],
    ["HLT", "hlt"],
    ["MOV from CR0", "mov rax, cr0"],
  ])("%s does not", (_, text) => {
    start(`${STORE}\n${text}\nhlt`);
    machine.step(0, 2);
    expect(machine.read(X, 4)).toBe(0n);
  });

  test.each([
    ["MFENCE", "mfence"], // SDM vol. 2, MFENCE
    ["a LOCKed instruction", `lock add dword ptr [${OWN}], 1`], // SDM vol. 3A, 9.2.3.9
    ["one whose operand is split", `lock add dword ptr [${OWN + 62}], 1`],
    ["XCHG with memory", `xchg [${OWN}], ebx`],
    ["CPUID", "cpuid"], // serializing instructions: SDM vol. 3A, 9.3; AMD APM vol. 2, 7.6.4
    ["MOV to CR3", "mov cr3, rax"],
    ["MOV to DR0", "mov dr0, rax"],
    ["INVLPG", `invlpg [${OWN}]`],
    ["WBINVD", "wbinvd"],
    ["LIDT", `lidt [${OWN}]`],
    ["OUT", "out 0x80, al"], // SDM vol. 3A, 12.10
    ["IN", "in al, 0x80"],
    ["an exception", "ud2"],
    ["a software interrupt", "int3"],
    ["a store to device memory", "mov dword ptr [rsi], 0"],
    ["a load from device memory", "mov eax, [rsi]"],
  ])("%s does", (_, text) => {
    start(`${STORE}\n${text}\nhlt`);
    const core = machine.core(0);
    core.set({ rax: core.register("cr3"), rsi: 0xfee0_0080 });
    machine.step(0, 1);
    expect(machine.read(X, 4)).toBe(0n);
    machine.step(0, 1);
    expect(machine.read(X, 4)).toBe(1n);
  });

  test("a full buffer lets the oldest go, in program order", () => {
    const stores = Array.from({ length: 6 }, (_, i) => `mov dword ptr [${X + 8 * i}], ${i + 1}`);
    start(`${stores.join("\n")}\nhlt`);
    machine.step(0, 6);
    expect([0, 1, 2, 3].map((i) => machine.read(X + 8 * i, 4))).toEqual([1n, 2n, 0n, 0n]);
  });

  test("a halted core's stores come to memory", () => {
    start(`${STORE}\nhlt`);
    expect(machine.run({ seed: 3 })).toBe("halted");
    expect(machine.read(X, 4)).toBe(1n);
  });
});

// A core that waits for a store sleeps until it has reached memory (SDM vol. 3A, 9.10.4), not until the next interrupt or for good.
test.each(["cli", "sti"])(
  "a store that waits while every core sleeps ends an MWAIT, after %s",
  async (flag) => {
    const sleepers = await Machine.create({ cores: 2, memory: 16 << 20, storeBuffer: 4 });
    sleepers.start(
      `${flag}
    mov eax, ${X}
    xor ecx, ecx
    xor edx, edx
    monitor
    lock inc dword ptr [${OWN}]
    xor eax, eax
    mwait
    mov ebx, [${X}]
    cli
    hlt`,
      { at: CODE, cores: [0] },
    );
    const other = `wait: cmp dword ptr [${OWN}], 1\njne wait\nmov ecx, 100\nidle: loop idle\n${STORE}\nhlt`;
    sleepers.start(other, { at: HANDLER, cores: [1] });
    const begun = sleepers.snapshot();
    for (const seed of [1, 2, 3, 4]) {
      sleepers.restore(begun);
      expect(sleepers.run({ seed, slice: 3 })).toBe("halted");
      expect(sleepers.core(0).register("rbx")).toBe(1n);
    }
  },
);

describe("a core sees its own", () => {
  test("stores, byte by byte, newest first, with memory around them (AMD APM vol. 2, 7.2)", () => {
    start(`mov dword ptr [${X + 2}], 0x44332211
      mov byte ptr [${X + 3}], 0xaa
      mov rax, [${X}]
      mov bx, [${X + 3}]
      mov cl, [${X + 5}]
      movdqu xmm0, [${X - 4}]
      hlt`);
    machine.write(X, 8, 0x8877665544332200n);
    machine.step(0, 6);
    const core = machine.core(0);
    expect(core.register("rax").toString(16)).toBe("88774433aa112200");
    expect((core.register("rbx") & 0xffffn).toString(16)).toBe("33aa");
    expect((core.register("rcx") & 0xffn).toString(16)).toBe("44");
    expect((core.xmm(0) >> 32n).toString(16)).toBe("88774433aa112200".padStart(16, "0"));
    expect(machine.read(X, 8)).toBe(0x8877665544332200n);
  });

  test("stores to its page tables, when it walks them", () => {
    const table = (address: bigint, index: bigint) =>
      machine.read(Number((address & ~0xfffn) + 8n * index), 8);
    start(`mov [rdi], rsi\nmov eax, [${8 << 20}]\nhlt`);
    const core = machine.core(0);
    const entry = (table(table(core.register("cr3"), 0n), 0n) & ~0xfffn) + 8n * 4n; // of 8 MiB
    const before = machine.read(Number(entry), 8);
    machine.write(X, 4, 0x1234);
    core.set({ rdi: Number(entry), rsi: 0x20_0000 | 0x83 });
    machine.step(0, 2);
    expect(core.register("rax")).toBe(0x1234n);
    machine.write(Number(entry), 8, before);
  });

  test("stores to code, decoded before or not", () => {
    // inc eax becomes inc ebx (FF C0, FF C3), twice: before its line was ever decoded, and after.
    for (const at of [0x4_0000, 0x4_0000]) {
      machine.load(at, Uint8Array.of(0xff, 0xc0, 0xf4));
      start(`mov byte ptr [${at + 1}], 0xc3\njmp rdi`);
      machine.core(0).set({ rax: 0, rbx: 0, rdi: at });
      machine.step(0, 3);
      expect([machine.core(0).register("rax"), machine.core(0).register("rbx")]).toEqual([0n, 1n]);
    }
  });

  test("faults when the store executes", () => {
    start(`mov dword ptr [${X}], 1\nmov dword ptr [rdi], 2\nhlt`);
    machine.core(0).set({ rdi: 0x7f_0000_0000 });
    machine.step(0, 3);
    expect(machine.core(0).register("cr2")).toBe(0x7f_0000_0000n);
    expect(machine.read(X, 4)).toBe(1n); // the page fault's delivery has waited for it
  });
});

/** Peterson's lock (Inf. Proc. Letters 12:3, 1981) around an addition that is not atomic. */
function peterson(core: number, fence: string): string {
  const other = 1 - core;
  return `
    again: mov dword ptr [${X + 64 * core}], 1
    mov dword ptr [${X + 128}], ${other}
    ${fence}
    wait: mov eax, [${X + 64 * other}]
    test eax, eax
    jz enter
    mov eax, [${X + 128}]
    cmp eax, ${other}
    je wait
    enter: mov eax, [${X + 192}]
    inc eax
    mov [${X + 192}], eax
    mov dword ptr [${X + 64 * core}], 0
    dec ecx
    jnz again
    hlt`;
}

const TURNS = 20;
function counted(m: Machine, fence: string, seed: number): number {
  for (const core of [0, 1]) {
    m.start(peterson(core, fence), { at: CODE + core * 0x1000, cores: [core] });
    m.core(core).set({ rcx: TURNS });
  }
  m.drainStores(null);
  for (const at of [X, X + 64, X + 128, X + 192]) m.write(at, 8, 0);
  expect(m.run({ seed, slice: 16, limit: 1e6 })).toBe("halted");
  return Number(m.read(X + 192, 4));
}

// SDM vol. 3A, 9.2.3.4: a store may be passed by a later load, which MFENCE and LOCK forbid
describe("Peterson's lock", () => {
  const SEEDS = 60;
  const wrong = (m: Machine, fence: string) =>
    Array.from({ length: SEEDS }, (_, seed) => counted(m, fence, seed)).filter((n) => n !== 2 * TURNS).length;

  test("without MFENCE fails under many seeds", () => {
    expect(wrong(machine, "")).toBeGreaterThan(SEEDS / 10);
  });
  test.each(["mfence", `lock or dword ptr [${OWN}], 0`])("with %s it holds", (fence) => {
    expect(wrong(machine, fence)).toBe(0);
  });
  test("cores that take turns do not show it", async () => {
    expect(wrong(await Machine.create({ cores: 2, memory: 16 << 20 }), "")).toBe(0);
  });
});

test("a snapshot holds the stores that wait, and a seed repeats its run", async () => {
  start(`${STORE}\nmov dword ptr [${OWN}], 2\nhlt`);
  machine.step(0, 2);
  const snapshot = JSON.parse(JSON.stringify(machine.snapshot()));
  const other = await Machine.create({ cores: 2, memory: 16 << 20, storeBuffer: 4 });
  const without = await Machine.create({ cores: 2, memory: 16 << 20 });
  other.restore(snapshot);
  expect(other.snapshot()).toEqual(snapshot);
  expect(other.read(X, 4)).toBe(0n);
  other.run({});
  without.restore(snapshot); // has no buffer to keep them in
  for (const m of [other, without]) expect([m.read(X, 4), m.read(OWN, 4)]).toEqual([1n, 2n]);
  for (const seed of [1, 2, 3]) expect(counted(other, "", seed)).toBe(counted(machine, "", seed));
});

test("is refused where it cannot be", async () => {
  await expect(Machine.create({ storeBuffer: 65 })).rejects.toThrow(/store buffer 65: wanted 0 to 64/);
});
