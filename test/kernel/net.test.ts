// Ethernet, ARP, IPv4, ICMP and UDP of the guest kernel, frame by frame in Node: what it answers, what it counts as
// refused and why, and that no damaged frame makes it read outside. Frames are made here, by hand, from the RFCs.
import { beforeEach, describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance } from "../support/search.js";

const kernel = new KernelWasm();
const OUR_MAC = [0x52, 0x54, 0, 0, 0, 1];
const THEIR_MAC = [0x52, 0x54, 0, 0, 0, 2];
const OURS = [10, 66, 0, 1];
const THEIRS = [10, 66, 0, 2];
const ALL = [255, 255, 255, 255, 255, 255];
const PORT = 2666;
const card = kernel.room(kernel.call("testCardBytes")() + 16);
const buffer = kernel.room(20000) + 2;
const counters = [
  "received",
  "sent",
  "cut",
  "notForUs",
  "unknownProtocol",
  "badChecksum",
  "fragments",
  "unresolved",
] as const;

let now = 1_000_000n;

beforeEach(() => {
  kernel.bytes.fill(0, card, card + kernel.call("testCardBytes")());
  kernel.call("arpClear")();
  kernel.call("testCard")(card, 0x0100_0000_5452n, 0x0100_420a, PORT, 0);
});

const field = (number: number) => kernel.call("testCardField")(number) >>> 0;
const counter = (name: (typeof counters)[number]) =>
  kernel.call("testCardCounter")(card, counters.indexOf(name));
const sent = () => [...kernel.bytes.slice(field(0), field(0) + field(1))];

function input(frame: number[], cut = frame.length): void {
  // What lies behind the frame must not matter.
  kernel.bytes.fill(0xa5, buffer, buffer + frame.length + 64);
  kernel.bytes.set(frame, buffer);
  kernel.call("ethernetInput")(card, buffer, cut, now);
}

const u16 = (value: number) => [(value >> 8) & 255, value & 255];

function internet(bytes: number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

const ethernet = (type: number, body: number[], to = OUR_MAC) => [...to, ...THEIR_MAC, ...u16(type), ...body];

interface IpOptions {
  to?: number[];
  fragment?: number;
  options?: number[];
  checksum?: number;
}
function ip(
  protocol: number,
  body: number[],
  { to = OURS, fragment = 0x4000, options = [], checksum }: IpOptions = {},
): number[] {
  const words = 5 + options.length / 4;
  const length = words * 4 + body.length;
  const header = [
    0x40 | words,
    0,
    ...u16(length),
    0,
    0,
    ...u16(fragment),
    64,
    protocol,
    0,
    0,
    ...THEIRS,
    ...to,
    ...options,
  ];
  const sum = checksum ?? internet(header);
  header.splice(10, 2, ...u16(sum));
  return ethernet(0x0800, [...header, ...body]);
}

function udp(payload: number[], { port = PORT, checksum = -1, length = payload.length + 8 } = {}): number[] {
  const header = [...u16(1234), ...u16(port), ...u16(length), 0, 0];
  const pseudo = [...THEIRS, ...OURS, 0, 17, ...u16(length)];
  const sum = internet([...pseudo, ...header, ...payload]) || 0xffff;
  header.splice(6, 2, ...u16(checksum < 0 ? sum : checksum));
  return [...header, ...payload];
}

const arp = (operation: number, sender: number[], target: number[], targetMac = [0, 0, 0, 0, 0, 0]) => [
  ...u16(1),
  ...u16(0x0800),
  6,
  4,
  ...u16(operation),
  ...THEIR_MAC,
  ...sender,
  ...targetMac,
  ...target,
];

describe("ARP (RFC 826)", () => {
  test("answers a request for our address, byte by byte", () => {
    input(ethernet(0x0806, arp(1, THEIRS, OURS), ALL));
    expect(sent()).toEqual([
      ...THEIR_MAC,
      ...OUR_MAC,
      0x08,
      0x06,
      ...[0, 1, 8, 0, 6, 4, 0, 2],
      ...OUR_MAC,
      ...OURS,
      ...THEIR_MAC,
      ...THEIRS,
    ]);
  });
  test("does not answer for others, nor nonsense", () => {
    input(ethernet(0x0806, arp(1, THEIRS, [10, 66, 0, 9]), ALL));
    input(ethernet(0x0806, arp(7, THEIRS, OURS), ALL));
    input(ethernet(0x0806, arp(1, THEIRS, OURS).slice(0, 20), ALL));
    expect(field(2) === 0 || counter("sent") === 0).toBe(true);
    expect([counter("notForUs"), counter("unknownProtocol"), counter("cut")]).toEqual([1, 1, 1]);
  });

  const send = () => kernel.call("udpSend")(card, field(0), 0x0200_420a, PORT, 0, 0, 0, now);
  const isRequest = () => sent()[12] === 8 && sent()[13] === 6;

  test("an unknown neighbour is asked for, again at growing intervals, and the datagram dropped meanwhile", () => {
    const asked: number[] = [];
    const start = now;
    for (let ms = 0; ms < 3000; ms++) {
      const before = counter("sent");
      send();
      if (counter("sent") > before) asked.push(ms);
      now += 1_000_000n;
    }
    expect(isRequest()).toBe(true);
    expect(sent().slice(0, 6)).toEqual(ALL);
    expect(asked).toEqual([0, 20, 60, 140, 300, 620, 1260, 2260]);
    expect(counter("unresolved")).toBe(3000);
    now = start + 4_000_000_000n;
  });
  test("what is known serves a minute, then is asked for again and serves on until three questions went unanswered", () => {
    send();
    input(ethernet(0x0806, arp(2, THEIRS, OURS, OUR_MAC)));
    expect(send()).toBe(1);
    expect(sent().slice(0, 6)).toEqual(THEIR_MAC);
    now += 59_000_000_000n;
    expect(send()).toBe(1);
    expect(isRequest()).toBe(false);
    now += 2_000_000_000n;
    const before = counter("sent");
    expect(send()).toBe(1);
    expect(counter("sent") - before).toBe(2); // the question, and the datagram
    for (let i = 0; i < 2; i++) {
      now += 1_000_000_000n;
      expect(send()).toBe(1);
    }
    now += 1_000_000_000n;
    expect(send()).toBe(0);
  });
});

describe("IPv4 (RFC 791)", () => {
  const payload = Array.from({ length: 40 }, (_, i) => i);
  const got = () => [...kernel.bytes.slice(field(3), field(3) + field(4))];
  test("a datagram arrives, also behind IP options and Ethernet padding", () => {
    const before = field(6);
    input(ip(17, udp(payload)));
    expect(got()).toEqual(payload);
    expect(field(5)).toBe(0x0200_420a);
    input(ip(17, udp(payload), { options: [1, 1, 1, 1] }));
    input([...ip(17, udp([1, 2, 3])), ...new Array(20).fill(0)]);
    expect(got()).toEqual([1, 2, 3]);
    expect(field(6) - before).toBe(3);
  });
  const refused: [string, (typeof counters)[number], number[]][] = [
    ["a bad header checksum", "badChecksum", ip(17, udp(payload), { checksum: 0x1234 })],
    ["a first fragment", "fragments", ip(17, udp(payload), { fragment: 0x2000 })],
    ["a later fragment", "fragments", ip(17, udp(payload), { fragment: 0x0010 })],
    ["another address", "notForUs", ip(17, udp(payload), { to: [10, 66, 0, 3] })],
    ["another protocol", "unknownProtocol", ip(6, payload)],
    ["a bad UDP checksum", "badChecksum", ip(17, udp(payload, { checksum: 0x1234 }))],
    ["no UDP checksum", "badChecksum", ip(17, udp(payload, { checksum: 0 }))],
    ["another port", "notForUs", ip(17, udp(payload, { port: 53 }))],
    ["a UDP length beyond the packet", "cut", ip(17, udp(payload, { length: 49 }))],
    ["a UDP length below its header", "cut", ip(17, udp(payload, { length: 7 }))],
    ["half a UDP header", "cut", ip(17, [1, 2, 3, 4])],
    ["IPv6", "unknownProtocol", ethernet(0x86dd, payload)],
    ["version 5", "cut", ethernet(0x0800, [0x55, ...ip(17, udp(payload)).slice(15)])],
    ["a header of 4 words", "cut", ethernet(0x0800, [0x44, ...ip(17, udp(payload)).slice(15)])],
    ["a frame of 10 bytes", "cut", OUR_MAC.concat([1, 2, 3, 4])],
    ["another card's frame", "notForUs", ethernet(0x0800, payload, [2, 2, 2, 2, 2, 2])],
  ];
  for (const [name, why, frame] of refused)
    test(`refuses and counts ${name}`, () => {
      const before = field(6);
      input(frame);
      expect(field(6)).toBe(before);
      expect(counters.slice(2).filter((name) => counter(name) > 0)).toEqual([why]);
    });
  test("every frame that is cut short is refused", () => {
    const frame = ip(17, udp(payload));
    const before = field(6);
    for (let cut = 0; cut < frame.length; cut++) input(frame, cut);
    expect(field(6)).toBe(before);
  });
});

describe("ICMP (RFC 792)", () => {
  const echo = (body: number[]) => {
    const message = [8, 0, 0, 0, 0x12, 0x34, 0, 1, ...body];
    message.splice(2, 2, ...u16(internet(message)));
    return message;
  };
  test("an echo request is answered with the same data", () => {
    input(ethernet(0x0806, arp(1, THEIRS, OURS), ALL));
    input(ip(1, echo([9, 8, 7])));
    const frame = sent();
    expect(frame.slice(0, 14)).toEqual([...THEIR_MAC, ...OUR_MAC, 8, 0]);
    expect(frame.slice(26, 34)).toEqual([...OURS, ...THEIRS]);
    expect(internet(frame.slice(14, 34))).toBe(0);
    expect(frame[34]).toBe(0);
    expect(frame.slice(38)).toEqual([0x12, 0x34, 0, 1, 9, 8, 7]);
    expect(internet(frame.slice(34))).toBe(0);
  });
  test("a damaged one is not", () => {
    const before = field(2);
    input(ip(1, [8, 0, 1, 1, 0, 0, 0, 0]));
    expect(field(2)).toBe(before);
    expect(counter("badChecksum")).toBe(1);
  });
});

test("UDP (RFC 768): what we send has right lengths and checksums, for every length", () => {
  input(ethernet(0x0806, arp(1, THEIRS, OURS), ALL));
  const more = kernel.room(9000);
  const next = chance(3);
  for (const bytes of [8, 16, 64, 72, 4160, 8960]) {
    const payload = Array.from({ length: bytes }, () => next(256));
    kernel.bytes.set(payload, more);
    expect(kernel.call("udpSend")(card, field(0), 0x0200_420a, 53, 0, more, bytes, now)).toBe(1);
    const frame = sent();
    expect(frame.length).toBe(42 + bytes);
    expect(internet(frame.slice(14, 34))).toBe(0);
    expect(frame.slice(34, 40)).toEqual([...u16(PORT), ...u16(53), ...u16(8 + bytes)]);
    expect(internet([...OURS, ...THEIRS, 0, 17, ...u16(8 + bytes), ...frame.slice(34)])).toBe(0);
    expect(frame.slice(42)).toEqual(payload);
  }
});

test("where the payload checks itself, UDP's checksum is zero both ways, and one that is there still counts", () => {
  kernel.call("testCard")(card, 0x0100_0000_5452n, 0x0100_420a, PORT, 1);
  input(ethernet(0x0806, arp(1, THEIRS, OURS), ALL));
  expect(kernel.call("udpSend")(card, field(0), 0x0200_420a, 53, 0, 0, 0, now)).toBe(1);
  expect(sent().slice(40, 42)).toEqual([0, 0]);
  const before = field(6);
  input(ip(17, udp([1, 2, 3, 4], { checksum: 0 })));
  expect(field(6)).toBe(before + 1);
  input(ip(17, udp([1, 2, 3, 4], { checksum: 0x4321 })));
  expect(field(6)).toBe(before + 1);
  expect(counter("badChecksum")).toBe(1);
});

test("the headers of a datagram that was right are right again; one bit of them, or one byte less behind them, is looked at", () => {
  kernel.call("testCard")(card, 0x0100_0000_5452n, 0x0100_420a, PORT, 1);
  const payload = [1, 2, 3, 4, 5, 6, 7, 8];
  const good = ip(17, udp(payload, { checksum: 0 }));
  for (let turn = 0; turn < 3; turn++) {
    const before = field(6);
    input(
      ip(
        17,
        udp(
          payload.map((byte) => byte + turn),
          { checksum: 0 },
        ),
      ),
    );
    expect(field(6)).toBe(before + 1);
    expect([...kernel.bytes.slice(field(3), field(3) + field(4))]).toEqual(
      payload.map((byte) => byte + turn),
    );
  }
  // All of the IP header, and of UDP's the port that it goes to and the checksum.
  const bits = [...Array(20 * 8).keys(), ...[...Array(16).keys()].flatMap((bit) => [176 + bit, 208 + bit])];
  for (const bit of bits) {
    const bad = good.slice();
    bad[14 + (bit >> 3)]! ^= 1 << (bit & 7);
    const before = field(6);
    input(bad);
    expect(field(6), `bit ${bit}`).toBe(before);
    input(good);
    expect(field(6), `after bit ${bit}`).toBe(before + 1);
  }
  const before = field(6);
  input(good, good.length - 1);
  expect(field(6)).toBe(before);
});

test("datagrams that follow each other to one neighbour have its headers, whatever the length and whoever the neighbour", () => {
  kernel.call("testCard")(card, 0x0100_0000_5452n, 0x0100_420a, PORT, 1);
  const other = [0x52, 0x54, 0, 0, 0, 9];
  const learn = (mac: number[]) =>
    input(ethernet(0x0806, [...arp(2, THEIRS, OURS).slice(0, 8), ...mac, ...arp(2, THEIRS, OURS).slice(14)]));
  input(ethernet(0x0806, arp(1, THEIRS, OURS), ALL));
  const send = (bytes: number, port = PORT) => {
    kernel.bytes.fill(7, field(0), field(0) + 100);
    expect(kernel.call("udpSend")(card, field(0), 0x0200_420a, port, bytes, 0, 0, now)).toBe(1);
    return sent();
  };
  for (const [bytes, port] of [
    [20, PORT],
    [20, PORT],
    [24, PORT],
    [20, PORT],
    [20, 99],
    [20, PORT],
  ] as const) {
    const frame = send(bytes, port);
    expect(frame.length).toBe(42 + bytes);
    expect(frame.slice(0, 6)).toEqual(THEIR_MAC);
    expect(frame.slice(16, 18)).toEqual(u16(28 + bytes));
    expect(internet(frame.slice(14, 34))).toBe(0);
    expect(frame.slice(36, 42)).toEqual([...u16(port), ...u16(8 + bytes), 0, 0]);
  }
  learn(other);
  expect(send(20).slice(0, 6)).toEqual(other);
});

test("100,000 damaged frames: none crashes the stack, none is taken for a datagram that was not sent", () => {
  const next = chance(11);
  let wrong = 0;
  for (let round = 0; round < 100_000; round++) {
    const payload = Array.from({ length: next(60) }, () => next(256));
    const kinds = [
      ip(17, udp(payload)),
      ip(1, [8, 0, ...payload]),
      ethernet(0x0806, arp(1 + next(3), THEIRS, OURS)),
    ];
    const frame = kinds[next(3)]!;
    const original = frame.slice();
    for (let i = next(5); i > 0; i--) frame[next(frame.length)] = next(256);
    const before = field(6);
    input(frame, next(4) === 0 ? next(frame.length + 1) : frame.length);
    if (field(6) === before) continue;
    // Taken: then it was not damaged where UDP looks, or the 16-bit sum could not see it.
    const got = [...kernel.bytes.slice(field(3), field(3) + field(4))];
    if (got.join() !== payload.join() && original.length > 0) wrong++;
  }
  expect(wrong).toBeLessThan(10);
});
