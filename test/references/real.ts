// Cases in real mode: how the monitor goes there from protected mode, with segments of 64 KiB or (a field of the case)
// of 4 GiB, and how an exception comes back. The code of real mode uses no byte of the case's stack; what the processor
// pushed stays there, and IRET takes it when the case goes on.

import { assembleWithLabels } from "../../emulator/assembler.js";
import {
  CR0_PLAIN, ENTRY, type Field, FOUND, field, GENERAL, MONITOR_STACK, REAL_CODE, REAL_CODE_BYTES, REAL_SEGMENT, VECTORS,
} from "./layout.js"; // biome-ignore format: a list
import { selectors } from "./tables.js";

/** The value of the field `real`: the limits of the data segments. */
export const REAL = 1;
export const UNREAL = 2;

const inSegment = (address: number) => address - (REAL_SEGMENT << 4);
const origin = inSegment(REAL_CODE);
const entry = (name: Field) => `cs:[${inSegment(ENTRY) + field[name]}]`;
/** What an event found, as dwords. */
const names = [
  ...GENERAL.legacy,
  "rsp",
  "ss",
  "ds",
  "es",
  "fs",
  "gs",
  "cr0",
  "ip",
  "cs",
  "flags",
  "vector",
  "again",
] as const;
type Name = (typeof names)[number];
const found = (name: Name) => `cs:[${inSegment(FOUND) + 4 * names.indexOf(name)}]`;
const foundFlat = (name: Name) => `dword ptr [${FOUND + 4 * names.indexOf(name)}]`;
const low = (name: string) => `e${name.slice(1)}`;
const segments = ["ds", "es", "fs", "gs"] as const;
const vectors = Array.from({ length: VECTORS }, (_, v) => v);

const loaded = (
  from: (name: "ss" | (typeof segments)[number] | (typeof GENERAL.legacy)[number] | "rsp") => string,
) =>
  [
    ...segments.map((s) => `mov ${s}, word ptr ${from(s)}`),
    `mov ss, word ptr ${from("ss")}`,
    `mov esp, ${from("rsp")}`,
    ...GENERAL.legacy.map((name) => `mov ${low(name)}, ${from(name)}`),
  ].join("\n");

const code = (back: number) => `
  table: ${vectors.map((v) => `dw vector${v}`).join("\n")}
  pointer: dw 0x3ff
  dd 0
  enter:
  mov eax, ${entry("cr0")}
  and al, 0xfe
  mov cr0, eax
  jmp ${REAL_SEGMENT}:entered
  entered:
  cmp dword ptr ${found("again")}, 0
  jne goOn
  mov ax, cs;; mov ss, ax;; mov esp, ${inSegment(MONITOR_STACK)}
  push dword ptr ${entry("flags")}
  popfd
  ${loaded(entry)}
  db 0x2e, 0x66, 0xff, 0x2e
  dw ${inSegment(ENTRY) + field.rip}
  goOn:
  ${loaded(found)}
  iret
  ${vectors.map((v) => `vector${v}: mov byte ptr ${found("vector")}, ${v};; jmp event`).join("\n")}
  event:
  ${[...GENERAL.legacy, "rsp" as const].map((name) => `mov ${found(name)}, ${low(name)}`).join("\n")}
  ${["ss" as const, ...segments].map((s) => `mov word ptr ${found(s)}, ${s}`).join("\n")}
  mov eax, cr0;; mov ${found("cr0")}, eax
  mov bp, sp
  mov ax, [bp];; mov ${found("ip")}, ax
  mov ax, [bp+2];; mov ${found("cs")}, ax
  mov ax, [bp+4];; mov ${found("flags")}, ax
  mov eax, ${CR0_PLAIN.legacy}
  mov cr0, eax
  db 0x66, 0xea
  dd ${back}
  dw ${selectors.code}`;

/** The code of real mode, given where the monitor's `fromReal` is. */
export function realCode(back: number): Uint8Array {
  const { bytes } = assembleWithLabels(code(back), { bits: 16, origin });
  if (bytes.length > REAL_CODE_BYTES) throw new Error(`the code of real mode has ${bytes.length} bytes`);
  return bytes;
}
const labels = assembleWithLabels(code(0), { bits: 16, origin }).labels;
const flatAddress = (label: string) => (REAL_SEGMENT << 4) + Number(labels.get(label));

/** Protected-mode code: the vectors of real mode, its segments' limits, and there. */
export const toReal = `
  real:
  mov ${foundFlat("again")}, 0
  mov ${foundFlat("vector")}, 0
  mov eax, [${ENTRY + field.dr7}];; mov dr7, eax
  realAgain:
  mov ax, ${selectors.data};; mov es, ax
  mov esi, ${REAL_CODE}
  xor edi, edi
  mov ecx, ${VECTORS}
  vector: movzx eax, word ptr [esi]
  or eax, ${REAL_SEGMENT * 0x1_0000}
  stosd
  add esi, 2
  dec ecx
  jnz vector
  lidt [${flatAddress("pointer")}]
  mov eax, ${selectors.data}
  cmp dword ptr [${ENTRY + field.real}], ${UNREAL}
  je unreal
  mov eax, ${selectors.data16}
  unreal: mov ds, ax;; mov es, ax;; mov fs, ax;; mov gs, ax;; mov ss, ax
  db 0xea
  dd ${labels.get("enter")}
  dw ${selectors.realCode}`;

/** Protected-mode code behind an event of real mode: the words that an event has in protected mode, flags with VM set. */
export const fromReal = `
  fromReal:
  mov ax, ${selectors.data}
  mov ds, ax;; mov es, ax;; mov ss, ax
  mov esp, ${MONITOR_STACK}
  mov ${foundFlat("again")}, 1
  or ${foundFlat("flags")}, 0x20000
  ${(["gs", "fs", "ds", "es", "ss", "rsp", "flags", "cs", "ip"] as const).map((name) => `push ${foundFlat(name)}`).join("\n")}
  push 0x55
  push ${foundFlat("vector")}
  ${[...GENERAL.legacy]
    .reverse()
    .map((name) => `push ${foundFlat(name)}`)
    .join("\n")}
  push 0;; push 0;; push 0;; push 0
  mov eax, ${foundFlat("cr0")}
  mov ebx, cr3
  mov ecx, cr4
  jmp told`;
