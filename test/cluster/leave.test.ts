// Promise 115: a machine leaves a cluster that goes on. Its power button is pressed while all of them add to a shared word;
// nothing is lost, nothing is reported lost, and nobody waits for a lease.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const LOSS = 3000;
const append = `linkloss=${LOSS} blocked=60`;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
const PRESSED = 40;

describe.skipIf(!hasMusl)(`a machine that leaves${missing("musl")}`, { timeout: 300_000 }, () => {
  test.each([
    { machines: 3, out: 3, home: 3, seed: 1 },
    { machines: 3, out: 1, home: 3, seed: 2 },
    { machines: 2, out: 1, home: 1, seed: 5 },
    { machines: 2, out: 2, home: 1, seed: 6 },
  ])(
    "promise 115: machine $out of $machines, home of the file is machine $home (seed $seed)",
    async ({ machines, out, home, seed }) => {
      const all = Array.from({ length: machines }, (_, i) => i + 1);
      const name = names.find((name) => homeOf(name, all) === home)!;
      const run = await withFaults(
        cProgram("steady").host,
        [100, name],
        [[PRESSED, (cluster) => cluster.nodes[out - 1]!.machine.pressPowerButton()]],
        { machines, seed, append },
        1200,
      );
      expect(run.ended, run.text()).toBe("off");
      expect(run.said(out, /^exit: 143$/).length, run.text()).toBe(1);
      expect(run.said(out, /^cluster: this machine has left$/).length, run.text()).toBe(1);
      const others = all.filter((machine) => machine !== out);
      for (const other of others) {
        const [view] = run.said(other, new RegExp(`^cluster: view 3: machines ${others.join(" ")}$`));
        expect(view, run.text()).toBeDefined();
        // A few round trips, no lease.
        expect(view!.at, run.text()).toBeLessThan(PRESSED + 20);
        expect(run.said(other, new RegExp(`^cluster: machine ${out} has left$`)).length, run.text()).toBe(1);
        expect(run.said(other, /is lost|out of reach/), run.text()).toEqual([]);
        // Nothing went wrong, and they went on at once.
        expect(run.said(other, /steady: \d+ apart/), run.text()).toEqual([]);
        expect(
          run.said(other, /steady: \d+ on/).some(({ at }) => at > view!.at && at < view!.at + 15),
          run.text(),
        ).toBe(true);
      }
      // Every addition that returned is in those that followed: values rise in time, across the leave.
      const values = run.lines
        .filter(({ text }) => /^steady: \d+ (together|on) \d+/.test(text))
        .map(({ text }) => Number(text.split(" ").at(-1)));
      expect(values.length).toBeGreaterThan(10);
      const behind = values.filter((value, i) => i > 0 && value + 40 < Math.max(...values.slice(0, i)));
      expect(behind, run.text()).toEqual([]);
    },
  );

  test.each([
    { home: 3, seed: 11 },
    { home: 2, seed: 12 },
  ])(
    "promise 115: what only it had written is there afterwards, also in a file that nobody else had open (home $home, seed $seed)",
    async ({ home, seed }) => {
      const [first, second] = names.filter((name) => homeOf(name, [1, 2, 3]) === home);
      const run = await withFaults(
        cProgram("left").host,
        [3, 80, first!, second!],
        [[PRESSED, (cluster) => cluster.nodes[2]!.machine.pressPowerButton()]],
        { machines: 3, seed, append: `${append} leave=10` },
        1200,
      );
      expect(run.ended, run.text()).toBe("off");
      expect(run.said(3, /^left: written$/).length, run.text()).toBe(1);
      const said = run.said(1, /^left: /).map(({ text }) => text);
      const expected = (file: string) => [
        `left: ${file} page 1 holds 0`,
        `left: ${file} page 0 holds 7`,
        `left: ${file} page 2 holds 8`,
        `left: ${file} page 5 holds 0`,
      ];
      expect(said, run.text()).toEqual([
        ...expected(first!),
        `left: ${second} has 32768 bytes`,
        ...expected(second!),
      ]);
    },
  );

  test("a program ends before the others: its machine waits for a while, then leaves; another one joins later", async () => {
    const name = names.find((name) => homeOf(name, [1, 2, 3]) === 2)!;
    const run = await withFaults(
      cProgram("left").host,
      [1, 60, name, "other"],
      [
        [0, ({ network }) => network.partition([[1, 2, 4], [3]])],
        [120, ({ network }) => network.partition([])],
      ],
      { machines: 3, seed: 21, append: "linkloss=120 blocked=2000 join=30 leave=20" },
      700,
    );
    const [out] = run.said(2, /^cluster: this machine has left$/);
    expect(out?.at, run.text()).toBeGreaterThan(100);
    expect(run.said(1, /^cluster: machine 2 has left$/).length, run.text()).toBe(1);
    expect(run.said(1, /is lost|out of reach/), run.text()).toEqual([]);
    const views = run.said(1, /^cluster: view/).map(({ text }) => text);
    expect(views.slice(3), run.text()).toContain("cluster: view 4: machines 1 3");
  });
});
