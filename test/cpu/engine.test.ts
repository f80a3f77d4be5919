// The engine between and around instructions: budgets, operand forms, faults and their addresses, code that changes
// under the decoder, single steps, repeated strings. What each instruction means is tested in rows and silicon.

import { beforeAll, describe, expect, test } from "vitest";
import { CODE_GENERATIONS, HALTED, SHUTDOWN } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, PAGE_TABLES, STACK_TOP } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create({ cores: 2 });
});

const HANDLER = 0x3_0000;
/** Catches a vector: the handler halts with the error code (if any) on top of the stack frame. */
function catches(...vectors: number[]): void {
  for (const vector of vectors) cpu.gate(vector, HANDLER);
  cpu.place(HANDLER, [0xf4]);
}
/** The exception frame that a handler at HANDLER finds. */
function frame(hasError: boolean) {
  const rsp = Number(cpu.state().register("rsp"));
  const at = (slot: number) => cpu.read(rsp + 8 * (slot + (hasError ? 1 : 0)), 8);
  return { error: hasError ? cpu.read(rsp, 8) : undefined, rip: at(0), cs: at(1), rflags: at(2), rsp: at(3) };
}
/** Maps 4 KiB pages over the first 2 MiB, so that single pages can be taken away. */
function smallPages(): void {
  const table = 0x7_0000;
  for (let i = 0; i < 512; i++) cpu.view.setBigUint64(table + 8 * i, BigInt(i * 4096) | 7n, true);
  cpu.view.setBigUint64(PAGE_TABLES + 0x2000, BigInt(table) | 7n, true);
  cpu.state().setRegister("cr3", PAGE_TABLES);
}
const setEntry = (page: number, flags: bigint) =>
  cpu.view.setBigUint64(0x7_0000 + 8 * page, BigInt(page * 4096) | flags, true);

describe("budgets", () => {
  const program = `
    mov ecx, 10
    xor eax, eax
    again: add eax, ecx
    dec ecx
    jnz again
    hlt`;

  test("a loop counts down, and every instruction counts", () => {
    cpu.start(program);
    expect(cpu.run(1000)).toBe(2 + 30 + 1);
    expect(cpu.state().register("rax")).toBe(55n);
    expect(cpu.state().activity).toBe(HALTED);
  });

  test("any budget stops at its instruction, and pieces add up to the whole", () => {
    const states: string[] = [];
    cpu.start(program);
    for (let i = 0; i < 33; i++) {
      expect(cpu.engine.run(0, 1)).toBe(1);
      states.push(JSON.stringify(cpu.state().general(), (_, v) => String(v)));
    }
    for (let budget = 1; budget <= 33; budget++) {
      cpu.start(program);
      expect(cpu.engine.run(0, budget)).toBe(budget);
      expect(JSON.stringify(cpu.state().general(), (_, v) => String(v))).toBe(states[budget - 1]);
    }
  });

  test("live, a run ends before the block that would be cut, if it has done anything", async () => {
    const live = await Cpu.create({ live: true });
    live.start(program);
    const again = BigInt(CODE + 5 + 2);
    expect([live.engine.run(0, 10), live.state().rip]).toEqual([5 + 3, again]);
    expect([live.engine.run(0, 2), live.state().register("rcx")]).toEqual([2, 7n]);
    expect([live.run(1000), live.state().register("rax")]).toEqual([33 - 10, 55n]);
  });

  test("RETIRED is the sum of what run() gave", () => {
    cpu.start(program);
    const before = cpu.engine.retired(0);
    const sum = [3, 7, 1, 100].reduce((n, budget) => n + cpu.engine.run(0, budget), 0);
    expect(cpu.engine.retired(0) - before).toBe(sum);
  });

  test("a core that only faults spends its budget", () => {
    cpu.start([0x0f, 0x0b]);
    cpu.gate(6, CODE); // the handler is the faulting instruction itself
    expect(cpu.engine.run(0, 50)).toBe(50);
  });
});

describe("operand forms", () => {
  const run = (program: string, bits: 64 | 32 | 16 = 64) => {
    cpu.start(`${program}\nhlt`, { bits });
    cpu.run(1000);
    return cpu.state();
  };

  test("8 and 16-bit results merge, 32-bit results clear the upper half", () => {
    const s = run(`
      mov rax, 0x1122334455667788
      mov rbx, rax
      mov rcx, rax
      mov rdx, rax
      mov ah, 0x99
      mov bl, 0x99
      mov cx, 0x9999
      mov edx, 0x99999999
      mov rsi, rdx
      mov sil, 0x77`);
    expect(s.register("rax")).toBe(0x1122334455669988n);
    expect(s.register("rbx")).toBe(0x1122334455667799n);
    expect(s.register("rcx")).toBe(0x1122334455669999n);
    expect(s.register("rdx")).toBe(0x99999999n);
    expect(s.register("rsi")).toBe(0x99999977n);
  });

  test("addresses: base, scaled index, displacement, RIP, FS and GS, 32-bit wrap", () => {
    cpu.write(0x20_0000, 8, 0x1111n);
    cpu.write(0x20_0128, 8, 0x2222n);
    cpu.write(0x20_0300, 8, 0x3333n);
    cpu.start(
      `
      mov ebx, 0x200000
      mov ecx, 0x20
      mov rax, [rbx]
      mov rdx, [rbx+rcx*8+0x28]
      mov rsi, [rip+value]
      mov rdi, fs:[0x300]
      mov r8, 0xffffffff00200000
      mov r9, [r8d]
      hlt
      value: dq 0x4444`.replace("[rip+value]", "[value]"),
    );
    cpu.state().setSegment("fs", { base: 0x20_0000n });
    cpu.run(100);
    const s = cpu.state();
    expect(s.register("rax")).toBe(0x1111n);
    expect(s.register("rdx")).toBe(0x2222n);
    expect(s.register("rsi")).toBe(0x4444n);
    expect(s.register("rdi")).toBe(0x3333n);
    expect(s.register("r9")).toBe(0x1111n);
  });

  test("32-bit code: segment bases add, a limit faults", () => {
    cpu.write(0x20_1000, 4, 0xabcd);
    cpu.start("mov eax, [0x1000]\nmov ebx, [0x2000]\nhlt", { bits: 32 });
    cpu.state().setSegment("ds", { base: 0x20_0000n, limit: 0x1fff });
    cpu.engine.run(0, 1);
    expect(cpu.state().register("rax")).toBe(0xabcdn);
    cpu.state().idtr = { base: 0n, limit: 0 };
    cpu.run(5);
    expect(cpu.state().activity).toBe(SHUTDOWN); // #GP, and no IDT to deliver it through
    cpu.engine.reset(0);
  });

  test("16-bit code: IP and addresses wrap at 64 KiB, 66h and 67h prefixes widen", () => {
    const s = run(
      `
      mov ax, 0xffff
      add ax, 2
      mov ebx, 0x12345678
      mov di, 0xfffe
      mov word ptr [di+4], 0x5a5a
      mov cx, [0x0002]`,
      16,
    );
    expect(s.register("rax") & 0xffffn).toBe(1n);
    expect(s.register("rbx")).toBe(0x12345678n);
    expect(s.register("rcx") & 0xffffn).toBe(0x5a5an);
  });

  // SDM vol. 2, ENTER: the operand size says what of the stack pointer goes to the frame pointer
  test("ENTER with a 16-bit operand changes BP alone, however wide the stack is", () => {
    for (const nesting of [0, 1]) {
      cpu.start([0x66, 0xc8, 0x10, 0, nesting, 0xf4], { rsp: 0x5_2000 });
      cpu.state().set({ rbp: 0x1234_5678_9abc_def0n });
      expect(cpu.run(10)).toBe(2);
      expect(cpu.read(0x5_1ffe, 2)).toBe(0xdef0n);
      expect(cpu.state().register("rbp")).toBe(0x1234_5678_9abc_1ffen);
      expect(cpu.state().register("rsp")).toBe(BigInt(0x5_1ffe - 2 * nesting - 0x10));
    }
    cpu.start([0xc8, 0x10, 0, 0, 0xf4], { rsp: 0x5_2000 });
    cpu.state().set({ rbp: 0x1234_5678_9abc_def0n });
    expect(cpu.run(10)).toBe(2);
    expect(cpu.state().register("rbp")).toBe(0x5_1ff8n);
  });

  test("real mode: far segments and the stack", () => {
    const s = run(
      `
      mov ax, 0x2000
      mov ds, ax
      mov ss, ax
      mov sp, 0x1000
      push 0x1234
      pop bx
      mov [0x10], bx`,
      16,
    );
    expect(s.register("rbx") & 0xffffn).toBe(0x1234n);
    expect(cpu.read(0x2_0010, 2)).toBe(0x1234n);
  });
});

// SDM vol. 3A, 6.6: a fault leaves the machine as it was
describe("precise faults", () => {
  test("a load from an absent page: #PF with its address, nothing changed", () => {
    cpu.start("mov rax, 7\nadd rax, [0x50ffc]\nhlt");
    smallPages();
    setEntry(0x51, 0n); // the operand crosses into it
    catches(14);
    cpu.run(10);
    expect(frame(true)).toMatchObject({ error: 0n, rip: BigInt(CODE + 7) });
    expect(cpu.state().register("cr2")).toBe(0x5_1000n);
    expect(cpu.state().register("rax")).toBe(7n);
  });

  test("a store that crosses into a read-only page writes neither page", () => {
    cpu.start("mov rax, -1\nmov [0x50ffc], rax\nhlt");
    smallPages();
    cpu.write(0x5_0ff8, 8, 0);
    cpu.write(0x5_1000, 8, 0);
    setEntry(0x51, 1n);
    catches(14);
    cpu.run(10);
    expect(frame(true).error).toBe(3n);
    expect(cpu.state().register("cr2")).toBe(0x5_1000n);
    expect(cpu.read(0x5_0ff8, 8)).toBe(0n);
    expect(cpu.read(0x5_1000, 8)).toBe(0n);
  });

  test("a read-modify-write faults as a write and leaves the flags", () => {
    cpu.start("stc\nadc qword ptr [0x51000], 0\nhlt");
    smallPages();
    cpu.write(0x5_1000, 8, -1n);
    setEntry(0x51, 1n);
    catches(14);
    cpu.run(10);
    expect(frame(true).error).toBe(3n);
    expect(frame(true).rflags & 1n).toBe(1n);
  });

  test("PUSH that faults leaves RSP", () => {
    cpu.start("push rax\nhlt", { rsp: 0x5_2000 });
    smallPages();
    setEntry(0x51, 0n);
    cpu.gate(14, HANDLER);
    cpu.gate(8, HANDLER);
    cpu.place(HANDLER, [0xf4]);
    cpu.run(10); // the handler's frame does not fit either: #DF, shutdown
    expect(cpu.state().activity).toBe(SHUTDOWN);
    expect(cpu.state().register("rsp")).toBe(0x5_2000n);
    expect(cpu.state().rip).toBe(BigInt(CODE));
    cpu.engine.reset(0);
  });

  // SDM vol. 1, 3.3.7.1: #GP(0), by the stack #SS(0)
  test("non-canonical: #GP(0), on the stack #SS(0)", () => {
    cpu.start("mov rax, 0x8000000000000000\nmov rbx, [rax]\nhlt");
    catches(13, 12);
    cpu.run(10);
    expect(frame(true)).toMatchObject({ error: 0n, rip: BigInt(CODE + 10) });
    cpu.start("mov rbp, 0x8000000000000000\nmov rbx, [rbp]\nhlt");
    cpu.gate(12, HANDLER + 0x100);
    cpu.place(HANDLER + 0x100, [0x90, 0xf4]);
    cpu.run(10);
    expect(cpu.state().rip).toBe(BigInt(HANDLER + 0x102));
  });

  // The same of what the microcode stores and loads.
  test.each([
    ["fnsave", [0xdd, 0x75, 0]],
    ["fnstenv", [0xd9, 0x75, 0]],
    ["fldenv", [0xd9, 0x65, 0]],
    ["frstor", [0xdd, 0x65, 0]],
    ["fxsave", [0x0f, 0xae, 0x45, 0]],
    ["fxrstor", [0x0f, 0xae, 0x4d, 0]],
    ["sgdt", [0x0f, 0x01, 0x45, 0]],
    ["fnsave, whose CS override is ignored", [0x2e, 0xdd, 0x75, 0]],
    ["xsave", [0x0f, 0xae, 0x65, 0]],
    ["xrstor", [0x0f, 0xae, 0x6d, 0]],
  ])("non-canonical, of %s by RBP: #SS(0), by RBX or FS #GP(0)", (_, byRbp) => {
    const byRbx = byRbp.map((b, i) => (i === byRbp.length - 2 ? b - 2 : b));
    for (const [vector, code] of [
      [12, byRbp],
      [13, byRbx],
      [13, [0x64, ...byRbp]],
    ] as const) {
      cpu.start([...code, 0xf4]);
      cpu.state().set({ cr4: cpu.state().register("cr4") | (1n << 18n) });
      cpu.state().set({ rbp: 0x8000_0000_0000_0000n, rbx: 0x8000_0000_0000_0000n, rax: 3, rdx: 0 });
      cpu.gate(12, HANDLER);
      cpu.gate(13, HANDLER + 0x10);
      cpu.place(HANDLER, [0xf4]);
      cpu.place(HANDLER + 0x10, [0xf4]);
      cpu.run(10);
      expect(cpu.state().rip).toBe(BigInt(vector === 12 ? HANDLER + 1 : HANDLER + 0x11));
      expect(frame(true)).toMatchObject({ error: 0n, rip: BigInt(CODE) });
    }
  });

  // SDM vol. 2, XCHG and PAUSE: PAUSE is F3 90; 90 with REX.B is XCHG of R8 and rAX, which no repeat prefix changes
  test("F3 before XCHG of R8 and rAX makes no PAUSE of it", () => {
    for (const [bytes, rax, r8] of [
      [[0xf3, 0x90], 1n, 2n],
      [[0xf3, 0x48, 0x90], 1n, 2n],
      [[0xf3, 0x41, 0x90], 2n, 1n],
      [[0xf2, 0xf3, 0x66, 0x49, 0x90], 2n, 1n],
      [[0x41, 0xf3, 0x90], 1n, 2n], // REX is the last prefix, or none
    ] as const) {
      cpu.start([...bytes, 0xf4]);
      cpu.state().set({ rax: 1, r8: 2 });
      expect(cpu.run(10)).toBe(2);
      expect([cpu.state().register("rax"), cpu.state().register("r8")], String(bytes)).toEqual([rax, r8]);
    }
  });

  test("#UD for what no processor knows, and LOCK where it is forbidden", () => {
    for (const bytes of [
      [0x0f, 0x0b],
      [0x0f, 0xff, 0xc0],
      [0xf0, 0x01, 0xc8], // lock add eax, ecx
      [0xf0, 0x8b, 0x03], // lock mov eax, [rbx]
      [0x06], // push es in 64-bit mode
    ]) {
      cpu.start([...bytes, 0xf4]);
      catches(6);
      cpu.run(10);
      expect(cpu.state().rip, String(bytes)).toBe(BigInt(HANDLER + 1));
      expect(frame(false).rip).toBe(BigInt(CODE));
    }
    expect(cpu.host.unimplementedSeen).toEqual([]);
  });

  test("an instruction without a row is #UD and says its name", () => {
    cpu.start([0xc5, 0xf8, 0x77, 0xf4]); // vzeroupper
    catches(6);
    cpu.run(10);
    expect(cpu.host.unimplementedSeen.pop()).toContain("VEX_Vzeroupper");
    expect(frame(false).rip).toBe(BigInt(CODE));
  });
});

describe("fetching", () => {
  test("15 bytes are an instruction, 16 are #GP(0)", () => {
    cpu.start([...new Array(14).fill(0x66), 0x90, 0xf4]);
    expect(cpu.run(10)).toBe(2);
    cpu.start([...new Array(15).fill(0x66), 0x90, 0xf4]);
    catches(13);
    cpu.run(10);
    expect(frame(true)).toMatchObject({ error: 0n, rip: BigInt(CODE) });
  });

  // SDM vol. 3A, 6.15, #UD and #GP: an instruction that does not exist is #UD, one of more than 15 bytes #GP
  test("15 bytes of what is no instruction are #UD, 16 are #GP(0)", () => {
    for (const [end, prefix] of [
      [[0xfe, 0xf8], 0x66], // FE /7
      [[0xf0, 0x0f, 0xbb, 0xe3], 0x2e], // lock btc ebx, esp
      [[0xf0, 0x81, 0xc0, 1, 0, 0, 0], 0x67], // lock add eax, 1
    ] as const) {
      const prefixes = new Array(15 - end.length).fill(prefix);
      cpu.start([...prefixes, ...end, 0xf4]);
      cpu.gate(6, HANDLER);
      cpu.gate(13, HANDLER + 0x10);
      cpu.place(HANDLER, [0xf4]);
      cpu.place(HANDLER + 0x10, [0xf4]);
      cpu.run(10);
      expect(cpu.state().rip, String(end)).toBe(BigInt(HANDLER + 1));
      expect(frame(false)).toMatchObject({ rip: BigInt(CODE) });
      cpu.start([prefix, ...prefixes, ...end, 0xf4]);
      cpu.run(10);
      expect(cpu.state().rip, String(end)).toBe(BigInt(HANDLER + 0x11));
      expect(frame(true)).toMatchObject({ error: 0n, rip: BigInt(CODE) });
    }
  });

  test("an instruction across pages whose second page is absent faults with that page's address", () => {
    const at = 0x5_0ffd;
    cpu.start("mov eax, 0x12345678\nhlt", { at });
    smallPages();
    setEntry(0x51, 0n);
    catches(14);
    cpu.run(10);
    expect(cpu.state().register("cr2")).toBe(0x5_1000n);
    expect(frame(true)).toMatchObject({ rip: BigInt(at) });
    // Mapped, it runs, and again from the cache; changed, the change is seen.
    cpu.start("mov eax, 0x12345678\nhlt", { at });
    expect(cpu.run(10)).toBe(2);
    expect(cpu.state().register("rax")).toBe(0x12345678n);
    cpu.setUp({ at });
    cpu.write(0x5_1000, 1, 0x99);
    cpu.run(10);
    expect(cpu.state().register("rax")).toBe(0x12995678n);
  });

  test("an instruction that ends with its page needs nothing of the next", () => {
    cpu.start("mov eax, 0x12345678", { at: 0x5_0ffb });
    smallPages();
    setEntry(0x51, 0n);
    catches(14);
    expect(cpu.engine.run(0, 1)).toBe(1);
    expect(cpu.state().register("rax")).toBe(0x12345678n);
    cpu.run(10);
    expect(frame(true).rip).toBe(0x5_1000n);
  });

  test("NX: fetching from a data page faults with bit 4", () => {
    cpu.start("mov eax, 0x51000\njmp rax");
    smallPages();
    setEntry(0x51, 3n | (1n << 63n));
    catches(14);
    cpu.run(10);
    expect(frame(true)).toMatchObject({ error: 0x11n, rip: 0x5_1000n });
  });

  // SDM vol. 1, 3.3.7.1: a jump's target
  test("a jump to a non-canonical address faults at the jump", () => {
    cpu.start("mov rax, 0x1000000000000000\njmp rax");
    catches(13);
    cpu.run(10);
    expect(frame(true).rip).toBe(BigInt(CODE + 10));
  });
});

describe("code that changes", () => {
  // SDM vol. 3A, 9.1.3: self-modifying and cross-modifying code
  test("its own next instruction", () => {
    cpu.start(`
      mov byte ptr [patched+1], 42
      patched: mov al, 1
      hlt`);
    cpu.run(10);
    expect(cpu.state().register("rax") & 0xffn).toBe(42n);
  });

  test("a loop that counts in its own immediate", () => {
    cpu.start(`
      xor ebx, ebx
      again:
      inc byte ptr [patched+1]
      patched: mov al, 0
      add bl, al
      cmp al, 10
      jne again
      hlt`);
    cpu.run(1000);
    expect(cpu.state().register("rbx")).toBe(55n);
  });

  // SDM vol. 3A, 9.1.3: self-modifying and cross-modifying code
  test("another core's code, within one loop round", () => {
    cpu.start("again: mov al, 1\njmp again");
    cpu.engine.run(0, 101);
    cpu.place(0x6_0000, `mov byte ptr [${CODE + 1}], 9\nhlt`);
    cpu.setUp({ core: 1, at: 0x6_0000, rsp: 0x6_8000 });
    cpu.run(10, 1);
    cpu.engine.run(0, 4);
    expect(cpu.state().register("rax") & 0xffn).toBe(9n);
  });

  test("device memory writes, announced by written()", () => {
    cpu.start("again: mov al, 1\njmp again");
    cpu.engine.run(0, 101);
    cpu.ram[CODE + 1] = 7;
    cpu.engine.written(CODE + 1, 1);
    cpu.engine.run(0, 4);
    expect(cpu.state().register("rax") & 0xffn).toBe(7n);
  });

  test("a page remapped under the same address, after INVLPG", () => {
    cpu.start(`
      call 0x51000
      mov ebx, eax
      mov dword ptr [0x70288], 0x52007
      invlpg [0x51000]
      call 0x51000
      hlt`);
    smallPages();
    cpu.place(0x5_1000, "mov eax, 1\nret");
    cpu.place(0x5_2000, "mov eax, 2\nret");
    cpu.run(100);
    expect(cpu.state().register("rbx")).toBe(1n);
    expect(cpu.state().register("rax")).toBe(2n);
  });
});

describe("single steps", () => {
  // SDM vol. 3B, 18.3.1.4: TF: a trap after each instruction that began with it
  test("TF traps after each instruction with DR6.BS", () => {
    cpu.start("nop\nmov eax, 5\nhlt");
    catches(1);
    cpu.state().rflags = 0x102;
    cpu.run(10);
    expect(frame(false).rip).toBe(BigInt(CODE + 1));
    expect(cpu.state().dr(6) & 0x4000n).toBe(0x4000n);
    expect(frame(false).rflags & 0x100n).toBe(0x100n);
    expect(cpu.state().rflags & 0x100n).toBe(0n);
  });

  // SDM vol. 3B, 18.3.1.4: TF: a trap after each instruction that began with it
  test("POPF that sets TF traps after the next instruction; one that clears it still traps", () => {
    cpu.start("mov eax, 0x102\npush rax\npopfq\nnop\nnop\nhlt");
    catches(1);
    cpu.run(20);
    expect(frame(false).rip).toBe(BigInt(CODE + 5 + 1 + 1 + 1));
    cpu.start("popfq\nnop\nhlt");
    cpu.write(STACK_TOP, 8, 2n);
    catches(1);
    cpu.state().rflags = 0x102;
    cpu.run(20);
    expect(frame(false).rip).toBe(BigInt(CODE + 1));
  });

  // SDM vol. 3A, 6.8.3: MOV SS and POP SS hold off all but faults, for one instruction
  test("MOV SS holds the trap off for one instruction", () => {
    cpu.start([0x8e, 0xd0, 0x90, 0x90, 0xf4]); // mov ss, eax
    catches(1);
    cpu.state().set({ rax: 0x10 });
    cpu.state().rflags = 0x102;
    cpu.run(20);
    expect(frame(false).rip).toBe(BigInt(CODE + 3));
  });

  test("a repeated string instruction traps after each iteration", () => {
    cpu.start("rep stosb\nhlt");
    catches(1);
    cpu.state().set({ rcx: 5, rdi: 0x20_0000 });
    cpu.state().rflags = 0x102;
    cpu.run(1);
    cpu.run(1);
    expect(frame(false).rip).toBe(BigInt(CODE));
    expect(cpu.state().register("rcx")).toBe(4n);
  });
});

describe("interrupts", () => {
  const raise = (core = 0) => {
    cpu.hosts[core].interrupts.push(0x40);
    cpu.attend(core, 1);
  };
  test("taken at a boundary when IF is set, kept while it is clear", () => {
    cpu.start("nop\nnop\nsti\nnop\nnop\nhlt");
    catches(0x40);
    raise();
    expect(cpu.engine.run(0, 3)).toBe(3);
    expect(cpu.state().rip).toBe(BigInt(CODE + 3)); // in the shadow of STI
    cpu.run(10);
    expect(frame(false).rip).toBe(BigInt(CODE + 4));
  });

  // SDM vol. 2, STI: STI holds off interrupts for one instruction
  test("STI; HLT sleeps until the interrupt, which returns behind HLT", () => {
    cpu.start("sti\nhlt\nmov eax, 1\nhlt");
    cpu.gate(0x40, HANDLER);
    cpu.place(HANDLER, "iretq");
    cpu.run(10);
    expect(cpu.state().activity).toBe(HALTED);
    expect(cpu.engine.runnable(0)).toBe(false);
    raise();
    expect(cpu.engine.runnable(0)).toBe(true);
    cpu.run(10);
    expect(cpu.state().register("rax")).toBe(1n);
  });

  // SDM vol. 2, REP: REP goes on where it was interrupted or faulted
  test("a repeated string instruction is interrupted between iterations and goes on", () => {
    cpu.start("rep stosb\nhlt");
    cpu.gate(0x40, HANDLER);
    cpu.place(HANDLER, "mov edx, ecx\niretq");
    cpu.state().set({ rcx: 1000, rdi: 0x20_0000, rax: 0x5a });
    cpu.state().rflags = 0x202;
    cpu.engine.run(0, 300);
    expect(cpu.state().rip).toBe(BigInt(CODE));
    expect(cpu.state().register("rcx")).toBe(700n);
    raise();
    expect(cpu.run(5000)).toBe(2 + 700 + 1);
    expect(cpu.state().register("rdx")).toBe(700n);
    expect(cpu.ram.subarray(0x20_0000, 0x20_03e8).every((b) => b === 0x5a)).toBe(true);
    expect(cpu.ram[0x20_03e8]).not.toBe(0x5a);
  });

  // SDM vol. 3A, 6.7.1: NMI blocks NMI until IRET, whatever comes of that
  test("NMI goes through IF but not into its own handler until IRET", () => {
    cpu.start("nop\nnop\nnop\nhlt");
    cpu.gate(2, HANDLER);
    cpu.place(HANDLER, "inc ebx\nnop\nnop\niretq");
    cpu.state().set({ rbx: 0 });
    cpu.attend(0, 2);
    cpu.engine.run(0, 2);
    cpu.attend(0, 2);
    cpu.engine.run(0, 1);
    expect(cpu.state().register("rbx")).toBe(1n);
    cpu.run(100);
    expect(cpu.state().register("rbx")).toBe(2n);
  });
});

describe("data beside code", () => {
  test("stores to other lines of a code page leave its code decoded", () => {
    cpu.start(`
      mov ecx, 1000
      again: inc dword ptr [${CODE + 0x800}]
      dec ecx
      jnz again
      hlt`);
    cpu.write(CODE + 0x800, 4, 0);
    const word = () => new Uint32Array(cpu.memory.buffer)[CODE_GENERATIONS / 4 + CODE / 4096];
    cpu.engine.run(0, 4);
    const before = word();
    cpu.run(10_000);
    expect(cpu.read(CODE + 0x800, 4)).toBe(1000n);
    expect(word()).toBe(before);
    cpu.place(CODE, "hlt");
    expect(word()).not.toBe(before);
  });
});
