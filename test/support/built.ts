// Tests run what is built: an import of the product's source from a test is taken from dist/, as Node's own module.
// Vitest's own evaluation would put a getter between a module and each thing that it imports, which makes the
// interpreter 2.7 times slower. What a test imports of test/ it evaluates itself. dist/ is brought up to date first.

import { spawnSync } from "node:child_process";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const product = /^(emulator|firmware|netbridge|kernel\/compiler)\//;

/** For `plugins`. */
export const builtProduct = {
  name: "built-product",
  enforce: "pre" as const,
  resolveId(source: string, importer: string | undefined): string | null {
    if (!source.startsWith(".") || importer === undefined) return null;
    const path = relative(root, resolve(dirname(importer), source));
    return product.test(path) ? join(root, "dist", path) : null;
  },
};

/** For `server.deps.external`. */
export const builtFiles = /\/dist\/(emulator|firmware|netbridge|kernel)\//;

/** For `globalSetup`. */
export default function build(): void {
  const { status } = spawnSync(process.execPath, [join(root, "build.mjs"), "--product"], {
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("the build failed, so there is nothing to test");
}
