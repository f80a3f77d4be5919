// `run --report`: the page's data against what the run itself counts, and the reading of a kernel by its declarations.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runSeeded, SeededCluster } from "../../emulator/cluster.js";
import { kernelPath, readImage } from "../../emulator/images.js";
import type { ClusterReport } from "../../emulator/report.js";
import { AGAIN, type Timeline } from "../../emulator/timeline/data.js";
import { Declarations } from "../../emulator/timeline/declarations.js";
import { Recorder } from "../../emulator/timeline/recorder.js";
import { Report } from "../../emulator/timeline/report.js";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { declared } from "../../kernel/compiler/declarations.js";
import { seededOptions } from "../support/cluster.js";

describe("what the kernel's sources declare", () => {
  test("fields lie where asc puts them", async () => {
    const wanted = {
      "kernel/coherence/records": ["Page", "Peer", "PageMessage", "Action", "Engine"],
      "kernel/coherence/ranges": ["Range", "RangeSet"],
      "kernel/coherence/shared-object": ["SharedObject"],
    };
    const expected: [string, number][] = [];
    const lines: string[] = [];
    for (const [file, names] of Object.entries(wanted)) {
      const source = readFileSync(new URL(`../../${file}.ts`, import.meta.url), "utf8");
      const { records } = declared(source);
      for (const name of names) {
        // The class alone: what its file imports need not compile by itself.
        lines.push(new RegExp(`@unmanaged\\nexport class ${name} \\{[\\s\\S]*?^\\}`, "m").exec(source)![0]);
        for (const [field, { at }] of Object.entries(records[name]!)) {
          lines.push(`export const at${expected.length}: usize = offsetof<${name}>("${field}");`);
          expected.push([`${name}.${field}`, at]);
        }
      }
    }
    const root = new URL("../..", import.meta.url).pathname;
    const { wasm } = await compileDialect({
      entry: "offsets.ts",
      root,
      memoryBase: 0x20_0000,
      optimize: 0,
      files: new Map([["offsets.ts", lines.join("\n")]]),
    });
    const module = new WebAssembly.Module(new Uint8Array(wasm));
    const nothing = new Proxy({}, { get: () => () => 0 });
    const imports = Object.fromEntries(
      WebAssembly.Module.imports(module).map(({ module }) => [module, nothing]),
    );
    const { exports } = new WebAssembly.Instance(module, imports);
    const offsets = expected.map(([name], i): [string, number] => [
      name,
      (exports[`at${i}`] as WebAssembly.Global).value as number,
    ]);
    expect(expected.length).toBeGreaterThan(100);
    expect(offsets).toEqual(expected);
  });

  test("what is not there is named, with the file", () => {
    const d = new Declarations(kernelPath, readImage("kernel", kernelPath));
    expect(() => d.number("kernel/coherence/table", "SIDEWAYS")).toThrow(
      /table\.ts declares no number SIDEWAYS/,
    );
    expect(() => d.fields("kernel/coherence/records", "Page", ["colour"])).toThrow(
      /declares no Page\.colour/,
    );
    expect(() => new Declarations("/nowhere/vmlinux", new Uint8Array())).toThrow(
      /no \/nowhere\/vmlinux\.layout\.json/,
    );
  });
});

describe("a run's page", () => {
  const folder = mkdtempSync(join(tmpdir(), "buslock-report-"));
  let page = "";
  let timeline: Timeline;
  let run: ClusterReport;
  let plain: ClusterReport;

  beforeAll(async () => {
    const { options } = await seededOptions("counter", [300], { cores: 1, seed: 11 });
    plain = await runSeeded(options);
    const report = new Report({
      folder,
      kernelPath,
      kernel: options.kernel,
      title: "counter <300>",
      command: "buslock run --seed 11 counter 300",
    });
    run = await runSeeded({
      ...options,
      onCluster: (cluster) => report.follow(cluster),
      onLine: (machine, text) => report.line(machine, text),
    });
    report.write();
    page = readFileSync(report.path, "utf8");
    timeline = JSON.parse(/id="data">([\s\S]*?)<\/script>/.exec(page)![1]!) as Timeline;
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test("looking on changes nothing", () => {
    expect(run.memoryHash).toBe(plain.memoryHash);
    expect(run.virtualNanoseconds).toBe(plain.virtualNanoseconds);
  });

  test.skipIf(process.platform !== "linux")("a folder that cannot be is named at once", () => {
    const o = { kernelPath, kernel: readImage("kernel", kernelPath), title: "", command: "" };
    expect(() => new Report({ ...o, folder: "/proc/no/such" })).toThrow(/--report \/proc\/no\/such: ENOENT/);
  });

  test("a run that does not come to its end leaves the former page", () => {
    const kernel = readImage("kernel", kernelPath);
    const again = new Report({ folder, kernelPath, kernel, title: "", command: "" });
    expect(readFileSync(again.path, "utf8")).toBe(page);
    expect(readdirSync(folder)).toEqual(["index.html"]);
  });

  test("stands by itself", () => {
    expect(page).toContain("<title>counter &lt;300&gt;</title>");
    expect(page).not.toMatch(/https?:|<link|src=|import[ (]/);
    expect(page.match(/<\/script>/g)?.length).toBe(2);
  });

  test("has every frame, and each machine's messages as its kernel counts them", () => {
    const { counts, messages, names, machines } = timeline;
    expect(counts.frames).toBe(run.frames);
    expect(timeline.cut).toEqual([]);
    const carried = names.map(
      (name) => /^[A-Z_]+( answer)?$/.test(name) && !/^(HELLO|REFUSED|ARP|IP|UDP)$/.test(name),
    );
    machines.forEach((_, index) => {
      const rows = messages.filter((m) => m[2] === index + 1 && carried[m[4]] && !(m[8] & AGAIN));
      const stats = run.machines[index]!.stats!;
      // What a machine says after it has told its figures, by its end, is not in them.
      expect(rows.length).toBeGreaterThanOrEqual(stats["messagesSent"]!);
      expect(rows.length).toBeLessThanOrEqual(stats["messagesSent"]! + 4);
      const pages = messages.filter(
        (m) =>
          m[3] === index + 1 &&
          m[1] >= 0 &&
          !(m[8] & AGAIN) &&
          // What comes early for nothing is no page that was received.
          / answer$/.test(names[m[4]]!) &&
          names[m[4]] !== "GUESS answer" &&
          m[8] & 6,
      );
      expect(pages.length).toBeGreaterThan(0);
      expect(pages.length).toBeLessThanOrEqual(stats["pagesReceived"]!);
    });
    for (const [sent, arrived, from, to] of messages) {
      if (arrived < 0) continue;
      expect(arrived).toBeGreaterThan(sent);
      expect(from).not.toBe(to);
    }
  });

  test("shows states as the protocol allows them: never two machines with a right to write the same page", () => {
    const { changes, states, objects } = timeline;
    expect(objects).toContain("/shm/counter");
    const writers = new Map<string, Set<number>>();
    let most = 0;
    for (const [, machine, object, first, state, , , last] of changes) {
      if (last >= 0) continue;
      const key = `${object} ${first}`;
      const set = writers.get(key) ?? new Set();
      writers.set(key, set);
      if (state >= 0 && /^(EXCLUSIVE|MODIFIED)$/.test(states[state]!)) set.add(machine);
      else set.delete(machine);
      most = Math.max(most, set.size);
    }
    expect(most).toBe(1);
    const seen = new Set(changes.map(([, , , , state]) => states[state]));
    for (const state of ["INVALID", "INVALID_WRITE", "SHARED", "MODIFIED", "LEAVING"])
      expect(seen).toContain(state);
  });
});

test("a machine without power has nothing, nor has its next life when it begins", async () => {
  const { options } = await seededOptions("counter", [20_000], { cores: 1, seed: 3, outlets: true });
  const cluster = await SeededCluster.create(options);
  const recorder = new Recorder(cluster, new Declarations(kernelPath, options.kernel));
  cluster.onlooker = (now) => recorder.look(now);
  cluster.run(20e6);
  const left = () => {
    const { changes } = recorder.timeline("", "");
    const last = new Map<string, number>();
    for (const [, machine, object, first, state, , , end] of changes) {
      if (machine !== 2) continue;
      if (end >= 0 && state < 0)
        for (const key of [...last.keys()]) if (key.startsWith(`${object} `)) last.delete(key);
      last.set(`${object} ${first} ${end}`, state);
    }
    return [...last.values()].filter((state) => state >= 0).length;
  };
  expect(left()).toBeGreaterThan(0);
  cluster.nodes[1]!.outlet!.kill();
  cluster.run(20.1e6);
  expect(left()).toBe(0);
  await cluster.replace(1, { ...options, seed: 4 });
  cluster.run(21e6);
  expect(left()).toBe(0);
}, 60_000);
