// The search of syslink-search.test.ts with more that goes wrong at once.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { budgets, LinkWorld, nameOf, searchLink } from "../support/link-world.js";

for (const budget of budgets.filter(({ states }) => states === undefined))
  test(nameOf(budget), () => {
    const found = searchLink(new LinkWorld(new KernelWasm(), budget), 8_000_000);
    console.log(`${nameOf(budget)}: ${found.states} states`);
    expect(found.ends).toBeGreaterThan(0);
  }, 3_600_000);
