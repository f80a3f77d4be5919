// Ctrl-C in the middle of a run: it ends soon, says so by its status, and leaves no process behind.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { commands } from "../support/commands.js";

const buslock = commands();
/** A guest that never ends. */
const folder = mkdtempSync(join(tmpdir(), "buslock-interrupt-"));
const loop = join(folder, "loop");
writeFileSync(loop, Uint8Array.of(0xeb, 0xfe)); // jmp to itself
/** The same of all cores, which says so. */
const all = join(folder, "all");
writeFileSync(
  all,
  assemble(
    `mov word ptr [0x8000], 0xfeeb
     mov eax, 0xfee00000
     mov dword ptr [eax + 0xf0], 0x1ff
     mov dword ptr [eax + 0x300], 0xc4500
     mov dword ptr [eax + 0x300], 0xc4608
     mov edx, 0x3f8
     mov al, 0x21
     out dx, al
     again: jmp again`,
    { bits: 32, origin: 0x10_0000 },
  ),
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const CLI = "dist/emulator/cli.js";

test.each([
  ["run --seed 1 counter 1000000", "cluster: view 1"],
  ["run --chaos 1 --chaos-time 100000 endure", "cluster: view 1"],
  [`boot --seed 1 --kernel ${loop} --flat 0x100000`, "Buslock firmware"],
  // Each turn of the schedule is thirty thousand lines of trace.
  [`boot --seed 1 --cores 32 --trace all --trace-out ${folder}/trace --kernel ${all} --flat 0x100000`, "!"],
])("a seeded run: %s", { timeout: 60_000 }, async (words, line) => {
  const run = buslock(...words.split(" "));
  onTestFinished(() => run.kill("SIGKILL")); // where it was not heard
  await run.says(line);
  run.kill("SIGINT");
  expect((await run.ended).status, run.out + run.err).toBe(130);
});

/** A terminal sends it to all processes of the run: here to the bridge's before it can hear it. */
test.skipIf(process.platform !== "linux")("a live run that begins", { timeout: 60_000 }, async () => {
  const run = spawn(process.execPath, [CLI, "run", "--live", "counter", "1000"], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let err = "";
  run.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise((resolve) => run.on("exit", (status) => resolve(status)));
  const children = () => readFileSync(`/proc/${run.pid}/task/${run.pid}/children`, "utf8");
  while (children() === "") await new Promise((resolve) => setTimeout(resolve, 1));
  process.kill(-run.pid!, "SIGINT");
  expect(await ended, err).toBe(130);
  expect(err).toBe("");
  expect(() => process.kill(-run.pid!, 0), "a process of the run is left").toThrow("ESRCH");
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 0],
] as const)("a bridge, by %s", async (signal, status) => {
  const bridge = buslock("bridge", "--listen", "127.0.0.1:0");
  // As soon as it says that it is there.
  bridge.child.stdout!.once("data", () => bridge.kill(signal));
  expect(await bridge.ended).toMatchObject({ status });
  expect(bridge.err).toMatch(/^frames: forwarded 0/);
});
