// The C programs again, on our own machine in virtual time: what they print must be what the host's Linux makes of the
// same binary. test/kernel/process.soak.ts does it over many seeds.
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `the same on our machine as on Linux${missing("musl")}`,
  () => {
    test("errors of system calls", () => expectSame("refused", []));
    test("system calls asked for amiss, and an unaligned access that is to be told", () =>
      expectSame("amiss", []));
    test("what a process has used, who it is, what it locks, closes and is told of files", () =>
      expectSame("usage", []));
    test("a random walk through the memory calls", () => expectSame("mapping", ["7", "200"]));
    test("the same on a shared file", () => expectSame("mapping", ["8", "100", "shared"]));
    test("threads that change and touch the same shared pages at once", () =>
      expectSame("chaos", ["1", "60", "shared"]));
    // __atomic_fetch_add; mutex and condition with PTHREAD_PROCESS_SHARED; a CMPXCHG16B list; lock xadd across pages
    test.each([
      ["counter", ["100"]],
      ["mutex", ["20", "3"]],
      ["list", ["60"]],
      ["split", ["40"]],
    ] as const)("%s on three machines of two cores", (name, args) =>
      expectSame(name, args, { machines: 3, cores: 2, seed: 7 }),
    );
  },
);
