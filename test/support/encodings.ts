// Random encodings of instructions with a memory operand, in every form of address of 64-bit mode, and what they start
// from, for the kernel's readings of instructions (locked.ts, access.ts) against the emulator's processor.
import type { CoreState } from "../../emulator/cpu/state.js";

export const frameOrder =
  "r15 r14 r13 r12 r11 r10 r9 r8 rbp rdi rsi rdx rcx rbx rax vector error rip cs rflags rsp ss".split(" ");
export const names = [..."rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ")] as (
  | "rax"
  | "rcx"
)[]; // and the others
export const AREA = 0x2_0000;
export const END = 0xc0_0000;
/** No RAM there: the board's devices. */
const HOLE = 0xa_0000n;
const HOLE_END = 0x10_0000n;
export const FS = 0x3000n;
export const GS = 0x5000n;

export const ALL_FLAGS = 0x8d5n;
export const LOGIC = ALL_FLAGS & ~0x10n; // AF is undefined

export interface Encoding {
  name: string;
  opcode: number[];
  /** Of the ModRM byte; none: any register. */
  field?: number;
  /** Bytes of the immediate operand; "z" is 4, or 2 with the operand-size prefix. */
  immediate?: 1 | "z";
  /** Those that are defined. */
  flags: bigint;
  /** A prefix that belongs to the opcode. */
  prefix?: number[];
  lock?: "must" | "may" | "never";
}

export function encode(kind: Encoding, next: (limit: number) => number): number[] {
  const bytes: number[] = [];
  const short = kind.prefix === undefined && next(4) === 0;
  if (next(4) === 0) bytes.push(0x64 + next(2));
  if (short) bytes.push(0x66);
  if (next(8) === 0) bytes.push(0x67);
  bytes.push(...(kind.prefix ?? []));
  const lock = kind.lock ?? "must";
  if (lock === "must" || (lock === "may" && next(2) === 0)) bytes.push(0xf0);
  if (next(2) === 0) bytes.push(0x40 | next(16));
  const mod = next(3);
  const rm = next(8);
  bytes.push(...kind.opcode, (mod << 6) | ((kind.field ?? next(8)) << 3) | rm);
  let sib = 0;
  if (rm === 4) {
    sib = next(256);
    bytes.push(sib);
  }
  const far = (rm === 4 && mod === 0 && (sib & 7) === 5) || (rm === 5 && mod === 0) || mod === 2;
  const displacement = next(2) === 0 ? AREA + 8 * next(100) : -8 * next(16);
  if (far) for (let i = 0; i < 4; i++) bytes.push((displacement >> (8 * i)) & 255);
  else if (mod === 1) bytes.push(next(256));
  const wide = bytes.some((byte, i) => byte >= 0x48 && byte < 0x50 && bytes[i + 1] === kind.opcode[0]);
  const size = kind.immediate === "z" ? (short && !wide ? 2 : 4) : (kind.immediate ?? 0);
  for (let i = 0; i < size; i++) bytes.push(next(256));
  return bytes;
}

export const registerValue = (next: (limit: number) => number): bigint => {
  const which = next(4);
  if (which === 0) return BigInt(next(64));
  if (which === 1) return (BigInt(next(2 ** 32)) << 32n) | BigInt(next(2 ** 32));
  return BigInt(AREA + 8 * next(0x4000));
};

export const inHole = (address: bigint): boolean => address >= HOLE && address < HOLE_END;

export function setSegments(state: CoreState): void {
  for (const [name, base] of [
    ["fs", FS],
    ["gs", GS],
  ] as const)
    state.setSegment(name, { selector: 0, base, limit: 0xffff_ffff, attributes: 0xc0_9300 });
}
