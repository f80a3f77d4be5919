// Random valid wasm programs from a seed: integer arithmetic, locals, globals, every load, store and atomic,
// block, loop, if, br, br_if, br_table, return, select, calls direct and through the table. A program calls
// its functions with interesting numbers and writes the results and its memory to the standard output.
//
// Traps are part of it (division by zero, unreachable, a wrong table entry, running out of fuel): then what
// was written before is compared.
import { opcodes } from "../../kernel/compiler/opcodes.js";
import type { ValueType } from "../../kernel/compiler/wasm.js";
import {
  access,
  blockType,
  buildModule,
  call,
  constant,
  type FunctionSource,
  get,
  i32,
  i64,
  op,
  set,
  typesOf,
  unsigned,
} from "./module.js";

/** Numbers from a seed (Marsaglia's xorshift, 32 bits). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) | 1;
  }
  bits(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
  below(count: number): number {
    return this.bits() % count;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const DATA = 0x50_0000;
const DATA_BYTES = 0x2000;
/** Accesses stay below this part, which is for the results. */
const RESULTS = DATA + DATA_BYTES;
const RESULT_BYTES = 0x800;

const interesting = [0n, 1n, -1n, 2n, 7n, 31n, 32n, 63n, 64n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn];
const wideInteresting = [0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 1n << 32n, (1n << 63n) - 1n, 1n << 63n];

const letterOf = (type: ValueType) => (type === "i32" ? "i" : "I");
const typeOf = (letter: string): ValueType => (letter === "i" ? "i32" : "i64");

const rows = [...opcodes.values()];
const pure = rows.filter((row) => row.immediate === "none" && row.gives !== undefined && row.gives !== "");
const memoryRows = rows.filter((row) => row.immediate === "memory");
const stores = memoryRows.filter((row) => row.gives === "");
const producers = memoryRows.filter((row) => row.gives !== "");

interface Signature {
  readonly parameters: ValueType[];
  readonly result: ValueType | undefined;
}

interface Scope {
  readonly locals: ValueType[];
  readonly result: ValueType | undefined;
  /** What a branch to each enclosing label carries, innermost last; a loop carries nothing. */
  readonly labels: { readonly carries: ValueType | undefined; readonly loop: boolean }[];
  /** Locals that count loops: nothing else may write them. */
  readonly counters: Set<number>;
}

class ProgramWriter {
  readonly #functions: FunctionSource[] = [];
  readonly #signatures: Signature[] = [];
  readonly #globals: { type: ValueType; initial: bigint }[] = [{ type: "i32", initial: 5000n }];
  #budget = 0;

  constructor(
    readonly random: Random,
    readonly traps: boolean,
  ) {}

  number(type: ValueType): bigint {
    const { random } = this;
    if (random.chance(40)) return random.of(interesting);
    if (random.chance(50)) return random.of(wideInteresting) + BigInt(random.below(3) - 1);
    const wide = (BigInt(random.bits()) << 32n) | BigInt(random.bits());
    return type === "i32" ? wide & 0xffff_ffffn : wide;
  }

  type(): ValueType {
    return this.random.chance(55) ? "i32" : "i64";
  }

  signature(): Signature {
    const count = this.random.of([0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]);
    const parameters = Array.from({ length: count }, () => this.type());
    return { parameters, result: this.random.chance(85) ? this.type() : undefined };
  }

  /** Function numbers begin behind the one import. */
  function(): void {
    const { random } = this;
    // A few signatures repeat, so that indirect calls have several to choose from.
    const signature =
      this.#signatures.length > 0 && random.chance(40) ? random.of(this.#signatures) : this.signature();
    const locals = [...signature.parameters];
    for (let n = random.below(8); n > 0; n--) locals.push(this.type());
    const scope: Scope = { locals, result: signature.result, labels: [], counters: new Set() };
    this.#budget = 60 + random.below(240);
    scope.labels.push({ carries: signature.result, loop: false });
    const code = [...this.fuel(), ...this.statements(scope, 4)];
    if (signature.result !== undefined) code.push(...this.expression(scope, signature.result, 4));
    this.#functions.push({
      name: `f${this.#functions.length}`,
      parameters: signature.parameters,
      result: signature.result,
      locals: scope.locals.slice(signature.parameters.length),
      code,
    });
    this.#signatures.push(signature);
  }

  /** Every call and every turn of a loop takes one; without fuel the program traps. */
  fuel(): number[] {
    return [
      ...op("global.get", 0),
      ...i32(1),
      ...op("i32.sub"),
      ...op("global.set", 0),
      ...op("global.get", 0),
      ...i32(0),
      ...op("i32.lt_s"),
      ...op("if", 0x40),
      ...op("unreachable"),
      ...op("end"),
    ];
  }

  statements(scope: Scope, depth: number): number[] {
    const code: number[] = [];
    for (let n = this.random.below(4) + 1; n > 0; n--) code.push(...this.statement(scope, depth));
    return code;
  }

  local(scope: Scope, type: ValueType, writable: boolean): number | undefined {
    const fitting = [...scope.locals.keys()].filter(
      (local) => scope.locals[local] === type && !(writable && scope.counters.has(local)),
    );
    return fitting.length === 0 ? undefined : this.random.of(fitting);
  }

  /** An i32 address in the data, and the offset that goes with it. */
  address(scope: Scope, depth: number, bytes: number, aligned: boolean): { code: number[]; offset: number } {
    const { random } = this;
    const align = aligned ? -bytes : -1;
    if (random.chance(30)) {
      const place = (random.below(DATA_BYTES - 16) & align) >>> 0;
      const offset = random.chance(50) ? DATA + place : 0;
      return { code: i32(offset === 0 ? DATA + place : 0), offset };
    }
    const offset = random.chance(50) ? DATA : DATA + (random.below(64) & align);
    const mask = (DATA_BYTES / 2 - 1) & align;
    return { code: [...this.expression(scope, "i32", depth - 1), ...i32(mask), ...op("i32.and")], offset };
  }

  store(scope: Scope, depth: number): number[] {
    const row = this.random.of(stores);
    const place = this.address(scope, depth, row.bytes!, row.name.includes("atomic"));
    const value = this.expression(scope, typeOf(row.takes![1]!), depth - 1);
    return [...place.code, ...value, ...access(row.name, place.offset)];
  }

  loadOrAtomic(scope: Scope, type: ValueType, depth: number): number[] {
    const row = this.random.of(producers.filter((producer) => producer.gives === letterOf(type)));
    const atomic = row.name.includes("atomic");
    const code = this.address(scope, depth, row.bytes!, atomic);
    const operands = [...row.takes!.slice(1)].map((letter, n) => {
      const value = this.expression(scope, typeOf(letter), depth - 1);
      // A narrow compare-exchange compares the narrow value: keep the expected one inside.
      if (!row.name.includes("cmpxchg") || n > 0 || row.bytes === (letter === "i" ? 4 : 8)) return value;
      const mask = constant(typeOf(letter), (1n << BigInt(8 * row.bytes!)) - 1n);
      return [...value, ...mask, ...op(`${typeOf(letter)}.and`)];
    });
    return [...code.code, ...operands.flat(), ...access(row.name, code.offset)];
  }

  statement(scope: Scope, depth: number): number[] {
    const { random } = this;
    if (this.#budget-- <= 0 || depth <= 0) return op("nop");
    const kind = random.below(100);
    if (kind < 30) {
      const type = this.type();
      const local = this.local(scope, type, true);
      if (local === undefined) return op("nop");
      return [...this.expression(scope, type, depth), ...set(local)];
    }
    if (kind < 48) return this.store(scope, depth);
    if (kind < 52) {
      const global = random.below(this.#globals.length);
      if (global === 0) return op("nop");
      const { type } = this.#globals[global]!;
      return [...this.expression(scope, type, depth), ...op("global.set", global)];
    }
    if (kind < 57) return [...this.expression(scope, this.type(), depth), ...op("drop")];
    if (kind < 61) return this.modify(scope);
    if (kind < 65) return this.loop(scope, depth);
    if (kind < 68) return this.whileLoop(scope, depth);
    if (kind < 78) return this.conditional(scope, undefined, depth);
    if (kind < 86) return this.block(scope, undefined, depth);
    if (kind < 91) return this.branch(scope, depth);
    if (kind < 93) return this.bulk(scope, depth);
    return this.callSome(scope, undefined, depth) ?? op("nop");
  }

  block(scope: Scope, result: ValueType | undefined, depth: number): number[] {
    scope.labels.push({ carries: result, loop: false });
    const code = [...op("block", blockType(result)), ...this.statements(scope, depth - 1)];
    if (result !== undefined) code.push(...this.expression(scope, result, depth - 1));
    scope.labels.pop();
    return [...code, ...op("end")];
  }

  conditional(scope: Scope, result: ValueType | undefined, depth: number): number[] {
    const condition = this.condition(scope, depth - 1);
    scope.labels.push({ carries: result, loop: false });
    const arm = () => [
      ...this.statements(scope, depth - 1),
      ...(result === undefined ? [] : this.expression(scope, result, depth - 1)),
    ];
    const code = [...condition, ...op("if", blockType(result)), ...arm()];
    if (result !== undefined || this.random.chance(50)) code.push(...op("else"), ...arm());
    scope.labels.pop();
    return [...code, ...op("end")];
  }

  /** A loop that begins with its condition: it counts up while the condition holds too. */
  whileLoop(scope: Scope, depth: number): number[] {
    const counter = scope.locals.push("i32") - 1;
    scope.counters.add(counter);
    const limit = i32(this.random.below(7));
    const below = [...get(counter), ...limit, ...op("i32.lt_u")];
    const condition = this.random.chance(50)
      ? below
      : [...below, ...this.condition(scope, depth - 2), ...i32(0), ...op("i32.ne"), ...op("i32.and")];
    scope.labels.push({ carries: undefined, loop: true }, { carries: undefined, loop: false });
    const count = [...get(counter), ...i32(1), ...op("i32.add"), ...set(counter)];
    const body = [...this.fuel(), ...count, ...this.statements(scope, depth - 1)];
    const other = () => [...op("else"), ...this.fuel(), ...this.statements(scope, depth - 1)];
    const otherwise = this.random.chance(20) ? other() : [];
    scope.labels.pop();
    scope.labels.pop();
    const start = [...i32(0), ...set(counter), ...op("loop", 0x40), ...condition, ...op("if", 0x40)];
    return [...start, ...body, ...op("br", 1), ...otherwise, ...op("end"), ...op("end")];
  }

  /** local.get, local.get, load, operand, operation, store: a field that is counted or flagged. */
  modify(scope: Scope): number[] {
    const { random } = this;
    const local = scope.locals.push("i32") - 1;
    const row = random.of(stores.filter(({ name }) => !name.includes("atomic")));
    const type = typeOf(row.takes![1]!);
    const loads = memoryRows.filter(
      ({ name, bytes, gives }) =>
        name.startsWith(`${type}.load`) && bytes === row.bytes && gives === letterOf(type),
    );
    const operation = random.of(["add", "sub", "and", "or", "xor", "mul", "shl"]);
    const offset = random.below(3) * 4;
    const storeOffset = random.chance(80) ? offset : random.below(16);
    const address = [...i32(DATA + random.below(64)), ...set(local), ...get(local)];
    const value = random.chance(50) ? constant(type, this.number(type)) : this.leaf(scope, type);
    const load = [...get(local), ...access(random.of(loads).name, offset)];
    return [...address, ...load, ...value, ...op(`${type}.${operation}`), ...access(row.name, storeOffset)];
  }

  /** Counts a local of its own down to zero; the body may leave early or go on. */
  loop(scope: Scope, depth: number): number[] {
    const counter = scope.locals.push("i32") - 1;
    scope.counters.add(counter);
    const code = [...i32(1 + this.random.below(6)), ...set(counter)];
    scope.labels.push({ carries: undefined, loop: true });
    code.push(...op("loop", 0x40), ...this.fuel(), ...this.statements(scope, depth - 1));
    code.push(...get(counter), ...i32(1), ...op("i32.sub"), ...op("local.tee", ...unsigned(counter)));
    code.push(...op("br_if", 0), ...op("end"));
    scope.labels.pop();
    return code;
  }

  /** br, br_if, br_table or return, inside a block so that what follows stays alive. */
  branch(scope: Scope, depth: number): number[] {
    const { random } = this;
    const depths = [...scope.labels.keys()].map((n) => scope.labels.length - 1 - n);
    const target = random.of(depths);
    const label = scope.labels[scope.labels.length - 1 - target]!;
    const carried =
      label.carries === undefined || label.loop ? [] : this.expression(scope, label.carries, depth - 1);
    const kind = random.below(10);
    if (kind < 5) {
      const branch = [...carried, ...this.condition(scope, depth - 1), ...op("br_if", ...unsigned(target))];
      return carried.length > 0 ? [...branch, ...op("drop")] : branch;
    }
    // Code behind an unconditional branch is dead: an if keeps the rest alive.
    const nested = target + 1;
    const condition = this.condition(scope, depth - 1);
    scope.labels.push({ carries: undefined, loop: false });
    const value =
      label.carries === undefined || label.loop ? [] : this.expression(scope, label.carries, depth - 1);
    scope.labels.pop();
    const jump =
      kind < 7
        ? op("br", ...unsigned(nested))
        : this.branchTable(scope, depth, label.loop ? undefined : label.carries, nested);
    const dead = random.chance(20) ? [...i32(1), ...op("drop")] : [];
    return [...condition, ...op("if", 0x40), ...value, ...jump, ...dead, ...op("end")];
  }

  branchTable(scope: Scope, depth: number, carries: ValueType | undefined, sure: number): number[] {
    const fitting = [...scope.labels.keys()]
      .filter((n) => (scope.labels[n]!.loop ? undefined : scope.labels[n]!.carries) === carries)
      .map((n) => scope.labels.length - n);
    const labels = Array.from({ length: this.random.below(9) }, () => this.random.of(fitting));
    // The index is computed outside the operand of the branch's own value, so it must not branch itself.
    const index = [...this.leaf(scope, "i32"), ...i32(labels.length + 1), ...op("i32.rem_u")];
    void depth;
    return [
      ...index,
      ...op("br_table", ...unsigned(labels.length)),
      ...labels.flatMap((label) => unsigned(label)),
      ...unsigned(sure),
    ];
  }

  bulk(scope: Scope, depth: number): number[] {
    const place = () => [
      ...this.expression(scope, "i32", depth - 2),
      ...i32(DATA_BYTES / 4 - 1),
      ...op("i32.and"),
      ...i32(DATA),
      ...op("i32.add"),
    ];
    const size = [...this.expression(scope, "i32", depth - 2), ...i32(63), ...op("i32.and")];
    return this.random.chance(50)
      ? [...place(), ...place(), ...size, ...op("memory.copy", 0, 0)]
      : [...place(), ...this.expression(scope, "i32", depth - 2), ...size, ...op("memory.fill", 0)];
  }

  /** && and || as compilers write them: one arm is a constant. */
  circuit(scope: Scope, depth: number): number[] {
    const { random } = this;
    const first = this.condition(scope, depth - 1);
    scope.labels.push({ carries: "i32", loop: false });
    const rest = this.condition(scope, depth - 1);
    scope.labels.pop();
    const fixed = i32(random.of([0, 0, 1, 1, -5]));
    const [then, otherwise] = random.chance(60) ? [rest, fixed] : [fixed, rest];
    const code = [...first, ...op("if", 0x7f), ...then!, ...op("else"), ...otherwise!, ...op("end")];
    return random.chance(20) ? [...code, ...op("i32.eqz")] : code;
  }

  /** A byte or word of the data compared, as flags are. */
  comparedLoad(scope: Scope, depth: number): number[] {
    const { random } = this;
    const name = random.of(["i32.load8_u", "i32.load8_s", "i32.load16_u", "i32.load", "i32.atomic.load8_u"]);
    const place = this.address(scope, depth, 4, true);
    const code = [...place.code, ...access(name, place.offset)];
    const value = i32(random.of([0, 1, 2, 127, 128, 255, -1]));
    return random.of([code, [...code, ...value, ...op("i32.eq")], [...code, ...value, ...op("i32.and")]]);
  }

  condition(scope: Scope, depth: number): number[] {
    const { random } = this;
    if (depth <= 0 || random.chance(20)) return this.leaf(scope, "i32");
    if (random.chance(30)) return this.circuit(scope, depth);
    if (random.chance(15)) return this.comparedLoad(scope, depth);
    const type = this.type();
    if (random.chance(25)) return [...this.expression(scope, type, depth - 1), ...op(`${type}.eqz`)];
    const comparison = random.of("eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(" "));
    const [left, right] = [this.expression(scope, type, depth - 1), this.expression(scope, type, depth - 1)];
    const code = [...left, ...right, ...op(`${type}.${comparison}`)];
    return random.chance(15) ? [...code, ...op("i32.eqz")] : code;
  }

  leaf(scope: Scope, type: ValueType): number[] {
    const local = this.local(scope, type, false);
    if (local !== undefined && this.random.chance(70)) return get(local);
    const globals = [...this.#globals.keys()].filter((n) => n > 0 && this.#globals[n]!.type === type);
    if (globals.length > 0 && this.random.chance(20)) return op("global.get", this.random.of(globals));
    return constant(type, this.number(type));
  }

  expression(scope: Scope, type: ValueType, depth: number): number[] {
    const { random } = this;
    if (this.#budget-- <= 0 || depth <= 0 || random.chance(15)) return this.leaf(scope, type);
    const kind = random.below(100);
    if (kind < 4) return this.overtaken(scope, type, depth);
    if (kind < 52) return this.operation(scope, type, depth);
    if (kind < 64) return this.loadOrAtomic(scope, type, depth);
    if (kind < 70) {
      const local = this.local(scope, type, true);
      if (local === undefined) return this.leaf(scope, type);
      return [...this.expression(scope, type, depth - 1), ...op("local.tee", ...unsigned(local))];
    }
    if (kind < 78) {
      const [one, other] = [this.expression(scope, type, depth - 1), this.expression(scope, type, depth - 1)];
      return [...one, ...other, ...this.condition(scope, depth - 1), ...op("select")];
    }
    if (kind < 86) return this.conditional(scope, type, depth);
    if (kind < 91) return this.block(scope, type, depth);
    return this.callSome(scope, type, depth) ?? this.leaf(scope, type);
  }

  operation(scope: Scope, type: ValueType, depth: number): number[] {
    const { random } = this;
    const row = random.of(pure.filter((candidate) => candidate.gives === letterOf(type)));
    const operands = [...row.takes!].map((letter) => this.expression(scope, typeOf(letter), depth - 1));
    if (/div|rem/.test(row.name) && !(this.traps && random.chance(10))) {
      // An odd divisor is not 0, and one without its upper half is not -1.
      const source = typeOf(row.takes![0]!);
      operands.push([
        ...constant(source, row.name.includes("rem") ? -1n : 0x7fff_ffffn),
        ...op(`${source}.and`),
        ...constant(source, 1n),
        ...op(`${source}.or`),
      ]);
    }
    return [...operands.flat(), ...op(row.name)];
  }

  /** A local that is read, then written while the value read still waits for its use. */
  overtaken(scope: Scope, type: ValueType, depth: number): number[] {
    const { random } = this;
    const local = this.local(scope, type, true);
    if (local === undefined) return this.leaf(scope, type);
    const nested = random.chance(50);
    const condition = nested && random.chance(50) ? this.condition(scope, 1) : undefined;
    if (nested) scope.labels.push({ carries: undefined, loop: false });
    const write = [...this.expression(scope, type, depth - 1), ...set(local)];
    if (nested) {
      scope.labels.pop();
      write.unshift(...(condition ?? []), ...op(condition === undefined ? "block" : "if", 0x40));
      write.push(...op("end"));
    }
    if (nested && random.chance(50)) write.push(...this.leaf(scope, type));
    else write.push(...get(local));
    const [one, other] = [0, 1].map(() => op(`${type}.${random.of(["add", "sub", "xor", "mul"])}`));
    return [...get(local), ...write, ...one!, ...get(local), ...other!];
  }

  /** A call of an earlier function with this result, directly or through the table. */
  callSome(scope: Scope, result: ValueType | undefined, depth: number): number[] | undefined {
    const { random } = this;
    const fitting = [...this.#signatures.keys()].filter((n) => this.#signatures[n]!.result === result);
    if (fitting.length === 0) return undefined;
    const chosen = random.of(fitting);
    const signature = this.#signatures[chosen]!;
    const values = signature.parameters.flatMap((type) => this.expression(scope, type, depth - 2));
    if (random.chance(60)) return [...values, ...call(chosen + 1)];
    // The type number is filled in when all are known: a marker stands for it.
    const index = this.traps && random.chance(3) ? this.leaf(scope, "i32") : i32(chosen);
    return [...values, ...index, ...op("call_indirect", TYPE_MARKER + chosen, 0)];
  }

  program(): Uint8Array {
    const { random } = this;
    for (let n = random.below(4); n > 0; n--) {
      const type = this.type();
      this.#globals.push({ type, initial: BigInt.asIntN(type === "i32" ? 32 : 64, this.number(type)) });
    }
    for (let n = 2 + random.below(6); n > 0; n--) this.function();
    const imports = [
      { name: "syscall", parameters: Array<ValueType>(7).fill("i64"), result: "i64" as ValueType },
    ];
    const types = typesOf({ imports, functions: this.#functions });
    const functions = this.#functions.map((f) => ({
      ...f,
      code: f.code.map((byte) =>
        byte >= TYPE_MARKER ? types.indexOf(this.#signatures[byte - TYPE_MARKER]!) : byte,
      ),
    }));
    const start = { name: "start", parameters: ["i64" as ValueType], code: this.driver() };
    return buildModule({
      imports,
      functions: [...functions, start],
      globals: this.#globals,
      table: this.#functions.map((_, n) => n + 1),
      data: [
        {
          address: DATA,
          bytes: Uint8Array.from({ length: DATA_BYTES + RESULT_BYTES }, () => random.bits() & 0xff),
        },
      ],
      exports: { start: this.#functions.length + 1 },
    });
  }

  /** Calls every function a few times; after each call, result and globals go to the output, at last all memory. */
  driver(): number[] {
    const code: number[] = [];
    const write = (at: number, bytes: number) =>
      [1n, 1n, BigInt(at), BigInt(bytes), 0n, 0n, 0n]
        .flatMap((value) => i64(value))
        .concat(call(0), op("drop"));
    this.#signatures.forEach((signature, n) => {
      for (let turn = 0; turn < 3; turn++) {
        code.push(...i32(3000), ...op("global.set", 0));
        const values = signature.parameters.flatMap((type) => constant(type, this.number(type)));
        const store = signature.result === undefined ? [] : access(`${signature.result}.store`, 0);
        const place = signature.result === undefined ? [] : i32(RESULTS);
        code.push(...place, ...values, ...call(n + 1), ...store);
        this.#globals.forEach(({ type }, global) => {
          code.push(...i32(RESULTS + 8 + 8 * global), ...op("global.get", global));
          code.push(...access(`${type}.store`, 0));
        });
        code.push(...write(RESULTS, 8 * (1 + this.#globals.length)));
      }
    });
    return [...code, ...write(DATA, DATA_BYTES + RESULT_BYTES)];
  }
}

/** Stands for a type number until the types are counted; no real byte is as large. */
const TYPE_MARKER = 0x1_0000;

export const randomProgram = (seed: number, traps: boolean): Uint8Array =>
  new ProgramWriter(new Random(seed), traps).program();
