// The initial file system: a cpio archive in the "newc" format (Linux Documentation/driver-api/early-userspace/
// buffer-format.rst): per entry a 110-byte ASCII header, the name, the data, each padded to 4 bytes; the entry
// named TRAILER!!! ends it. Nothing here depends on the host: equal input gives equal bytes.

export interface InitialFile {
  /** Path without or with a leading slash: "/bin/counter". */
  readonly path: string;
  readonly data: Uint8Array;
  /** Permission bits; 0o755 unless told. */
  readonly mode?: number;
}

const MAGIC = "070701";
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const TRAILER = "TRAILER!!!";

/** An archive of these files, with the directories that they need, in the order given. */
export function initialFileSystem(files: readonly InitialFile[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const seen = new Set<string>();
  let inode = 1;
  const add = (name: string, mode: number, data: Uint8Array) => {
    parts.push(header(name, mode, data.length, mode === 0 ? 0 : inode++), pad(data));
    seen.add(name);
  };
  for (const { path, data, mode = 0o755 } of files) {
    const name = canonical(path);
    if (seen.has(name)) throw new Error(`initial file system: ${path} is there twice`);
    if (data.length > 0xffff_ffff) throw new Error(`initial file system: ${path} is larger than 4 GiB`);
    for (const directory of parents(name)) {
      if (!seen.has(directory)) add(directory, DIRECTORY | 0o755, new Uint8Array());
    }
    add(name, REGULAR | (mode & 0o7777), data);
  }
  add(TRAILER, 0, new Uint8Array());
  return concatenate(parts);
}

function canonical(path: string): string {
  const words = path.split("/").filter((word) => word !== "");
  if (words.length === 0 || words.some((word) => word === "." || word === "..") || path.includes("\0"))
    throw new Error(`initial file system: "${path}" is not the path of a file`);
  return words.join("/");
}

function parents(name: string): string[] {
  const words = name.split("/");
  return words.slice(1).map((_, index) => words.slice(0, index + 1).join("/"));
}

/** ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check, 8 hex digits each. */
function header(name: string, mode: number, size: number, inode: number): Uint8Array {
  const encoded = new TextEncoder().encode(`${name}\0`);
  const links = (mode & DIRECTORY) === DIRECTORY ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, encoded.length, 0];
  const text = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return pad(concatenate([new TextEncoder().encode(text), encoded]));
}

function pad(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 4 === 0) return bytes;
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return padded;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
