// `--report DIR`: a recorder on a seeded cluster, and its page written at the end.

import { existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { SeededCluster } from "../cluster.js";
import { checkWhole, writeWhole } from "../whole-file.js";
import { Declarations } from "./declarations.js";
import { reportPage } from "./page.js";
import { Recorder } from "./recorder.js";

export interface ReportOptions {
  readonly folder: string;
  readonly kernelPath: string;
  readonly kernel: Uint8Array;
  readonly title: string;
  readonly command: string;
}

/** What a machine says of the cluster is marked in its lane. */
const MARKED = /^(cluster: (?!machine \d+ of)|panic: |exit: |.*killed)/;

export class Report {
  readonly path: string;
  readonly #o: ReportOptions;
  readonly #declarations: Declarations;
  #recorder: Recorder | null = null;
  #cluster: SeededCluster | null = null;

  /** Throws before anything has run where the folder cannot be written, or the kernel tells nothing of itself. */
  constructor(o: ReportOptions) {
    this.#o = o;
    this.#declarations = new Declarations(o.kernelPath, o.kernel);
    this.path = join(o.folder, "index.html");
    try {
      makeFolder(resolve(o.folder));
      checkWhole(this.path);
    } catch (error) {
      throw new Error(`--report ${o.folder}: ${(error as Error).message}`);
    }
  }

  /** Before it runs. */
  follow(cluster: SeededCluster): void {
    const recorder = new Recorder(cluster, this.#declarations);
    this.#cluster = cluster;
    this.#recorder = recorder;
    cluster.onlooker = (now) => recorder.look(now);
  }

  line(machine: string, text: string): void {
    const number = (this.#cluster?.nodes.findIndex(({ name }) => name === machine) ?? -1) + 1;
    if (number > 0 && MARKED.test(text))
      this.#recorder?.mark({ at: this.#cluster!.schedule.now, machine: number, text: `${machine}: ${text}` });
  }

  /** Something that is done to the cluster, in milliseconds; machine 0 is all. */
  fault(from: number, until: number, machine: number, text: string): void {
    this.#recorder?.mark({ at: from * 1e6, until: until * 1e6, machine, text });
  }

  /** Until then a former report stands there. */
  write(): void {
    if (this.#recorder === null) return;
    writeWhole(this.path, reportPage(this.#recorder.timeline(this.#o.title, this.#o.command)));
  }
}

/** With those above it. Node's own `recursive` never ends where a folder is there and takes no others, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}
