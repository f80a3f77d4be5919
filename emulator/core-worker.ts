// One core of a live machine on a worker thread of its own: runs guest code in slices and sleeps on its mailbox while
// halted. The board is reached through the core's channel.

import { parentPort, workerData } from "node:worker_threads";
import { attention, SharedMailbox, word } from "./board/mailbox.js";
import { CoreChannel } from "./channel.js";
import { mailboxesOf } from "./hardware.js";
import { LiveCore, type LiveCoreData } from "./live-core.js";
import { type Filter, Tracer } from "./trace.js";

export interface CoreWorkerData extends LiveCoreData {
  readonly channel: Int32Array;
  /** One word: see channel.ts. */
  readonly tickets: Int32Array;
  /** One word: 1 while the board's thread runs guest code (board-core.ts). */
  readonly boardBusy: Int32Array;
  readonly trace: Filter | null;
}

/** Worker to board. "ring": a request stands in the channel. */
export type CoreWorkerMessage =
  | { readonly kind: "ring" }
  | { readonly kind: "trace"; readonly line: string }
  | { readonly kind: "shutdown"; readonly text: string }
  | { readonly kind: "ended" };

/** Longest sleep of a halted core, so that it notices the end of the machine in any case. */
const SLEEP_MS_MAX = 500;

function main(data: CoreWorkerData, post: (message: CoreWorkerMessage) => void): void {
  const ring: CoreWorkerMessage = { kind: "ring" };
  const boardCore = new SharedMailbox(mailboxesOf(data.memory, data.cores)[0]!);
  const channel = new CoreChannel(data.channel, data.tickets, () => {
    if (Atomics.load(data.boardBusy, 0) !== 0) boardCore.attend(attention.stop);
    else post(ring);
  });
  const tracer = data.trace === null ? null : new Tracer(data.trace, (line) => post({ kind: "trace", line }));
  const core = new LiveCore(data, channel, tracer);
  while (!channel.ending) {
    if (!core.run()) {
      const milliseconds = Math.min(core.rest, SLEEP_MS_MAX);
      if (milliseconds > 0) Atomics.wait(core.words, word.attention, 0, milliseconds);
    }
    const { shutdown } = core;
    if (shutdown !== null) {
      post({ kind: "shutdown", text: shutdown });
      break;
    }
  }
  post({ kind: "ended" });
}

main(workerData as CoreWorkerData, (message) => parentPort!.postMessage(message));
