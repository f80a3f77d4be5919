// Builds everything into dist/: the TypeScript with tsc, then the guest kernel and its programs with
// asc and our own back end (kernel/build.ts). Each step is skipped when nothing that it reads is newer.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));

/** Newest modification time, in milliseconds, of the source files below the given paths. */
function newest(...paths) {
  let time = 0;
  for (const path of paths) {
    const full = join(root, path);
    if (!existsSync(full)) continue;
    const stat = statSync(full);
    if (!stat.isDirectory()) time = Math.max(time, stat.mtimeMs);
    else for (const name of readdirSync(full)) time = Math.max(time, newest(join(path, name)));
  }
  return time;
}

function run(what, script, args) {
  console.error(`build: ${what}`);
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
}

const sources = ["emulator", "firmware", "netbridge", "kernel", "test", "tsconfig.json", "package.json"];
const stamp = join(root, "dist/.tsbuildinfo");
if (!existsSync(stamp) || statSync(stamp).mtimeMs < newest(...sources)) {
  run("TypeScript", "node_modules/typescript/bin/tsc", [
    "--incremental",
    "--tsBuildInfoFile",
    "dist/.tsbuildinfo",
  ]);
  run("the viewer of reports, which runs in a browser", "node_modules/typescript/bin/tsc", [
    "-p",
    "emulator/timeline",
  ]);
  run("microcode", "dist/emulator/build-microcode.js", []);
  if (existsSync(join(root, "dist/kernel/build.js"))) {
    run("guest kernel and programs", "dist/kernel/build.js", []);
    run("instruction handlers that a boot needs", "dist/emulator/build-forms.js", []);
  }
  const { utimesSync } = await import("node:fs");
  utimesSync(stamp, new Date(), new Date());
}
