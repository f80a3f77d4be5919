// What the kernel's sources declare and tools may want to know, as data: the layout of its records and the numbers of its
// tables. The build writes it beside the image, where an ordinary compiler would put DWARF: a debugger's view of the kernel, which
// nothing in the guest is needed for. Fields lie as in C: each at a multiple of its size, in the order in which they stand.
//
// Read are only forms that the dialect has one way to write: "@unmanaged export class Name { field: type = value; }" and
// "export const NAME: type = number;". A record with anything else in it is left out; a test compares the rest with asc's offsets.

export interface Field {
  readonly at: number;
  readonly bytes: number;
}

export interface Declared {
  readonly records: Readonly<Record<string, Readonly<Record<string, Field>>>>;
  readonly numbers: Readonly<Record<string, number>>;
}

/** By source file, without ".ts". */
export type Declarations = Readonly<Record<string, Declared>>;

const sizes: Readonly<Record<string, number>> = {
  u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, usize: 4, isize: 4, u64: 8, i64: 8,
}; // biome-ignore format: a table

const CLASS = /^@unmanaged\s+(?:export\s+)?class (\w+) \{\n([\s\S]*?)^\}/gm;
const FIELD = /^ {2}(?:readonly )?(\w+): (\w+)(?: = [^;]+)?;/;
const NUMBER = /^export const (\w+): [ui](?:8|16|32|64) = (0x[\da-f_]+|\d[\d_]*);/gim;

export function declared(source: string): Declared {
  const records: Record<string, Record<string, Field>> = {};
  for (const [, name, body] of source.matchAll(CLASS)) {
    const fields = fieldsOf(body!);
    if (fields !== null) records[name!] = fields;
  }
  const numbers: Record<string, number> = {};
  for (const [, name, text] of source.matchAll(NUMBER)) {
    const value = Number(text!.replaceAll("_", ""));
    if (Number.isSafeInteger(value)) numbers[name!] = value;
  }
  return { records, numbers };
}

function fieldsOf(body: string): Record<string, Field> | null {
  const fields: Record<string, Field> = {};
  let at = 0;
  let inComment = false;
  for (const line of body.split("\n")) {
    const text = line.trim();
    if (text.startsWith("/*")) inComment = true;
    const skip = inComment || text === "" || text.startsWith("//");
    if (text.endsWith("*/")) inComment = false;
    if (skip) continue;
    const [, name, type] = FIELD.exec(line) ?? [];
    if (name === undefined) return null; // a method, or a field of another form
    // A field of a class is its address.
    const bytes = sizes[type!] ?? (/^[A-Z]/.test(type!) ? 4 : 0);
    if (bytes === 0) return null;
    at = Math.ceil(at / bytes) * bytes;
    fields[name] = { at, bytes };
    at += bytes;
  }
  return fields;
}

/** Of all these files. */
export function declarations(files: readonly string[], read: (file: string) => string): Declarations {
  const entries = files.map((file): [string, Declared] => [file.replace(/\.ts$/, ""), declared(read(file))]);
  return Object.fromEntries(
    entries.filter(([, d]) => Object.keys(d.records).length + Object.keys(d.numbers).length > 0).sort(),
  );
}
