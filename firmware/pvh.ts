// The hand-over by the PVH boot protocol (Xen documentation, "x86/HVM direct boot ABI"): an ELF image whose note
// names its 32-bit entry, struct hvm_start_info in EBX.

import { type Assembler, dword, eax, ebx, ecx, edi, type MemoryOperand } from "./assembler.js";
import { commandLine, memoryMap, moduleList, startInfo, variable } from "./layout.js";

const START_MAGIC = 0x336e_c578;
const START_VERSION = 1;

/** struct hvm_start_info, version 1, and module 0. */
export function writeStartInfo(a: Assembler): void {
  const { op } = a;
  const put = (at: number, value: number | MemoryOperand) => {
    if (typeof value === "number") op.mov(dword(startInfo + at), value);
    else {
      op.mov(eax, value);
      op.mov(dword(startInfo + at), eax);
    }
  };
  op.mov(edi, startInfo);
  op.mov(ecx, (memoryMap - startInfo) / 4);
  op.xor(eax, eax);
  a.rep.stosd();
  put(0, START_MAGIC);
  put(4, START_VERSION);
  put(24, commandLine);
  put(32, variable("rsdp"));
  put(40, memoryMap);
  put(48, variable("mapEntries"));
  op.cmp(variable("initrdBytes"), 0);
  op.je("writeStartInfo.end");
  put(12, 1);
  put(16, moduleList);
  put(moduleList - startInfo, variable("initrd"));
  put(moduleList - startInfo + 8, variable("initrdBytes"));
  a.label("writeStartInfo.end");
}

/** Registers as the protocol wants them; `leave` does the rest. */
export function pvhRegisters({ op }: Assembler): void {
  op.mov(ebx, startInfo);
}
