// `buslock ... | head`: who reads the output has gone. The command ends soon and says nothing, with the status that a
// shell shows of a tool that SIGPIPE ended.
import { spawn } from "node:child_process";
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
