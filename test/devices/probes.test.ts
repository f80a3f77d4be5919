// Every device against its data sheet, by guest code: the cases are in probes/, a table a device. Each table is one
// multiboot image.

import { describe, expect, test } from "vitest";
import { tables } from "./probes/index.js";
import { onOurs } from "./probes/script.js";

describe.each(tables)("$device ($document)", (table) => {
  const run = onOurs(table);
  test.each(table.cases.map(({ name }, index) => [name, index] as const))("%s", async (_, index) => {
    expect((await run).problems[index]).toBe("");
  });
});
