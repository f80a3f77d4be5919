import { defineConfig } from "vitest/config";

const shared = { environment: "node", testTimeout: 60_000, hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "quick", include: ["test/**/*.test.ts"] } },
      { test: { ...shared, name: "soak", include: ["test/**/*.soak.ts"], testTimeout: 600_000 } },
    ],
  },
});
