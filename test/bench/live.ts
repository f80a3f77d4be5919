// Coherence live: machines in processes of their own, on a bridge in another. R is the median round trip of a 64-byte
// frame between two processes over that bridge, taken before and after; an operation's time is given in it. Absolute
// times are the host's, and say how much of R is the host's scheduler: with fewer processors than threads, most of it.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BridgeClient } from "../../netbridge/client.js";
import { Command } from "../support/cluster.js";
import { GOALS, goal } from "../support/goals.js";
import type { Figure } from "./bench.js";

const FRAME_BYTES = 64;
const PINGS = 1000;
/** Enough that the host has compiled the handlers of guest code before half of them are done. */
const COUNT = 3000;
const ADDS = 100_000;

interface Operation {
  readonly name: keyof typeof GOALS;
  readonly machines: number;
  readonly what: string;
}

const operations: readonly Operation[] = [
  { name: "read", machines: 2, what: "read miss, owner idle" },
  { name: "read-busy", machines: 2, what: "read miss, owner busy" },
  { name: "upgrade", machines: 2, what: "S to M, no data, sharer idle" },
  { name: "upgrade-busy", machines: 2, what: "S to M, no data, sharer busy" },
  { name: "third", machines: 3, what: "read miss, dirty on a third machine" },
];

export async function liveFigures(): Promise<Figure[]> {
  const bridge = new Command(["bridge", "--listen", "127.0.0.1:0", "--json"]);
  try {
    await bridge.says("url");
    const { url } = JSON.parse(bridge.out) as { url: string };
    const before = await roundTrip(url);
    const figures: Figure[] = [];
    const add = (name: string, value: number, unit: string, note?: string) =>
      figures.push({ section: "live", name, value, unit, ...(note === undefined ? {} : { note }) });
    const samples: [Operation, Sample][] = [];
    for (const operation of operations) samples.push([operation, await sample(url, operation, COUNT)]);
    const adds = await sample(url, { name: "add", machines: 2 }, ADDS);
    const after = await roundTrip(url);
    const r = (before.median + after.median) / 2;
    add("R, 64-byte frames", r / 1000, "us", "median of both ends of the run");
    add("R, 99th percentile", Math.max(before.p99, after.p99) / 1000, "us");
    for (const [{ name, what }, { median, p99 }] of samples) {
      add(`${what}: median`, median / r, "R", goal(GOALS[name]));
      add(`${what}: 99th percentile`, p99 / r, "R");
    }
    add("contended lock xadd, a machine's own: mean", adds.total / ADDS / r, "R");
    return figures;
  } finally {
    bridge.kill();
    await bridge.ended;
  }
}

interface Sample {
  readonly total: number;
  readonly median: number;
  readonly p99: number;
}

async function sample(
  url: string,
  { name, machines }: { name: string; machines: number },
  count: number,
): Promise<Sample> {
  const run = ["run", "--live", "--machines", machines, "--cores", 1, "--bridge", url, "--append", "ahead=0"];
  const each = name === "add" ? [] : ["each"];
  const command = new Command([...run, "latency", name, count, ...each]);
  const { status } = await command.ended;
  const match = /latency: [\w-]+ \d+ ns (\d+)(?: median (\d+) p99 (\d+))?/.exec(command.out);
  if (status !== 0 || match === null) {
    throw new Error(`latency ${name} ${count} ended with ${status}:\n${command.out}\n${command.err}`);
  }
  const [total, median, p99] = match.slice(1).map(Number) as [number, number, number];
  return { total, median, p99 };
}

/** Nanoseconds of a frame's way to another process and back. */
async function roundTrip(url: string): Promise<{ median: number; p99: number }> {
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
