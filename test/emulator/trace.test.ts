// What --trace says: which records its filters let through, in which form, by which names; that nothing of a run is changed
// by being looked at, and what an engine without a tracer costs.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { deviceName } from "../../emulator/board/names.js";
import { runSeeded } from "../../emulator/cluster.js";
import { LOOKING_WORD, SLOW_DATA_WORD } from "../../emulator/cpu/layout.js";
import { Onlooker } from "../../emulator/cpu/onlooker.js";
import { kernelPath } from "../../emulator/images.js";
import { Machine } from "../../emulator/machine.js";
import { elfSymbols, mapSymbols, readSymbols, Symbols } from "../../emulator/symbols.js";
import { type Filter, type Kind, kinds, Tracer } from "../../emulator/trace.js";
import { openTraces, parseCores, parseKinds, parseModes, parseRanges } from "../../emulator/trace-options.js";
import { Command, seededOptions } from "../support/cluster.js";

const CODE = 0x1_0000;
const names = mapSymbols(
  `${CODE.toString(16)} T main\n${(CODE + 5).toString(16)} T again\n8000 D counter\n9000 T end`,
)!;
/** Reads and writes memory, touches a port that is claimed, one that is not, and an unclaimed address, twice each. */
const PROGRAM = `
  mov ebx, 0x8000
again:
  lock xadd [rbx], rax
  mov dx, 0x3ff
  in al, dx
  in al, 0x13
  mov esi, 0xd0000000
  mov eax, [rsi]
  inc ecx
  cmp ecx, 2
  jne again
  hlt`;

async function traced(filter: Partial<Filter>, cores = 1): Promise<string[]> {
  const lines: string[] = [];
  const tracer = new Tracer({ kinds: [], ...filter }, (line) => lines.push(line));
  const machine = await Machine.create({ cores, memory: 4 << 20, tracer });
  machine.start(PROGRAM, { at: CODE });
  machine.run({ seed: 3 });
  return lines;
}
const tail = (line: string) => line.slice(line.indexOf("|") + 2);

describe("records", () => {
  test("instructions by symbol, text and bytes", async () => {
    const lines = await traced({ kinds: ["instructions"], symbols: [names] });
    expect(lines.length).toBe(1 + 2 * 9 + 1);
    expect(lines[0]).toMatch(
      /^ {11}0 core 0 instructions s64 {12}10000 main \| bb00800000 {7}mov ebx,8000h$/,
    );
    expect(lines[1]).toMatch(/ 10005 again \| f0480fc103 {7}lock xadd \[rbx\],rax$/);
    expect(lines[2]).toContain(" again+0x5 |");
  });

  test("memory: loads and stores with their values, and only those asked for", async () => {
    const all = await traced({ kinds: ["memory"], symbols: [names] });
    expect(all.map(tail).slice(0, 3)).toEqual([
      "read 8 at 8000 (counter): 0",
      "write 8 at 8000 (counter): 0",
      "read 4 at d0000000: ffffffff",
    ]);
    const some = await traced({ kinds: ["memory"], addresses: [[0x8004n, 0x8007n]] });
    expect(some).toEqual([]); // an access is where its first byte is
    const one = await traced({ kinds: ["memory"], addresses: [[0x8000n, 0x8000n]] });
    expect(one.map(tail)).toEqual(
      all.filter((line) => line.includes(" 8000 ")).map((l) => tail(l).replace(" (counter)", "")),
    );
  });

  test("devices by name, without stepping; what nobody claims is reported once an address", async () => {
    const lines = await traced({ kinds: ["devices", "reports"], symbols: [names] });
    expect(lines.map((line) => line.slice(13)).slice(0, 5)).toEqual([
      "core 0 devices s64            1000e again+0x9 | in 1 port 3ff (COM1): 0",
      "board  reports board: port 0x13: read of 1 bytes, claimed by nobody",
      "core 0 devices s64            1000f again+0xa | in 1 port 13: ff",
      "board  reports board: address 0xd0000000: read of 4 bytes, claimed by nobody",
      "core 0 devices s64            10016 again+0x11 | read 4 address d0000000 (PCI memory): ffffffff",
    ]);
    expect(lines.filter((line) => line.includes("claimed by nobody"))).toHaveLength(2);
    expect(lines.filter((line) => line.includes("devices"))).toHaveLength(6);
    const ports = await traced({ kinds: ["devices"], addresses: [[0x10n, 0x1fn]] });
    expect(ports.map(tail)).toEqual(["in 1 port 13: ff", "in 1 port 13: ff"]);
  });

  test("cores, code and modes choose; JSON holds the same", async () => {
    const both = await traced({ kinds: ["instructions"] }, 2);
    const second = await traced({ kinds: ["instructions"], cores: [[1, 1]] }, 2);
    expect(second).toEqual(both.filter((line) => line.includes(" core 1 ")));
    expect(second.length).toBeGreaterThan(10);
    const code = await traced({ kinds: ["instructions"], code: [[BigInt(CODE), BigInt(CODE + 4)]] }, 2);
    expect(code).toHaveLength(2);
    expect(await traced({ kinds: ["instructions"], bits: [16, 32] })).toEqual([]);
    expect(await traced({ kinds: ["instructions"], privilege: "user" })).toEqual([]);
    const [json = ""] = await traced({ kinds: ["memory"], json: true, symbols: [names] });
    expect(JSON.parse(json)).toEqual({
      ...{ time: 1, core: 0, kind: "memory", rip: "10005", symbol: "again", mode: "supervisor", bits: 64 },
      ...{ access: "read", address: "8000", bytes: 8, value: "0", implicit: 0, target: "counter" },
    });
  });

  test("walks: where each page is found, and by which entry; a page that is known is not walked for again", async () => {
    const lines = await traced({ kinds: ["walks"], symbols: [names] });
    const told = lines.map(tail);
    expect(told.filter((line) => line.startsWith("fetch at 10000 (main)"))).toHaveLength(1);
    expect(told).toContainEqual(
      expect.stringMatching(
        /^(read|write) at 8000 \(counter\) as supervisor: page 8000 in \S+ [KMG]iB, entry [\da-f]+ at [\da-f]+$/,
      ),
    );
    const addresses = told.map((line) => / at ([\da-f]+)/.exec(line)![1]!);
    expect(addresses.every((address) => /^(1000\d|8000|d0000000)$/.test(address))).toBe(true);
    const plain = await traced({ kinds: ["walks"], addresses: [[0x8000n, 0x8fffn]], json: true });
    expect(JSON.parse(plain[0]!)).toMatchObject({
      kind: "walks",
      address: "8000",
      page: "8000",
      as: "supervisor",
    });
  });

  test("walks that find nothing say why", async () => {
    const lines: string[] = [];
    const tracer = new Tracer({ kinds: ["walks"] }, (line) => lines.push(line));
    const machine = await Machine.create({ memory: 4 << 20, tracer });
    machine.start("mov rax, 0x123456789000\nmov [rax], al\nhlt", { at: CODE });
    machine.run();
    expect(lines.map(tail)).toContain("write at 123456789000 as supervisor: not present");
  });

  test("faults say why", async () => {
    const lines: string[] = [];
    const tracer = new Tracer({ kinds: ["faults"] }, (line) => lines.push(line));
    const machine = await Machine.create({ memory: 4 << 20, tracer });
    machine.start("mov rax, 0x123456789000\nmov [rax], al\nhlt", { at: CODE });
    machine.run();
    expect(lines[0]).toMatch(
      /core 0 faults s64 {12}1000a \| #PF error 2 \(not present, write, supervisor\) at 123456789000$/,
    );
    expect(lines).toHaveLength(1);
  });
});

describe("looking on", () => {
  test("changes nothing: two cores that race retire the same instructions and leave the same memory", async () => {
    const end = async (filter: Filter | null, storeBuffer = 0) => {
      let records = 0;
      const tracer = filter && new Tracer(filter, () => records++);
      const machine = await Machine.create({
        ...{ cores: 2, memory: 4 << 20, storeBuffer },
        ...(tracer === null ? {} : { tracer }),
      });
      machine.start(
        `mov ebx, 0x8000
         again: lock xadd [rbx], rax
         add [rbx+8], rax
         push rax
         mov edi, 0x9000
         mov ecx, 40
         rep stosb
         pop rdx
         inc r8
         cmp r8, 300
         jne again
         hlt`,
        { at: CODE },
      );
      machine.run({ seed: 11 });
      const general = [0, 1].map((core) => machine.core(core).general());
      return {
        general,
        words: [0, 8].map((at) => machine.read(0x8000 + at, 8)),
        n: machine.instructions,
        records,
      };
    };
    for (const storeBuffer of [0, 4]) {
      const plain = await end(null, storeBuffer);
      const { records, ...watched } = await end({ kinds: ["instructions", "memory"] }, storeBuffer);
      expect(watched).toEqual({ general: plain.general, words: plain.words, n: plain.n });
      expect(records).toBeGreaterThan(plain.n);
    }
  });

  test("costs nothing where nobody does: no word is set, no import wrapped, no instruction stepped", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const view = new DataView(memory.buffer);
    const plain = { portRead: () => 0, busWrite: () => undefined };
    for (const kinds of [[], ["faults", "interrupts", "reports"]] as Kind[][]) {
      const onlooker = new Onlooker(memory.buffer, [], new Tracer({ kinds }, () => {}), false);
      expect(onlooker.stepwise).toBe(false);
      expect([view.getUint32(LOOKING_WORD, true), view.getUint32(SLOW_DATA_WORD, true)]).toEqual([0, 0]);
      expect(onlooker.imports(plain)).toMatchObject(plain);
    }
  });
});

describe("symbols", () => {
  test("of our kernel's ELF file: functions by name and offset", () => {
    const table = elfSymbols(readFileSync(kernelPath));
    const symbols = new Symbols([table]);
    const [from, to] = symbols.extent("syscall_entry")!;
    expect(symbols.at(from)).toBe("syscall_entry");
    expect(symbols.at(from + 1n)).toBe("syscall_entry+0x1");
    expect(to).toBeGreaterThan(from);
    expect(symbols.at(0x1234n)).toBe("");
    for (let i = 1; i < table.names.length; i++)
      expect(table.addresses[i]! > table.addresses[i - 1]!).toBe(true);
  });

  test("of a list; what is neither is refused by name", () => {
    const folder = mkdtempSync(join(tmpdir(), "buslock-symbols-"));
    const file = join(folder, "System.map");
    writeFileSync(
      file,
      "ffffffff81000000 T _text\nffffffff81000000 T startup_64\nffffffff81000100 t local\n",
    );
    const symbols = new Symbols([readSymbols(file)]);
    expect(symbols.at(0xffffffff81000010n)).toBe("_text+0x10");
    expect(symbols.extent("_text")).toEqual([0xffffffff81000000n, 0xffffffff810000ffn]);
    writeFileSync(file, "hello, world\n");
    expect(() => readSymbols(file)).toThrow(/symbols .*System.map: neither an ELF file/);
    rmSync(folder, { recursive: true });
  });
});

describe("the command line's words", () => {
  const symbols = new Symbols([names]);

  test("are taken", () => {
    expect(parseKinds("faults, memory")).toEqual(["faults", "memory"]);
    expect(parseKinds("all")).toEqual(Object.keys(kinds));
    expect(parseRanges("--x", "10-1f,0x20+10,main,ffff800000000000", symbols)).toEqual([
      [0x10n, 0x1fn],
      [0x20n, 0x2fn],
      [0x10000n, 0x10004n],
      [0xffff800000000000n, 0xffff800000000000n],
    ]);
    expect(parseCores("0,2-3")).toEqual([
      [0, 0],
      [2, 3],
    ]);
    expect(parseModes("user,32,64")).toEqual({ privilege: "user", bits: [32, 64] });
    expect(parseModes("user,supervisor")).toEqual({});
  });

  test("or refused, by what is wrong with them", () => {
    expect(() => parseKinds("fault")).toThrow('--trace fault: "fault" is none of instructions, memory');
    expect(() => parseRanges("--trace-code", "nowhere", symbols)).toThrow(
      '"nowhere" is no symbol and no range',
    );
    expect(() => parseRanges("--trace-code", "20-10", symbols)).toThrow('"20-10" holds nothing');
    expect(() => parseCores("3-1")).toThrow("--trace-core 3-1: wanted numbers");
    expect(parseCores("0-1", 2)).toEqual([[0, 1]]);
    expect(() => parseCores("0,2", 2)).toThrow("--trace-core 0,2: there are cores 0 to 1");
    expect(() => parseModes("ring0")).toThrow("--trace-mode ring0: wanted user or supervisor");
  });
});

test("every port that the board claims has a name", async () => {
  const lines: string[] = [];
  const tracer = new Tracer({ kinds: ["reports"] }, (line) => lines.push(line));
  const machine = await Machine.create({ memory: 4 << 20, tracer, testDevice: true, biosConsole: () => {} });
  const tries = `xor edx, edx\nagain: in al, dx\ninc edx\ncmp edx, 0xe00\nje more\ncmp edx, 0x2100\njne again\nhlt\nmore: mov edx, 0x1f00\njmp again`;
  machine.load(CODE, assemble(tries, { bits: 64, origin: CODE }));
  machine.start(tries, { at: CODE });
  machine.run();
  const unclaimed = new Set(
    lines.flatMap((line) => /port 0x([\da-f]+)[^:]*: .*claimed/.exec(line)?.[1] ?? []),
  );
  expect(unclaimed.size).toBeGreaterThan(1000);
  for (let port = 0; port < 0x2100; port++) {
    if ((port >= 0xe00 && port < 0x1f00) || (port & ~3) === 0xcf8) continue; // of the PCI address some accesses are nobody's
    expect(`${port.toString(16)} ${deviceName("port", port) === ""}`).toBe(
      `${port.toString(16)} ${unclaimed.has(port.toString(16))}`,
    );
  }
});

describe("buslock boot", () => {
  const folder = mkdtempSync(join(tmpdir(), "buslock-trace-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("--trace writes where told, filtered by a symbol of the kernel's, and is refused clearly", async () => {
    const file = join(folder, "out");
    const same = ["boot", "--seed", 5, "--append", "exit=f4", "--program", "hello"];
    const plain = new Command([...same, "--json"]);
    const trace = [
      "--trace",
      "instructions,interrupts",
      "--trace-code",
      "syscall_entry",
      "--trace-out",
      file,
      "--json",
    ];
    const command = new Command([...same, ...trace]);
    expect((await command.ended).status).toBe(0);
    await plain.ended;
    expect(command.out).toBe(plain.out);
    expect(JSON.parse(command.err)).toEqual(JSON.parse(plain.err));
    const records = readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(records.length).toBeGreaterThan(20);
    for (const { kind, symbol, core } of records)
      expect({ kind, core, symbol }).toEqual({
        kind: "instructions",
        core: 0,
        symbol: expect.stringMatching(/^syscall_entry/),
      });
    const bad = new Command(["boot", "--program", "hello", "--trace-core", 1]);
    expect((await bad.ended).status).toBe(2);
    expect(bad.err).toContain("--trace-core goes with --trace");
  });

  test("traces live machines as well", async () => {
    const command = new Command([
      ...["boot", "--append", "exit=f4", "--cores", 2, "--program", "hello"],
      ...["--trace", "faults,memory", "--trace-mode", "user"],
    ]);
    expect((await command.ended).status).toBe(0);
    for (const wanted of [
      /core \d faults u64 .*#PF error \w+ \(not present, /,
      /core \d memory u64 .*write 8 at /,
    ])
      expect({ wanted, found: wanted.test(command.err) }).toEqual({ wanted, found: true });
    expect(/ s64 /.test(command.err)).toBe(false);
  });
});

describe("a cluster's trace", () => {
  test("bears the machines' names, and follows those that are chosen", async () => {
    const { options } = await seededOptions("hello", [], { cores: 1, machines: 2 });
    const folder = mkdtempSync(join(tmpdir(), "buslock-trace-"));
    const names = ["machine1", "machine2"];
    const run = async (o: Parameters<typeof openTraces>[0]) => {
      const traceOut = join(folder, "trace");
      const traces = openTraces({ ...o, traceOut }, [options.kernel], names)!;
      const { memoryHash } = await runSeeded({ ...options, tracer: traces.tracer });
      traces.close();
      return { memoryHash, lines: readFileSync(traceOut, "utf8").trimEnd().split("\n") };
    };
    const all = await run({ trace: "faults,frames" });
    expect(new Set(all.lines.map((line) => line.split(" ")[0]))).toEqual(new Set(names));
    const one = await run({ trace: "faults,frames", traceMachine: "2" });
    expect(one.lines).toEqual(all.lines.filter((line) => line.startsWith("machine2 ")));
    const json = await run({ trace: "frames", traceMachine: "1-2", json: true });
    expect(JSON.parse(json.lines[0]!)).toMatchObject({
      machine: expect.stringMatching(/^machine[12]$/),
      kind: "frames",
    });
    expect([one.memoryHash, json.memoryHash]).toEqual([all.memoryHash, all.memoryHash]);
    expect(() => openTraces({ trace: "faults", traceMachine: "1,3" }, [], names)).toThrow(
      /--trace-machine 1,3: there are machines 1 to 2/,
    );
    expect(() => openTraces({ traceMachine: "1" }, [], names)).toThrow(/--trace-machine goes with --trace/);
    rmSync(folder, { recursive: true });
  }, 30_000);
});
