// The probes of devices under QEMU: where its device follows the data sheet too, the case says so of itself; elsewhere it
// carries what QEMU does otherwise. A case that is wrong by the data sheet would fail on both or have no note.

import { describe, expect, test } from "vitest";
import { qemu } from "../support/qemu.js";
import { tables } from "./probes/index.js";
import { onQemu } from "./probes/script.js";

if (qemu.missing !== "") console.warn(`skipped: probes of devices under QEMU, because ${qemu.missing}`);

describe.skipIf(qemu.missing !== "").each(tables.filter(({ notQemu }) => notQemu === undefined))(
  "$device ($document)",
  (table) => {
    test("is seen on QEMU as here, but for what is noted", async () => {
      const problems = await onQemu(table);
      const wrong = table.cases.flatMap(({ name, notQemu }, index) =>
        problems[index] !== "" && notQemu === undefined ? [`${name}: ${problems[index]}`] : [],
      );
      expect(wrong).toEqual([]);
    });
  },
);
