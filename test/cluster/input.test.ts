// What a program reads: files of the host's beside it, and its standard input (`--file`, `--stdin`). The judge is the same binary on the
// host's Linux.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { replayLine } from "../../emulator/chaos-command.js";
import { Command } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

const folder = temporaryFolder();
afterAll(() => folder.remove());

function written(path: string, text: string): string {
  const whole = join(folder.path, path);
  mkdirSync(join(whole, ".."), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}
const numbers = written("numbers", "1 2 3\nfour");
const many = written("data/many", Array.from({ length: 3000 }, (_, i) => `${i}\n`).join(""));
const none = written("none", "");

async function ends(
  ...args: (string | number)[]
): Promise<{ status: number | null; out: string; err: string }> {
  const command = new Command(args);
  const { status } = await command.ended;
  return { status, out: command.out, err: command.err };
}

const onLinux = process.platform === "linux" && process.arch === "x64";
describe.skipIf(!hasMusl || !onLinux)(`as on Linux${missing("musl")}`, () => {
  const { host } = cProgram("sums");
  const files = ["--file", numbers, "--file", `${many}=data/many`, "--file", none];
  const linux = (input: string) => {
    const { stdout, status } = spawnSync(host, ["numbers", "data/many", "none"], {
      cwd: folder.path,
      encoding: "utf8",
      input,
    });
    return { lines: stdout.trim().split("\n"), status };
  };

  test.each([
    ["run", ["run", "--seed", 1, "--machines", 2, "--cores", 1, ...files, "--stdin", many]],
    ["live", ["run", "--machines", 2, "--cores", 1, ...files, "--stdin", many]],
    ["spread", ["run", "--seed", 1, "--spread", "--machines", 2, ...files, "--stdin", many]],
  ])("%s", async (_, args) => {
    const wanted = linux(Array.from({ length: 3000 }, (_, i) => `${i}\n`).join(""));
    const { status, out, err } = await ends(...args, host, "numbers", "data/many", "none");
    const said = out.split("\n").flatMap((line) => /^machine1 \| (sums: .*)$/.exec(line)?.[1] ?? []);
    expect(said, out + err).toEqual(wanted.lines);
    expect(wanted.status).toBe(1); // "four" is no number
    expect(status).toBe(1);
  });

  test("boot, and nothing on the standard input", async () => {
    const wanted = linux("");
    const { out } = await ends(
      "boot",
      "--seed",
      1,
      ...files,
      "--append",
      "-- numbers data/many none",
      "--program",
      host,
    );
    expect(out.match(/^sums: .*$/gm)).toEqual(wanted.lines);
  });
});

test.each([
  ["a file and no program", ["boot", "--file", numbers], "--file goes with --program"],
  ["input and no program", ["boot", "--stdin", numbers], "--stdin goes with --program"],
  ["no such file", ["run", "--file", `${numbers}.no`, "hello"], `file ${numbers}.no: ENOENT`],
  ["a folder", ["run", "--stdin", folder.path, "hello"], `standard input ${folder.path}: it is a folder`],
  ["no path", ["run", "--file", `${numbers}=`, "hello"], '"" is not the path of a file'],
  ["a path that goes up", ["run", "--file", `${numbers}=/a/../b`, "hello"], "is not the path of a file"],
  [
    "one path twice",
    ["run", "--file", numbers, "--file", `${many}=/numbers`, "hello"],
    "/numbers is there twice",
  ],
])("refused: %s", async (_, args, why) => {
  const { status, out, err } = await ends(...args);
  expect(err).toContain(why);
  expect(out).toBe("");
  expect(status).toBe(2);
});

test("a standard input that is not there ends the program before it begins", async () => {
  const { out } = await ends("boot", "--seed", 1, "--append", "stdin=/nowhere", "--program", "hello");
  expect(out).toContain("init: /nowhere: not in the initial file system");
});

test("the line that repeats a run of chaos has them, and what else makes the run", () => {
  const o = {
    machines: 3,
    cores: 2,
    memory: 32 << 20,
    chaos: 7,
    spread: true,
    file: [numbers, "a=b"],
    stdin: many,
  };
  expect(replayLine("sums", ["numbers"], o)).toBe(
    `buslock run --spread --chaos 7 --machines 3 --cores 2 --memory ${32 << 20} --file ${numbers} --file a=b --stdin ${many} sums numbers`,
  );
});
