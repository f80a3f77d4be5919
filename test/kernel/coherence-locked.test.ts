// The kernel's reading of a LOCKed instruction against the emulator's processor: random encodings of every instruction
// that one machine does for another, each run once here and once there. Registers, flags, RIP and memory must agree.
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
const locked = kernel.room(kernel.call("lockedBytes")());
const frame = kernel.room(kernel.call("frameBytes")());
const page = kernel.room(3 * 4096);
const place = (name: string) => frame + 8 * frameOrder.indexOf(name);

const BITS = 0x41n; // CF; ZF stays

const groups: [string, number, bigint][] = [
  ["ADD", 0, ALL_FLAGS],
  ["OR", 1, LOGIC],
  ["AND", 4, LOGIC],
  ["SUB", 5, ALL_FLAGS],
  ["XOR", 6, LOGIC],
];
const kinds: Encoding[] = [
  ...groups.flatMap(([name, number, flags]): Encoding[] => [
    { name: `${name} r8`, opcode: [8 * number], flags },
    { name: `${name} r`, opcode: [8 * number + 1], flags },
    { name: `${name} i8 to 8`, opcode: [0x80], field: number, immediate: 1, flags },
    { name: `${name} iz`, opcode: [0x81], field: number, immediate: "z", flags },
    { name: `${name} i8`, opcode: [0x83], field: number, immediate: 1, flags },
  ]),
  ...[0xfe, 0xff].flatMap((opcode): Encoding[] => [
    { name: `INC ${opcode}`, opcode: [opcode], field: 0, flags: ALL_FLAGS },
    { name: `DEC ${opcode}`, opcode: [opcode], field: 1, flags: ALL_FLAGS },
  ]),
  { name: "NOT 8", opcode: [0xf6], field: 2, flags: ALL_FLAGS },
  { name: "NOT", opcode: [0xf7], field: 2, flags: ALL_FLAGS },
  { name: "XCHG 8", opcode: [0x86], flags: ALL_FLAGS, lock: "may" },
  { name: "XCHG", opcode: [0x87], flags: ALL_FLAGS, lock: "may" },
  { name: "XADD 8", opcode: [0x0f, 0xc0], flags: ALL_FLAGS },
  { name: "XADD", opcode: [0x0f, 0xc1], flags: ALL_FLAGS },
  { name: "CMPXCHG 8", opcode: [0x0f, 0xb0], flags: ALL_FLAGS },
  { name: "CMPXCHG", opcode: [0x0f, 0xb1], flags: ALL_FLAGS },
  { name: "BTS r", opcode: [0x0f, 0xab], flags: BITS },
  { name: "BTR r", opcode: [0x0f, 0xb3], flags: BITS },
  { name: "BTC r", opcode: [0x0f, 0xbb], flags: BITS },
  ...[5, 6, 7].map((field): Encoding => {
    return { name: `BT group ${field}`, opcode: [0x0f, 0xba], field, immediate: 1, flags: BITS };
  }),
];

test("every instruction that is taken does the same there as here", async () => {
  const cpu = await Cpu.create();
  cpu.start([]);
  const next = chance(7);
  const done = new Map<string, number>();
  for (let round = 0; round < 6_000; round++) {
    const kind = kinds[round % kinds.length]!;
    const code = encode(kind, next);
    const text = code.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const registers = names.map(() => registerValue(next));
    const rflags = 2n | (BigInt(next(4096)) & ALL_FLAGS);

    // There: the kernel's reading.
    kernel.bytes.fill(0, locked, locked + kernel.call("lockedBytes")());
    kernel.bytes.set(code, locked);
    kernel.call("lockedCode")(locked, code.length);
    names.forEach((name, i) => {
      kernel.view.setBigUint64(place(name), registers[i]!, true);
    });
    kernel.view.setBigUint64(place("rip"), BigInt(CODE), true);
    kernel.view.setBigUint64(place("rflags"), rflags | 0x1_0000n, true);
    const known = kernel.call("lockedDecode")(locked, frame, FS, GS);
    expect(known, `${kind.name}: ${text}`).toBe(1);
    const address = BigInt.asUintN(64, BigInt(kernel.call("lockedAddress")(locked)));
    const bytes = 1 << ((kernel.call("lockedOperation")(locked, 0) >> 4) & 3);
    if (inHole(address)) continue;
    if (address < BigInt(AREA) || address >= BigInt(END) || address % BigInt(bytes) !== 0n) continue;
    const at = Number(address);
    const base = at & ~4095;

    // Here: the processor.
    const before = BigInt(next(3) === 0 ? next(3) : next(2 ** 32)) | (BigInt(next(2 ** 32)) << 32n);
    cpu.write(at & ~7, 8, before);
    if (kind.name.startsWith("CMPXCHG") && next(2) === 0) {
      // Often it should find what it compares with: then RAX may not be part of the address.
      registers[0] = cpu.read(at, bytes as 1);
      kernel.view.setBigUint64(place("rax"), registers[0], true);
      kernel.call("lockedDecode")(locked, frame, FS, GS);
      if (BigInt.asUintN(64, BigInt(kernel.call("lockedAddress")(locked))) !== address) continue;
    }
    kernel.bytes.set(cpu.ram.subarray(base, base + 4096), page);
    const operation = kernel.call("lockedOperation")(locked, at & 4095);
    expect(kernel.call("operationValid")(operation)).toBe(1);
    const [operand, comparand] = ["lockedOperand", "lockedComparand"].map((name) =>
      BigInt(kernel.call(name)(locked)),
    );
    const old = kernel.call("operationPerform")(page, operation, operand!, comparand!);
    kernel.call("lockedRetire")(locked, frame, BigInt(old));

    cpu.place(CODE, code);
    const s = cpu.state();
    s.set({ rip: CODE });
    s.rflags = Number(rflags);
    s.set(Object.fromEntries(names.map((name, i) => [name, registers[i]!])));
    setSegments(s);
    expect(cpu.run(1)).toBe(1);
    const after = cpu.state();
    const said = `${kind.name}: ${text} at ${address.toString(16)}`;
    for (const name of names)
      expect(kernel.view.getBigUint64(place(name), true), `${said}, ${name}`).toBe(after.register(name));
    expect(kernel.view.getBigUint64(place("rip"), true), `${said}, rip`).toBe(BigInt(after.rip));
    expect(kernel.view.getBigUint64(place("rflags"), true) & kind.flags, `${said}, flags`).toBe(
      BigInt(after.rflags) & kind.flags,
    );
    expect((kernel.view.getBigUint64(place("rflags"), true) >> 16n) & 1n, `${said}, RF`).toBe(0n);
    expect(kernel.view.getBigUint64(page + (at & 4095 & ~7), true), `${said}, memory`).toBe(
      cpu.read(at & ~7, 8),
    );
    done.set(kind.name, (done.get(kind.name) ?? 0) + 1);
  }
  for (const { name } of kinds) expect(done.get(name) ?? 0, name).toBeGreaterThan(10);
}, 60_000);

const refused: [string, number[]][] = [
  ["ADD without LOCK", [0x01, 0x07]],
  ["XADD without LOCK", [0x0f, 0xc1, 0x07]],
  ["LOCK ADC, which wants CF", [0xf0, 0x11, 0x07]],
  ["LOCK ADC with an immediate operand", [0xf0, 0x83, 0x17, 1]],
  ["LOCK SBB", [0xf0, 0x19, 0x07]],
  ["LOCK NEG", [0xf0, 0xf7, 0x1f]],
  ["LOCK CMPXCHG16B", [0xf0, 0x48, 0x0f, 0xc7, 0x0f]],
  ["LOCK ADD with the register as destination", [0xf0, 0x03, 0x07]],
  ["LOCK ADD of registers", [0xf0, 0x01, 0xc0]],
  ["LOCK CMP", [0xf0, 0x39, 0x07]],
  ["MOV", [0x48, 0x89, 0x07]],
  ["BT", [0xf0, 0x0f, 0xba, 0x27, 1]],
  ["82, which is no opcode in 64-bit mode", [0xf0, 0x82, 0x07, 1]],
];
test.each(refused)("not taken: %s", (_, code) => {
  kernel.bytes.set(code, locked);
  kernel.call("lockedCode")(locked, code.length);
  expect(kernel.call("lockedDecode")(locked, frame, 0n, 0n)).toBe(0);
  expect(kernel.call("lockedCut")(locked)).toBe(0);
});

test("an instruction that goes on behind the bytes that are here", () => {
  const code = [0xf0, 0x64, 0x48, 0x0f, 0xc1, 0x84, 0x88, 0x78, 0x56, 0x34, 0x12];
  kernel.bytes.set(code, locked);
  for (let bytes = 0; bytes < code.length; bytes++) {
    kernel.call("lockedCode")(locked, bytes);
    expect(kernel.call("lockedDecode")(locked, frame, 0n, 0n)).toBe(0);
    expect(kernel.call("lockedCut")(locked)).toBe(1);
  }
  kernel.call("lockedCode")(locked, code.length);
  expect(kernel.call("lockedDecode")(locked, frame, 0n, 0n)).toBe(1);
});

test("words from other machines that are no operation", () => {
  const valid = kernel.call("operationValid");
  const of = kernel.call("operationOf");
  for (const [kind, log, offset] of [
    [0, 0, 0],
    [8, 0, 0],
    [1, 3, 4089],
    [1, 1, 4095],
  ] as const)
    expect(valid(of(kind, log, offset))).toBe(0);
  expect(valid(of(1, 3, 4088) | 0x40)).toBe(0);
  for (let kind = 1; kind <= 7; kind++) expect(valid(of(kind, 3, 4088))).toBe(1);
});
