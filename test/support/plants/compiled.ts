// Kernel modules of their own, compiled from sources in which one line is changed.
import { readFileSync } from "node:fs";
import { compileDialect } from "../../../kernel/compiler/asc.js";
import { KernelWasm } from "../kernel-wasm.js";

export interface Change {
  readonly name: string;
  /** Below kernel/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The text of the file with the change in it. */
export function changed({ file, from, to }: Change): string {
  const text = readFileSync(`kernel/${file}`, "utf8");
  if (text.split(from).length !== 2)
    throw new Error(`kernel/${file} has not exactly one place with: ${from}`);
  return text.replace(from, () => to);
}

/** `entry`: the module that is compiled, below kernel/, or its text. */
export async function compiled(change: Change, entry: string, text?: string): Promise<() => KernelWasm> {
  const files = new Map([[`kernel/${change.file}`, changed(change)]]);
  if (text !== undefined) files.set(`kernel/${entry}`, text);
  const options = { root: process.cwd(), memoryBase: 65536, optimize: 0 as const, files };
  const { wasm } = await compileDialect({ entry: `kernel/${entry}`, ...options });
  return () => new KernelWasm({}, wasm);
}
