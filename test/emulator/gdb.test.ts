// The debugger's door: its frames and packets, runs that go back exactly, and Debian's gdb itself on our kernel.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Debuggee } from "../../emulator/gdb/debuggee.js";
import { PacketReader, packet } from "../../emulator/gdb/protocol.js";
import { registers } from "../../emulator/gdb/registers.js";
import { Session } from "../../emulator/gdb/session.js";
import { kernelPath } from "../../emulator/images.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { Command, installed } from "../support/cluster.js";

const CODE = 0x1_0000;
const COUNTER = 0x8000;
/** Two cores add to one word, for ever. */
const RACE = `
  mov ebx, ${COUNTER}
again:
  lock xadd [rbx], rax
  inc rcx
  jmp again`;

async function race(seed = 7): Promise<Debuggee> {
  const machine = await Machine.create({ cores: 2, memory: 4 << 20 });
  machine.start(RACE, { at: CODE });
  return new Debuggee({
    machine,
    schedule: new Schedule([machine], [], new Random(seed)),
    limit: 1e9,
    storage: {
      at: (physical) => machine.storageAt(physical),
      changed: (physical, length) => machine.changed(physical, length),
    },
    print: () => {},
  });
}

/** Everything that a debugger could compare. */
function picture({ machine }: Debuggee): string {
  const cores = [0, 1].map((core) => JSON.stringify(machine.core(core).general(), (_, v) => String(v)));
  return `${machine.instructions} ${cores.join(" ")} ${machine.read(COUNTER, 8)}`;
}

describe("frames", () => {
  const events = (bytes: Uint8Array) => [...new PacketReader().push(bytes)];

  test("what packet() makes comes back, whatever is in it", () => {
    const random = new Random(3);
    for (let i = 0; i < 300; i++) {
      const text = String.fromCharCode(...Array.from({ length: random.below(40) }, () => random.below(256)));
      const [event] = events(packet(text));
      expect(event?.kind === "packet" && Buffer.from(event.data).toString("latin1")).toBe(text);
    }
  });

  test("acknowledgements, interrupts, and damage by name", () => {
    expect(events(Buffer.from("+-\x03")).map((e) => e.kind)).toEqual([
      "acknowledged",
      "refused",
      "interrupt",
    ]);
    expect(events(Buffer.from("$g#00"))).toEqual([{ kind: "damaged", why: 'checksum "00", wanted 67' }]);
    const long = events(Buffer.from(`$${"a".repeat(0x1_0001)}`));
    expect(long).toEqual([{ kind: "damaged", why: "a packet of more than 65536 bytes" }]);
  });
});

describe("motion", () => {
  test("steps back undo steps, on two cores that race, to the last register", async () => {
    const debuggee = await race();
    const seen: string[] = [];
    for (let i = 0; i < 60; i++) {
      seen.push(picture(debuggee));
      expect(await debuggee.run("step", 0)).toEqual({ why: "step", core: 0 });
    }
    while (seen.length > 1) {
      const wanted = seen.pop()!;
      expect(await debuggee.run("reverse-step", 0)).toEqual({ why: "step", core: 0 });
      if (seen.length > 1) expect(picture(debuggee)).toBe(wanted);
    }
  });

  test("back to the breakpoint before, on either core, far beyond a snapshot", async () => {
    const debuggee = await race();
    debuggee.breakpoints.add(BigInt(CODE + 5));
    const stops: string[] = [];
    for (let i = 0; i < 40; i++) {
      const { why, core } = await debuggee.run("continue", 0);
      expect(why).toBe("breakpoint");
      stops.push(`${core} ${picture(debuggee)}`);
    }
    const here = stops.pop();
    for (const wanted of stops.reverse()) {
      const { why, core } = await debuggee.run("reverse-continue", 0);
      expect(why).toBe("breakpoint");
      expect(`${core} ${picture(debuggee)}`).toBe(wanted);
    }
    expect((await debuggee.run("reverse-continue", 0)).why).toBe("begin");
    for (let i = 0; i < 40; i++) await debuggee.run("continue", 0);
    expect(picture(debuggee)).toBe(here?.slice(2));
  });

  test("breakpoints and steps do not change the run", async () => {
    const [plain, stopped] = [await race(), await race()];
    stopped.breakpoints.add(BigInt(CODE + 5));
    for (let i = 0; i < 500; i++) await stopped.run(i % 3 === 0 ? "step" : "continue", i % 2);
    const position = stopped.machine.core(1).retired;
    stopped.breakpoints.clear();
    plain.machine.pauseAt(1, position);
    const schedule = new Schedule([plain.machine], [], new Random(7));
    while (schedule.turn() !== "paused");
    expect(plain.machine.core(1).general()).toEqual(stopped.machine.core(1).general());
    expect(plain.machine.instructions).toBe(stopped.machine.instructions);
  });

  test("a write watchpoint stops after the store that changed the word, and names it", async () => {
    const debuggee = await race();
    debuggee.machine.write(COUNTER, 8, 5);
    debuggee.machine.core(0).set({ rax: 1 });
    debuggee.watchpoints.push({ core: 0, address: BigInt(COUNTER), length: 8 });
    const stop = await debuggee.run("continue", 0);
    expect(stop).toMatchObject({ why: "watchpoint", address: BigInt(COUNTER) });
    expect(debuggee.machine.core(stop.core).rip).toBe(BigInt(CODE + 5 + 5));
  });
});

describe("packets", () => {
  async function session(): Promise<{ ask: (text: string) => Promise<string>; debuggee: Debuggee }> {
    const debuggee = await race();
    const reader = new PacketReader();
    let hear: (text: string) => void = () => {};
    const s = new Session({
      debuggee,
      leave: () => {},
      log: () => {},
      send: (bytes) => {
        for (const event of reader.push(bytes))
          if (event.kind === "packet") hear(Buffer.from(event.data).toString("latin1"));
      },
    });
    const ask = (text: string) =>
      new Promise<string>((resolve) => {
        hear = resolve;
        s.receive(packet(text));
      });
    return { ask, debuggee };
  }

  test("registers and memory, read and written", async () => {
    const { ask, debuggee } = await session();
    expect(await ask("?")).toMatch(/^T02/);
    debuggee.machine.core(1).set({ rbx: 0x1122_3344 });
    expect(await ask("Hg2")).toBe("OK");
    expect(await ask("p1")).toBe("4433221100000000");
    expect(await ask("P1=0100000000000000")).toBe("OK");
    expect(debuggee.machine.core(1).register("rbx")).toBe(1n);
    const all = await ask("g");
    expect(all.length).toBe(registers.reduce((sum, r) => sum + r.bits / 4, 0));
    expect(await ask(`G${all}`)).toBe("OK");
    expect(await ask(`M${COUNTER.toString(16)},3:0a0b0c`)).toBe("OK");
    expect(await ask(`m${COUNTER.toString(16)},4`)).toBe("0a0b0c00");
    expect(await ask("m8000000000000000,4")).toBe("E14");
    expect(await ask(`Z3,${COUNTER.toString(16)},8`)).toBe("");
    expect(await ask("qfThreadInfo")).toBe("m1,2");
    expect(await ask("qXfer:features:read:target.xml:0,40")).toMatch(/^m<\?xml/);
  });

  test("random packets are answered, and harm nobody", async () => {
    const { ask, debuggee } = await session();
    // biome-ignore format: what packets begin with
    const heads = [
      "q", "Q", "qXfer:features:read:target.xml:", "v", "vCont;", "g", "G", "p", "P", "m", "M", "X", "Z0,", "z1,", "Z2,", "Hg",
      "Hc", "T", "qRcmd,", "!", "x", "qThreadExtraInfo,",
    ];
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed);
      const length = random.below(24);
      const tail = String.fromCharCode(
        ...Array.from({ length }, () => "0123456789abcdef,:;=-cs\0\xff".charCodeAt(random.below(25))),
      );
      const text = heads[random.below(heads.length)]! + tail;
      const answer = await ask(text);
      expect(answer, `seed ${seed}: ${JSON.stringify(text)}`).toMatch(/^[\x20-\x7e\n]*$/);
    }
    expect(debuggee.machine.powered).toBe(true);
  });
});

const SCRIPT = `
set pagination off
set confirm off
break 'kernel/process/syscalls/systemCall'
continue
bt 3
info threads
stepi
p/x $rip
stepi
reverse-stepi
p/x $rip
watch *(long*)$rsp
continue
delete
reverse-continue
p/x $rip
detach
`;

describe.skipIf(!installed("gdb"))(`Debian's gdb${installed("gdb") ? "" : " (skipped: no gdb here)"}`, () => {
  test("breaks, walks the stack, steps, watches and goes back in our kernel; the machine ends as without it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "buslock-gdb-"));
    const args = ["--gdb", 0, "--wait", "--cores", 2, "--append", "exit=f4", "--program", "hello"];
    const machine = new Command(["boot", ...args]);
    try {
      await machine.says(/target remote 127\.0\.0\.1:\d+/);
      const [, target] = /target remote (\S+)/.exec(machine.err)!;
      const file = join(folder, "script");
      writeFileSync(file, `target remote ${target}\n${SCRIPT}`);
      const gdb = spawn("gdb", ["-nx", "-batch", "-x", file, kernelPath]);
      let said = "";
      gdb.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      await new Promise((resolve) => gdb.once("close", resolve));
      expect(said).toContain("Thread 1 hit Breakpoint 1");
      expect(said).toMatch(/#1 .*trap\/syscall \(\)\n#2 .*syscall_entry \(\)/);
      expect(said).toMatch(/Thread 2 \(core 1: /);
      const [, first, again, start] = /\$1 = (\w+)[\s\S]*\$2 = (\w+)[\s\S]*\$3 = (\w+)/.exec(said) ?? [];
      expect(again).toBe(first);
      expect(start).toBe("0xfff0");
      expect(said).toMatch(/hit Watchpoint 2[\s\S]*New value/);
      expect(said).toContain("No more reverse-execution history");
      const { status } = await machine.ended;
      expect({ status, out: machine.out }).toMatchObject({
        status: 0,
        out: expect.stringContaining("hello from machine 1 of 1, cores 2"),
      });
    } finally {
      machine.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
});
