// Loads iced-x86 for its two doors (cpu/decode.ts, assembler.ts). It is a CommonJS file of some megabytes; importing
// it has Node search all of it for the names of its exports, which takes longer than anything else at start-up.

import { createRequire } from "node:module";
import type * as Iced from "iced-x86";

export const iced = createRequire(import.meta.url)("iced-x86") as typeof Iced;

export const { Code, Mnemonic } = iced;
export type Code = Iced.Code;
export type Mnemonic = Iced.Mnemonic;
