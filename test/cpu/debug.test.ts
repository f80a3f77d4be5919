// Debug exceptions: which instruction boundary they are taken at, what DR6 and the pushed RF say, what holds them off
// and what drops them. Intel SDM vol. 3A, 6.8.3, and vol. 3B, chapter 18; AMD APM vol. 2, 13.1. system-rows.test.ts has the plain
// breakpoints.

import { beforeAll, describe, expect, test } from "vitest";
import { assembleWithLabels } from "../../emulator/assembler.js";
import { ATTENTION_INTERRUPT, HALTED, SHUTDOWN } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, STACK_TOP } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

const LOG = 0x2_0000;
const HANDLER = 0x3_0000;
const OTHER = 0x3_1000;
const DATA = 0x2_1000;
const TF = 0x100;
const RF = 0x1_0000;
const BS = 0x4000;

interface Trap {
  /** Label at which the exception was taken, or the address. */
  readonly at: string;
  /** Bits of DR6 that are not fixed. */
  readonly dr6: number;
  readonly rf: boolean;
}

interface Setting {
  /** Addresses or labels for DR0 ... DR3, and DR7. */
  readonly dr?: readonly string[];
  readonly dr7?: number;
  /** RFLAGS that POPFQ loads right before the program. */
  readonly flags?: number;
  /** The handler leaves DR6 as it is. */
  readonly keeps?: boolean;
  readonly limit?: number;
}

/** Runs a program; its #DB handler logs where it was taken, and sets RF in the image that it returns to. */
function debugged(
  what: string,
  { dr = [], dr7 = 0, flags = 2, keeps = false, limit = 600 }: Setting,
): Trap[] {
  const program = `
    lea r8, [${LOG}]
    ${dr.map((address, n) => `lea rax, [${address}];; mov dr${n}, rax`).join("\n")}
    ${keeps ? "" : "mov eax, 0xffff0ff0;; mov dr6, rax"}
    mov eax, ${flags}
    push rax
    mov eax, ${dr7}
    mov dr7, rax
    popfq
    start: ${what}
    out: xor eax, eax
    mov dr7, rax
    push 2
    popfq
    finish: hlt`;
  cpu.place(
    HANDLER,
    `push rax
     mov rax, [rsp+8]
     mov [r8], rax
     mov rax, dr6
     mov [r8+8], eax
     mov eax, [rsp+24]
     mov [r8+12], eax
     ${keeps ? "" : "mov eax, 0xffff0ff0;; mov dr6, rax"}
     add r8, 16
     or dword ptr [rsp+24], 0x10000
     pop rax
     iretq`,
  );
  cpu.place(OTHER, "inc r9;; iretq");
  cpu.start(program);
  cpu.gate(1, HANDLER);
  cpu.gate(3, OTHER);
  cpu.gate(0x40, OTHER);
  const s = cpu.state();
  s.set({ r9: 0, r14: 0, cr4: 0x628 });
  cpu.run(limit);
  return traps(program);
}

function traps(program: string): Trap[] {
  const names = new Map(
    [...assembleWithLabels(program, { origin: CODE }).labels].map(([name, at]) => [at, name]),
  );
  names.set(BigInt(OTHER), "other");
  const list: Trap[] = [];
  for (let at = LOG; at < Number(cpu.state().register("r8")); at += 16) {
    const rip = cpu.read(at, 8);
    const dr6 = Number(cpu.read(at + 8, 4)) & 0xe00f;
    const rf = (Number(cpu.read(at + 12, 4)) & RF) !== 0;
    list.push({ at: names.get(rip) ?? rip.toString(16), dr6, rf });
  }
  return list;
}
const places = (list: Trap[]) => list.map(({ at }) => at);
const trap = (at: string, dr6: number, rf = false): Trap => ({ at, dr6, rf });

const ENABLE = (n: number) => 1 << (2 * n);
const ON_WRITE = (n: number) => 1 << (16 + 4 * n);
const ON_ACCESS = (n: number) => 3 << (16 + 4 * n);
const EIGHT = (n: number) => 2 << (18 + 4 * n);
const GENERAL_DETECT = 0x2000;

// SDM vol. 3B, 18.3.1.4: the trap comes after an instruction that began with TF set.
describe("single step", () => {
  const stop = "popfq;; after: nop";
  /** Steps `what` and then POPFQ, which turns TF off and still traps. */
  const stepped = (what: string, setting: Setting = {}) =>
    debugged(`mov eax, 2;; mov ebx, 0x10;; p: push rax;; q: ${what}\n${stop}`, { flags: TF | 2, ...setting });

  test("after each, until POPF has turned it off", () => {
    const list = stepped("nop;; r: nop;; s:");
    expect(list.slice(1)).toEqual(["p", "q", "r", "s", "after"].map((at) => trap(at, BS)));
    expect(list.length).toBe(6); // the first is between the two MOVs
  });
  test("INT n, INT3 and INT1 turn it off in their handlers and are not trapped after", () => {
    expect(places(stepped("nop;; r: int 0x40;; s: nop;; t:")).slice(2)).toEqual(["q", "r", "t", "after"]);
    expect(places(stepped("nop;; r: int3;; s: nop;; t:")).slice(2)).toEqual(["q", "r", "t", "after"]);
    // INT1 is a #DB of its own, which says nothing in DR6 (SDM vol. 2A, INT1)
    expect(stepped("nop;; r: db 0xf1\ns: nop;; t:").slice(3)).toEqual([
      trap("r", BS),
      trap("s", 0),
      trap("t", BS),
      trap("after", BS),
    ]);
  });
  test("IRET that turns it on is not trapped after, one that turns it off is", () => {
    const iret = (flags: number) =>
      `mov rdx, rsp;; mov ecx, ss;; push rcx;; push rdx;; mov ecx, ${flags};; push rcx;; mov ecx, cs;; push rcx;; lea rcx, [back];; push rcx`;
    const on = debugged(`${iret(TF | 2)};; iretq\nback: nop;; one: push 2;; two: popfq;; three: nop`, {});
    expect(places(on)).toEqual(["one", "two", "three"]);
    const off = debugged(`${iret(2)};; here: iretq\nback: nop;; nop`, { flags: TF | 2 });
    expect(places(off).slice(-2)).toEqual(["here", "back"]);
  });
  test("HLT is trapped after and does not halt", () => {
    expect(places(stepped("hlt;; r: nop;; s:")).slice(2)).toEqual(["q", "r", "s", "after"]);
    expect(cpu.state().activity).toBe(HALTED);
    expect(cpu.state().rip).toBeGreaterThan(BigInt(CODE));
  });
  test("HLT is trapped after even where a run ends at it", () => {
    cpu.place(HANDLER, "inc r15;; and dword ptr [rsp+16], 0xfffffeff;; iretq");
    cpu.start("hlt;; inc r14;; hlt");
    cpu.gate(1, HANDLER);
    cpu.state().set({ r14: 0, r15: 0 });
    cpu.state().rflags = TF | 2;
    expect(cpu.engine.run(0, 1)).toBe(1);
    expect(cpu.engine.runnable(0)).toBe(true);
    cpu.run(20);
    expect([cpu.state().register("r14"), cpu.state().register("r15")]).toEqual([1n, 1n]);
  });
  test("SYSCALL and SYSRET are trapped by the TF that they leave", () => {
    const calls = (mask: number) => `
      lea rax, [kernel]
      mov ecx, 0xc0000082
      xor edx, edx
      wrmsr
      mov eax, ${mask}
      inc ecx
      inc ecx
      wrmsr
      mov ecx, 0xc0000081
      mov edx, 0x230008
      wrmsr
      mov r12, rsp
      mov r11d, 2
      lea rcx, [user]
      sysretq
      user: mov eax, 0x102;; push rax;; popfq;; syscall
      back: syscall
      kernel: inc r14;; kernel2: cmp r14, 1;; jnz over;; sysretq
      over:`;
    // Masked: nothing in the kernel, and the trap is there as soon as SYSRET has brought TF back
    expect(places(debugged(calls(0x100), {}))).toEqual(["back"]);
    expect(places(debugged(calls(0), {})).slice(0, 3)).toEqual(["kernel", "kernel2", expect.anything()]);
  });
  // SDM vol. 3A, 6.8.3: MOV SS and POP SS hold off all but faults, for one instruction
  test("STI does not hold it off, MOV SS and POP SS do, for one instruction", () => {
    expect(places(stepped("sti;; r: cli;; s:")).slice(2)).toEqual(["q", "r", "s", "after"]);
    expect(places(stepped("mov ss, bx;; r: nop;; s:")).slice(2)).toEqual(["q", "s", "after"]);
  });
});

// SDM vol. 3A, 6.8.3: MOV SS and POP SS hold off all but faults, for one instruction
describe("MOV SS", () => {
  const ss = `mov dword ptr [${DATA}], 0x10`;
  /** MOV SS, [DATA] */
  const LOAD_SS = `db 0x8e, 0x14, 0x25, 0x00, 0x10, 0x02, 0x00`;
  const watch: Setting = { dr: [`${DATA}`], dr7: ENABLE(0) | ON_ACCESS(0) };
  /** The store to DATA is the first trap. */
  const held = (next: string) => debugged(`${ss}\nload: ${LOAD_SS}\n${next}`, watch).slice(1);

  // SDM vol. 3A, 6.8.3: "... inhibits ... until after execution of the instruction following"
  test("keeps a data breakpoint until the next instruction has run", () => {
    expect(held("one: nop;; two: nop")).toEqual([trap("two", 1)]);
  });
  test("keeps it until INT n or INT3 has entered its handler", () => {
    expect(held("int 0x40;; nop")).toEqual([trap("other", 1)]);
    expect(cpu.state().register("r9")).toBe(1n);
    expect(held("int3;; nop")).toEqual([trap("other", 1)]);
  });
  test("INT1 takes it along: one exception", () => {
    expect(held("db 0xf1\nnext: nop")).toEqual([trap("next", 1)]);
  });
  test("a fault of the next instruction drops it", () => {
    cpu.place(OTHER + 0x100, "add qword ptr [rsp], 2;; iretq");
    cpu.gate(6, OTHER + 0x100);
    const list = debugged(`${ss}\nload: ${LOAD_SS}\nud2\nnext: nop`, watch);
    expect(places(list)).toEqual(["load"]);
  });
  // AMD's processors let it through, Intel's do not
  test("does not hold an instruction breakpoint at the next one off", () => {
    const at = { dr: ["next"], dr7: ENABLE(0) };
    expect(places(debugged("mov ebx, 0x10;; mov ss, ebx;; next: nop;; nop", at))).toEqual(["next"]);
    expect(places(debugged("sti;; next: nop;; cli", at))).toEqual(["next"]);
  });
  // One exception: the trap may not be left for the first instruction of the handler (SDM vol. 3A, 6.8.3)
  test("an instruction breakpoint at the next one takes a data breakpoint along", () => {
    const list = debugged(`${ss}\nload: ${LOAD_SS}\nnext: nop;; nop`, {
      dr: [`${DATA}`, "next"],
      dr7: ENABLE(0) | ON_ACCESS(0) | ENABLE(1),
    });
    expect(list.slice(1)).toEqual([trap("next", 3)]);
  });
  // SDM vol. 3B, 18.3.1.3: general detect: a fault before the access to a debug register
  test("does not hold general detect off: that is a fault, with RF", () => {
    const list = debugged("mov ebx, 0x10;; mov ss, ebx;; next: mov rcx, dr0;; nop", { dr7: GENERAL_DETECT });
    expect(list).toEqual([trap("next", 0x2000, true)]);
  });
});

describe("DR6", () => {
  // APM vol. 2, 13.1.1.3: B3-B0 are updated on every debug exception; the others are never cleared by the processor.
  test("B0 to B3 are the latest exception's, BS and BD stay", () => {
    const list = debugged("mov eax, 0x4002;; mov dr6, rax;; one: nop;; two: nop", {
      dr: ["one", "two"],
      dr7: ENABLE(0) | ENABLE(1),
      keeps: true,
    });
    expect(list).toEqual([trap("one", BS | 1), trap("two", BS | 2)]);
  });
  // APM vol. 2, 13.1.1.3
  test("several breakpoints met by one instruction are one exception", () => {
    const list = debugged(`mov [${DATA + 4}], rax;; next: nop`, {
      dr: [`${DATA + 4}`, `${DATA + 8}`, `${DATA + 12}`, "next"],
      dr7: ENABLE(0) | ENABLE(1) | ON_WRITE(0) | ON_WRITE(1) | ON_WRITE(2) | EIGHT(1) | ENABLE(2),
    });
    expect(list).toEqual([trap("next", 3)]);
  });
  // SDM vol. 3A, table 6-2: traps of the last instruction come before an instruction breakpoint at the next.
  test("a trap after one instruction comes before a breakpoint at the next", () => {
    const list = debugged(`mov [${DATA}], al;; next: nop`, {
      dr: [`${DATA}`, "next"],
      dr7: ENABLE(0) | ON_WRITE(0) | ENABLE(1),
    });
    // The handler's RF keeps the second off; without it both are seen
    expect(list).toEqual([trap("next", 1)]);
  });
});

describe("RF", () => {
  // SDM vol. 3B, 18.3.1.1: pushed as 1 by traps and interrupts between the iterations of a repeated instruction
  test("between iterations of a repeated instruction it is pushed as 1, after the last as it is", () => {
    const list = debugged(`lea rdi, [${DATA}];; mov ecx, 3;; cld;; fill: rep stosb;; after: nop`, {
      dr: [`${DATA}`],
      dr7: ENABLE(0) | ON_WRITE(0) | EIGHT(0),
    });
    expect(list).toEqual([trap("fill", 1, true), trap("fill", 1, true), trap("after", 1)]);
  });
  test("an instruction breakpoint at a repeated instruction is met once", () => {
    const at = { dr: ["fill"], dr7: ENABLE(0) };
    const fill = `lea rdi, [${DATA}];; mov ecx, 3;; cld;; fill: rep stosb;; after: nop`;
    expect(debugged(fill, at)).toEqual([trap("fill", 1)]);
  });
  test("an interrupt between iterations pushes it as 1, without breakpoints too", () => {
    cpu.start(`lea rdi, [${DATA}];; mov ecx, 1000;; rep stosb;; nop;; cli;; hlt`);
    cpu.place(OTHER, "mov r9, [rsp+16];; hlt");
    cpu.gate(0x40, OTHER);
    cpu.state().rflags = 0x202;
    cpu.run(100);
    cpu.host.interrupts.push(0x40);
    cpu.attend(0, ATTENTION_INTERRUPT);
    cpu.run(50);
    expect(cpu.state().register("r9")).toBe(BigInt(RF | 0x202));
    expect(Number(cpu.state().register("rcx"))).toBe(1000 - 98);
    cpu.start("nop;; nop;; hlt");
    cpu.gate(0x40, OTHER);
    cpu.state().rflags = 0x202;
    cpu.run(1);
    cpu.host.interrupts.push(0x40);
    cpu.attend(0, ATTENTION_INTERRUPT);
    cpu.run(50);
    expect(cpu.state().register("r9")).toBe(0x202n);
  });
  // SDM vol. 3B, 18.3.1.1: an instruction breakpoint is a fault before its instruction, and RF lets it go on
  test("a fault pushes it as 1", () => {
    cpu.start("ud2");
    cpu.place(OTHER, "mov r9, [rsp+16];; hlt");
    cpu.gate(6, OTHER);
    cpu.run(50);
    expect(cpu.state().register("r9")).toBe(BigInt(RF | 2));
  });
});

describe("delivery", () => {
  test("a data breakpoint on the stack of an exception is taken before its handler's first instruction", () => {
    const list = debugged("int 0x40;; nop", {
      dr: [`${STACK_TOP - 40}`],
      dr7: ENABLE(0) | ON_WRITE(0) | EIGHT(0),
    });
    expect(list[0]).toEqual(trap("other", 1));
  });
  test("a debug exception that always meets its own breakpoint does not hang the machine", () => {
    cpu.start("nop;; hlt");
    cpu.gate(1, HANDLER);
    const s = cpu.state();
    s.rflags = TF | 2;
    cpu.place(
      CODE,
      `lea rax, [${STACK_TOP - 8}];; mov dr0, rax;; mov eax, 0x90001;; mov dr7, rax;; push rax;; hlt`,
    );
    expect(cpu.run(200)).toBeLessThanOrEqual(200);
    expect(s.activity).not.toBe(SHUTDOWN);
  });
  // SDM vol. 3B, 18.3.1.3: general detect: a fault before the access to a debug register
  test("only a debug exception lowers DR7.GD, INT 1 does not", () => {
    cpu.place(HANDLER, "inc r15;; hlt");
    for (const [program, guard] of [
      ["int 1", 0x2000n],
      ["db 0xf1", 0n],
    ] as const) {
      cpu.start(`mov eax, 0x2000;; mov dr7, rax;; ${program}`);
      cpu.gate(1, HANDLER);
      cpu.run(10);
      expect(cpu.state().dr(7) & 0x2000n).toBe(guard);
      cpu.engine.reset(0);
    }
  });
  // APM vol. 2, 13.1.1.4: bits 12, 11, 14 and 15 read as zero, bit 10 as one
  // APM vol. 2, 13.1.1.3
  // SDM vol. 3B, 18.2.4: DR7: enables, reserved bits
  test("reserved bits of DR6 and DR7", () => {
    cpu.start("mov eax, 0xffffffff;; mov dr7, rax;; hlt");
    cpu.state().set({ cr4: 0x628 });
    cpu.run(2);
    expect(cpu.state().dr(7)).toBe(0xffff_27ffn);
    cpu.engine.reset(0);
    cpu.start("xor eax, eax;; mov dr6, rax;; mov rbx, dr6;; mov eax, 0xffffffff;; mov dr6, rax;; hlt");
    cpu.run(10);
    expect(cpu.state().register("rbx")).toBe(0xffff_0ff0n);
    expect(cpu.state().dr(6)).toBe(0xffff_efffn);
    cpu.engine.reset(0);
  });
});
