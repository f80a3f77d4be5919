// Live machines through the built command line, as a user starts them: processes, sockets, signals.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ClusterReport } from "../../emulator/report.js";
import { verdictOf } from "../support/chaos.js";
import { childrenOf, processes } from "../support/cluster.js";
import { commands } from "../support/commands.js";

const here = process.arch === "x64";
const live = here ? describe : describe.skip;
const folder = mkdtempSync(join(tmpdir(), "buslock-live-"));

const buslock = commands();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

live("live cluster", { timeout: 180_000 }, () => {
  it("counts right on three machine processes of two cores, and reports as JSON", { retry: 0 }, async () => {
    const run = buslock("run", "--live", "--machines", 3, "--cores", 2, "--json", "counter", 300);
    expect(await run.ended, run.err).toEqual({ status: 0, signal: null });
    const report = JSON.parse(run.out) as ClusterReport;
    expect(report.result).toBe(
      "counter: machines 3 cores 2 expected 1800 counted 1800 old values a permutation: yes",
    );
    for (const machine of report.machines) {
      expect(machine.instructions).toBeGreaterThan(1_000_000);
      expect(machine.stats?.["pagesReceived"]).toBeGreaterThan(0);
    }
  });

  it("shows each machine's boot with its name, the result, and a table", async () => {
    const run = buslock("run", "--machines", 2, "--cores", 1, "counter", 50);
    expect((await run.ended).status, run.err).toBe(0);
    expect(run.out).toMatch(/^machine1 \| Buslock firmware: cores 1, RAM 64 MiB$/m);
    expect(run.out).toMatch(/^machine2 \| Buslock/m);
    expect(run.out).toMatch(
      /^counter: machines 2 cores 1 expected 100 counted 100 old values a permutation: yes$/m,
    );
    expect(run.out).toMatch(
      /^machine +instructions +coherence faults +pages received +pages sent +messages +bytes +exit$/m,
    );
  });

  it("litmus: x86-TSO holds between cores and between machines", { retry: 0 }, async () => {
    for (const [machines, cores] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const run = buslock("run", "--machines", machines, "--cores", cores, "litmus", machines === 1 ? 60 : 5);
      expect((await run.ended).status, run.out + run.err).toBe(0);
      expect(run.out).toMatch(/forbidden outcomes: none/);
    }
  });

  it("R9: survives the bridge's death and restart in mid-count", async () => {
    const run = buslock("run", "--machines", 2, "--cores", 1, "counter", 12_000);
    await run.says(/counter: node 1 \d+\/24000/);
    const bridge = processes("cli.js bridge --listen 127.0.0.1").find((pid) =>
      childrenOf(run.child.pid!).includes(pid),
    );
    expect(bridge).toBeDefined();
    process.kill(bridge!, "SIGKILL");
    expect((await run.ended).status, run.out + run.err).toBe(0);
    expect(run.out).toMatch(/the bridge died; starting it again/);
    expect(run.out).toMatch(/expected 24000 counted 24000 old values a permutation: yes/);
  });

  it("tells of a killed machine; the others do not hang", async () => {
    const words = ["--append", "linkloss=2000", "--grace", 10];
    const run = buslock("run", "--machines", 3, "--cores", 1, ...words, "counter", 400000);
    for (const other of ["machine1", "machine2"]) await run.says(`${other} | cluster: machine 3 is here`);
    const victim = processes("--name machine3").find((pid) => childrenOf(run.child.pid!).includes(pid));
    process.kill(victim!, "SIGKILL");
    await run.says("machine3: killed by SIGKILL", 10);
    await run.says(/machine[12] \| cluster: machine 3 is lost/, 20);
    expect((await run.ended).status).toBe(1);
    for (const other of ["machine1", "machine2"])
      expect(run.out).toMatch(new RegExp(`^${other} .* given up$`, "m"));
  });

  it("--chaos kills a machine's process and starts another; every promise is judged", async () => {
    const words = ["--chaos", 18, "--chaos-faults", "kill,revive", "--chaos-count", 1, "--chaos-time", 300];
    const run = buslock("run", "--live", "--cores", 1, ...words, "--json", "endure");
    const { status } = await run.ended;
    const { promises, plan, report, whole } = verdictOf(run);
    expect(promises.flatMap(({ broken }) => broken)).toEqual([]);
    expect(status).toBe(0);
    expect(whole).toBe(true);
    expect(plan.map(({ kind, machine }) => [kind, machine])).toEqual([["kill", 2]]);
    expect(report.machines[1]!.instructions).toBeLessThan(report.machines[0]!.instructions);
    for (const promise of ["R0 count", "R5 ends", "R7 return"])
      expect(promises.find((row) => row.promise === promise)!.tested, promise).toBeGreaterThan(0);
  });

  it("--chaos: where the machines have not met that is all that is judged", async () => {
    const run = buslock("run", "--live", "--cores", 1, "--chaos", 18, "--limit", 1, "--json", "endure");
    expect((await run.ended).status, run.err).toBe(1);
    const { promises, whole } = verdictOf(run);
    expect(whole).toBe(false);
    expect(promises).toMatchObject([
      { promise: "start", tested: 1, broken: ["the run was over before all had met"] },
    ]);
  });

  it("refuses a wrong token, a missing bridge and absurd sizes, in words and with status 2", async () => {
    const missing = buslock("boot", "--program", "hello", "--bridge", "ws://127.0.0.1:9/");
    expect((await missing.ended).status).toBe(2);
    expect(missing.err).toMatch(/bridge ws:\/\/127.0.0.1:9\/: .*ECONNREFUSED/);
    const bridge = buslock("bridge", "--listen", "127.0.0.1:0", "--token", "secret", "--json");
    await bridge.says("url");
    const { url } = JSON.parse(bridge.out) as { url: string };
    const wrong = buslock("boot", "--program", "hello", "--bridge", url, "--token", "guess");
    expect((await wrong.ended).status).toBe(2);
    expect(wrong.err).toMatch(/401/);
    for (const [option, value, message] of [
      ["--cores", "65", /cores 65: wanted 1 to 64/],
      ["--cores", "many", /"many": wanted a whole number/],
      ["--bridge", "nonsense", /--bridge <url>.*"nonsense": wanted a URL such as ws:/],
      ["--bios", "package.json", /BIOS package.json: \d+ bytes are no whole number of 64 KiB/],
      ["--serial", "file:/nonexistent/x", /--serial file:\/nonexistent\/x: ENOENT/],
      ["--memory", "9T", /memory/],
      ["--memory", "12345", /memory of 12345 bytes/],
    ] as const) {
      const absurd = buslock("boot", "--program", "hello", option, value);
      expect((await absurd.ended).status).toBe(2);
      expect(absurd.err).toMatch(message);
    }
  });

  it("refuses programs that are none: missing, cut, foreign", async () => {
    const missing = buslock("run", "nothing-here");
    expect((await missing.ended).status).toBe(2);
    expect(missing.err).toMatch(/no program "nothing-here": .*counter/);
    const junk = join(folder, "junk");
    writeFileSync(junk, "this is not an ELF file, by far not");
    const foreign = buslock("run", "--machines", 1, "--cores", 1, junk);
    expect((await foreign.ended).status).toBe(1);
    expect(foreign.out).toMatch(/junk: not an ELF/i);
    expect(foreign.out).toMatch(/exit: 127/);
  });

  it("--limit: every machine is said to have reached it, whether its program runs or it boots still", async () => {
    for (const seconds of [1, 4]) {
      const run = buslock(
        ...["run", "--machines", 2, "--cores", 1, "--json", "--limit", seconds],
        ...["steps", "/shm/limit", "1w0", ...Array<string>(10).fill("1s4000")], // it sleeps for 40 s
      );
      expect((await run.ended).status, run.err).toBe(1);
      const { machines } = JSON.parse(run.out) as ClusterReport;
      expect(machines.map(({ problem }) => problem)).toEqual(Array(2).fill("the time limit was reached"));
    }
  });

  it("--help shows options and examples for each command", async () => {
    for (const command of ["run", "boot", "bridge"]) {
      const help = buslock(command, "--help");
      expect((await help.ended).status).toBe(0);
      expect(help.out).toMatch(/Examples:/);
    }
  });
});
