// Virtual interrupts: what CR4.VME gives programs in virtual-8086 mode, and CR4.PVI those of level 3 in protected mode,
// where IOPL keeps IF from them. AMD APM vol. 2, 8.10; Intel SDM vol. 3B, 21.3 and 21.4.
//
// CLI and STI are about VIF then; in virtual-8086 mode 16-bit PUSHF, POPF and IRET show it in IF's place, and INT n goes
// to the program's own table where the bitmap below the TSS's I/O bitmap has a zero. What would set VIF while VIP says
// that an interrupt waits is #GP(0).

import { CS, FLAGS_OTHER, MODE_PROTECTED, MODE_V86, REPEATING, RIP, SHADOW, TR } from "../layout";
import { loadImplicit, loadLinear } from "./access";
import {
  attributesOf,
  baseOf,
  CR4_PVI,
  CR4_VME,
  cpl,
  cr4,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  faulted,
  GP,
  iopl,
  limitOf,
  mode,
  otherFlags,
  raise,
  rflags,
  selectorOf,
  setRflags,
} from "./core";
import { setVirtual } from "./segments";
import { commitStack, push, useCurrentStack } from "./stack";

/** IF's place in a pushed image to VIF's in RFLAGS. */
const IF_TO_VIF: u32 = 10;
const WIDE_TASK_LIMIT: u32 = 0x67;
const MAP_FIELD: u32 = 0x66;
const REDIRECTION_BYTES: u32 = 32;

/** IOPL keeps IF from the running code, and it has VIF instead. */
function virtualized(core: usize): bool {
  if (iopl(core) == 3) return false;
  const m = mode(core);
  if (m & MODE_V86) return (cr4(core) & CR4_VME) != 0;
  return (m & MODE_PROTECTED) != 0 && cpl(core) == 3 && (cr4(core) & CR4_PVI) != 0;
}

/** In virtual-8086 mode, whose PUSHF, POPF and IRET are virtualized as well. */
export function virtualImages(core: usize): u64 {
  return u64((mode(core) & MODE_V86) != 0 && virtualized(core));
}

/** CLI and STI beyond IOPL. 0: that is #GP(0). */
export function virtualFlag(core: usize, set: u64): u64 {
  const flags = otherFlags(core);
  if (!virtualized(core) || (set != 0 && (flags & FLAG_VIP) != 0)) return 0;
  store<u64>(core, set ? flags | FLAG_VIF : flags & ~FLAG_VIF, FLAGS_OTHER);
  return 1;
}

/** FLAGS as PUSHF and a redirected INT n push them beyond IOPL. */
function virtualImage(flags: u64): u64 {
  return (flags & ~FLAG_IF) | ((flags & FLAG_VIF) >> IF_TO_VIF) | FLAG_IOPL;
}

/** POPF and IRET of 16 bits beyond IOPL: VIF is the image's IF. 0: that is #GP(0). */
export function virtualPop(core: usize, image: u64): u64 {
  if (!virtualImages(core) || (image & FLAG_TF) != 0) return 0;
  return virtualFlag(core, image & FLAG_IF);
}

/** An instruction that begins with VIF and VIP set is #GP(0): what IRET and task switches may lead to (21.3.2). */
export function virtualInterruptWaits(core: usize): bool {
  const both = FLAG_VIF | FLAG_VIP;
  return (otherFlags(core) & both) == both && virtualized(core);
}

/** INT n in virtual-8086 mode under CR4.VME: is it the program's own? Check for a fault after it. */
export function redirected(core: usize, vector: u32): bool {
  const limit = limitOf(core, TR);
  const wide = ((attributesOf(core, TR) >> 8) & 8) != 0;
  if (!wide || limit < WIDE_TASK_LIMIT) return refuse(core);
  const map = <u32>loadImplicit(core, baseOf(core, TR) + MAP_FIELD, 2);
  if (faulted(core)) return false;
  const at = map - REDIRECTION_BYTES + (vector >> 3);
  if (at > limit) return refuse(core);
  const bits = <u32>loadImplicit(core, baseOf(core, TR) + at, 1);
  return !faulted(core) && ((bits >> (vector & 7)) & 1) == 0;
}

function refuse(core: usize): bool {
  raise(core, GP, 0);
  return false;
}

/** To the handler that the table at linear address 0 names, as in real mode. False after a fault. */
export function enterRedirected(core: usize, vector: u32, next: u64): bool {
  const far = <u32>loadLinear(core, vector << 2, 4, 0);
  if (faulted(core)) return false;
  const flags = rflags(core);
  const own = iopl(core) == 3;
  useCurrentStack(core, 0);
  if (!push(core, 2, own ? flags : virtualImage(flags))) return false;
  if (!push(core, 2, selectorOf(core, CS)) || !push(core, 2, next)) return false;
  commitStack(core);
  setVirtual(core, CS, far >> 16);
  setRflags(core, flags & ~(FLAG_TF | FLAG_RF | (own ? FLAG_IF : FLAG_VIF)));
  store<u64>(core, far & 0xffff, RIP);
  store<u32>(core, 0, SHADOW);
  store<u32>(core, 0, REPEATING);
  return true;
}
