// The search of syslink-search.test.ts with more that goes wrong at once.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { budgets, LinkWorld, nameOf } from "../support/link-world.js";
import { explore } from "../support/search.js";

for (const budget of budgets.filter(({ states }) => states === undefined))
  test(nameOf(budget), () => {
    const found = explore(new LinkWorld(new KernelWasm(), budget), 0, 8_000_000);
    console.log(`${nameOf(budget)}: ${found.states} states`);
    expect(found.ends).toBeGreaterThan(0);
  }, 3_600_000);
