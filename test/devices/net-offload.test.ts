// What the network card does in its driver's stead: VIRTIO 1.2, 5.1.6.2 (checksums, TCP segments) and 5.1.6.4 (checked
// checksums, merged buffers). Checksums are judged by a sum modulo 2^16 - 1, which is what RFC 1071's is.

import { beforeEach, describe, expect, test } from "vitest";
import { Random } from "../../emulator/random.js";
import { Driver, type DriverQueue, feature, pattern } from "./virtio-driver.js";

const TRANSMIT = feature.mac | feature.csum | feature.hostTso4 | feature.hostTso6 | feature.hostEcn;
const tcpFlag = { fin: 1, psh: 8, ack: 16, cwr: 128 } as const;
const AT = 0x10_0000;
const MTU_FRAME = 9014;

/** The sum of all 16-bit words modulo 2^16 - 1. */
function remainder(bytes: Uint8Array): number {
  let sum = 0n;
  for (const [index, byte] of bytes.entries()) sum += BigInt(byte) << (index % 2 === 0 ? 8n : 0n);
  return Number(sum % 0xffffn);
}

interface Datagram {
  readonly version?: 4 | 6;
  readonly protocol?: 6 | 17;
  readonly payload: Uint8Array;
  readonly flags?: number;
  /** Bytes of TCP options, and of IPv4's. */
  readonly options?: number;
  readonly ipOptions?: number;
  readonly tags?: number;
}

/** A frame as a driver hands it over: the checksum field holds the pseudo header's sum. */
class Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly network: number;
  readonly transport: number;
  readonly payload: number;
  readonly version: 4 | 6;
  readonly protocol: 6 | 17;

  private constructor(bytes: Uint8Array, tags: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.network = 14 + 4 * tags;
    this.version = (bytes[this.network]! >> 4) as 4 | 6;
    this.transport = this.network + (this.version === 4 ? (bytes[this.network]! & 15) * 4 : 40);
    this.protocol = bytes[this.network + (this.version === 4 ? 9 : 6)] as 6 | 17;
    this.payload = this.transport + (this.protocol === 17 ? 8 : (bytes[this.transport + 12]! >> 4) * 4);
  }

  static of(bytes: Uint8Array, tags = 0): Packet {
    return new Packet(bytes, tags);
  }

  static make(what: Datagram): Packet {
    const {
      version = 4,
      protocol = 6,
      payload,
      flags = tcpFlag.ack,
      options = 12,
      ipOptions = 0,
      tags = 0,
    } = what;
    const network = 14 + 4 * tags;
    const transport = network + (version === 4 ? 20 + ipOptions : 40);
    const start = transport + (protocol === 17 ? 8 : 20 + options);
    const bytes = new Uint8Array(start + payload.length);
    const view = new DataView(bytes.buffer);
    bytes.set([0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1]);
    for (let tag = 0; tag < tags; tag++) view.setUint32(12 + 4 * tag, 0x8100_0005);
    view.setUint16(network - 2, version === 4 ? 0x0800 : 0x86dd);
    bytes[network] = version === 4 ? 0x40 | ((20 + ipOptions) / 4) : 0x60;
    if (version === 4) {
      view.setUint16(network + 2, bytes.length - network);
      view.setUint16(network + 4, 0xfffe);
      bytes.set([64, protocol], network + 8);
      bytes.set([10, 0, 0, 1, 10, 0, 0, 2], network + 12);
      bytes.fill(1, network + 20, transport);
      view.setUint16(network + 10, 0xffff - remainder(bytes.subarray(network, transport)));
    } else {
      view.setUint16(network + 4, bytes.length - network - 40);
      bytes.set([protocol, 64], network + 6);
      for (let at = 8; at < 40; at++) bytes[network + at] = 0xa0 + at;
    }
    view.setUint32(transport, 0x1388_1389);
    if (protocol === 17) view.setUint16(transport + 4, bytes.length - transport);
    else {
      view.setUint32(transport + 4, 0xffff_ff00);
      bytes.set([((20 + options) / 4) << 4, flags], transport + 12);
      bytes.fill(1, transport + 20, start);
    }
    bytes.set(payload, start);
    const packet = new Packet(bytes, tags);
    view.setUint16(packet.field, packet.pseudo);
    return packet;
  }

  get field(): number {
    return this.transport + (this.protocol === 17 ? 6 : 16);
  }
  /** The pseudo header's sum (RFC 9293, 3.1; RFC 8200, 8.1). */
  get pseudo(): number {
    const addresses = this.bytes.slice(
      this.network + (this.version === 4 ? 12 : 8),
      this.network + (this.version === 4 ? 20 : 40),
    );
    return (remainder(addresses) + this.protocol + this.bytes.length - this.transport) % 0xffff;
  }
  /** Whether every checksum in it is right. */
  get right(): boolean {
    const header = remainder(
      this.bytes.subarray(this.network, this.network + (this.bytes[this.network]! & 15) * 4),
    );
    const above = (remainder(this.bytes.slice(this.transport)) + this.pseudo) % 0xffff;
    return (this.version === 6 || header === 0) && above === 0 && this.view.getUint16(this.field) !== 0;
  }
  /** With its checksum. */
  done(): Packet {
    this.view.setUint16(this.field, 0);
    this.view.setUint16(
      this.field,
      0xffff - ((remainder(this.bytes.slice(this.transport)) + this.pseudo) % 0xffff),
    );
    return this;
  }
}

let driver: Driver;
beforeEach(() => {
  driver = new Driver();
});

describe("transmit", () => {
  let tx: DriverQueue;
  beforeEach(() => {
    tx = driver.start(TRANSMIT | feature.indirect).tx;
  });

  /** Sends a frame behind a header: flags, type, size, csum_start, csum_offset. */
  function send(frame: Uint8Array, [flags, type, size, start, offset]: readonly number[]): Uint8Array[] {
    const { view } = driver.memory;
    driver.sent.length = 0;
    const { length } = driver.frame(AT, frame);
    view.setUint8(AT, flags!);
    view.setUint8(AT + 1, type!);
    view.setUint16(AT + 2, 0xffff, true); // hdr_len, on which the device must not rely
    view.setUint16(AT + 4, size!, true);
    view.setUint16(AT + 6, start!, true);
    view.setUint16(AT + 8, offset!, true);
    tx.indirect(0, 0x1f_0000, [
      { address: AT, length: 12 },
      { address: AT + 12, length: 40 },
      { address: AT + 52, length: length - 52 },
    ]);
    tx.offer(0);
    driver.notify(1);
    return driver.sent;
  }

  test.each([
    ["TCP over IPv4", { payload: pattern(1000) }],
    ["of odd length", { payload: pattern(777) }],
    ["UDP over IPv4", { payload: pattern(100), protocol: 17 as const }],
    ["UDP over IPv6", { payload: pattern(101), protocol: 17 as const, version: 6 as const }],
    [
      "TCP over IPv6 behind two VLAN tags",
      { payload: pattern(MTU_FRAME - 22 - 40 - 32), version: 6 as const, tags: 2 },
    ],
  ])("a checksum is completed: %s", (_, what) => {
    const packet = Packet.make(what);
    const header = [1, 0, 0, packet.transport, packet.field - packet.transport];
    const sent = send(packet.bytes, header).map((bytes) =>
      Packet.of(bytes, what === undefined ? 0 : ((what as Datagram).tags ?? 0)),
    );
    expect(sent.map(({ right }) => right)).toEqual([true]);
    packet.view.setUint16(packet.field, sent[0]!.view.getUint16(packet.field));
    expect(sent[0]!.bytes).toEqual(packet.bytes);
  });

  test("a sum of zero is sent as all ones: to UDP zero means that there is none (RFC 768)", () => {
    const packet = Packet.make({ payload: new Uint8Array(2), protocol: 17 });
    packet.view.setUint16(packet.payload, 0xffff - remainder(packet.bytes.slice(packet.transport)));
    const [sent] = send(packet.bytes, [1, 0, 0, packet.transport, 6]);
    expect(Packet.of(sent!).view.getUint16(packet.field)).toBe(0xffff);
  });

  test("without NEEDS_CSUM, and to a driver that knows no offloads, the header says nothing", () => {
    const { bytes } = Packet.make({ payload: pattern(64) });
    expect(send(bytes, [0, 0, 7, 34, 16])).toEqual([bytes]);
    expect(send(bytes, [0xfe, 0, 7, 34, 16])).toEqual([bytes]);
    tx = driver.start(feature.mac | feature.indirect).tx;
    driver.memory.view.setUint16(tx.driverArea + 2, 0, true);
    expect(send(bytes, [0xff, 0xff, 7, 34, 16])).toEqual([bytes]);
  });

  const whole = tcpFlag.ack | tcpFlag.psh | tcpFlag.fin | tcpFlag.cwr;
  test.each<[string, Datagram, number]>([
    ["IPv4", { payload: pattern(20_000) }, 1448],
    ["IPv4 with options", { payload: pattern(5001), ipOptions: 8, options: 0 }, 536],
    ["IPv4, as long as can be", { payload: pattern(65_535 - 52) }, 8948],
    ["IPv6", { payload: pattern(30_001), version: 6 }, 8928],
    ["IPv6 behind a VLAN tag", { payload: pattern(4000), version: 6, tags: 1 }, 1000],
    ["IPv4, one segment that is not full", { payload: pattern(100) }, 1448],
  ])("TCP segments are cut: %s", (_, what, size) => {
    const packet = Packet.make({ ...what, flags: whole });
    const type = packet.version === 4 ? 1 : 4;
    const sent = send(packet.bytes, [1, type | 0x80, size, packet.transport, 16]);
    const parts = sent.map((bytes) => Packet.of(bytes, what.tags));
    expect(parts.length).toBe(Math.ceil(what.payload.length / size));
    expect(parts.filter(({ right }) => !right)).toEqual([]);
    expect(Buffer.concat(parts.map((part) => part.bytes.slice(part.payload)))).toEqual(
      Buffer.from(what.payload),
    );
    for (const [index, { view, network, transport, payload, bytes }] of parts.entries()) {
      const last = index === parts.length - 1;
      const kept = whole & ~(last ? 0 : tcpFlag.psh | tcpFlag.fin) & ~(index === 0 ? 0 : tcpFlag.cwr);
      expect([view.getUint32(transport + 4), view.getUint8(transport + 13)]).toEqual([
        (0xffff_ff00 + index * size) >>> 0,
        kept,
      ]);
      const long = bytes.length - network;
      if (type === 1)
        expect([view.getUint16(network + 2), view.getUint16(network + 4)]).toEqual([
          long,
          (0xfffe + index) & 0xffff,
        ]);
      else expect(view.getUint16(network + 4)).toBe(long - 40);
      expect(bytes.subarray(0, 12)).toEqual(packet.bytes.subarray(0, 12));
      expect(bytes.subarray(transport + 20, payload)).toEqual(packet.bytes.subarray(transport + 20, payload));
    }
    expect(driver.net.counters.framesSent).toBe(parts.length);
  });

  const large = Packet.make({ payload: pattern(20_000) });
  test.each<[readonly number[], RegExp]>([
    [[1, 4, 1448, 34, 16], /gso_type 4 does not go with EtherType 0x800/],
    [[1, 3, 1448, 34, 16], /gso_type 3 was not agreed on/],
    [[0, 1, 1448, 34, 16], /gso_type 1 without NEEDS_CSUM/],
    [[1, 1, 0, 34, 16], /gso_size 0/],
    [[1, 1, 8949, 34, 16], /gso_size 8949 behind 66 bytes of headers: the wire takes 9014/],
    [[1, 1, 1448, 33, 16], /csum_start 33 is not where a TCP header can be/],
    [[1, 1, 1448, 20_060, 16], /csum_start 20060 is not where/],
    [[1, 1, 1448, 34, 6], /no TCP segment/],
    [[1, 0, 0, 34, 16], /frame of 20066 bytes not sent/],
  ])("what cannot be done is dropped and named: %j", (header, text) => {
    expect(send(large.bytes, header)).toEqual([]);
    expect(driver.lines.at(-1)).toMatch(text);
    expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 0, framesDropped: 1 });
    expect(driver.status & 64).toBe(0);
  });

  test("a checksum field beyond the frame", () => {
    expect(send(pattern(100), [1, 0, 0, 90, 9])).toEqual([]);
    expect(driver.lines.at(-1)).toMatch(/csum_start 90 and csum_offset 9 lie beyond the frame/);
  });
});

describe("receive", () => {
  const flagsOf = (frame: Uint8Array, features = feature.mac | feature.guestCsum): number => {
    driver = new Driver();
    const { rx } = driver.start(features);
    rx.chain(0, [{ address: AT, length: 9100, write: true }]);
    rx.offer(0);
    expect(driver.net.receive(frame)).toBe(true);
    return driver.memory.bytes[AT]!;
  };
  const kinds: readonly [string, Datagram][] = [
    ["TCP over IPv4", { payload: pattern(1000) }],
    ["TCP over IPv6", { payload: pattern(8001), version: 6 }],
    ["UDP over IPv4 with options", { payload: pattern(100), protocol: 17, ipOptions: 4 }],
    ["empty UDP over IPv6 behind a VLAN tag", { payload: pattern(0), protocol: 17, version: 6, tags: 1 }],
  ];

  test.each(kinds)("a checksum that is right is said to be, whatever bit is wrong is not: %s", (_, what) => {
    const { bytes, transport } = Packet.make(what).done();
    expect(flagsOf(bytes)).toBe(2);
    expect(flagsOf(bytes, feature.mac)).toBe(0);
    const random = new Random(1);
    for (let n = 0; n < 8; n++) {
      const wrong = bytes.slice();
      wrong[transport + random.below(bytes.length - transport)]! ^= 1 << random.below(8);
      expect(flagsOf(wrong)).toBe(0);
    }
  });

  test("padding behind the datagram does not count", () => {
    const { bytes } = Packet.make({ payload: pattern(1) }).done();
    expect(flagsOf(Uint8Array.of(...bytes, 1, 2, 3))).toBe(2);
  });

  test("of UDP without a checksum, of fragments, of what is cut short, and of other protocols nothing is said", () => {
    const udp = Packet.make({ payload: pattern(10), protocol: 17 }).done();
    udp.view.setUint16(udp.field, 0);
    const fragment = Packet.make({ payload: pattern(10) }).done();
    fragment.view.setUint16(fragment.network + 6, 0x2000);
    const other = Packet.make({ payload: pattern(10) }).done();
    other.bytes[other.network + 9] = 47;
    const { bytes } = Packet.make({ payload: pattern(40) }).done();
    const short = [15, 16, 33, 34, 53, bytes.length - 1].map((length) => bytes.slice(0, length));
    for (const frame of [udp.bytes, fragment.bytes, other.bytes, ...short, pattern(60)])
      expect(flagsOf(frame)).toBe(0);
  });

  describe.each([0, feature.eventIndex])("merged buffers, features %i", (more) => {
    let rx: DriverQueue;
    beforeEach(() => {
      rx = driver.start(feature.mac | feature.mergeable | more).rx;
    });
    const buffer = (head: number, length: number) => {
      rx.chain(head, [{ address: AT + 0x1000 * head, length, write: true }]);
      rx.offer(head);
    };
    const wanted = () => {
      const { view } = driver.memory;
      if (more === 0) return view.getUint16(rx.deviceArea, true) === 0;
      return view.getUint16(rx.deviceArea + 4 + 8 * rx.size, true) === rx.available;
    };

    test("a frame fills each but the last, and the header tells how many", () => {
      for (const [head, length] of [1500, 100, 1500, 1500].entries()) buffer(head, length);
      const frame = pattern(2000);
      expect(driver.net.receive(frame)).toBe(true);
      expect(rx.used()).toEqual([
        { head: 0, written: 1500 },
        { head: 1, written: 100 },
        { head: 2, written: 412 },
      ]);
      const { bytes, view } = driver.memory;
      expect(view.getUint16(AT + 10, true)).toBe(3);
      const got = [
        bytes.slice(AT + 12, AT + 1500),
        bytes.slice(AT + 0x1000, AT + 0x1064),
        bytes.slice(AT + 0x2000, AT + 0x219c),
      ];
      expect(Buffer.concat(got)).toEqual(Buffer.from(frame));
      expect(driver.net.receive(pattern(60))).toBe(true);
      expect([rx.used(), view.getUint16(AT + 0x300a, true)]).toEqual([[{ head: 3, written: 72 }], 1]);
    });

    test("with too few the frame waits, none is used, and the driver is asked to notify of the next", () => {
      buffer(0, 1500);
      expect(driver.net.receive(pattern(2000))).toBe(true);
      expect([rx.used(), wanted()]).toEqual([[], true]);
      buffer(1, 200);
      driver.notify(0);
      expect([rx.used(), wanted()]).toEqual([[], true]);
      buffer(2, 1500);
      driver.notify(0);
      expect(rx.used().map(({ head }) => head)).toEqual([0, 1, 2]);
      expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 1, framesDropped: 0 });
    });

    test("what the whole ring has no room for is dropped", () => {
      for (let head = 0; head < rx.size; head++) buffer(head, 100);
      expect(driver.net.receive(pattern(100 * rx.size))).toBe(false);
      expect(driver.net.receive(pattern(100 * rx.size - 12))).toBe(true);
      expect(rx.used().length).toBe(rx.size);
    });

    test("a buffer without room for a header is the driver's mistake", () => {
      buffer(0, 11);
      driver.net.receive(pattern(60));
      expect(driver.lines.at(-1)).toMatch(
        /DEVICE_NEEDS_RESET: queue 0: a mergeable receive buffer of 11 bytes/,
      );
    });
  });
});
