import { defineConfig } from "vitest/config";
import { builtFiles, builtProduct } from "./test/support/built.js";

// Live machines and QEMU take their time from the host: one second try, which the report shows. Seeded tests have no
// use for it: they repeat. What judges atomicity or memory order live asks for none: a rare failure there is a finding.
const shared = {
  environment: "node",
  retry: 1,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  server: { deps: { external: [builtFiles] } },
} as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    globalSetup: "./test/support/built.ts",
    projects: [
      { plugins: [builtProduct], test: { ...shared, name: "quick", include: ["test/**/*.test.ts"] } },
      {
        plugins: [builtProduct],
        test: { ...shared, name: "soak", include: ["test/**/*.soak.ts"], testTimeout: 600_000 },
      },
    ],
  },
});
