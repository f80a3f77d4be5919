// The accesses that the kernel carries out on parts of a page (access.ts) against the emulator's processor: random
// encodings of every instruction that is taken, each run once here and once there. Registers, flags, RIP and memory must agree.
import { expect, test } from "vitest";
import { CODE, Cpu } from "../support/cpu.js";
import {
  ALL_FLAGS,
  AREA,
  END,
  type Encoding,
  encode,
  FS,
  frameOrder,
  GS,
  inHole,
  LOGIC,
  names,
  registerValue,
  setSegments,
} from "../support/encodings.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance } from "../support/search.js";

const kernel = new KernelWasm();
const instruction = kernel.room(kernel.call("lockedBytes")());
const frame = kernel.room(kernel.call("frameBytes")());
const page = kernel.room(3 * 4096);
const image = kernel.room(512);
const XMM = 160;
const place = (name: string) => frame + 8 * frameOrder.indexOf(name);

const CARRY = ALL_FLAGS & ~0x810n; // OF and AF may be undefined
const BITS = 0x41n;
const none = ALL_FLAGS;
const arithmetic: [string, bigint][] = [
  ["ADD", ALL_FLAGS],
  ["OR", LOGIC],
  ["ADC", ALL_FLAGS],
  ["SBB", ALL_FLAGS],
  ["AND", LOGIC],
  ["SUB", ALL_FLAGS],
  ["XOR", LOGIC],
  ["CMP", ALL_FLAGS],
];
const both = (name: string, opcode: number[], rest: Omit<Encoding, "name" | "opcode">): Encoding[] => [
  { name: `${name} 8`, opcode, ...rest },
  { name, opcode: [...opcode.slice(0, -1), opcode.at(-1)! + 1], ...rest },
];
const never = { flags: none, lock: "never" } as const;

const kinds: Encoding[] = [
  ...arithmetic.flatMap(([name, flags], number): Encoding[] => {
    const lock = name === "CMP" ? "never" : "may";
    return [
      ...both(`${name} to memory`, [8 * number], { flags, lock }),
      ...both(`${name} from memory`, [8 * number + 2], { flags, lock: "never" }),
      { name: `${name} i8 to 8`, opcode: [0x80], field: number, immediate: 1, flags, lock },
      { name: `${name} iz`, opcode: [0x81], field: number, immediate: "z", flags, lock },
      { name: `${name} i8`, opcode: [0x83], field: number, immediate: 1, flags, lock },
    ];
  }),
  ...both("INC", [0xfe], { field: 0, flags: ALL_FLAGS, lock: "may" }),
  ...both("DEC", [0xfe], { field: 1, flags: ALL_FLAGS, lock: "may" }),
  ...both("NOT", [0xf6], { field: 2, flags: ALL_FLAGS, lock: "may" }),
  ...both("NEG", [0xf6], { field: 3, flags: ALL_FLAGS, lock: "may" }),
  { name: "TEST i8", opcode: [0xf6], field: 0, immediate: 1, flags: LOGIC, lock: "never" },
  { name: "TEST iz", opcode: [0xf7], field: 1, immediate: "z", flags: LOGIC, lock: "never" },
  ...both("TEST", [0x84], { flags: LOGIC, lock: "never" }),
  ...both("XCHG", [0x86], { flags: none, lock: "may" }),
  ...both("store", [0x88], never),
  ...both("load", [0x8a], never),
  { name: "store i8", opcode: [0xc6], field: 0, immediate: 1, ...never },
  { name: "store iz", opcode: [0xc7], field: 0, immediate: "z", ...never },
  { name: "MOVZX 8", opcode: [0x0f, 0xb6], ...never },
  { name: "MOVZX 16", opcode: [0x0f, 0xb7], ...never },
  { name: "MOVSX 8", opcode: [0x0f, 0xbe], ...never },
  { name: "MOVSX 16", opcode: [0x0f, 0xbf], ...never },
  { name: "MOVSXD", opcode: [0x63], ...never },
  ...both("XADD", [0x0f, 0xc0], { flags: ALL_FLAGS, lock: "may" }),
  ...both("CMPXCHG", [0x0f, 0xb0], { flags: ALL_FLAGS, lock: "may" }),
  { name: "BT r", opcode: [0x0f, 0xa3], flags: BITS, lock: "never" },
  { name: "BTS r", opcode: [0x0f, 0xab], flags: BITS, lock: "may" },
  { name: "BTR r", opcode: [0x0f, 0xb3], flags: BITS, lock: "may" },
  { name: "BTC r", opcode: [0x0f, 0xbb], flags: BITS, lock: "may" },
  ...[4, 5, 6, 7].map((field): Encoding => {
    const lock = field === 4 ? "never" : "may";
    return { name: `BT group ${field}`, opcode: [0x0f, 0xba], field, immediate: 1, flags: BITS, lock };
  }),
  ...Array.from(
    { length: 16 },
    (_, i): Encoding => ({ name: `SET ${i}`, opcode: [0x0f, 0x90 + i], ...never }),
  ),
  ...Array.from(
    { length: 16 },
    (_, i): Encoding => ({ name: `CMOV ${i}`, opcode: [0x0f, 0x40 + i], ...never }),
  ),
  ...[0, 1, 4, 5, 6, 7].flatMap((field): Encoding[] => [
    ...both(`shift ${field} by 1`, [0xd0], { field, flags: ALL_FLAGS & ~0x10n, lock: "never" }),
    ...both(`shift ${field} by CL`, [0xd2], { field, flags: CARRY, lock: "never" }),
    ...both(`shift ${field} by i8`, [0xc0], { field, immediate: 1, flags: CARRY, lock: "never" }),
  ]),
  ...(
    [
      ["MOVUPS", [], [0x10, 0x11]],
      ["MOVSS", [0xf3], [0x10, 0x11]],
      ["MOVSD", [0xf2], [0x10, 0x11]],
      ["MOVUPD", [0x66], [0x10, 0x11]],
      ["MOVLPS", [], [0x12, 0x13]],
      ["MOVHPD", [0x66], [0x16, 0x17]],
      ["MOVAPS", [], [0x28, 0x29]],
      ["MOVD", [0x66], [0x6e, 0x7e]],
      ["MOVQ", [0xf3], [0x7e]],
      ["MOVQ store", [0x66], [0xd6]],
      ["MOVDQU", [0xf3], [0x6f, 0x7f]],
      ["MOVDQA", [0x66], [0x6f, 0x7f]],
    ] as [string, number[], number[]][]
  ).flatMap(([name, prefix, opcodes]) =>
    opcodes.map((opcode): Encoding => {
      return { name: `${name} ${opcode.toString(16)}`, prefix, opcode: [0x0f, opcode], ...never };
    }),
  ),
];

test("every access that is taken does the same there as here", async () => {
  const cpu = await Cpu.create();
  cpu.start([]);
  const next = chance(11);
  const done = new Map<string, number>();
  for (let round = 0; round < 70 * kinds.length; round++) {
    const kind = kinds[round % kinds.length]!;
    if ((done.get(kind.name) ?? 0) >= 8) continue; // the rounds are for those that seldom hit memory
    const code = encode(kind, next);
    const text = code.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const registers = names.map(() => registerValue(next));
    const rflags = 2n | (BigInt(next(4096)) & ALL_FLAGS);

    // There: the kernel's reading.
    kernel.bytes.fill(0, instruction, instruction + kernel.call("lockedBytes")());
    kernel.bytes.set(code, instruction);
    kernel.call("lockedCode")(instruction, code.length);
    names.forEach((name, i) => {
      kernel.view.setBigUint64(place(name), registers[i]!, true);
    });
    kernel.view.setBigUint64(place("rip"), BigInt(CODE), true);
    kernel.view.setBigUint64(place("rflags"), rflags | 0x1_0000n, true);
    const known = kernel.call("accessDecode")(instruction, frame, FS, GS);
    if (kind.name === "MOVSXD" && known === 0) continue; // without REX.W it is not taken
    expect(known, `${kind.name}: ${text}`).toBe(1);
    const address = BigInt.asUintN(64, BigInt(kernel.call("lockedAddress")(instruction)));
    const bytes = kernel.call("accessBytes")(instruction);
    if (inHole(address) || address < BigInt(AREA) || address >= BigInt(END)) continue;
    if (address % BigInt(bytes) !== 0n) continue;
    const at = Number(address);
    const base = at & ~4095;

    // Here: the processor.
    const old = BigInt(next(3) === 0 ? next(3) : next(2 ** 32)) | (BigInt(next(2 ** 32)) << 32n);
    cpu.write(at & ~7, 8, old);
    if (kind.name.startsWith("CMPXCHG") && next(2) === 0) {
      registers[0] = cpu.read(at, bytes as 1);
      kernel.view.setBigUint64(place("rax"), registers[0], true);
      kernel.call("accessDecode")(instruction, frame, FS, GS);
      if (BigInt.asUintN(64, BigInt(kernel.call("lockedAddress")(instruction))) !== address) continue;
    }
    cpu.place(CODE, code);
    const s = cpu.state();
    s.set({ rip: CODE });
    s.rflags = Number(rflags);
    s.set(Object.fromEntries(names.map((name, i) => [name, registers[i]!])));
    for (let n = 0; n < 16; n++) {
      const value = (BigInt(next(2 ** 32)) << 96n) | BigInt(next(2 ** 32)) | (BigInt(next(2 ** 32)) << 64n);
      s.setXmm(n, value);
      kernel.view.setBigUint64(image + XMM + 16 * n, value & (2n ** 64n - 1n), true);
      kernel.view.setBigUint64(image + XMM + 16 * n + 8, value >> 64n, true);
    }
    setSegments(s);
    kernel.bytes.set(cpu.ram.subarray(base, base + 4096), page);
    kernel.call("accessPerform")(instruction, frame, page + (at & 4095), image);
    expect(cpu.run(1)).toBe(1);

    const after = cpu.state();
    const said = `${kind.name}: ${text} at ${address.toString(16)}`;
    for (const name of names)
      expect(kernel.view.getBigUint64(place(name), true), `${said}, ${name}`).toBe(after.register(name));
    for (let n = 0; n < 16; n++) {
      const low = kernel.view.getBigUint64(image + XMM + 16 * n, true);
      const high = kernel.view.getBigUint64(image + XMM + 16 * n + 8, true);
      expect((high << 64n) | low, `${said}, xmm${n}`).toBe(after.xmm(n));
    }
    expect(kernel.view.getBigUint64(place("rip"), true), `${said}, rip`).toBe(BigInt(after.rip));
    const flags = kernel.view.getBigUint64(place("rflags"), true);
    expect(flags & kind.flags, `${said}, flags of ${old.toString(16)}`).toBe(
      BigInt(after.rflags) & kind.flags,
    );
    expect((flags >> 16n) & 1n, `${said}, RF`).toBe(0n);
    const here = cpu.ram.subarray(base, base + 4096);
    const there = kernel.bytes.subarray(page, page + 4096);
    expect(Buffer.compare(here, there), `${said}, memory`).toBe(0);
    done.set(kind.name, (done.get(kind.name) ?? 0) + 1);
  }
  for (const { name } of kinds) expect(done.get(name) ?? 0, name).toBeGreaterThan(1);
}, 60_000);

const refused: [string, number[]][] = [
  ["LOCK MOV", [0xf0, 0x89, 0x07]],
  ["LOCK CMP", [0xf0, 0x39, 0x07]],
  ["LOCK ADD with the register as destination", [0xf0, 0x03, 0x07]],
  ["LOCK BT", [0xf0, 0x0f, 0xba, 0x27, 1]],
  ["LOCK TEST", [0xf0, 0x85, 0x07]],
  ["LOCK SHL", [0xf0, 0xd1, 0x27]],
  ["LOCK MOVUPS", [0xf0, 0x0f, 0x11, 0x07]],
  ["MOV of registers", [0x89, 0xc0]],
  ["82, which is no opcode in 64-bit mode", [0x82, 0x07, 1]],
  ["RCL, which goes through the carry", [0xd1, 0x17]],
  ["PUSH", [0xff, 0x37]],
  ["MUL", [0xf7, 0x27]],
  ["MOVS", [0xa4]],
  ["CMPXCHG16B", [0xf0, 0x48, 0x0f, 0xc7, 0x0f]],
  ["MOVDDUP", [0xf2, 0x0f, 0x12, 0x07]],
  ["MOVQ to an MMX register", [0x0f, 0x6f, 0x07]],
  ["ADDSD", [0xf2, 0x0f, 0x58, 0x07]],
];
test.each(refused)("not taken: %s", (_, code) => {
  kernel.bytes.set(code, instruction);
  kernel.call("lockedCode")(instruction, code.length);
  expect(kernel.call("accessDecode")(instruction, frame, 0n, 0n)).toBe(0);
  expect(kernel.call("lockedCut")(instruction)).toBe(0);
});
