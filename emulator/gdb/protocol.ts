// The frames of gdb's remote serial protocol: `$data#checksum`, acknowledged by + or - until QStartNoAckMode, and the byte 3
// for an interrupt. GDB manual, appendix E.1 (overview) and E.10 (interrupts).
// Invariant: whatever comes in, at most PACKET_BYTES_MAX are kept.

/** Longest packet that is taken or sent, in bytes of data. */
export const PACKET_BYTES_MAX = 0x1_0000;

const DOLLAR = 0x24;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE = 0x7d;
const ESCAPE_BIT = 0x20;
const CTRL_C = 3;

export type Event =
  | { readonly kind: "packet"; readonly data: Uint8Array }
  | { readonly kind: "acknowledged" }
  | { readonly kind: "refused" }
  | { readonly kind: "interrupt" }
  /** A packet that cannot be taken: wrong checksum, or too long. */
  | { readonly kind: "damaged"; readonly why: string };

export class PacketReader {
  readonly #data: number[] = [];
  /** "sum": digits of the checksum are awaited. */
  #state: "outside" | "inside" | "sum" = "outside";
  #digits = "";

  *push(bytes: Uint8Array): Generator<Event> {
    for (const byte of bytes) {
      const event = this.#byte(byte);
      if (event !== null) yield event;
    }
  }

  #byte(byte: number): Event | null {
    if (this.#state === "sum") {
      this.#digits += String.fromCharCode(byte);
      return this.#digits.length === 2 ? this.#finish() : null;
    }
    if (byte === DOLLAR) {
      this.#data.length = 0;
      this.#state = "inside";
    } else if (this.#state === "inside") {
      if (byte === HASH) {
        this.#digits = "";
        this.#state = "sum";
      } else if (this.#data.length >= PACKET_BYTES_MAX) {
        this.#state = "outside";
        return { kind: "damaged", why: `a packet of more than ${PACKET_BYTES_MAX} bytes` };
      } else this.#data.push(byte);
    } else if (byte === PLUS) return { kind: "acknowledged" };
    else if (byte === MINUS) return { kind: "refused" };
    else if (byte === CTRL_C) return { kind: "interrupt" };
    return null;
  }

  #finish(): Event {
    this.#state = "outside";
    const wanted = checksum(this.#data);
    if (!/^[\da-f]{2}$/i.test(this.#digits) || Number.parseInt(this.#digits, 16) !== wanted) {
      return { kind: "damaged", why: `checksum ${JSON.stringify(this.#digits)}, wanted ${hexByte(wanted)}` };
    }
    const data: number[] = [];
    for (let i = 0; i < this.#data.length; i++) {
      const escaped = this.#data[i] === ESCAPE && i + 1 < this.#data.length;
      data.push(escaped ? this.#data[++i]! ^ ESCAPE_BIT : this.#data[i]!);
    }
    return { kind: "packet", data: Uint8Array.from(data) };
  }
}

/** A packet ready to send. */
export function packet(text: string): Uint8Array {
  const data: number[] = [];
  for (const byte of Buffer.from(text, "latin1")) {
    if (byte === DOLLAR || byte === HASH || byte === STAR || byte === ESCAPE)
      data.push(ESCAPE, byte ^ ESCAPE_BIT);
    else data.push(byte);
  }
  const sum = Buffer.from(hexByte(checksum(data)), "latin1");
  return Uint8Array.from([DOLLAR, ...data, HASH, ...sum]);
}

function checksum(data: readonly number[]): number {
  let sum = 0;
  for (const byte of data) sum = (sum + byte) & 0xff;
  return sum;
}

const hexByte = (n: number): string => n.toString(16).padStart(2, "0");

/** Bytes as pairs of hexadecimal digits. */
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** null when these are not pairs of hexadecimal digits. */
export function fromHex(text: string): Uint8Array | null {
  return text.length % 2 === 0 && /^[\da-f]*$/i.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : null;
}
