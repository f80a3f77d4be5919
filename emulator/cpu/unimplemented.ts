// What the core does not model, by the codes that microcode reports through the host (UNIMPLEMENTED_* in layout.ts).
// The guest then sees the fault that the architecture gives a processor without the feature, or the nearest one.

import { UNIMPLEMENTED_TASK_SWITCH } from "./layout.js";

export const unimplementedNames: Readonly<Record<number, string>> = {
  [UNIMPLEMENTED_TASK_SWITCH]: "hardware task switch (TSS or task gate, IRET with NT)",
};
