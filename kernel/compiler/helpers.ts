// Machine code that generated code calls: block copy and fill (bulk-memory proposal: overlapping copies act
// as if through a buffer) and the population count, which not every processor has as an instruction.
// And the entry code of user programs: System V AMD64 ABI 3.4, process initialisation; clone(2).
import {
  Assembler,
  type Chunk,
  Label,
  R8,
  R10,
  R12,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  type Reg,
  RSI,
  RSP,
  r,
} from "./assembler.js";
import { symbolOf } from "./symbols.js";

function chunk(name: string, write: (a: Assembler) => void): Chunk {
  const a = new Assembler();
  write(a);
  return a.finish(name);
}

const toVirtual = (a: Assembler, base: Reg | undefined, ...regs: Reg[]) => {
  if (base !== undefined) for (const reg of regs) a.op("Add", 64, r(reg), r(base));
};

/** (destination EDI, source ESI, bytes EDX) */
const memoryCopy = (base: Reg | undefined): Chunk =>
  chunk(symbolOf.memoryCopy, (a) => {
    const backward = new Label();
    toVirtual(a, base, RDI, RSI);
    a.op("Mov", 32, r(RCX), r(RDX));
    a.op("Mov", 64, r(RAX), r(RDI));
    a.op("Sub", 64, r(RAX), r(RSI));
    a.op("Cmp", 64, r(RAX), r(RCX));
    a.jumpIf("b", backward);
    a.shift("Shr", 32, r(RCX), 3);
    a.repeat("Movsq");
    a.op("Mov", 32, r(RCX), r(RDX));
    a.op("And", 32, r(RCX), 7);
    a.repeat("Movsb");
    a.plain("Retnq");
    a.bind(backward);
    a.op("Lea", 64, r(RDI), { base: RDI, index: RCX, displacement: -1 });
    a.op("Lea", 64, r(RSI), { base: RSI, index: RCX, displacement: -1 });
    a.plain("Std");
    a.repeat("Movsb");
    a.plain("Cld", "Retnq");
  });

/** (destination EDI, value ESI, bytes EDX) */
const memoryFill = (base: Reg | undefined): Chunk =>
  chunk(symbolOf.memoryFill, (a) => {
    toVirtual(a, base, RDI);
    a.extend("Movzx", 32, 8, r(RAX), r(RSI));
    a.constant(r(RCX), 0x0101_0101_0101_0101n);
    a.op("Imul", 64, r(RAX), r(RCX));
    a.op("Mov", 32, r(RCX), r(RDX));
    a.shift("Shr", 32, r(RCX), 3);
    a.repeat("Stosq");
    a.op("Mov", 32, r(RCX), r(RDX));
    a.op("And", 32, r(RCX), 7);
    a.repeat("Stosb");
    a.plain("Retnq");
  });

/** (value RDI): sums of neighbouring bits, pairs and nibbles, then of bytes by a multiplication. */
const popcount = chunk(symbolOf.popcount, (a) => {
  const masked = (reg: Reg, mask: bigint) => {
    a.constant(r(RCX), mask);
    a.op("And", 64, r(reg), r(RCX));
  };
  a.op("Mov", 64, r(RAX), r(RDI));
  a.shift("Shr", 64, r(RAX), 1);
  masked(RAX, 0x5555_5555_5555_5555n);
  a.op("Sub", 64, r(RDI), r(RAX));
  a.op("Mov", 64, r(RAX), r(RDI));
  a.shift("Shr", 64, r(RAX), 2);
  masked(RAX, 0x3333_3333_3333_3333n);
  masked(RDI, 0x3333_3333_3333_3333n);
  a.op("Add", 64, r(RAX), r(RDI));
  a.op("Mov", 64, r(RDI), r(RAX));
  a.shift("Shr", 64, r(RDI), 4);
  a.op("Add", 64, r(RAX), r(RDI));
  masked(RAX, 0x0f0f_0f0f_0f0f_0f0fn);
  a.constant(r(RCX), 0x0101_0101_0101_0101n);
  a.op("Imul", 64, r(RAX), r(RCX));
  a.shift("Shr", 64, r(RAX), 56);
  a.plain("Retnq");
});

export const helpers = (base: Reg | undefined): Chunk[] => [memoryCopy(base), memoryFill(base), popcount];

const LINUX = { exit: 60, clone: 56, exitGroup: 231 } as const;
/** CLONE_VM FS FILES SIGHAND THREAD SYSVSEM */
const CLONE_THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;

function systemCall(a: Assembler, number: number): void {
  a.constant(r(RAX), number);
  a.plain("Syscall");
}

const programEntry = (start: number | undefined): Chunk =>
  chunk("_start", (a) => {
    a.op("Mov", 64, r(RBX), r(RSP));
    a.constant(r(RBP), 0);
    a.op("And", 64, r(RSP), -16);
    if (start !== undefined) a.call(symbolOf.function(start));
    a.op("Mov", 64, r(RDI), r(RBX));
    a.call(symbolOf.exported("start"));
    a.constant(r(RDI), 0);
    systemCall(a, LINUX.exitGroup);
    a.plain("Ud2");
  });

/** (table index EDI, argument ESI, end of stack EDX): the child finds entry and argument in registers. */
const threadStart = (tableLength: number): Chunk =>
  chunk("threadStart", (a) => {
    const [child, wrong] = [new Label(), new Label()];
    a.op("Cmp", 32, r(RDI), tableLength);
    a.jumpIf("ae", wrong);
    for (const reg of [RBP, RBX, R12]) a.op("Push", 64, r(reg));
    a.op("Mov", 32, r(RBX), { index: RDI, scale: 8, symbol: symbolOf.table });
    a.op("Mov", 32, r(R12), r(RSI));
    a.op("Mov", 32, r(RSI), r(RDX));
    a.constant(r(RDI), CLONE_THREAD);
    for (const reg of [RDX, R10, R8]) a.constant(r(reg), 0);
    systemCall(a, LINUX.clone);
    a.op("Test", 64, r(RAX), r(RAX));
    a.jumpIf("e", child);
    for (const reg of [R12, RBX, RBP]) a.op("Pop", 64, r(reg));
    a.plain("Retnq");
    a.bind(child);
    a.constant(r(RBP), 0);
    a.op("Mov", 32, r(RDI), r(R12));
    a.op("Call", 64, r(RBX));
    a.constant(r(RDI), 0);
    systemCall(a, LINUX.exit);
    a.bind(wrong);
    a.plain("Ud2");
  });

export const programStubs = (start: number | undefined, tableLength: number): Chunk[] => [
  programEntry(start),
  threadStart(tableLength),
];
