// Segment limits and types: data, stack and code segments of every kind, expand-down, with bytes and pages as units, with
// 16-bit and 32-bit stacks, accessed at their edges in every way.

import type { Draw } from "../draw.js";
import type { Case } from "../rom.js";
import { at, descriptor, quad, selectors } from "../tables.js";

const LIMIT = [0, 1, 3, 7, 0xff, 0xffe, 0xfff, 0x1000, 0x7fff, 0xfffe, 0xffff];

// biome-ignore format: a list
const data = [
  "mov al, [ebx]", "mov ax, [ebx]", "mov eax, [ebx]", "mov [ebx], al", "mov [ebx], ax", "mov [ebx], eax", "add dword ptr [ebx], 1", "cmp byte ptr [ebx], 1", "xchg [ebx], eax", "mov eax, es:[ebx]", "mov es:[ebx], cx", "mov al, fs:[ebx]", "mov gs:[ebx], al",
  "movups xmm0, [ebx]", "movups [ebx], xmm0", "movaps [ebx], xmm0", "fld tword ptr [ebx]", "fstp tword ptr [ebx]", "db 0xd9, 0x33", "db 0xdd, 0x33", "fxsave [ebx]", "cmpxchg8b [ebx]", "lock inc byte ptr [ebx]", "bts [ebx], ecx", "bt [ebx], ecx", "mov ax, [bx]", "mov [bx+si], al", "xlatb", "lea eax, [ebx]", "prefetcht0 [ebx]", "clflush [ebx]", "invlpg [ebx]",
  "mov esi, ebx;; mov edi, ebx;; mov ecx, 5;; rep movsb", "mov esi, ebx;; mov edi, ebx;; mov ecx, 5;; rep movsd", "mov edi, ebx;; mov ecx, 9;; rep stosd", "mov esi, ebx;; mov ecx, 6;; rep lodsw", "mov edi, ebx;; mov ecx, 0x2000;; rep stosb", "std;; mov edi, ebx;; mov ecx, 6;; rep stosw", "mov esi, ebx;; mov edi, ebx;; mov ecx, 3;; repe cmpsd", "mov si, bx;; db 0x67, 0xf3, 0xa6",
  "push dword ptr [ebx]", "pop dword ptr [ebx]", "call dword ptr [ebx]", "jmp dword ptr [ebx]", "les eax, [ebx]", "lgdt [ebx]", "sidt [ebx]", "lmsw [ebx]", "smsw [ebx]", "verr [ebx]", "bound eax, [ebx]", "db 0x8e, 0x1b", "db 0x0f, 0xf7, 0xc1", "movnti [ebx], eax", "movbe eax, [ebx]", "cmpxchg [ebx], cl", "setz byte ptr [ebx]", "shld [ebx], eax, 3", "pop word ptr [ebx]",
];
// biome-ignore format: a list
const stack = [
  "push eax", "push ax", "pop eax", "pop ax", "push 5", "pusha", "pushad", "popa", "popad", "pushf", "popf", "pushfd", "db 0xc8, 8, 0, 0", "db 0xc8, 8, 0, 3", "db 0x66, 0xc8, 8, 0, 2", "leave", "db 0xe8, 0, 0, 0, 0", "ret", "db 0xc2, 8, 0", "retf", "iretd", "push dword ptr [0x11000]", "pop dword ptr [0x11000]", "push ds", "pop es", "mov eax, [esp]", "mov eax, [ebp]", "mov [ebp-4], eax", "mov [esp+4], eax",
  "int 0x41", "mov eax, ss:[ebx]", "mov ss:[ebx], ax", "pop esp", "push esp", "call 0x08:0x10800", "add esp, 4;; push eax", "sub sp, 8;; pop eax", "mov sp, 2;; push eax", "mov esp, 0x10002;; pop eax", "inc sp;; push eax", "lss esp, [0x11000]",
];

/** Execute-only code cannot be loaded: the monitor would fail, not the case. */
const TYPES = [0x12, 0x12, 0x13, 0x10, 0x16, 0x16, 0x17, 0x14, 0x1a, 0x1e];

export function limits(d: Draw): Case {
  const ring = d.pick([0, 3] as const);
  const inStack = d.rarely(2);
  const type = inStack ? d.pick([0x12, 0x13, 0x16, 0x16, 0x17]) : d.pick(TYPES);
  const pages = d.rarely(4);
  const limit = pages ? d.pick([0, 0, 1, 0xf_ffff, 0xf_fffe]) : d.rarely(8) ? 0xf_ffff : d.pick(LIMIT);
  const big = d.rarely(2) ? 0x40 : 0;
  const base = d.pick([at.data, at.data, at.data + 1, at.data - 0x1000, 0, 0xffff_f000]);
  const last = pages ? limit * 0x1000 + 0xfff : limit;
  const words = quad(
    at.gdt + selectors.a,
    descriptor(0x80 | (ring << 5) | type, base, limit, (pages ? 0x80 : 0) | big),
  );
  words.push([at.landing, 0x40cd_40cd], [at.data, at.landing], [at.data + 4, selectors.a | ring]);
  const offset = (last + d.pick([0, 1, 2, 3, 4, 5, 8, -1, -2, -3, -4, -7, -15, -16, -27])) >>> 0;
  const anywhere = d.pick([
    offset,
    offset,
    offset,
    0,
    0xffff,
    0xffff_ffff,
    0xffff_fffc,
    0xfffe,
    0x1_0000,
    d.below(0x1_0000),
  ]);
  const registers: Record<string, number> = { rbx: anywhere, rsi: 0, flags: d.pick([2, 2, 0x4_0002]) };
  if (d.rarely(5)) registers.cr0 = 0x8005_0033;
  const selector = selectors.a | ring;
  let code = d.pick(inStack ? stack : data);
  if (inStack) {
    // The event's own frame would not fit on ring 0's: it comes from ring 3, or the case is a double fault.
    registers.ss = selector;
    registers.rsp = ring === 3 ? anywhere : selectors.data;
    registers.rbp = d.pick([anywhere, offset, 0x20]);
    if (ring === 0) {
      registers.ss = selectors.data;
      registers.rsp = at.stack0;
      code = code.replace("[esp", "[ebp").replace(/ss:\[ebx/, "gs:[ebx");
      registers.gs = selector;
    }
  } else for (const s of ["ds", "es", "fs", "gs"]) if (s === "ds" || d.rarely(2)) registers[s] = selector;
  return { name: `limit ${type.toString(16)}`, code, bits: 32, ring: ring, words, registers };
}

/** Code segments with limits, and near branches across them. */
export function codeLimits(d: Draw): Case {
  const ring = d.pick([0, 3] as const);
  const code = d.pick([
    "nop;; nop;; nop;; nop;; nop;; nop", "jmp ebx", "call ebx", "push ebx;; ret", "push ebx;; db 0xc2, 4, 0", "jmp dword ptr [0x11000]", "db 0xe9\ndd 0x7ff0", "db 0xeb, 0x7f", "db 0x66, 0xe9, 0, 0x70", "xor eax, eax;; db 0x0f, 0x84\ndd 0x1000", "mov ecx, 2;; db 0xe2, 0x70", "push bx;; db 0x66, 0xc3", "mov eax, cs:[ebx]", "mov cs:[ebx], al", "db 0x66, 0xff, 0xe3", "call next;; next: pop eax", "db 0xe3, 0x70",
  ]); // biome-ignore format: a list
  const limit = d.pick([0xff, 0x10, 9, 12, 0x7f, 0xfff, 0x70, 0x8000, 0xffff]);
  const base = d.pick([at.code, at.code, at.code - 4]);
  const type = d.pick([0x1a, 0x1b, 0x18, 0x1e, 0x19]);
  const words = quad(
    at.gdt + selectors.a,
    descriptor(0x80 | (ring << 5) | type, base, limit, d.pick([0x40, 0x40, 0])),
  );
  const rip = at.code - base;
  words.push([at.data, (limit + d.pick([0, 1, -1, 2])) >>> 0]);
  return {
    name: `code limit ${limit.toString(16)}`, code, bits: 32, ring, words,
    registers: { cs: selectors.a | ring, rip, rbx: d.pick([limit, limit + 1, limit - 1, 0xffff_ffff, 0x1_0000 + rip, 0x40]) >>> 0 },
  }; // biome-ignore format: one idea a line
}
