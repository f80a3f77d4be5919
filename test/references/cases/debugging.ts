// Debug exceptions: single steps, breakpoints of all four kinds in any combination, general detect, INT1, INT3, and what
// MOV SS, POP SS, REP, interrupts, IRET, POPF and system calls do to them.

import type { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at, selectors } from "../tables.js";

const TF = 0x100;
const RF = 0x1_0000;
const D = at.data;

// biome-ignore format: a list
const instructions = [
  "nop", "nop", "inc ecx", `mov eax, [${D}]`, `mov [${D + 4}], eax`, `mov byte ptr [${D + 3}], 1`, `add dword ptr [${D + 6}], 1`, `mov ax, [${D + 7}]`, `movups xmm0, [${D}]`, `movups [${D + 1}], xmm0`,
  `xchg eax, [${D + 2}]`, `cmpxchg [${D}], ecx`, `cmpxchg8b [${D}]`, `fld qword ptr [${D}]`, `fstp tword ptr [${D}]`, `mov edx, ${D};; db 0xd9, 0x32`, `push STACK ptr [${D}]`, `pop STACK ptr [${D + 8}]`, `bt dword ptr [${D}], 3`, `bts dword ptr [${D}], 3`,
  `mov esi, ${D};; mov edi, ${D + 0x20};; mov ecx, 3;; rep movsd`, `mov edi, ${D};; mov ecx, 4;; rep stosb`, `mov esi, ${D};; mov ecx, 5;; rep lodsb`, `mov esi, ${D};; mov edi, ${D + 0x10};; mov ecx, 4;; repe cmpsb`, `mov esi, ${D};; mov edi, ${D + 2};; movsw`, "xor ecx, ecx;; rep movsb", `mov edi, ${D - 8};; mov ecx, 0x20;; rep stosb`, `mov esi, ${D - 16};; mov edi, ${D + 0x80};; mov ecx, 12;; rep movsd`,
  "mov ax, ss;; mov ss, ax;; nop", `mov ss, word ptr [${D + 0x40}];; mov eax, [${D}]`, `mov ss, word ptr [${D + 0x40}];; mov ss, word ptr [${D + 0x40}];; nop`, "mov ax, ss;; mov ss, ax;; int3", "mov ax, ss;; mov ss, ax;; db 0xf1", "mov ax, ss;; mov ss, ax;; int 0x41", "mov ax, ss;; mov ss, ax;; ud2", `mov ss, word ptr [${D + 0x40}];; int3`, `mov ss, word ptr [${D + 0x40}];; syscall`, `mov ss, word ptr [${D + 0x40}];; pushf;; nop`, "sti;; nop", "cli",
  "int3", "db 0xf1", "int 0x41", "ud2", `mov eax, [0x7fff0000]`, "pushf;; popf", "pushf;; or dword ptr [SP], 0x100;; popf;; nop;; nop", "pushf;; and dword ptr [SP], -257;; popf;; nop", "pushf;; or dword ptr [SP], 0x10100;; popf;; nop",
  "jmp next;; next: nop", "call next;; next: pop REG", "xor eax, eax;; jz next;; nop;; next: nop", "mov ecx, 2;; next: loop next", "mov eax, 1;; xor ecx, ecx;; div ecx", "out 0x80, al", "mov dx, 0x7e;; out dx, eax", "mov dx, 0x80;; mov esi, 0x11000;; mov ecx, 3;; rep outsb",
  "mov REG, dr6", "mov REG, dr7", "mov eax, 0x2401;; mov dr7, REG", "mov eax, 0xffff6fff;; mov dr6, REG", "xor eax, eax;; mov dr6, REG", "mov eax, 0x11000;; mov dr0, REG", "mov REG, dr4", "mov dr5, REG", "mov eax, 0xffff0bf0;; mov dr6, REG",
  "syscall", "db 0x66, 0x90", "lock inc dword ptr [0x11000]", "fwait", "clts", "invlpg [0x11000]", "db 0xc8, 8, 0, 2", "leave", "bswap eax", `prefetcht0 [${D}]`, `lea eax, [${D}]`, `db 0x0f, 0xf7, 0xc1`, `lar eax, ecx`, `str ax`,
];
const CODE_PAGE = at.code >>> 12;
const accessed: [number, number][] = [
  [at.table + 4 * CODE_PAGE, at.code | 0x27],
  [at.longTable + 8 * CODE_PAGE, at.code | 0x27],
];
const RETURN = { 32: "iretd", 64: "iretq" } as const;

export function debugging(mode: Mode): (d: Draw) => Case {
  return (d) => {
    const bits = mode === "long" ? d.pick([64, 64, 32] as const) : 32;
    const ring = d.pick([0, 3] as const);
    const names =
      bits === 64 ? { STACK: "qword", SP: "rsp", REG: "rax" } : { STACK: "dword", SP: "esp", REG: "eax" };
    const own = (text: string) => text.replace(/STACK|SP|REG/g, (name) => names[name as keyof typeof names]);
    const one = (n: number) => own(d.pick(instructions)).replace(/next/g, `next${n}`);
    const parts = [one(0), one(1), one(2)];
    // IRET to what follows it, with TF or RF
    if (d.rarely(5) && ring === 0 && bits !== 32) {
      const flags = d.pick([2, 2 | TF, 2 | RF, 2 | TF | RF]);
      parts.splice(
        1,
        0,
        `push ${selectors.data};; lea rax, [rsp+8];; push rax;; push ${flags};; push ${selectors.code};; lea rax, [back];; push rax;; ${RETURN[64]};; back: nop`,
      );
    }
    const stepped = d.rarely(2);
    let dr7 = d.pick([0x400, 0x400, 0, 0x700]);
    const registers: Record<string, number> = {};
    for (let i = 0; i < 4; i++) {
      if (d.rarely(2)) continue;
      // Bochs tells of a step and of a breakpoint at the next instruction at once, where the second is an event of its own.
      const type = d.pick(stepped ? [1, 3, 3, 1, 2] : [0, 0, 1, 3, 3, 1, 2]);
      const length = type === 0 ? 0 : d.pick([0, 1, 3, 3, 2]);
      dr7 |= d.pick([1, 2, 3, 0, 2]) << (2 * i);
      dr7 |= (type | (length << 2)) << (16 + 4 * i);
      registers[`dr${i}`] =
        type === 0 ? at.code + d.below(24) : type === 2 ? d.pick([0x80, 0x7e, 0x81]) : D - 4 + d.below(20);
    }
    // In ring 3 the manual orders general detect and #GP no more than the monitor expects the first.
    if (d.rarely(8) && ring === 0) dr7 |= 0x2000;
    registers.dr7 = dr7;
    registers.flags = 2 | (stepped ? TF : 0) | (d.rarely(5) ? RF : 0) | (d.rarely(4) ? 0x3000 : 0);
    if (mode === "long") registers.cr4 = d.pick([0x620, 0x628, 0x628]);
    else registers.cr4 = d.pick([0x610, 0x618, 0x618]);
    const ss = ring === 3 ? selectors.userData : selectors.data;
    return {
      name: `debug ${mode}`, code: parts.join("\n"), bits, ring, registers, events: 9,
      // Whether a breakpoint's own instruction has been fetched nobody says: its page is accessed already.
      words: [[at.landing, 0x40cd_40cd], [D + 0x40, ss], ...accessed],
    }; // biome-ignore format: one idea a line
  };
}
