// One invalidation against seven, on a seeded cluster of eight machines: each writes a page that others have read, by way of a home that is
// neither the writer nor one that had written.
import { Steps } from "./steps.js";

export async function invalidations(): Promise<{ run: Steps; one: number; seven: number }> {
  const texts = ["2w0-1", "3r0", "2w0", "1345678r1", "1345678r1", "2w1"];
  const run = await Steps.run(texts, { machines: 8, home: 8 });
  return { run, one: run.did(3, 2).nanoseconds, seven: run.did(6, 2).nanoseconds };
}
