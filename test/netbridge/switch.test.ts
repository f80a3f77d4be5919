import { describe, expect, it } from "vitest";
import { Random } from "../../emulator/random.js";
import { Faults } from "../../netbridge/faults.js";
import { FRAME_BYTES_MAX } from "../../netbridge/frame.js";
import { fileHeader, record } from "../../netbridge/pcap.js";
import { Decoder, encode } from "../../netbridge/qemu.js";
import { Switch } from "../../netbridge/switch.js";

const BROADCAST = 0xff;
const mac = (n: number) => (n === BROADCAST ? [255, 255, 255, 255, 255, 255] : [0x52, 0x54, 0, 0, 0, n]);

function frame(to: number, from: number, bytes = 60): Uint8Array {
  const all = new Uint8Array(bytes);
  all.set([...mac(to), ...mac(from), 0x08, 0x00]);
  return all;
}

function fabric(ports: number) {
  const bridge = new Switch();
  const heard: Uint8Array[][] = [];
  const numbers = Array.from({ length: ports }, (_, i) => {
    heard.push([]);
    return bridge.attach((f) => heard[i]!.push(f));
  });
  return { bridge, heard, numbers, counts: () => heard.map((h) => h.length) };
}

describe("learning switch", () => {
  it("floods an unknown destination to every port but the sender's", () => {
    const { bridge, numbers, counts } = fabric(3);
    bridge.receive(numbers[0]!, frame(2, 1));
    expect(counts()).toEqual([0, 1, 1]);
  });

  it("sends to the one port where an address was heard", () => {
    const { bridge, numbers, counts } = fabric(3);
    bridge.receive(numbers[1]!, frame(BROADCAST, 2));
    bridge.receive(numbers[0]!, frame(2, 1));
    expect(counts()).toEqual([1, 1, 1]);
  });

  it("follows an address that moved, and forgets a port that left", () => {
    const { bridge, numbers, counts } = fabric(3);
    bridge.receive(numbers[1]!, frame(BROADCAST, 9));
    bridge.receive(numbers[2]!, frame(BROADCAST, 9));
    bridge.receive(numbers[0]!, frame(9, 1));
    expect(counts()).toEqual([2, 1, 2]);
    bridge.detach(numbers[2]!);
    bridge.receive(numbers[0]!, frame(9, 1));
    expect(counts()).toEqual([2, 2, 2]);
  });

  it("never gives a frame back to its own port", () => {
    const { bridge, numbers, counts } = fabric(2);
    bridge.receive(numbers[0]!, frame(BROADCAST, 1));
    bridge.receive(numbers[0]!, frame(1, 7));
    expect(counts()).toEqual([0, 1]);
  });

  it("refuses frames that are short, long or from a group address, and says why", () => {
    const { bridge, numbers, counts } = fabric(2);
    expect(bridge.receive(numbers[0]!, new Uint8Array(13))).toMatch(/13 bytes is shorter/);
    expect(bridge.receive(numbers[0]!, new Uint8Array(FRAME_BYTES_MAX + 1))).toMatch(/longer than 9014/);
    expect(bridge.receive(numbers[0]!, frame(1, BROADCAST))).toMatch(/ff:ff:ff:ff:ff:ff is a group address/);
    expect(counts()).toEqual([0, 0]);
    expect(bridge.counts.refused).toBe(3);
  });

  it("holds a bounded table under a flood of made-up addresses", () => {
    const { bridge, numbers, heard } = fabric(2);
    for (let i = 0; i < 10_000; i++) {
      const f = frame(2, 1);
      f[8] = i >> 8;
      f[9] = i;
      bridge.receive(numbers[0]!, f);
    }
    bridge.receive(numbers[1]!, frame(1, 2)); // address 1 was never learnt: flooded, not lost
    expect(heard[0]!.length).toBe(1);
  });
});

describe("faults", () => {
  const run = (seed: number) => {
    const faults = new Faults({ loss: 0.1, duplicate: 0.05, delay: [10, 500] }, seeded(seed));
    return Array.from({ length: 2000 }, () => faults.copies(1, 2));
  };
  const seeded = (seed: number) => {
    const random = new Random(seed);
    return () => random.next();
  };

  it("are the same for the same seed and differ for another", () => {
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  it("lose, double and delay about as often as asked", () => {
    const copies = run(7);
    expect(copies.filter((c) => c.length === 0).length).toBeGreaterThan(140);
    expect(copies.filter((c) => c.length === 0).length).toBeLessThan(260);
    expect(copies.filter((c) => c.length === 2).length).toBeGreaterThan(50);
    for (const delay of copies.flat()) expect(delay >= 10 && delay <= 500).toBe(true);
  });

  it("part islands, both ways, until healed", () => {
    const faults = new Faults({}, seeded(1));
    faults.partition([[1, 2], [3]]);
    expect([faults.copies(1, 3), faults.copies(3, 2), faults.copies(1, 2), faults.copies(4, 3)]).toEqual([
      [],
      [],
      [0],
      [0],
    ]);
    faults.partition([]);
    expect(faults.copies(1, 3)).toEqual([0]);
  });

  it("refuse absurd options by name", () => {
    expect(() => new Faults({ loss: 1.5 }, seeded(1))).toThrow(/loss 1.5/);
    expect(() => new Faults({ delay: [5, 1] }, seeded(1))).toThrow(/delay 5:1/);
  });
});

describe("QEMU framing", () => {
  it("gives the frames back however the stream is cut", () => {
    const random = new Random(42);
    const frames = Array.from({ length: 50 }, (_, i) =>
      frame(1, 2, 14 + random.below(1500) + (i === 7 ? 7486 : 0)),
    );
    const stream = Buffer.concat(frames.map(encode));
    const decoder = new Decoder();
    const out: Uint8Array[] = [];
    for (let at = 0; at < stream.length; ) {
      const size = 1 + random.below(700);
      out.push(...decoder.push(stream.subarray(at, at + size)));
      at += size;
    }
    expect(out.length).toBe(frames.length);
    out.forEach((f, i) => {
      expect(Buffer.compare(f, frames[i]!)).toBe(0);
    });
  });

  it("refuses a length that no frame has", () => {
    expect(() => new Decoder().push(new Uint8Array([0xff, 0xff, 0xff, 0xff]))).toThrow(/4294967295/);
    expect(() => new Decoder().push(new Uint8Array([0, 0, 0, 0]))).toThrow(/length 0/);
  });
});

describe("capture format", () => {
  it("is libpcap's: magic, version 2.4, Ethernet, microsecond records", () => {
    const header = new DataView(fileHeader().buffer);
    expect([
      header.getUint32(0, true),
      header.getUint16(4, true),
      header.getUint16(6, true),
      header.getUint32(20, true),
    ]).toEqual([0xa1b2c3d4, 2, 4, 1]);
    const one = new DataView(record(frame(1, 2, 60), 3_000_017.9).buffer);
    expect([0, 4, 8, 12].map((at) => one.getUint32(at, true))).toEqual([3, 17, 60, 60]);
  });
});
