// Whole machines under cuts: our kernel, the bridge's switch and witness, real guest instructions, one seed. The program adds
// to a shared word, again and again, and says when it can and when it cannot.
import { describe, expect, test } from "vitest";
import { secondSide, withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const LOSS = 120;
const append = `linkloss=${LOSS} blocked=60`;
const GRACE = LOSS / 3;

describe.skipIf(!hasMusl)(`machines that are cut off${missing("musl")}`, { timeout: 300_000 }, () => {
  const steady = () => cProgram("steady").host;

  test.each([
    { machines: 2, islands: [[1], [2, 3]], seed: 1, out: 1 },
    {
      machines: 3,
      islands: [
        [1, 3],
        [2, 4],
      ],
      seed: 2,
      out: 2,
    },
  ])(
    "R4: $machines machines cut into $islands: machine $out waits, is told, and comes back",
    async ({ machines, islands, seed, out }) => {
      const run = await withFaults(
        steady(),
        [260, "a"],
        [
          [25, ({ network }) => network.partition(islands)],
          [200, ({ network }) => network.partition([])],
        ],
        { machines, seed, append },
      );
      expect(run.ended, run.text()).toBe("off");
      expect(secondSide(run, GRACE), run.text()).toBeNull();
      const others = Array.from({ length: machines }, (_, i) => i + 1).filter((m) => m !== out);
      // The others lose it and act by a view without it; it is told that it was out of reach, and of the view that it came back by.
      for (const other of others) {
        const [view] = run.said(other, /^cluster: view 2: machines [ \d]+$/);
        expect(view?.text, run.text()).toBe(`cluster: view 2: machines ${others.join(" ")}`);
        // Detected after two thirds of linkloss, decided within a few round trips.
        expect(view!.at).toBeLessThan(25 + (LOSS * 2) / 3 + 5);
      }
      expect(run.said(out, /out of reach/).length).toBe(1);
      expect(run.said(out, /steady: \d+ apart/).length).toBeGreaterThan(0);
      expect(run.said(out, /left out; .* it joins again/).length).toBe(1);
      const last = run.said(out, /^cluster: view/).at(-1);
      expect(last?.text).toMatch(
        new RegExp(`machines ${Array.from({ length: machines }, (_, i) => i + 1).join(" ")}$`),
      );
      expect(
        run.said(out, /steady: \d+ together/).some(({ at }) => at > last!.at),
        run.text(),
      ).toBe(true);
      // But for the wait its private work went on.
      expect(Number(/rounds (\d+)/.exec(run.said(out, /rounds/)[0]!.text)![1])).toBeGreaterThan(100);
    },
  );

  test("R8: the home dies: the others go on with what they had, at a new home; what only it had is reported", async () => {
    // A name whose home is machine 3, by the same hash as kernel/coherence/homes.ts.
    const name = ["a", "b", "c", "d", "e", "f", "g", "h"].find((name) => homeOf(name, [1, 2, 3]) === 3)!;
    const run = await withFaults(
      steady(),
      [230, name],
      [[30, ({ network }) => network.partition([[1, 2, 4], [3]])]],
      { machines: 3, seed: 4, append },
      1200,
    );
    expect(secondSide(run, GRACE), run.text()).toBeNull();
    const [view] = run.said(1, /^cluster: view 2: machines 1 2$/);
    const values = (m: number, from: number, to: number) =>
      run
        .said(m, /^steady: \d+ (together|on) \d+/)
        .filter(({ at }) => at >= from && at < to)
        .map(({ text }) => Number(text.split(" ").at(-1)));
    const before = Math.max(...[1, 2].flatMap((m) => values(m, 0, view!.at)));
    const after = [1, 2].flatMap((m) => values(m, view!.at, 230));
    expect(after.length, run.text()).toBeGreaterThan(4);
    // What a survivor had added is there, or it was told that it is not.
    const told = [1, 2].some((m) => run.said(m, /steady: \d+ apart/).length > 0);
    expect(told || Math.min(...after) > before, run.text()).toBe(true);
    // Nobody waits for much longer than linkloss.
    const on = [1, 2]
      .flatMap((m) => run.said(m, /steady: \d+ (together|on)/))
      .find(({ at }) => at > view!.at);
    expect(on!.at, run.text()).toBeLessThan(30 + LOSS + 8);
  });

  test("R8: the home is lost while its heir gives a file one length after the other: it does so itself then", async () => {
    const name = Array.from({ length: 99 }, (_, i) => `s${i}`).find(
      (name) => homeOf(name, [1, 2, 3]) === 1 && homeOf(name, [2, 3]) === 2,
    )!;
    const run = await withFaults(
      cProgram("sized").host,
      [2, name, 150],
      [[40, ({ network }) => network.partition([[1], [2, 3, 4]])]],
      { machines: 3, seed: 1, append },
      400,
    );
    const [, lengths, rest] = /^sized: (\d+) lengths, (.*)$/.exec(run.said(2, /^sized/)[0]?.text ?? "") ?? [];
    expect(rest, run.text()).toBe("0 failed, 0 wrong");
    expect(Number(lengths), run.text()).toBeGreaterThan(100);
  });

  test("promise 115: a machine that was not there at the start joins, and objects that it is the home of move to it", async () => {
    const run = await withFaults(
      steady(),
      [270, ["a", "b", "c", "d", "e", "f", "g", "h"].find((name) => homeOf(name, [1, 2, 3]) === 3)!],
      [
        [0, ({ network }) => network.partition([[1, 2, 4], [3]])],
        [60, ({ network }) => network.partition([])],
      ],
      { machines: 3, seed: 5, append: `${append} join=30` },
      1200,
    );
    expect(run.said(1, /^cluster: view 1: machines 1 2$/).length, run.text()).toBe(1);
    const [joined] = run.said(3, /^cluster: view 2: machines 1 2 3$/);
    expect(joined, run.text()).toBeDefined();
    // Nobody is told of a loss, and no addition is lost: the newcomer goes on where the others were.
    expect(
      run.lines.filter(({ text }) => /apart 7/.test(text)),
      run.text(),
    ).toEqual([]);
    const before = run
      .said(1, /^steady: \d+ (together|on) \d+/)
      .filter(({ at }) => at < joined!.at)
      .at(-1)!;
    const [first] = run.said(3, /^steady: \d+ together \d+/);
    expect(Number(first?.text.split(" ").at(-1)), run.text()).toBeGreaterThan(
      Number(before.text.split(" ").at(-1)),
    );
  });

  test("R0: a wire that is cut in one direction: one of the two leaves, never both, never none", async () => {
    const run = await withFaults(
      steady(),
      [200, "b"],
      [[25, ({ network }) => network.deafen([[1, 2]])]],
      { machines: 3, seed: 3, append },
      600,
    );
    expect(secondSide(run, GRACE), run.text()).toBeNull();
    expect(run.said(3, /^cluster: view 2:/)[0]?.text, run.text()).toMatch(/machines (1 3|2 3)$/);
  });
});
