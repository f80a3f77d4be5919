// Debian's gdb and Debian's Linux: breakpoints in the kernel and in user space, a watchpoint there and back, registers that
// are written, all cores as threads, and a guest that goes on to its shell. Names are the guest's own, from /proc/kallsyms.

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Command, installed } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { linux, prompt, SHORT_COMMAND_LINE } from "../support/linux.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";

const missing = installed("gdb") ? linux.missing : "gdb is not installed";
if (missing !== "") console.warn(`skipped: gdb on Linux, because ${missing}`);

const CORES = 2;
const MEGABYTES = 256;
/** Where it would be is otherwise chance's. */
const WORDS = `${SHORT_COMMAND_LINE} nokaslr quiet`;
const ELF_ENTRY = 0x18;
const NAMES = ["start_kernel", "kernel_clone", "total_forks", "__x64_sys_write"];

describe.skipIf(missing !== "")("gdb on Linux", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  afterAll(folder.remove);

  /** Addresses in the kernel, by name. */
  async function symbols(kernel: Uint8Array): Promise<Map<string, string>> {
    const guest = await SeededLinux.start({ kernel, cores: CORES, commandLine: WORDS });
    await guest.until(prompt);
    const found = new Map<string, string>();
    for (const name of NAMES) {
      const line = await guest.command(`grep ' ${name}$' /proc/kallsyms`);
      found.set(name, `0x${/^([\da-f]{16}) /m.exec(line)![1]!}`);
    }
    return found;
  }

  async function gdb(machine: Command, script: string): Promise<string> {
    const [, target] = /target remote (\S+)/.exec(machine.err)!;
    const settings = "set pagination off\nset confirm off\nset architecture i386:x86-64\n";
    writeFileSync(at("script"), `${settings}target remote ${target}\n${script}`);
    const child = spawn("gdb", ["-nx", "-batch", "-x", at("script")]);
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    await new Promise((resolve) => child.once("close", resolve));
    return said;
  }

  test("breaks in kernel and user space, watches there and back, writes registers; the guest reaches its shell", async () => {
    const kernel = vmlinux(readFileSync(linux.cloud.image));
    writeFileSync(at("kernel"), kernel);
    linux.writeInitrd(at("initrd"));
    const names = await symbols(kernel);
    const forks = `*(long*)${names.get("total_forks")}`;
    const entry = readFileSync(linux.busybox).readBigUInt64LE(ELF_ENTRY).toString(16);
    const guest = ["--kernel", at("kernel"), "--initrd", at("initrd"), "--append", WORDS];
    const shape = ["--seed", 1, "--cores", CORES, "--memory", `${MEGABYTES}M`, "--serial", "stdio"];
    const machine = new Command(["boot", "--gdb", 0, "--wait", ...shape, ...guest]);
    const script = `
hbreak *${names.get("start_kernel")}
continue
info threads
delete
hbreak *${names.get("kernel_clone")}
continue
delete
watch ${forks}
continue
continue
printf "forward %ld\\n", ${forks}
reverse-continue
reverse-continue
printf "back %ld\\n", ${forks}
delete
hbreak *0x${entry}
continue
printf "user %d %x %x\\n", $cpl, $cs, *(int*)$rsp
delete
stepi 3
reverse-stepi 3
printf "again %x\\n", $pc
set $xmm5.v4_int32[2] = 0x1234
set $st3 = 2.25
printf "written %x %d\\n", $xmm5.v4_int32[2], $st3 == 2.25
hbreak *${names.get("__x64_sys_write")}
continue
printf "kernel %d\\n", $cpl
delete
detach
`;
    try {
      await machine.says(/target remote 127\.0\.0\.1:\d+/);
      const said = await gdb(machine, script);
      expect(said).toMatch(/Thread 1 \(core 0: running, ring 0\)[\s\S]*Thread 2 \(core 1: /);
      const watched = [...said.matchAll(/Old value = (\d+)\nNew value = (\d+)/g)].map(([, a, b]) => [a, b]);
      expect(watched, said).toEqual([
        ["0", "1"],
        ["1", "2"],
        ["2", "1"],
        ["1", "0"],
      ]);
      expect(said).toMatch(/^forward 2$/m);
      expect(said).toMatch(/^back 0$/m);
      // argc, of "/bin/busybox sh /init nokaslr": the word means nothing to a kernel that was not packed.
      expect(said).toMatch(/^user 3 33 4$/m);
      expect(said).toMatch(new RegExp(`^again ${entry}$`, "m"));
      expect(said).toMatch(/^written 1234 1$/m);
      expect(said).toMatch(/^kernel 0$/m);
      await machine.says(new RegExp(`ready: ${CORES} processors`), 300);
    } finally {
      machine.kill("SIGKILL");
    }
  }, 1_800_000);
});
