// R7 on whole machines: who was left out and comes back as a new life opens its file again, and has every page that nobody has
// written since by its serial number, without bytes. What open() says meanwhile is what a network file system would.
import { describe, expect, test } from "vitest";
import { comesBack, eras, wrongOfEras } from "../support/eras.js";
import { withFaults } from "../support/faults.js";
import { formerPages, wrongOfFormerPages } from "../support/former-pages.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const PAGES = 40;
const CHANGED = 6;
const ETIMEDOUT = 110;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

/** The life that a machine's vote names as its own (kernel/syslink/view.ts). */
function voted(lives: Map<number, Set<bigint>>, frame: Uint8Array): void {
  const bytes = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (bytes.getUint16(12) !== 0x88b5) return;
  const machine = bytes.getUint8(14 + 5);
  if (machine === 255) return;
  lives.set(machine, (lives.get(machine) ?? new Set()).add(bytes.getBigUint64(14 + 40, true)));
}

describe.skipIf(!hasMusl)(`a machine that comes back${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each([
    { home: 1, heir: 2, mirror: 0, seed: 1 },
    { home: 2, heir: 3, mirror: 0, seed: 2 },
    { home: 3, heir: 2, mirror: 0, seed: 3 },
    { home: 1, heir: 3, mirror: 1, seed: 4 },
    { home: 2, heir: 3, mirror: 1, seed: 5 },
  ])(
    "R7: has its bytes by their numbers (home $home, its heir $heir, mirror=$mirror, seed $seed)",
    async ({ home, heir, mirror, seed }) => {
      const others = [1, 2, 3].filter((machine) => machine !== home);
      const name = names.find((name) => homeOf(name, [1, 2, 3]) === home && homeOf(name, others) === heir)!;
      const lives = new Map<number, Set<bigint>>();
      const run = await withFaults(
        cProgram("again").host,
        [3, name, PAGES, CHANGED, 700],
        [
          [0, ({ network }) => network.tap((_from, frame) => voted(lives, frame))],
          [60, ({ network }) => network.partition([[1, 2, 4], [3]])],
          [300, ({ network }) => network.partition([])],
        ],
        { machines: 3, seed, append: `linkloss=120 blocked=30 leave=5 mirror=${mirror}` },
        1500,
      );
      expect(run.said(3, /^again: out of reach$/).length, run.text()).toBe(1);
      const errors = run.said(3, /^again: open says/).map(({ text }) => text);
      expect(errors[0], run.text()).toBe(`again: open says ${ETIMEDOUT}`);
      expect(
        run.said(3, /^again: \d+ pages/).map(({ text }) => text),
        run.text(),
      ).toEqual([`again: ${PAGES} pages, 0 wrong, 0 old`]);
      // One life is one epoch, also of machines that are alike and start at the same instant.
      expect(new Set([...lives.values()].flatMap((of) => [...of])).size).toBe(4);
      expect([1, 2, 3].map((machine) => lives.get(machine)?.size)).toEqual([1, 1, 2]);
      if (home === 3) return; // whose frames hold what the others hand in, so that nothing of its own is asked for
      // The pages came once, those that were written since twice. Who sends the word instead of the page counts it.
      const stats = run.cluster.nodes.map(({ console }) => console.stats!);
      expect(stats[2]!["pagesReceived"], run.text()).toBe(PAGES + CHANGED);
      const revalidated = stats.reduce((sum, { pagesRevalidated }) => sum + pagesRevalidated!, 0);
      expect(revalidated, run.text()).toBeGreaterThanOrEqual(PAGES - CHANGED);
    },
  );

  test.each([6, 7, 8])(
    "R7: is the home of a file of which its former life had pages, and is given the same pages by a machine that leaves (seed %i)",
    async (seed) => expect(wrongOfFormerPages(await formerPages(seed))).toBeUndefined(),
  );

  test.each(eras)(
    "R7: has what was lost by numbers of its own ($how, home $home, seed $seed)",
    async (each) => expect(wrongOfEras(await comesBack(each))).toBeUndefined(),
  );
});
