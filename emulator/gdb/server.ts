// `--gdb PORT`: gdb's remote protocol on a TCP port of this host, one debugger at a time.

import { createServer, type Server, type Socket } from "node:net";
import type { Debuggee } from "./debuggee.js";
import type { GdbBits } from "./registers.js";
import { Session } from "./session.js";

export interface GdbServerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly debuggee: Debuggee;
  readonly bits?: GdbBits;
  readonly log: (line: string) => void;
  /** A debugger is there, and the machine is to stop for it. */
  readonly attached: () => Promise<void>;
  readonly left: (how: "detach" | "kill") => void;
}

export interface GdbServer {
  readonly port: number;
  close(): void;
}

export async function serveGdb(o: GdbServerOptions): Promise<GdbServer> {
  let present: Socket | null = null;
  const server = createServer((socket) => {
    if (present !== null) {
      o.log("gdb: a second debugger was refused");
      socket.destroy();
      return;
    }
    present = socket;
    attend(socket, o, () => {
      present = null;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`--gdb ${o.port}: ${error.message}`)));
    server.listen(o.port, "127.0.0.1", resolve);
  });
  return {
    port: portOf(server),
    close: () => {
      server.close();
      present?.destroy();
    },
  };
}

function attend(socket: Socket, o: GdbServerOptions, gone: () => void): void {
  socket.setNoDelay(true);
  let how: "detach" | "kill" | null = null;
  const session = new Session({
    debuggee: o.debuggee,
    ...(o.bits === undefined ? {} : { bits: o.bits }),
    send: (bytes) => void socket.write(bytes),
    leave: (way) => {
      how = way;
      setImmediate(() => socket.end()); // after the answer
    },
    log: o.log,
  });
  // What it says before the machine has stopped waits.
  const stopped = o.attached();
  socket.on("data", (bytes: Buffer) => void stopped.then(() => session.receive(bytes)));
  socket.on("error", (error) => o.log(`gdb: ${error.message}`));
  socket.on("close", () => {
    gone();
    o.debuggee.interrupt();
    o.left(how ?? "detach");
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("gdb: the server has no port");
  return address.port;
}
