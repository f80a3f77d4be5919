// Coherence live: machines in processes of their own, on a bridge in another. R is the median round trip of a 64-byte
// frame between two processes over that bridge, taken before and after each operation, whose time is given in it, once the
// bridge is as fast as it becomes. Absolute times are the host's, and say how much of R is the host's scheduler: with fewer
// processors than threads, most of it.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BridgeClient } from "../../netbridge/client.js";
import { Command } from "../support/cluster.js";
import { atMost, GOALS, goal, OWNED_ADD, TAX } from "../support/goals.js";
import { fileAt } from "../support/homes.js";
import type { Operation } from "../support/latency.js";
import type { Figure } from "./bench.js";
import { ping } from "./ping.js";

const FRAME_BYTES = 64;
/** Enough of both that the host has compiled most of what they run long before half of them are done. */
const PINGS = 8000;
const COUNT = 12_000;
/** So many times PINGS, at least and at most, before R is taken. */
const WARMING_LEAST = 6;
const WARMING_MAX = 12;
/** A machine has all those pages, and a record of each: within a smaller budget whole ranges are upgraded at once. */
const MEMORY = "256M";
const WORDS = "ahead=0 records=16384";
const ADDS = 100_000;
/** Of four seconds each: longer than all pings take. */
const SLEEPS = 10;
/** What a machine does alone, as steps of the program `steps`: each some tens of milliseconds; how often; in how many pairs of runs. */
const WORK = { add: "a0x1000000", shared: "t64-127x200", own: "T64-127x200" } as const;
const REPEATS = 9;
const PAIRS = 5;

interface Row extends Operation {
  readonly what: string;
  readonly goal: number;
}

const rows: readonly Row[] = [
  { name: "read", machines: 2, home: 1, what: "read miss, owner idle", goal: GOALS.miss },
  { name: "read-busy", machines: 2, home: 1, what: "read miss, owner busy", goal: GOALS["miss-busy"] },
  { name: "write", machines: 2, home: 1, what: "write miss, owner idle", goal: GOALS.miss },
  { name: "upgrade", machines: 2, home: 1, what: "S to M, no data, sharer idle", goal: GOALS.upgrade },
  { name: "upgrade-busy", machines: 2, home: 1, what: "S to M, no data, sharer busy", goal: GOALS.upgrade },
  { name: "read", machines: 3, home: 3, what: "read miss, dirty on a third machine", goal: GOALS.third },
  { name: "read", machines: 4, home: 3, what: "the same, 4 machines", goal: GOALS.third },
  { name: "read", machines: 8, home: 3, what: "the same, 8 machines", goal: GOALS.third },
];

/** A wire as between machines of one room, on which a frame is under way so long; microseconds. */
const WIRE = 100;

export async function liveFigures(): Promise<Figure[]> {
  return onBridge([], async (url) => [...(await missFigures("live", url)), ...(await taxFigures(url))]);
}

/** The same misses, where the wire takes its time: what the machines themselves take stays what it is. */
export async function wireFigures(): Promise<Figure[]> {
  return onBridge(["--delay", WIRE], (url) => missFigures("wire", url));
}

async function onBridge<T>(
  options: readonly (string | number)[],
  use: (url: string) => Promise<T>,
): Promise<T> {
  const bridge = new Command(["bridge", "--listen", "127.0.0.1:0", "--json", ...options]);
  try {
    await bridge.says("url");
    const { url } = JSON.parse(bridge.out) as { url: string };
    return await use(url);
  } finally {
    bridge.kill();
    await bridge.ended;
  }
}

async function missFigures(section: string, url: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string, note?: string) =>
    figures.push({ section, name, value, unit, ...(note === undefined ? {} : { note }) });
  const trips = [await warmRoundTrip(url)];
  /** In R, as it was about that time. */
  const inR = async (measure: () => Promise<number[]>): Promise<number[]> => {
    const times = await measure();
    trips.push(await roundTrip(url));
    const r = (trips.at(-2)!.median + trips.at(-1)!.median) / 2;
    return times.map((time) => time / r);
  };
  for (const row of rows) {
    const [middle, late] = await inR(async () => {
      const { median, p99 } = await sample(url, row, COUNT);
      return [median, p99];
    });
    add(`${row.what}: median`, middle!, "R", goal(row.goal));
    add(`${row.what}: 99th percentile`, late!, "R");
  }
  const [added] = await inR(async () => [
    (await sample(url, { name: "add", machines: 2, home: 1 }, ADDS)).total / ADDS,
  ]);
  add("contended lock xadd, a machine's own: mean", added!, "R");
  const [answered] = await inR(async () => [await answer(url)]);
  add("a machine's answer to 64 bytes of a process (ICMP echo): median", answered!, "R");
  add("R, 64-byte frames", median(trips.map((trip) => trip.median)) / 1000, "us", "median of all");
  add("R, 99th percentile", median(trips.map(({ p99 }) => p99)) / 1000, "us", "median of all");
  return figures;
}

async function taxFigures(url: string): Promise<Figure[]> {
  const tax = await taxes(url);
  const add = (name: string, value: number, most: number): Figure => ({
    ...{ section: "live", name, value, unit: "times", note: atMost(most) },
  });
  return [
    add("uncontended lock xadd, its page here: against no cluster", tax.add, OWNED_ADD),
    add("work on shared pages that are here: against no cluster", tax.shared, TAX),
    add("work on memory of its own: against no cluster", tax.own, TAX),
  ];
}

interface Sample {
  readonly total: number;
  readonly median: number;
  readonly p99: number;
}

async function sample(url: string, { name, machines, home }: Operation, count: number): Promise<Sample> {
  const run = [
    "run",
    "--live",
    "--machines",
    machines,
    "--cores",
    1,
    "--bridge",
    url,
    "--memory",
    MEMORY,
    "--append",
    WORDS,
  ];
  const file = `/shm/${fileAt(home, machines)}`;
  const command = new Command([...run, "latency", name, count, file, ...(name === "add" ? [] : ["each"])]);
  const { status } = await command.ended;
  const match = /latency: [\w-]+ \d+ ns (\d+)(?: median (\d+) p99 (\d+))?/.exec(command.out);
  if (status !== 0 || match === null) {
    throw new Error(`latency ${name} ${count} ended with ${status}:\n${command.out}\n${command.err}`);
  }
  const [total, median, p99] = match.slice(1).map(Number) as [number, number, number];
  return { total, median, p99 };
}

/** The same work again and again, on one machine of so many; the others sleep. Nanoseconds, the median of each kind. */
async function work(url: string, machines: number): Promise<Record<keyof typeof WORK, number>> {
  const texts = Array.from({ length: REPEATS }, () => Object.values(WORK).map((step) => `1${step}`)).flat();
  const run = ["run", "--live", "--machines", machines, "--cores", 1, "--bridge", url];
  const command = new Command([...run, "steps", `/shm/${fileAt(1, machines)}`, ...texts]);
  const { status } = await command.ended;
  const times = [...command.out.matchAll(/^machine1 \| steps: \d+ ns (\d+) value/gm)].map((match) =>
    Number(match[1]),
  );
  if (status !== 0 || times.length !== texts.length)
    throw new Error(`steps ended with ${status}:\n${command.out}\n${command.err}`);
  const kinds = Object.keys(WORK);
  const of = (kind: number) => median(times.filter((_, i) => i % kinds.length === kind));
  return Object.fromEntries(kinds.map((kind, i) => [kind, of(i)])) as Record<keyof typeof WORK, number>;
}

/** Times of a machine in a cluster of two against those of one without, the median of pairs taken one after the other. */
async function taxes(url: string): Promise<Record<keyof typeof WORK, number>> {
  const pairs: Record<keyof typeof WORK, number>[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const [solo, joined] = [await work(url, 1), await work(url, 2)];
    pairs.push({
      add: joined.add / solo.add,
      shared: joined.shared / solo.shared,
      own: joined.own / solo.own,
    });
  }
  const of = (kind: keyof typeof WORK) => median(pairs.map((pair) => pair[kind]));
  return { add: of("add"), shared: of("shared"), own: of("own") };
}

/** Nanoseconds that a frame takes to a machine that sleeps, and its answer back. */
async function answer(url: string): Promise<number> {
  const sleeps = Array<string>(SLEEPS).fill("1s4000");
  const run = [
    "run",
    "--live",
    "--machines",
    2,
    "--cores",
    1,
    "--bridge",
    url,
    "steps",
    "/shm/asleep",
    "1w0",
  ];
  const command = new Command([...run, ...sleeps]);
  try {
    await command.says("machine1 | cluster: view 1: machines 1 2");
    return median(await ping(url, 1, PINGS));
  } finally {
    command.kill("SIGINT");
    await command.ended;
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

interface Trip {
  readonly median: number;
  readonly p99: number;
}

/** Once R falls no longer: the bridge's process compiles what it runs while it runs. */
async function warmRoundTrip(url: string): Promise<Trip> {
  let trip = await roundTrip(url);
  for (let i = 0; i < WARMING_MAX; i++) {
    const last = trip;
    trip = await roundTrip(url);
    if (trip.median > 0.97 * last.median && i > WARMING_LEAST) break;
  }
  return trip;
}

/** Nanoseconds of a frame's way to another process and back. */
async function roundTrip(url: string): Promise<Trip> {
  const echo = spawn(process.execPath, [fileURLToPath(new URL("echo.js", import.meta.url)), url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let hear = () => {};
  const client = new BridgeClient({ url, onFrame: () => hear() });
  try {
    await new Promise((resolve, reject) => {
      echo.stdout.once("data", resolve);
      echo.once("exit", (code) => reject(new Error(`echo ended with ${code}`)));
    });
    await client.connect();
    const frame = new Uint8Array(FRAME_BYTES);
    frame.fill(0xff, 0, 6);
    frame.set([2, 0, 0, 0, 0, 1], 6);
    const times: number[] = [];
    for (let i = 0; i < PINGS; i++) {
      const sent = performance.now();
      const heard = new Promise<void>((resolve) => {
        hear = resolve;
      });
      client.send(frame);
      await heard;
      times.push((performance.now() - sent) * 1e6);
    }
    times.sort((a, b) => a - b);
    return { median: times[PINGS >> 1]!, p99: times[Math.floor(PINGS * 0.99)]! };
  } finally {
    client.close();
    echo.kill();
  }
}
