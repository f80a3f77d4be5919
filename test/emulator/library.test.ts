// The library as a package has it: everything comes by the name `buslock`, as for whoever installs it.
import {
  ACTIVE,
  assembleWithLabels,
  bundledPrograms,
  firmware,
  flat,
  HALTED,
  kernelPath,
  Machine,
  program,
  readImage,
  runSeeded,
  Tracer,
  WAIT_FOR_SIPI,
} from "buslock";
import { describe, expect, it, test } from "vitest";

const small = { memory: 1 << 20 };

it("a cluster is made of what is built: firmware, kernel, a bundled program", async () => {
  expect(bundledPrograms()).toContain("counter");
  const lines: string[] = [];
  const report = await runSeeded({
    ...{ machines: 2, cores: 1, memory: 16 << 20, seed: 3 },
    ...{ firmware: await firmware(), kernel: readImage("kernel", kernelPath) },
    program: program("counter"),
    arguments: ["20"],
    onLine: (machine, line) => lines.push(`${machine}: ${line}`),
  });
  expect(report.ok, lines.join("\n")).toBe(true);
  expect(report.result).toContain("expected 40 counted 40");
});

it("says what a core does: started or not, running, halted", async () => {
  const machine = await Machine.create({ ...small, cores: 2 });
  machine.start("nop\n hlt", { cores: [0] });
  expect([machine.core(0).activity, machine.core(1).activity]).toEqual([ACTIVE, WAIT_FOR_SIPI]);
  machine.run();
  expect(machine.core(0).activity).toBe(HALTED);
});

it("traces what is asked for", async () => {
  const lines: string[] = [];
  const tracer = new Tracer({ kinds: ["memory"] }, (line) => lines.push(line));
  const machine = await Machine.create({ ...small, tracer });
  machine.start("mov dword ptr [0x50000], 7\n hlt");
  machine.run();
  expect(lines.join("\n")).toMatch(/^[^\n]* memory [^\n]*50000[^\n]*$/);
});

describe("a core that is stepped stops where a run does", () => {
  const stepped = "nop\n nop\n mov [0x50000], eax\n nop\n hlt";
  test("before a breakpoint, and what runs next does not stop where there is none", async () => {
    const machine = await Machine.create(small);
    machine.start(stepped, { at: 0x9000 });
    machine.setBreakpoints([0x9001n]);
    expect(machine.step(0, 4)).toBe(1);
    expect([machine.core().rip, machine.atBreakpoint]).toEqual([0x9001n, true]);
    expect(machine.step(0, 1)).toBe(1);
    expect([machine.core().rip, machine.atBreakpoint]).toEqual([0x9002n, false]);
    expect(machine.run()).toBe("halted");
  });

  test("after an instruction that touches what is watched", async () => {
    const machine = await Machine.create(small);
    machine.start(stepped, { at: 0x9000 });
    machine.watch({ accessed: (_, linear) => linear === 0x50000n });
    expect(machine.step(0, 5)).toBe(3);
    expect(machine.atWatchpoint).toBe(true);
    machine.watch(null);
    expect(machine.run()).toBe("halted");
  });
});

describe("what is not there is refused", () => {
  test("cores, registers, places in RAM, lines", async () => {
    const machine = await Machine.create({ ...small, cores: 2 });
    for (const index of [-1, 2, 0.5, Number.NaN]) {
      expect(() => machine.core(index)).toThrow(`core ${index}: there are cores 0 to 1`);
      expect(() => machine.step(index)).toThrow(`core ${index}: there are cores 0 to 1`);
    }
    expect(() => machine.start("hlt", { cores: [2] })).toThrow("core 2: there are cores 0 to 1");
    for (const line of [-1, 16, 0.5]) expect(() => machine.raise(line)).toThrow(`line ${line}`);
    for (const at of [Number.NaN, -1, 0.5, 1 << 20]) {
      expect(() => machine.read(at, 1)).toThrow("not RAM");
      expect(() => machine.write(at, 1, 0)).toThrow("not all in RAM");
    }
    const core = machine.core();
    for (const n of [-1, 16, 0.5]) {
      expect(() => core.xmm(n)).toThrow(`no register XMM${n}`);
      expect(() => core.setXmm(n, 0n)).toThrow(`no register XMM${n}`);
    }
    for (const n of [-1, 8]) {
      expect(() => core.dr(n)).toThrow(`no register DR${n}`);
      expect(() => core.st(n)).toThrow(`no register ST${n}`);
      expect(() => core.setSt(n, 0n)).toThrow(`no register ST${n}`);
    }
    await expect(Machine.create({ ...small, storeBuffer: 65 })).rejects.toThrow(
      "store buffer 65: wanted 0 to 64",
    );
  });

  test("a program where start() puts its tables", async () => {
    const machine = await Machine.create(small);
    const program = "mov eax, 7\n hlt";
    const { bytes } = assembleWithLabels(program);
    const { gdt, gdtBytes, pml4, directoriesEnd } = flat;
    for (const at of [gdt, gdt + gdtBytes - 1, pml4 - 1, 0x7c00, directoriesEnd - 1])
      expect(() => machine.start(program, { at }), at.toString(16)).toThrow(/lie where tables come/);
    for (const at of [0, gdt - bytes.length, gdt + gdtBytes, directoriesEnd]) {
      machine.start(program, { at });
      expect(machine.run(), at.toString(16)).toBe("halted");
      expect(machine.core().register("rax")).toBe(7n);
    }
    machine.start("mov ax, 7\n hlt", { at: 0x7c00, bits: 16 });
    expect(machine.run()).toBe("halted");
  });

  test("a program of 16 bits where CS does not reach it; unless told it stands where CS does", async () => {
    const machine = await Machine.create(small);
    for (const at of [0xffff, 0x1_0000, 0x2_0000])
      expect(() => machine.start("nop\n hlt", { at, bits: 16 })).toThrow(
        /2 bytes at \w+ do not end below 10000/,
      );
    for (const at of [0xfffe, undefined]) {
      machine.start("nop\n hlt", { bits: 16, ...(at === undefined ? {} : { at }) });
      expect(machine.run()).toBe("halted");
      expect(machine.core().rip).toBe(BigInt((at ?? 0x7c00) + 2));
    }
  });

  test("numbers that mean nothing", async () => {
    const machine = await Machine.create({ ...small, cores: 2 });
    machine.start("top: jmp top");
    for (const seed of [-1, 1.5, Number.NaN, 2 ** 32]) {
      expect(() => machine.run({ seed })).toThrow(`seed ${seed}: wanted a whole number from 0 to 4294967295`);
      await expect(Machine.create({ ...small, seed })).rejects.toThrow(`seed ${seed}: wanted`);
    }
    for (const slice of [0, 2.5, Number.NaN])
      expect(() => machine.run({ slice })).toThrow(`slice ${slice}: wanted`);
    for (const stall of [-1, 0.5, 1e12])
      expect(() => machine.run({ stall })).toThrow(`stall ${stall}: wanted`);
    for (const limit of [-1, 1.5, Number.NaN])
      expect(() => machine.run({ limit })).toThrow(`limit ${limit}: wanted`);
    for (const n of [-1, 1.5, Number.NaN])
      expect(() => machine.step(0, n)).toThrow(`instructions ${n}: wanted`);
    for (const at of [-1n, 1n << 64n])
      expect(() => machine.setBreakpoints([at])).toThrow(`breakpoint at ${at}: wanted`);
    for (const index of [2, -2]) expect(() => machine.pauseAt(index)).toThrow(`core ${index}: there are`);
    expect(() => machine.taskPriority(2)).toThrow("core 2: there are");
    for (const at of [-1, 0.5]) {
      expect(() => machine.storageAt(at)).toThrow(`address ${at}: wanted`);
      expect(() => machine.changed(at, 1)).toThrow(`address ${at}: wanted`);
    }
    expect(() => machine.changed(0xf_ffff, 2)).toThrow("length 2: wanted a whole number from 0 to 1");
    for (const byte of [-1, 256]) expect(() => machine.receiveByte(byte)).toThrow(`byte ${byte}: wanted`);
    expect(machine.instructions).toBe(0);
  });

  test("what no register of a core holds", async () => {
    const core = (await Machine.create(small)).core();
    for (const level of [-1, 4]) expect(() => (core.cpl = level)).toThrow(`privilege level ${level}: wanted`);
    for (const activity of [-1, 4])
      expect(() => (core.activity = activity)).toThrow(`activity ${activity}: wanted`);
    expect(() => core.setSegment("ds", { selector: 0x1_0000 })).toThrow("selector 65536: wanted");
    expect(() => core.setSegment("ds", { attributes: -1 })).toThrow("attributes -1: wanted");
    expect(() => core.setSegment("ds", { limit: 2 ** 32 })).toThrow("limit 4294967296: wanted");
    expect(() => (core.gdtr = { base: 0n, limit: 0x1_0000 })).toThrow("limit 65536: wanted");
    expect(() => (core.idtr = { base: 0n, limit: -1 })).toThrow("limit -1: wanted");
  });

  test("clusters of no machine, and words that the guest would not find", async () => {
    const cluster = {
      ...{ machines: 2, cores: 1, memory: 16 << 20, seed: 3, arguments: [], onLine: () => {} },
      ...{ firmware: await firmware(), kernel: readImage("kernel", kernelPath), program: program("hello") },
    };
    for (const machines of [0, -1, 1.5, 65])
      await expect(runSeeded({ ...cluster, machines })).rejects.toThrow(
        `machines ${machines}: wanted 1 to 64`,
      );
    for (const mirror of [-1, 1.5])
      await expect(runSeeded({ ...cluster, mirror })).rejects.toThrow(`mirror ${mirror}: wanted`);
    for (const seed of [-1, 1.5])
      await expect(runSeeded({ ...cluster, seed })).rejects.toThrow(`seed ${seed}: wanted`);
    for (const word of ["", " ", "a b"])
      await expect(runSeeded({ ...cluster, arguments: ["x", word] })).rejects.toThrow(
        `argument "${word}": a word`,
      );
  });
});
