// R3 on whole machines: machines die in the middle of writing. Mirrored, nothing that others or a user at a console have seen goes
// back, and what was written before it is there; volatile, something is reported lost.
import { describe, expect, test } from "vitest";
import { type FaultRun, type Happening, withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";
import {
  allIsThere,
  fewFit,
  leftMirrors,
  manyLeftMirrors,
  wrongOfFewFit,
  wrongOfLeftMirrors,
} from "../support/left-mirrors.js";

const LOSS = 60;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

interface Run {
  program: string;
  home: number;
  seed: number;
  mirror: number;
  machines?: number;
  /** Those who live on, with the bridge. */
  left?: number[];
}

describe.skipIf(!hasMusl)(`machines die while they write${missing("musl")}`, { timeout: 300_000 }, () => {
  async function run({ program, home, seed, mirror, machines = 3, left = [1, 2] }: Run) {
    const all = Array.from({ length: machines }, (_, i) => i + 1);
    const name = names.find((name) => homeOf(name, all) === home)!;
    const parts = [[...left, machines + 1], ...all.filter((m) => !left.includes(m)).map((m) => [m])];
    const done = await withFaults(
      cProgram(program).host,
      [3, 110, name],
      [[20 + (seed % 5) + 0.125 * seed, ({ network }) => network.partition(parts)]],
      { machines, seed, append: `linkloss=${LOSS} blocked=600 mirror=${mirror}` },
      400,
    );
    const view = new RegExp(`^cluster: view \\d+: machines ${left.join(" ")}$`);
    expect(done.said(1, view).length, done.text()).toBe(1);
    const said = left.flatMap((machine) => done.said(machine, /^(mirrored|shown): /).map(({ text }) => text));
    return { run: done, said };
  }

  function sawAll({ run, said }: { run: FaultRun; said: string[] }): void {
    expect(said.length, run.text()).toBe(2);
    for (const line of said) {
      const seen = /^mirrored: [12] ends, (\d+) seen$/.exec(line);
      expect(seen, run.text()).not.toBeNull();
      expect(Number(seen![1])).toBeGreaterThan(20);
    }
  }

  test.each([1, 2, 3])("R3: one mirror, home %i", async (home) =>
    sawAll(await run({ program: "mirrored", home, seed: home, mirror: 1 })),
  );

  test.each([3, 4])("R3: two mirrors, two machines die at once, home %i", async (home) =>
    sawAll(await run({ program: "mirrored", home, seed: home, mirror: 2, machines: 4 })),
  );

  /** What machine 3 has printed, and what machine 1 finds. */
  async function shown(mirror: number, seed: number): Promise<[printed: number, found: number[]]> {
    const { run: r, said } = await run({ program: "shown", home: 3, seed, mirror });
    const printed = r.said(3, /^shown: 3 wrote/).map(({ text }) => Number(text.split(" ").at(-1)));
    const found = /^shown: 1 finds (\d+) (\d+)$/.exec(said.find((line) => line.startsWith("shown: 1"))!);
    return [Math.max(...printed), found === null ? [] : found.slice(1).map(Number)];
  }

  test.each([1, 2])("R3: what was printed is there (seed %i)", async (seed) => {
    const [printed, found] = await shown(1, seed);
    expect(printed).toBeGreaterThan(20);
    expect(found).toHaveLength(2);
    for (const value of found) expect(value).toBeGreaterThanOrEqual(printed);
  });

  /** So often the call had ended well on machine 3 when it died, and what machine 1 finds of the numbers that it wrote before each. */
  async function synced(how: string, call: string, mirror: number): Promise<[ended: number, found: number]> {
    const all = [1, 2, 3];
    const name = names.find((name) => homeOf(name, all) === 3)!;
    const cut = [60, ({ network }) => network.partition([[1, 2, 4], [3]])] as const satisfies Happening;
    const options = { machines: 3, append: `linkloss=${LOSS} blocked=600 mirror=${mirror} trace=calls` };
    const run = await withFaults(cProgram("synced").host, [how, 3, 150, name], [cut], options, 60 + 400);
    const ended = run.said(3, new RegExp(`^\\d+ ${call}\\(.* = [08]$`)).length;
    const found = run.said(1, /^synced: 1 finds \d+$/).map(({ text }) => Number(text.split(" ").at(-1)));
    expect(found.length, run.text()).toBe(1);
    return [ended, found[0]!];
  }

  test.each(["msync", "fsync", "fdatasync", "syncfs", "sync"])(
    "R3: what was written before %s() is there",
    async (how) => {
      const [ended, found] = await synced(how, how, 1);
      expect(ended).toBeGreaterThan(20);
      expect(found).toBeGreaterThanOrEqual(ended);
    },
  );

  test("R3: what was written to a file that is open with O_SYNC is there", async () => {
    const [ended, found] = await synced("write", "pwrite64", 1);
    expect(ended).toBeGreaterThan(20);
    expect(found).toBeGreaterThanOrEqual(ended);
  });

  test("what nobody has seen, and no call has made safe, goes with its machine", async () => {
    const [ended, found] = await synced("nothing", "getppid", 1);
    expect(ended).toBeGreaterThan(20);
    expect(found).toBeLessThan(20);
  });

  test.each([1, 2, 3])(
    "R3: the only mirror leaves, and its owner dies in the same move (seed %i)",
    async (seed) => {
      for (const told of await leftMirrors(seed)) expect(wrongOfLeftMirrors(told)).toBeUndefined();
    },
  );

  test.each([1, 2])("R3: the same, with hundreds of pages (seed %i)", async (seed) => {
    const run = await manyLeftMirrors(seed);
    expect(allIsThere(run), run.text()).toBe(true);
  });

  /** Machine 2 writes, is cut off until `back`, and its power button is pressed 2 ms after that (test/c/touch.c). */
  const endsOutOfReach = (blocked: number, back: number, mirror = 1): Promise<FaultRun> => {
    const [file, other] = names.filter((name) => homeOf(name, [1, 2, 3]) === 1);
    return withFaults(
      cProgram("touch").host,
      [2, 1000, file!, other!],
      [
        [16, ({ network }) => network.partition([[1, 3, 4], [2]])],
        [18, ({ nodes }) => nodes[1]!.machine.pressPowerButton()],
        [back, ({ network }) => network.partition([])],
      ],
      { machines: 3, seed: 1, append: `linkloss=600 blocked=${blocked} mirror=${mirror}` },
      1400,
    );
  };
  const ALONE =
    /^cluster: nobody is in reach; pages that were written here and are not known to be elsewhere: [1-9]\d*$/;

  test("R3: a machine that ends out of reach says what it alone has", async () => {
    const run = await endsOutOfReach(30, 600);
    const [alone] = run.said(2, ALONE);
    const [exit] = run.said(2, /^exit: 143$/);
    expect(alone, run.text()).toBeDefined();
    expect(exit!.at, run.text()).toBeGreaterThanOrEqual(alone!.at);
    const volatile = await endsOutOfReach(30, 600, 0);
    expect(volatile.said(2, /^exit: 143$/).length, volatile.text()).toBe(1);
    expect(volatile.said(2, ALONE), volatile.text()).toEqual([]);
  });

  test("R3: a machine that ends waits until what it has written is elsewhere as well", async () => {
    const run = await endsOutOfReach(2000, 250);
    expect(run.said(2, ALONE), run.text()).toEqual([]);
    expect(run.said(2, /^exit: 143$/)[0]!.at, run.text()).toBeGreaterThan(250);
    expect(run.said(2, /^cluster: this machine has left$/).length, run.text()).toBe(1);
    expect(run.said(1, /^touch: 0 lost, 0 zeros, 8 written$/).length, run.text()).toBe(1);
  });

  test("R3: a new home has no room for all mirrors of who leaves: it says what is lost, and has the others", async () =>
    expect(wrongOfFewFit(await fewFit(1))).toBeUndefined());

  test("R2: volatile, what was printed is lost, and what was seen is reported", async () => {
    const [printed, found] = await shown(0, 1);
    expect(printed).toBeGreaterThan(20);
    expect(found.every((value) => value >= printed) && found.length > 0).toBe(false);
    const { said } = await run({ program: "mirrored", home: 1, seed: 1, mirror: 0 });
    expect(said.filter((line) => /lost|torn|back/.test(line)).length, said.join("\n")).toBeGreaterThan(0);
  });
});
