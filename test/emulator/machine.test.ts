// The library's Machine, as a hardware-level test uses it.
import { describe, expect, it } from "vitest";
import { flat, Machine } from "../../emulator/index.js";

const counting = `
      mov ecx, 1000
  top: lock add dword ptr [0x5_0000], 1
      loop top
      hlt`;

describe("machine", () => {
  it("adds up locked additions of four cores", async () => {
    const machine = await Machine.create({ cores: 4, memory: 1 << 20 });
    machine.start(counting);
    expect(machine.run({ seed: 7 })).toBe("halted");
    expect(machine.read(0x5_0000, 4)).toBe(4000n);
  });

  it("loses additions that are not locked, so the test above can fail", async () => {
    const machine = await Machine.create({ cores: 4, memory: 1 << 20 });
    machine.start(
      "mov ecx, 1000\n top: mov eax, [0x5_0000]\n inc eax\n mov [0x5_0000], eax\n loop top\n hlt",
    );
    expect(machine.run({ seed: 7 })).toBe("halted");
    expect(machine.read(0x5_0000, 4)).toBeLessThan(4000n);
  });

  it("repeats a run for its seed, to the instruction, and differs for another", async () => {
    const run = async (seed: number) => {
      const machine = await Machine.create({ cores: 3, memory: 1 << 20 });
      machine.start(
        "mov ecx, 200\n top: mov eax, 1\n lock xadd [0x5_0000], eax\n add ebx, eax\n loop top\n hlt",
      );
      machine.run({ seed });
      return [0, 1, 2].map((core) => machine.core(core).register("rbx"));
    };
    const first = await run(5);
    expect(await run(5)).toEqual(first);
    expect(await run(6)).not.toEqual(first);
  });

  it("steps one core and shows its registers", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start("mov eax, 5\n mov ebx, 7\n hlt");
    expect(machine.step()).toBe(1);
    expect(machine.core().register("rax")).toBe(5n);
    expect(machine.core().rip).toBe(0x1_0005n);
    expect(machine.step(0, 2)).toBe(2);
    expect(machine.core().register("rbx")).toBe(7n);
  });

  it("counts what its cores retired before a RESET too", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start("mov ecx, 3000\n top: loop top\n mov dx, 0xcf9\n mov al, 6\n out dx, al\n hlt");
    expect(machine.run({ limit: 5100 })).toBe("limit");
    expect(machine.core().register("rdx")).not.toBe(0xcf9n); // but the processor's signature
    expect(machine.instructions).toBeGreaterThan(3000);
  });

  it("goes on exactly from a snapshot, twice", async () => {
    const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
    machine.start(counting);
    machine.run({ limit: 500 });
    const snapshot = JSON.parse(JSON.stringify(machine.snapshot()));
    machine.run({ seed: 3 });
    const end = machine.snapshot();
    const other = await Machine.create({ cores: 2, memory: 1 << 20 });
    for (const m of [machine, other]) {
      m.restore(snapshot);
      expect(m.read(0x5_0000, 4)).toBeLessThan(2000n);
      m.run({ seed: 3 });
      expect(m.snapshot()).toEqual(end);
    }
  });

  it("refuses a snapshot of another shape, by name", async () => {
    const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
    const other = await Machine.create({ cores: 1, memory: 1 << 20 });
    const larger = await Machine.create({ cores: 2, memory: 2 << 20 });
    expect(() => other.restore(machine.snapshot())).toThrow(/2 cores, the machine has 1/);
    expect(() => larger.restore(machine.snapshot())).toThrow(/1048576 bytes of RAM, the machine has 2097152/);
    expect(() => machine.restore({ ...machine.snapshot(), version: 99 })).toThrow(/version 99/);
  });

  it("shuts down on a triple fault and says where the core stood", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start("mov rax, 0x1234\n ud2");
    expect(machine.run()).toBe("off");
    expect(machine.problem).toMatch(/core 0 shut down \(triple fault\)/);
    expect(machine.problem).toMatch(/rax 0000000000001234/);
    expect(machine.problem).toMatch(/rip 0000000000010007/);
    expect(machine.problem).toMatch(/0000000000010007 {2}0f0b +ud2/);
  });

  it("leaves by the exit port", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start("mov al, 42\n out 0xf4, al\n hlt");
    expect(machine.run()).toBe("off");
    expect(machine.exitCode).toBe(42);
  });

  it("takes an interrupt line through the 8259 to a handler", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start(
      `  mov al, 0x11 ;; out 0x20, al          ; ICW1
         mov al, 0x20 ;; out 0x21, al          ; vectors from 0x20
         mov al, 4 ;; out 0x21, al
         mov al, 1 ;; out 0x21, al
         mov al, 0xef ;; out 0x21, al          ; line 4 only
         mov rbp, 0xfee00000
         mov dword ptr [rbp+0xf0], 0x1ff       ; the local APIC on, and LINT0 as a virtual wire (SDM 3A, 11.5.1)
         mov dword ptr [rbp+0x350], 0x700
         lidt [0x9000]
         sti
         hlt
         mov ebx, 1
         hlt
  handler: mov ecx, 0x24
         iretq`,
      { at: 0xa000 },
    );
    const gate = 0x8000 + 16 * 0x24;
    machine.write(0x9000, 2, 0xfff);
    machine.write(0x9002, 8, 0x8000);
    expect(machine.run()).toBe("limit"); // HLT with interrupts on waits
    const handler = Number(machine.core().rip) + 6;
    machine.write(gate, 8, BigInt(handler) | (BigInt(flat.selector.code64) << 16n) | (0x8e00n << 32n));
    machine.raise(4);
    expect(machine.run()).toBe("limit");
    expect([machine.core().register("rcx"), machine.core().register("rbx")]).toEqual([0x24n, 1n]);
  });

  it("refuses absurd sizes by name", async () => {
    await expect(Machine.create({ cores: 65 })).rejects.toThrow(/cores 65: wanted 1 to 64/);
    await expect(Machine.create({ cores: 0 })).rejects.toThrow(/cores 0/);
    await expect(Machine.create({ memory: 1000 })).rejects.toThrow(/memory of 1000 bytes/);
    await expect(Machine.create({ memory: 2 ** 40 })).rejects.toThrow(/memory of 1099511627776 bytes/);
    const machine = await Machine.create({ memory: 1 << 20 });
    expect(() => machine.load(1 << 20, Uint8Array.of(1))).toThrow(/not all in RAM/);
  });

  it("runs 16 and 32-bit code", async () => {
    for (const bits of [16, 32] as const) {
      const machine = await Machine.create({ memory: 1 << 20 });
      machine.start("mov eax, 0x12345678\n rol eax, 8\n hlt", { bits, at: 0x8000 });
      expect(machine.run()).toBe("halted");
      expect(machine.core().register("rax")).toBe(0x34567812n);
    }
  });
});
