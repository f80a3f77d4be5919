// Section .debug_frame (DWARF 4, 6.4): how a debugger walks the stack of functions that have no frame pointer, from the first
// instruction of their bodies on, or within their prologues.
import { RAX, RBP, RBX, RCX, RDI, RDX, type Reg, RSI, RSP } from "./assembler.js";

export interface FunctionFrame {
  readonly address: bigint;
  readonly bytes: number;
  /** Registers that it pushes, in order; then it makes room for so many words. */
  readonly saved: readonly Reg[];
  readonly slots: number;
}

/** DWARF's numbers (System V ABI for AMD64, figure 3.36): below R8 they have an order of their own. */
const numbers = [RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP];
const numberOf = (reg: Reg) => (reg < 8 ? numbers.indexOf(reg) : reg);
const RETURN_ADDRESS = 16;

const DW_CFA_advance_loc = 0x40;
const DW_CFA_offset = 0x80;
const DW_CFA_def_cfa = 0x0c;
const DW_CFA_def_cfa_offset = 0x0e;

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >> 7)];
}

/** A record with its length before it, filled up with DW_CFA_nop. */
function record(head: readonly number[], code: readonly number[]): number[] {
  const body = [...head, ...code];
  while ((body.length + 4) % 8 !== 0) body.push(0);
  return [...new Uint8Array(Uint32Array.of(body.length).buffer), ...body];
}

function codeOf({ saved, slots }: FunctionFrame): number[] {
  const code: number[] = [];
  let words = 1;
  for (const reg of saved) {
    words++;
    const pushBytes = reg < 8 ? 1 : 2;
    code.push(DW_CFA_advance_loc | pushBytes, DW_CFA_def_cfa_offset, ...unsigned(8 * words));
    code.push(DW_CFA_offset | numberOf(reg), ...unsigned(words));
  }
  if (slots > 0) {
    const subBytes = 8 * slots <= 127 ? 4 : 7;
    code.push(DW_CFA_advance_loc | subBytes, DW_CFA_def_cfa_offset, ...unsigned(8 * (words + slots)));
  }
  return code;
}

export function debugFrame(functions: readonly FunctionFrame[]): Uint8Array {
  const version = [0xff, 0xff, 0xff, 0xff, 1, 0];
  // Code in bytes, data in words downwards (-8 as SLEB128).
  const common = record(
    [...version, 1, 0x78, RETURN_ADDRESS],
    [DW_CFA_def_cfa, numberOf(RSP), 8, DW_CFA_offset | RETURN_ADDRESS, 1],
  );
  const each = functions.flatMap((f) => {
    const place = new Uint8Array(BigUint64Array.of(f.address, BigInt(f.bytes)).buffer);
    return record([0, 0, 0, 0, ...place], codeOf(f));
  });
  return Uint8Array.from([...common, ...each]);
}
