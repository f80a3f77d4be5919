// A machine that has nothing to do is left alone: what makes it wake up is what its kernel has set a time for, and nothing that
// the firmware left ticking.
import { expect, test } from "vitest";
import { firmware, kernelPath, readImage } from "../../emulator/images.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";

const SECOND = 1e9;
const SECONDS = 10;

test("a machine that waits for its peers wakes up a few times a second", async () => {
  const machine = await Machine.create({
    cores: 4,
    firmware: await firmware(),
    kernel: readImage("kernel", kernelPath),
    commandLine: "node=1 nodes=3 join=1000000",
    mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
  });
  const schedule = new Schedule([machine], [], new Random(1));
  while (schedule.now < 2 * SECOND) schedule.turn(2 * SECOND);
  let sleeps = 0;
  const end = (2 + SECONDS) * SECOND;
  while (schedule.now < end) if (schedule.turn(end) === "slept") sleeps++;
  // Each second: a hello or two to each peer, a look for a cluster, a tick of each core.
  expect(sleeps / SECONDS).toBeGreaterThan(3);
  expect(sleeps / SECONDS).toBeLessThan(12);
});
