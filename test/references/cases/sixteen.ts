// Code of 16 bits: in real mode with segments of 64 KiB and with the limits of 4 GiB that protected mode may leave, and in
// virtual-8086 mode with any IOPL and a permission bitmap. Offsets are at the edges of a segment.

import type { Draw } from "../draw.js";
import type { Case } from "../rom.js";
import { at } from "../tables.js";

const EDGES = [
  0, 1, 2, 0x100, 0x101, 0xff8, 0x7fff, 0x8000, 0xfff0, 0xfff8, 0xfffb, 0xfffc, 0xfffd, 0xfffe, 0xffff,
];
/** Even, and none at which an exception's frame wraps in the middle of a word: that would be a shutdown. */
const STACKS = [0xff0, 0xff0, 0xff0, 0, 2, 4, 8, 0x10, 0xfffe, 0xfff8, 0x8000];

// biome-ignore format: a list
const instructions = [
  "mov ax, [bx]", "mov [bx], al", "mov [bx], ax", "mov [bx], eax", "mov eax, [bx]", "add [di], eax", "add word ptr es:[di], 5", "xchg [si], cx", "mov dx, cs:[bx]",
  "mov ax, [bp]", "mov [bp], eax", "mov al, [bp+si]", "mov cx, [bx+di+2]", "mov ax, ss:[bx]", "inc byte ptr [bx]", "lock xadd [bx], ax",
  "mov eax, [ebx]", "mov [ebx], ax", "mov cl, [esp]", "mov eax, [ebp]", "mov ax, [esi+edi*2]", "mov al, [eax+ebx]",
  "lodsb", "lodsw", "lodsd", "stosb", "stosw", "stosd", "movsb", "movsw", "movsd", "scasb", "scasw", "cmpsw", "cmpsd",
  "rep movsb", "rep movsw", "rep movsd", "rep stosw", "rep stosd", "rep lodsb", "repe cmpsb", "repne scasb",
  "db 0x67, 0xf3, 0xa4", "db 0x67, 0xf3, 0xab", "db 0x67, 0xa5", "db 0xf3, 0x67, 0x66, 0xa5", "std;; rep movsb", "std;; lodsd", "std;; db 0x67, 0xf3, 0xaa",
  "push ax", "push eax", "push word ptr [bx]", "push dword ptr [bx]", "pop ax", "pop eax", "pop word ptr [bx]", "pop dword ptr [bx]", "push sp", "pop sp",
  "push ds", "pop es", "push fs;; pop gs", "db 0x66, 0x1e", "db 0x66, 0x07", "pop ss;; nop", "pusha", "popa", "pushad", "popad",
  "db 0xc8, 16, 0, 0", "db 0xc8, 4, 0, 1", "db 0xc8, 8, 0, 3", "db 0x66, 0xc8, 4, 0, 2", "leave", "db 0x66, 0xc9", "pushf", "popf", "pushfd", "popfd", "push 0x7fff;; popf", "push -1;; popfd", "push 0;; popf", "cli", "sti", "lahf;; sahf",
  "db 0xe8, 0, 0", "db 0x66, 0xe8, 0, 0, 0, 0", "db 0xe9, 0xf0, 0x7f", "db 0x66, 0xe9, 0, 0, 1, 0", "db 0xeb, 0x80", "ret", "db 0x66, 0xc3", "db 0xc2, 4, 0", "retf", "db 0x66, 0xcb", "iret", "db 0x66, 0xcf",
  "jmp ax", "call bx", "db 0x66, 0xff, 0xe0", "db 0xff, 0x2f", "db 0xff, 0x1f", "db 0x66, 0xff, 0x2f", "db 0x66, 0xff, 0x1f",
  "jmp 0x1080:0", "call 0x1080:0", "jmp 0xf80:0x1000", "push 0;; push 0x1080;; push 0;; db 0xcf", "push 0x1080;; push 0;; retf", "pushf;; push 0x1080;; push 0;; iret", "pushfd;; db 0x66, 0x68, 0x80, 0x10, 0, 0;; db 0x66, 0x68, 0, 0, 0, 0;; db 0x66, 0xcf",
  "push 0;; push 1;; push 0x1080;; push 0;; db 0x66, 0xcb", "pushfd;; db 0x66, 0x68, 0x80, 0x10, 0, 0;; db 0x66, 0x68, 0, 0, 1, 0;; db 0x66, 0xcf",
  "les ax, [bx]", "lds bx, [si]", "lss sp, [bx]", "lfs eax, [di]", "lgs cx, [bp]", "mov ds, bx;; mov al, [0]", "mov ss, ax;; mov ax, [bp]", "mov fs, di;; mov eax, fs:[0x10]",
  "int 0x41", "int3", "db 0xf1", "mov al, 0x7f;; inc al;; into", "into", "bound ax, [bx]", "bound eax, [si]", "xor cx, cx;; div cx", "aam 0", "idiv byte ptr [bx]",
  "arpl ax, cx", "lldt ax", "ltr ax", "sldt ax", "str ax", "lar ax, cx", "lsl ax, cx", "verr ax", "verw cx", "smsw ax", "smsw [bx]", "lmsw cx", "sgdt [bx]", "sidt [bx]", "invlpg [bx]", "clts", "wbinvd", "invd",
  "mov eax, cr0", "mov eax, cr2", "mov cr2, eax", "mov eax, dr7", "mov dr0, eax", "mov eax, cr4", "sysenter", "sysexit", "syscall", "sysret", "mov ecx, 0x174;; rdmsr", "db 0x0f, 0x01, 0xf8",
  "in al, 0xea", "out 0x80, al", "mov dx, 0x20;; out dx, ax", "mov dx, 0x2f;; out dx, eax", "mov dx, 0x7fff;; in al, dx", "mov dx, 0x200;; out dx, al", "mov dx, 0xff;; outsb", "mov dx, 0x102;; rep outsb", "mov dx, 0x21;; outsd",
  "xlatb", "bt [bx], ax", "bts [bx], cx", "btc [di], edx", "bt dword ptr [bx], 31", "shld [bx], ax, 5", "cmpxchg [bx], cx", "cmpxchg8b [bx]", "bswap eax", "movzx eax, word ptr [bx]", "movsx ax, byte ptr [di]", "setc byte ptr [bx]", "cmovz ax, [bx]", "crc32 eax, word ptr [bx]", "movbe ax, [bx]", "popcnt ax, [si]",
  "loop next;; next: nop", "db 0x67, 0xe2, 0", "jcxz next;; next: nop", "jecxz next;; next: nop", "xor ecx, ecx;; db 0xe2, 0",
  "fld dword ptr [bx]", "fstp tword ptr [bx]", "mov bx, 0x100;; db 0xdd, 0x37", "mov bx, 0x100;; db 0xd9, 0x37", "nop", "mov si, 0x100;; db 0xd9, 0x24", "fild word ptr [bp]", "fwait", "fnstsw ax", "fxsave [bx]", "fxrstor [bx]", "emms", "movq mm0, [bx]", "movups xmm1, [bx]", "movaps xmm1, [bx]", "movss xmm2, [di]", "ldmxcsr [bx]", "stmxcsr [bx]", "sfence", "prefetcht0 [bx]", "clflush [bx]",
  "lock add [bx], ax", "lock mov [bx], ax", "lock cmp [bx], ax", "lock inc byte ptr [bp]", "ud2", "db 0x0f, 0xff, 0xc0", "db 0x66, 0x66, 0x66, 0x90", "db 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x26, 0x26, 0x26, 0x26, 0x90", "db 0xd6", "db 0x82, 0xc0, 1",
];

const words = [
  ...[0, 4, 0x800, 0x804].map((n): [number, number] => [at.code + 0xf00 + n, 0x40cd_40cd]),
  [at.landing, 0x40cd_40cd],
] as [number, number][];

function registers(d: Draw): Record<string, number> {
  const edge = () => d.pick(EDGES);
  const wide = () => (d.rarely(4) ? edge() | d.pick([0x1_0000, 0x1_0000, 0xffff_0000]) : edge());
  return {
    rbx: wide(), rsi: wide(), rdi: wide(), rbp: d.rarely(2) ? wide() : 0xfe0, rsp: d.pick(STACKS),
    rcx: d.pick([0, 1, 2, 3, 9, 0x1_0000, 0x1_0002, 17]), rax: d.pick([0x1080, 0, 0x800, 0xffff, 0x8000_0000, 0x1100]), rdx: d.pick([0x7fff, 0, 3, 0xffff_fff0]),
    ds: d.pick([at.data >>> 4, at.data >>> 4, 0xffff, 0x1080]), es: d.pick([at.data >>> 4, at.data >>> 4, 0xffff]),
  }; // biome-ignore format: one idea a line
}

export function sixteen(kind: "real" | "virtual"): (d: Draw) => Case {
  return (d) => {
    const code = d.pick(instructions);
    const own = registers(d);
    // CR0.EM, TS, MP, NE, AM
    if (d.rarely(6)) own.cr0 = (kind === "real" ? 0x33 : 0x8001_0033) ^ d.pick([4, 8, 2, 0xa, 0x4_0000]);
    const flags = d.pick([2, 2, 2, 0x202, 0x4002, 0x402, 0x4_0002, 0xad7]) | (d.below(4) << 12);
    const stepped = d.rarely(6) ? 0x100 : 0;
    if (kind === "real")
      return {
        name: code, code, bits: 16, real: d.pick([1, 1, 2] as const), words,
        registers: { ...own, flags: flags & 0xffff }, events: 3,
      }; // biome-ignore format: one idea a line
    if (d.rarely(3)) own.cr4 = d.pick([0x610, 0x614, 0x618, 0x10, 0x210]);
    return {
      name: code, code, bits: 16, virtual: true, words, events: 3,
      registers: { ...own, flags: flags | stepped | 0x2_0000 | (d.rarely(2) ? 0x3000 : 0) },
    }; // biome-ignore format: one idea a line
  };
}
