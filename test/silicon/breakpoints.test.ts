// Debug exceptions against the host's processor: random instructions in ring 3, with breakpoints around what they touch, with
// and without TF. Its kernel lets a debugger set the registers (ptrace), so every #DB is seen with its RIP, DR6 and RCX.
// SDM vol. 3B, 18.2 and 18.3 say the same; where they leave something open, the answer is AMD's.
//
// Left out: the bytes that MASKMOVDQU does not select, which sometimes meet a breakpoint there, and never here (vol. 2 leaves
// it open).

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { ACTIVE, CORES_BASE, DR, HALTED } from "../../emulator/cpu/layout.js";
import { Draw } from "../references/draw.js";
import { Cpu, IDT, PAGE_TABLES, selectors } from "../support/cpu.js";
import { temporaryFolder } from "../support/folder.js";
import { absent } from "./native.js";

const SEED = Number(process.env.SEED ?? 1);
const CASES = Number(process.env.CASES ?? 400);
const CODE = 0x60_0000;
const DATA = 0x70_0000;
const PAGE = 0x1000;
const HANDLERS = 0x2_0000;
const TF = 0x100;
const RF = 0x1_0000n;
const STOPS = 40;
const SIGNAL: Record<number, number> = { 0: 8, 1: 5, 3: 5, 6: 4, 12: 7, 13: 11, 14: 11, 17: 7 };
const ERRORS = new Set([8, 10, 11, 12, 13, 14, 17]);

// biome-ignore format: a list
const instructions = [
  "mov rax, [rdi]", "mov [rdi], rax", "mov [rdi], al", "mov ax, [rdi+1]", "mov [rdi+3], eax", "mov [rdi+5], rax", "add [rdi], eax", "add eax, [rdi]", "cmp [rdi], eax", "inc byte ptr [rdi]", "lock inc dword ptr [rdi]", "xchg [rdi], eax", "lock xadd [rdi+2], ax",
  "cmpxchg [rdi], ecx", "mov eax, 5;; cmpxchg [rdi], ecx", "mov eax, 5;; lock cmpxchg [rdi], ecx", "cmpxchg8b [rdi]", "mov eax, 1;; cmpxchg8b [rdi]", "cmpxchg16b [rdi]", "mov eax, 1;; lock cmpxchg16b [rdi]",
  "bt [rdi], eax", "bts dword ptr [rdi], 3", "mov eax, 70;; bts [rdi], rax", "setc byte ptr [rdi]", "cmovz eax, [rdi]", "test rsp, rsp;; cmovz eax, [rdi]", "shl dword ptr [rdi], 0", "shld [rdi], rax, 0", "div byte ptr [rdi]", "imul rax, [rdi], 3",
  "movsb", "movsq", "stosb", "lodsd", "scasb", "cmpsq", "rep movsb", "rep movsq", "rep stosb", "rep stosd", "rep lodsb", "repe cmpsb", "repne scasb", "std;; rep movsb", "xor ecx, ecx;; rep movsb",
  "push rax", "pop rax", "push qword ptr [rdi]", "pop qword ptr [rdi]", "pushfq;; popfq", "call next;; next: nop", "db 0xc8, 16, 0, 0", "db 0xc8, 8, 0, 3", "leave",
  "movaps xmm0, [rdi]", "movaps [rdi], xmm0", "movups xmm0, [rdi+5]", "movups [rdi+5], xmm0", "movss [rdi], xmm0", "movhps [rdi], xmm0", "movntdq [rdi], xmm0", "addps xmm0, [rdi]", "pinsrw xmm0, [rdi], 2", "pmovzxbw xmm0, [rdi]",
  "fld qword ptr [rdi]", "fld tword ptr [rdi]", "fld1;; fstp tword ptr [rdi]", "fldz;; fistp qword ptr [rdi]", "fnstcw [rdi]", "db 0xd9, 0x37", "db 0xdd, 0x37", "fxsave [rdi]", "fxsave [rdi];; fxrstor [rdi]", "stmxcsr [rdi]",
  "prefetcht0 [rdi]", "prefetchw [rdi]", "clflush [rdi]", "nop dword ptr [rdi]", "lea rax, [rdi]", "xlatb", "movbe [rdi], rax", "crc32 eax, byte ptr [rdi]",
  "mov eax, ss;; mov [rdi], eax;; mov ss, word ptr [rdi];; mov rax, [rsi]", "mov eax, ss;; mov ss, eax;; nop;; nop", "mov eax, ss;; mov ss, eax;; mov ss, eax;; nop",
  "mov rdi, 0x701ffc;; mov rax, [rdi]", "mov rdi, 0x701ffc;; mov [rdi], rax", "mov rdi, 0x701ffc;; movups [rdi], xmm0", "mov rsi, 0x701ffc;; mov rcx, 9;; rep movsb", "mov rdi, 0x701ff8;; mov rcx, 12;; rep stosb", "mov rdi, 0x701ff0;; fxsave [rdi]", "mov rdi, 0x702000;; push rax;; pop qword ptr [rdi]", "mov rbp, 0x702000;; leave", "mov rdi, 0x8000000000000000;; mov [rdi], al",
  "pcmpeqb xmm1, xmm1;; db 0x66, 0x0f, 0xf7, 0xc1", "pcmpeqb mm1, mm1;; db 0x0f, 0xf7, 0xc1", "mov rdi, 0x701ff8;; pcmpeqb xmm1, xmm1;; db 0x66, 0x0f, 0xf7, 0xc1",
  "ud2", "hlt", "xor eax, eax;; div eax", "jmp next;; nop;; next: nop", "mov ecx, 3;; again: add [rdi], ecx;; loop again", "push 0x302;; popfq;; nop;; nop", "pushfq;; pop rax;; mov [rdi], rax",
];
const AROUND = [0x200, 0x200, 0x200, 0x100, 0x1000, 0xfe8, 0x1800, 0x1ff0];

interface Case {
  readonly text: string;
  readonly code: Uint8Array;
  readonly control: number;
  readonly addresses: readonly number[];
  readonly flags: number;
}

function draw(d: Draw): Case {
  const text = `${d.pick(["nop", "nop;; nop", "add rdi, 4", "mov eax, 0"])};; ${d.pick(instructions)}`;
  const code = Uint8Array.from([...assemble(text, { bits: 64, origin: CODE }), 0xcc]);
  const addresses = [0, 0, 0, 0];
  let control = 0;
  for (let n = 0; n < 1 + d.below(3); n++) {
    control |= 1 << (2 * n);
    if (d.rarely(5)) {
      addresses[n] = CODE + d.below(code.length + 1);
      continue;
    }
    const [bytes, length] = d.pick([[1, 0], [2, 1], [4, 3], [8, 2]] as const); // biome-ignore format: pairs
    addresses[n] = (DATA + d.pick(AROUND) + d.below(24) - d.pick([0, 8])) & ~(bytes - 1);
    control |= (d.pick([1, 3, 3]) | (length << 2)) << (16 + 4 * n);
  }
  return { text, code, control: control >>> 0, addresses, flags: d.rarely(4) ? TF : 0 };
}
const hex = (n: number | bigint) => n.toString(16);
const line = ({ code, control, addresses, flags }: Case) =>
  [Buffer.from(code).toString("hex"), ...[control, ...addresses, flags].map(hex)].join(" ");

function onSilicon(cases: readonly Case[]): string[] {
  const folder = temporaryFolder();
  try {
    const program = join(folder.path, "breakpoints");
    const source = fileURLToPath(new URL("breakpoints.c", import.meta.url));
    const compiled = spawnSync("gcc", ["-O1", "-o", program, source], { encoding: "utf8" });
    if (compiled.status !== 0) throw new Error(`gcc: ${compiled.stderr}`);
    const input = `${cases.map(line).join("\n")}\n`;
    return spawnSync(program, { input, encoding: "utf8", timeout: 60_000 }).stdout.trimEnd().split("\n");
  } finally {
    folder.remove();
  }
}

/** Ring 3 before the case's code, its registers as breakpoints.c has them, and the page behind the data absent. */
function prepare(cpu: Cpu, c: Case): void {
  cpu.engine.reset(0);
  cpu.ram.fill(0, CODE, DATA + 3 * PAGE);
  cpu.ram.fill(0x90, CODE, CODE + PAGE);
  cpu.engine.written(CODE, DATA + 3 * PAGE - CODE);
  const registers = c.addresses.map((at, n) => `mov eax, ${at};; mov dr${n}, rax`).join("\n");
  cpu.start(
    `${registers}\nmov eax, ${c.control};; mov dr7, rax;; fninit;; hlt`.replace("fninit", "db 0xdb, 0xe3"),
  );
  cpu.run(50);
  const table = 0x7000;
  for (let page = 0; page < 512; page++) cpu.write(table + 8 * page, 8, (CODE + page * PAGE) | 7);
  cpu.write(table + 8 * ((DATA - CODE) / PAGE + 2), 8, 0);
  cpu.write(PAGE_TABLES + 0x2000 + 8 * (CODE / 0x20_0000), 8, table | 7);
  for (const vector of [...ERRORS, ...Object.keys(SIGNAL).map(Number)]) {
    cpu.place(HANDLERS + 16 * vector, "hlt;; iretq");
    cpu.gate(vector, HANDLERS + 16 * vector);
  }
  cpu.write(IDT + 16 * 3 + 5, 1, 0xee); // INT3 is for ring 3
  cpu.place(CODE, c.code);
  const s = cpu.state();
  s.setSegment("cs", { selector: selectors.userCode, attributes: 0xa0_fb00 });
  s.setSegment("ss", { selector: selectors.user, attributes: 0xc0_f300 });
  s.cpl = 3;
  s.rflags = 0x202 | c.flags;
  s.set({
    cr0: 0x8005_0033,
    rip: CODE,
    rsp: DATA + PAGE,
    rbp: DATA + 0x1800,
    rsi: DATA + 0x100,
    rdi: DATA + 0x200,
  });
  s.set({ rax: 0, rbx: DATA + 0x200, rcx: 8, rdx: 0 });
}

function here(cpu: Cpu, c: Case): string {
  prepare(cpu, c);
  const s = cpu.state();
  const status = new DataView(cpu.memory.buffer, CORES_BASE + DR + 6 * 8);
  const stops: string[] = [];
  while (stops.length < STOPS) {
    s.activity = ACTIVE;
    cpu.run(5000);
    if (s.activity !== HALTED) return `${stops.join(" ")} goes on`;
    const vector = (Number(s.rip) - 1 - HANDLERS) / 16;
    const frame = Number(s.register("rsp")) + (ERRORS.has(vector) ? 8 : 0);
    const met = vector === 1 ? status.getUint32(0, true) & 0x400f : 0;
    const rip = BigInt.asUintN(64, cpu.read(frame, 8) - BigInt(CODE));
    stops.push([SIGNAL[vector]!, ...[rip, met, s.register("rcx")].map(hex)].join(":"));
    if (met === 0) break;
    // As a kernel does: DR6 cleared, and RF set where an instruction breakpoint was met.
    status.setUint32(0, 0xffff_0ff0, true);
    const execution = [0, 1, 2, 3].some((n) => (met >> n) & 1 && ((c.control >>> (16 + 4 * n)) & 3) === 0);
    if (execution) cpu.write(frame + 16, 8, cpu.read(frame + 16, 8) | RF);
  }
  return stops.join(" ");
}

const missing = absent ?? (spawnSync("gcc", ["--version"]).status === 0 ? undefined : "gcc is not installed");

test.skipIf(missing !== undefined)(
  `breakpoints and single steps agree with silicon${missing === undefined ? "" : ` (${missing})`}`,
  { timeout: 120_000 },
  async () => {
    const d = new Draw(SEED);
    const cases = Array.from({ length: CASES }, () => draw(d));
    const silicon = onSilicon(cases);
    const cpu = await Cpu.create();
    const found: string[] = [];
    cases.forEach((c, i) => {
      const ours = here(cpu, c);
      if (ours !== silicon[i])
        found.push(`${c.text} (${line(c)})\n  silicon ${silicon[i]}\n  here    ${ours}`);
    });
    expect(found.join("\n"), `SEED=${SEED}`).toBe("");
  },
);
