// R3 on whole machines: a machine dies in the middle of writing. Mirrored, nothing that others have seen goes back, and what
// was written before it is there; volatile, something is reported lost.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const LOSS = 60;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

describe.skipIf(!hasMusl)(`a machine dies while it writes${missing("musl")}`, { timeout: 300_000 }, () => {
  async function run(home: number, seed: number, mirror: number) {
    const name = names.find((name) => homeOf(name, [1, 2, 3]) === home)!;
    const run = await withFaults(
      cProgram("mirrored").host,
      [3, 110, name],
      [[20 + (seed % 5) + 0.125 * seed, ({ network }) => network.partition([[1, 2, 4], [3]])]],
      { machines: 3, seed, append: `linkloss=${LOSS} blocked=600 mirror=${mirror}` },
      400,
    );
    expect(run.said(1, /^cluster: view 2: machines 1 2$/).length, run.text()).toBe(1);
    const said = [1, 2].flatMap((machine) => run.said(machine, /^mirrored: /).map(({ text }) => text));
    return { run, said };
  }

  test.each(Array.from({ length: 6 }, (_, i) => ({ home: 1 + (i % 3), seed: 1 + i })))(
    "mirrored, home $home (seed $seed)",
    async ({ home, seed }) => {
      const { run: r, said } = await run(home, seed, 1);
      expect(said.length, r.text()).toBe(2);
      for (const line of said) {
        const seen = /^mirrored: [12] ends, (\d+) seen$/.exec(line);
        expect(seen, r.text()).not.toBeNull();
        expect(Number(seen![1])).toBeGreaterThan(20);
      }
    },
  );

  test("volatile, the same is reported", async () => {
    const said: string[] = [];
    for (let seed = 1; seed <= 2; seed++) said.push(...(await run(seed, seed, 0)).said);
    expect(said.filter((line) => /lost|torn|back/.test(line)).length, said.join("\n")).toBeGreaterThan(0);
  });
});
