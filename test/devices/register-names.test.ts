// Every register of every device, touched by guest code: one that works says nothing, one that does not says its name in
// the data sheet. The table is probes/registers.ts.

import { describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { readable } from "../../emulator/devices/x2apic.js";
import { flat } from "../../emulator/flat.js";
import { Machine } from "../../emulator/machine.js";
import { touches } from "./probes/registers.js";
import { onOurs, type Table } from "./probes/script.js";
import { mac } from "./virtio-driver.js";

const disk = {
  bytes: 512,
  readOnly: false,
  read: () => {},
  write: () => {},
  flush: () => {},
  snapshot: () => ({}),
  restore: () => {},
};

const table = (silent: boolean): Table => ({
  device: "registers",
  document: "",
  machine: () => ({ mac, disks: [disk], testDevice: false }),
  cases: touches
    .filter(({ reports, name }) => silent === (reports === undefined) || name === "BARs")
    .map(({ name, touch }) => ({ name, steps: (t) => void touch(t) })),
});

describe("what is not implemented says its name", () => {
  const run = onOurs(table(false));
  test.each(
    touches.flatMap(({ device, name, reports }) => (reports ? [[device, name, reports] as const] : [])),
  )("%s: %s", async (_, __, reports) => {
    expect((await run).reports.join("\n")).toMatch(reports);
  });
});

test("what is implemented says nothing", async () => {
  expect((await onOurs(table(true))).reports).toEqual([]);
});

// Intel SDM vol. 3A, 11.12.1.2: in x2APIC mode a register that is not there is #GP(0), so that is how it says so.
test("in x2APIC mode each register of the table answers RDMSR, and each other number is #GP(0)", async () => {
  const [results, idt, handler] = [0x2_0000, 0x3_0000, 0x1_1000];
  const machine = await Machine.create({ memory: 1 << 20 });
  machine.start(`
      mov ecx, 0x1b ;; rdmsr ;; or eax, 0x400 ;; wrmsr
      mov ecx, 0x800 ;; mov ebx, ${results}
    each: mov byte ptr [rbx], 1
      rdmsr
      inc rbx ;; inc ecx ;; cmp ecx, 0x900 ;; jb each
      hlt`);
  const zero = "cmp dword ptr [rsp], 0 ;; jne wrong ;; mov byte ptr [rbx], 0 ;; wrong: ";
  const over = `${zero} add rsp, 8 ;; add qword ptr [rsp], 2 ;; iretq`;
  machine.load(handler, assemble(over, { bits: 64, origin: handler }));
  const gate = BigInt(handler & 0xffff) | (BigInt(flat.selector.code64) << 16n) | (0x8en << 40n);
  machine.write(idt + 16 * 13, 8, gate | (BigInt(handler >> 16) << 48n));
  machine.core(0).idtr = { base: BigInt(idt), limit: 0xfff };
  expect(machine.run()).toBe("halted");
  const answers = Array.from({ length: 256 }, (_, n) => Number(machine.read(results + n, 1)));
  const table = Array.from({ length: 256 }, (_, n) => (readable(0x800 + n) ? 1 : 0));
  expect(answers).toEqual(table);
  expect(answers.filter((one) => one === 1).length).toBe(41);
});
