// A shell of a Linux in another process: a live machine of ours, or QEMU's. Prompts are counted: what is awaited is
// always the next one. A wait has a limit in seconds of a processor, which tell a guest that is stuck from a host that has
// other work.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { cli, installed, pause } from "./cluster.js";
import { COMMAND_LINE, prompt } from "./linux.js";

const QEMU = "qemu-system-x86_64";
/** The generic kernel unpacks itself: 6 G instructions. */
const BOOT_SECONDS = 600;
/** A guest has at least this part of a processor; one that only sleeps has less, and nothing happens any more. */
const SHARE_MIN = 1 / 20;

export interface GuestOptions {
  readonly kernel: string;
  readonly initrd: string;
  readonly cores?: number;
  readonly megabytes?: number;
  readonly append?: string;
  /** Further arguments of the program that runs it. */
  readonly more?: readonly (string | number)[];
}

/** What is not asked for otherwise. */
const USUAL = { cores: 1, megabytes: 256, append: COMMAND_LINE, more: [] } as const;

const TICKS_PER_SECOND = 100;
/** Seconds for which the process had a processor, its threads together; 0 once it is gone. proc(5), /proc/pid/stat. */
function processorSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which is in parentheses: fields 3 and on; utime is 14, stime 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[14 - 3]) + Number(fields[15 - 3])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

export class Guest {
  readonly child: ChildProcess;
  out = "";
  err = "";
  readonly ended: Promise<number | null>;
  /** Seconds from the start to the first prompt. */
  seconds = 0;
  readonly #started = performance.now();
  #prompts = 0;
  #over = false;

  private constructor(program: string, args: readonly (string | number)[]) {
    this.child = spawn(program, args.map(String), { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin?.on("error", () => {}); // the machine may end while something is typed
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString("latin1");
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString("latin1");
    });
    this.ended = new Promise((resolve) => {
      this.child.once("close", (status) => {
        this.#over = true;
        resolve(status);
      });
    });
  }

  /** A live machine of ours. */
  static ours(options: GuestOptions): Guest {
    const { kernel, initrd, cores, megabytes, append, more } = { ...USUAL, ...options };
    const machine = ["--cores", cores, "--memory", `${megabytes}M`, "--serial", "stdio", "--json"];
    const guest = ["--kernel", kernel, "--initrd", initrd, "--append", append];
    return new Guest(process.execPath, [cli, "boot", ...machine, ...guest, ...more]);
  }

  /** QEMU's q35 machine without what ours does not have, and of a year from which on Linux takes no account of E820 for PCI. */
  static qemu(options: GuestOptions): Guest {
    const { kernel, initrd, cores, megabytes, append, more } = { ...USUAL, ...options };
    const board = ["-machine", "q35", "-accel", "tcg", "-m", megabytes, "-smp", cores, "-nic", "none"];
    const year = ["-smbios", "type=0,date=01/01/2026"];
    const console = ["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"];
    return new Guest(QEMU, [
      ...[...board, ...year, ...console],
      ...["-kernel", kernel, "-initrd", initrd, "-append", append, ...more],
    ]);
  }
  static readonly qemuMissing = installed(QEMU) ? "" : `${QEMU} is not installed`;

  /** Waits for text behind what has been printed before, while the guest takes so many seconds of a processor. */
  async says(text: string, from = 0, seconds = BOOT_SECONDS): Promise<void> {
    const pid = this.child.pid ?? 0;
    const [begun, used] = [performance.now(), processorSeconds(pid)];
    while (!this.out.includes(text, from)) {
      const clock = (performance.now() - begun) / 1000;
      const processor = processorSeconds(pid) - used;
      if (processor > seconds || clock * SHARE_MIN > seconds || this.#over) {
        const spent = `${processor.toFixed(0)} s of a processor, ${clock.toFixed(0)} s by the clock`;
        throw new Error(`"${text}" was not said within ${spent}:\n${this.out}\n${this.err}`);
      }
      await pause(20);
    }
  }

  async prompted(seconds = BOOT_SECONDS): Promise<void> {
    let at = -1;
    for (let n = 0; n <= this.#prompts; n++) {
      await this.says(prompt, at + 1, seconds);
      at = this.out.indexOf(prompt, at + 1);
    }
    if (this.#prompts++ === 0) this.seconds = (performance.now() - this.#started) / 1000;
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Types a command at the prompt; gives what it printed. */
  async run(line: string, seconds = 60): Promise<string> {
    const from = this.out.length;
    this.type(line);
    await this.prompted(seconds);
    const said = this.out.slice(from).replaceAll("\r", "");
    return said.slice(said.indexOf("\n") + 1, said.lastIndexOf(prompt)).trimEnd();
  }

  async off(): Promise<number | null> {
    this.type("poweroff -f");
    return await this.ended;
  }

  /** Guest instructions, once a machine of ours has ended. */
  get instructions(): number {
    const line = this.err.split("\n").find((text) => text.startsWith("{"));
    return (JSON.parse(line ?? "{}") as { instructions?: number }).instructions ?? 0;
  }

  /** Of a machine of ours that has ended, for the test's output. */
  get figures(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    return `${(this.instructions / 1e9).toFixed(2)} G instructions, ${seconds.toFixed(0)} s`;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }
}
