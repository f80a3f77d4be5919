// The proof that the kernel is guest code and nothing else: the same image boots under QEMU, and a QEMU machine
// and two of ours count together on one word, over one bridge.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { archive, kernelPath, program } from "../../emulator/images.js";
import { installed, pause } from "../support/cluster.js";
import { commands } from "../support/commands.js";

const QEMU = "qemu-system-x86_64";
const withQemu = installed(QEMU) ? describe : describe.skip;
const title = installed(QEMU) ? "QEMU and Buslock" : `QEMU and Buslock (skipped: ${QEMU} is not installed)`;

const buslock = commands();
const children: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), "buslock-qemu-"));

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Guest {
  out: string;
  readonly ended: Promise<number | null>;
}

function qemu(initrd: string, append: string, more: string[]): Guest {
  const args = [
    ..."-machine q35 -accel tcg -m 128 -smp 2 -display none -serial stdio -monitor none -no-reboot".split(
      " ",
    ),
    ...[
      "-device",
      "isa-debug-exit,iobase=0xf4",
      "-kernel",
      kernelPath,
      "-initrd",
      initrd,
      "-append",
      append,
      ...more,
    ],
  ];
  const child = spawn(QEMU, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const guest: Guest = {
    out: "",
    ended: new Promise((resolve) => {
      child.once("close", (code) => resolve(code));
    }),
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      guest.out += chunk.toString();
    });
  }
  return guest;
}

withQemu(title, { timeout: 180_000 }, () => {
  it("boots the kernel image of our machines on 2 cores", async () => {
    const { initrd, words } = archive(program("hello"));
    const file = join(folder, "initrd");
    writeFileSync(file, initrd);
    const guest = qemu(file, `node=1 nodes=1 ${words.join(" ")} exit=f4`, []);
    expect(await guest.ended, guest.out).toBe(1); // isa-debug-exit: status 0 becomes 1
    expect(guest.out).toMatch(/hello from machine 1 of 1, cores 2/);
    expect(guest.out).toMatch(/^exit: 0\r?$/m);
  });

  it("promises 60, 61, 98: a QEMU machine and two of ours share the counter and count right", async () => {
    const { initrd, words } = archive(program("counter"));
    const file = join(mkdtempSync(join(tmpdir(), "buslock-qemu-")), "initrd");
    writeFileSync(file, initrd);
    const bridge = buslock("bridge", "--listen", "127.0.0.1:0", "--qemu", 0, "--json");
    await bridge.says("url");
    const { url, qemuPort } = JSON.parse(bridge.out) as { url: string; qemuPort: number };
    const append = (node: number) => `node=${node} nodes=3 ${words.join(" ")} exit=f4 -- 200`;
    const guest = qemu(file, append(1), [
      ...["-netdev", `stream,id=n,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=${qemuPort}`],
      ...["-device", "virtio-net-pci,netdev=n,mac=52:54:00:00:00:01,disable-legacy=on,host_mtu=9000"],
    ]);
    const ours = [2, 3].map((node) =>
      buslock(
        "boot",
        "--cores",
        2,
        "--node",
        node,
        "--initrd",
        file,
        "--bridge",
        url,
        "--append",
        append(node),
      ),
    );
    const statuses = await Promise.race([
      Promise.all([guest.ended, ...ours.map((c) => c.ended.then((e) => e.status))]),
      pause(150_000),
    ]);
    const all = [guest.out, ...ours.map((c) => c.out + c.err)].join("\n---\n");
    expect(statuses, all).toEqual([1, 0, 0]);
    expect(guest.out).toMatch(
      /counter: machines 3 cores 2 expected 1200 counted 1200 old values a permutation: yes/,
    );
  });
});
