// The system rows as instructions: from reset to 64-bit mode and ring 3 by a program of the guest's own, and each row
// once with its operands. What microcode decides in detail is in modes, exceptions and system tests.

import { beforeAll, describe, expect, test } from "vitest";
import { assemble, assembleWithLabels } from "../../emulator/assembler.js";
import { cpuid } from "../../emulator/cpu/cpuid.js";
import { HALTED } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, GDT, PAGE_TABLES, STACK_TOP, selectors, TSS } from "../support/cpu.js";

const HANDLER = 0x3_0000;
let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

/** Runs a program to its HLT; gives the state. */
function run(program: string, bits: 64 | 32 | 16 = 64, budget = 1000) {
  cpu.start(program, { bits });
  cpu.run(budget);
  const s = cpu.state();
  if (s.activity !== HALTED) throw new Error(`not halted: rip ${s.rip.toString(16)}`);
  return s;
}
/** Runs a program that raises `vector`; gives its error code and saved RIP. */
function faultOf(program: string, vector: number, hasError: boolean) {
  cpu.place(HANDLER, "hlt");
  cpu.start(program);
  cpu.gate(vector, HANDLER);
  cpu.run(1000);
  const s = cpu.state();
  if (s.rip !== BigInt(HANDLER + 1)) throw new Error(`no fault ${vector}: rip ${s.rip.toString(16)}`);
  const rsp = Number(s.register("rsp"));
  return { error: hasError ? cpu.read(rsp, 8) : undefined, rip: cpu.read(rsp + (hasError ? 8 : 0), 8) };
}

describe("from reset", () => {
  test("a program climbs through real and protected mode to 64-bit code, ring 3 and back by SYSCALL", async () => {
    const rom = new Uint8Array(0x1_0000);
    const at = (offset: number, text: string, bits: 64 | 32 | 16) =>
      rom.set(assemble(text, { bits, origin: 0xf_0000 + offset }), offset);
    // FFFF:FFF0 is at F000:FFF0 with a base of 4 GiB - 64 KiB; the far jump brings the base below 1 MiB
    at(0xfff0, "jmp 0xf000:0x1000", 16);
    rom.set(
      assemble(
        `cli
         xor ax, ax
         mov ds, ax
         mov ss, ax
         mov sp, 0x7000
         lgdt [cs:0x2100]
         mov eax, cr0
         or al, 1
         mov cr0, eax
         db 0x66, 0xea ; jmp far with a 32-bit offset
         dd 0xf1200
         dw 8`,
        { bits: 16, origin: 0x1000 },
      ),
      0x1000,
    );
    at(
      0x1200,
      `mov ax, 0x10
       mov ds, ax
       mov es, ax
       mov ss, ax
       mov esp, 0x7000
       mov dword ptr [0x10000], 0x11003
       mov dword ptr [0x11000], 0x12003
       mov dword ptr [0x12000], 0x83
       mov dword ptr [0x10004], 0
       mov eax, cr4
       or eax, 0x20
       mov cr4, eax
       mov eax, 0x10000
       mov cr3, eax
       mov ecx, 0xc0000080
       rdmsr
       or eax, 0x101
       wrmsr
       mov eax, cr0
       or eax, 0x80000000
       mov cr0, eax
       jmp 0x18:0xf1400`,
      32,
    );
    at(
      0x1400,
      `or dword ptr [0x10000], 4
       or dword ptr [0x11000], 4
       or dword ptr [0x12000], 4
       mov rax, cr3
       mov cr3, rax
       mov ecx, 0xc0000081
       mov edx, 0x00200018
       xor eax, eax
       wrmsr
       mov ecx, 0xc0000082
       xor edx, edx
       mov eax, 0xf1600
       wrmsr
       mov ecx, 0xc0000084
       mov eax, 0x200
       wrmsr
       mov rcx, 0xf1700
       mov r11, 0x202
       sysretq`,
      64,
    );
    at(0x1600, "mov rbx, rcx;; mov bp, cs;; hlt", 64);
    at(0x1700, "mov ax, cs;; mov dx, ss;; syscall;; ud2", 64);
    const view = new DataView(rom.buffer);
    const gdt = [
      0n,
      0x00cf_9a00_0000_ffffn, // 08 code 32
      0x00cf_9200_0000_ffffn, // 10 data
      0x00af_9a00_0000_ffffn, // 18 code 64
      0x00cf_9200_0000_ffffn, // 20 data
    ];
    gdt.forEach((d, i) => {
      view.setBigUint64(0x2000 + 8 * i, d, true);
    });
    view.setUint16(0x2100, gdt.length * 8 - 1, true);
    view.setUint32(0x2102, 0x2000 + 0xf_0000, true);

    const machine = await Cpu.create({ rom });
    machine.run(500);
    const s = machine.state();
    expect(s.activity).toBe(HALTED);
    expect([s.rip, s.cpl]).toEqual([
      0xf_1600n + BigInt(assemble("mov rbx, rcx;; mov bp, cs;; hlt").length),
      0,
    ]);
    // 20: SYSRET's base: CS 30|3, SS 28 in ring 3; SYSCALL's: 18, 20
    expect(s.register("rax") & 0xffffn).toBe(0x33n);
    expect(s.register("rdx") & 0xffffn).toBe(0x28n);
    expect(s.register("rbp") & 0xffffn).toBe(0x18n);
    expect(s.register("rbx")).toBe(0xf_1700n + BigInt(assemble("mov ax, cs;; mov dx, ss;; syscall").length));
  });
});

describe("control, debug and table registers", () => {
  test("LOCK MOV CR0 is MOV CR8 outside 64-bit mode (APM vol. 3, MOV CRn)", () => {
    for (const bits of [32, 16] as const) {
      cpu.host.taskPriority = 0;
      const s = run("mov eax, 5;; db 0xf0, 0x0f, 0x22, 0xc0;; db 0xf0, 0x0f, 0x20, 0xc2;; hlt", bits);
      expect([bits, cpu.host.taskPriority, s.register("rdx") & 0xffff_ffffn]).toEqual([bits, 5, 5n]);
    }
    cpu.host.taskPriority = 0;
    expect(cpuid(0x8000_0001, 0, { core: 0, cores: 1, apicEnabled: true })[2] & 0x10).toBe(0x10);
  });
  test("MOV to and from CR0, CR2, CR3, CR4, CR8; SMSW, LMSW, CLTS", () => {
    const s = run(`
      mov rax, 0x1234567890
      mov cr2, rax
      mov rbx, cr2
      mov eax, 5
      mov cr8, rax
      mov rcx, cr8
      mov ax, 0x3b
      lmsw ax
      smsw edx
      clts
      smsw r8
      mov rsi, cr3
      mov rdi, cr4
      hlt`);
    expect(s.register("rbx")).toBe(0x12_3456_7890n);
    expect(s.register("rcx")).toBe(5n);
    expect(s.register("rdx")).toBe(0x8001_003bn);
    expect(s.register("r8")).toBe(0x8001_0033n);
    expect(s.register("rsi")).toBe(s.register("cr3"));
    expect(s.register("rdi")).toBe(s.register("cr4"));
  });
  test("MOV to and from debug registers", () => {
    const s = run("mov rax, 0x123456;; mov dr0, rax;; mov rbx, dr0;; mov rcx, dr6;; mov rdx, dr7;; hlt");
    expect([s.register("rbx"), s.register("rcx"), s.register("rdx")]).toEqual([
      0x12_3456n,
      s.register("rcx"),
      s.register("rdx"),
    ]);
  });
  test("SGDT, SIDT, LGDT, LIDT", () => {
    const s = run(`
      sgdt [0x20000]
      db 0x0f, 0x01, 0x0c, 0x25;; dd 0x20010
      mov word ptr [0x20020], 0x123
      mov rax, 0xffff800000001000
      mov [0x20022], rax
      lidt [0x20020]
      mov word ptr [0x20020], 0x77
      lgdt [0x20020]
      hlt`);
    expect([cpu.read(0x2_0000, 2), cpu.read(0x2_0002, 8)]).toEqual([0x47n, BigInt(GDT)]);
    expect(cpu.read(0x2_0010, 2)).toBe(0xfffn);
    expect(s.idtr).toEqual({ base: 0xffff_8000_0000_1000n, limit: 0x123 });
    expect(s.gdtr).toEqual({ base: 0xffff_8000_0000_1000n, limit: 0x77 });
  });
  test("a 16-bit LGDT takes 24 bits of the base", () => {
    cpu.write(0x2_0020, 2, 0xffff);
    cpu.write(0x2_0022, 4, 0xff12_3456);
    const s = run("mov ax, 0x2000;; mov ds, ax;; lgdt [0x20];; hlt", 16);
    expect(s.gdtr.base).toBe(0x12_3456n);
  });
  // SDM vol. 3A, 5.9: privileged instructions
  test("privileged instructions are #GP(0) in ring 3", () => {
    for (const what of [
      "mov rax, cr0",
      "mov cr3, rax",
      "mov rax, dr7",
      "hlt",
      "lgdt [0]",
      "lmsw ax",
      "clts",
      "invlpg [0]",
      "wbinvd",
      "rdmsr",
      "wrmsr",
      "swapgs",
      "ltr ax",
      "lldt ax",
      "sysretq",
    ]) {
      // biome-ignore format: a list
      const program = `
        push ${selectors.user}
        push 0x60000
        push 2
        push ${selectors.userCode}
        lea rax, [user]
        push rax
        iretq
        user: ${what}
        ud2`;
      if (what === "sysretq") {
        cpu.start(program);
        cpu.place(HANDLER, "hlt");
      }
      const { error, rip } = faultOf(program, 13, true);
      expect([what, error]).toEqual([what, 0n]);
      const user = CODE + assemble(program, { origin: CODE }).length - 2 - assemble(what).length;
      expect([what, rip]).toEqual([what, BigInt(user)]);
    }
  });
});

describe("segments", () => {
  test("MOV, PUSH and POP; a load to CS does not exist", () => {
    const s = run(`
      mov eax, ${selectors.data}
      mov fs, ax
      push fs
      pop gs
      mov ecx, 0xffffffff
      mov cx, gs
      mov rdx, gs
      mov word ptr [0x20000], ds
      xor eax, eax
      mov es, ax
      hlt`);
    expect(s.register("rcx")).toBe(0xffff_0000n + BigInt(selectors.data));
    expect(s.register("rdx")).toBe(BigInt(selectors.data));
    expect(cpu.read(0x2_0000, 2)).toBe(BigInt(selectors.data));
    expect(s.segment("es").attributes).toBe(0);
    expect(faultOf("db 0x8e, 0xc8", 6, false).rip).toBe(BigInt(CODE));
  });
  test("LSS, LFS and LGS take offset and selector; LDS and LES outside 64-bit mode", () => {
    const s = run(`
      mov dword ptr [0x20000], 0x12345678
      mov word ptr [0x20004], ${selectors.data}
      lfs eax, [0x20000]
      lss ecx, [0x20000]
      hlt`);
    expect([s.register("rax"), s.register("rcx"), s.segment("fs").selector]).toEqual([
      0x1234_5678n,
      0x1234_5678n,
      selectors.data,
    ]);
    const legacy = run(
      `
      mov dword ptr [0x20000], 0x87654321
      mov word ptr [0x20004], ${selectors.data}
      les ebx, [0x20000]
      lds edx, [0x20000]
      hlt`,
      32,
    );
    expect([legacy.register("rbx"), legacy.register("rdx")]).toEqual([0x8765_4321n, 0x8765_4321n]);
  });
  test("STR, SLDT, LLDT, LAR, LSL, VERR, VERW", () => {
    const s = run(
      `
      str ax
      mov ebx, -1
      lldt bx
      hlt`.replace("mov ebx, -1", "xor ebx, ebx"),
    );
    expect(s.register("rax") & 0xffffn).toBe(BigInt(selectors.tss));
    const questions = run(`
      mov ebp, ${selectors.user}
      mov edi, 0x123
      lar eax, ebp
      setz r8b
      lsl ecx, ebp
      verr bp
      setz r9b
      verw bp
      setz r10b
      lar edi, edi
      setz r11b
      sldt edx
      hlt`);
    expect([questions.register("rax"), questions.register("rcx")]).toEqual([
      0xcf_f300n & 0xff_ff00n,
      0xffff_ffffn,
    ]);
    const set = ["r8", "r9", "r10", "r11"].map((r) => questions.register(r as "r8") & 255n);
    expect(set).toEqual([1n, 1n, 1n, 0n]);
    expect([questions.register("rdi"), questions.register("rdx")]).toEqual([0x123n, 0n]);
  });
  test("LTR loads the TSS's base", () => {
    cpu.start("mov ax, 0x38;; ltr ax;; hlt");
    cpu.write(GDT + 0x38 + 5, 1, 0x89);
    cpu.run(10);
    expect([cpu.state().activity, cpu.state().segment("tr").base]).toEqual([HALTED, BigInt(TSS)]);
    expect(cpu.read(GDT + 0x3d, 1)).toBe(0x8bn);
  });
  test("ARPL raises the RPL", () => {
    const s = run("mov eax, 0x10;; mov ecx, 3;; arpl ax, cx;; setz dl;; arpl ax, cx;; setz dh;; hlt", 32);
    expect([s.register("rax"), s.register("rdx") & 0xffffn]).toEqual([0x13n, 1n]);
  });
});

describe("transfers", () => {
  test("far JMP and CALL through memory, RETF with parameters", () => {
    const s = run(
      `
      mov dword ptr [0x20000], ${CODE + 0x100}
      mov word ptr [0x20004], ${selectors.code}
      push 0x77
      call far ptr [0x20000]
      hlt
      align 256
      mov rbx, rsp
      retf 8`
        .replace("call far ptr [0x20000]", "db 0xff, 0x1c, 0x25, 0, 0, 2, 0")
        .replace("retf 8", "db 0xca, 8, 0"),
    );
    expect([s.register("rbx"), s.register("rsp")]).toEqual([BigInt(STACK_TOP - 16), BigInt(STACK_TOP)]);
  });
  test("a far pointer in the instruction leads from 32-bit to 16-bit code", () => {
    const at = 0x7000;
    cpu.start(`jmp ${selectors.code16}:next;; next: db 0xb8, 0x34, 0x12, 0xf4`, { bits: 32, at });
    cpu.run(10);
    const s = cpu.state();
    expect([s.activity, s.register("rax") & 0xffffn]).toEqual([HALTED, 0x1234n]);
    expect(s.segment("cs").selector).toBe(selectors.code16);
  });
  test("INT n, INT3 and IRETQ come back behind the instruction; INTO in 32-bit code", () => {
    cpu.place(HANDLER, "inc ebx;; iretq");
    cpu.start("xor ebx, ebx;; int 0x55;; int3;; hlt");
    cpu.gate(0x55, HANDLER);
    cpu.gate(3, HANDLER);
    cpu.run(50);
    expect([cpu.state().activity, cpu.state().register("rbx")]).toEqual([HALTED, 2n]);
  });
  test("INTO goes on when OF is clear", () => {
    expect(run("xor eax, eax;; into;; mov al, 7;; hlt", 32).register("rax")).toBe(7n);
  });
  test("SWAPGS, SYSENTER's MSRs, RDTSCP and CPUID", () => {
    cpu.host.now = 77;
    const s = run(`
      mov ecx, 0xc0000102
      mov eax, 0x1000
      mov edx, 0xffff8000
      wrmsr
      swapgs
      mov ecx, 0xc0000101
      rdmsr
      mov esi, edx
      mov ecx, 0xc0000103
      mov eax, 42
      xor edx, edx
      wrmsr
      rdtscp
      mov edi, ecx
      mov eax, 5
      mov ecx, 6
      cpuid
      hlt`);
    expect([s.register("rsi"), s.register("rdi")]).toEqual([0xffff_8000n, 42n]);
    expect([s.register("rax"), s.register("rbx")]).toEqual([5n, 6n]);
    expect(s.segment("gs").base).toBe(0xffff_8000_0000_1000n);
  });
});

describe("ports and processor state", () => {
  test("IN and OUT by immediate and DX, in three widths", () => {
    cpu.host.portsWritten.length = 0;
    cpu.host.portAnswer = 0x1234_5678;
    const s = run(`
      mov rax, -1
      mov edx, 0x3f8
      in al, 0x60
      mov rbx, rax
      in ax, dx
      mov rcx, rax
      in eax, dx
      out dx, al
      out 0x80, ax
      out dx, eax
      hlt`);
    expect(s.register("rbx")).toBe(0xffff_ffff_ffff_ff78n);
    expect(s.register("rcx")).toBe(0xffff_ffff_ffff_5678n);
    expect(s.register("rax")).toBe(0x1234_5678n);
    expect(cpu.host.portsWritten).toEqual([
      { port: 0x3f8, bytes: 1, value: 0x78 },
      { port: 0x80, bytes: 2, value: 0x5678 },
      { port: 0x3f8, bytes: 4, value: 0x1234_5678 },
    ]);
  });
  test("FXSAVE64 and FXRSTOR64, LDMXCSR, STMXCSR, FNINIT, FNSTCW, FLDCW, FNSTSW", () => {
    const s = run(`
      fninit
      fnstcw [0x20300]
      mov word ptr [0x20302], 0x27f
      fldcw [0x20302]
      fnstsw ax
      mov dword ptr [0x20304], 0x5f80
      ldmxcsr [0x20304]
      mov ecx, 0x55
      movd xmm9, ecx
      fxsave64 [0x20000]
      pxor xmm9, xmm9
      fninit
      mov dword ptr [0x20304], 0x1f80
      ldmxcsr [0x20304]
      fxrstor64 [0x20000]
      stmxcsr [0x20308]
      movd edx, xmm9
      fnstcw [0x2030c]
      hlt`);
    expect(cpu.read(0x2_0300, 2)).toBe(0x37fn);
    expect([s.register("rdx"), cpu.read(0x2_0308, 4), cpu.read(0x2_030c, 2)]).toEqual([
      0x55n,
      0x5f80n,
      0x27fn,
    ]);
    const bad = "mov dword ptr [0x20304], 0x10000;; ldmxcsr [0x20304]";
    expect(faultOf(bad, 13, true).error).toBe(0n);
  });
  // SDM vol. 1, 8.1.3: ES and B say whether a flagged exception is unmasked; reserved bits are what FLDCW makes of them
  test.each([
    ["fxrstor64", "fxrstor64 [0x20000]", ""],
    [
      "xrstor64",
      "mov eax, 1;; xor edx, edx;; xrstor64 [0x20000]",
      "mov rax, cr4;; or eax, 0x40000;; mov cr4, rax",
    ],
    ["frstor", "db 0xdd, 0x24, 0x25, 0, 0, 2, 0", ""], // FRSTOR [0x20000], whose words are 32 bits long
  ])("x87's control and status words as %s leaves them", (name, restore, first) => {
    for (const [control, status, controlLeft, statusLeft] of [
      [0xef3f, 0xb783, 0x0f7f, 0x3703], // nothing is unmasked
      [0x5b36, 0x0c75, 0x1b76, 0x8cf5], // invalid operation and precision's kin are, and flagged
      [0x0000, 0x8080, 0x0040, 0x0000],
      [0x037e, 0x0041, 0x037e, 0x80c1],
    ] as const) {
      cpu.start(`fninit
        ${first}
        ${restore}
        fnstcw [0x20300]
        fnstsw ax
        hlt`);
      for (let at = 0x2_0000; at < 0x2_0240; at += 8) cpu.write(at, 8, 0n);
      cpu.write(0x2_0000, 2, BigInt(control));
      cpu.write(0x2_0000 + (name === "frstor" ? 4 : 2), 2, BigInt(status));
      cpu.write(0x2_0200, 8, 1n); // of XRSTOR: the x87 state is there
      cpu.run(100);
      const left = [cpu.read(0x2_0300, 2), cpu.state().register("rax") & 0xffffn];
      expect(left).toEqual([BigInt(controlLeft), BigInt(statusLeft)]);
    }
    cpu.start("fninit;; hlt");
    cpu.run(10);
  });
  // SDM vol. 3A, 4.6.1: write protection, SMEP, SMAP with AC
  test("SMAP: STAC opens user pages, CLAC closes them", () => {
    const open = `
      mov rax, cr4
      or eax, 0x200000
      mov cr4, rax
      stac
      mov rbx, [0x200000]
      clac`;
    const program = `${open};; mov rbx, [0x200000]`;
    cpu.place(HANDLER, "hlt");
    cpu.start(program);
    cpu.gate(14, HANDLER);
    cpu.write(PAGE_TABLES + 0x2000, 8, 0x83n); // the first 2 MiB are the supervisor's
    cpu.write(0x20_0000, 8, 0x1122n);
    cpu.run(100);
    expect(cpu.state().rip).toBe(BigInt(HANDLER + 1));
    const rsp = Number(cpu.state().register("rsp"));
    expect(cpu.read(rsp, 8)).toBe(1n);
    expect(cpu.read(rsp + 8, 8)).toBe(BigInt(CODE + assemble(open, { origin: CODE }).length));
    expect(cpu.state().register("rbx")).toBe(0x1122n);
  });

  // SDM vol. 3A, 6.15: alignment checks
  test("alignment checking: ring 3 with CR0.AM and AC, for loads, stores and pushes", () => {
    const alignmentCheck = 0x4_0002;
    const inRing3 = (what: string, flags = alignmentCheck, am = 0x4_0000) => `
      mov rax, cr0
      or eax, ${am}
      mov cr0, rax
      push ${selectors.user}
      lea rax, [0x60000]
      push rax
      mov rax, ${flags}
      push rax
      push ${selectors.userCode}
      lea rax, [user]
      push rax
      iretq
      user: ${what}
      ud2`;
    const vectorOf = (program: string) => {
      cpu.start(program);
      const vectors = [6, 14, 17];
      for (const vector of vectors) {
        cpu.place(HANDLER + vector * 16, "hlt");
        cpu.gate(vector, HANDLER + vector * 16);
      }
      cpu.run(200);
      return vectors.find((v) => cpu.state().rip === BigInt(HANDLER + v * 16 + 1));
    };
    const ok = 6; // it came to UD2
    expect(vectorOf(inRing3("mov eax, [0x20001]"))).toBe(17);
    expect(cpu.read(Number(cpu.state().register("rsp")), 8)).toBe(0n);
    expect(vectorOf(inRing3("mov [0x20001], ax"))).toBe(17);
    expect(vectorOf(inRing3("add qword ptr [0x20004], 1"))).toBe(17);
    expect(vectorOf(inRing3("lock add dword ptr [0x20002], 1"))).toBe(17);
    expect(vectorOf(inRing3("dec rsp;; push rax"))).toBe(17);
    // Loads of 16 bytes, the x87 environment, tables' pseudo-descriptors, and a far return (SDM vol. 3A, table 6-7)
    expect(vectorOf(inRing3("movups xmm0, [0x20008]"))).toBe(17);
    expect(vectorOf(inRing3("movups [0x20008], xmm0;; nop"))).toBe(17);
    expect(vectorOf(inRing3("db 0xd9, 0x34, 0x25;; dd 0x20002"))).toBe(17);
    expect(vectorOf(inRing3("db 0x0f, 0x01, 0x0c, 0x25;; dd 0x20000"))).toBe(17);
    expect(vectorOf(inRing3("dec rsp;; retf"))).toBe(17);
    expect(
      vectorOf(
        inRing3(
          "db 0xd9, 0x34, 0x25;; dd 0x20004;; db 0x0f, 0x01, 0x0c, 0x25;; dd 0x20006;; movups xmm0, [0x20010]",
        ),
      ),
    ).toBe(ok);
    expect(
      vectorOf(inRing3("mov al, [0x20001];; mov rcx, [0x20008];; lock inc qword ptr [0x20010];; push rax")),
    ).toBe(ok);
    expect(vectorOf(inRing3("mov eax, [0x20001]", 2))).toBe(ok);
    expect(vectorOf(inRing3("mov eax, [0x20001]", alignmentCheck, 0))).toBe(ok);
    // Clearing AC turns it off at once
    const off = "pushfq;; and dword ptr [rsp], 0x3ffff;; popfq;; mov eax, [0x20001]";
    expect(vectorOf(inRing3(off))).toBe(ok);
  });
});

describe("breakpoints", () => {
  /**
   * Runs `what` with DR0 at an address or label and DR7 as given; every #DB appends its saved RIP and DR6 to a list, and sets RF to
   * go on. Gives that list and the labels' addresses.
   */
  function trapsOf(dr0: string, dr7: number, what: string, flags = 2) {
    const program = `
      mov rax, cr4
      or eax, 8
      mov cr4, rax
      lea r8, [0x20000]
      lea rax, [${dr0}]
      mov dr0, rax
      mov eax, 0xffff0ff0
      mov dr6, rax
      mov rax, ${flags}
      push rax
      mov rax, ${dr7}
      mov dr7, rax
      popfq
      start: ${what}
      xor eax, eax
      mov dr7, rax
      push 2
      popfq
      hlt`;
    cpu.place(
      HANDLER,
      `push rax
       mov rax, [rsp+8]
       mov [r8], rax
       mov rax, dr6
       mov [r8+8], rax
       mov eax, 0xffff0ff0
       mov dr6, rax
       add r8, 16
       or dword ptr [rsp+24], 0x10000
       pop rax
       iretq`,
    );
    cpu.start(program);
    cpu.gate(1, HANDLER);
    cpu.run(500);
    expect(cpu.state().activity).toBe(HALTED);
    const end = Number(cpu.state().register("r8"));
    const traps: { at: string; dr6: number }[] = [];
    const names = new Map(
      [...assembleWithLabels(program, { origin: CODE }).labels].map(([name, at]) => [at, name]),
    );
    for (let at = 0x2_0000; at < end; at += 16) {
      const rip = cpu.read(at, 8);
      traps.push({ at: names.get(rip) ?? rip.toString(16), dr6: Number(cpu.read(at + 8, 8)) & 0xe00f });
    }
    return traps;
  }
  const LOCAL = 1;
  const ON_WRITE = 1 << 16;
  const ON_PORT = 2 << 16;
  const ON_ACCESS = 3 << 16;
  const FOUR_BYTES = 3 << 18;
  const EIGHT_BYTES = 2 << 18;

  // SDM vol. 3B, 18.3.1.1: an instruction breakpoint is a fault before its instruction, and RF lets it go on
  test("an instruction breakpoint comes before its instruction, once with RF set by the handler", () => {
    const loop = "mov ecx, 3;; again: nop;; here: inc ebx;; dec ecx;; jnz again";
    expect(trapsOf("here", LOCAL, loop)).toEqual([
      { at: "here", dr6: 1 },
      { at: "here", dr6: 1 },
      { at: "here", dr6: 1 },
    ]);
  });
  // SDM vol. 3B, 18.3.1.2: a data breakpoint is a trap after the access
  test("a data breakpoint comes after the access, for writes or for both, by length", () => {
    const touch = `
      mov rax, [0x21000]
      one: mov [0x21003], al
      two: mov word ptr [0x20fff], 5
      three: mov dword ptr [0x21004], 0
      four: lock inc dword ptr [0x21000]
      five: nop`;
    expect(trapsOf("0x21000", LOCAL | ON_WRITE | FOUR_BYTES, touch)).toEqual([
      { at: "two", dr6: 1 },
      { at: "three", dr6: 1 },
      { at: "five", dr6: 1 },
    ]);
    expect(trapsOf("0x21000", LOCAL | ON_ACCESS | EIGHT_BYTES, touch).map(({ at }) => at)).toEqual([
      "one",
      "two",
      "three",
      "four",
      "five",
    ]);
    expect(trapsOf("0x21001", LOCAL | ON_WRITE, touch)).toEqual([{ at: "five", dr6: 1 }]);
  });
  // SDM vol. 3B, 18.3.1.2: a data breakpoint is a trap after the access
  test("each iteration of a repeated string instruction traps", () => {
    const fill = "cld;; xor eax, eax;; lea rdi, [0x21000];; mov ecx, 4;; fill: rep stosb;; after: nop";
    expect(trapsOf("0x21002", LOCAL | ON_WRITE, fill)).toEqual([{ at: "fill", dr6: 1 }]);
  });
  // SDM vol. 3B, 18.3.1.2: I/O breakpoints, with CR4.DE
  test("ports, with CR4.DE", () => {
    expect(trapsOf("0x80", LOCAL | ON_PORT, "out 0x81, al;; out 0x80, al;; next: nop")).toEqual([
      { at: "next", dr6: 1 },
    ]);
  });
  // APM vol. 2, 13.1.1.3: DR6: what the exception sets, what stays
  test("a single step and a data breakpoint are one trap", () => {
    const traps = trapsOf("0x21000", LOCAL | ON_WRITE, "mov [0x21000], al;; next: nop", 0x102);
    expect(traps[0]).toEqual({ at: "next", dr6: 0x4001 });
  });
  // SDM vol. 3B, 18.3.1.3: general detect: a fault before the access to a debug register
  test("DR7.GD guards the debug registers until its handler runs", () => {
    const traps = trapsOf("0x21000", 0x2000, "guarded: mov rbx, dr0;; after: nop");
    expect(traps).toEqual([{ at: "guarded", dr6: 0x2000 }]);
    expect(cpu.state().register("rbx")).toBe(0x2_1000n);
  });
  // SDM vol. 3B, 18.2.4: DR7: enables, reserved bits
  test("a breakpoint that is not enabled costs nothing and does nothing", () => {
    expect(trapsOf("start", 0, "nop;; nop")).toEqual([]);
  });
});
