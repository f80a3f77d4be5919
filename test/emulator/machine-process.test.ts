// The processes of a live cluster (emulator/machine-process.ts).
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { processEnded, startProcess } from "../../emulator/machine-process.js";
import { temporaryFolder } from "../support/folder.js";

const folder = temporaryFolder();
afterAll(folder.remove);

it("the young generation stays small, however much is allocated", async () => {
  const script = join(folder.path, "allocates.mjs");
  writeFileSync(
    script,
    `import { getHeapSpaceStatistics } from "node:v8";
     const kept = [];
     for (let n = 0; n < 1_000_000; n++) kept.push({ n });
     console.log(getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size, kept.length);`,
  );
  const child = startProcess(script, []);
  let text = "";
  child.stdout!.on("data", (chunk) => {
    text += chunk;
  });
  expect(await processEnded(child)).toBe("");
  const [bytes] = text.split(" ").map(Number);
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThanOrEqual(3 << 20);
});
