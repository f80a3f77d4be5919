// How long a machine of a live cluster takes to answer: a process at the bridge is one more neighbour of it, and sends it echo
// requests (RFC 792) in frames of 64 bytes, one after the other, after it has asked for its address (RFC 826).
import { BridgeClient } from "../../netbridge/client.js";

const FRAME_BYTES = 64;
const ALL = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const NOBODY = [0, 0, 0, 0, 0, 0];
const OUR_MAC = [2, 0, 0, 0, 0, 0xee];
const NETWORK = [10, 66, 0];
const OURS = [...NETWORK, 200];
const ARP = [0x08, 0x06];
const IPV4 = [0x08, 0x00];
/** Ethernet and IPv4, their type; then the operation: a request, a reply. */
const ARP_HEAD = [0, 1, ...IPV4, 6, 4, 0];
const [REQUEST, REPLY] = [1, 2];
const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const ICMP = 1;
const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
/** Milliseconds: who answers later, or not at all, is asked again. */
const PATIENCE = 500;

/** Nanoseconds from each request to its answer, for one machine of the cluster at that bridge. */
export async function ping(url: string, machine: number, count: number): Promise<number[]> {
  const theirs = [...NETWORK, machine];
  let hear: (frame: Uint8Array) => void = () => {};
  const client = new BridgeClient({ url, onFrame: (frame) => hear(frame) });
  await client.connect();
  /** The first frame that is an answer, or null. */
  const ask = (request: Uint8Array, answers: (frame: Uint8Array) => boolean): Promise<Uint8Array | null> =>
    new Promise((resolve) => {
      const late = setTimeout(() => resolve(null), PATIENCE);
      hear = (frame) => {
        if (isArp(frame, REQUEST) && same(frame, 38, OURS)) client.send(arp(REPLY, frame.slice(22, 32)));
        if (!answers(frame)) return;
        clearTimeout(late);
        resolve(frame);
      };
      client.send(request);
    });
  try {
    const reply = await until(() =>
      ask(arp(REQUEST, [...NOBODY, ...theirs]), (frame) => isArp(frame, REPLY) && same(frame, 28, theirs)),
    );
    const request = echo([...reply.slice(22, 28)], theirs);
    const times: number[] = [];
    while (times.length < count) {
      const sent = performance.now();
      if ((await ask(request, isEcho)) !== null) times.push((performance.now() - sent) * 1e6);
    }
    return times;
  } finally {
    client.close();
  }
}

const TRIES = 20;

async function until<T>(get: () => Promise<T | null>): Promise<T> {
  for (let i = 0; i < TRIES; i++) {
    const value = await get();
    if (value !== null) return value;
  }
  throw new Error("ping: the machine does not answer");
}

const same = (frame: Uint8Array, at: number, bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => frame[at + i] === byte);

const isArp = (frame: Uint8Array, operation: number): boolean =>
  same(frame, 12, ARP) && same(frame, ETHERNET_BYTES, [...ARP_HEAD, operation]);

const isEcho = (frame: Uint8Array): boolean =>
  same(frame, 0, OUR_MAC) &&
  same(frame, 12, IPV4) &&
  frame[ETHERNET_BYTES + 9] === ICMP &&
  frame[ETHERNET_BYTES + IP_BYTES] === ECHO_REPLY;

/** `target`: the neighbour's address on the wire, and its IPv4 address. */
function arp(operation: number, target: ArrayLike<number>): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  frame.set(operation === REQUEST ? ALL : Array.from(target).slice(0, 6), 0);
  frame.set([...OUR_MAC, ...ARP, ...ARP_HEAD, operation, ...OUR_MAC, ...OURS], 6);
  frame.set(target, 32);
  return frame;
}

function echo(mac: readonly number[], theirs: readonly number[]): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  frame.set([...mac, ...OUR_MAC, ...IPV4, 0x45, 0, 0, FRAME_BYTES - ETHERNET_BYTES], 0);
  frame.set([64, ICMP], ETHERNET_BYTES + 8);
  frame.set([...OURS, ...theirs], ETHERNET_BYTES + 12);
  sign(frame, ETHERNET_BYTES, ETHERNET_BYTES + IP_BYTES, ETHERNET_BYTES + 10);
  frame[ETHERNET_BYTES + IP_BYTES] = ECHO_REQUEST;
  sign(frame, ETHERNET_BYTES + IP_BYTES, FRAME_BYTES, ETHERNET_BYTES + IP_BYTES + 2);
  return frame;
}

/** The internet checksum (RFC 1071) of those bytes, where it belongs. */
function sign(frame: Uint8Array, from: number, to: number, at: number): void {
  let sum = 0;
  for (let i = from; i < to; i += 2) sum += frame[i]! * 256 + frame[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.set([(~sum >>> 8) & 0xff, ~sum & 0xff], at);
}
