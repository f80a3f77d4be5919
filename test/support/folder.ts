import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Programs make directories that only root could look into. */
function open(path: string): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) open(join(path, entry.name));
}

/** A folder of the test's own; the test removes it. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "buslock-"));
  return {
    path,
    remove: () => {
      if (existsSync(path)) open(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
