// The bridge of a live cluster as a process of its own (`buslock bridge`), which is started again on its port should it die:
// to the machines that is a link loss. Who started it may change its wire, by messages over the channel of parent and child.

import type { ChildProcess } from "node:child_process";
import { type Weather, WITNESS_STATION } from "../netbridge/server.js";
import type { BridgeNews } from "./bridge-command.js";
import { processEnded, startProcess } from "./machine-process.js";

/** The bridge's vote among the stations of a wire; machines have their own numbers. */
export const VOTE_STATION = WITNESS_STATION;

export interface LiveBridgeOptions {
  readonly cli: string;
  /** --loss, --pcap, ... */
  readonly arguments: readonly string[];
  readonly onNote: (line: string) => void;
}

export class LiveBridge {
  readonly #options: LiveBridgeOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<string> = Promise.resolve("");
  #url = "";
  /** It is to run; a death is an accident then. */
  #wanted = true;
  #news: BridgeNews = { stations: [], orders: 0 };
  #sent = 0;
  #changed: () => void = () => {};

  private constructor(options: LiveBridgeOptions) {
    this.#options = options;
  }

  static async start(options: LiveBridgeOptions): Promise<LiveBridge> {
    const bridge = new LiveBridge(options);
    await bridge.#launch("127.0.0.1:0");
    return bridge;
  }

  /** Where a machine joins, under its number. */
  urlFor(station: number): string {
    return `${this.#url}?station=${station}`;
  }

  /** Machines that are joined at this moment. */
  get stations(): readonly number[] {
    return this.#child === null ? [] : this.#news.stations;
  }

  /** Settles when the wire is like that. */
  async become(weather: Weather): Promise<void> {
    const child = this.#child;
    if (child?.connected !== true) return;
    const order = ++this.#sent;
    child.send(weather);
    await this.#until(() => this.#child !== child || this.#news.orders >= order, 5000);
  }

  /** At once, as by a power failure. */
  async kill(): Promise<void> {
    this.#wanted = false;
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  /** Again, at the same address; settles when these machines have found it, or do not come. */
  async startAgain(machines: readonly number[]): Promise<void> {
    this.#wanted = true;
    await this.#launch(new URL(this.#url).host);
    await this.#until(() => machines.every((m) => this.stations.includes(m)), 5000);
  }

  async end(): Promise<void> {
    this.#wanted = false;
    this.#child?.kill("SIGTERM");
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), 5000);
    await this.#ended;
    clearTimeout(late);
  }

  async #launch(listen: string): Promise<void> {
    const { cli, arguments: args, onNote } = this.#options;
    const child = startProcess(cli, ["bridge", "--listen", listen, "--json", ...args]);
    this.#child = child;
    this.#news = { stations: [], orders: 0 };
    this.#sent = 0;
    child.stderr!.on("data", (chunk: Buffer) => {
      for (const line of chunk.toString().trimEnd().split("\n")) onNote(`bridge: ${line}`);
    });
    child.on("message", (news) => {
      this.#news = news as BridgeNews;
      this.#changed();
    });
    this.#ended = processEnded(child);
    this.#ended.then(() => {
      if (this.#child === child) this.#child = null;
      this.#changed();
      if (!this.#wanted || this.#url === "") return;
      onNote("the bridge died; starting it again");
      this.#launch(new URL(this.#url).host).catch((error: Error) =>
        onNote(`the bridge does not start: ${error.message}`),
      );
    });
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    this.#url = url;
  }

  #until(condition: () => boolean, milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(late);
        this.#changed = () => {};
        resolve();
      };
      const late = setTimeout(over, milliseconds);
      this.#changed = () => {
        if (condition()) over();
      };
      this.#changed();
    });
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("close", (code) => reject(new Error(`the bridge ended with status ${code}`)));
  });
}
