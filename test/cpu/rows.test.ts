// Each row against iced's own tables: how it accesses its operands, which flags it touches, whether LOCK may stand
// before it. iced is the outside opinion; the differences it is wrong about, or sees otherwise, are named below.

import { readFileSync } from "node:fs";
import {
  Code,
  Instruction,
  InstructionInfoFactory,
  OpCodeOperandKind as Kind,
  Mnemonic,
  OpAccess,
  OpKind,
  Register,
  RflagsBits,
} from "iced-x86";
import { expect, test } from "vitest";
import type { Definition } from "../../emulator/cpu/instructions/define.js";
import { families, rows } from "../../emulator/cpu/instructions/index.js";
import * as L from "../../emulator/cpu/layout.js";
import { Linkage } from "../../emulator/cpu/lowering/linkage.js";
import { lower } from "../../emulator/cpu/meaning.js";
import { microcodePath } from "../../emulator/cpu/program.js";
import { InstructionStream } from "../../emulator/cpu/shapes.js";
import { exportedSignatures, type FunctionCode, module } from "../../emulator/cpu/wasm.js";
import { exampleOf } from "../silicon/cases.js";
import { allForms, formName, formsOf, legacyEncodings, operandKind } from "../silicon/forms.js";
import * as map from "../silicon/map.js";

const MINE = [
  "integer move shift bits multiplication string control stack flags decimal sseMove sseInteger sseElement sseString sseFloat ssePairs sseRound mmx x87 extended",
]
  .join(" ")
  .split(" ");
const checked = new Set(MINE.flatMap((name) => families[name] ?? []));

/** An instruction of that encoding with plausible operands: enough for iced's access tables. */
function sample(code: Code, kinds: readonly Kind[], memory: number): Instruction {
  const instruction = new Instruction();
  instruction.code = code;
  kinds.forEach((kind, i) => {
    const what = operandKind(kind, i === memory);
    if (what === "memory") {
      const string = kind === Kind.seg_rSI || kind === Kind.es_rDI || kind === Kind.seg_rDI;
      instruction.setOpKind(
        i,
        !string ? OpKind.Memory : kind === Kind.seg_rSI ? OpKind.MemorySegRSI : OpKind.MemoryESRDI,
      );
      instruction.memoryBase = Register.RBX;
    } else if (what === "immediate") {
      instruction.setOpKind(
        i,
        kind === Kind.imm8 && i > 0 && kinds[i - 1] === Kind.imm16
          ? OpKind.Immediate8_2nd
          : OpKind.Immediate8,
      );
      instruction.immediate8 = 3; // a count of 0 or 1 defines other flags
    } else if (what === "branch") instruction.setOpKind(i, OpKind.NearBranch64);
    else if (what !== "far") {
      instruction.setOpKind(i, OpKind.Register);
      instruction.setOpRegister(i, (what === "xmm" ? Register.XMM1 : Register.RCX) + i);
    }
  });
  return instruction;
}

const forms = [64, 32].flatMap((bits) =>
  legacyEncodings()
    .filter((e) => (bits === 64 ? e.mode64 : e.mode32))
    .flatMap((e) => formsOf(e, bits as 32 | 64).map((form) => ({ ...form, lockable: e.lock })))
    .filter((form) => form.prefix === undefined && form.row !== undefined && checked.has(form.row)),
);

/** A conditional write keeps the old value otherwise, so it counts as both. */
const ACCESS: Record<number, string> = {
  [OpAccess.None]: "",
  [OpAccess.Read]: "r",
  [OpAccess.CondRead]: "r",
  [OpAccess.Write]: "w",
  [OpAccess.CondWrite]: "rw",
  [OpAccess.ReadWrite]: "rw",
  [OpAccess.ReadCondWrite]: "rw",
  [OpAccess.NoMemAccess]: "",
};

/** Rows that iced sees otherwise, and why. */
const ACCESS_DIFFERS = new Map<Mnemonic, string>([]);

test("rows access their operands as iced's tables say", () => {
  const factory = new InstructionInfoFactory();
  // A row may have forms that differ (MOVSS stores, or merges into a register): together they are what it says.
  const theirs = new Map<Definition, Set<string>[]>();
  for (const { row, code, kinds, memory } of forms) {
    const instruction = sample(code, kinds, memory);
    const info = factory.info(instruction);
    const access = theirs.get(row!) ?? [];
    theirs.set(row!, access);
    kinds.forEach((_, i) => {
      access[i] ??= new Set();
      for (const letter of ACCESS[info.opAccess(i)]!) access[i].add(letter);
    });
    info.free();
    instruction.free();
  }
  factory.free();
  const wrong: string[] = [];
  for (const [row, access] of theirs) {
    const name = Mnemonic[[row.op].flat()[0]!]!;
    if (row.access === undefined || ACCESS_DIFFERS.has([row.op].flat()[0]!)) continue;
    const iced = access.map((letters) => [...letters].sort().join("") || "-").join();
    if (iced !== row.access.slice(0, access.length).join())
      wrong.push(`${name}: iced ${iced}, row ${row.access}`);
  }
  expect(wrong).toEqual([]);
});

test("rows touch the flags that iced's tables say", () => {
  const names = ["OF", "SF", "ZF", "AF", "CF", "PF", "DF", "IF", "AC"] as const;
  const wrong = new Set<string>();
  for (const { row, code, kinds, memory } of forms) {
    if (row?.flags === undefined) continue;
    const instruction = sample(code, kinds, memory);
    const modified = instruction.rflagsModified;
    const theirs = names.filter((f) => modified & RflagsBits[f]);
    const ours = names.filter((f) => row.flags?.split(" ").includes(f));
    if (theirs.join() !== ours.join()) wrong.add(`${Code[code]}: iced ${theirs}, row ${ours}`);
    instruction.free();
  }
  expect([...wrong]).toEqual([]);
});

test("rows take LOCK exactly where iced's tables allow it", () => {
  const wrong = new Set<string>();
  for (const { row, code, memory, lockable } of forms)
    if (memory === 0 && (row?.lock !== undefined) !== lockable) wrong.add(Code[code]!);
  expect([...wrong]).toEqual([]);
});

test("every row of the table belongs to some encoding", () => {
  const used = new Set(forms.map((form) => form.row));
  const orphans = rows.filter((row) => checked.has(row) && !used.has(row));
  expect(orphans.map((row) => [row.op].flat().map((op) => Mnemonic[op]))).toEqual([]);
});

test("no mnemonic has two rows for the same form", () => {
  const seen = new Map<Mnemonic, Definition[]>();
  for (const row of rows) for (const op of [row.op].flat()) seen.set(op, [...(seen.get(op) ?? []), row]);
  const open = [...seen].filter(([, all]) => all.filter((row) => row.forms === undefined).length > 1);
  expect(open.map(([op]) => Mnemonic[op])).toEqual([]);
});

test("every form of every row lowers to WebAssembly that is valid", () => {
  const linkage = new Linkage(new Map(exportedSignatures(readFileSync(microcodePath))));
  const modes = { 64: L.MODE_64 | L.MODE_LONG, 32: L.MODE_CODE32 | L.MODE_STACK32, 16: 0 };
  const wrong: string[] = [];
  const functions: FunctionCode[] = [];
  for (const bits of [64, 32, 16] as const)
    for (const form of allForms(bits)) {
      const { record } = exampleOf(form);
      const code = record.subarray(map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX);
      const stream = new InstructionStream(code, modes[bits] | L.MODE_PROTECTED);
      const decoded = stream.next();
      stream.free();
      try {
        if (typeof decoded?.form !== "object") throw new Error(`decoded as ${decoded?.form}`);
        functions.push(...lower(decoded.form, 1000 + functions.length, linkage));
      } catch (error) {
        wrong.push(`${formName(form)}: ${(error as Error).message}`);
      }
    }
  expect(wrong).toEqual([]);
  // All in one module: the engine puts them together as they come.
  new WebAssembly.Module(module(linkage.types, functions));
});
