// Builds everything into dist/: the TypeScript with tsc, then the guest kernel and its programs with
// asc and our own back end (kernel/build.ts). Each step is skipped when nothing that it reads is newer.
//
//   node build.mjs             everything
//   node build.mjs --product   what tests run, not the tests: nothing, where only test/ has changed
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const words = process.argv.slice(2);
for (const word of words)
  if (word !== "--product") {
    console.error(`build: unknown argument ${word} (there is --product)`);
    process.exit(2);
  }
const product = words.includes("--product");

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

/** Runs a script unless dist/STAMP is newer than all that it reads; tells whether it ran. */
function step({ what, stamp, reads, script, args = [] }) {
  const file = join(root, "dist", stamp);
  if (existsSync(file) && statSync(file).mtimeMs >= newest(...reads)) return false;
  // What changes meanwhile counts as newer.
  const begun = new Date();
  console.error(`build: ${what}`);
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
  if (!existsSync(file)) {
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, "");
  }
  utimesSync(file, begun, begun);
  return true;
}

const tsc = "node_modules/typescript/bin/tsc";
const settings = ["tsconfig.json", "package.json", "build.mjs"];
const compiled = ["emulator", "firmware", "netbridge", "kernel/compiler", "kernel/build.ts", ...settings];

step({
  what: "TypeScript",
  stamp: ".tsbuildinfo",
  reads: product ? compiled : [...compiled, "test"],
  script: tsc,
  args: ["--incremental", "--tsBuildInfoFile", "dist/.tsbuildinfo"],
});
step({
  what: "the viewer of reports, which runs in a browser",
  stamp: ".viewer",
  reads: ["emulator/timeline", ...settings],
  script: tsc,
  args: ["-p", "emulator/timeline"],
});
step({
  what: "microcode",
  stamp: ".microcode",
  reads: ["emulator/cpu/microcode", "emulator/cpu/layout.ts", "emulator/build-microcode.ts", ...settings],
  script: "dist/emulator/build-microcode.js",
});
step({
  what: "guest kernel and programs",
  stamp: ".kernel",
  reads: ["kernel", ...settings],
  script: "dist/kernel/build.js",
});
step({
  what: "instruction handlers that a boot needs",
  stamp: ".forms",
  reads: ["emulator", "kernel", "firmware", ...settings],
  script: "dist/emulator/build-forms.js",
});
