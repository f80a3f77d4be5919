// How few instructions the back end makes of a function, where the number is the point: none moves a value that could have been made
// where it is wanted, and a frame costs nothing that the function does not need.
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { expect, test } from "vitest";
import { Generator } from "../../kernel/compiler/generate.js";
import { kernelTarget } from "../../kernel/compiler/intrinsics.js";
import { parseModule, type ValueType } from "../../kernel/compiler/wasm.js";
import { access, buildModule, call, type FunctionSource, get, i32, i64, op } from "./module.js";

const formatter = new Formatter(FormatterSyntax.Intel);

/** The code of the first function; the second is there to be called, with three parameters. */
function codeOf(parameters: readonly ValueType[], code: number[], locals: readonly ValueType[] = []) {
  return codeOfFunction({ parameters, result: "i32", locals, code });
}

/** ... which has no result. */
function codeOfNone(parameters: readonly ValueType[], code: number[], locals: readonly ValueType[] = []) {
  return codeOfFunction({ parameters, locals, code });
}

function codeOfFunction(first: FunctionSource) {
  const callee: FunctionSource = { parameters: ["i32", "i32", "i32"], result: "i32", code: i32(0) };
  const module = parseModule(buildModule({ functions: [first, callee], exports: { first: 0 } }));
  const generator = new Generator(module, module.functions[0]!, kernelTarget);
  const [chunk] = generator.generate();
  const lines: string[] = [];
  const decoder = new Decoder(64, chunk!.bytes, DecoderOptions.None);
  while (decoder.canDecode) {
    const line = formatter.format(decoder.decode());
    lines.push(line.startsWith("call") ? "call" : line);
  }
  return { lines, frame: generator.frame };
}

test("a function that needs no slot and keeps no register has no frame", () => {
  const { lines, frame } = codeOf(["i32", "i32"], [...get(0), ...get(1), ...op("i32.add")]);
  expect(lines).toEqual(["lea eax,[rdi+rsi]", "ret"]);
  expect(frame).toMatchObject({ words: 0, passed: 0 });
});

test("parameters behind the sixth belong to the frame of who calls, and are found above it", () => {
  const seven = Array<ValueType>(8).fill("i32");
  const { lines, frame } = codeOf(seven, [...get(6), ...get(7), ...op("i32.sub")]);
  expect(frame).toMatchObject({ words: 0, passed: 2 });
  expect(lines.join("\n")).toMatch(/\[rsp\+8\].*\[rsp\+10h\].*ret$/s);
});

test("arguments are made in the registers that they go in", () => {
  const { lines } = codeOf(
    [],
    [
      ...[...i32(0x1000), ...access("i32.load"), ...i32(8), ...op("i32.sub")],
      ...[...i32(0x2000), ...access("i32.load"), ...i32(1), ...op("i32.eq")],
      ...[...i32(0x3000), ...access("i32.load")],
      ...call(1),
    ],
  );
  expect(lines.filter((line) => /^mov \w+,\w+$/.test(line))).toEqual([]);
});

test("what is chosen for a local is chosen in its register", () => {
  const chosen = [
    ...get(0),
    ...op("if", 0x7f),
    ...[...get(1), ...i32(5), ...op("i32.mul"), ...op("else")],
    ...[...get(1), ...access("i32.load"), ...op("end"), ...op("local.set", 2)],
    ...[...get(2), ...access("i32.load"), ...get(2), ...op("i32.add")],
  ];
  const { lines } = codeOf(["i32", "i32"], chosen, ["i32"]);
  expect(lines.filter((line) => /^mov \w+,\w+$/.test(line))).toEqual([]);
});

test("a comparison that is kept and asked at once is not tested again", () => {
  const kept = [
    ...[...get(0), ...i32(3), ...op("i32.lt_u"), ...op("local.tee", 1)],
    ...[...op("if", 0x40), ...get(0), ...i32(1), ...access("i32.store"), ...op("end"), ...get(1)],
  ];
  expect(codeOf(["i32"], kept, ["i32"]).lines.filter((line) => line.startsWith("test"))).toEqual([]);
});

test("a small multiple is added by one LEA", () => {
  const place = [...get(0), ...get(1), ...i32(3), ...op("i32.shl"), ...op("i32.add")];
  expect(codeOf(["i32", "i32"], place).lines).toEqual(["lea eax,[rdi+rsi*8]", "ret"]);
  const row = [...get(1), ...i32(2), ...op("i32.shl"), ...i32(100), ...op("i32.add")];
  expect(codeOf(["i32", "i32"], row).lines).toEqual(["lea eax,[rsi*4+64h]", "ret"]);
});

/** Moves between registers, and numbers that are made. */
const moves = (lines: readonly string[]) => lines.filter((line) => /^(mov|xor) \w+,\w+$/.test(line));
const jumps = (lines: readonly string[]) => lines.filter((line) => line.startsWith("jmp"));

test("each way out of a function whose frame is small has its own end", () => {
  const early = [...get(0), ...op("if", 0x40), ...i32(7), ...op("return"), ...op("end"), ...get(1)];
  const { lines } = codeOf(["i32", "i32"], early);
  expect(jumps(lines)).toEqual([]);
  expect(lines.filter((line) => line === "ret")).toHaveLength(2);
});

test("a branch to the function's end leaves from where it is, and an `if` around a branch alone is none", () => {
  const store = (place: number) => [...i32(place), ...get(0), ...access("i32.store")];
  const out = [
    ...[...op("block", 0x40), ...get(0), ...op("if", 0x40), ...op("br", 1), ...op("end"), ...store(0x1000)],
    ...[
      ...op("block", 0x40),
      ...get(1),
      ...op("if", 0x40),
      ...store(0x2000),
      ...op("else"),
      ...store(0x3000),
    ],
    ...[...op("end"), ...op("end"), ...op("end")],
  ];
  const module = codeOf(["i32", "i32"], [...out, ...get(1)]);
  expect(jumps(module.lines)).toHaveLength(1);
  expect(jumps(codeOfNone(["i32", "i32"], out).lines)).toEqual([]);
});

test("a block whose result a branch takes jumps where the branch would, and makes no number", () => {
  const asked = [
    ...[...op("block", 0x7f), ...get(0), ...i32(5), ...op("i32.eq"), ...op("if", 0x40)],
    ...[...get(1), ...i32(0x1000), ...access("i32.store"), ...i32(1), ...op("br", 1), ...op("end")],
    ...[...i32(0), ...get(0), ...i32(9), ...op("i32.lt_u"), ...op("br_if", 0), ...op("drop")],
    ...[...get(1), ...access("i32.load8_u"), ...op("end")],
    ...[...op("if", 0x40), ...get(1), ...get(0), ...access("i32.store"), ...op("end")],
  ];
  const { lines } = codeOfNone(["i32", "i32"], asked);
  expect(moves(lines)).toEqual([]);
  expect(lines.filter((line) => line.startsWith("cmp"))).toHaveLength(2);
  expect(lines.filter((line) => line.startsWith("test"))).toEqual(["test eax,eax"]);
});

test("what AND leaves in the flags is not tested again, unless a way from elsewhere leads there", () => {
  const kept = [...get(0), ...i32(4), ...op("i32.and"), ...op("local.tee", 1), ...op("if", 0x40)];
  const then = [...get(1), ...get(0), ...access("i32.store"), ...op("end")];
  const tests = (code: number[]) =>
    codeOfNone(["i32"], code, ["i32"]).lines.filter((line) => line.startsWith("test"));
  expect(tests([...kept, ...then])).toEqual([]);
  const first = [...get(0), ...op("if", 0x40), ...get(0), ...i32(4), ...op("i32.and"), ...op("local.set", 1)];
  expect(tests([...first, ...op("end"), ...get(1), ...op("if", 0x40), ...then])).toHaveLength(2);
  const wide = [
    ...get(0),
    ...i32(4),
    ...op("i32.and"),
    ...op("i64.extend_i32_u"),
    ...i64(0n),
    ...op("i64.lt_s"),
  ];
  expect(
    tests([...wide, ...op("if", 0x40), ...get(0), ...get(0), ...access("i32.store"), ...op("end")]),
  ).toHaveLength(1);
});

test("a mask of the low 8 or 16 bits is a MOVZX, and half of a result is made as half", () => {
  const masked = (mask: number) => codeOf(["i32", "i32"], [...get(1), ...i32(mask), ...op("i32.and")]).lines;
  expect(masked(0xff)).toEqual(["movzx eax,sil", "ret"]);
  expect(masked(0xffff)).toEqual(["movzx eax,si", "ret"]);
  const half = [...get(0), ...i64(0xf_ffff_ffff_f000n), ...op("i64.and"), ...op("i32.wrap_i64")];
  expect(codeOf(["i64"], half).lines).toEqual(["mov rax,rdi", "and eax,0FFFFF000h", "ret"]);
});

test("what is changed in place for a local is made in its register", () => {
  const field = [
    ...get(0),
    ...access("i32.load16_u"),
    ...i32(0x3ff),
    ...op("i32.and"),
    ...op("local.set", 2),
  ];
  const used = [...get(0), ...get(2), ...get(1), ...access("i32.store"), ...access("i32.store"), ...get(2)];
  const { lines } = codeOf(["i32", "i32"], [...field, ...get(0), ...used], ["i32"]);
  expect(lines.slice(0, 2)).toEqual(["movzx r10d,word ptr [r15+rdi]", "and r10d,3FFh"]);
});

test("the count of a shift is made where shifts take it, a table's index where it is", () => {
  const bit = [...i32(1), ...get(0), ...i32(3), ...op("i32.sub"), ...op("i32.shl")];
  expect(codeOf(["i32"], bit).lines).toEqual(["lea ecx,[rdi-3]", "mov eax,1", "shl eax,cl", "ret"]);
  const table = [
    ...op("br_table", 5, 0, 1, 0, 1, 0, 1),
    ...op("end"),
    ...get(0),
    ...i32(1),
    ...access("i32.store"),
  ];
  const chosen = [
    ...op("block", 0x40),
    ...op("block", 0x40),
    ...get(0),
    ...i32(3),
    ...op("i32.sub"),
    ...table,
  ];
  expect(moves(codeOfNone(["i32"], [...chosen, ...op("end")]).lines)).toEqual([]);
});
