// Range locks: every order of events for small programs of two and three machines, with messages that come twice, machines that
// die, homes that move and threads that give up. range-locks.soak.ts plants bugs that this must find.
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { lockCases } from "../support/lock-cases.js";
import { LockWorld } from "../support/lock-world.js";
import { explore } from "../support/search.js";

describe("every order of events", { timeout: 120_000 }, () => {
  for (const [name, program] of Object.entries(lockCases))
    test(name, () => {
      const { states, ends } = explore(new LockWorld(new KernelWasm(), program), program.kills);
      expect(ends).toBeGreaterThan(0);
      expect(states).toBe(program.states);
    });
});
