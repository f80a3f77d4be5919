// The kernel on QEMU's q35: boot on several cores, the self-test in ring 0 (kernel/selftest.ts), panics, power off. The
// oracle is a machine that nobody here wrote.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kernelPath } from "../../emulator/images.js";
import { qemu, statsOf } from "../support/qemu.js";

/** Every test that selfTest() runs, in order, as its source says. */
const names = [...readFileSync("kernel/selftest.ts", "utf8").matchAll(/^ {2}run\("([^"]+)"/gm)].map(
  (m) => m[1]!,
);
const EXIT = (status: number) => status * 2 + 1;

describe.skipIf(qemu.missing)(`boot under QEMU ${qemu.missing}`, () => {
  test.each([1, 2, 4])(
    "promises 9, 40-45, 50-55: the self-test on %i cores",
    async (cores) => {
      const run = await qemu.run({ cores, append: "exit=f4 selftest", seconds: 100 });
      expect(run.output).toMatch(new RegExp(`^Buslock: ${cores} cores, \\d+ MiB free`, "m"));
      expect(run.lines.filter((line) => line.startsWith("selftest: "))).toEqual(
        names.map((name) => `selftest: ${name} ok`),
      );
      expect(run.output).not.toMatch(/panic/);
      expect(run.status).toBe(EXIT(0));
      const stats = statsOf(run);
      expect(stats["threadSwitches"]).toBeGreaterThan(1000);
      expect(stats["interrupts"]).toBeGreaterThan(50);
      if (cores === 1) expect([stats["ipisSent"], stats["shootDowns"]]).toEqual([0, 0]);
      else {
        expect(stats["ipisSent"]).toBeGreaterThan(5000);
        expect(stats["ipisPassive"]).toBeGreaterThan(10_000);
        // Messages to a core that is at it already share an interrupt, and passive ones raise none; but a sender to
        // a full ring prods its target, so interrupts are bounded by the messages of both kinds only.
        expect(stats["ipiInterrupts"]).toBeLessThan(stats["ipisSent"]! + stats["ipisPassive"]!);
        // Every other core has the space loaded in all of the 200 rounds.
        expect(stats["shootDowns"]).toBeGreaterThanOrEqual(200 * (cores - 1));
      }
    },
    120_000,
  );

  test("all of 64 cores come up", async () => {
    const run = await qemu.run({ cores: 64, append: "exit=f4 init=/nothing", seconds: 60 });
    expect(run.output).toMatch(/^Buslock: 64 cores/m);
    expect(run.output).not.toMatch(/does not start|panic/);
  });

  test("free frames follow the size of the machine", async () => {
    for (const megabytes of [32, 1000]) {
      const run = await qemu.run({ megabytes, append: "exit=f4 init=/nothing" });
      const free = Number(/(\d+) MiB free/.exec(run.output)?.[1]);
      expect(free).toBeGreaterThan(megabytes - 6);
      expect(free).toBeLessThan(megabytes);
    }
  });

  test("a panic says what, where and who, and stops the other cores", async () => {
    const run = await qemu.run({ cores: 3, append: "exit=f4 selftest=panic" });
    expect(run.output).toMatch(/core 2 is alive/);
    const from = run.lines.indexOf("panic: selftest: this is what a panic looks like");
    expect(from).toBeGreaterThan(0);
    const rest = run.lines.slice(from + 1);
    expect(rest[0]).toMatch(/^ {2}core 0 thread boot \d+ cr2 0x\w+ cr3 0x\w+$/);
    expect(rest.join("\n")).toMatch(/^ {2}0xffff8000001\w{5} kernel\/main\/bootThread\+0x/m);
    expect(rest.join("\n")).toMatch(/ thread_entry\+0x/);
    expect(rest.some((line) => line.includes("alive"))).toBe(false);
    expect(run.status).toBe(EXIT(125));
  });

  test("the kernel's text is read-only: writing it is a page fault with all registers", async () => {
    const run = await qemu.run({ append: "exit=f4 selftest=write" });
    expect(run.output).toMatch(/^panic: #PF page fault in the kernel$/m);
    expect(run.output).toMatch(/cr2 0xffff800000100000/);
    expect(run.output).toMatch(/ error 0x3$/m); // a write, to a page that is there
    for (const register of ["rax", "rsp", "rbp", "r8", "r15", "rip", "flags"])
      expect(run.output).toMatch(new RegExp(` ${register} 0x[0-9a-f]+`));
    expect(run.output).toMatch(/kernel\/main\/bootThread\+0x.* thread_entry\+0x/s);
    expect(run.status).toBe(EXIT(125));
  });

  test("without an exit port the machine powers itself off by ACPI", async () => {
    const run = await qemu.run({ cores: 2, append: "selftest" });
    expect(run.status).toBe(0);
    expect(run.output).toMatch(/^stats: \{"threadSwitches":\d+/m);
  });

  // QEMU's instruction clock: one TSC tick is one instruction, so the figures are exact and hold on every host.
  test("hot paths in instructions", async () => {
    const run = await qemu.run({ append: "exit=f4 selftest", more: ["-icount", "shift=0"], seconds: 100 });
    const figure = (name: string) => {
      const line = run.lines.find((text) => text.startsWith(`figure: ${name} `));
      return Number(/(\d+) ticks/.exec(line ?? "")?.[1] ?? Number.NaN);
    };
    expect(figure("critical section")).toBeLessThan(45);
    expect(figure("two yields, two thread switches")).toBeLessThan(400);
    expect(figure("synchronous port call")).toBeLessThan(140);
    expect(figure("message to this core")).toBeLessThan(100);
    expect(figure("allocate and release 64 bytes")).toBeLessThan(350);
  }, 120_000);
});

const objdump = spawnSync("objdump", ["--version"]).status === 0 ? "" : "objdump is not installed";

test.skipIf(objdump)(`promises 8 and 41: no locked instruction on a core's own data ${objdump}`, () => {
  const { stdout } = spawnSync("objdump", ["-d", "-M", "intel", "--no-show-raw-insn", kernelPath], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const code = new Map<string, string>();
  for (const part of stdout.split("\n\n")) {
    const name = /^[0-9a-f]+ <(.+)>:/m.exec(part)?.[1];
    if (name !== undefined) code.set(name, part);
  }
  const locked = /\block\b|xchg +\S+ PTR \[|xchg +\w+,\S+ PTR \[/;
  // criticalLeave, which does what criticalExit does, stands in place of its calls in these.
  const hot = [
    "kernel/lwkt/critical/criticalExit",
    "kernel/lwkt/critical/criticalDeferred",
    "kernel/lwkt/ipi/ipiSend",
    "kernel/lwkt/ipi/ipiSendPassive",
    "kernel/lwkt/ipi/messagesRun",
    "kernel/lwkt/scheduler/ready",
    "kernel/lwkt/scheduler/runPending",
    "kernel/lwkt/scheduler/switchThread",
    "kernel/memory/slab/release",
    "kernel/memory/slab/giveBack",
    "switchStack",
  ];
  for (const name of hot) {
    expect(code.has(name), `${name} is a function of the image`).toBe(true);
    expect(code.get(name), name).not.toMatch(locked);
  }
  expect(code.get("kernel/lwkt/spinlock/lockWait")).toMatch(locked); // the pattern finds what it should
});
