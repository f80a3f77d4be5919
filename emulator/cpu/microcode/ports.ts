// I/O ports: who may use them, and the way to the board. Intel SDM vol. 1, 19.5 (IOPL, the permission bitmap).

import { COPROCESSOR_PORT, MODE_PROTECTED, MODE_V86, TR } from "../layout";
import { loadImplicit } from "./access";
import { attributesOf, baseOf, coreIndex, cpl, faulted, GP, iopl, limitOf, mode, raise } from "./core";
import { notePort } from "./debug";
import { ignoreError } from "./fpu-state";
import { portRead, portWrite } from "./host";
import { trim } from "./physical";
import { serialize } from "./store-buffer";

/** IN: 1, 2 or 4 bytes. Check for a fault after it. */
export function portIn(core: usize, port: u64, bytes: u64): u64 {
  serialize(core);
  if (!permitted(core, <u32>port, <u32>bytes)) return 0;
  notePort(core, <u32>port & 0xffff, <u32>bytes);
  return trim(portRead(coreIndex(core), <u32>port & 0xffff, <u32>bytes), <u32>bytes);
}

/** OUT. */
export function portOut(core: usize, port: u64, bytes: u64, value: u64): u64 {
  serialize(core);
  if (!permitted(core, <u32>port, <u32>bytes)) return 0;
  notePort(core, <u32>port & 0xffff, <u32>bytes);
  if ((port & 0xffff) == COPROCESSOR_PORT) ignoreError(core);
  portWrite(coreIndex(core), <u32>port & 0xffff, <u32>bytes, <u32>trim(value, <u32>bytes));
  return 1;
}

/** Would IN or OUT be allowed? INS asks before it touches memory. 0 after #GP(0), else 1. */
export function portCheck(core: usize, port: u64, bytes: u64): u64 {
  return u64(permitted(core, <u32>port, <u32>bytes));
}

/** CPL <= IOPL outside virtual-8086 mode, else every port must have a clear bit in the TSS's bitmap; #GP(0). */
function permitted(core: usize, port: u32, bytes: u32): bool {
  const m = mode(core);
  if ((m & MODE_V86) == 0 && ((m & MODE_PROTECTED) == 0 || cpl(core) <= iopl(core))) return true;
  const task = (attributesOf(core, TR) >> 8) & 0x1d;
  const limit = limitOf(core, TR);
  // Only the 32- and 64-bit TSS (available or busy: types 9 and 11) has a bitmap.
  if (task == 9 && limit >= 0x67) {
    const map = <u32>loadImplicit(core, baseOf(core, TR) + 0x66, 2);
    if (faulted(core)) return false;
    const at = map + ((port & 0xffff) >> 3);
    if (at + 1 <= limit) {
      const bits = <u32>loadImplicit(core, baseOf(core, TR) + at, 2);
      if (faulted(core)) return false;
      if (((bits >> (port & 7)) & ((1 << bytes) - 1)) == 0) return true;
    }
  }
  raise(core, GP, 0);
  return false;
}
