// Several QEMU machines on one wire (a multicast group of the loopback device), each with the same kernel and programs.
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { kernelPath } from "../../emulator/images.js";
import { type InitialFile, initialFileSystem } from "../../emulator/initfs.js";
import { temporaryFolder } from "./folder.js";

export interface ClusterBoot {
  readonly files: readonly InitialFile[];
  readonly args?: readonly string[];
  readonly machines: number;
  readonly cores?: number;
  /** Further words of the command line. */
  readonly options?: readonly string[];
  /** 0: the card says nothing, so the kernel takes 1500. */
  readonly mtu?: number;
  readonly seconds?: number;
}

export class QemuMachine {
  output = "";
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (bytes: Buffer) => {
        this.output += bytes.toString("latin1");
      });
    this.ended = new Promise((resolve) => child.on("close", () => resolve()));
  }

  get status(): number | undefined {
    const line = /^exit: (\d+)\r?$/m.exec(this.output);
    return line ? Number(line[1]) : undefined;
  }
  get stats(): Record<string, number> {
    const line = /^stats: (.*)$/m.exec(this.output);
    if (!line) throw new Error(`no stats in:\n${this.output}`);
    return JSON.parse(line[1]!) as Record<string, number>;
  }
  kill(): void {
    this.#child.kill("SIGKILL");
  }
  /** Stops its whole process, as a host that is short of time would; until resume(). */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }
  resume(): void {
    this.#child.kill("SIGCONT");
  }
  async says(text: string | RegExp, seconds: number): Promise<void> {
    for (let waited = 0; waited < seconds * 20; waited++) {
      if (typeof text === "string" ? this.output.includes(text) : text.test(this.output)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`it never said ${text}:\n${this.output}`);
  }
}

/** Boots them all, hands them to `meanwhile`, and waits until all have ended. */
export async function bootCluster(
  boot: ClusterBoot,
  meanwhile: (machines: QemuMachine[], start: (k: number) => QemuMachine) => Promise<void> = async () => {},
): Promise<QemuMachine[]> {
  const folder = temporaryFolder();
  const machines: QemuMachine[] = [];
  const { files, args = [], machines: count, cores = 2, options = [], mtu = 9000, seconds = 60 } = boot;
  // A port of this test's own: the group is heard by everyone who asks for it.
  const port = 20000 + ((process.pid * 7 + Math.floor(performance.now())) % 20000);
  try {
    const initrd = join(folder.path, "initrd");
    writeFileSync(initrd, initialFileSystem(files));
    const start = (k: number): QemuMachine => {
      const words = [
        ...[`node=${k}`, `nodes=${count}`, `init=${files[0]!.path}`, "exit=f4", ...options],
        ...["--", ...args],
      ];
      const card = `virtio-net-pci,netdev=n,disable-legacy=on,mac=52:54:00:00:00:0${k}`;
      const child = spawn(
        "qemu-system-x86_64",
        [
          ...["-machine", "q35", "-m", "128", "-smp", `${cores}`, "-display", "none", "-no-reboot"],
          ...["-serial", "stdio", "-monitor", "none", "-kernel", kernelPath, "-initrd", initrd],
          ...["-append", words.join(" "), "-device", "isa-debug-exit,iobase=0xf4"],
          ...["-netdev", `socket,id=n,mcast=230.66.0.1:${port},localaddr=127.0.0.1`],
          ...["-device", mtu === 0 ? card : `${card},host_mtu=${mtu}`],
        ],
        { stdio: ["ignore", "pipe", "pipe"] },
      );
      const machine = new QemuMachine(child);
      machines.push(machine);
      return machine;
    };
    for (let k = 1; k <= count; k++) start(k);
    const all = Promise.all(machines.map((machine) => machine.ended));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(machines.map((m, i) => `--- machine ${i + 1}\n${m.output}`).join("\n"))),
        seconds * 1000,
      );
    });
    try {
      await Promise.race([meanwhile(machines, start).then(() => all), late]);
    } finally {
      clearTimeout(timer);
    }
    return machines;
  } finally {
    for (const machine of machines) machine.kill();
    folder.remove();
  }
}
