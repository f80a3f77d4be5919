// Where a machine's consoles print: the standard output, a file, or nowhere.

import { createWriteStream, openSync } from "node:fs";

export interface ByteOutput {
  write(byte: number): void;
  end(): Promise<void>;
}

/** Bytes to the standard output or to a file, gathered for a moment so that a console byte is no system call. Throws where the file cannot be made. */
export function byteOutput(option: string, where: string): ByteOutput {
  if (where === "null") return { write: () => {}, end: () => Promise.resolve() };
  const file = /^file:(.+)$/.exec(where);
  if (where !== "stdio" && file === null)
    throw new Error(`${option} ${where}: wanted stdio, null or file:PATH`);
  const stream = file === null ? process.stdout : fileStream(option, where, file[1]!);
  // The standard output's errors are the command's.
  if (file !== null)
    stream.on("error", (error) => process.stderr.write(`${option} ${where}: ${error.message}\n`));
  let pending: number[] = [];
  const flush = () => {
    if (pending.length > 0) stream.write(Uint8Array.from(pending));
    pending = [];
  };
  return {
    write: (byte) => {
      if (pending.length === 0) setTimeout(flush, 2);
      pending.push(byte);
      if (byte === 0x0a) flush();
    },
    end: () =>
      new Promise((resolve) => {
        flush();
        if (file === null) stream.write("", () => resolve());
        else stream.end(() => resolve());
      }),
  };
}

function fileStream(option: string, where: string, path: string) {
  try {
    return createWriteStream(path, { fd: openSync(path, "w") });
  } catch (error) {
    throw new Error(`${option} ${where}: ${(error as Error).message}`);
  }
}
