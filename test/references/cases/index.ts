// The kinds of cases, with the mode in which they are tried and the processor that Bochs is to be for them.

import { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { debugging } from "./debugging.js";
import { protectedInterrupts, virtualInterrupts } from "./extensions.js";
import { floating } from "./floating.js";
import { implicitly } from "./implicit.js";
import { codeLimits, limits } from "./limits.js";
import { paging } from "./paging.js";
import { sixteen } from "./sixteen.js";
import { system } from "./system.js";
import { transfers } from "./transfers.js";

export type Model = "ryzen" | "corei7_icelake_u";

export interface Kind {
  readonly name: string;
  readonly mode: Mode;
  readonly model: Model;
  readonly make: (seed: number, count: number) => Case[];
}

const each = (one: (d: Draw) => Case) => (seed: number, count: number) => {
  const d = new Draw(seed);
  return Array.from({ length: count }, () => one(d));
};
/** Without protection keys and UMIP. */
const AMD = "ryzen";
const INTEL = "corei7_icelake_u";

export const kinds: readonly Kind[] = [
  { name: "transfers", mode: "legacy", model: AMD, make: (seed, count) => transfers("legacy", seed, count) },
  { name: "transfers", mode: "long", model: AMD, make: (seed, count) => transfers("long", seed, count) },
  { name: "paging", mode: "legacy", model: AMD, make: (seed, count) => paging("legacy", seed, count) },
  { name: "paging", mode: "long", model: AMD, make: (seed, count) => paging("long", seed, count) },
  { name: "real mode", mode: "legacy", model: AMD, make: each(sixteen("real")) },
  { name: "virtual-8086 mode", mode: "legacy", model: AMD, make: each(sixteen("virtual")) },
  { name: "virtual interrupts", mode: "legacy", model: AMD, make: each(virtualInterrupts) },
  {
    name: "protected-mode virtual interrupts",
    mode: "legacy",
    model: AMD,
    make: each(protectedInterrupts("legacy")),
  },
  {
    name: "protected-mode virtual interrupts",
    mode: "long",
    model: AMD,
    make: each(protectedInterrupts("long")),
  },
  { name: "segment limits", mode: "legacy", model: AMD, make: each(limits) },
  { name: "code segment limits", mode: "legacy", model: AMD, make: each(codeLimits) },
  { name: "debug exceptions", mode: "legacy", model: AMD, make: each(debugging("legacy")) },
  { name: "debug exceptions", mode: "long", model: AMD, make: each(debugging("long")) },
  { name: "system registers", mode: "legacy", model: AMD, make: each(system("legacy")) },
  { name: "system registers", mode: "long", model: AMD, make: each(system("long")) },
  { name: "UMIP", mode: "legacy", model: INTEL, make: each(system("legacy", true)) },
  { name: "UMIP", mode: "long", model: INTEL, make: each(system("long", true)) },
  { name: "floating point", mode: "legacy", model: AMD, make: each(floating("legacy")) },
  { name: "floating point", mode: "long", model: AMD, make: each(floating("long")) },
  { name: "implicit accesses", mode: "legacy", model: INTEL, make: each(implicitly("legacy")) },
  { name: "implicit accesses", mode: "long", model: INTEL, make: each(implicitly("long")) },
];
