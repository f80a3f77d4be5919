// Disks and the network under Debian's kernel, with that kernel's own virtio drivers, in virtual time. One boot serves all:
// the tests go on from its snapshot at the shell.
// Disks: ext4 images made by mke2fs, one written to, one read-only, one copy-on-write, their host files looked at afterwards
// by e2fsck and debugfs. Network: two machines on one wire, ping, and what nc sends arrives.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DiskMode, openDisk } from "../../emulator/disk.js";
import { Random } from "../../emulator/random.js";
import type { Snapshot } from "../../emulator/snapshot.js";
import { installed } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { disk, linux, network, prompt, SHORT_COMMAND_LINE } from "../support/linux.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";

const missing = [linux.missing, installed("mke2fs") ? "" : "mke2fs (e2fsprogs) is not installed"].filter(
  (reason) => reason !== "",
);
if (missing.length > 0)
  console.warn(`skipped: Linux with disks and a network, because ${missing.join(", ")}`);

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const IMAGE_KIB = 8 << 10;
const PAYLOAD_WORDS = 1 << 18;
const MEGABYTES = 4;

describe.skipIf(missing.length > 0)("Linux with disks and a network", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  const random = new Random(1);
  const payload = Buffer.from(Uint32Array.from({ length: PAYLOAD_WORDS }, () => random.bits()).buffer);
  const modes: readonly DiskMode[] = ["rw", "ro", "cow"];
  let kernel: Uint8Array;
  const options = (node: number, disks: readonly DiskMode[]) => ({
    kernel,
    commandLine: `${SHORT_COMMAND_LINE} quiet`, // what the kernel says meanwhile would stand among the answers
    initrd: linux.initrd({ modules: [...disk, ...network] }),
    mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, node),
    disks: disks.map((mode, index) => openDisk({ path: at(modes[index]!), mode })),
  });
  let booted: { snapshot: Snapshot; now: number };

  beforeAll(async () => {
    kernel = vmlinux(readFileSync(linux.cloud.image));
    mkdirSync(at("tree"));
    writeFileSync(at("tree/payload"), payload);
    for (const name of modes) {
      const made = spawnSync("mke2fs", ["-q", "-t", "ext4", "-d", at("tree"), at(name), `${IMAGE_KIB}k`]);
      if (made.status !== 0) throw new Error(`mke2fs: ${made.stderr}`);
    }
    const guest = await SeededLinux.start(options(1, modes));
    await guest.until(prompt);
    console.info(`Linux ${linux.cloud.release}, virtio modules, PVH, 1 core, to the shell: ${guest.figures}`);
    booted = { snapshot: guest.machine.snapshot(), now: guest.now };
  }, 900_000);
  afterAll(folder.remove);

  /** Machines on one wire, each at its shell. */
  async function goOn(...machines: (readonly DiskMode[])[]): Promise<SeededLinux[]> {
    const guests = await SeededLinux.together(machines.map((disks, index) => options(index + 1, disks)));
    for (const { machine } of guests) machine.restore(booted.snapshot);
    guests[0]!.restart(booted.now);
    return guests;
  }

  test("ext4: read, written, mounted again; read-only stays so; copy-on-write leaves the file alone", async () => {
    const before = ["ro", "cow"].map((name) => sha256(readFileSync(at(name))));
    const guest = (await goOn(modes))[0]!;
    const ok = async (line: string) => expect(await guest.command(`${line} && echo ok`)).toMatch(/^ok$/m);
    const sum = async (path: string) => (await guest.command(`sha256sum ${path}`)).split(" ")[0];

    await ok(
      "mkdir a b c && mount -t ext4 /dev/vda a && mount -t ext4 -o ro /dev/vdb b && mount -t ext4 /dev/vdc c",
    );
    for (const place of ["a", "b", "c"]) expect(await sum(`${place}/payload`)).toBe(sha256(payload));

    for (const place of ["a", "c"]) await ok(`cat ${place}/payload /bin/busybox > ${place}/new`);
    await ok("sync && umount a c && mount -t ext4 /dev/vda a && mount -t ext4 /dev/vdc c");
    const busybox = readFileSync(linux.busybox);
    const expected = sha256(Buffer.concat([payload, busybox]));
    for (const place of ["a", "c"]) expect(await sum(`${place}/new`)).toBe(expected);

    // busybox mounts read-only what may not be written to: the file system must refuse then.
    expect(await guest.command("mount -o remount,rw /dev/vdb b; touch b/file; echo $?")).toMatch(/^1$/m);
    expect(await guest.command("dd if=/dev/zero of=/dev/vdb count=1; echo $?")).not.toMatch(/^0$/m);
    expect(await guest.command("cat /sys/block/vdb/ro")).toBe("1");
    await ok("umount a b c");
    expect(await guest.command("dmesg | grep -iE 'i/o error|ext4-fs error|virtio.*(fail|error)'")).toBe("");
    await guest.type("poweroff -f");
    await guest.off();

    expect(["ro", "cow"].map((name) => sha256(readFileSync(at(name))))).toEqual(before);
    const checked = spawnSync("e2fsck", ["-fn", at("rw")], { encoding: "utf8" });
    expect(checked.status, checked.stdout).toBe(0);
    const dumped = spawnSync("debugfs", ["-R", `dump /new ${at("new")}`, at("rw")], { encoding: "utf8" });
    expect(sha256(readFileSync(at("new"))), dumped.stderr).toBe(expected);
  }, 900_000);

  test("two machines ping each other, and what nc sends arrives as it was sent", async () => {
    const readOnly: readonly DiskMode[] = ["ro", "ro", "ro"];
    const [one, two] = (await goOn(readOnly, readOnly)) as [SeededLinux, SeededLinux];
    for (const [index, guest] of [one, two].entries()) {
      const node = index + 1;
      await guest.command(`ip link set eth0 address 52:54:00:00:00:0${node}`);
      await guest.command(`ip address add 10.0.0.${node}/24 dev eth0`);
      expect(await guest.command("ip link set eth0 up; echo $?")).toBe("0");
    }
    expect(await one.command("ping -c 3 10.0.0.2")).toContain(
      "3 packets transmitted, 3 packets received, 0% packet loss",
    );
    const busybox = readFileSync(linux.busybox);
    const times = Math.ceil((MEGABYTES * 1e6) / busybox.length);
    const hash = createHash("sha256");
    for (let i = 0; i < times; i++) hash.update(busybox);
    await two.type("nc -l -p 5000 | sha256sum");
    const started = one.now;
    const all = `for i in $(seq ${times}); do cat /bin/busybox; done`;
    await one.command(`${all} | nc 10.0.0.2 5000`);
    await two.until(`${hash.digest("hex")}  -\r\n${prompt}`);
    const seconds = (one.now - started) / 1e9;
    const rate = (times * busybox.length) / 1e6 / seconds;
    console.info(`nc between two seeded machines: ${rate.toFixed(1)} MB in a virtual second; ${one.figures}`);
    expect(await two.command("ifconfig eth0 | grep -c 'errors:0 dropped:0'")).toBe("2");
  }, 900_000);
});
