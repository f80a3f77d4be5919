// `buslock ... | head`: who reads the output has gone. The command ends soon and says nothing, with the status that a
// shell shows of a tool that SIGPIPE ended. Other errors of the output are told, with status 2.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { expect, test } from "vitest";

const CLI = "dist/emulator/cli.js";

/** Runs it with one of its streams closed at once, which is long before Node has started. */
async function unread(stream: "stdout" | "stderr", args: string[]) {
  const run = spawn(process.execPath, [CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  run[stream].destroy();
  let said = "";
  run[stream === "stdout" ? "stderr" : "stdout"].on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const status = await new Promise((resolve) => run.on("close", resolve));
  return { status, said };
}

test.each([
  ["boot", "--help"],
  ["--version"],
  ["boot", "--seed", "1", "--append", "no such machine ends by itself", "--limit", "1000000"],
  ["run", "--seed", "1", "counter", "1000000"],
  ["run", "--live", "counter", "1000000"],
  ["bridge", "--listen", "127.0.0.1:0"],
])("nobody reads what it prints: %s %s", { timeout: 60_000 }, async (...args) => {
  expect(await unread("stdout", args)).toEqual({ status: 141, said: "" });
});

test("nobody reads what it complains", { timeout: 60_000 }, async () => {
  expect(await unread("stderr", ["boot", "--no-such-option"])).toEqual({ status: 141, said: "" });
});

/** Linux's device for that: each write fails with ENOSPC. */
const FULL = "/dev/full";

test.runIf(existsSync(FULL)).each([
  ["boot", "--help"],
  ["boot", "--program", "hello"],
  ["run", "--seed", "1", "--machines", "1", "counter", "10"],
  ["run", "--seed", "1", "--machines", "1", "--json", "counter", "10"],
  ["run", "--machines", "1", "counter", "10"],
])("what it prints goes to a disk that is full: %s %s", { timeout: 60_000 }, async (...args) => {
  const file = openSync(FULL, "w");
  const run = spawn(process.execPath, [CLI, ...args], { stdio: ["ignore", file, "pipe"] });
  closeSync(file);
  let said = "";
  run.stderr!.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const status = await new Promise((resolve) => run.on("close", resolve));
  expect(said).toMatch(/^buslock: standard output: ENOSPC: .*$/m);
  expect(said).not.toMatch(/^ +at /m);
  expect(status).toBe(2);
});

test.runIf(existsSync(FULL))("a trace goes to a disk that is full", { timeout: 60_000 }, async () => {
  const args = ["run", "--seed", "1", "--machines", "1", "--trace", "faults", "--trace-out", FULL];
  const run = spawn(process.execPath, [CLI, ...args, "counter", "10"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  run.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  expect(await new Promise((resolve) => run.on("close", resolve))).toBe(2);
  expect(said).toMatch(/^buslock: --trace-out \/dev\/full: ENOSPC: .*\n$/);
});
