// Disassembly for people: what stands at an address, in Intel syntax. Reads guest memory without side effects (no
// accessed bits, no faults); what is not mapped is said to be so.

import { MODE_64, MODE_CODE32, MODE_LONG, MODE_PAGING } from "./cpu/layout.js";
import type { CoreState } from "./cpu/state.js";
import { iced } from "./iced.js";

const INSTRUCTION_BYTES_MAX = 15;
const ADDRESS_DIGITS = 16;
const CODE_DIGITS = 20;
const PRESENT = 1n;
const LARGE = 0x80n;
const FRAME = 0x000f_ffff_ffff_f000n;

/** Instructions from `address` on, one a line: address, bytes, text. */
export function disassemble(bytes: Uint8Array, address: bigint, bits: 16 | 32 | 64, count: number): string[] {
  const decoder = new iced.Decoder(bits, bytes, 0);
  const formatter = new iced.Formatter(iced.FormatterSyntax.Intel);
  try {
    decoder.ip = address;
    const lines: string[] = [];
    while (lines.length < count && decoder.canDecode) {
      const start = decoder.position;
      const instruction = decoder.decode();
      const raw = Buffer.from(bytes.subarray(start, decoder.position)).toString("hex");
      lines.push(
        `${instruction.ip.toString(16).padStart(ADDRESS_DIGITS, "0")}  ${raw.padEnd(CODE_DIGITS)}  ${formatter.format(instruction)}`,
      );
      instruction.free();
    }
    return lines;
  } finally {
    formatter.free();
    decoder.free();
  }
}

/** Texts of instructions seen before, by what they depend on. */
const texts = new Map<string, string>();
const TEXTS_MAX = 20_000;

/** One instruction. */
export function instructionText(bytes: Uint8Array, address: bigint, bits: 16 | 32 | 64): string {
  const key = `${bits} ${address.toString(36)} ${Buffer.from(bytes).toString("latin1")}`;
  let text = texts.get(key);
  if (text === undefined) {
    const [line = ""] = disassemble(bytes, address, bits, 1);
    text = line.slice(ADDRESS_DIGITS + 2 + Math.max(CODE_DIGITS, 2 * bytes.length) + 2);
    if (texts.size >= TEXTS_MAX) texts.clear();
    texts.set(key, text);
  }
  return text;
}

/** The next few instructions of a core; RAM only, since its tables and its code mostly lie there. */
export function disassembleCore(core: CoreState, ram: Uint8Array, count = 4): string[] {
  const { mode } = core;
  const bits = (mode & MODE_64) !== 0 ? 64 : (mode & MODE_CODE32) !== 0 ? 32 : 16;
  const linear = bits === 64 ? core.rip : BigInt.asUintN(32, core.segment("cs").base + core.rip);
  const bytes: number[] = [];
  for (let i = 0; i < count * INSTRUCTION_BYTES_MAX; i++) {
    const physical = translate(core, ram, linear + BigInt(i));
    if (physical === null || physical >= BigInt(ram.length)) break;
    bytes.push(ram[Number(physical)]!);
  }
  if (bytes.length === 0) return [`${linear.toString(16).padStart(16, "0")}  not in RAM, or not mapped`];
  return disassemble(Uint8Array.from(bytes), core.rip, bits, count);
}

/** The physical address, or null where the tables have none. Intel SDM vol. 3A, 4.3 to 4.5. */
function translate(core: CoreState, ram: Uint8Array, linear: bigint): bigint | null {
  if ((core.mode & MODE_PAGING) === 0) return linear;
  const cr3 = core.register("cr3");
  const cr4 = core.register("cr4");
  if ((core.mode & MODE_LONG) !== 0) return walk(ram, cr3 & FRAME, linear, 4, 8);
  if ((cr4 & 0x20n) !== 0n) return walk(ram, cr3 & 0xffff_ffe0n, linear, 3, 8);
  return walk(ram, cr3 & 0xffff_f000n, linear, 2, 4);
}

function walk(
  ram: Uint8Array,
  root: bigint,
  linear: bigint,
  levels: number,
  entryBytes: 4 | 8,
): bigint | null {
  const indexBits = entryBytes === 8 ? 9n : 10n;
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  let table = root;
  for (let level = BigInt(levels - 1); level >= 0n; level--) {
    const shift = 12n + indexBits * level;
    const at = Number(table) + Number((linear >> shift) & ((1n << indexBits) - 1n)) * entryBytes;
    if (at + entryBytes > ram.length) return null;
    const entry = entryBytes === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
    if ((entry & PRESENT) === 0n) return null;
    const inPage = (1n << shift) - 1n;
    const leaf = level === 0n || (level < 3n && (entry & LARGE) !== 0n);
    if (leaf) return (entry & FRAME & ~inPage) | (linear & inPage);
    table = entry & FRAME;
  }
  return null;
}

/** What is said of a core that has shut down: where it stood, and on what. */
export function shutdownText(index: number, core: CoreState, ram: Uint8Array): string {
  return [`core ${index} shut down (triple fault)`, core.describe(), ...disassembleCore(core, ram)].join(
    "\n",
  );
}
