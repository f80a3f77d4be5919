// The bridge's sockets, on loopback. Each test opens its own bridge on a port that the system chooses.
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Random } from "../../emulator/random.js";
import { BridgeClient } from "../../netbridge/client.js";
import { FRAME_BYTES_MAX } from "../../netbridge/frame.js";
import { Decoder, encode } from "../../netbridge/qemu.js";
import { Bridge, type BridgeOptions } from "../../netbridge/server.js";
import { temporaryFolder } from "../support/folder.js";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function bridge(options: Partial<BridgeOptions> = {}) {
  const lines: string[] = [];
  const random = new Random(1);
  const server = await Bridge.open({
    life: 1n,
    host: "127.0.0.1",
    port: 0,
    random: () => random.next(),
    clock: () => 0,
    log: (line) => lines.push(line),
    ...options,
  });
  open.push(server);
  return { server, lines };
}

async function member(url: string, token?: string) {
  const heard: Uint8Array[] = [];
  const states: string[] = [];
  const client = new BridgeClient({
    url,
    onFrame: (f) => heard.push(Uint8Array.from(f)),
    onState: (s) => states.push(s),
    ...(token === undefined ? {} : { token }),
  });
  open.push(client);
  await client.connect();
  return { client, heard, states };
}

function frame(to: number, from: number, bytes = 60, fill = 0): Uint8Array {
  const f = new Uint8Array(bytes).fill(fill);
  f.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0]);
  return f;
}

async function until(condition: () => boolean, what: string) {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited 10 s for ${what}`);
    await new Promise((r) => setTimeout(r, 5));
  }
}

/** A door in front of a bridge; what its one member says is kept, and held back until `pass()`. */
async function listening(to: string) {
  const said: Buffer[] = [];
  const port = Number(new URL(to).port);
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    open.push({ close: () => far.destroy() }, { close: () => near.destroy() });
    far.pipe(near);
    near.on("data", (chunk) => {
      said.push(chunk);
      far.write(chunk);
    });
    door.pause = () => near.pause();
    door.pass = () => near.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  open.push(server);
  const door = { said, port: (server.address() as AddressInfo).port, pause: () => {}, pass: () => {} };
  return door;
}

describe("bridge", () => {
  it.each([
    ["127.0.0.1", "as they are"],
    ["0.0.0.0", "masked"],
  ])("hears what is sent to it at %s %s", async (host, how) => {
    const { server } = await bridge();
    const door = await listening(server.url);
    const a = await member(`ws://${host}:${door.port}/`);
    const b = await member(server.url);
    const sent = frame(2, 1, 200, 0x5a);
    a.client.send(sent);
    await until(() => b.heard.length === 1, "the frame");
    expect(b.heard[0]).toEqual(sent);
    // RFC 6455, 5.2: FIN and a binary message; MASK and a 16-bit length; the key; the payload.
    const bytes = Buffer.concat(door.said);
    const at = bytes.lastIndexOf(Uint8Array.of(0x82, 0x80 | 126, 0, 200));
    const key = bytes.subarray(at + 4, at + 8);
    expect(at).toBeGreaterThan(0);
    expect(key.equals(Buffer.alloc(4))).toBe(how === "as they are");
    expect(bytes.subarray(at + 8).map((byte, i) => byte ^ key[i & 3]!)).toEqual(Buffer.from(sent));
  });

  it("is sent what a frame was when it was sent, however late it can leave", async () => {
    const { server } = await bridge();
    const door = await listening(server.url);
    const a = await member(`ws://127.0.0.1:${door.port}/`);
    const b = await member(server.url);
    door.pause();
    const buffer = frame(2, 1, FRAME_BYTES_MAX);
    // Until the system's buffers are full, and then what waits in the member.
    let sent = 0;
    for (; a.client.dropped === 0; sent++) {
      buffer.fill(sent, 14);
      a.client.send(buffer);
    }
    door.pass();
    await until(() => b.heard.length === sent - 1, "all frames");
    for (const [i, heard] of b.heard.entries()) {
      expect(heard.subarray(14).every((byte) => byte === (i & 0xff))).toBe(true);
    }
  });

  it("carries one frame per websocket message between members, jumbo frames too", async () => {
    const { server } = await bridge();
    const a = await member(server.url);
    const b = await member(server.url);
    a.client.send(frame(2, 1, FRAME_BYTES_MAX, 0x5a));
    await until(() => b.heard.length === 1, "the frame");
    expect(b.heard[0]).toEqual(frame(2, 1, FRAME_BYTES_MAX, 0x5a));
    expect(a.heard).toEqual([]);
  });

  it("frames that are sent together leave by one system call, from a member and from the bridge", async () => {
    const { server } = await bridge();
    const a = await member(server.url);
    const b = await member(server.url);
    b.client.send(frame(0xff, 2));
    await until(() => a.heard.length === 1, "the address of the second");
    const writes = vi.spyOn(Socket.prototype, "_write");
    const gathered = vi.spyOn(Socket.prototype, "_writev");
    const sent = [100, 200, 3000].map((bytes) => frame(2, 1, bytes));
    a.client.together(() => {
      for (const f of sent) a.client.send(f);
    });
    await until(() => b.heard.length === 3, "the frames");
    expect(b.heard).toEqual(sent);
    // One by the member and one by the bridge, a header and a buffer a frame.
    expect(gathered.mock.calls.map(([chunks]) => chunks.length)).toEqual([6, 6]);
    expect(writes).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  it("whoever throws while frames are sent together holds up nothing", async () => {
    const { server } = await bridge();
    const a = await member(server.url);
    const b = await member(server.url);
    const broken = () => {
      a.client.send(frame(2, 1));
      throw new Error("broken");
    };
    expect(() => a.client.together(broken)).toThrow("broken");
    a.client.send(frame(2, 1));
    await until(() => b.heard.length === 2, "the frames");
  });

  it("asks for the token and refuses a wrong one by 401, in words", async () => {
    const { server, lines } = await bridge({ token: "secret" });
    await expect(member(server.url)).rejects.toThrow(/401/);
    await expect(member(server.url, "guess")).rejects.toThrow(/401/);
    await member(server.url, "secret");
    expect(lines.filter((l) => l.includes("wrong token")).length).toBe(2);
  });

  it("will not listen beyond loopback without a token", async () => {
    await expect(bridge({ host: "0.0.0.0" })).rejects.toThrow(/needs a token/);
  });

  it("says which port could not be opened", async () => {
    const { server } = await bridge();
    const port = Number(new URL(server.url).port);
    await expect(bridge({ port })).rejects.toThrow(/EADDRINUSE/);
  });

  it("keeps no port when it cannot have all", async () => {
    const taken = Number(new URL((await bridge()).server.url).port);
    const free = (await bridge()).server;
    const port = Number(new URL(free.url).port);
    await free.close();
    open.splice(open.indexOf(free), 1);
    await expect(bridge({ port, qemuPort: taken })).rejects.toThrow(/EADDRINUSE/);
    await bridge({ port });
  });

  it("drops a member that sends text or an oversize message, and serves the rest", async () => {
    const { server } = await bridge();
    const good = await member(server.url);
    const codes: number[] = [];
    for (const message of ["hello", new Uint8Array(FRAME_BYTES_MAX + 1)]) {
      const bad = new WebSocket(server.url);
      bad.on("open", () => bad.send(message));
      codes.push(await new Promise((r) => bad.on("close", r)));
    }
    expect(codes).toEqual([1003, 1009]);
    const other = await member(server.url);
    other.client.send(frame(1, 2));
    await until(() => good.heard.length === 1, "the frame");
  });

  it("survives 2000 random messages", async () => {
    const { server } = await bridge();
    const random = new Random(99);
    const a = await member(server.url);
    const b = await member(server.url);
    for (let i = 0; i < 2000; i++) {
      const junk = new Uint8Array(random.below(200));
      for (let j = 0; j < junk.length; j++) junk[j] = random.bits();
      a.client.send(junk);
    }
    a.client.send(frame(2, 1, 60, 7));
    await until(() => b.heard.some((f) => f.length === 60 && f[59] === 7 && f[11] === 1), "the good frame");
    expect(server.counts.refused).toBeGreaterThan(100);
  });

  it("drops frames for a slow member and never holds up the others", async () => {
    const { server } = await bridge();
    const slow = new WebSocket(server.url);
    open.push({ close: () => slow.terminate() });
    await new Promise((r) => slow.on("open", r));
    slow.pause();
    const a = await member(server.url);
    const b = await member(server.url);
    const total = 4000;
    for (let i = 0; i < total; i++) {
      a.client.send(frame(0xff, 1, FRAME_BYTES_MAX));
      if (i % 50 === 0) await new Promise((r) => setImmediate(r));
    }
    await until(() => b.heard.length + a.client.dropped >= total, "the fast member's frames");
    expect(b.heard.length).toBeGreaterThan(0);
    expect(server.counts.dropped).toBeGreaterThan(0);
  });

  it("is found again by its members after a restart", async () => {
    const { server } = await bridge();
    const port = Number(new URL(server.url).port);
    const a = await member(server.url);
    const b = await member(server.url);
    open.splice(open.indexOf(server), 1);
    await server.close();
    await until(() => a.states.at(-1) === "down" && b.states.at(-1) === "down", "the loss");
    await bridge({ port });
    await until(() => a.states.at(-1) === "up" && b.states.at(-1) === "up", "the return");
    a.client.send(frame(2, 1));
    await until(() => b.heard.length === 1, "the frame");
  });

  it("speaks QEMU's framing on its TCP port", async () => {
    const { server } = await bridge({ qemuPort: 0 });
    const a = await member(server.url);
    const socket = connect(server.qemuPort!, "127.0.0.1");
    open.push({ close: () => socket.destroy() });
    const decoder = new Decoder();
    const heard: Uint8Array[] = [];
    socket.on("data", (chunk) => heard.push(...decoder.push(chunk)));
    socket.write(encode(frame(0xff, 3)));
    await until(() => a.heard.length === 1, "QEMU's frame");
    a.client.send(frame(3, 1, 4200));
    await until(() => heard.length === 1, "the answer");
    expect(heard[0]!.length).toBe(4200);
    const bad = connect(server.qemuPort!, "127.0.0.1");
    bad.write(new Uint8Array([0xff, 0, 0, 0]));
    await new Promise((r) => bad.on("close", r));
  });

  it("captures to a pcap file, and a full disk ends the capture with one report", async () => {
    const folder = temporaryFolder();
    open.push({ close: folder.remove });
    const path = join(folder.path, "wire.pcap");
    const { server } = await bridge({ pcap: path });
    const a = await member(server.url);
    const b = await member(server.url);
    a.client.send(frame(2, 1));
    await until(() => b.heard.length === 1, "the frame");
    expect(readFileSync(path).length).toBe(24 + 16 + 60);

    await expect(bridge({ pcap: "/nonexistent/x" })).rejects.toThrow("capture to /nonexistent/x: ENOENT");
    const full = await bridge({ pcap: "/dev/full" });
    const c = await member(full.server.url);
    const d = await member(full.server.url);
    c.client.send(frame(2, 1));
    c.client.send(frame(2, 1));
    await until(() => d.heard.length === 2, "both frames");
    expect(full.lines.filter((l) => l.includes("capture to /dev/full ended: ENOSPC")).length).toBe(1);
  });

  it("loses by seed", async () => {
    const { server } = await bridge({ faults: { loss: 1 } });
    const a = await member(server.url);
    const b = await member(server.url);
    a.client.send(frame(2, 1));
    await until(() => server.counts.lost === 1, "the loss");
    expect(b.heard).toEqual([]);
  });
});

describe("weather", () => {
  async function stations() {
    const told: (readonly number[])[] = [];
    const { server } = await bridge({ onStations: (now) => told.push(now) });
    const one = await member(`${server.url}?station=1`);
    const two = await member(`${server.url}?station=2`);
    const none = await member(server.url);
    await until(() => server.counts.members >= 3, "three members");
    return { server, told, one, two, none };
  }

  it("a station no longer hears another, which hears it; who joins again under that number is cut off too", async () => {
    const { server, told, one, two, none } = await stations();
    expect(told.at(-1)).toEqual([1, 2]);
    server.become({ deaf: [[1, 2]], faults: {} });
    one.client.send(frame(255, 1));
    two.client.send(frame(255, 2));
    await until(() => none.heard.length === 2, "both frames");
    expect(one.heard).toHaveLength(1);
    expect(two.heard).toHaveLength(0);
    one.client.close();
    await until(() => told.at(-1)!.length === 1, "station 1 to leave");
    const again = await member(`${server.url}?station=1`);
    await until(() => told.at(-1)!.length === 2, "station 1 to join");
    again.client.send(frame(255, 1));
    await until(() => none.heard.length === 3, "the third frame");
    expect(two.heard).toHaveLength(0);
    server.become({ deaf: [], faults: {} });
    again.client.send(frame(255, 1));
    await until(() => two.heard.length === 1, "the wire to heal");
  });

  it("faults come and go with it, those that the bridge was opened with stay", async () => {
    const { server, one, two } = await stations();
    server.become({ deaf: [], faults: { duplicate: 1 } });
    one.client.send(frame(255, 1));
    await until(() => two.heard.length === 2, "two copies");
    server.become({ deaf: [], faults: { loss: 1 } });
    one.client.send(frame(255, 1));
    await until(() => server.counts.lost === 2, "the frame to be lost on both ports");
    server.become({ deaf: [], faults: {} });
    one.client.send(frame(255, 1));
    await until(() => two.heard.length === 3, "one copy");
  });
});
