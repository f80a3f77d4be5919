import { describe, expect, it } from "vitest";
import { assemble, assembleWithLabels, type Bits } from "../../emulator/assembler.js";

const hex = (text: string, bits: Bits = 64, origin = 0) =>
  Buffer.from(assemble(text, { bits, origin })).toString("hex");

describe("assembler", () => {
  // Expected bytes as GNU as (-msyntax=intel) gives them.
  it.each([
    ["mov eax, 1", "b801000000"],
    ["mov rax, -1", "48c7c0ffffffff"],
    ["mov rax, 0x123456789abcdef0", "48b8f0debc9a78563412"],
    ["lock xadd [rbx+rcx*4+8], eax", "f00fc1448b08"],
    ["lock add qword ptr [rdi], 1", "f048830701"],
    ["add byte [rax], 1", "800001"],
    ["xchg ax, [rsi]", "668706"],
    ["mov ah, bl", "88dc"],
    ["mov spl, r8b", "4488c4"],
    ["rep movsb", "f3a4"],
    ["repne scasd", "f2af"],
    ["mov cr3, rax", "0f22d8"],
    ["mov ds, eax", "8ed8"],
    ["hlt", "f4"],
    ["shl rax, 1", "48d1e0"],
    ["shl rax, cl", "48d3e0"],
    ["imul eax, ecx, 100", "6bc164"],
    ["movaps xmm1, [rax]", "0f2808"],
    ["paddd xmm9, xmm1", "66440ffec9"],
    ["cmpxchg16b [rdi]", "480fc70f"],
    ["push 5", "6a05"],
    ["int 0x80", "cd80"],
    ["mov eax, fs:[0x10]", "648b042510000000"],
    ["lea rax, [rip+16]", "488d0509000000"],
    ["in al, dx", "ec"],
    ["out 0xf4, al", "e6f4"],
    ["movzx eax, byte ptr [rdi]", "0fb607"],
    ["iretq", "48cf"],
    ["mov rax, [rbp-8]", "488b45f8"],
    ["db 1, 2, 'A'", "010241"],
  ])("%s", (text, bytes) => {
    expect(hex(text)).toBe(bytes);
  });

  it("knows labels, both ways, and the short form", () => {
    expect(hex("top: dec ecx\n jne top\n jmp short out\n nop\nout: ret")).toBe("ffc90f85f8ffffffeb0190c3");
    const { labels } = assembleWithLabels("nop\nhere: dq here", { origin: 0x1000 });
    expect(labels.get("here")).toBe(0x1001n);
  });

  it("assembles 16 and 32-bit code", () => {
    expect(hex("mov ax, 0x1234\nmov ds, ax", 16)).toBe("b834128ed8");
    expect(hex("jmp 8:0x100000", 32)).toBe("ea000010000800");
    expect(hex("mov eax, [bx+si+4]", 16)).toBe("668b4004");
    expect(hex("inc eax", 32)).toBe("40");
  });

  it("names the line and the fault of what it cannot assemble", () => {
    expect(() => assemble("nop\nfrobnicate eax")).toThrow(/line 2, "frobnicate eax": unknown mnemonic/);
    expect(() => assemble("mov eax, rbx")).toThrow(/no encoding takes these operands/);
    expect(() => assemble("inc [rax]")).toThrow(/no encoding/);
    expect(() => assemble("jmp nowhere")).toThrow(/unknown name nowhere/);
    expect(() => assemble("mov eax, 0x1ffffffff")).toThrow(/no encoding/);
  });
});
