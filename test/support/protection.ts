// A ROM that tries protection: hundreds of seeded cases of segment loads, far transfers, returns, gates and questions
// about random descriptors, in 32-bit protected mode or in long mode, from ring 0 and ring 3. What each case leads to
// goes out through port E9 (QEMU's debug console), so that two machines can be compared case by case.
//
//   F0000 ROM: code, then the table of cases     1000 GDT  2000 IDT  3000 TSS  4000 variables  5000 landing place

import { assemble, assembleWithLabels } from "../../emulator/assembler.js";

const GDT = 0x1000;
const IDT = 0x2000;
const TSS = 0x3000;
const POINTER = 0x4000;
const CURRENT = 0x4010;
/** Code that far transfers lead to; it reads the same in 32-bit and 64-bit code. */
const LANDING = 0x5000;
const STACK = 0x7000;
const STACK_OUTER = 0x6800;
const STACK_INNER = 0x7800;
const TABLES = 0x1_0000;

const DATA = 0x10;
const USER_CODE = 0x1b;
const USER_DATA = 0x23;
const TASK = 0x30;
const CODE = 0x08;
/** The two descriptors of a case; B has 16 bytes. */
const A = 0x60;
const B = 0x70;
const GDT_BYTES = 0x80;

const ROM_BYTES = 0x1_0000;
const ORIGIN = 0xf_0000;
const TABLE = 0x3000;
const CASE_BYTES = 48;

/** Operations of a case: EAX and EBX are its arguments. */
export const operations = [
  "load_ds", "load_es", "load_fs", "load_gs", "load_ss", "lar", "lsl", "verr", "verw", "jump", "call", "retf", "iret",
  "interrupt", "lldt", "ltr",
] as const; // biome-ignore format: a list
export type Operation = (typeof operations)[number];

export interface Case {
  readonly operation: Operation;
  readonly a: number;
  readonly b: number;
  readonly ring: 0 | 3;
  readonly descriptorA: bigint;
  readonly descriptorB: bigint;
  readonly upperB: bigint;
}

/** Memory operands by absolute address read alike in both widths. */
const segmentLoads = ["ds", "es", "fs", "gs", "ss"].map(
  (s) => `load_${s}: mov ${s}, ax;; mov cx, ${s};; mov ${s}, bp;; movzx ecx, cx;; xor edx, edx;; jmp done`,
);
const questions = ["lar", "lsl"].map((q) => `${q}: mov ecx, 0x5a5a5a5a;; ${q} ecx, eax;; setz dl;; jmp done`);
const verifications = ["verr", "verw"].map((v) => `${v}: xor ecx, ecx;; ${v} ax;; setz dl;; jmp done`);

const out = (register: string) => `mov al, ${register};; out 0xe9, al`;
const logByte = (address: number) => `mov al, [${address}];; out 0xe9, al`;

function program(bits: 32 | 64): string {
  const wide = bits === 64;
  const r = wide ? "r" : "e";
  const farOperand = (digit: number) =>
    wide ? `db 0xff, ${(digit << 3) | 4}, 0x25` : `db 0xff, ${(digit << 3) | 5}`;
  const iret = wide ? "iretq" : "iretd";
  const vectors = Array.from({ length: 32 }, (_, i) => i);
  const hasError = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];
  const word = wide ? 8 : 4;
  /** Through a register: an immediate might be pushed as a word. */
  const push = (n: number) => `mov ecx, ${n};; push ${r}cx`;
  return `
    main:
      mov ${r}sp, ${STACK}
      mov dword ptr [${CURRENT}], ${ORIGIN + TABLE - CASE_BYTES}
    next:
      mov ax, ${DATA}
      mov ds, ax;; mov es, ax;; mov fs, ax;; mov gs, ax;; mov ss, ax
      mov ${r}sp, ${STACK}
      and byte ptr [${GDT + TASK + 5}], 0xfd
      mov ax, ${TASK}
      ltr ax
      xor eax, eax
      lldt ax
      mov esi, [${CURRENT}]
      add esi, ${CASE_BYTES}
      mov [${CURRENT}], esi
      cmp dword ptr [${r}si], 0
      je end
      mov al, 0xc5;; out 0xe9, al
      ${[0, 4, 8, 12, 16, 20].map((i) => `mov eax, [${r}si+${16 + i}];; mov [${GDT + (i < 8 ? A + i : B + i - 8)}], eax`).join("\n")}
      ${[0, 4, ...(wide ? [8, 12] : [])].map((i) => `mov eax, [${r}si+${24 + i}];; mov [${IDT + 0x81 * word * 2 + i}], eax`).join("\n")}
      ${push(0x3002)}
      ${wide ? "popfq" : "popfd"}
      mov eax, [${r}si+4]
      mov ebx, [${r}si+8]
      mov edx, [${r}si]
      mov ebp, ${DATA}
      cmp dword ptr [${r}si+12], 0
      jne outward
      jmp ${r}dx
    outward:
      mov ebp, ${USER_DATA}
      mov ds, bp;; mov es, bp;; mov fs, bp;; mov gs, bp
      ${push(USER_DATA)}
      ${push(STACK_OUTER)}
      ${push(0x3002)}
      ${push(USER_CODE)}
      push ${r}dx
      ${iret}
    ${segmentLoads.join("\n")}
    ${questions.join("\n")}
    ${verifications.join("\n")}
    jump:
      mov [${POINTER}], ebx
      mov [${POINTER + 4}], ax
      ${farOperand(5)}
      dd ${POINTER}
    call:
      mov [${POINTER}], ebx
      mov [${POINTER + 4}], ax
      ${farOperand(3)}
      dd ${POINTER}
      ud2
    retf:
      push ${r}bx;; ${push(STACK_OUTER - 0x100)};; push ${r}ax;; ${push(LANDING)}
      db ${wide ? "0x48, " : ""}0xcb
    iret:
      push ${r}bx;; ${push(STACK_OUTER - 0x100)};; ${push(0x3002)};; push ${r}ax;; ${push(LANDING)}
      ${iret}
    interrupt:
      db 0xcd, 0x81
      ud2
    lldt: lldt ax;; sldt cx;; movzx ecx, cx;; xor edx, edx;; jmp done
    ltr: ltr ax;; str cx;; movzx ecx, cx;; xor edx, edx;; jmp done
    done:
      mov al, 0xee;; out 0xe9, al
      ${out("cl")};; ${out("ch")}
      shr ecx, 16
      ${out("cl")};; ${out("ch")};; ${out("dl")}
      db 0xcd, 0x80
    back:
      mov ax, ${DATA};; mov ds, ax
      ${logByte(GDT + A + 5)};; ${logByte(GDT + B + 5)}
      jmp next
    ${vectors.map((v) => `vector${v}: ${hasError.includes(v) ? "" : "push 0"};; push ${v};; jmp fault`).join("\n")}
    fault:
      mov ax, ${DATA};; mov ds, ax
      mov al, 0xf0;; out 0xe9, al
      pop ${r}cx;; ${out("cl")}
      pop ${r}cx;; ${out("cl")};; ${out("ch")}
      pop ${r}dx
      pop ${r}cx;; ${out("cl")};; ${out("ch")}
      jmp back
    end:
      mov al, 0x99;; out 0xe9, al
      mov dx, 0xf4
      out dx, al
      hlt`
    .replace(/;; ;;/g, ";;")
    .replace(/: ;;/g, ":");
}

const landing = assemble(
  "db 0xb0, 0xdd;; out 0xe9, al;; mov ecx, cs;; mov edx, esp;; mov eax, ecx;; out 0xe9, al;; mov al, ah;; out 0xe9, al;; mov eax, edx;; out 0xe9, al;; db 0xcd, 0x80",
  { bits: 32 },
);

/** The ROM for a width, with the cases as far as they fit. */
export function protectionRom(bits: 32 | 64, cases: readonly Case[]): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES).fill(0xf4);
  const view = new DataView(rom.buffer);
  const put = (offset: number, text: string, width: 16 | 32 | 64) => {
    const { bytes, labels } = assembleWithLabels(text, { bits: width, origin: ORIGIN + offset });
    rom.set(bytes, offset);
    return labels;
  };
  const labels = put(0x1000, program(bits), bits);
  const address = (name: string) => Number(labels.get(name));
  put(0xfff0, "jmp 0xf000:0", 16);
  rom.set(
    assemble(
      `cli
       xor ax, ax;; mov ds, ax;; mov ss, ax
       lgdt [cs:0x2ff0]
       mov eax, cr0;; or al, 1;; mov cr0, eax
       db 0x66, 0xea
       dd ${ORIGIN + 0x100}
       dw 0x28`,
      { bits: 16 },
    ),
    0,
  );
  put(0x100, prepare(bits, address("main")), 32);
  // The GDT and IDT as they are copied to RAM
  const wide = bits === 64;
  const gdt: [number, bigint][] = [
    [CODE, wide ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn],
    [DATA, 0x00cf_9300_0000_ffffn],
    [USER_CODE & ~3, wide ? 0x00af_fb00_0000_ffffn : 0x00cf_fb00_0000_ffffn],
    [USER_DATA & ~3, 0x00cf_f300_0000_ffffn],
    [0x28, 0x00cf_9b00_0000_ffffn], // 32-bit code to start with
    [TASK, 0x0000_8900_0000_0067n | (BigInt(TSS) << 16n)],
  ];
  rom.fill(0, 0x2000, 0x2900);
  for (const [at, value] of gdt) view.setBigUint64(0x2800 + at, value, true);
  view.setUint16(0x2ff0, GDT_BYTES - 1, true);
  view.setUint32(0x2ff2, ORIGIN + 0x2800, true);
  view.setUint16(0x2ff8, GDT_BYTES - 1, true);
  view.setUint32(0x2ffa, GDT, true);
  const gates = 0x2000;
  const gateBytes = wide ? 16 : 8;
  const gate = (slot: number, to: number, dpl: number) => {
    view.setUint32(gates + slot * 8, (to & 0xffff) | (CODE << 16), true);
    view.setUint32(gates + slot * 8 + 4, (to & 0xffff_0000) | 0x8e00 | (dpl << 13), true);
  };
  for (let v = 0; v < 32; v++) gate(v, address(`vector${v}`), 0);
  gate(32, address("back"), 3);
  view.setUint16(0x2fe0, 0x82 * gateBytes - 1, true);
  view.setUint32(0x2fe2, IDT, true);
  rom.set(landing, 0x2f00);
  if ((cases.length + 1) * CASE_BYTES > 0xff00 - TABLE) throw new Error(`${cases.length} cases do not fit`);
  cases.forEach((c, i) => {
    const at = TABLE + i * CASE_BYTES;
    view.setUint32(at, address(c.operation), true);
    view.setUint32(at + 4, c.a, true);
    view.setUint32(at + 8, c.b, true);
    view.setUint32(at + 12, c.ring, true);
    view.setBigUint64(at + 16, c.descriptorA, true);
    view.setBigUint64(at + 24, c.descriptorB, true);
    view.setBigUint64(at + 32, c.upperB, true);
  });
  view.setUint32(TABLE + cases.length * CASE_BYTES, 0, true);
  return rom;
}

/** 32-bit code that builds the tables in RAM and goes to `main`, through long mode if that is wanted. */
function prepare(bits: 32 | 64, main: number): string {
  const wide = bits === 64;
  const step = wide ? 16 : 8;
  const copy = (from: number, to: number, bytes: number) =>
    `mov esi, ${ORIGIN + from};; mov edi, ${to};; mov ecx, ${bytes};; rep movsb`;
  return `
    mov ax, ${DATA}
    mov ds, ax;; mov es, ax;; mov ss, ax
    mov esp, ${STACK}
    cld
    ${copy(0x2800, GDT, GDT_BYTES)}
    ${copy(0x2f00, LANDING, landing.length)}
    mov esi, ${ORIGIN + 0x2000}
    mov edi, ${IDT}
    mov ecx, 33
    gates: mov eax, [esi];; mov [edi], eax;; mov eax, [esi+4];; mov [edi+4], eax
    ${wide ? "mov dword ptr [edi+8], 0;; mov dword ptr [edi+12], 0" : ""}
    add esi, 8;; add edi, ${step}
    dec ecx
    jnz gates
    mov esi, ${IDT + 32 * step}
    mov edi, ${IDT + 0x80 * step}
    mov ecx, ${step}
    rep movsb
    mov dword ptr [${TSS + 4}], ${STACK_INNER}
    mov dword ptr [${TSS + 8}], ${wide ? 0 : DATA}
    lgdt [${ORIGIN + 0x2ff8}]
    lidt [${ORIGIN + 0x2fe0}]
    ${
      wide
        ? `mov dword ptr [${TABLES}], ${TABLES + 0x1007}
           mov dword ptr [${TABLES + 0x1000}], ${TABLES + 0x2007}
           mov dword ptr [${TABLES + 0x2000}], 0x87
           mov eax, 0x20;; mov cr4, eax
           mov eax, ${TABLES};; mov cr3, eax
           mov ecx, 0xc0000080;; rdmsr;; or eax, 0x100;; wrmsr
           mov eax, cr0;; or eax, 0x80000000;; mov cr0, eax`
        : ""
    }
    db 0xea
    dd ${main}
    dw ${CODE}`;
}

const LONG_TYPES = [0, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const PRESENT = 0x8000n << 32n;

/** Seeded cases: descriptors that are mostly good, selectors that mostly name them. */
export function protectionCases(bits: 32 | 64, seed: number, count: number): Case[] {
  let x = seed || 1;
  const random = (below: number) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
  const pick = <T>(list: readonly T[]): T => list[random(list.length)];
  const level = () => pick([0, 0, 0, 3, 3, 1, 2]);
  const wide = bits === 64;
  const descriptor = (type: number, dpl: number) => {
    const present = random(10) ? 0x80 : 0;
    const flags = wide && (type & 0x18) === 0x18 ? pick([0xa, 0xa, 0xa, 0xc]) : 0xc;
    const small = random(8) === 0;
    const limit = small ? 0x5fff : 0xf_ffff; // the landing place lies within: QEMU does not check all limits
    const high =
      ((type | (dpl << 5) | present) << 8) | (limit & 0xf_0000) | ((small ? flags & 7 : flags) << 20);
    return (BigInt(high >>> 0) << 32n) | BigInt(limit & 0xffff);
  };
  const gate = (type: number) => {
    const high = (type | (level() << 5) | (random(10) ? 0x80 : 0)) << 8;
    const low = LANDING | ((A | level()) << 16);
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  };
  const selector = (slot: number) =>
    pick([
      slot | level(),
      slot | level(),
      slot | level(),
      slot | level(),
      slot,
      random(4),
      0x100 | random(4),
      slot | 4,
    ]);
  const system = (type: number, limit: number) =>
    (BigInt((type | (level() << 5) | (random(8) ? 0x80 : 0)) << 8) << 32n) |
    BigInt(limit) |
    (BigInt(TSS) << 16n);

  return Array.from({ length: count }, (): Case => {
    const operation = pick(operations);
    const code = descriptor(0x18 | random(8), level());
    const segment = descriptor(0x10 | random(16), level());
    const data = descriptor(random(6) ? 0x13 : 0x10 | random(8), level());
    const base = { operation, ring: pick([0, 0, 3] as const), upperB: random(16) ? 0n : 0x1f00n << 32n };
    switch (operation) {
      case "jump":
      case "call": {
        // TSS and task gates switch tasks, which is not modelled: no such types here
        const types = [12, 12, 12, 12, 14, 2, 0, 10, ...(wide ? [4, 9, 11, 5] : [4, 4])];
        const through = random(2) === 0;
        return {
          ...base,
          a: selector(through ? B : A),
          b: LANDING,
          // JMP through a gate to a segment that is not present is #NP, in QEMU #GP
          descriptorA: through ? code | PRESENT : code,
          descriptorB: gate(pick(types)),
        };
      }
      case "interrupt": {
        const types = [14, 14, 15, 15, 12, 0, 9, ...(wide ? [6, 7, 5] : [6, 7])];
        return { ...base, a: 0, b: 0, descriptorA: code, descriptorB: gate(pick(types)), upperB: 0n };
      }
      case "retf":
      case "iret":
        return {
          ...base,
          a: pick([selector(A), A | 3, A]),
          // In long mode QEMU takes a null SS for compatibility code and with any RPL
          b: pick([wide ? B | level() : selector(B), B | 3, USER_DATA, DATA]),
          descriptorA: code,
          descriptorB: data,
        };
      case "lldt":
      case "ltr":
        return {
          ...base,
          upperB: operation === "lldt" ? 0n : base.upperB, // QEMU looks at the upper type for LTR only
          // QEMU takes a null selector for LTR, which is #GP(0)
          a: pick([selector(B) & ~3 || B, B, B | 3]),
          b: 0,
          descriptorA: segment,
          descriptorB: system(
            pick([2, 2, 9, 9, 9, 11, ...(wide ? [] : [1, 3]), 0, 12, 0x12]),
            pick([0x67, 0x67, 0x20]),
          ),
        };
      default:
        return {
          ...base,
          a: operation === "load_ss" ? selector(A) & ~3 || A : selector(pick([A, A, B])),
          b: 0,
          descriptorA: segment,
          // LAR and LSL of 16-bit types are invalid in long mode, but not in QEMU
          descriptorB: random(3) ? system(wide ? pick(LONG_TYPES) : random(16), 0x67) : gate(pick([12, 14])),
        };
    }
  });
}

/** The log, cut into cases, without the end mark. */
export function logOf(bytes: readonly number[]): string[] {
  const text = bytes.map((b) => b.toString(16).padStart(2, "0")).join(" ");
  return text
    .replace(/ 99$/, "")
    .split(/(?:^| )c5(?: |$)(?=ee|f0|dd)/)
    .slice(1);
}
