// A page comes back to a machine that still has its bytes, without them, on a seeded cluster: `scan`'s writer fills pages, the other
// machine reads them all, then the writer does. Without S a page is at one of them only. Pairs of runs of two lengths, subtracted.
import { repeat, type SeededRun, seeded } from "./cluster.js";

const PAGE = 4096;
const [FEW, MANY] = [32, 96];

const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

async function read(pages: number, writer: number): Promise<SeededRun> {
  const args = ["read", pages, writer];
  const run = await seeded("scan", args, { machines: 2, cores: 1, memory: 48 << 20, append: "mei" });
  if (!run.report.ok || !/scan: \w+ \d+ wrong 0 /.test(run.lines.join("\n")))
    throw new Error(repeat(run, args));
  return run;
}

/** Of each page that goes there and comes back: how often it comes without its bytes, how often with them, and the bytes of both ways
 * besides a page's own. */
export async function revalidated(
  writer: number,
): Promise<{ revalidated: number; sent: number; spareBytes: number }> {
  const [few, many] = [await read(FEW, writer), await read(MANY, writer)];
  const each = (counter: string) => (sum(many, counter) - sum(few, counter)) / (MANY - FEW);
  const sent = each("pagesSent");
  return { revalidated: each("pagesRevalidated"), sent, spareBytes: each("bytesSent") - sent * PAGE };
}
