// `buslock bridge`.

import { getRandomValues } from "node:crypto";
import { Bridge, type Weather } from "../netbridge/server.js";
import { hostMicroseconds } from "./host-clock.js";
import { CTRL_C, interrupted, interruptSignal } from "./interrupt.js";
import { Random } from "./random.js";
import { tierUpSoon } from "./tier-up.js";

export interface BridgeCommandOptions {
  readonly listen: string;
  readonly token?: string;
  readonly qemu?: number;
  readonly pcap?: string;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly delay?: [number, number];
  readonly seed: number;
  readonly json?: boolean;
}

/** "host:port" or "[v6]:port". */
export function hostAndPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([\da-f:]+)\]|([^:]+)):(\d{1,5})$/i.exec(text);
  const port = match === null ? Number.NaN : Number(match[3]);
  if (match === null || port > 65535)
    throw new Error(`--listen ${text}: wanted HOST:PORT, such as 127.0.0.1:2640`);
  return { host: match[1] ?? match[2]!, port };
}

/** What a bridge tells the process that started it, where there is one that gives it orders (live-bridge.ts). */
export interface BridgeNews {
  /** The machines that are joined. */
  readonly stations: readonly number[];
  /** How many orders have been carried out: each is a `Weather`. */
  readonly orders: number;
}

export async function bridge(o: BridgeCommandOptions): Promise<void> {
  const random = new Random(o.seed);
  // Who reads that the bridge is there may end it at once.
  const over = interruptSignal();
  const tell = process.connected ? (news: BridgeNews) => process.send?.(news) : () => {};
  let news: BridgeNews = { stations: [], orders: 0 };
  const server = await Bridge.open({
    ...hostAndPort(o.listen),
    ...(o.token === undefined ? {} : { token: o.token }),
    ...(o.qemu === undefined ? {} : { qemuPort: o.qemu }),
    ...(o.pcap === undefined ? {} : { pcap: o.pcap }),
    faults: {
      ...(o.loss === undefined ? {} : { loss: o.loss }),
      ...(o.duplicate === undefined ? {} : { duplicate: o.duplicate }),
      ...(o.delay === undefined ? {} : { delay: o.delay }),
    },
    random: () => random.next(),
    // Never from the seed: a bridge that starts again must be another one.
    life: getRandomValues(new BigUint64Array(1))[0]! | 1n,
    clock: hostMicroseconds,
    log: (line) => console.error(line),
    onStations: (stations) => {
      if (stations.length > 1) tierUpSoon();
      news = { ...news, stations };
      tell(news);
    },
  });
  const order = (weather: unknown) => {
    server.become(weather as Weather);
    news = { ...news, orders: news.orders + 1 };
    tell(news);
  };
  if (process.connected) process.on("message", order);
  if (o.json) console.log(JSON.stringify({ url: server.url, qemuPort: server.qemuPort }));
  else {
    console.log(
      `bridge at ${server.url}${server.qemuPort === null ? "" : `, QEMU at 127.0.0.1:${server.qemuPort}`}`,
    );
  }
  // SIGTERM is how a service that has done its work is ended.
  if ((await interrupted(over)) === CTRL_C) process.exitCode = 130;
  const { members, ...counts } = server.counts;
  await server.close();
  process.off("message", order);
  const text = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  console.error(o.json ? JSON.stringify(counts) : `frames: ${text.join(", ")}`);
}
