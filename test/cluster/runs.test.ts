// Runs of pages (kernel/coherence/runs.ts) on whole clusters in virtual time: pages asked for ahead are asked for, forwarded and
// granted by few messages, whoever wrote them and whoever is their home, on small frames too; and each page is right when
// frames are lost, doubled and overtaken. A machine that is cut off in the middle of them, reader, writer or home, takes no other along.
import { beforeAll, describe, expect, it } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";
import { type Happening, withFaults } from "../support/faults.js";
import { homeOf } from "../support/homes.js";

const LIMIT_MS = 120_000;
const PAGES = 192;

async function scan(writer: number, more: Parameters<typeof seeded>[2] = {}): Promise<SeededRun> {
  const args = ["read", PAGES, writer];
  const network = { delay: [30, 30] as [number, number] };
  const run = await seeded("scan", args, { machines: 3, cores: 1, memory: 32 << 20, network, ...more });
  expect(run.report.result, repeat(run, args)).toMatch(/scan: read \d+ wrong 0 /);
  return run;
}
const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

describe("runs of pages", { timeout: LIMIT_MS }, () => {
  // Two machines read each page; page by page that is 4 to 6 messages. The cluster itself takes one a page here.
  it.each([1, 2, 3])(
    "two readers need fewer than three messages for a page that machine %i wrote",
    async (writer) => {
      const run = await scan(writer);
      expect(sum(run, "pagesReceived")).toBeGreaterThanOrEqual(2 * PAGES);
      expect(sum(run, "messagesSent") / PAGES, repeat(run)).toBeLessThan(3);
    },
  );

  // Machines that come later get what was written meanwhile, and those that came before know theirs for old.
  it.each(["", "records=64"])(
    "whoever comes late has the newest, and so has who came before: %s",
    async (append) => {
      const args = ["late", 80, homeOf("scan", [1, 2, 3])];
      const network = { delay: [30, 30] as [number, number] };
      const run = await seeded("scan", args, { machines: 3, cores: 1, memory: 32 << 20, network, append });
      expect(run.report.result, repeat(run, args)).toMatch(/scan: late 80 wrong 0 /);
    },
  );

  it("frames that carry no whole page", async () => {
    await scan(2, { append: "mtu=1500" });
  });

  it.each([1, 2, 3])("on a wire that loses, doubles and overtakes: seed %i", async (seed) => {
    const network = {
      delay: [20, 200] as [number, number],
      reorder: true,
      faults: { loss: 0.03, duplicate: 0.03 },
    };
    const run = await scan((seed % 3) + 1, { seed, network });
    expect(sum(run, "retransmissions")).toBeGreaterThan(0);
  });

  const read = (happenings: Happening[], more: object = {}) =>
    withFaults(
      "scan",
      ["read", PAGES, 1],
      happenings,
      { machines: 3, seed: 42, network: { delay: [30, 30] }, append: "linkloss=30 blocked=20", ...more },
      110,
    );
  /** When frames carry pages, in milliseconds, while two machines read in turn. */
  const travels: number[] = [];
  beforeAll(async () => {
    const onCluster = ({ network }: SeededCluster) =>
      network.tap((_from, frame, now) => {
        if (frame.length > 4096) travels.push(now / 1e6);
      });
    await read([], { onCluster });
  });

  it.each([1, 2, 3])("machine %i is gone in the middle", async (gone) => {
    const islands = [[gone], [1, 2, 3, 4].filter((port) => port !== gone)];
    expect(travels.length).toBeGreaterThan(PAGES / 2);
    for (const part of [0.2, 0.45, 0.8]) {
      const at = travels[Math.floor(part * travels.length)]!;
      const run = await read([[at, ({ network }) => network.partition(islands)]]);
      expect(run.text()).not.toMatch(/panic/);
      for (const other of islands[1]!.filter((machine) => machine !== 4)) {
        const views = run.said(other, /^cluster: view 2: machines \d \d$/);
        expect(views.length, run.text()).toBe(1);
        expect(views[0]!.text).not.toContain(`machines ${gone}`);
      }
    }
  });
});
