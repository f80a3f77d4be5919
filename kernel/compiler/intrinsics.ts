// The imports that the back end turns into machine code: one row for every declaration in kernel/arch.ts
// and in kernel/user/arch.ts (a test compares the lists). A row is either code that is put in place of the
// call, with its arguments in the registers named, or a stub of stubs.ts that is called like a function.
// Instructions as in the Intel SDM volume 2 and the AMD APM volume 3.
import {
  type Assembler,
  type Memory,
  R8,
  R9,
  R10,
  R11,
  R15,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  type Reg,
  RSI,
  RSP,
  r,
  type Size,
} from "./assembler.js";
import type { Target } from "./generate.js";
import { symbolOf } from "./symbols.js";

export interface Intrinsic {
  readonly name: string;
  /** As in opcodes.ts: "i" is 32 bits, "I" 64; parameters>result. */
  readonly type: string;
  /** Registers that the arguments come in; a result leaves in RAX. */
  readonly arguments: readonly Reg[];
  /** Registers that the code changes besides. */
  readonly changes: readonly Reg[];
  readonly code?: Code;
  /** Its result may be made in any register, which its code is told. */
  readonly anywhere?: boolean;
  readonly stub?: string;
}

type Code = (a: Assembler, target: Target, result: Reg) => void;

const inline = (
  name: string,
  type: string,
  args: readonly Reg[],
  code: Code,
  changes: readonly Reg[] = [],
): Intrinsic => ({ name, type, arguments: args, changes, code });

const stub = (name: string, type: string): Intrinsic => ({
  name,
  type,
  arguments: [],
  changes: [],
  stub: name,
});

/** Linear memory at the address in a register. */
const at = (index: Reg, target: Target, displacement = 0): Memory =>
  target.base === undefined ? { base: index, displacement } : { base: target.base, index, displacement };

const accumulators = { 8: "AL", 16: "AX", 32: "EAX" } as const;

function portInput(bits: 8 | 16 | 32): Intrinsic {
  return inline(`in${bits}`, "i>i", [RDX], (a) => {
    a.special(`In_${accumulators[bits]}_DX`, accumulators[bits], "DX");
    if (bits < 32) a.extend("Movzx", 32, bits, r(RAX), r(RAX));
  });
}

const portOutput = (bits: 8 | 16 | 32): Intrinsic =>
  inline(`out${bits}`, "ii>", [RDX, RAX], (a) =>
    a.special(`Out_DX_${accumulators[bits]}`, "DX", accumulators[bits]),
  );

/** A virtual or physical address in a register, without the base of linear memory or with it. */
function read(name: string, bits: Size, memory: (target: Target) => Memory): Intrinsic {
  return inline(name, bits === 64 ? "I>I" : "I>i", [RDI], (a, target) => {
    if (bits < 32) a.extend("Movzx", 32, bits, r(RAX), memory(target));
    else a.op("Mov", bits, r(RAX), memory(target));
  });
}

const write = (name: string, bits: Size, memory: (target: Target) => Memory): Intrinsic =>
  inline(name, bits === 64 ? "II>" : "Ii>", [RDI, RSI], (a, target) =>
    a.op("Mov", bits, memory(target), r(RSI)),
  );

const physical = (target: Target) => at(RDI, target);
const plain = (): Memory => ({ base: RDI });

const controlRead = (name: string, register: "CR0" | "CR2" | "CR3" | "CR4"): Intrinsic =>
  inline(name, ">I", [], (a) => a.special("Mov_r64_cr", "RAX", register));
const controlWrite = (name: string, register: "CR0" | "CR3" | "CR4"): Intrinsic =>
  inline(name, "I>", [RDI], (a) => a.special("Mov_cr_r64", register, "RDI"));
const simple = (name: string, ...codes: Parameters<Assembler["plain"]>): Intrinsic =>
  inline(name, ">", [], (a) => a.plain(...codes));

/** EDX:EAX to RAX. */
function combine(a: Assembler): void {
  a.shift("Shl", 64, r(RDX), 32);
  a.op("Or", 64, r(RAX), r(RDX));
}

const readTimestamp = inline(
  "rdtsc",
  ">I",
  [],
  (a) => {
    a.plain("Rdtsc");
    combine(a);
  },
  [RDX],
);

/** CPUID changes RBX, which generated code may use for a local. */
const cpuid = inline(
  "cpuid",
  "iii>",
  [RAX, RCX, RDI],
  (a, target) => {
    a.op("Mov", 64, r(RSI), r(RBX));
    a.plain("Cpuid");
    [RAX, RBX, RCX, RDX].forEach((reg, n) => {
      a.op("Mov", 32, at(RDI, target, 4 * n), r(reg));
    });
    a.op("Mov", 64, r(RBX), r(RSI));
  },
  [RDX, RSI],
);

const loadGlobalDescriptors = inline(
  "lgdt",
  "i>",
  [RDI],
  (a, target) => {
    a.op("Lgdt", 64, at(RDI, target));
    for (const segment of ["SS", "DS", "ES"] as const) {
      a.constant(r(RAX), 16);
      a.special("Mov_Sreg_r32m16", segment, "EAX");
    }
    // CS is reloaded by a far return to the code segment, selector 8.
    a.call("reload cs");
  },
  [RAX],
);

const multiplyHigh = inline(
  "mulhu",
  "II>I",
  [RAX, RDX],
  (a) => {
    a.op("Mul", 64, r(RDX));
    a.op("Mov", 64, r(RAX), r(RDX));
  },
  [],
);

const writeModelRegister = inline(
  "wrmsr",
  "iI>",
  [RCX, RAX],
  (a) => {
    a.op("Mov", 64, r(RDX), r(RAX));
    a.shift("Shr", 64, r(RDX), 32);
    a.plain("Wrmsr");
  },
  [RDX],
);

const readModelRegister = inline(
  "rdmsr",
  "i>I",
  [RCX],
  (a) => {
    a.plain("Rdmsr");
    combine(a);
  },
  [RDX],
);

/** kernel/arch.ts */
export const kernelIntrinsics: readonly Intrinsic[] = [
  portInput(8),
  portInput(16),
  portInput(32),
  portOutput(8),
  portOutput(16),
  portOutput(32),
  read("mmioRead8", 8, physical),
  read("mmioRead16", 16, physical),
  read("mmioRead32", 32, physical),
  read("mmioRead64", 64, physical),
  write("mmioWrite8", 8, physical),
  write("mmioWrite16", 16, physical),
  write("mmioWrite32", 32, physical),
  write("mmioWrite64", 64, physical),
  readModelRegister,
  writeModelRegister,
  controlRead("readCr0", "CR0"),
  controlWrite("writeCr0", "CR0"),
  controlRead("readCr2", "CR2"),
  controlRead("readCr3", "CR3"),
  controlWrite("writeCr3", "CR3"),
  controlRead("readCr4", "CR4"),
  controlWrite("writeCr4", "CR4"),
  inline("invlpg", "I>", [RDI], (a) => a.op("Invlpg", 64, { base: RDI })),
  loadGlobalDescriptors,
  inline("lidt", "i>", [RDI], (a, target) => a.op("Lidt", 64, at(RDI, target))),
  inline("ltr", "i>", [RDI], (a) => a.special("Ltr_r32m16", "EDI")),
  simple("cli", "Cli"),
  simple("sti", "Sti"),
  simple("stiHlt", "Sti", "Hlt"),
  simple("hlt", "Hlt"),
  simple("pause", "Pause"),
  simple("mfence", "Mfence"),
  readTimestamp,
  cpuid,
  inline("rdrand", ">I", [], (a) => a.op("Rdrand", 64, r(RAX))),
  inline("readFlags", ">I", [], (a) => {
    a.plain("Pushfq");
    a.op("Pop", 64, r(RAX));
  }),
  multiplyHigh,
  stub("crc32c", "iii>i"),
  {
    ...inline("coreBlock", ">i", [], (a, _, to) =>
      a.op("Mov", 32, r(to), { displacement: 0, segment: "gs" }),
    ),
    anywhere: true,
  },
  stub("copyFromUser", "iIi>i"),
  stub("copyToUser", "Iii>i"),
  stub("userCompareExchange32", "Iiii>i"),
  stub("fixupFor", "I>I"),
  stub("switchStack", "iI>"),
  stub("newStack", "i>I"),
  stub("resume", "i>"),
  inline("fxsave", "i>", [RDI], (a, target) => a.op("Fxsave64", 64, at(RDI, target))),
  inline("fxrstor", "i>", [RDI], (a, target) => a.op("Fxrstor64", 64, at(RDI, target))),
  inline("trapStubs", ">i", [], (a) => a.address(r(RAX), "trap stub table")),
  inline("syscallStub", ">I", [], (a) => a.address(r(RAX), "syscall entry", 64)),
  inline("coreStartCode", ">i", [], (a) => a.address(r(RAX), "core start")),
  inline("coreStartBytes", ">i", [], (a) => a.address(r(RAX), "core start bytes")),
  inline("imageEnd", ">i", [], (a) => a.address(r(RAX), symbolOf.imageEnd)),
  inline("symbols", ">i", [], (a) => a.address(r(RAX), "symbols")),
  inline("stackPointer", ">i", [], (a, target) => {
    a.op("Mov", 64, r(RAX), r(RSP));
    if (target.base !== undefined) a.op("Sub", 64, r(RAX), r(target.base));
  }),
  inline("instructionPointer", ">I", [], (a) => {
    a.raw([0x48, 0x8d, 0x05, 0, 0, 0, 0]); // LEA RAX, [RIP + 0]
  }),
];

/** Arguments of SYSCALL: number in RAX, the fourth in R10; RCX and R11 are changed by the processor. */
const systemCall = inline(
  "syscall",
  "IIIIIII>I",
  [RAX, RDI, RSI, RDX, R10, R8, R9],
  (a) => a.plain("Syscall"),
  [RCX, R11],
);

/** kernel/user/arch.ts */
export const userIntrinsics: readonly Intrinsic[] = [
  systemCall,
  stub("threadStart", "iii>I"),
  simple("pause", "Pause"),
  simple("mfence", "Mfence"),
  readTimestamp,
  read("peek8", 8, plain),
  read("peek16", 16, plain),
  read("peek32", 32, plain),
  read("peek64", 64, plain),
  write("poke8", 8, plain),
  write("poke16", 16, plain),
  write("poke32", 32, plain),
  write("poke64", 64, plain),
  simple("undefinedInstruction", "Ud2"),
  inline("imageEnd", ">i", [], (a) => a.address(r(RAX), symbolOf.imageEnd)),
  inline("codeOf", "i>I", [RDI], (a) =>
    a.op("Mov", 32, r(RAX), { index: RDI, scale: 8, symbol: symbolOf.table }),
  ),
];

/** Where a failed assertion ends when asc was given no function for it (--use abort=...). */
const abort = inline("abort", "iiii>", [RDI, RSI, RDX, RCX], (a) => a.plain("Ud2"));

const target = (base: Reg | undefined, rows: readonly Intrinsic[]): Target => ({
  base,
  intrinsics: new Map([...rows, abort].map((row) => [row.name, row])),
});

export const kernelTarget = target(R15, kernelIntrinsics);
export const userTarget = target(undefined, userIntrinsics);
