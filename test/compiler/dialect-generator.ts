// Random source in the kernel's dialect from a seed: small integers that wrap, && and ||, ternaries, switches,
// loops with break and continue, fields of unmanaged objects, calls through the table. What asc makes of it
// at -O0 and at -O3 has shapes that a generator of wasm would not think of.
import { Random } from "./generator.js";

const types = ["i32", "u32", "i64", "u64", "u8", "i8", "u16", "i16", "bool"] as const;
type Type = (typeof types)[number];
const bitsOf: Record<Type, number> = {
  i32: 32,
  u32: 32,
  i64: 64,
  u64: 64,
  u8: 8,
  i8: 8,
  u16: 16,
  i16: 16,
  bool: 1,
};

interface Variable {
  readonly name: string;
  readonly type: Type;
  readonly writable: boolean;
}

interface Callee {
  readonly name: string;
  readonly parameters: readonly Type[];
  readonly result: Type;
}

const OBJECTS = "0x508000";

class SourceWriter {
  readonly #callees: Callee[] = [];
  #names = 0;
  #budget = 0;

  constructor(readonly random: Random) {}

  type(): Type {
    return this.random.chance(70)
      ? this.random.of(["i32", "u32", "i64", "u64"] as const)
      : this.random.of(types);
  }

  literal(type: Type): string {
    const { random } = this;
    if (type === "bool") return random.of(["true", "false"]);
    const bits = BigInt(bitsOf[type]);
    const wide = (BigInt(random.bits()) << 32n) | BigInt(random.bits());
    const chosen = random.of([
      0n,
      1n,
      -1n,
      2n,
      7n,
      31n,
      255n,
      (1n << (bits - 1n)) - 1n,
      1n << (bits - 1n),
      wide,
    ]);
    const value = type.startsWith("u")
      ? BigInt.asUintN(Number(bits), chosen)
      : BigInt.asIntN(Number(bits), chosen);
    return `<${type}>${value < 0n ? `(${value})` : value}`;
  }

  leaf(scope: readonly Variable[], type: Type): string {
    const fitting = scope.filter((variable) => variable.type === type);
    return fitting.length > 0 && this.random.chance(70) ? this.random.of(fitting).name : this.literal(type);
  }

  object(scope: readonly Variable[], depth: number): string {
    return `at(<u32>(${this.expression(scope, "u32", depth - 1)}))`;
  }

  condition(scope: readonly Variable[], depth: number): string {
    const { random } = this;
    if (depth <= 0 || this.#budget-- <= 0) return this.leaf(scope, "bool");
    const kind = random.below(10);
    const part = () => this.condition(scope, depth - 1);
    if (kind < 2) return `(${part()} && ${part()})`;
    if (kind < 4) return `(${part()} || ${part()})`;
    if (kind < 5) return `!${part()}`;
    const type = random.of(types.filter((candidate) => candidate !== "bool"));
    const operator = random.of(["==", "!=", "<", "<=", ">", ">="]);
    return `(${this.expression(scope, type, depth - 1)} ${operator} ${this.expression(scope, type, depth - 1)})`;
  }

  expression(scope: readonly Variable[], type: Type, depth: number): string {
    const { random } = this;
    if (type === "bool") return this.condition(scope, depth);
    if (depth <= 0 || this.#budget-- <= 0 || random.chance(15)) return this.leaf(scope, type);
    const operand = () => this.expression(scope, type, depth - 1);
    const kind = random.below(100);
    if (kind < 40) return `<${type}>(${operand()} ${random.of(["+", "-", "*", "&", "|", "^"])} ${operand()})`;
    if (kind < 48) return `<${type}>(${operand()} ${random.of(["<<", ">>", ">>>"])} ${operand()})`;
    if (kind < 54) return this.division(scope, type, depth);
    if (kind < 64) return `<${type}>(${this.expression(scope, this.type(), depth - 1)})`;
    if (kind < 72) return `(${this.condition(scope, depth - 1)} ? ${operand()} : ${operand()})`;
    if (kind < 80) return `<${type}>${this.object(scope, depth)}.${random.of(["a", "b", "c", "d", "e"])}`;
    if (kind < 84 && bitsOf[type] >= 32)
      return `${random.of(["clz", "ctz", "popcnt"])}<${type}>(${operand()})`;
    if (kind < 88 && bitsOf[type] >= 32) {
      const at = `${OBJECTS} + (<usize>(${this.expression(scope, "u32", depth - 1)}) & 0x3f8)`;
      return `atomic.${random.of(["add", "xor", "xchg", "or"])}<${type}>(${at}, ${operand()})`;
    }
    return this.call(scope, type, depth) ?? this.leaf(scope, type);
  }

  /** Never by zero or by -1. */
  division(scope: readonly Variable[], type: Type, depth: number): string {
    const { random } = this;
    const [left, right] = [this.expression(scope, type, depth - 1), this.expression(scope, type, depth - 1)];
    return `<${type}>(${left} ${random.of(["/", "%"])} <${type}>((${right} & <${type}>0x5f) | <${type}>1))`;
  }

  call(scope: readonly Variable[], type: Type, depth: number): string | undefined {
    const fitting = this.#callees.filter((callee) => callee.result === type);
    if (fitting.length === 0) return undefined;
    const { name, parameters } = this.random.of(fitting);
    const values = parameters.map((parameter) => this.expression(scope, parameter, depth - 2));
    if (this.random.chance(70)) return `${name}(${values.join(", ")})`;
    return `call_indirect<${type}>(${[`${name}.index`, ...values].join(", ")})`;
  }

  statements(scope: Variable[], depth: number, loop: boolean): string {
    const inner = [...scope];
    const lines = [];
    for (let n = 1 + this.random.below(4); n > 0; n--) lines.push(this.statement(inner, depth, loop));
    return lines.join("\n");
  }

  statement(scope: Variable[], depth: number, loop: boolean): string {
    const { random } = this;
    const kind = this.#budget-- > 0 && depth > 0 ? random.below(100) : 0;
    const writable = scope.filter((variable) => variable.writable);
    if (kind < 18) {
      const type = this.type();
      const name = `v${this.#names++}`;
      const text = `let ${name}: ${type} = ${this.expression(scope, type, depth)};`;
      scope.push({ name, type, writable: true });
      return text;
    }
    if (kind < 45 && writable.length > 0) {
      const { name, type } = random.of(writable);
      if (type !== "bool" && random.chance(30)) {
        const operator = random.of(["+=", "-=", "*=", "^="]);
        return `${name} ${operator} ${this.expression(scope, type, depth)};`;
      }
      return `${name} = ${this.expression(scope, type, depth)};`;
    }
    if (kind < 62) return this.fieldWrite(scope, depth);
    const body = () => `{\n${this.statements(scope, depth - 1, loop)}\n}`;
    if (kind < 76) {
      const otherwise = random.chance(50) ? ` else ${body()}` : "";
      return `if (${this.condition(scope, depth)}) ${body()}${otherwise}`;
    }
    if (kind < 86) return this.loop(scope, depth);
    if (kind < 92) {
      const cases = [0, 1, 2, 3, 4, 5, 6].filter(() => random.chance(70));
      const arms = cases.map((n) => `case ${n}: ${body()}${random.chance(70) ? " break;" : ""}`);
      const index = this.expression(scope, "u32", depth);
      return `switch (<u32>(${index}) & 7) {\n${arms.join("\n")}\ndefault: ${body()}\n}`;
    }
    if (kind < 96 && loop) return `if (${this.condition(scope, depth)}) ${random.of(["break", "continue"])};`;
    return this.fieldWrite(scope, depth);
  }

  fieldWrite(scope: readonly Variable[], depth: number): string {
    const { random } = this;
    const [field, type] = random.of([
      ["a", "u32"],
      ["b", "u64"],
      ["c", "u8"],
      ["d", "i16"],
      ["e", "bool"],
    ] as const);
    const place = `${this.object(scope, depth)}.${field}`;
    if (type !== "bool" && random.chance(40))
      return `${place} ${random.of(["+=", "-=", "|=", "^="])} ${this.leaf(scope, type)};`;
    return `${place} = ${this.expression(scope, type, depth)};`;
  }

  loop(scope: Variable[], depth: number): string {
    const name = `i${this.#names++}`;
    const inside: Variable[] = [...scope, { name, type: "u32", writable: false }];
    const also = this.random.chance(40) ? ` && ${this.condition(scope, 1)}` : "";
    const head = `for (let ${name}: u32 = 0; ${name} < ${this.random.below(6)}${also}; ${name}++)`;
    return `${head} {\n${this.statements(inside, depth - 1, true)}\n}`;
  }

  function(): string {
    const name = `f${this.#callees.length}`;
    const parameters = Array.from({ length: this.random.below(8) }, () => this.type());
    const result = this.type();
    const scope = parameters.map((type, n): Variable => ({ name: `p${n}`, type, writable: true }));
    this.#budget = 50 + this.random.below(80);
    const list = scope.map((variable) => `${variable.name}: ${variable.type}`).join(", ");
    const body = this.statements(scope, 4, false);
    const value = this.expression(scope, result, 3);
    const text = `function ${name}(${list}): ${result} {\n${body}\nreturn ${value};\n}`;
    this.#callees.push({ name, parameters, result });
    return text;
  }

  program(functions: number): string {
    const bodies = Array.from({ length: functions }, () => this.function());
    const calls = this.#callees.flatMap(({ name, parameters }) =>
      [0, 1, 2].map(
        () => `report(<u64>${name}(${parameters.map((type) => this.literal(type)).join(", ")}));`,
      ),
    );
    return `
import { syscall } from "./arch";
@unmanaged class Thing { a: u32; b: u64; c: u8; d: i16; e: bool; }
// Room for objects: the linker puts nothing behind static data that long.
const room: usize = memory.data(0x9000);
function at(index: u32): Thing { return changetype<Thing>(${OBJECTS} + (<usize>index & 31) * 32); }
function report(value: u64): void {
  store<u64>(room, value);
  syscall(1, 1, <u64>room, 8, 0, 0, 0);
}
${bodies.join("\n")}
export function start(stack: u64): void {
  assert(room < ${OBJECTS} && room + 0x9000 > ${OBJECTS} + 0x800);
  ${calls.join("\n")}
  syscall(1, 1, ${OBJECTS}, 0x400, 0, 0, 0);
}
`;
  }
}

export const randomSource = (seed: number, functions: number): string =>
  new SourceWriter(new Random(seed)).program(functions);
