// The bridge's doors: a websocket server on which one binary message is one Ethernet frame, and a TCP port that
// speaks QEMU's socket framing. Behind both stands one Switch. A member whose socket is full loses frames, which
// are counted; it never holds up the others.

import { timingSafeEqual } from "node:crypto";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { Delays } from "./delays.js";
import { type FaultOptions, Faults } from "./faults.js";
import { FRAME_BYTES_MAX } from "./frame.js";
import { isLoopback } from "./loopback.js";
import { Capture } from "./pcap.js";
import { Decoder, encode } from "./qemu.js";
import { Switch } from "./switch.js";
import { Witness } from "./witness.js";

/** Bytes that may wait for one member before its frames are dropped. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;

export interface BridgeOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** What a member must show; required unless `host` is a loopback address. */
  readonly token?: string;
  /** TCP port for QEMU machines; 0 lets the system choose. Left out: none. It takes no token, so loopback only. */
  readonly qemuPort?: number;
  readonly pcap?: string;
  readonly faults?: FaultOptions;
  readonly random: () => number;
  /** 64 bits that no bridge had before: this life of its vote (witness.ts). */
  readonly life: bigint;
  /** Microseconds, for the capture's time stamps. */
  readonly clock: () => number;
  readonly log: (line: string) => void;
  /** Told of the stations that have named themselves and are joined, each time that they change. */
  readonly onStations?: (stations: readonly number[]) => void;
}

/** The bridge's vote among the stations of a `Weather`. */
export const WITNESS_STATION = 0;

/** What a wire is like for a while. Stations are the numbers that members give in the URL by which they join (`?station=3`). */
export interface Weather {
  /** Frames from the first no longer reach the second. */
  readonly deaf: readonly (readonly [from: number, to: number])[];
  /** Instead of what the bridge was opened with. */
  readonly faults: FaultOptions;
}

export interface BridgeCounts {
  members: number;
  forwarded: number;
  flooded: number;
  refused: number;
  dropped: number;
  lost: number;
  duplicated: number;
  parted: number;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #switch = new Switch();
  readonly #faults: Faults;
  readonly #capture: Capture | null;
  readonly #http: HttpServer;
  readonly #sockets: WebSocketServer;
  readonly #tcp: TcpServer | null;
  readonly #tcpMembers = new Set<Socket>();
  readonly #delays = new Delays();
  /** Port by port, for members that have named themselves. */
  readonly #stations = new Map<number, number>();
  #deaf: Weather["deaf"] = [];
  #members = 0;
  #dropped = 0;

  private constructor(options: BridgeOptions) {
    if (options.token === undefined && !isLoopback(options.host)) {
      throw new Error(`listening on ${options.host} needs a token: only loopback is open to all`);
    }
    if (options.token === "") throw new Error("the token is empty");
    this.#options = options;
    this.#faults = new Faults(options.faults ?? {}, options.random);
    this.#capture = options.pcap === undefined ? null : new Capture(options.pcap, options.log);
    this.#http = createServer((_request, response) => {
      response.writeHead(426, { "content-type": "text/plain" }).end("a Buslock bridge: websocket only\n");
    });
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
    });
    this.#http.on("upgrade", (request, socket, head) => {
      if (!this.#admitted(request)) {
        options.log(`refused ${request.socket.remoteAddress ?? "?"}: wrong token`);
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (member) => {
        (socket as Socket).setNoDelay(true);
        this.#join(member, socket, request.socket.remoteAddress ?? "?", stationOf(request));
      });
    });
    this.#attachWitness(new Witness(options.life));
    this.#tcp = options.qemuPort === undefined ? null : createTcpServer((socket) => this.#joinQemu(socket));
  }

  /** Opens the ports; rejects with the system's error (port in use, ...) when it cannot. */
  static async open(options: BridgeOptions): Promise<Bridge> {
    const bridge = new Bridge(options);
    try {
      await listen(bridge.#http, options.port, options.host);
      if (bridge.#tcp !== null) await listen(bridge.#tcp, options.qemuPort!, "127.0.0.1");
    } catch (error) {
      await bridge.close();
      throw error;
    }
    return bridge;
  }

  get url(): string {
    const host = this.#options.host.includes(":") ? `[${this.#options.host}]` : this.#options.host;
    return `ws://${host}:${(this.#http.address() as AddressInfo).port}/`;
  }

  get qemuPort(): number | null {
    return this.#tcp === null ? null : (this.#tcp.address() as AddressInfo).port;
  }

  get counts(): BridgeCounts {
    return { members: this.#members, ...this.#switch.counts, dropped: this.#dropped, ...this.#faults.counts };
  }

  /** The wire is like that from now on. */
  become({ deaf, faults }: Weather): void {
    this.#deaf = deaf;
    this.#faults.become({ ...this.#options.faults, ...faults });
    this.#deafen();
  }

  #deafen(): void {
    const ports = (station: number) =>
      [...this.#stations].filter(([, at]) => at === station).map(([port]) => port);
    this.#faults.deafen(
      this.#deaf.flatMap(([from, to]) =>
        ports(from).flatMap((a) => ports(to).map((b): [number, number] => [a, b])),
      ),
    );
  }

  /** A port belongs to that station from now on; null: to none any more. */
  #station(port: number, station: number | null): void {
    if (station === null) {
      if (!this.#stations.delete(port)) return;
    } else this.#stations.set(port, station);
    this.#deafen();
    this.#options.onStations?.([...this.#stations.values()].filter((at) => at !== WITNESS_STATION));
  }

  async close(): Promise<void> {
    this.#delays.drop();
    for (const member of this.#sockets.clients) member.terminate();
    for (const socket of this.#tcpMembers) socket.destroy();
    this.#capture?.close();
    await Promise.all([closed(this.#http), this.#tcp === null ? null : closed(this.#tcp)]);
  }

  #admitted(request: IncomingMessage): boolean {
    const { token } = this.#options;
    if (token === undefined) return true;
    const shown =
      request.headers.authorization?.replace(/^Bearer /, "") ??
      new URL(request.url ?? "/", "ws://bridge").searchParams.get("token") ??
      "";
    const a = Buffer.from(shown);
    const b = Buffer.from(token);
    return a.length === b.length && timingSafeEqual(a, b);
  }

  #join(member: WebSocket, stream: Duplex, from: string, station: number | null): void {
    const gather = gathering(stream);
    const port = this.#attach((frame) => {
      if (member.readyState !== member.OPEN) return;
      if (member.bufferedAmount > QUEUE_BYTES_MAX) this.#dropped++;
      else {
        gather();
        member.send(frame, { binary: true });
      }
    });
    this.#options.log(`member ${port} joined from ${from}`);
    if (station !== null) this.#station(port, station);
    member.on("message", (data, isBinary) => {
      if (!isBinary) {
        member.close(1003, "frames are binary messages");
        return;
      }
      this.#receive(port, data as Buffer);
    });
    // An oversize message or a protocol error: ws closes the member itself; we only say so.
    member.on("error", (error) => this.#options.log(`member ${port}: ${error.message}`));
    member.on("close", () => this.#leave(port));
  }

  #joinQemu(socket: Socket): void {
    socket.setNoDelay(true);
    this.#tcpMembers.add(socket);
    const decoder = new Decoder();
    const gather = gathering(socket);
    const port = this.#attach((frame) => {
      if (socket.writableLength > QUEUE_BYTES_MAX) this.#dropped++;
      else {
        gather();
        socket.write(encode(frame));
      }
    });
    this.#options.log(`member ${port} joined by the QEMU port`);
    socket.on("data", (chunk) => {
      try {
        for (const frame of decoder.push(chunk)) this.#receive(port, frame);
      } catch (error) {
        this.#options.log(`member ${port}: ${(error as Error).message}`);
        socket.destroy();
      }
    });
    socket.on("error", (error) => this.#options.log(`member ${port}: ${error.message}`));
    socket.on("close", () => {
      this.#tcpMembers.delete(socket);
      this.#leave(port);
    });
  }

  /** A station inside the bridge: no wire leads to it, so it loses nothing; but it may be parted from members. */
  #attachWitness(witness: Witness): void {
    const port: number = this.#switch.attach((frame) => {
      if (this.#faults.parted(this.#sender, port)) return;
      const answer = witness.receive(frame);
      if (answer !== null) queueMicrotask(() => this.#receive(port, answer));
    });
    this.#stations.set(port, WITNESS_STATION);
  }

  #attach(send: (frame: Uint8Array) => void): number {
    this.#members++;
    const port: number = this.#switch.attach((frame) => {
      for (const delay of this.#faults.copies(this.#sender, port)) {
        if (delay <= 0) send(frame);
        else this.#delays.hold(delay, () => send(frame));
      }
    });
    return port;
  }

  /** The port whose frame the switch is handing on at this moment. */
  #sender = 0;

  #receive(port: number, frame: Uint8Array): void {
    this.#capture?.add(frame, this.#options.clock());
    this.#sender = port;
    const refused = this.#switch.receive(port, frame);
    if (refused !== null) this.#options.log(`member ${port}: ${refused}`);
  }

  #leave(port: number): void {
    this.#switch.detach(port);
    this.#station(port, null);
    this.#members--;
    this.#options.log(`member ${port} left`);
  }
}

/** To be called before a write: what is written until the present event has been dealt with leaves by one system call. */
function gathering(stream: Duplex): () => void {
  let corked = false;
  const uncork = () => {
    corked = false;
    stream.uncork();
  };
  return () => {
    if (corked) return;
    corked = true;
    stream.cork();
    process.nextTick(uncork);
  };
}

/** The number that a member gives itself; null: none, or none that may be. */
function stationOf(request: IncomingMessage): number | null {
  const text = new URL(request.url ?? "/", "ws://bridge").searchParams.get("station") ?? "";
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : null;
}

function listen(server: HttpServer | TcpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function closed(server: HttpServer | TcpServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
