// Debian's gdb at the debugger's door: what it says of our kernel, of 16- and 32-bit code, and of a whole cluster, forward and
// backward; and that machines end as they would have without it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { kernelPath } from "../../emulator/images.js";
import { Command, installed } from "../support/cluster.js";

const folder = mkdtempSync(join(tmpdir(), "buslock-gdb-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A running gdb that follows a script. */
function gdb(machine: Command, script: string, ...files: string[]) {
  const [, target] = /target remote (\S+)/.exec(machine.err)!;
  const file = join(folder, `script-${target!.replace(":", "-")}`);
  writeFileSync(file, `set pagination off\nset confirm off\ntarget remote ${target}\n${script}`);
  const child = spawn("gdb", ["-nx", "-batch", "-x", file, ...files]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  return {
    child,
    said: () => said,
    ended: new Promise<string>((resolve) => child.once("close", () => resolve(said))),
  };
}

async function started(...args: (string | number)[]): Promise<Command> {
  const machine = new Command(args);
  await machine.says(/target remote 127\.0\.0\.1:\d+/);
  return machine;
}

/** Prints what stands behind a word, a line an expression. */
const echo = (word: string, ...expressions: string[]) =>
  expressions.map((e) => `printf "${word} 0x%lx\\n", ${e}`).join("\n");
const echoed = (said: string, word: string): string[] =>
  [...said.matchAll(new RegExp(`^${word} (.*)$`, "gm"))].map(([, value]) => value!);

const SCRIPT = `
break 'kernel/process/syscalls/systemCall'
continue
bt 3
info threads
stepi
p/x $rip
stepi
reverse-stepi
p/x $rip
watch -l *(long*)($rsp - 0x28)
continue
delete
reverse-continue
p/x $rip
detach
`;

/** 32-bit code: stores, loads, and loops for ever. */
const FLAT_AT = 0x10_0000;
const FLAT = `
  mov eax, 0x12345678
  fninit
  fld1
  fldpi
  mov [0x200000], eax
  mov ecx, [0x200000]
  inc dword ptr [0x200000]
again: jmp again`;

describe.skipIf(!installed("gdb"))(`Debian's gdb${installed("gdb") ? "" : " (skipped: no gdb here)"}`, () => {
  test("breaks, walks the stack, steps, watches and goes back in our kernel; the machine ends as without it", async () => {
    const args = ["--cores", 2, "--append", "exit=f4", "--program", "hello"];
    const machine = await started("boot", "--gdb", 0, "--wait", ...args);
    try {
      const said = await gdb(machine, SCRIPT, kernelPath).ended;
      expect(said).toContain("Thread 1 hit Breakpoint 1");
      expect(said).toMatch(/#1 .*trap\/syscall \(\)\n#2 .*syscall_entry \(\)/);
      expect(said).toMatch(/Thread 2 \(core 1: /);
      const [, first, again, start] = /\$1 = (\w+)[\s\S]*\$2 = (\w+)[\s\S]*\$3 = (\w+)/.exec(said) ?? [];
      expect(again).toBe(first);
      expect(start).toBe("0xfffffff0");
      expect(said).toMatch(/hit Hardware watchpoint 2[\s\S]*New value/);
      expect(said).toContain("No more reverse-execution history");
      const { status } = await machine.ended;
      expect({ status, out: machine.out }).toMatchObject({
        status: 0,
        out: expect.stringContaining("hello from machine 1 of 1, cores 2"),
      });
    } finally {
      machine.kill("SIGKILL");
    }
  });

  test("segment bases, control registers, SSE and x87 state; memory that is not there; monitor commands", async () => {
    const machine = await started("boot", "--gdb", 0, "--wait", "--append", "exit=f4", "--program", "hello");
    const names = ["cr0", "cr3", "cr4", "cr8", "efer", "gs_base", "k_gs_base", "fs_base", "cpl"];
    const script = `
hbreak 'kernel/process/syscalls/systemCall'
continue
${echo("register", ...names.map((name) => `$${name}`))}
set $mxcsr = 0x1fc0
set $xmm3.v2_int64[1] = 0x1122334455667788
set $st2 = 1.5
set $fctrl = 0x27f
${echo("set", "$mxcsr", "$xmm3.v2_int64[1]", "$fctrl", "$st2 == 1.5")}
info float
x/4xb 0xffff800000100000
monitor info tlb
monitor translate 0xffff800000100000
monitor xp 0x100000 32
monitor xp 0xd0000000
monitor disassemble
monitor segments
monitor frobnicate
x/2gx 0x7fff00000000
`;
    try {
      const said = await gdb(machine, script, kernelPath).ended;
      expect(said).toContain("Breakpoint 1, ");
      const [cr0, cr3, cr4, cr8, efer, gs, kernelGs, fs, cpl] = echoed(said, "register").map(Number);
      expect(cr0! & 0x1).toBe(1);
      expect(BigInt(cr0!) >> 31n).toBe(1n);
      expect(cr3! % 4096).toBe(0);
      expect(cr4! & 0x20).toBe(0x20); // PAE
      expect(efer! & 0x500).toBe(0x500); // LME, LMA
      expect([cr8, cpl, fs, kernelGs! < 2 ** 47, gs! > 2 ** 47]).toEqual([0, 0, 0, true, true]);
      expect(echoed(said, "set")).toEqual(["0x1fc0", "0x1122334455667788", "0x27f", "0x1"]);
      expect(said).toMatch(/R2: +Empty +0x3fffc000000000000000/);
      expect(said).toContain("Cannot access memory at address 0x7fff00000000");
      expect(said).toMatch(/0xffff800000100000.*:(\t0x[\da-f]{2}){4}/);
      expect(said).toMatch(/ffff800000100000 -> 0000100000 read-only executable global for instructions\n/);
      expect(said).toMatch(/-> \w+ writable .*of 2048 KiB for data\n/);
      expect(said).toContain("ffff800000100000: physical 100000");
      expect(said).toMatch(/^00100010 {2}([\da-f]{2} ?){16}$/m);
      expect(said).toContain("d0000000: neither RAM nor ROM");
      expect(said).toMatch(/64-bit code\n0*ffff8000\w+ /);
      expect(said).toMatch(/^gdtr {7}base 0*ffff8000/m);
      expect(said).toContain("unknown: frobnicate; try: monitor help");
    } finally {
      machine.kill("SIGKILL");
    }
  });

  test("16-bit code, where it is told of an i8086: disassembled, stepped and stopped at by linear address", async () => {
    const args = ["--append", "exit=f4", "--program", "hello"];
    const machine = await started("boot", "--gdb", 0, "--gdb-bits", 16, "--wait", ...args);
    const script = `
x/i $pc
stepi
x/2i $pc
${echo("pc", "$pc", "$cs")}
hbreak *($pc + 2)
continue
x/i $pc
detach
`;
    try {
      const said = await gdb(machine, script).ended;
      expect(said).toMatch(/=> 0xfffffff0:\tljmp {3}\$0xf000,/);
      expect(said).toMatch(/=> 0xf\w{4}:\tcli/);
      const [pc, cs] = echoed(said, "pc");
      expect(cs).toBe("0xf000");
      expect(said).toContain("Breakpoint 1, ");
      expect(said).toContain(`=> 0x${(Number(pc) + 2).toString(16)}:`);
      expect((await machine.ended).status).toBe(0);
    } finally {
      machine.kill("SIGKILL");
    }
  });

  test("32-bit code: read and access watchpoints both ways, Ctrl-C, detach and attach again", async () => {
    const kernel = join(folder, "flat");
    writeFileSync(kernel, assemble(FLAT, { bits: 32, origin: FLAT_AT }));
    const flat = ["--kernel", kernel, "--flat", `0x${FLAT_AT.toString(16)}`];
    const machine = await started("boot", "--gdb", 0, "--gdb-bits", 32, "--wait", ...flat);
    const first = `
hbreak *0x${FLAT_AT.toString(16)}
continue
delete
x/3i $pc
rwatch *(int*)0x200000
continue
${echo("eip", "$eip")}
delete
awatch *(int*)0x200000
continue
${echo("eip", "$eip")}
reverse-continue
${echo("eip", "$eip")}
reverse-continue
reverse-continue
${echo("eip", "$eip")}
delete
continue
${echo("eip", "$eip", "$ecx", "$st0 > 3.14", "$st1 == 1")}
detach
`;
    try {
      const one = gdb(machine, first);
      for (let i = 0; i < 300 && echoed(one.said(), "eip").length < 4; i++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      // What follows is the loop: gdb passes on the interrupt that a terminal would send it.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      one.child.kill("SIGINT");
      const said = await one.ended;
      expect(said).toMatch(/=> 0x100000:\tmov {4}\$0x12345678,%eax/);
      expect(said).toMatch(/Hardware read watchpoint 2: .*\n\nValue = 305419896/);
      expect(said).toMatch(/Hardware access \(read\/write\) watchpoint 3: /);
      expect(said).toContain("received signal SIGINT");
      const offsets = echoed(said, "eip").map((value) => Number(value) - FLAT_AT);
      // after the load; after the next access, which is the increment; back before it, and before the store
      expect(offsets.slice(0, 4)).toEqual([23, 29, 23, 11]);
      expect(echoed(said, "eip").slice(4)).toEqual(["0x10001d", "0x12345678", "0x1", "0x1"]);
      const again = await gdb(machine, `${echo("eip", "$eip")}\nkill\n`).ended;
      expect(echoed(again, "eip")).toEqual(["0x10001d"]);
      await machine.ended;
      expect(machine.err).toContain("killed by the debugger");
    } finally {
      machine.kill("SIGKILL");
    }
  });

  test("a seeded cluster: all machines' cores, a watchpoint in one machine's memory, back to the start, the same end", async () => {
    const same = ["run", "--seed", 42, "--machines", 2, "--cores", 1, "--json"];
    const plain = new Command([...same, "counter", 20]);
    await plain.ended;
    const machine = await started(...same, "--gdb", 0, "--wait", "counter", 20);
    const script = `
info threads
break 'kernel/coherence/engine/receive' thread 2
continue
thread
watch -l *(long*)($rsp - 8)
delete 1
continue
${echo("rip", "$rip")}
reverse-continue
${echo("rip", "$rip")}
stepi
${echo("rip", "$rip")}
delete
reverse-continue
monitor position
detach
`;
    try {
      const said = await gdb(machine, script, kernelPath).ended;
      expect(said).toMatch(/ 2 +Thread 2 \(machine2 core 0: running, ring 0\)/);
      expect(said).toMatch(/Thread 2 hit Breakpoint 1, .*coherence\/engine\/receive/);
      expect(said).toContain("[Current thread is 2 (Thread 2)]");
      expect(said.match(/Thread 2 hit Hardware watchpoint 2: /g)).toHaveLength(3);
      const [after, before, again] = echoed(said, "rip");
      expect(again).toBe(after);
      expect(before).not.toBe(after);
      expect(said).toContain("No more reverse-execution history");
      expect(said).toContain("0 instructions retired by all cores, 0 ns of virtual time");
      expect((await machine.ended).status).toBe(0);
      expect(JSON.parse(machine.out)).toEqual(JSON.parse(plain.out));
    } finally {
      machine.kill("SIGKILL");
    }
  });
});
