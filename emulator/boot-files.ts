// What the firmware is told about a kernel besides its bytes: fw_cfg files of its own names. Formats are at their
// readers, firmware/kernel.ts and firmware/multiboot.ts.

export interface Module {
  readonly data: Uint8Array;
  /** The text that a multiboot module carries: its own command line. */
  readonly text: string;
}

export interface BootFiles {
  /** First word of a multiboot kernel's command line; "kernel" without. */
  readonly name?: string;
  /** The image has no headers: it belongs to this physical address and is entered there. */
  readonly flat?: number;
  readonly modules?: readonly Module[];
  /** Which of a Linux image's entries: 32 unless told. */
  readonly entry?: 32 | 64;
}

const PAGE_BYTES = 0x1000;
const MODULE_BYTES = 16;

const text = (words: string) => new TextEncoder().encode(words);

/** The files, and the initial file system that holds the modules one after the other, each on a page of its own. */
export function bootFiles({ name, flat, entry, modules = [] }: BootFiles): {
  files: Map<string, Uint8Array>;
  initrd?: Uint8Array;
} {
  const files = new Map<string, Uint8Array>();
  if (name !== undefined) files.set("opt/buslock/kernel-name", text(name));
  if (flat !== undefined) {
    if (!Number.isInteger(flat) || flat < 0 || flat >= 2 ** 32)
      throw new RangeError(`flat image at ${flat}: wanted a physical address below 4 GiB`);
    files.set("opt/buslock/flat", word(flat));
  }
  if (entry !== undefined) files.set("opt/buslock/entry", word(entry));
  if (modules.length === 0) return { files };
  files.set("opt/buslock/modules", moduleList(modules));
  return { files, initrd: joined(modules) };
}

const word = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
const onPage = (bytes: number) => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/** The last one is not padded: a single module is the initial file system as it is. */
function joined(modules: readonly Module[]): Uint8Array {
  const last = modules[modules.length - 1]!.data.length;
  const before = modules.slice(0, -1).reduce((sum, { data }) => sum + onPage(data.length), 0);
  const all = new Uint8Array(before + last);
  let at = 0;
  for (const { data } of modules) {
    all.set(data, at);
    at += onPage(data.length);
  }
  return all;
}

/** Count, then {start, end, text, 0} for each, then the texts. */
function moduleList(modules: readonly Module[]): Uint8Array {
  const texts = modules.map((m) => text(`${m.text}\0`));
  const strings = 4 + MODULE_BYTES * modules.length;
  const bytes = new Uint8Array(texts.reduce((sum, t) => sum + t.length, strings));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, modules.length, true);
  let [start, string] = [0, strings];
  modules.forEach(({ data }, index) => {
    const at = 4 + MODULE_BYTES * index;
    view.setUint32(at, start, true);
    view.setUint32(at + 4, start + data.length, true);
    view.setUint32(at + 8, string, true);
    bytes.set(texts[index]!, string);
    start += onPage(data.length);
    string += texts[index]!.length;
  });
  return bytes;
}
