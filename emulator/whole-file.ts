// A file that is written whole or not at all: who reads it finds the old one or the new one, whenever the writer ends.

import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";

const partOf = (path: string): string => `${path}.part`;

/** Throws, and leaves nothing, where it cannot be written. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const part = partOf(path);
  try {
    writeFileSync(part, content);
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

/** Throws where writeWhole() could not write; what stands there stays. */
export function checkWhole(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new Error(`${path} is a directory`);
  writeFileSync(partOf(path), "");
  rmSync(partOf(path));
}
