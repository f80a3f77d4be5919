// Breakpoints of DR7 cost only what touches them: watched pages have no fast TLB tag, and the engine stops where an
// instruction breakpoint may be (emulator/cpu/microcode/debug.ts). A traced core goes instruction by instruction; here a
// random program with random breakpoints runs traced, untraced and in pieces, and every #DB has to be the same.

import { expect, test } from "vitest";
import type { EngineTracer } from "../../emulator/cpu/engine.js";
import { Random } from "../../emulator/random.js";
import { CODE, Cpu, STACK_TOP } from "../support/cpu.js";

const CASES = 80;
const LOG = 0x30_0000;
const HANDLER = 0x3_0000;
/** Two pages of data; the programs touch both sides of the edge. */
const DATA = 0x20_0fc0;
const DATA_BYTES = 128;
const LINES = 24;
const LIMIT = 3000;

const everyInstruction: EngineTracer = { wants: (kind) => kind === "instructions", see: () => {} };

/** Logs RIP, DR6 and RFLAGS, and goes on with RF set. */
const handler = `
  push rax
  push rbx
  mov rbx, [${LOG}]
  mov rax, [rsp+16]
  mov [rbx], rax
  mov rax, dr6
  mov [rbx+8], rax
  mov rax, [rsp+32]
  mov [rbx+16], rax
  or dword ptr [rsp+32], 0x10000
  add rbx, 24
  mov [${LOG}], rbx
  mov eax, 0xffff0ff0
  mov dr6, rax
  pop rbx
  pop rax
  iretq`;

function program(random: Random): string {
  const pick = <T>(...of: readonly T[]): T => of[random.below(of.length)] as T;
  const at = () => `[rbx+${random.below(DATA_BYTES - 16)}]`;
  const line = () =>
    pick(
      () => `mov [rbx+${random.below(100)}], rax`,
      () => `mov rcx, ${at()}`,
      () => `add dword ptr ${at()}, 3`,
      () => `lock xadd ${at()}, rax`,
      () => `movdqu xmm1, ${at()}`,
      () => `movdqu ${at()}, xmm1`,
      () => `push qword ptr ${at()}\npop rdx`,
      () => `push rax\npop qword ptr ${at()}`,
      () => `fild dword ptr ${at()}\nfistp dword ptr ${at()}`,
      () =>
        `lea rsi, ${at()}\nlea rdi, ${at()}\nmov ecx, ${random.below(16)}\n${pick("rep movsb", "rep stosd", "rep lodsb")}`,
      () => `lea rsi, ${at()}\nlea rdi, ${at()}\nmov ecx, 7\nrepe cmpsb`,
      () => `lea rsp, [rbx+${64 + 8 * random.below(4)}]\ncall over`,
      () => "inc rax",
      () => "mov ss, edx",
      () => "out 0x80, al",
      () => "pushfq\npopfq",
    )();
  const lines: string[] = [];
  for (let i = 0; i < LINES; i++) {
    const text = line();
    if (text.includes("call over"))
      lines.push(text.replace("over", `label${i}`), `label${i}: pop rdx`, `mov esp, ${STACK_TOP}`);
    else if (text.includes("mov ss")) lines.push("mov edx, 0x10", text, `mov rdx, ${at()}`);
    else lines.push(text);
  }
  return lines.join("\n");
}

function outcome(cpu: Cpu, seed: number, budget: (random: Random) => number) {
  const random = new Random(seed);
  const body = program(random);
  const dr = [0, 1, 2, 3].map((n) => {
    const kind = random.below(4); // instruction, write, port, access
    const length = kind === 0 ? 0 : random.below(4);
    const address =
      kind === 0 ? CODE + 0x60 + random.below(150) : kind === 2 ? 0x80 : DATA + random.below(DATA_BYTES);
    const enabled = random.below(4) > 0 ? 3 << (2 * n) : 0;
    return { address, control: enabled | (kind << (16 + 4 * n)) | (length << (18 + 4 * n)) };
  });
  const dr7 = dr.reduce((all, { control }) => all | control, 0x400) >>> 0;
  cpu.engine.reset(0);
  cpu.ram.fill(0, DATA, DATA + DATA_BYTES);
  cpu.ram.fill(0, STACK_TOP - 0x1000, STACK_TOP);
  cpu.ram.fill(0, LOG, LOG + 0x1_0000);
  cpu.write(LOG, 8, LOG + 8);
  cpu.place(HANDLER, handler);
  const loads = dr.map(({ address }, n) => `mov eax, ${address}\nmov dr${n}, rax`).join("\n");
  cpu.start(
    `fninit\nmov ebx, ${DATA}\n${loads}\nmov eax, ${dr7}\nmov dr7, rax\n${body}\nxor eax, eax\nmov dr7, rax\n${body.replaceAll("label", "second")}\nhlt`,
  );
  cpu.state().set({ cr4: 0x628, rax: 0, rcx: 0, rdx: 0 }); // with DE
  cpu.gate(1, HANDLER);
  const before = cpu.engine.retired(0);
  // A handler that touches what it is called for never comes to an end.
  for (let left = LIMIT; left > 0 && cpu.engine.runnable(0); )
    left -= cpu.engine.run(0, Math.min(left, budget(random)));
  const s = cpu.state();
  return {
    log: Buffer.from(cpu.ram.slice(LOG, LOG + 0x4000))
      .toString("hex")
      .replace(/(00)+$/, ""),
    data: Buffer.from(cpu.ram.slice(DATA, DATA + DATA_BYTES)).toString("hex"),
    registers: (["rax", "rcx", "rdx", "rsi", "rdi", "rsp"] as const).map((name) => s.register(name)),
    rip: s.rip,
    rflags: s.rflags,
    retired: cpu.engine.retired(0) - before,
  };
}

test("breakpoints: instruction by instruction, at full speed and in pieces", async () => {
  const traced = await Cpu.create({ tracer: everyInstruction });
  const cpu = await Cpu.create();
  let traps = 0;
  for (let seed = 1; seed <= CASES; seed++) {
    const stepped = outcome(traced, seed, () => 100_000);
    expect(
      outcome(cpu, seed, () => 100_000),
      `seed ${seed}`,
    ).toEqual(stepped);
    const pieces = outcome(cpu, seed, (random) => 1 + random.below(12));
    expect(pieces, `seed ${seed}, in pieces`).toEqual(stepped);
    traps += Math.floor(stepped.log.length / 48);
  }
  expect(traps).toBeGreaterThan(CASES * 3);
});

test("a breakpoint elsewhere costs nothing: the loop runs in generated code", async () => {
  const cpu = await Cpu.create();
  cpu.start(`
    mov eax, 0x300000
    mov dr0, rax
    mov eax, 0xd0001
    mov dr7, rax
    mov ebx, ${DATA}
    mov ecx, 2000000
    again: mov [rbx], ecx
    add eax, [rbx]
    dec ecx
    jnz again
    hlt`);
  const started = process.cpuUsage();
  cpu.run(100_000_000);
  const { user, system } = process.cpuUsage(started);
  expect(cpu.state().register("rcx")).toBe(0n);
  // Some 40 ms; instruction by instruction it was 5 s.
  expect((user + system) / 1e6).toBeLessThan(1.5);
});
