// A machine reads all pages of a file that another has written, one after the other: with reading ahead, without, and against
// what the bridge carries of raw frames between two processes. Counts are exact, and of instructions those that the writer takes to fill
// its pages and look at them are no part; the live ratio is one host's, the median of
// pairs that were taken one after the other: raw frames, then the median time of 1,024 pages of a scan in which the host has compiled
// the handlers of guest code, as it has the bridge's; the pages before are a figure of their own. The seeded wire delays
// frames and has no bandwidth: what limits there is the guests.
import { fileURLToPath } from "node:url";
import { LiveBridge } from "../../emulator/live-bridge.js";
import { startProcess } from "../../emulator/machine-process.js";
import { BridgeClient } from "../../netbridge/client.js";
import { Command, cli, seeded } from "../support/cluster.js";
import type { Figure } from "./bench.js";

const WIRE: [number, number] = [30, 30];
/** Both are more than a machine keeps records of (budget.ts), and last longer than records rest: they merge in both. */
const [FEW, MANY] = [8192, 16_384];
/** Live, the handlers of guest code are compiled during the first pages, and while they are, what takes most time is fused (cpu/fusion.ts). */
const LIVE = 65_536;
const WARM = 32_768;
const COLD = 4096;
const STRETCH = 1024;
const PAIRS = 3;
const PAGE = 4096;
/** Raw bulk: the longest frames that machines send, and how many are under way. */
const FRAME_BYTES = 9014;
const FRAMES = 8192;
const EVERY = 32;
const WINDOW = 256;

interface Sample {
  readonly nanoseconds: number;
  readonly frames: number;
  readonly counters: Record<string, number>;
}

function parse(output: string): number {
  const match = /scan: \w+ \d+ wrong 0 nanoseconds (\d+)/.exec(output);
  if (match === null) throw new Error(`scan failed:\n${output}`);
  return Number(match[1]);
}

/** `how`: "own": only the writer fills its pages and comes to them. */
async function sample(pages: number, append: string, how = "read"): Promise<Sample> {
  const options = { machines: 2, cores: 1, memory: 128 << 20, network: { delay: WIRE }, append };
  const { report, lines } = await seeded("scan", [how, pages], options);
  if (!report.ok) throw new Error(`scan failed:\n${lines.join("\n")}`);
  const counters: Record<string, number> = {};
  for (const { stats, instructions } of report.machines) {
    for (const [name, value] of Object.entries({ ...stats, instructions }))
      counters[name] = (counters[name] ?? 0) + value;
  }
  return { nanoseconds: parse(lines.join("\n")), frames: report.frames ?? 0, counters };
}

export async function scanFigures(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string, note?: string) =>
    figures.push({ section: "scan", name, value, unit, ...(note === undefined ? {} : { note }) });
  for (const [how, append] of [
    ["reading ahead", ""],
    ["page by page", "ahead=0"],
  ] as const) {
    const [few, many] = [await sample(FEW, append), await sample(MANY, append)];
    const [fewOwn, manyOwn] = [await sample(FEW, append, "own"), await sample(MANY, append, "own")];
    const per = (of: (s: Sample) => number) => (of(many) - of(few)) / (MANY - FEW);
    add(`a page, ${how}: time`, per((s) => s.nanoseconds) / 1000 / (2 * WIRE[0]), "R");
    add(
      `a page, ${how}: frames`,
      per((s) => s.frames),
      "",
    );
    add(
      `a page, ${how}: messages`,
      per((s) => s.counters["messagesSent"] ?? 0),
      "",
    );
    add(
      `a page, ${how}: faults and questions`,
      per((s) => s.counters["pageFaultsCoherence"] ?? 0),
      "",
    );
    add(
      `a page, ${how}: guest instructions, both machines, but for the writer's own`,
      per((s) => s.counters["instructions"] ?? 0) -
        ((manyOwn.counters["instructions"] ?? 0) - (fewOwn.counters["instructions"] ?? 0)) / (MANY - FEW),
      "",
    );
  }
  const pairs: Pair[] = [];
  for (let pair = 0; pair < PAIRS; pair++) pairs.push({ raw: await bulk(), ...(await live()) });
  const median = (of: (pair: Pair) => number) => middle(pairs.map(of));
  add(
    "raw frames of 9014 bytes over the bridge",
    median(({ raw }) => raw),
    "MB/s",
    "live, two processes",
  );
  add(
    "scan of remote pages",
    median(({ scan }) => scan),
    "MB/s",
    `live, 1,024 pages behind the first ${WARM}`,
  );
  add(
    `its first ${COLD} pages`,
    median(({ cold }) => cold),
    "MB/s",
    "live, while the host compiles",
  );
  const ratios = pairs.map(({ raw, scan }) => scan / raw).sort((a, b) => a - b);
  add("scan / raw", ratios[PAIRS >> 1]!, "", "goal 0.6");
  add("scan / raw, least", ratios[0]!, "");
  add("scan / raw, most", ratios.at(-1)!, "");
  return figures;
}

/** Megabytes a second. */
interface Pair {
  readonly raw: number;
  readonly scan: number;
  readonly cold: number;
}

const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Of a live scan: 1,024 pages in the middle, and the first ones. */
async function live(): Promise<{ scan: number; cold: number }> {
  const machines = ["run", "--live", "--machines", 2, "--cores", 1, "--memory", "384M"];
  const command = new Command([...machines, "scan", "read", LIVE]);
  const { status } = await command.ended;
  const times = /scan: microseconds each 1024((?: \d+)+)/
    .exec(command.out)?.[1]
    ?.trim()
    .split(" ")
    .map(Number);
  if (status !== 0 || times?.length !== LIVE / STRETCH) {
    throw new Error(`scan ended with ${status}:\n${command.out}\n${command.err}`);
  }
  parse(command.out); // all pages were right
  const first = times.slice(0, COLD / STRETCH).reduce((sum, time) => sum + time, 0);
  return { scan: (STRETCH * PAGE) / middle(times.slice(WARM / STRETCH)), cold: (COLD * PAGE) / first };
}

/** Megabytes a second of frames from this process to another, by way of a bridge in a third; both as in a live cluster. */
async function bulk(): Promise<number> {
  const bridge = await LiveBridge.start({ cli, arguments: [], onNote: () => {} });
  const sink = startProcess(fileURLToPath(new URL("sink.js", import.meta.url)), [
    bridge.urlFor(2),
    `${EVERY}`,
  ]);
  let acknowledged = 0;
  let hear = () => {};
  const client = new BridgeClient({
    url: bridge.urlFor(1),
    onFrame: () => {
      acknowledged += EVERY;
      hear();
    },
  });
  try {
    await new Promise((resolve, reject) => {
      sink.stdout!.once("data", resolve);
      sink.once("exit", (code) => reject(new Error(`sink ended with ${code}`)));
    });
    await client.connect();
    const frame = new Uint8Array(FRAME_BYTES);
    frame.fill(0xff, 0, 6);
    frame.set([2, 0, 0, 0, 0, 1], 6);
    const since = performance.now();
    for (let sent = 0; sent < FRAMES; sent++) {
      while (sent - acknowledged >= WINDOW) await new Promise<void>((resolve) => (hear = resolve));
      client.send(frame);
    }
    while (acknowledged < FRAMES) await new Promise<void>((resolve) => (hear = resolve));
    return (FRAMES * FRAME_BYTES) / 1000 / (performance.now() - since);
  } finally {
    client.close();
    sink.kill();
    await bridge.end();
  }
}
