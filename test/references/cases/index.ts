// The kinds of cases, with the mode in which they are tried and the processor that Bochs is to be for them.

import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { paging } from "./paging.js";
import { transfers } from "./transfers.js";

export type Model = "ryzen" | "corei7_icelake_u";

export interface Kind {
  readonly name: string;
  readonly mode: Mode;
  readonly model: Model;
  readonly make: (seed: number, count: number) => Case[];
}

const AMD = "ryzen";

export const kinds: readonly Kind[] = [
  { name: "transfers", mode: "legacy", model: AMD, make: (seed, count) => transfers("legacy", seed, count) },
  { name: "transfers", mode: "long", model: AMD, make: (seed, count) => transfers("long", seed, count) },
  { name: "paging", mode: "legacy", model: AMD, make: (seed, count) => paging("legacy", seed, count) },
  { name: "paging", mode: "long", model: AMD, make: (seed, count) => paging("long", seed, count) },
];
