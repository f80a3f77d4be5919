// A machine's end of the websocket: frames out, frames in, and a new connection whenever the old one is lost,
// since a restart of the bridge is a link loss and nothing more (the guest's link layer retransmits).

import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { FRAME_BYTES_MAX } from "./frame.js";
import { isLoopback } from "./loopback.js";

const QUEUE_BYTES_MAX = 4 * 1024 * 1024;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1000;

/**
 * A masking key for a bridge on this host. Keys keep a sender from speaking to an intermediary in its own protocol (RFC 6455, 10.3); there
 * is none on loopback, and ws takes the time to mask a payload, and the bridge's ws to unmask it, only where the key is not zero.
 */
const noMask = (key: Buffer) => void key.fill(0);

export interface ClientOptions {
  readonly url: string;
  readonly token?: string;
  readonly onFrame: (frame: Uint8Array) => void;
  /** Called on each change; `detail` says why a connection was lost or could not be made. */
  readonly onState?: (state: "up" | "down", detail: string) => void;
}

export class BridgeClient {
  readonly #options: ClientOptions;
  readonly #masks: boolean;
  #socket: WebSocket | null = null;
  /** What it stands on. */
  #stream: Duplex | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs = RETRY_MS_MIN;
  #closed = false;
  #wasUp = false;
  /** Frames that could not be sent: no connection, or its queue was full. */
  dropped = 0;

  constructor(options: ClientOptions) {
    const { protocol, hostname } = new URL(options.url); // throws on what is not a URL
    if (protocol !== "ws:" && protocol !== "wss:")
      throw new Error(`bridge ${options.url}: wanted a ws:// or wss:// URL`);
    this.#options = options;
    this.#masks = !isLoopback(hostname);
  }

  /** Connects; rejects when this first attempt fails (no bridge there, wrong token). */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = this.#open();
      socket.once("open", resolve);
      socket.once("error", (error) =>
        reject(
          new Error(
            `bridge ${this.#options.url}: ${error.message || String((error as { code?: string }).code)}`,
          ),
        ),
      );
    });
  }

  /** The frame's bytes are the caller's again at once. */
  send(frame: Uint8Array): void {
    const socket = this.#socket;
    if (socket === null || socket.readyState !== socket.OPEN || socket.bufferedAmount > QUEUE_BYTES_MAX) {
      this.dropped++;
      return;
    }
    // To mask is to copy.
    socket.send(this.#masks ? frame : Buffer.from(frame), { binary: true });
  }

  /** Calls `send`; the frames that it sends leave by one system call, when it has returned. */
  together(send: () => void): void {
    const stream = this.#stream;
    stream?.cork();
    try {
      send();
    } finally {
      stream?.uncork();
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.terminate();
    this.#socket = null;
    this.#stream = null;
  }

  #open(): WebSocket {
    const { url, token, onFrame, onState } = this.#options;
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      ...(this.#masks ? {} : { generateMask: noMask }),
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
    let problem = "closed";
    let stream: Duplex | null = null;
    socket.on("upgrade", (response) => {
      stream = response.socket;
    });
    socket.on("open", () => {
      this.#wasUp = true;
      this.#retryMs = RETRY_MS_MIN;
      this.#socket = socket;
      this.#stream = stream;
      onState?.("up", "");
    });
    socket.on("message", (data, isBinary) => {
      if (isBinary) onFrame(data as Buffer);
    });
    socket.on("error", (error) => {
      problem = error.message;
    });
    socket.on("close", () => {
      if (this.#socket === socket) {
        this.#socket = null;
        this.#stream = null;
        onState?.("down", problem);
      }
      // A first attempt that failed is connect()'s to report, and is not repeated.
      if (this.#closed || !this.#wasUp) return;
      this.#timer = setTimeout(() => this.#open(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    });
    return socket;
  }
}
