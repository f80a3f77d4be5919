// What a machine has written, unmapped beyond what can be noted, and gives away as it leaves (test/c/given.c).
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { fileAt } from "./homes.js";

/** In milliseconds. */
const [BEGINS, READS, END] = [20, 300, 800];

/** Machine 1 leaves so many milliseconds after it has unmapped the page, whose record has merged by then, or has not; the others read it. */
export const given = (after: number, kernel?: Uint8Array): Promise<FaultRun> =>
  withFaults(
    cProgram("given").host,
    [fileAt(2, 3), READS],
    [
      [
        BEGINS,
        (cluster) => {
          while (!cluster.lines.includes("given: unmapped") && cluster.schedule.now < END * 1e6)
            cluster.run(cluster.schedule.now + 100_000);
          cluster.run(cluster.schedule.now + after * 1_000_000);
          cluster.nodes[0]!.machine.pressPowerButton();
        },
      ],
    ],
    { machines: 3, ...(kernel && { kernel }) },
    END,
  );

export const isGiven = (run: FaultRun): boolean =>
  [2, 3].every(
    (machine) =>
      run
        .said(machine, /^given: /)
        .map(({ text }) => text)
        .join() === "given: 2",
  );
