// Live machines that leave and come while their cluster goes on (promise 115), and what a cluster leaves behind when it is stopped.
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { childrenOf, pause, processes } from "../support/cluster.js";
import { commands } from "../support/commands.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

const folder = mkdtempSync(join(tmpdir(), "buslock-leave-"));

const buslock = commands({ TMPDIR: folder });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a machine's additions gave, in the order in which it said so. */
const additions = (out: string, machine: string): number[] =>
  [...out.matchAll(new RegExp(`^${machine}steady: \\d+ (?:together|on) (\\d+)$`, "gm"))].map(([, value]) =>
    Number(value),
  );
const rises = (values: readonly number[]) => values.every((value, i) => i === 0 || value > values[i - 1]!);

const live = describe.skipIf(process.arch !== "x64" || !hasMusl);
live(`machines that leave and come, live${missing("musl")}`, { timeout: 180_000 }, () => {
  it("SIGTERM to a machine's process: it leaves in order, and the others go on with what it wrote", async () => {
    const { host } = cProgram("steady");
    const words = ["--machines", 3, "--cores", 1, "--append", "linkloss=20000"];
    const run = buslock("run", "--live", ...words, host, 600_000, "a");
    for (const machine of [1, 2, 3])
      await run.says(new RegExp(`machine${machine} \\| steady: ${machine} on \\d+`));
    const [machine] = processes("--name machine3").filter((pid) => childrenOf(run.child.pid!).includes(pid));
    process.kill(machine!, "SIGTERM");
    await run.says("machine3 | cluster: this machine has left");
    await run.says("machine3 | exit: 143");
    for (const other of ["machine1", "machine2"]) await run.says(`${other} | cluster: machine 3 has left`);
    const said = (machine: number) => additions(run.out, `machine${machine} \\| `);
    const last = said(3).at(-1)!;
    // The others go on, from where it had come to.
    for (const other of [1, 2]) {
      const before = said(other).length;
      for (
        const end = performance.now() + 30_000;
        said(other).length < before + 3 && performance.now() < end;
      )
        await pause(20);
      expect(said(other).length).toBeGreaterThan(before + 2);
      expect(said(other).at(-1)).toBeGreaterThan(last);
      expect(rises(said(other)), run.out).toBe(true);
    }
    expect(rises(said(3)), run.out).toBe(true);
    expect(run.out).not.toMatch(/is lost|out of reach|steady: \d apart|panic/);
    run.kill("SIGINT");
    expect((await run.ended).status).toBe(130);
  });

  it("a machine that starts later joins, and goes on where the others are", async () => {
    const { host } = cProgram("steady");
    const bridge = buslock("bridge", "--listen", "127.0.0.1:0", "--json");
    await bridge.says("url");
    const { url } = JSON.parse(bridge.out) as { url: string };
    const boot = (node: number, milliseconds: number) =>
      buslock(
        ...["boot", "--node", node, "--bridge", url, "--program", host],
        ...["--append", `node=${node} nodes=3 join=1000 linkloss=20000 -- ${milliseconds} a`],
      );
    const [one, two] = [boot(1, 600_000), boot(2, 600_000)];
    await one.says(/cluster: view 1: machines 1 2$/m);
    await one.says(/steady: 1 on \d+/);
    const before = additions(one.out, "").at(-1)!;
    const three = boot(3, 1500);
    await three.says(/cluster: view \d+: machines 1 2 3$/m);
    await three.says(/steady: 3 together \d+/);
    expect(additions(three.out, "")[0]).toBeGreaterThan(before);
    expect((await three.ended).status, three.out + three.err).toBe(0);
    for (const machine of [one, two]) machine.kill("SIGTERM");
    for (const machine of [one, two]) await machine.ended;
    for (const machine of [three, one, two]) {
      expect(machine.out).not.toMatch(/is lost|apart|panic/);
      expect(rises(additions(machine.out, "")), machine.out).toBe(true);
    }
  });

  it("Ctrl-C leaves no process, no temporary file and no shared memory", async () => {
    const shared = () =>
      existsSync("/dev/shm") ? readdirSync("/dev/shm").filter((name) => /buslock/.test(name)) : [];
    const before = shared();
    const run = buslock("run", "--live", "--machines", 2, "--cores", 2, "counter", 1_000_000);
    await run.says("machine2 | Buslock: ");
    const children = childrenOf(run.child.pid!);
    expect(children.length).toBeGreaterThanOrEqual(3); // two machines and a bridge
    expect(readdirSync(folder).filter((name) => name.startsWith("buslock-run-")).length).toBe(1);
    run.kill("SIGINT");
    expect((await run.ended).status).toBe(130);
    expect(children.filter((pid) => processes("cli.js").includes(pid))).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    expect(shared()).toEqual(before);
  });
});
