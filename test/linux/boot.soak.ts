// Debian's kernels as they come: each by each boot protocol on 1, 2, 4 and 8 cores, in virtual time and live, to a shell, a
// disk, a restart and off (test/support/linux-row.ts); by odd command lines and on odd machines; two live machines on the
// wire; memtest86+.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MachineOptions } from "../../emulator/machine.js";
import { Command, installed } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { linux, network, prompt, SHORT_COMMAND_LINE } from "../support/linux.js";
import { complaints, qemuLog } from "../support/linux-complaints.js";
import { Guest } from "../support/linux-guest.js";
import { type Row, RowFiles, show, titleOf } from "../support/linux-row.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";

if (linux.missing !== "") console.warn(`skipped: Linux on live machines, because ${linux.missing}`);
else if (linux.genericModulesMissing !== "")
  console.warn(`skipped: the generic Linux, because ${linux.genericModulesMissing}`);

const e2fs = installed("mke2fs") ? "" : "mke2fs (e2fsprogs) is not installed";
if (e2fs !== "") console.warn(`skipped: the rows of Linux boots, because ${e2fs}`);

/** Each kernel, by each protocol, with so many cores, in virtual time and live; entries of both widths. */
const ROWS: readonly Row[] = (["seeded", "live"] as const).flatMap((time) =>
  (["cloud", "generic"] as const).flatMap((kernel) =>
    [1, 2, 4, 8].flatMap((cores): Row[] => [
      { time, kernel, form: "bzImage", entry: cores === 1 || cores === 4 ? 32 : 64, cores },
      { time, kernel, form: "vmlinux", cores },
    ]),
  ),
);

/** What takes another way through the kernel or the machine. */
interface Odd {
  readonly what: string;
  readonly words?: string;
  readonly machine?: Pick<MachineOptions, "memory" | "storeBuffer">;
  readonly stall?: number;
}
const MIB = 1 << 20;
const ODD: readonly Odd[] = [
  ...["nosmp", "noapic", "acpi=off", "nox2apic", "mitigations=off", "nokaslr"].map((words) => ({
    ...{ what: `with ${words}`, words },
  })),
  { what: "with store buffers", machine: { storeBuffer: 8 } },
  { what: "with stalls", stall: 300e3 },
  { what: "with as much memory as there may be", machine: { memory: 3072 * MIB } },
];

const MINUTES = 60_000;
const TRANSFER_SECONDS = 900;
const TRANSFER_BYTES = 1e8;

describe.skipIf(linux.missing !== "")("Linux", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  let rows: RowFiles;
  beforeAll(() => {
    linux.writeInitrd(at("network"), { modules: network });
    linux.writeInitrd(at("plain"));
    if (e2fs === "") rows = new RowFiles(folder.path);
  });
  afterAll(folder.remove);

  for (const row of ROWS) {
    const missing = row.kernel === "generic" ? linux.genericModulesMissing : "";
    test.skipIf(missing !== "" || e2fs !== "")(titleOf(row), () => show(row, rows), 60 * MINUTES);
  }

  test.each(ODD)(
    "two seeded cores $what: a shell, and nothing to complain of",
    async ({ words = "", machine = {}, stall = 0 }) => {
      const commandLine = `${SHORT_COMMAND_LINE} ${words}`;
      const kernel = vmlinux(readFileSync(linux.cloud.image));
      const guest = await SeededLinux.start({ kernel, cores: 2, commandLine, ...machine }, 1, { stall });
      await guest.until(prompt, 0, 60);
      console.info(`with ${words}${JSON.stringify(machine)}, stalls ${stall}: to the shell ${guest.figures}`);
      const both = "for i in 1 2; do sha256sum /bin/busybox & done; wait";
      expect((await guest.command(both)).match(/^[\da-f]{64} {2}/gm)).toHaveLength(2);
      const megabytes = (machine.memory ?? 256 * MIB) / MIB;
      const theirs = await qemuLog({
        ...{ kernel: linux.cloud.image, initrd: at("plain"), cores: 2, append: commandLine, megabytes },
      });
      expect(complaints(await guest.command("dmesg -r"), theirs)).toEqual([]);
    },
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
          guests.push(Guest.ours({ kernel: linux.cloud.image, initrd: at("network"), more }));
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
