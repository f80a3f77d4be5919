// Every order of events on one link: datagrams lost, doubled and overtaken, timers that expire at any moment, machines that
// start again (promises 16, 30-34). What the page protocol's own search takes for granted (coherence.test.ts): each
// message once, in order, in the life that it was meant for, and, once nothing more goes wrong, all of them.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { budgets, LinkWorld, nameOf } from "../support/link-world.js";
import { explore } from "../support/search.js";

for (const budget of budgets.filter(({ states }) => states !== undefined))
  test(`${nameOf(budget)}: each message once, in order, in its life; at last all of them`, () => {
    const found = explore(new LinkWorld(new KernelWasm(), budget));
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(budget.states);
  }, 120_000);
