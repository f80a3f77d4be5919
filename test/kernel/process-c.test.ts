// C programs, static with musl, on the guest kernel: the same binary runs on the host's Linux, which is the judge of
// what it prints.
import { describe, expect, test } from "vitest";
import { bootQemu, cProgram, hasMusl, hasQemu, missing } from "../support/guest.js";
import { aloneOnLinux } from "../support/on-linux.js";

const both = describe.skipIf(!hasQemu || !hasMusl || process.platform !== "linux" || process.arch !== "x64");

both(`the same as on Linux${missing("qemu", "musl")}`, () => {
  test.each([
    ["threads", 1],
    ["threads", 2],
    ["threads", 4],
    ["fpu", 2],
    ["timers", 1],
    ["timers", 2],
  ])("%s on %i cores", async (name, cores) => {
    const built = cProgram(name);
    const { lines, status } = await bootQemu({ files: [built], cores });
    expect(lines).toEqual(aloneOnLinux(built.host).lines);
    expect(status).toBe(0);
  });

  // Two thousand steps of mmap, munmap, mprotect, madvise and mremap, with the bytes and faults found after each.
  test.each([1, 2, 3])("a random walk through the memory calls, seed %i", async (seed) => {
    const built = cProgram("mapping");
    const { lines, status } = await bootQemu({ files: [built], args: [`${seed}`] });
    expect(lines).toEqual(aloneOnLinux(built.host, [`${seed}`]).lines);
    expect(status).toBe(0);
  });

  test("a position-independent program (static-pie)", async () => {
    const built = cProgram("fpu", "-static-pie");
    const { lines, status } = await bootQemu({ files: [built] });
    expect(lines).toEqual(aloneOnLinux(built.host).lines);
    expect(status).toBe(0);
  });
});
