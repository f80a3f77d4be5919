// Every register of every device, touched by guest code: one that works says nothing, one that does not says its name in
// the data sheet. The table is probes/registers.ts.

import { describe, expect, test } from "vitest";
import { touches } from "./probes/registers.js";
import { onOurs, type Table } from "./probes/script.js";
import { mac } from "./virtio-driver.js";

const disk = {
  bytes: 512,
  readOnly: false,
  read: () => {},
  write: () => {},
  flush: () => {},
  snapshot: () => ({}),
  restore: () => {},
};

const table = (silent: boolean): Table => ({
  device: "registers",
  document: "",
  machine: () => ({ mac, disks: [disk], testDevice: false }),
  cases: touches
    .filter(({ reports, name }) => silent === (reports === undefined) || name === "BARs")
    .map(({ name, touch }) => ({ name, steps: (t) => void touch(t) })),
});

describe("what is not implemented says its name", () => {
  const run = onOurs(table(false));
  test.each(
    touches.flatMap(({ device, name, reports }) => (reports ? [[device, name, reports] as const] : [])),
  )("%s: %s", async (_, __, reports) => {
    expect((await run).reports.join("\n")).toMatch(reports);
  });
});

test("what is implemented says nothing", async () => {
  expect((await onOurs(table(true))).reports).toEqual([]);
});
