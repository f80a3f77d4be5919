import { defineConfig } from "vitest/config";

// Live machines and QEMU take their time from the host: one second try, which the report shows. Seeded tests have no
// use for it: they repeat. What judges atomicity or memory order live asks for none: a rare failure there is a finding.
const shared = { environment: "node", retry: 1, testTimeout: 60_000, hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "quick", include: ["test/**/*.test.ts"] } },
      { test: { ...shared, name: "soak", include: ["test/**/*.soak.ts"], testTimeout: 600_000 } },
    ],
  },
});
