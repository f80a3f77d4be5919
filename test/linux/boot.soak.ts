// Linux and memtest86+ on live machines, and what takes long in virtual time: more cores, RESET, the wire, the generic
// kernel's own unpacking.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Command } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { type KernelPackage, linux, network, prompt } from "../support/linux.js";
import { complaints, qemuLog } from "../support/linux-complaints.js";
import { Guest } from "../support/linux-guest.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";

if (linux.missing !== "") console.warn(`skipped: Linux on live machines, because ${linux.missing}`);
else if (linux.genericMissing !== "")
  console.warn(`skipped: the generic Linux, because ${linux.genericMissing}`);

const MINUTES = 60_000;
const TRANSFER_SECONDS = 900;
const TRANSFER_BYTES = 1e8;

describe.skipIf(linux.missing !== "")("Linux", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  beforeAll(() => {
    linux.writeInitrd(at("initrd"));
    linux.writeInitrd(at("network"), { modules: network });
    writeFileSync(at("cloud.elf"), vmlinux(readFileSync(linux.cloud.image)));
    if (linux.genericMissing === "")
      writeFileSync(at("generic.elf"), vmlinux(readFileSync(linux.generic.image)));
  });
  afterAll(folder.remove);

  /** To the shell; `nproc`; the log beside QEMU's; a restart; the end. */
  async function lives(title: string, kernel: KernelPackage, image: string, cores: number, entry?: number) {
    const options = { initrd: at("initrd"), cores, megabytes: 512 };
    const more = entry === undefined ? [] : ["--entry", entry];
    const guest = Guest.ours({ ...options, kernel: image, more });
    try {
      await guest.prompted();
      console.info(`Linux ${kernel.release} live, ${title}: to the shell in ${guest.seconds.toFixed(1)} s`);
      expect(await guest.run("nproc")).toBe(String(cores));
      const busy = "for i in 1 2 3; do (echo $i | sha256sum &) ; done; wait; uname -s";
      expect(await guest.run(busy)).toContain("Linux");
      const log = await guest.run("dmesg -r");
      const theirs = await qemuLog({ ...options, kernel: kernel.image });
      expect(complaints(log, theirs, { live: true })).toEqual([]);
      guest.type("reboot -f");
      await guest.prompted();
      expect(await guest.run("echo again")).toBe("again");
      expect(await guest.off()).toBe(0);
      console.info(`Linux ${kernel.release} live, ${title}, since the restart: ${guest.figures}`);
    } finally {
      guest.kill();
    }
  }

  test.each([
    [1, 32],
    [2, 64],
    [4, 32],
    [8, 64],
  ])(
    "live, %i cores, bzImage by its %i-bit entry: a shell, a restart, the end",
    (cores, entry) => lives(`bzImage, ${cores} cores`, linux.cloud, linux.cloud.image, cores, entry),
    40 * MINUTES,
  );
  test.each([1, 2, 4, 8])(
    "live, %i cores, vmlinux by PVH: a shell, a restart, the end",
    (cores) => lives(`PVH, ${cores} cores`, linux.cloud, at("cloud.elf"), cores),
    40 * MINUTES,
  );
  test.skipIf(linux.genericMissing !== "")(
    "live, the generic kernel on 2 cores, by both",
    async () => {
      await lives("PVH, 2 cores", linux.generic, at("generic.elf"), 2);
      await lives("bzImage, 2 cores", linux.generic, linux.generic.image, 2);
    },
    80 * MINUTES,
  );

  /** The same in virtual time, where nothing depends on the host. */
  async function seeded(kernel: KernelPackage, image: Uint8Array, cores: number) {
    const guest = await SeededLinux.start({ kernel: image, cores, memory: 512 << 20 });
    await guest.until(prompt);
    console.info(`Linux ${kernel.release} seeded, ${cores} cores: ${guest.figures}`);
    expect(await guest.command("nproc")).toBe(String(cores));
    const theirs = await qemuLog({ kernel: kernel.image, initrd: at("initrd"), cores, megabytes: 512 });
    expect(complaints(await guest.command("dmesg -r"), theirs)).toEqual([]);
    const from = guest.console.length;
    await guest.type("reboot -f");
    await guest.until(prompt, from);
    await guest.type("poweroff -f");
    await guest.off();
    expect(guest.machine.powered).toBe(false);
    console.info(`Linux ${kernel.release} seeded, ${cores} cores, since the restart: ${guest.figures}`);
  }
  test.each([1, 2, 4, 8])(
    "seeded, %i cores, bzImage: a shell, a restart, the end",
    (cores) => seeded(linux.cloud, readFileSync(linux.cloud.image), cores),
    60 * MINUTES,
  );
  test.skipIf(linux.genericMissing !== "")(
    "seeded, the generic kernel, bzImage: it unpacks itself",
    () => seeded(linux.generic, readFileSync(linux.generic.image), 1),
    60 * MINUTES,
  );

  test(
    "two machines on the bridge: ping, and 100 MB by nc arrive as they were sent",
    async () => {
      const bridge = new Command(["bridge", "--listen", "127.0.0.1:0", "--json"]);
      const guests: Guest[] = [];
      try {
        await bridge.says("url");
        const { url } = JSON.parse(bridge.out) as { url: string };
        for (const node of [1, 2]) {
          const more = ["--bridge", url, "--node", node];
          guests.push(Guest.ours({ kernel: at("cloud.elf"), initrd: at("network"), more }));
        }
        await Promise.all(guests.map((guest) => guest.prompted()));
        const [one, two] = guests as [Guest, Guest];
        for (const [index, guest] of guests.entries()) {
          await guest.run(`ip address add 10.0.0.${index + 1}/24 dev eth0`);
          await guest.run("ip link set eth0 up");
        }
        expect(await one.run("ping -c 3 10.0.0.2")).toContain(
          "3 packets transmitted, 3 packets received, 0% packet loss",
        );
        const data = readFileSync(linux.busybox);
        const times = Math.ceil(TRANSFER_BYTES / data.length);
        const hash = createHash("sha256");
        for (let i = 0; i < times; i++) hash.update(data);
        // Both ends' own speeds, without the hash's: a tenth into nothing first.
        for (const [sink, name, count] of [
          ["cat > /dev/null", "discarded", Math.ceil(times / 10)],
          ["sha256sum", "hashed", times],
        ] as const) {
          two.type(`nc -l -p 5000 | ${sink}`);
          const started = performance.now();
          const all = `for i in $(seq ${count}); do cat /bin/busybox; done`;
          await one.run(`sleep 1; ${all} | nc 10.0.0.2 5000`, TRANSFER_SECONDS);
          await two.prompted(TRANSFER_SECONDS);
          const seconds = (performance.now() - started) / 1000 - 1;
          const megabytes = (count * data.length) / 1e6;
          console.info(`nc, ${name}: ${(megabytes / seconds).toFixed(2)} MB/s (${seconds.toFixed(1)} s)`);
        }
        expect(two.out).toContain(hash.digest("hex"));
        expect(await Promise.all(guests.map((guest) => guest.off()))).toEqual([0, 0]);
        console.info(`nc, the machines: ${guests.map((guest) => guest.figures).join("; ")}`);
      } finally {
        for (const guest of guests) guest.kill();
        bridge.kill("SIGINT");
        await bridge.ended;
      }
    },
    60 * MINUTES,
  );
});

const memtestMissing = !existsSync(linux.memtest);
if (memtestMissing)
  console.warn("skipped: memtest86+, because it is not unpacked in node_modules/.cache/linux");

describe.skipIf(memtestMissing)("memtest86+", () => {
  // All of its tests; the last one sleeps for most of its time.
  test(
    "completes a whole pass on two cores without an error",
    async () => {
      const machine = ["--kernel", linux.memtest, "--memory", "8M", "--cores", 2];
      const append = ["--append", "console=ttyS0,115200"];
      const command = new Command(["boot", ...machine, ...append, "--serial", "stdio"]);
      const started = performance.now();
      try {
        await command.says(/Pass: {2}1 /, 3000);
        console.info(`memtest86+, a pass on 8 MiB: ${((performance.now() - started) / 1000).toFixed(0)} s`);
        expect(command.out).toContain("2 Cores");
        const errors = new Set(command.out.match(/Errors: *\d+/g)?.map((text) => text.replace(/\D/g, "")));
        expect([...errors]).toEqual(["0"]);
      } finally {
        command.kill("SIGINT");
        await command.ended;
      }
    },
    60 * MINUTES,
  );
});
