// The memory types, on every core alike: Intel SDM vol. 3A, 12.11 "Memory Type Range Registers" and 12.11.8 "MTRR Considerations
// in MP Systems"; AMD APM vol. 2, 7.7. RAM is written back, the ROM below 1 MiB write-protected, video memory and everything
// from the PCI window up uncached. The other cores do it in real mode, in which SIPI starts them, and stop there until a
// kernel starts them anew, as behind any firmware.

import { address } from "../emulator/board/map.js";
import {
  type Assembler,
  ax,
  cl,
  cr0,
  ds,
  dword,
  eax,
  ebx,
  ecx,
  edx,
  type MemoryOperand,
} from "./assembler.js";
import { say } from "./console.js";
import { area, variable } from "./layout.js";

/** The page in the ROM at which the other cores start; its number is the vector. */
export const coreStart = 0xf_e000;

const msr = {
  variable: 0x200,
  fixed64K: 0x250,
  fixed16K: 0x258,
  fixed4K: 0x268,
  defaultType: 0x2ff,
} as const;
const type = { uncached: 0, writeProtected: 5, writeBack: 6 } as const;
/** MTRRdefType: both kinds of ranges are on. */
const ENABLED = 0xc00;
const VALID = 0x800;
const GIB = 2 ** 30;
const MTRR_FEATURE = 1 << 12;
const ADDRESS_SIZES = 0x8000_0008;
const CACHE_DISABLED = 0x4000_0000;
const icr = { init: 0x000c_4500, startUp: 0x000c_4600 } as const; // to all but self
const POLLS = 1 << 28;

/** Each byte of a fixed range register is the type of an eighth of its range. */
const fixed: readonly (readonly [register: number, type: number])[] = [
  [msr.fixed64K, type.writeBack],
  [msr.fixed16K, type.writeBack],
  [msr.fixed16K + 1, type.uncached],
  ...Array.from(
    { length: 8 },
    (_, n) => [msr.fixed4K + n, n < 4 ? type.uncached : type.writeProtected] as const,
  ),
];

/** Sets up this core, and then all others. */
export function setMemoryTypes(a: Assembler): void {
  const { op } = a;
  op.mov(eax, 1);
  op.cpuid();
  op.test(edx, MTRR_FEATURE);
  op.je("setMemoryTypes.end");
  op.mov(eax, cr0);
  op.or(eax, CACHE_DISABLED);
  op.mov(cr0, eax);
  op.wbinvd();
  writeRegisters(a, "own", variable("ramEnd"));
  op.wbinvd();
  op.mov(eax, cr0);
  op.and(eax, ~CACHE_DISABLED >>> 0);
  op.mov(cr0, eax);
  startOthers(a);
  a.label("setMemoryTypes.end");
}

function startOthers(a: Assembler): void {
  const { op } = a;
  op.mov(variable("coresReady"), 1);
  op.cmp(variable("cores"), 1);
  op.je("startOthers.end");
  op.mov(dword(address.localApic + 0x300), icr.init);
  op.mov(dword(address.localApic + 0x300), icr.startUp | (coreStart >> 12));
  op.mov(ecx, POLLS);
  a.label("startOthers.wait");
  op.pause();
  op.mov(eax, variable("coresReady"));
  op.cmp(eax, variable("cores"));
  op.je("startOthers.end");
  op.dec(ecx);
  op.jne("startOthers.wait");
  say(a, "Buslock firmware: not all cores answer\r\n");
  a.label("startOthers.end");
}

/** What the others execute. Caching is off since RESET. */
export function otherCores(a: Assembler): void {
  const { op } = a;
  const inSegment = (operand: MemoryOperand) => dword((operand.displacement as number) - area);
  a.org(coreStart);
  a.bits(16);
  op.cli();
  op.mov(ax, area >> 4);
  op.mov(ds, ax);
  writeRegisters(a, "other", inSegment(variable("ramEnd")));
  op.wbinvd();
  op.mov(eax, 0x10); // ET; caching on
  op.mov(cr0, eax);
  a.bytes(0xf0); // LOCK
  op.inc(inSegment(variable("coresReady")));
  a.label("otherCores.stop");
  op.cli();
  op.hlt();
  op.jmp("otherCores.stop");
}

/** Changes eax, ebx, ecx, edx. */
function writeRegisters(a: Assembler, name: string, ramEnd: MemoryOperand): void {
  const { op } = a;
  const write = (register: number, low: number) => {
    op.mov(ecx, register);
    op.mov(eax, low);
    op.wrmsr();
  };
  for (const [register, kind] of fixed) {
    op.mov(edx, kind * 0x0101_0101);
    write(register, kind * 0x0101_0101);
  }
  // The mask's upper half has as many bits as there are address lines.
  op.mov(eax, ADDRESS_SIZES);
  op.cpuid();
  op.mov(ecx, eax);
  op.mov(ebx, 1);
  op.shl(ebx, cl);
  op.dec(ebx);
  const uncached = (index: number, base: number) => {
    op.xor(edx, edx);
    write(msr.variable + 2 * index, base + type.uncached);
    op.mov(edx, ebx);
    write(msr.variable + 2 * index + 1, 2 ** 32 - GIB + VALID);
  };
  uncached(0, 3 * GIB);
  op.cmp(ramEnd, 2 * GIB);
  op.ja(`writeRegisters.${name}`);
  uncached(1, 2 * GIB);
  a.label(`writeRegisters.${name}`);
  op.xor(edx, edx);
  write(msr.defaultType, ENABLED | type.writeBack);
}
