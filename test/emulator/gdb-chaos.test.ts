// Faults under a debugger: the run is the one without, going back undoes what was done to the machines, and going forward does it again.
import { beforeAll, describe, expect, test } from "vitest";
import { runSeededChaos } from "../../emulator/chaos/seeded.js";
import { chaosOptions } from "../../emulator/chaos-command.js";
import { debugged } from "../../emulator/cluster-debugged.js";
import type { Debuggee } from "../../emulator/gdb/debuggee.js";
import { kernelPath, readImage } from "../../emulator/images.js";
import type { RunOptions } from "../../emulator/run-command.js";
import { elfSymbols } from "../../emulator/symbols.js";
import { seededOptions } from "../support/cluster.js";

const symbols = elfSymbols(readImage("kernel", kernelPath));
const BOOT = symbols.addresses[symbols.names.indexOf("kernel/main/boot")]!;

/** A machine dies and comes back, and the wire is cut: all of it in this time. */
const LIMIT = 175e6;
const SHAPE = { machines: 3, cores: 1, memory: 32 << 20, seed: 9 };

async function options() {
  const o: RunOptions = {
    ...SHAPE,
    chaos: 11,
    chaosFaults: "kill,revive,cut",
    chaosCount: 3,
    chaosTime: 20,
    append: "linkloss=30 blocked=15",
  };
  const { options: chaos, append, arguments: args } = chaosOptions("endure", [], o);
  const told: string[] = [];
  const { options: seeded, lines } = await seededOptions("endure", args, { ...SHAPE, append, limit: LIMIT });
  const tell = (at: number, begins: boolean, fault: { kind: string }) =>
    told.push(`${at.toFixed(3)} ${begins} ${fault.kind}`);
  return { seeded, chaos: { ...chaos, tell }, told, lines };
}

/** Everything that a debugger could compare. */
const picture = (debuggee: Debuggee): string =>
  Array.from({ length: debuggee.threads }, (_, thread) => {
    const core = debuggee.core(thread);
    return `${core.retired} ${core.rip.toString(16)} ${JSON.stringify(core.general(), (_, v) => String(v))}`;
  }).join("\n");

describe("faults under a debugger", { timeout: 120_000 }, () => {
  let plain: { told: string[]; lines: string[]; instructions: number[] };
  beforeAll(async () => {
    const { seeded, chaos, told, lines } = await options();
    const { report } = await runSeededChaos(seeded, chaos);
    plain = {
      told,
      lines,
      instructions: report.machines.map(({ instructions }) => instructions),
    };
  }, 60_000);

  test("the run is the one without, and its faults are undone and done again on the way back and forth", async () => {
    const { seeded, chaos, told, lines } = await options();
    expect(plain.told.some((line) => line.endsWith("cut"))).toBe(true);
    expect(plain.told.some((line) => line.includes("false kill"))).toBe(true);
    const { debuggee, cluster } = await debugged(seeded, chaos);
    expect(await debuggee.run("continue", 0)).toMatchObject({ why: "asleep" });
    expect(told).toEqual(plain.told);
    expect(lines).toEqual(plain.lines.slice(0, lines.length));
    expect(debuggee.machines.map(({ instructions }) => instructions)).toEqual(plain.instructions);
    const end = [picture(debuggee), cluster.memoryHash()];
    // Back to the very first instruction, before the machine died that is another life now, and to the end again.
    expect((await debuggee.run("reverse-continue", 0)).why).toBe("begin");
    expect(debuggee.instructions).toBe(0);
    expect(await debuggee.run("continue", 0)).toMatchObject({ why: "asleep" });
    expect([picture(debuggee), cluster.memoryHash()]).toEqual(end);
    // Done again, told once.
    expect(told).toEqual(plain.told);
    expect(lines).toEqual(plain.lines.slice(0, lines.length));
    // A step back and one forward on each machine, the new life among them.
    for (let thread = 0; thread < debuggee.threads; thread++) {
      await debuggee.run("reverse-step", thread);
      const before = debuggee.core(thread).retired;
      await debuggee.run("step", thread);
      expect(debuggee.core(thread).retired).toBe(before + 1);
    }
    // Every life began in the kernel once: backwards the last one is met first, before it the others.
    debuggee.breakpoints.add(BOOT);
    const met: string[] = [];
    for (;;) {
      const { why, thread } = await debuggee.run("reverse-continue", 0);
      if (why === "begin") break;
      expect(why).toBe("breakpoint");
      expect(debuggee.core(thread).rip).toBe(BOOT);
      met.push(`${debuggee.name(thread)}${debuggee.now > 20e6 ? ", again" : ""}`);
    }
    const revived = plain.told.filter((line) => line.endsWith("false kill")).length;
    expect(met.splice(0, revived).every((name) => name.endsWith(", again"))).toBe(true);
    expect(met.sort()).toEqual(["machine1 core 0", "machine2 core 0", "machine3 core 0"]);
  });
});
