// From a wasm module to an executable: the kernel's image and user programs.
//
//   kernel    0010_0000 text, read-only tables | 0020_0000 wasm's data, globals, boot page tables, boot stack
//   program   0040_1000 text, read-only tables | 0050_0000 wasm's data, globals
//
// Data stands at a fixed place because asc must be told it (--memoryBase) before the text is known.
import { Assembler, type Chunk } from "./assembler.js";
import { canonicalType } from "./calls.js";
import { debugFrame } from "./debug-frame.js";
import { type ElfSymbol, type Segment, writeElf } from "./elf.js";
import { type Frame, Generator, type Target } from "./generate.js";
import { helpers, programStubs } from "./helpers.js";
import { kernelTarget, userTarget } from "./intrinsics.js";
import { alignUp, type Linked, link } from "./link.js";
import { BOOT_STACK_BYTES, coreStartBytes, DIRECT_MAP, kernelExports, kernelStubs } from "./stubs.js";
import { symbolOf } from "./symbols.js";
import { parseModule, type WasmModule } from "./wasm.js";

export const layout = {
  kernel: { text: 0x10_0000, data: 0x20_0000 },
  program: { text: 0x40_1000, data: 0x50_0000 },
} as const;

const PAGE = 0x1000;

export interface Image {
  readonly elf: Uint8Array;
  /** For the build's report. */
  readonly textBytes: number;
  readonly codeBytes: number;
  readonly wasmCodeBytes: number;
  readonly functions: number;
  readonly symbols: readonly ElfSymbol[];
}

interface Pieces {
  readonly text: Chunk[];
  readonly readOnly: Chunk[];
  readonly codeBytes: number;
  /** By chunk. */
  readonly frames: ReadonlyMap<string, Frame>;
}

/** Code of all functions, and the tables that it uses. */
function generateModule(module: WasmModule, target: Target): Pieces {
  const text: Chunk[] = [];
  const readOnly: Chunk[] = [];
  const frames = new Map<string, Frame>();
  for (const f of module.functions) {
    const generator = new Generator(module, f, target);
    const [code, ...tables] = generator.generate();
    frames.set(code!.name, generator.frame);
    text.push(code!);
    readOnly.push(...tables);
  }
  readOnly.push(functionTable(module));
  return { text, readOnly, codeBytes: text.reduce((sum, chunk) => sum + chunk.bytes.length, 0), frames };
}

/** Eight bytes an entry: address of the code, and the number of its type. An empty place has no type. */
function functionTable(module: WasmModule): Chunk {
  const a = new Assembler();
  for (const index of module.table) {
    if (index === undefined) a.raw([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    else {
      a.cell(symbolOf.function(index), 32);
      const type = canonicalType(module, signatureOf(module, index));
      a.raw(new Uint8Array(Uint32Array.of(type).buffer));
    }
  }
  return a.finish(symbolOf.table, 8);
}

function signatureOf(module: WasmModule, index: number) {
  const { imports, functions } = module;
  const entry = imports[index];
  if (entry !== undefined)
    throw new Error(`refused: import ${entry.name} in the function table (it has no address)`);
  return functions[index - imports.length]!.signature;
}

/** Wasm's data segments and behind them its globals, as one stretch from `start`. */
function dataChunks(module: WasmModule, start: number): Chunk[] {
  const end = module.data.reduce((most, { address, bytes }) => Math.max(most, address + bytes.length), start);
  const first = module.data.reduce((least, { address }) => Math.min(least, address), start);
  if (first < start)
    throw new Error(`data at 0x${first.toString(16)} lies below 0x${start.toString(16)} (asc --memoryBase)`);
  if (end - start > 1 << 28) throw new Error(`data reaches up to 0x${end.toString(16)}`);
  const bytes = new Uint8Array(end - start);
  for (const segment of module.data) bytes.set(segment.bytes, segment.address - start);
  const statics = new Assembler();
  statics.raw(bytes);
  const globals = new Assembler();
  module.globals.forEach((global, index) => {
    globals.symbol(symbolOf.global(index));
    globals.raw(new Uint8Array(BigInt64Array.of(global.initial).buffer));
  });
  return [statics.finish("static data", PAGE), globals.finish("globals", 16)];
}

/** Names for the exports that stubs call. */
function exportSymbols(module: WasmModule, names: readonly string[]): Map<string, string> {
  const symbols = new Map<string, string>();
  for (const name of names) {
    const index = module.exports.get(name);
    if (index === undefined) throw new Error(`the main file does not export "${name}"`);
    if (index < module.imports.length) throw new Error(`export "${name}" is an import`);
    symbols.set(symbolOf.exported(name), symbolOf.function(index));
  }
  return symbols;
}

/** What a chunk is called in the symbol table: the wasm function's own name. */
function displayName(module: WasmModule): (name: string) => string {
  const names = new Map(module.functions.map((f) => [symbolOf.function(f.index), f.name]));
  return (name) => names.get(name) ?? name.replaceAll(" ", "_");
}

function elfSymbols(
  module: WasmModule,
  linked: Linked,
  code: ReadonlySet<string>,
  base: bigint,
): ElfSymbol[] {
  const display = displayName(module);
  return linked.symbols.map(({ name, address, bytes }) => ({
    name: display(name),
    address: BigInt.asUintN(64, base + BigInt(address)),
    bytes,
    function: code.has(name),
  }));
}

/** The variables of the source, by their names: for who looks into a running kernel. */
function globalSymbols(module: WasmModule, linked: Linked, base: bigint): ElfSymbol[] {
  return [...module.globalNames].map(([index, name]) => ({
    name,
    address: BigInt.asUintN(64, base + BigInt(linked.addressOf(symbolOf.global(index)))),
    bytes: 8,
    function: false,
  }));
}

/** As the table of symbols has them. */
const frameWords = (frames: ReadonlyMap<string, Frame>) =>
  [...frames].map(([name, { words, passed }]) => [name, words | (passed << 16)] as const);

/** For debuggers. */
function framesOf(linked: Linked, frames: ReadonlyMap<string, Frame>, base: bigint): Uint8Array {
  const functions = linked.symbols.flatMap(({ name, address, bytes }) => {
    const frame = frames.get(name);
    return frame === undefined ? [] : [{ ...frame, address: base + BigInt(address), bytes }];
  });
  return debugFrame(functions.map((f) => ({ ...f, address: BigInt.asUintN(64, f.address) })));
}

/** `symbols()` of kernel/arch.ts: count, then three words each, in order of address: start, name, frame. */
function symbolChunks(
  module: WasmModule,
  text: readonly Chunk[],
  frames: ReadonlyMap<string, number>,
): Chunk[] {
  const display = displayName(module);
  const table = new Assembler();
  const names = new Assembler();
  table.raw(Uint8Array.from(new Uint8Array(Uint32Array.of(text.length).buffer)));
  let at = 0;
  for (const chunk of text) {
    const name = new TextEncoder().encode(`${display(chunk.name)}\0`);
    table.cell(chunk.name, 32);
    table.cell("symbol names", 32, at);
    table.raw(new Uint8Array(Uint32Array.of(frames.get(chunk.name) ?? 0).buffer));
    names.raw(name);
    at += name.length;
  }
  return [table.finish("symbols", 8), names.finish("symbol names", 1)];
}

function report(
  module: WasmModule,
  linked: Linked,
  codeBytes: number,
  symbols: ElfSymbol[],
  elf: Uint8Array,
) {
  return {
    elf,
    textBytes: linked.regions[0]!.bytes.length,
    codeBytes,
    wasmCodeBytes: module.functions.reduce((sum, f) => sum + f.bytes, 0),
    functions: module.functions.length,
    symbols,
  };
}

/** The kernel: an ELF64 file with a PVH note, linked at DIRECT_MAP and loaded from 1 MiB. */
export function kernelImage(wasm: Uint8Array): Image {
  const module = parseModule(wasm);
  const { text, readOnly, codeBytes, frames } = generateModule(module, kernelTarget);
  const stubs = kernelStubs(module.start);
  const code = [...stubs.text, ...text, ...helpers(kernelTarget.base)];
  const { kernel } = layout;
  const regions = [
    {
      name: ".text",
      address: kernel.text,
      limit: kernel.data,
      chunks: [
        ...code,
        ...readOnly,
        ...stubs.readOnly,
        ...symbolChunks(module, code, new Map([...frameWords(frames), ...stubs.frames])),
      ],
    },
    {
      name: ".data",
      address: kernel.data,
      limit: 0x4000_0000,
      chunks: [...dataChunks(module, kernel.data), ...stubs.data],
    },
  ];
  const stackAt = (end: number) => alignUp(end, PAGE);
  const linked = link(regions, DIRECT_MAP, exportSymbols(module, kernelExports), (endOf) => {
    const stack = stackAt(endOf(1));
    return new Map([
      ["boot stack", stack],
      [symbolOf.imageEnd, stack + BOOT_STACK_BYTES],
      ["core start bytes", coreStartBytes],
    ]);
  });
  const symbols = [
    ...elfSymbols(module, linked, new Set(code.map((chunk) => chunk.name)), DIRECT_MAP),
    ...globalSymbols(module, linked, DIRECT_MAP),
  ];
  const end = linked.addressOf(symbolOf.imageEnd);
  const segments = linked.regions.map(
    (region, index): Segment => ({
      name: region.name,
      bytes: region.bytes,
      memoryBytes: index === 1 ? end - region.address : region.bytes.length,
      virtual: DIRECT_MAP + BigInt(region.address),
      physical: BigInt(region.address),
      writable: index === 1,
      executable: index === 0,
    }),
  );
  const pvhEntry = linked.addressOf("pvh entry");
  const entry = DIRECT_MAP + BigInt(linked.addressOf("boot entry"));
  const elf = writeElf({
    entry,
    segments,
    symbols,
    pvhEntry,
    debugFrame: framesOf(linked, frames, DIRECT_MAP),
  });
  return report(module, linked, codeBytes, symbols, elf);
}

/** A user program: a static ELF64 executable for Linux. */
export function programImage(wasm: Uint8Array): Image {
  const module = parseModule(wasm);
  const { text, readOnly, codeBytes, frames } = generateModule(module, userTarget);
  const code = [...programStubs(module.start, module.table.length), ...text, ...helpers(userTarget.base)];
  const { program } = layout;
  const regions = [
    { name: ".text", address: program.text, limit: program.data, chunks: [...code, ...readOnly] },
    {
      name: ".data",
      address: program.data,
      limit: 0x4000_0000,
      chunks: dataChunks(module, program.data),
    },
  ];
  const linked = link(
    regions,
    0n,
    exportSymbols(module, ["start"]),
    (endOf) => new Map([[symbolOf.imageEnd, alignUp(endOf(1), PAGE)]]),
  );
  const symbols = elfSymbols(module, linked, new Set(code.map((chunk) => chunk.name)), 0n);
  const segments = linked.regions.map(
    (region, index): Segment => ({
      name: region.name,
      bytes: region.bytes,
      memoryBytes: alignUp(region.bytes.length, PAGE),
      virtual: BigInt(region.address),
      physical: BigInt(region.address),
      writable: index === 1,
      executable: index === 0,
    }),
  );
  const entry = BigInt(linked.addressOf("_start"));
  return report(
    module,
    linked,
    codeBytes,
    symbols,
    writeElf({ entry, segments, symbols, debugFrame: framesOf(linked, frames, 0n) }),
  );
}
