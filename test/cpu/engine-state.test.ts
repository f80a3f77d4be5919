// What the machine around relies on: that a run repeats exactly, that a core's record restores it, that 64 cores fit,
// that INIT, SIPI, A20 and a stop request are seen, and what a trace says.

import { describe, expect, test } from "vitest";
import { Engine, plan } from "../../emulator/cpu/engine.js";
import type { Place, Seen } from "../../emulator/cpu/host.js";
import {
  ATTENTION_INIT,
  ATTENTION_SIPI,
  CORE_BYTES,
  CORES_BASE,
  HALTED,
  MAILBOX,
  WAIT_FOR_SIPI,
} from "../../emulator/cpu/layout.js";
import { CODE, Cpu } from "../support/cpu.js";

const CELL = 0x20_0000;
/** Mixes registers, memory, strings and locked operations. */
const busy = `
  again:
  lock xadd [rbx], rax
  imul rax, rcx, 0x1e3779b1
  rol rax, 7
  push rax
  mov rdi, rbx
  and eax, 0x3f
  lea rdi, [rbx+rax*8+0x1000]
  mov ecx, 9
  rep stosb
  pop rax
  adc rdx, rax
  dec r14
  jnz again
  hlt`;

const text = (cpu: Cpu, cores = 1) =>
  JSON.stringify(Array.from({ length: cores }, (_, core) => cpu.engine.snapshot(core))) +
  Buffer.from(cpu.ram.subarray(CELL, CELL + 0x4000)).toString("base64");

async function prepared(cores = 1): Promise<Cpu> {
  const cpu = await Cpu.create({ cores, ramBytes: 4 << 20 });
  cpu.place(CODE, busy);
  for (let core = 0; core < cores; core++) {
    cpu.setUp({ core, rsp: 0x8_0000 + core * 0x1000 });
    cpu.state(core).set({ rax: core + 1, rbx: CELL, r14: 500 });
  }
  return cpu;
}

describe("a run repeats", () => {
  test("the same slices give the same state, other slices of one core too", async () => {
    const whole = await prepared();
    const total = whole.run(1e6);
    const pieces = await prepared();
    let sum = 0;
    for (let i = 0; pieces.engine.runnable(0); i++) sum += pieces.run(((i * 7919) % 61) + 1);
    expect(sum).toBe(total);
    expect(text(pieces)).toBe(text(whole));
  });

  test("four cores taking turns", async () => {
    const turns = async () => {
      const cpu = await prepared(4);
      for (let i = 0; i < 3000; i++) cpu.run(((i * 31) % 17) + 1, (i * i) % 4);
      return text(cpu, 4);
    };
    expect(await turns()).toBe(await turns());
  });

  test("a core's record and its memory go on elsewhere from the same instruction", async () => {
    const one = await prepared();
    one.run(2345);
    const two = await prepared();
    two.ram.set(one.ram);
    two.engine.written(0, two.ram.length);
    two.engine.restore(0, JSON.parse(JSON.stringify(one.engine.snapshot(0))));
    expect(two.state().rip).toBe(one.state().rip);
    expect(two.run(1e6)).toBe(one.run(1e6));
    expect(text(two)).toBe(text(one));
  });

  test("a record of another kind is refused", async () => {
    const cpu = await prepared();
    const two = await prepared(2);
    expect(() => cpu.engine.restore(0, two.engine.snapshot(1))).toThrow("core 1");
    expect(() =>
      cpu.engine.restore(0, { version: 5, block: "AAAA", more: "", counters: "", translations: "" }),
    ).toThrow(/core record/);
  });
});

// In live mode RESET gives each core a new thread, and so a new engine, over the memory in which the old one's cache lies.
test("an engine over the memory of one before it decodes anew after RESET", async () => {
  const cpu = await prepared();
  const total = cpu.run(1e6);
  const { memory, modules, hosts } = cpu;
  const next = new Engine(memory, cpu.engine.plan, hosts, { modules, live: false });
  next.reset(0);
  cpu.setUp({ rsp: 0x8_0000 });
  cpu.state().set({ rax: 1, rbx: CELL, r14: 500 });
  expect(next.run(0, 1e6)).toBe(total);
});

describe("many cores", () => {
  test("64 cores count one cell", async () => {
    const cpu = await Cpu.create({ cores: 64, ramBytes: 4 << 20 });
    cpu.place(CODE, "mov ecx, 100\nagain: lock inc dword ptr [0x200000]\ndec ecx\njnz again\nhlt");
    for (let core = 0; core < 64; core++) cpu.setUp({ core, rsp: 0x8_0000 });
    for (let core = 0; core < 64; core++) expect(cpu.run(1000, core)).toBe(302);
    expect(cpu.read(CELL, 4)).toBe(6400n);
  });

  test("64 cores and 3 GiB fit into one memory; what does not is refused by name", () => {
    expect(plan({ cores: 64, ramBytes: 0xc000_0000, romBytes: 0x20_0000 }).pages).toBeLessThanOrEqual(65536);
    expect(() => plan({ cores: 65, ramBytes: 4096, romBytes: 0 })).toThrow("65 cores");
    expect(() => plan({ cores: 1, ramBytes: 4097, romBytes: 0 })).toThrow("4097 bytes of RAM");
  });
});

describe("requests from outside", () => {
  // SDM vol. 3A, 9.4: INIT and SIPI
  test("INIT and SIPI start a core in real mode at its page", async () => {
    const cpu = await Cpu.create({ cores: 2 });
    cpu.place(0x7000, "mov ax, cs\nmov bx, 0x1234\nhlt", 16);
    expect(cpu.state(1).activity).toBe(WAIT_FOR_SIPI);
    expect(cpu.engine.runnable(1)).toBe(false);
    new Int32Array(cpu.memory.buffer)[(CORES_BASE + CORE_BYTES + MAILBOX) / 4 + 17] = 7;
    cpu.attend(1, ATTENTION_INIT);
    cpu.engine.run(1, 1);
    cpu.attend(1, ATTENTION_SIPI);
    cpu.run(10, 1);
    expect(cpu.state(1).register("rax")).toBe(0x700n);
    expect(cpu.state(1).register("rbx")).toBe(0x1234n);
    expect(cpu.state(1).activity).toBe(HALTED);
  });

  // SDM vol. 3A, 9.4: INIT and SIPI
  test("a SIPI that nobody waits for is dropped", async () => {
    const cpu = await Cpu.create();
    cpu.start("nop\nnop\nhlt");
    cpu.attend(0, ATTENTION_SIPI);
    expect(cpu.run(10)).toBe(3);
  });

  // SDM vol. 3B, 23.33: A20M#
  test("A20: with the gate closed 1 MiB is 0, and opening it takes effect", async () => {
    const cpu = await Cpu.create();
    cpu.write(0x500, 4, 0x1111);
    cpu.write(0x10_0500, 4, 0x2222);
    cpu.start("mov eax, [0x100500]\nmov ebx, [0x100500]\nhlt");
    cpu.engine.setA20(false);
    cpu.engine.run(0, 1);
    cpu.engine.setA20(true);
    cpu.run(5);
    expect(cpu.state().register("rax")).toBe(0x1111n);
    expect(cpu.state().register("rbx")).toBe(0x2222n);
  });

  test("a device that asks for the core back gets it at the next branch", async () => {
    const cpu = await Cpu.create();
    cpu.start("out 0x80, al\nagain: inc rcx\njmp again");
    cpu.host.portWrite = () => cpu.engine.interruptRun();
    const ran = cpu.engine.run(0, 1000);
    expect(ran).toBeLessThan(10);
    expect(cpu.engine.run(0, 1000)).toBe(1000);
  });

  test("devices see the time exact to the instruction", async () => {
    const cpu = await Cpu.create();
    const seen: number[] = [];
    cpu.start("nop\nnop\nin al, 0x80\nnop\nagain: mov eax, [rsi]\ndec ecx\njnz again\nhlt");
    cpu.state().set({ rcx: 2, rsi: 0xd000_0000 });
    cpu.host.portRead = () => seen.push(cpu.engine.executed(0));
    cpu.host.busRead = () => seen.push(cpu.engine.executed(0));
    cpu.run(100);
    expect(seen).toEqual([2, 4, 7]);
  });

  test("budgets that are none are refused", async () => {
    const cpu = await Cpu.create();
    expect(() => cpu.engine.run(0, -1)).toThrow("budget");
    expect(() => cpu.engine.run(0, 1.5)).toThrow("budget");
  });
});

test("a trace names instructions, data and faults with their places, and counts the same", async () => {
  const lines: string[] = [];
  const tracer = {
    wants: (kind: string) => ["instructions", "memory", "faults"].includes(kind),
    see: (_core: number, _now: number, { linear, bits }: Place, seen: Seen) => {
      const what =
        seen.kind === "instructions"
          ? Buffer.from(seen.bytes).toString("hex")
          : seen.kind === "memory"
            ? `${seen.write ? "write" : "read"} ${seen.bytes} ${seen.linear.toString(16)} ${seen.value}`
            : seen.kind === "faults"
              ? seen.name
              : "";
      lines.push(`${linear.toString(16)} ${bits} ${what}`);
    },
  };
  const cpu = await Cpu.create({ tracer });
  const untraced = await Cpu.create();
  for (const each of [cpu, untraced]) {
    each.start(
      "mov ecx, 2\nagain: dec ecx\njnz again\nadd dword ptr [0x200000], 7\nlock inc word ptr [0x200fff]\nud2",
    );
    each.gate(6, 0x3_0000);
    each.place(0x3_0000, "hlt");
    each.run(100);
  }
  expect(lines.filter((line) => !/ 8 /.test(line))).toEqual([
    "10000 64 b902000000",
    "10005 64 ffc9",
    "10007 64 0f85f8ffffff",
    "10005 64 ffc9",
    "10007 64 0f85f8ffffff",
    "1000d 64 8304250000200007",
    "1000d 64 read 4 200000 0",
    "1000d 64 write 4 200000 7",
    "10015 64 f066ff0425ff0f2000",
    "10015 64 read 2 200fff 0",
    "10015 64 write 2 200fff 1",
    "1001e 64 0f0b",
    "1001e 64 #UD",
    "30000 64 f4",
  ]);
  expect(cpu.engine.retired(0)).toBe(untraced.engine.retired(0));
  expect(cpu.state().general()).toEqual(untraced.state().general());
});
