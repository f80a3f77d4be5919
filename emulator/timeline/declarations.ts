// What a kernel's build wrote of its sources beside the image (KERNEL.layout.json): where the fields of its records lie, and
// the numbers of its tables. With the image's symbols that is what a debugger knows; nothing here is compiled into the emulator.

import { existsSync, readFileSync } from "node:fs";
import { elfSymbols } from "../symbols.js";

export interface Field {
  readonly at: number;
  readonly bytes: number;
}

type Declared = {
  readonly records: Readonly<Record<string, Readonly<Record<string, Field>>>>;
  readonly numbers: Readonly<Record<string, number>>;
};

export class Declarations {
  readonly #path: string;
  readonly #files: Readonly<Record<string, Declared>>;
  readonly #symbols: ReadonlyMap<string, bigint>;

  /** Throws an Error that says what is missing for what. */
  constructor(kernelPath: string, kernel: Uint8Array) {
    this.#path = kernelPath.replace(/(\.elf)?$/, ".layout.json");
    if (!existsSync(this.#path))
      throw new Error(
        `--report: no ${this.#path}: what happens in a kernel is read by what its build wrote of its records, as ours does`,
      );
    this.#files = JSON.parse(readFileSync(this.#path, "utf8")) as Record<string, Declared>;
    const { names, addresses } = elfSymbols(kernel);
    this.#symbols = new Map(names.map((name, i) => [name, addresses[i]!]));
  }

  #declared(file: string): Declared {
    const declared = this.#files[file];
    if (declared === undefined) throw new Error(`${this.#path}: nothing of ${file}.ts`);
    return declared;
  }

  /** Numbers of a file whose names begin so, by their value: the rest of the name. */
  names(file: string, prefix: string): ReadonlyMap<number, string> {
    const entries = Object.entries(this.#declared(file).numbers);
    return new Map(
      entries.filter(([name]) => name.startsWith(prefix)).map(([name, n]) => [n, name.slice(prefix.length)]),
    );
  }

  /** The first numbers that a file declares, by name, in its order. */
  first(file: string, count: number): string[] {
    const names = Object.keys(this.#declared(file).numbers).slice(0, count);
    if (names.length < count) throw new Error(`${this.#path}: ${file}.ts declares ${names.length} numbers`);
    return names;
  }

  number(file: string, name: string): number {
    const value = this.#declared(file).numbers[name];
    if (value === undefined) throw new Error(`${this.#path}: ${file}.ts declares no number ${name}`);
    return value;
  }

  fields<Name extends string>(file: string, record: string, wanted: readonly Name[]): Record<Name, Field> {
    const fields = this.#declared(file).records[record];
    const found = wanted.map((name): [Name, Field] => {
      const field = fields?.[name];
      if (field === undefined) throw new Error(`${this.#path}: ${file}.ts declares no ${record}.${name}`);
      return [name, field];
    });
    return Object.fromEntries(found) as Record<Name, Field>;
  }

  /** Virtual address of one of the kernel's variables. */
  variable(name: string): bigint {
    const address = this.#symbols.get(name);
    if (address === undefined) throw new Error(`the kernel has no symbol ${name}`);
    return address;
  }
}
