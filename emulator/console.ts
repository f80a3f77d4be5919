// What a machine prints on its serial console, read as lines. Three lines of the guest have a fixed form
// (ARCHITECTURE.md, "What it prints"): `stats: {json}`, `exit: STATUS` and `panic: TEXT`.

/** Longest line that is kept together; a guest that never ends its line gets it cut here. */
const LINE_BYTES_MAX = 4096;

/** Figures that the guest kernel prints before it stops; all counts, or bytes. */
export type GuestStats = Readonly<Record<string, number>>;

export class ConsoleReader {
  readonly #onLine: (line: string) => void;
  readonly #bytes: number[] = [];
  stats: GuestStats | null = null;
  exit: number | null = null;
  panic: string | null = null;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(byte: number): void {
    if (byte === 0x0a || this.#bytes.length >= LINE_BYTES_MAX) this.flush();
    if (byte !== 0x0a && byte !== 0x0d) this.#bytes.push(byte);
  }

  /** Ends an unfinished line. */
  flush(): void {
    const text = Buffer.from(this.#bytes).toString("utf8");
    this.#bytes.length = 0;
    this.#read(text);
    this.#onLine(text);
  }

  /** What has come of a line that has not ended. */
  get unfinished(): string {
    return Buffer.from(this.#bytes).toString("utf8");
  }

  /** Begins again in the middle of a line; nothing has been read yet. */
  restart(unfinished: string): void {
    this.#bytes.splice(0, this.#bytes.length, ...Buffer.from(unfinished));
    this.stats = null;
    this.exit = null;
    this.panic = null;
  }

  /** Ends the last line at the machine's end, if there is one. */
  end(): void {
    if (this.#bytes.length > 0) this.flush();
  }

  #read(line: string): void {
    if (line.startsWith("stats: ")) this.stats = parseStats(line.slice(7));
    else if (/^exit: \d+$/.test(line)) this.exit = Number(line.slice(6));
    else if (line.startsWith("panic: ")) this.panic ??= line.slice(7);
  }
}

/** The figures, or null when the line is not what the kernel prints (a guest program may print anything). */
function parseStats(text: string): GuestStats | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const entries = Object.entries(value).filter((e): e is [string, number] => typeof e[1] === "number");
    return Object.fromEntries(entries);
  } catch {
    return null;
  }
}
