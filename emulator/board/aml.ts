// ACPI Machine Language, as much of it as the board's DSDT says: ACPI 6.4, chapter 20 "ACPI Machine
// Language Specification", and the resource descriptors of section 6.4. Each function gives encoded bytes.

type Aml = readonly number[];

const bytesOf = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => Math.floor(value / 2 ** (8 * index)) & 0xff);

/** NameSeg: four characters, padded with underscores; `\` in front means the root. */
function nameString(text: string): number[] {
  const root = text.startsWith("\\");
  const segment = (root ? text.slice(1) : text).padEnd(4, "_");
  if (!/^[A-Z_][A-Z0-9_]{3}$/.test(segment)) throw new RangeError(`aml: ${text} is not a name`);
  return [...(root ? [0x5c] : []), ...Buffer.from(segment, "latin1")];
}

/** PkgLength counts itself: one byte below 64, else four bits in the lead byte and up to three more bytes. */
function withLength(body: Aml): number[] {
  if (body.length + 1 < 64) return [body.length + 1, ...body];
  for (let extra = 1; extra <= 3; extra++) {
    const total = body.length + 1 + extra;
    if (total >= 2 ** (4 + 8 * extra)) continue;
    return [(extra << 6) | (total & 15), ...bytesOf(total >> 4, extra), ...body];
  }
  throw new RangeError(`aml: a package of ${body.length} bytes is too long`);
}

export const integer = (value: number): Aml => {
  if (value === 0 || value === 1) return [value];
  if (value <= 0xff) return [0x0a, value];
  return value <= 0xffff ? [0x0b, ...bytesOf(value, 2)] : [0x0c, ...bytesOf(value, 4)];
};

/** A string. */
export const text = (characters: string): Aml => [0x0d, ...Buffer.from(characters, "latin1"), 0];

export const name = (text: string, value: Aml): Aml => [0x08, ...nameString(text), ...value];
export const scope = (text: string, ...body: Aml[]): Aml => [
  0x10,
  ...withLength([...nameString(text), ...body.flat()]),
];
export const device = (text: string, ...body: Aml[]): Aml => [
  0x5b,
  0x82,
  ...withLength([...nameString(text), ...body.flat()]),
];
export const packageOf = (...elements: Aml[]): Aml => [
  0x12,
  ...withLength([elements.length, ...elements.flat()]),
];

export const argument = (index: number): Aml => [0x68 + index];
/** Method (NAME, arguments, Serialized), as one must be that creates names. */
export const method = (text: string, count: number, ...body: Aml[]): Aml => [
  0x14,
  ...withLength([...nameString(text), count | 8, ...body.flat()]),
];
export const dwordField = (buffer: Aml, offset: number, text: string): Aml => [
  0x8a,
  ...buffer,
  ...integer(offset),
  ...nameString(text),
];
export const reference = (text: string): Aml => nameString(text);
export const ifThen = (condition: Aml, ...body: Aml[]): Aml => [
  0xa0,
  ...withLength([...condition, ...body.flat()]),
];
export const equal = (a: Aml, b: Aml): Aml => [0x93, ...a, ...b];
export const store = (value: Aml, target: Aml): Aml => [0x70, ...value, ...target];
/** Or (a, b, target) */
export const or = (a: Aml, b: Aml, target: Aml): Aml => [0x7d, ...a, ...b, ...target];
export const returned = (value: Aml): Aml => [0xa4, ...value];

/** ToUUID("33DB4D5B-..."): a buffer whose first three fields are little endian. */
export function uuid(text: string): Aml {
  const fields = text.split("-");
  if (!/^[\dA-F]{8}(-[\dA-F]{4}){3}-[\dA-F]{12}$/.test(text))
    throw new RangeError(`aml: ${text} is not a UUID`);
  const bytes = fields.flatMap((field, index) => {
    const order = [...Buffer.from(field, "hex")];
    return index < 3 ? order.reverse() : order;
  });
  return [0x11, ...withLength([...integer(bytes.length), ...bytes])];
}

/** EISAID("PNP0A08"): three letters in five bits each, then four hexadecimal digits, big endian. */
export function eisaId(text: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(text)) throw new RangeError(`aml: ${text} is not an EISA ID`);
  const [a, b, c] = [...text.slice(0, 3)].map((letter) => letter.charCodeAt(0) - 0x40);
  const letters = (a << 10) | (b << 5) | c;
  const product = Number.parseInt(text.slice(3), 16);
  return [0x0c, letters >> 8, letters & 0xff, product >> 8, product & 0xff];
}

/** ResourceTemplate: a buffer of descriptors and the end tag (whose checksum of 0 means "not checked"). */
export function resources(...descriptors: Aml[]): Aml {
  const body = [...descriptors.flat(), 0x79, 0x00];
  return [0x11, ...withLength([...integer(body.length), ...body])];
}

/** IO: a fixed range of ports, 16 bits decoded. */
export const io = (port: number, count: number): Aml => [
  0x47,
  1,
  ...bytesOf(port, 2),
  ...bytesOf(port, 2),
  1,
  count,
];

/** IRQNoFlags: an edge-triggered, active-high ISA interrupt. */
export const irq = (line: number): Aml => [0x22, ...bytesOf(1 << line, 2)];

/** Memory32Fixed, read-write. */
export const memoryFixed = (base: number, length: number): Aml => [
  0x86,
  ...bytesOf(9, 2),
  1,
  ...bytesOf(base, 4),
  ...bytesOf(length, 4),
];

const addressKind = { memory: 0, io: 1, bus: 2 } as const;
/** Minimum and maximum are fixed, the range is produced, positive decoding. */
const FIXED_PRODUCER = 0x0c;

function addressSpace(kind: number, flags: number, width: 2 | 4, first: number, last: number): Aml {
  const body = [
    kind,
    FIXED_PRODUCER,
    flags,
    ...[0, first, last, 0, last - first + 1].flatMap((v) => bytesOf(v, width)),
  ];
  return [width === 2 ? 0x88 : 0x87, ...bytesOf(body.length, 2), ...body];
}

export const busNumbers = (first: number, last: number): Aml =>
  addressSpace(addressKind.bus, 0, 2, first, last);
/** Both ISA and non-ISA ranges. */
export const ioWindow = (first: number, last: number): Aml => addressSpace(addressKind.io, 3, 2, first, last);
/** Not cacheable, read-write. */
export const memoryWindow = (first: number, last: number): Aml =>
  addressSpace(addressKind.memory, 1, 4, first, last);
