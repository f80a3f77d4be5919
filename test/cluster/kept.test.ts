// R1 and R2 on whole machines: a machine dies that wrote a file. What another one had read of it is there for all, the rest is
// reported lost, once.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const LOSS = 60;
const READ = 6;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

describe.skipIf(!hasMusl)(`pages with one copy left${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each([1, 2, 3])("R1: they are there for all, with the home on machine %i", async (home) => {
    const name = names.find((name) => homeOf(name, [1, 2, 3]) === home)!;
    const run = await withFaults(
      cProgram("kept").host,
      [110, name],
      [[40, ({ network }) => network.partition([[1, 2, 4], [3]])]],
      { machines: 3, seed: home, append: `linkloss=${LOSS} blocked=60 ahead=0` },
      600,
    );
    const [read] = run.said(1, /^kept: read 615$/);
    expect(read?.at, run.text()).toBeLessThan(40);
    expect(run.said(1, /^cluster: view 2: machines 1 2$/).length, run.text()).toBe(1);
    for (const machine of [1, 2])
      expect(
        run
          .said(machine, /^kept: page/)
          .slice(0, READ)
          .map(({ text }) => text),
        run.text(),
      ).toEqual(Array.from({ length: READ }, (_, page) => `kept: page ${page} holds ${100 + page}`));
    // Nobody else had the last two: they are told of as one, and zeros.
    const rest = [2, 1].flatMap((machine) => run.said(machine, /^kept: page [67]/)).map(({ text }) => text);
    expect(rest.filter((text) => text.endsWith("is lost")).length, run.text()).toBe(1);
    expect(rest.filter((text) => text.endsWith("holds 0")).length, run.text()).toBe(3);
  });
});
