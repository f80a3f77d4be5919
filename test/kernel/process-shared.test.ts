// Programs on shared files, on a cluster of one machine: the same binaries run as several processes on the host's Linux.
import { describe, expect, test } from "vitest";
import { bootQemu, cProgram, hasMusl, hasQemu, missing, program } from "../support/guest.js";
import { onLinux } from "../support/on-linux.js";

const both = describe.skipIf(!hasQemu || !hasMusl || process.platform !== "linux" || process.arch !== "x64");

/** Program, cores, and its line. */
const programs: readonly (readonly [string, number, RegExp])[] = [
  ["counter", 2, /^counter: machines 1 cores 2 expected 20000 counted 20000 old values a permutation: yes$/],
  ["mutex", 2, /^mutex: threads 2 expected 2000 counted 2000, turns expected 40 taken 40$/],
  ["list", 3, /^list: cells expected 64 found 64, uses expected 3000 counted 3000$/],
  ["split", 2, /^split: expected 100000180 counted 100000180$/],
];

both(`shared files on one machine${missing("qemu", "musl")}`, () => {
  test.each(programs)("%s on %i cores, as on Linux", async (name, cores, line) => {
    const built = cProgram(name);
    const { lines, status } = await bootQemu({ files: [built], cores });
    expect(lines).toEqual(await onLinux(built.host, 1, cores));
    expect(lines[0]).toMatch(line);
    expect(status).toBe(0);
  });

  test.each([1, 2])("a random walk through the memory calls on a shared file, seed %i", async (seed) => {
    const built = cProgram("mapping");
    const args = [`${seed}`, "1000", "shared"];
    const { lines, status } = await bootQemu({ files: [built], args });
    expect(lines).toEqual(await onLinux(built.host, 1, 2, args));
    expect(status).toBe(0);
  });

  test("threads that change and touch the same shared pages at once", async () => {
    const { lines, status } = await bootQemu({ files: [cProgram("chaos")], args: ["2", "500", "shared"] });
    expect(lines).toEqual(["chaos: lived, touched some, faulted some, signalled some"]);
    expect(status).toBe(0);
  });

  test("msync and fsync: what they refuse, as on Linux", async () => {
    const built = cProgram("synced");
    const args = ["errors", "synced"];
    const { lines, status } = await bootQemu({ files: [built], args });
    expect(lines).toHaveLength(21);
    expect(lines).toEqual(await onLinux(built.host, 1, 2, args));
    expect(status).toBe(0);
  });

  test("sizes, protections, private copies, unmapping, as on Linux", async () => {
    const built = cProgram("shm");
    const { lines, status } = await bootQemu({ files: [built] });
    expect(lines).toEqual(await onLinux(built.host, 1, 2));
    expect(status).toBe(0);
  });
});

describe.skipIf(!hasQemu)(`the counter of kernel/user${missing("qemu")}`, () => {
  test("counts right on one machine and says how far it is", async () => {
    const { lines, status } = await bootQemu({ files: [program("counter")], args: ["5000"], cores: 3 });
    expect(lines.at(-1)).toBe(
      "counter: machines 1 cores 3 expected 15000 counted 15000 old values a permutation: yes",
    );
    expect(lines.slice(0, -1)).toHaveLength(3);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^counter: node 1 \d+\/15000$/);
    expect(status).toBe(0);
  });
});
