// The kernel's machine code that is not generated from wasm: entry by PVH (Xen's x86/HVM direct boot ABI),
// the start of further cores, the entries of traps and SYSCALL, stack switching and access to user memory.
// Instructions and descriptors: AMD APM volume 2 (long mode activation, SYSCALL, SWAPGS, interrupts).
//
// Invariants: R15 holds DIRECT_MAP whenever generated code runs; GS is the core's block there, and the
// user's outside; interrupts are off wherever GS or RSP is not yet, or no longer, the kernel's.
import {
  Assembler,
  type Chunk,
  Label,
  type Memory,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  r,
} from "./assembler.js";
import { symbolOf } from "./symbols.js";

export const DIRECT_MAP = 0xffff_8000_0000_0000n;
export const BOOT_STACK_BYTES = 0x4000;

/** Selectors (ARCHITECTURE.md); the user's with privilege level 3. */
const KERNEL_CODE = 8;
const KERNEL_DATA = 16;
const USER_DATA = 32 | 3;
const USER_CODE = 40 | 3;

const CR4_BOOT = (1 << 5) | (1 << 7) | (1 << 9) | (1 << 10); // PAE PGE OSFXSR OSXMMEXCPT
const CR0_BOOT = 0x8005_0033; // PG AM WP NE ET MP PE
const EFER = 0xc000_0080;
const EFER_BOOT = (1 << 0) | (1 << 8) | (1 << 11); // SCE LME NXE
const GS_BASE = 0xc000_0101;

/** TrapFrame (kernel/frame.ts): the general registers in the order in which they are pushed. */
const pushed = [RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15];
const frameSlot = (reg: number): Memory => ({ base: RSP, displacement: 8 * (14 - pushed.indexOf(reg)) });
const frame = {
  rip: { base: RSP, displacement: 136 },
  cs: { base: RSP, displacement: 144 },
  rflags: { base: RSP, displacement: 152 },
  rsp: { base: RSP, displacement: 160 },
  ss: { base: RSP, displacement: 168 },
} as const;

const SYSCALL_VECTOR = 256;
/** Vectors that push an error code (Intel SDM volume 3, 6.13; AMD APM volume 2, 8.2 for 29 and 30). */
const withError = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
/** #DB, NMI, #DF and #MC arrive at any instruction, also between SWAPGS and the rest. */
const paranoid = new Set([1, 2, 8, 18]);

function chunk(name: string, write: (a: Assembler) => void, bitness: 16 | 32 | 64 = 64, align = 16): Chunk {
  const a = new Assembler(bitness);
  write(a);
  return a.finish(name, align);
}

// --- Boot ---

/** Null, kernel code and data, user code 32 (unused), user data, user code 64. */
const descriptors = [
  0n,
  0x00af_9a00_0000_ffffn,
  0x00cf_9200_0000_ffffn,
  0x00cf_fa00_0000_ffffn,
  0x00cf_f200_0000_ffffn,
  0x00af_fa00_0000_ffffn,
];

const bootDescriptors = chunk("boot gdt", (a) => {
  a.raw(new Uint8Array(BigUint64Array.from(descriptors).buffer));
});

/** Operand of LGDT: limit and base, the base of 32 bits (physical) or 64 (virtual). */
function descriptorPointer(a: Assembler, bits: 32 | 64): void {
  const limit = descriptors.length * 8 - 1;
  a.raw([limit & 0xff, limit >> 8]);
  a.cell("boot gdt", bits);
}

const bootDescriptorPointers = [
  chunk("boot gdt pointer 32", (a) => descriptorPointer(a, 32), 64, 4),
  chunk("boot gdt pointer 64", (a) => descriptorPointer(a, 64), 64, 4),
];

/** Paging on with long mode at once, from protected or real mode; the page-table root is in EAX. */
function enterLongMode(a: Assembler): void {
  a.special("Mov_cr_r32", "CR3", "EAX");
  a.constant(r(RAX), CR4_BOOT);
  a.special("Mov_cr_r32", "CR4", "EAX");
  a.constant(r(RCX), EFER);
  a.plain("Rdmsr");
  a.op("Or", 32, r(RAX), EFER_BOOT);
  a.plain("Wrmsr");
  a.constant(r(RAX), CR0_BOOT);
  a.special("Mov_cr_r32", "CR0", "EAX");
}

/** 32-bit protected mode, paging off, EBX the physical address of hvm_start_info. */
const pvhEntry = chunk(
  "pvh entry",
  (a) => {
    a.plain("Cli", "Cld");
    a.address(r(RAX), "boot gdt pointer 32");
    a.op("Lgdt", 32, { base: RAX });
    a.address(r(RAX), "boot pml4");
    enterLongMode(a);
    a.farJump(KERNEL_CODE, "boot entry");
  },
  32,
);

/** From the identity mapping to the direct map, with the kernel's segments. */
function settleInLongMode(a: Assembler, high: string): void {
  a.address(r(RAX), high, 64);
  a.op("Jmp", 64, r(RAX));
  a.symbol(high);
  a.constant(r(R15), DIRECT_MAP);
  a.op("Lgdt", 64, { base: R15, symbol: "boot gdt pointer 64" });
  a.constant(r(RAX), KERNEL_DATA);
  for (const segment of ["SS", "DS", "ES"] as const) a.special("Mov_Sreg_r32m16", segment, "EAX");
  a.constant(r(RAX), 0);
  for (const segment of ["FS", "GS"] as const) a.special("Mov_Sreg_r32m16", segment, "EAX");
}

const bootEntry = (start: number | undefined): Chunk =>
  chunk("boot entry", (a) => {
    settleInLongMode(a, "boot entry high");
    a.address(r(RSP), "boot stack", 64, BOOT_STACK_BYTES);
    if (start !== undefined) a.call(symbolOf.function(start));
    a.op("Mov", 32, r(RDI), r(RBX));
    a.call(symbolOf.exported("boot"));
    a.plain("Ud2");
  });

/** Identity and direct map of the first 4 GiB by 2 MiB pages: PML4 slots 0 and 256 share one PDPT. */
const bootTables = chunk(
  "boot pml4",
  (a) => {
    const entry = (symbol: string) => {
      a.cell(symbol, 32, 3); // present, writable
      a.raw(new Uint8Array(4));
    };
    for (let slot = 0; slot < 512; slot++) {
      if (slot === 0 || slot === 256) entry("boot pdpt");
      else a.raw(new Uint8Array(8));
    }
    a.symbol("boot pdpt");
    for (let gigabyte = 0; gigabyte < 4; gigabyte++) entry(`boot directory ${gigabyte}`);
    a.raw(new Uint8Array(8 * 508));
    for (let gigabyte = 0; gigabyte < 4; gigabyte++) {
      a.symbol(`boot directory ${gigabyte}`);
      const pages = Array.from({ length: 512 }, (_, page) => BigInt(gigabyte * 512 + page) << 21n);
      // present, writable, page size
      a.raw(new Uint8Array(BigUint64Array.from(pages, (page) => page | 0x83n).buffer));
    }
  },
  64,
  4096,
);

/** Offsets in the page that the start code is copied to (kernel/arch.ts). */
const START_ROOT = 0xff4;
const START_STACK = 0xff8;
/** The LGDT operand stands behind the first jump. */
const START_GDT_POINTER = 2;

/** Real mode, CS = page / 16, IP = 0, after a start-up interprocessor interrupt. */
const coreStart = chunk(
  "core start",
  (a) => {
    const begin = new Label();
    a.jump(begin);
    descriptorPointer(a, 32);
    a.bind(begin);
    a.plain("Cli", "Cld");
    a.special("Mov_rm16_Sreg", "AX", "CS");
    a.special("Mov_Sreg_rm16", "DS", "AX");
    a.extend("Movzx", 32, 16, r(RSI), r(RAX));
    a.shift("Shl", 32, r(RSI), 4);
    a.op("Lgdt", 16, { displacement: START_GDT_POINTER });
    a.op("Mov", 32, r(RAX), { displacement: START_ROOT });
    enterLongMode(a);
    a.farJump(KERNEL_CODE, "core entry");
  },
  16,
);

const coreEntry = chunk("core entry", (a) => {
  settleInLongMode(a, "core entry high");
  a.op("Mov", 32, r(RSI), r(RSI));
  a.op("Mov", 64, r(RSP), { base: R15, index: RSI, displacement: START_STACK });
  a.op("Add", 64, r(RSP), r(R15));
  a.call(symbolOf.exported("bootCore"));
  a.plain("Ud2");
});

// --- Traps ---

const trapVectors = chunk("trap vectors", (a) => {
  for (let vector = 0; vector < 256; vector++) {
    a.symbol(`trap ${vector}`);
    if (!withError.has(vector)) a.op("Pushq", 64, 0);
    a.op("Pushq", 64, vector);
    a.jumpTo(paranoid.has(vector) ? "paranoid entry" : "trap entry");
  }
});

const trapTable = chunk("trap stub table", (a) => {
  for (let vector = 0; vector < 256; vector++) a.cell(`trap ${vector}`, 64);
});

function pushRegisters(a: Assembler): void {
  for (const reg of pushed) a.op("Push", 64, r(reg));
  a.plain("Cld");
}

function popRegisters(a: Assembler): void {
  for (const reg of [...pushed].reverse()) a.op("Pop", 64, r(reg));
}

/** Calls an exported function with the frame's wasm address. */
function callWithFrame(a: Assembler, name: string): void {
  a.constant(r(R15), DIRECT_MAP);
  a.op("Mov", 64, r(RDI), r(RSP));
  a.op("Sub", 64, r(RDI), r(R15));
  a.call(symbolOf.exported(name));
}

const trapEntry = chunk("trap entry", (a) => {
  const [fromKernel, ready] = [new Label(), new Label()];
  pushRegisters(a);
  a.op("Test", 8, frame.cs, 3);
  a.jumpIf("e", fromKernel);
  a.plain("Swapgs");
  a.bind(ready);
  callWithFrame(a, "trap");
  a.jumpTo("trap return");
  // A fault of the IRETQ that returns to the user comes from the kernel, but with the user's GS.
  a.bind(fromKernel);
  a.address(r(RAX), "return to user", 64);
  a.op("Cmp", 64, frame.rip, r(RAX));
  a.jumpIf("ne", ready);
  a.plain("Swapgs");
  a.jump(ready);
});

const trapReturn = chunk("trap return", (a) => {
  const toKernel = new Label();
  a.plain("Cli");
  a.op("Test", 8, frame.cs, 3);
  a.jumpIf("e", toKernel);
  a.plain("Swapgs");
  popRegisters(a);
  a.op("Add", 64, r(RSP), 16);
  a.symbol("return to user");
  a.plain("Iretq");
  a.bind(toKernel);
  popRegisters(a);
  a.op("Add", 64, r(RSP), 16);
  a.plain("Iretq");
});

/** The kernel's GS base lies in the upper half, a user's never does; RBX remembers what was found. */
const paranoidEntry = chunk("paranoid entry", (a) => {
  const [kernelBase, keepBase] = [new Label(), new Label()];
  pushRegisters(a);
  a.constant(r(RCX), GS_BASE);
  a.plain("Rdmsr");
  a.op("Xor", 32, r(RBX), r(RBX));
  a.op("Test", 32, r(RDX), r(RDX));
  a.jumpIf("s", kernelBase);
  a.plain("Swapgs");
  a.constant(r(RBX), 1);
  a.bind(kernelBase);
  callWithFrame(a, "trap");
  a.plain("Cli");
  a.op("Test", 32, r(RBX), r(RBX));
  a.jumpIf("e", keepBase);
  a.plain("Swapgs");
  a.bind(keepBase);
  popRegisters(a);
  a.op("Add", 64, r(RSP), 16);
  a.plain("Iretq");
});

/** The core's block (kernel/arch.ts): kernel stack top and a cell for the user's stack pointer. */
const blockKernelStack: Memory = { displacement: 8, segment: "gs" };
const blockScratch: Memory = { displacement: 16, segment: "gs" };
const RFLAGS_TF_RF = 0x1_0100;

const syscallEntry = chunk("syscall entry", (a) => {
  a.plain("Swapgs");
  a.op("Mov", 64, blockScratch, r(RSP));
  a.op("Mov", 64, r(RSP), blockKernelStack);
  a.op("Pushq", 64, USER_DATA);
  a.op("Push", 64, blockScratch);
  a.op("Push", 64, r(R11));
  a.op("Pushq", 64, USER_CODE);
  a.op("Push", 64, r(RCX));
  a.op("Pushq", 64, 0);
  a.op("Pushq", 64, SYSCALL_VECTOR);
  pushRegisters(a);
  callWithFrame(a, "syscall");
  a.plain("Cli");
  // SYSRETQ takes RIP from RCX and RFLAGS from R11, and faults in ring 0 when RIP is not canonical. When
  // the frame asks for anything else, IRETQ returns.
  const byInterruptReturn = new Label();
  a.op("Mov", 64, r(RCX), frame.rip);
  a.op("Cmp", 64, r(RCX), frameSlot(RCX));
  a.jumpIf("ne", byInterruptReturn);
  a.op("Mov", 64, r(R11), frame.rflags);
  a.op("Cmp", 64, r(R11), frameSlot(R11));
  a.jumpIf("ne", byInterruptReturn);
  a.op("Test", 32, r(R11), RFLAGS_TF_RF);
  a.jumpIf("ne", byInterruptReturn);
  a.shift("Shr", 64, r(RCX), 47);
  a.jumpIf("ne", byInterruptReturn);
  a.op("Cmp", 64, frame.cs, USER_CODE);
  a.jumpIf("ne", byInterruptReturn);
  a.op("Cmp", 64, frame.ss, USER_DATA);
  a.jumpIf("ne", byInterruptReturn);
  a.plain("Swapgs");
  popRegisters(a);
  a.op("Mov", 64, r(RSP), { base: RSP, displacement: 40 });
  a.plain("Sysretq");
  a.bind(byInterruptReturn);
  a.jumpTo("trap return");
});

// --- Stacks ---

const preserved = [RBP, RBX, R12, R13, R14];

const switchStack = chunk("switchStack", (a) => {
  for (const reg of preserved) a.op("Push", 64, r(reg));
  a.op("Mov", 64, { base: R15, index: RDI }, r(RSP));
  a.op("Mov", 64, r(RSP), r(RSI));
  for (const reg of [...preserved].reverse()) a.op("Pop", 64, r(reg));
  a.plain("Retnq");
});

const newStack = chunk("newStack", (a) => {
  // What switchStack pops: the preserved registers as zeros, then the return address; above it, a zero
  // where the entry's own return address would be.
  const bytes = 8 * (preserved.length + 2);
  a.op("Lea", 64, r(RAX), { base: R15, index: RDI, displacement: -bytes });
  preserved.forEach((_, n) => {
    a.op("Mov", 64, { base: RAX, displacement: 8 * n }, 0);
  });
  a.address(r(RCX), "thread entry", 64);
  a.op("Mov", 64, { base: RAX, displacement: 8 * preserved.length }, r(RCX));
  a.op("Mov", 64, { base: RAX, displacement: 8 * preserved.length + 8 }, 0);
  a.plain("Retnq");
});

const threadEntry = chunk("thread entry", (a) => {
  a.plain("Cli");
  a.call(symbolOf.exported("threadMain"));
  a.plain("Ud2");
});

const resume = chunk("resume", (a) => {
  a.plain("Cli");
  a.op("Lea", 64, r(RSP), { base: R15, index: RDI });
  a.jumpTo("trap return");
});

const reloadCodeSegment = chunk("reload cs", (a) => {
  a.op("Pop", 64, r(RAX));
  a.op("Pushq", 64, KERNEL_CODE);
  a.op("Push", 64, r(RAX));
  a.plain("Retfq");
});

// --- Checks ---

/** (sum EDI, address ESI, bytes EDX): a line a round, then what is left of one. */
const crc32c = chunk("crc32c", (a) => {
  const [block, lines, line] = [new Label(), new Label(), new Label()];
  const words = new Label();
  const sums = (count: number) => {
    for (let at = 0; at < 8 * count; at += 8) a.op("Crc32", 64, r(RAX), { base: RSI, displacement: at });
    a.op("Add", 64, r(RSI), 8 * count);
  };
  a.op("Mov", 32, r(RAX), r(RDI));
  a.op("Mov", 32, r(RSI), r(RSI));
  a.op("Add", 64, r(RSI), r(R15));
  // 512 bytes at a time: the checks of pages are the longest.
  a.op("Mov", 32, r(RCX), r(RDX));
  a.shift("Shr", 32, r(RCX), 9);
  a.jumpIf("e", lines);
  a.bind(block);
  sums(64);
  a.op("Sub", 32, r(RCX), 1);
  a.jumpIf("ne", block);
  a.bind(lines);
  a.op("Mov", 32, r(RCX), r(RDX));
  a.shift("Shr", 32, r(RCX), 6);
  a.op("And", 32, r(RCX), 7);
  a.jumpIf("e", words);
  a.bind(line);
  sums(8);
  a.op("Sub", 32, r(RCX), 1);
  a.jumpIf("ne", line);
  a.bind(words);
  for (const count of [4, 2, 1]) {
    const less = new Label();
    a.op("Test", 32, r(RDX), 8 * count);
    a.jumpIf("e", less);
    sums(count);
    a.bind(less);
  }
  a.plain("Retnq");
});

// --- User memory ---

/** Fails unless all of [address, address + RDX) lies in the lower canonical half. */
function refuseKernelAddress(a: Assembler, address: number, refused: Label): void {
  a.op("Lea", 64, r(RCX), { base: address, index: RDX });
  a.op("Or", 64, r(RCX), r(address));
  a.shift("Shr", 64, r(RCX), 47);
  a.jumpIf("ne", refused);
}

/** REP MOVSB leaves in RCX what it has not copied, whether it ends or faults. */
function copyStub(name: string, user: number, linear: number): Chunk {
  return chunk(name, (a) => {
    const refused = new Label();
    a.op("Mov", 32, r(RAX), r(RDX));
    refuseKernelAddress(a, user, refused);
    a.op("Mov", 32, r(RCX), r(RDX));
    a.op("Add", 64, r(linear), r(R15));
    a.symbol(`${name} fault`);
    a.repeat("Movsb");
    a.symbol(`${name} fixup`);
    a.op("Mov", 32, r(RAX), r(RCX));
    a.bind(refused);
    a.plain("Retnq");
  });
}

const userCompareExchange = chunk("userCompareExchange32", (a) => {
  const failed = new Label();
  a.op("Mov", 64, r(RAX), r(RDI));
  a.shift("Shr", 64, r(RAX), 47);
  a.jumpIf("ne", failed);
  a.op("Mov", 32, r(RAX), r(RSI));
  a.symbol("userCompareExchange32 fault");
  a.op("Cmpxchg", 32, { base: RDI }, r(RDX), true);
  a.op("Mov", 32, { base: R15, index: RCX }, r(RAX));
  a.constant(r(RAX), 1);
  a.plain("Retnq");
  a.symbol("userCompareExchange32 fixup");
  a.bind(failed);
  a.constant(r(RAX), 0);
  a.plain("Retnq");
});

/** The exception table: where the kernel may fault on a user address, and where it goes on. */
const mayFault = ["copyFromUser", "copyToUser", "userCompareExchange32"];

const fixupFor = chunk("fixupFor", (a) => {
  const found = new Label();
  for (const name of mayFault) {
    a.address(r(RAX), `${name} fault`, 64);
    a.op("Cmp", 64, r(RDI), r(RAX));
    a.address(r(RAX), `${name} fixup`, 64);
    a.jumpIf("e", found);
  }
  a.constant(r(RAX), 0);
  a.bind(found);
  a.plain("Retnq");
});

/** In place of a frame (kernel/panic.ts): nothing called this code; a TrapFrame lies on the end of the stack. */
const NO_CALLER = 0xffff_ffff;
const TRAP_FRAME = 0xffff_fffe;
const stubFrames = new Map([
  ...["boot entry", "core entry", "thread entry"].map((name) => [name, NO_CALLER] as const),
  ...["trap entry", "paranoid entry", "syscall entry"].map((name) => [name, TRAP_FRAME] as const),
]);

export interface Stubs {
  readonly text: readonly Chunk[];
  readonly readOnly: readonly Chunk[];
  readonly data: readonly Chunk[];
  /** By chunk, where there is one; no other stub calls anything. */
  readonly frames: ReadonlyMap<string, number>;
}

/** Exports that the stubs call. */
export const kernelExports = ["boot", "bootCore", "trap", "syscall", "threadMain"] as const;

/** All stubs of the kernel; `start` is the module's start function. */
export function kernelStubs(start: number | undefined): Stubs {
  return {
    text: [
      pvhEntry,
      bootEntry(start),
      coreEntry,
      trapVectors,
      trapEntry,
      trapReturn,
      paranoidEntry,
      syscallEntry,
      switchStack,
      newStack,
      threadEntry,
      resume,
      reloadCodeSegment,
      crc32c,
      copyStub("copyFromUser", RSI, RDI),
      copyStub("copyToUser", RDI, RSI),
      userCompareExchange,
      fixupFor,
    ],
    readOnly: [bootDescriptors, ...bootDescriptorPointers, coreStart, trapTable],
    data: [bootTables],
    frames: stubFrames,
  };
}

/** Size of the start code, which is a symbol's value for the linker. */
export const coreStartBytes = coreStart.bytes.length;
