// The debugger's door: its frames and packets, and runs that go back exactly. gdb itself is in gdb-debian.test.ts.
import { describe, expect, test } from "vitest";
import { Debuggee } from "../../emulator/gdb/debuggee.js";
import { PacketReader, packet } from "../../emulator/gdb/protocol.js";
import { registersOf } from "../../emulator/gdb/registers.js";
import { Session } from "../../emulator/gdb/session.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";

const CODE = 0x1_0000;
const COUNTER = 0x8000;
/** Two cores add to one word, for ever. */
const RACE = `
  mov ebx, ${COUNTER}
again:
  lock xadd [rbx], rax
  inc rcx
  jmp again`;

async function race(seed = 7, program = RACE): Promise<Debuggee> {
  const machine = await Machine.create({ cores: 2, memory: 4 << 20 });
  machine.start(program, { at: CODE });
  return new Debuggee({
    machines: [machine],
    schedule: new Schedule([machine], [], new Random(seed)),
    limit: 1e9,
    print: () => {},
  });
}
const machineOf = ({ machines }: Debuggee): Machine => machines[0]!;

/** Everything that a debugger could compare. */
function picture(debuggee: Debuggee): string {
  const machine = machineOf(debuggee);
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
      expect(await debuggee.run("step", 0)).toEqual({ why: "step", thread: 0 });
    }
    while (seen.length > 1) {
      const wanted = seen.pop()!;
      expect(await debuggee.run("reverse-step", 0)).toEqual({ why: "step", thread: 0 });
      if (seen.length > 1) expect(picture(debuggee)).toBe(wanted);
    }
  });

  test("back to the breakpoint before, on either core, far beyond a snapshot", async () => {
    const debuggee = await race();
    debuggee.breakpoints.add(BigInt(CODE + 5));
    const stops: string[] = [];
    for (let i = 0; i < 40; i++) {
      const { why, thread } = await debuggee.run("continue", 0);
      expect(why).toBe("breakpoint");
      stops.push(`${thread} ${picture(debuggee)}`);
    }
    const here = stops.pop();
    for (const wanted of stops.reverse()) {
      const { why, thread } = await debuggee.run("reverse-continue", 0);
      expect(why).toBe("breakpoint");
      expect(`${thread} ${picture(debuggee)}`).toBe(wanted);
    }
    expect((await debuggee.run("reverse-continue", 0)).why).toBe("begin");
    for (let i = 0; i < 40; i++) await debuggee.run("continue", 0);
    expect(picture(debuggee)).toBe(here?.slice(2));
  });

  test("breakpoints and steps do not change the run", async () => {
    const [plain, stopped] = [await race(), await race()];
    stopped.breakpoints.add(BigInt(CODE + 5));
    for (let i = 0; i < 500; i++) await stopped.run(i % 3 === 0 ? "step" : "continue", i % 2);
    const position = machineOf(stopped).core(1).retired;
    stopped.breakpoints.clear();
    machineOf(plain).pauseAt(1, position);
    const schedule = new Schedule([machineOf(plain)], [], new Random(7));
    while (schedule.turn() !== "paused");
    expect(machineOf(plain).core(1).general()).toEqual(machineOf(stopped).core(1).general());
    expect(machineOf(plain).instructions).toBe(machineOf(stopped).instructions);
  });

  test("a write watchpoint stops after the store that changed the word, and names it", async () => {
    const debuggee = await race();
    machineOf(debuggee).write(COUNTER, 8, 5);
    debuggee.core(0).set({ rax: 1 });
    debuggee.watchpoints.add({ kind: "write", thread: 0, address: BigInt(COUNTER), length: 8 });
    const stop = await debuggee.run("continue", 0);
    expect(stop).toMatchObject({ why: "watchpoint", watch: { kind: "write", address: BigInt(COUNTER) } });
    expect(debuggee.core(stop.thread).rip).toBe(BigInt(CODE + 5 + 5));
  });

  test("threads that are not resumed stand still; no way leads back from there", async () => {
    const debuggee = await race();
    for (let i = 0; i < 9; i++) await debuggee.run("step", 0);
    const [, other] = [0, 1].map((thread) => debuggee.core(thread).retired);
    for (let i = 0; i < 50; i++) {
      const { retired } = debuggee.core(0);
      expect(await debuggee.run("step", 0, new Set([0]))).toEqual({ why: "step", thread: 0 });
      expect(debuggee.core(0).retired).toBe(retired + 1);
    }
    debuggee.breakpoints.add(BigInt(CODE + 5));
    for (let i = 0; i < 50; i++)
      expect(await debuggee.run("continue", 0, new Set([0]))).toEqual({ why: "breakpoint", thread: 0 });
    expect(debuggee.core(1).retired).toBe(other);
    const here = picture(debuggee);
    expect((await debuggee.run("reverse-continue", 0)).why).toBe("begin");
    expect(picture(debuggee)).toBe(here);
    // From there on there is a history again, that of both.
    debuggee.breakpoints.clear();
    await debuggee.run("step", 1);
    expect(debuggee.core(1).retired).toBe(other! + 1);
    await debuggee.run("reverse-step", 1);
    expect(picture(debuggee)).toBe(here);
  });

  test("what gdb does to step over a breakpoint misses none on another core, and leaves the history the seed's own", async () => {
    const [plain, stopped] = [await race(), await race()];
    const hits = [0, 0];
    for (let i = 0; i < 300; i++) {
      stopped.breakpoints.add(BigInt(CODE + 5));
      const { why, thread } = await stopped.run("continue", 0);
      expect(why).toBe("breakpoint");
      hits[thread]!++;
      if (i % 3 === 0) continue;
      stopped.breakpoints.clear();
      const step = await stopped.run("step", thread, new Set([thread]));
      if (step.why === "breakpoint") hits[step.thread]!++;
    }
    // Each stands at its last hit, or has gone on from it.
    for (const thread of [0, 1]) {
      const additions = Math.ceil((stopped.core(thread).retired - 1) / 3);
      expect([additions, additions + 1]).toContain(hits[thread]);
    }
    const { instructions } = stopped;
    machineOf(plain).pauseAfter(() => instructions - plain.instructions);
    const schedule = new Schedule([machineOf(plain)], [], new Random(7));
    while (schedule.turn() !== "paused");
    expect(picture(plain)).toBe(picture(stopped));
  });

  test("a step of one core stops at another's breakpoint", async () => {
    const debuggee = await race();
    debuggee.breakpoints.add(BigInt(CODE + 10));
    const stops = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const { why, thread } = await debuggee.run("step", 0);
      stops.add(`${why} ${thread}`);
    }
    expect([...stops].sort()).toEqual(["breakpoint 1", "step 0"]);
  });

  test("after a register was changed there is a way back to that moment", async () => {
    const debuggee = await race();
    for (let i = 0; i < 5; i++) await debuggee.run("step", 0);
    debuggee.core(0).set({ rcx: 77 });
    debuggee.changed();
    const here = picture(debuggee);
    for (let i = 0; i < 7; i++) await debuggee.run("step", 0);
    expect(picture(debuggee)).not.toBe(here);
    for (let i = 0; i < 7; i++) await debuggee.run("reverse-step", 0);
    expect(picture(debuggee)).toBe(here);
    expect((await debuggee.run("reverse-step", 0)).why).toBe("begin");
  });

  const reads = `
    again: mov rax, [${COUNTER}]
    inc rcx
    test ecx, 7
    jne again
    mov [${COUNTER}], rcx
    mov [${COUNTER + 4}], ecx
    jmp again`;
  test.each([
    ["read", 4, ["0"]],
    ["access", 1, ["0", "17", "1f"]],
    ["write", 8, ["17", "1f"]],
  ] as const)(
    "%s watchpoints are met by what they name only, forward after it, backward before it, on two cores",
    async (kind, length, places) => {
      const debuggee = await race(7, reads);
      debuggee.watchpoints.add({
        kind,
        thread: 1,
        address: BigInt(COUNTER + (length === 1 ? 5 : 0)),
        length,
      });
      const met: { instructions: number; thread: number; at: string }[] = [];
      for (let i = 0; i < 60; i++) {
        const stop = await debuggee.run("continue", 0);
        expect(stop).toMatchObject({ why: "watchpoint", watch: { kind } });
        const { retired } = debuggee.core(stop.thread);
        met.push({ instructions: debuggee.instructions, thread: stop.thread, at: String(retired) });
      }
      expect(new Set(met.map(({ thread }) => thread))).toEqual(new Set([0, 1]));
      const seen = new Set<string>();
      for (const { instructions, thread, at } of met.reverse()) {
        expect(await debuggee.run("reverse-continue", 0)).toMatchObject({ why: "watchpoint", thread });
        expect(debuggee.instructions).toBe(instructions - 1);
        expect(debuggee.core(thread).retired).toBe(Number(at) - 1);
        seen.add((debuggee.core(thread).rip - BigInt(CODE)).toString(16));
      }
      expect([...seen].sort()).toEqual(places);
      expect((await debuggee.run("reverse-continue", 0)).why).toBe("begin");
    },
  );

  test("watchpoints do not change the run", async () => {
    const [plain, watched] = [await race(7, reads), await race(7, reads)];
    watched.watchpoints.add({ kind: "access", thread: 0, address: BigInt(COUNTER), length: 8 });
    for (let i = 0; i < 300; i++) await watched.run(i % 5 === 0 ? "step" : "continue", i % 2);
    machineOf(plain).pauseAfter(() => watched.instructions - plain.instructions);
    const schedule = new Schedule([machineOf(plain)], [], new Random(7));
    while (schedule.turn() !== "paused");
    expect(picture(plain)).toBe(picture(watched));
  });
});

describe("packets", () => {
  async function session(
    program = RACE,
  ): Promise<{ ask: (text: string) => Promise<string>; debuggee: Debuggee }> {
    const debuggee = await race(7, program);
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
    debuggee.core(1).set({ rbx: 0x1122_3344 });
    expect(await ask("Hg2")).toBe("OK");
    expect(await ask("p1")).toBe("4433221100000000");
    expect(await ask("P1=0100000000000000")).toBe("OK");
    expect(debuggee.core(1).register("rbx")).toBe(1n);
    const all = await ask("g");
    expect(all.length).toBe(registersOf(64).reduce((sum, r) => sum + r.bits / 4, 0));
    expect(await ask(`G${all}`)).toBe("OK");
    expect(await ask(`M${COUNTER.toString(16)},3:0a0b0c`)).toBe("OK");
    expect(await ask(`m${COUNTER.toString(16)},4`)).toBe("0a0b0c00");
    expect(await ask("m8000000000000000,4")).toBe("E14");
    for (const kind of [0, 1, 2, 3, 4]) {
      expect(await ask(`Z${kind},${COUNTER.toString(16)},8`)).toBe("OK");
      expect(await ask(`z${kind},${COUNTER.toString(16)},8`)).toBe("OK");
    }
    expect(await ask(`Z5,${COUNTER.toString(16)},8`)).toBe("");
    expect(debuggee.breakpoints.size).toBe(0);
    expect(await ask("m7ffffffff000,10")).toBe("E14"); // canonical, and not mapped: no zeros
    expect(await ask("qfThreadInfo")).toBe("m1,2");
    expect(await ask("qXfer:features:read:target.xml:0,40")).toMatch(/^m<\?xml/);
  });

  test("a machine that shut itself down stops there, and can be gone back from", async () => {
    // No handler anywhere: #UD, then #DF, then shutdown.
    const { ask, debuggee } = await session("mov eax, 5\nagain: dec eax\njnz again\nlidt [0x9000]\nud2");
    const said = await ask("c");
    expect(said).toMatch(/^T06thread:[12];$/);
    expect(debuggee.problem).toMatch(/shut/);
    const core = debuggee.core(Number(said.at(-2)) - 1);
    const { retired } = core;
    expect(await ask("bs")).toMatch(/^T05/);
    expect(core.retired).toBe(retired - 1);
    expect(await ask("c")).toMatch(/^T06/);
    expect(await ask("c")).toBe("X06");
  });

  test("what the guest writes to the exit port is its exit code", async () => {
    const { ask } = await session("mov al, 0x2a\nout 0xf4, al");
    expect(await ask("c")).toBe("W2a");
  });

  test("vCont for some threads only lets those run", async () => {
    const { ask, debuggee } = await session();
    expect(await ask("vCont;s:1;c")).toMatch(/^T05/);
    const [, other] = [0, 1].map((thread) => debuggee.core(thread).retired);
    expect(await ask(`Z1,${(CODE + 5).toString(16)},1`)).toBe("OK");
    for (let i = 0; i < 20; i++) expect(await ask("vCont;c:1")).toBe("T05hwbreak:;thread:1;");
    expect(debuggee.core(1).retired).toBe(other);
    expect(await ask("vCont;c:9")).toBe("E01");
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
    expect(debuggee.powered).toBe(true);
  });
});
