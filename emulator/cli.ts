#!/usr/bin/env node
// The command line: `buslock run`, `buslock boot`, `buslock bridge`. The one door to commander, and with
// clock.ts and the sockets the only place where the host's time and environment come in.
// Exit status: 0 all went well, 1 the machines or the program failed, 2 wrong usage, input or output, 130 interrupted,
// 141 nobody reads its output any more.

import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { checkCores, checkMachines, checkMirror, checkStoreBuffer, memoryBytes, whole } from "./arguments.js";
import { type BootOptions, boot } from "./boot.js";
import { type BridgeCommandOptions, bridge } from "./bridge-command.js";
import { allKinds, kinds } from "./chaos/plan.js";
import { type RunOptions, run } from "./run-command.js";
import { STALL_MAX } from "./schedule.js";
import { kinds as traceKinds } from "./trace.js";

/** Commander wants its own error class to name the option that was wrong. */
function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

const count = (check: (n: number) => number) =>
  checked((text) => {
    if (!/^\d+$/.test(text)) throw new RangeError(`"${text}": wanted a whole number`);
    return check(Number(text));
  });
const oneOf = (known: readonly number[]) =>
  count((n) => {
    if (!known.includes(n)) throw new RangeError(`${n}: wanted ${known.join(", ")}`);
    return n;
  });
const probability = checked((text) => {
  const p = Number(text);
  if (!(p >= 0 && p <= 1) || text.trim() === "")
    throw new RangeError(`"${text}": wanted a probability from 0 to 1`);
  return p;
});
const microseconds = checked((text): [number, number] => {
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  const range: [number, number] = match === null ? [1, 0] : [Number(match[1]), Number(match[2] ?? match[1])];
  if (range[0] > range[1]) throw new RangeError(`"${text}": wanted MICROSECONDS or FROM:TO`);
  return range;
});

const address = (text: string): number => {
  const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value < 2 ** 32)) throw new RangeError(`"${text}": wanted an address such as 0x7c00`);
  return value;
};

const bridgeUrl = (text: string): string => {
  if (!URL.canParse(text) || !/^wss?:$/.test(new URL(text).protocol))
    throw new RangeError(`"${text}": wanted a URL such as ws://127.0.0.1:2640/`);
  return text;
};

/** An option that may be given more than once. */
const several = (text: string, before: string[] | undefined): string[] => [...(before ?? []), text];

const options = {
  cores: () => new Option("--cores <n>", "processor cores of a machine, 1 to 64").argParser(count(checkCores)).default(2),
  memory: () => new Option("--memory <size>", "RAM of a machine, such as 64M or 1G").argParser(checked(memoryBytes)).default(64 << 20, "64M"),
  seed: () => new Option("--seed <n>", "run in virtual time, every choice drawn from this seed").argParser(checked(whole("seed", 0, 2 ** 32 - 1))),
  storeBuffer: () => new Option("--store-buffer <n>", "with --seed: stores wait in a buffer of so many entries, and reach memory when the seed says so").argParser(count(checkStoreBuffer)),
  stall: () => new Option("--stall <us>", "with --seed: a core sometimes stands still, for so many microseconds at most, when the seed says so").argParser(checked(whole("stall", 1, STALL_MAX / 1000))),
  kernel: () => new Option("--kernel <file>", "guest kernel: PVH, multiboot or Linux bzImage (default: our own)"),
  append: () => new Option("--append <words>", "further words for the guest kernel's command line"),
  bridge: () => new Option("--bridge <url>", "websocket URL of a bridge to join").argParser(checked(bridgeUrl)),
  token: () => new Option("--token <text>", "what the bridge asks for").env("BUSLOCK_TOKEN"),
  limit: () => new Option("--limit <seconds>", "give up after so many seconds (of virtual time when seeded)").argParser(checked(whole("limit", 1, 1e6))),
  grace: () => new Option("--grace <seconds>", "live, without --chaos: so long the others go on once a machine has died (default: 30)").argParser(checked(whole("grace", 1, 1e6))),
  file: () => new Option("--file <file[=path]>", "a file for the program, which finds it as /NAME, or under that path").argParser(several),
  stdin: () => new Option("--stdin <file>", "what the program reads from its standard input (nothing without)"),
  loss: () => new Option("--loss <p>", "probability that a frame is lost").argParser(probability),
  duplicate: () => new Option("--duplicate <p>", "probability that a frame comes twice").argParser(probability),
  delay: () => new Option("--delay <us>", "microseconds that a frame is held, FROM:TO for a random time").argParser(microseconds),
  pcap: () => new Option("--pcap <file>", "write every frame to a capture file"),
  json: () => new Option("--json", "print the result as JSON"),
  gdb: (how: string) => new Option("--gdb <port>", `serve gdb on this port of this host; ${how}`).argParser(checked(whole("gdb", 0, 65535))),
  wait: () => new Option("--wait", "with --gdb: the first instruction waits for the debugger"),
}; // biome-ignore format: one option a line

/** The same words for one machine's trace and for a cluster's. */
function traceOptions(command: Command): Command {
  return command
    .addOption(new Option("--trace <kinds>", `what to trace: ${Object.keys(traceKinds).join(",")}; or all`))
    .addOption(
      new Option(
        "--trace-address <ranges>",
        "only what is about these: data accessed, ports, instructions; FROM-TO, FROM+BYTES or a symbol",
      ),
    )
    .addOption(new Option("--trace-code <ranges>", "only what instructions at these linear addresses do"))
    .addOption(new Option("--trace-core <list>", "only these cores, such as 0,2-3"))
    .addOption(new Option("--trace-mode <list>", "only in these modes: user or supervisor, 16, 32, 64"))
    .addOption(
      new Option("--trace-out <file>", "there instead of the standard error; with --json as JSON lines"),
    )
    .addOption(
      new Option(
        "--symbols <file>",
        "names for the trace besides the images' own: an ELF file, or a list such as System.map",
      ).argParser(several),
    );
}

/** 128 and the number of SIGPIPE, which Node ignores: what a shell shows of a tool whose reader has gone. */
const UNREAD = 141;
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(UNREAD);
    if (stream === process.stdout) console.error(`buslock: standard output: ${error.message}`);
    process.exit(2);
  });

const version = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
).version;

const program = new Command("buslock")
  .description("x86-64 machines that share one memory")
  .version(version)
  .enablePositionalOptions()
  .exitOverride()
  .showHelpAfterError("(--help shows the options)");

traceOptions(program.command("run"))
  .description("start machines that share memory, run one program on all of them, and tell how it went")
  .argument("<program>", "a bundled program's name, or the path of a static ELF64 file")
  .argument("[args...]", "the program's own arguments")
  .passThroughOptions()
  .addOption(
    new Option(
      "--live",
      "a process for each machine, a thread for each core (the default without --seed)",
    ).conflicts("seed"),
  )
  .addOption(options.seed())
  .addOption(options.storeBuffer())
  .addOption(options.stall())
  .addOption(
    new Option(
      "--spread",
      "start the program once, on machine 1, and its threads on the cores of all machines",
    ),
  )
  .addOption(
    new Option(
      "--mirror <f>",
      "what a machine writes is on f others before anybody sees it, on a console or in memory: the death of f machines loses nothing that was seen",
    ).argParser(count(checkMirror)),
  )
  .addOption(new Option("--machines <n>", "how many machines").argParser(count(checkMachines)).default(3))
  .addOption(options.cores())
  .addOption(options.memory())
  .addOption(options.kernel())
  .addOption(options.append())
  .addOption(options.file())
  .addOption(options.stdin())
  .addOption(options.bridge())
  .addOption(options.token())
  .addOption(options.loss())
  .addOption(options.duplicate())
  .addOption(options.delay())
  .addOption(options.pcap())
  .addOption(options.limit())
  .addOption(options.grace())
  .addOption(options.json())
  .addOption(new Option("--quiet", "no console lines, only the result"))
  .addOption(options.gdb("with --seed or --chaos: every core of every machine is a thread of one program"))
  .addOption(options.wait())
  .addOption(
    new Option(
      "--chaos <seed>",
      "let faults strike the cluster while the program runs, drawn from this seed, and tell what was promised and kept",
    ).argParser(checked(whole("chaos", 0, 2 ** 32 - 1))),
  )
  .addOption(new Option("--chaos-faults <kinds>", `which, with --chaos: ${allKinds.join(",")}; or all`))
  .addOption(
    new Option("--chaos-count <n>", "how many, with --chaos (6)").argParser(
      checked(whole("count", 0, 10_000)),
    ),
  )
  .addOption(
    new Option(
      "--chaos-time <ms>",
      "milliseconds in which they begin, with --chaos (600; live 6000)",
    ).argParser(checked(whole("time", 1, 1e9))),
  )
  .addOption(new Option("--trace-machine <list>", "only these machines, such as 1,3-4"))
  .addOption(
    new Option(
      "--report <dir>",
      "with --seed or --chaos: write DIR/index.html, one page that shows the pages' states and the messages over time",
    ),
  )
  .addHelpText(
    "after",
    `
Faults of --chaos (times are short: linkloss=120 blocked=60, live 1500 and 750, unless --append says otherwise):
${allKinds.map((kind) => `  ${kind.padEnd(9)} ${kinds[kind].says}`).join("\n")}

Examples:
  $ buslock run counter                          three machines of two cores count together
  $ buslock run --machines 8 --cores 4 counter 1000
  $ buslock run --seed 42 counter                the same in virtual time, repeatable to the instruction
  $ buslock run --seed 42 --loss 0.02 --json counter
  $ buslock run --seed 42 --store-buffer 8 litmus 20 SB SB+mfence
  $ buslock run --seed 42 --stall 200 counter
  $ buslock run --seed 42 --append records=1 counter   every machine keeps one record of coherence
  $ buslock run --spread --machines 4 --cores 2 ./pthreads     one process, its threads on eight cores of four machines
  $ buslock run --spread --machines 4 --file inputs/tk14.O --stdin words.txt ./sorter -p8 tk14.O
  $ buslock run --seed 42 --gdb 1234 --wait counter   then: gdb dist/kernel/kernel.elf -ex "target remote :1234"
  $ buslock run --chaos 7 endure                 faults in virtual time; every addition is judged
  $ buslock run --chaos 7 --gdb 1234 --wait endure    the same run and faults, to be stopped at and walked backwards
  $ buslock run --live --chaos 7 endure          the same judge; real processes, which are killed and stopped
  $ buslock run --chaos 7 --chaos-faults kill,revive,cut --chaos-count 10 --machines 5 --cores 1 endure
  $ buslock run --seed 7 --report out counter 200    then open out/index.html in a browser
  $ buslock run --seed 7 --trace faults,interrupts --trace-machine 2 --trace-out t.log counter 200
  $ buslock run ./a.out                          any static ELF64, from musl-gcc -static for instance`,
  )
  .action((name: string, args: string[], o: RunOptions) => run(name, args, o));

traceOptions(program.command("boot"))
  .description("start one machine")
  .addOption(options.kernel())
  .addOption(
    new Option(
      "--flat <address>",
      "the kernel is a flat binary: put it there and enter it as multiboot has it",
    ).argParser(checked(address)),
  )
  .addOption(
    new Option("--entry <bits>", "which entry of a Linux bzImage: 32 or 64").argParser(oneOf([32, 64])),
  )
  .addOption(
    new Option(
      "--bios <file>",
      "instead of our firmware: a PC BIOS such as SeaBIOS's bios-256k.bin; a bzImage then starts by its 16-bit entry",
    ),
  )
  .addOption(
    new Option(
      "--initrd <file>",
      'initial file system, handed to the kernel as it is; or modules, "file text,file text"',
    ),
  )
  .addOption(
    new Option(
      "--program <name>",
      "instead: a program to put into an initial file system and to run",
    ).conflicts("initrd"),
  )
  .addOption(options.file())
  .addOption(options.stdin())
  .addOption(options.append())
  .addOption(options.cores().default(1))
  .addOption(options.memory())
  .addOption(options.seed())
  .addOption(options.storeBuffer())
  .addOption(options.stall())
  .addOption(options.bridge())
  .addOption(options.token())
  .addOption(
    new Option("--node <n>", "the machine's number, which gives its station address")
      .argParser(checked(whole("node", 1, 65535)))
      .default(1),
  )
  .addOption(new Option("--name <text>", "the machine's name in messages").default("machine"))
  .addOption(new Option("--serial <where>", "the serial console: stdio, null or file:PATH").default("stdio"))
  .addOption(new Option("--console <where>", "a virtio console besides: stdio, null or file:PATH"))
  .addOption(new Option("--bios-console <where>", "where port 402 prints: stdio, null or file:PATH"))
  .addOption(
    new Option(
      "--debug-console <where>",
      "where port E9 prints, without the test device then: stdio, null or file:PATH",
    ),
  )
  .addOption(
    new Option(
      "--disk <file[,mode]>",
      "a raw image as a virtio disk, written to; ro: not, cow: in memory only",
    ).argParser(several),
  )
  .addOption(new Option("--device <name>", "plug in: rng (virtio entropy)").argParser(several))
  .addOption(
    new Option(
      "--no-testdev",
      "without the test device that public test suites drive (QEMU's pc-testdev: ports E0 to EB, 2000 to 2017, memory at FF000000)",
    ),
  )
  .addOption(options.gdb("the machine runs in virtual time (seed 1 unless told)"))
  .addOption(
    new Option(
      "--gdb-bits <n>",
      "with --gdb: tell it of an x86 of 64 bits (the default), 32, or 16",
    ).argParser(oneOf([64, 32, 16])),
  )
  .addOption(options.wait())
  .addOption(new Option("--save <file>", "with --seed and --at: save the machine there and end"))
  .addOption(
    new Option("--at <ms>", "virtual milliseconds since the start at which to save").argParser(
      checked(whole("at", 0, 1e9)),
    ),
  )
  .addOption(
    new Option(
      "--restore <file>",
      "with --seed: go on from there; the seed and the other options as they were",
    ),
  )
  .addOption(options.limit())
  .addOption(options.json())
  .addHelpText(
    "after",
    `
Examples:
  $ buslock boot --program hello                 our kernel, one program, the console on this terminal
  $ buslock boot --cores 4 --memory 1G --kernel /boot/vmlinuz --initrd initrd.cpio --append "console=ttyS0"
  $ buslock boot --kernel test.flat --append "words" --serial stdio
  $ buslock boot --kernel vmlinux --append "console=ttyS0 root=/dev/vda" --disk root.img,cow --device rng
  $ buslock boot --bios /usr/share/seabios/bios-256k.bin --disk disk.img   its boot menu at ESC, on this terminal
  $ buslock boot --bios /usr/share/seabios/bios-256k.bin --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0
  $ buslock boot --seed 7 --trace faults,interrupts --program counter
  $ buslock boot --seed 7 --trace instructions,memory --trace-mode user --trace-core 0 --trace-out t.log --program hello
  $ buslock boot --seed 7 --trace memory --trace-address 1000-1fff --trace-code boot --program hello
  $ buslock boot --trace devices --trace-address 3f8-3ff --symbols System.map --kernel vmlinuz
  $ buslock boot --seed 7 --program counter --save half --at 2      ... --restore half instead goes on from there
  $ buslock boot --gdb 1234 --wait --program hello   then: gdb dist/kernel/kernel.elf -ex "target remote :1234"
  $ buslock boot --bridge ws://127.0.0.1:2640/ --node 2 --append "node=2 nodes=2" --program counter

Status: 0 the guest switched off, (2 * value + 1) modulo 256 it wrote value to the exit port F4 (as with QEMU),
1 it failed (its triple fault, panic, or time limit), 2 wrong usage, 130 interrupted, 141 nobody reads its output; our own kernel: 0 or 1 by init.`,
  )
  .action((o: BootOptions) => boot(o));

program
  .command("bridge")
  .description("join machines: an Ethernet switch, one frame a websocket message")
  .addOption(new Option("--listen <host:port>", "where to listen").default("127.0.0.1:2640"))
  .addOption(options.token())
  .addOption(
    new Option("--qemu <port>", "TCP port on loopback for QEMU's -netdev stream or socket").argParser(
      checked(whole("port", 0, 65535)),
    ),
  )
  .addOption(options.pcap())
  .addOption(options.loss())
  .addOption(options.duplicate())
  .addOption(options.delay())
  .addOption(
    new Option("--seed <n>", "seed of the faults")
      .argParser(checked(whole("seed", 0, 2 ** 32 - 1)))
      .default(1),
  )
  .addOption(options.json())
  .addHelpText(
    "after",
    `
Examples:
  $ buslock bridge                               open to this host only
  $ buslock bridge --listen 0.0.0.0:2640 --token SECRET
  $ buslock bridge --qemu 2641                   then: qemu-system-x86_64 ... -netdev stream,id=n,addr.type=inet,addr.host=127.0.0.1,addr.port=2641
  $ buslock bridge --loss 0.01 --delay 100:2000 --pcap wire.pcap

Status: 130 ended by Ctrl-C, 0 by SIGTERM; 2 wrong usage, or it cannot listen there.`,
  )
  .action((o: BridgeCommandOptions) => bridge(o));

try {
  process.exitCode = 0;
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(`buslock: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 2;
  }
}
