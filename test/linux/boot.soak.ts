// Linux and memtest86+ on live machines: several cores, RESET, the wire.

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Command } from "../support/cluster.js";
import { linux, network, prompt } from "../support/linux.js";

if (linux.missing !== "") console.warn(`skipped: Linux on live machines, because ${linux.missing}`);

const BOOT_SECONDS = 300;
const TRANSFER_SECONDS = 900;

/** A live machine whose prompts are counted: what is awaited is always the next one. */
class Guest {
  readonly command: Command;
  #prompts = 0;

  constructor(args: readonly (string | number)[]) {
    this.command = new Command(["boot", "--serial", "stdio", ...args]);
  }
  async prompted(seconds = BOOT_SECONDS): Promise<void> {
    this.#prompts++;
    await this.command.says(new RegExp(`(?:${prompt}[^]*){${this.#prompts}}`), seconds);
  }
  async run(line: string, seconds = 60): Promise<string> {
    const from = this.command.out.length;
    this.command.type(line);
    await this.prompted(seconds);
    const said = this.command.out.slice(from).replaceAll("\r", "");
    return said.slice(said.indexOf("\n") + 1, said.lastIndexOf(prompt)).trimEnd();
  }
  async off(): Promise<number | null> {
    this.command.type("poweroff -f");
    return (await this.command.ended).status;
  }
}

describe.skipIf(linux.missing !== "")("Linux, live", () => {
  let folder = "";
  let initrd = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "buslock-linux-"));
    initrd = join(folder, "initrd");
    writeFileSync(initrd, linux.initrd({ modules: network }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const boot = (cores: number, ...more: (string | number)[]) =>
    new Guest([
      ...["--kernel", linux.kernelPath, "--initrd", initrd, "--memory", "256M", "--cores", cores],
      ...["--append", "console=ttyS0 panic=-1", ...more],
    ]);

  test.each([
    [1, 32],
    [2, 64],
    [4, 32],
  ])(
    "%i cores: a shell, its answers, a restart, the end",
    async (cores, entry) => {
      const guest = boot(cores, "--entry", entry);
      try {
        await guest.prompted();
        expect(await guest.run("nproc")).toBe(String(cores));
        const busy = "for i in 1 2 3; do (echo $i | sha256sum &) ; done; wait; uname -s";
        expect(await guest.run(busy)).toContain("Linux");
        guest.command.type("reboot -f");
        await guest.prompted();
        expect(await guest.run("echo again")).toBe("again");
        expect(await guest.off()).toBe(0);
      } finally {
        guest.command.kill("SIGKILL");
      }
    },
    2 * BOOT_SECONDS * 1000,
  );

  test(
    "two machines on the bridge: ping, and 100 MB by nc arrive as they were sent",
    async () => {
      const bridge = new Command(["bridge", "--listen", "127.0.0.1:0", "--json"]);
      const guests: Guest[] = [];
      try {
        await bridge.says("url");
        const { url } = JSON.parse(bridge.out) as { url: string };
        guests.push(...[1, 2].map((node) => boot(1, "--bridge", url, "--node", node)));
        await Promise.all(guests.map((guest) => guest.prompted()));
        const [one, two] = guests as [Guest, Guest];
        for (const [index, guest] of guests.entries())
          await guest.run(`ip address add 10.0.0.${index + 1}/24 dev eth0; ip link set eth0 up`);
        expect(await one.run("ping -c 3 10.0.0.2")).toContain(
          "3 packets transmitted, 3 packets received, 0% packet loss",
        );
        const data = readFileSync(join(linux.kernelPath, "../../bin/busybox"));
        const times = Math.ceil(1e8 / data.length);
        const hash = createHash("sha256");
        for (let i = 0; i < times; i++) hash.update(data);
        two.command.type("nc -l -p 5000 | sha256sum; echo received");
        const sent = `for i in $(seq ${times}); do cat /bin/busybox; done`;
        await one.run(`sleep 1; ${sent} | nc 10.0.0.2 5000; echo sent`, TRANSFER_SECONDS);
        await two.prompted(TRANSFER_SECONDS);
        expect(two.command.out).toContain(hash.digest("hex"));
        expect(await Promise.all(guests.map((guest) => guest.off()))).toEqual([0, 0]);
      } finally {
        for (const { command } of guests) command.kill("SIGKILL");
        bridge.kill("SIGINT");
        await bridge.ended;
      }
    },
    (2 * BOOT_SECONDS + TRANSFER_SECONDS) * 1000,
  );
});

const memtestMissing = !existsSync(linux.memtest);
if (memtestMissing)
  console.warn("skipped: memtest86+, because it is not unpacked in node_modules/.cache/linux");

describe.skipIf(memtestMissing)("memtest86+", () => {
  test("completes a pass on two cores without an error", async () => {
    const machine = ["--kernel", linux.memtest, "--memory", "8M", "--cores", 2];
    const command = new Command([
      "boot",
      ...machine,
      "--append",
      "console=ttyS0,115200",
      "--serial",
      "stdio",
    ]);
    try {
      // It draws its screen by cursor addresses: line 9 is "Pass:  n  Errors: n".
      await command.says(/PASS|\[9;\d+H1 /, 580);
      expect(command.out).not.toContain("FAIL");
    } finally {
      command.kill("SIGINT");
      await command.ended;
    }
  }, 600_000);
});
