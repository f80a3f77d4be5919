// Links over a bad wire (promises 16, 30-34): nothing lost, nothing twice, nothing out of order while both live;
// silence ends a link; a machine that comes back is a new machine.
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance } from "../support/search.js";
import { encode, Pair } from "../support/syslink.js";

const MS = 1000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

function traffic(pair: Pair, seed: number, count: number, large = false): void {
  const next = chance(seed);
  const sent: string[][] = [[], []];
  const todo = [count, count];
  while (todo[0]! + todo[1]! > 0) {
    for (const end of [0, 1]) {
      for (let burst = next(6); burst > 0 && todo[end]! > 0; burst--) {
        const bytes = large && next(20) === 0 ? 20_000 + next(12_000) : next(8) === 0 ? 4096 : next(60);
        const message = encode(BigInt(end + 1), sent[end]!.length, 1 + next(20), [
          { id: 1, data: new Uint8Array(bytes).fill(next(256)) },
        ]);
        if (!pair.send(end, message)) break;
        sent[end]!.push(hex(message));
        todo[end]!--;
      }
    }
    pair.run(next(400));
  }
  for (
    let waited = 0;
    waited < 600 && (pair.received[1]!.length < count || pair.received[0]!.length < count);
    waited++
  )
    pair.run(20 * MS);
  for (const end of [0, 1]) expect(pair.received[1 - end]!.map(hex)).toEqual(sent[end]);
}

describe("promise 34: everything arrives once and in order", () => {
  const wires = [
    { name: "a perfect wire", faults: {} },
    { name: "2 % dropped", faults: { drop: 20 } },
    { name: "30 % dropped", faults: { drop: 300 } },
    { name: "reordered by delays of 2 ms", faults: { delay: 2 * MS } },
    { name: "a fifth doubled", faults: { repeat: 200, delay: 500 } },
    { name: "a tenth damaged", faults: { damage: 100 } },
    { name: "everything at once", faults: { drop: 100, repeat: 100, damage: 50, delay: 3 * MS } },
  ];
  for (const { name, faults } of wires)
    for (const seed of [1, 2, 3])
      test(`${name}, seed ${seed}`, () => {
        const pair = new Pair(new KernelWasm(), seed, faults);
        traffic(pair, seed, 400);
        expect(pair.losses).toEqual([0, 0]);
      });
  test("messages longer than a datagram, in pieces of 1400 bytes", () => {
    for (const seed of [1, 2]) {
      const pair = new Pair(new KernelWasm(), seed, { drop: 50, delay: 300, repeat: 50 }, { payload: 1400 });
      traffic(pair, seed, 120, true);
      expect(pair.field(0, 7)).toBe(0);
    }
  });
});

test("promise 34: 10,000 short cuts: no command lost or doubled", () => {
  const pair = new Pair(new KernelWasm(), 77, { delay: 100 });
  pair.run(100 * MS);
  const next = chance(77);
  let sent = 0;
  for (let cut = 0; cut < 10_000; cut++) {
    for (let i = next(3); i > 0; i--)
      if (pair.send(cut & 1, encode(7n, sent, 1, [{ id: 1, data: new Uint8Array(next(40)) }]))) sent++;
    pair.cut = true;
    pair.run(next(300));
    pair.cut = false;
    pair.run(next(300));
  }
  pair.run(3000 * MS);
  const numbers = [0, 1].map((end) =>
    pair.received[end]!.map((bytes) => new DataView(bytes.buffer).getUint32(8, true)),
  );
  for (const list of numbers) expect(list).toEqual([...list].sort((a, b) => a - b));
  expect([...numbers[0]!, ...numbers[1]!].sort((a, b) => a - b)).toEqual(
    Array.from({ length: sent }, (_, i) => i),
  );
  expect(pair.losses).toEqual([0, 0]);
}, 120_000);

describe("economy", () => {
  test("an answer carries the acknowledgement: no datagram of its own", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.run(100 * MS);
    const before = pair.datagrams;
    const pure = pair.field(0, 8) + pair.field(1, 8);
    for (let i = 0; i < 100; i++) {
      pair.send(0, encode(1n, i, 16));
      pair.run(100);
      pair.send(1, encode(1n, i, 16 | 0x8000));
      pair.run(100);
    }
    expect(pair.datagrams - before).toBe(200);
    expect(pair.field(0, 8) + pair.field(1, 8) - pure).toBe(0);
    expect(pair.field(0, 4) + pair.field(1, 4)).toBe(0);
  });
  test("messages that are queued together share a datagram", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.run(100 * MS);
    const before = pair.field(0, 9);
    for (let i = 0; i < 20; i++) pair.send(0, encode(1n, i, 16));
    pair.run(1);
    expect(pair.field(0, 9) - before).toBe(1);
    pair.run(200);
    expect(pair.received[1]!.length).toBe(20);
  });
  test("the window: 32 datagrams, up to 128 while none is lost, and 32 again", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { payload: 512, ring: 262144 });
    pair.run(100 * MS);
    // One datagram each.
    const queue = (count: number) => {
      const before = pair.field(0, 9);
      for (let i = 0; i < count; i++)
        expect(pair.send(0, encode(1n, i, 16, [{ id: 8, data: new Uint8Array(480) }]))).toBe(true);
      pair.run(1);
      return pair.field(0, 9) - before;
    };
    expect(queue(200)).toBeLessThanOrEqual(40);
    pair.run(20 * MS);
    expect(queue(200)).toBe(128);
    pair.run(20 * MS);
    expect(pair.field(0, 4)).toBe(0);
    pair.cut = true;
    queue(1);
    pair.run(5 * MS);
    pair.cut = false;
    pair.run(100 * MS);
    expect(pair.field(0, 4)).toBeGreaterThan(0);
    expect(queue(200)).toBeLessThanOrEqual(40);
    pair.run(100 * MS);
    expect(pair.received[1]!.length).toBe(601);
  });
  test("a peer that is not run for 30 ms with 128 datagrams under way gets the oldest again, not all", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { payload: 512, ring: 262144 });
    pair.run(100 * MS);
    const full = encode(1n, 0, 16, [{ id: 8, data: new Uint8Array(480) }]);
    for (let i = 0; i < 300; i++) pair.send(0, full);
    pair.run(20 * MS);
    expect(pair.received[1]!.length).toBe(300);
    for (let i = 0; i < 128; i++) pair.send(0, full);
    pair.asleep = 1;
    pair.run(30 * MS);
    pair.asleep = -1;
    pair.run(30 * MS);
    expect(pair.received[1]!.length).toBe(428);
    expect(pair.field(0, 4)).toBeGreaterThan(0);
    expect(pair.field(0, 4)).toBeLessThanOrEqual(3);
  });
  test("all 128 datagrams under way are lost: twice as many go again with each round trip", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { payload: 512, ring: 262144 });
    pair.run(100 * MS);
    const full = encode(1n, 0, 16, [{ id: 8, data: new Uint8Array(480) }]);
    for (let i = 0; i < 300; i++) pair.send(0, full);
    pair.run(20 * MS);
    for (let i = 0; i < 128; i++) pair.send(0, full);
    pair.cut = true;
    pair.run(4 * MS);
    pair.cut = false;
    pair.run(28 * MS);
    expect(pair.received[1]!.length).toBe(428);
    expect(pair.field(0, 4)).toBeGreaterThanOrEqual(128);
    expect(pair.field(0, 4)).toBeLessThanOrEqual(140);
  });
  test("an idle link exchanges a ping a second each way, and its acknowledgement", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.run(1000 * MS);
    const before = pair.datagrams;
    pair.run(10_000 * MS);
    expect(pair.datagrams - before).toBeLessThanOrEqual(42);
    expect(pair.datagrams - before).toBeGreaterThanOrEqual(18);
    expect(pair.losses).toEqual([0, 0]);
  });
});

describe("promise 32: failure and return", () => {
  test("silence ends the link at both ends; without a reboot they never speak again", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { loss: 3000 * MS });
    pair.run(100 * MS);
    expect(pair.up).toBe(true);
    pair.cut = true;
    pair.run(2500 * MS);
    expect(pair.losses).toEqual([0, 0]);
    pair.run(1500 * MS);
    expect(pair.losses).toEqual([1, 1]);
    pair.cut = false;
    pair.send(0, encode(1n, 1, 1));
    pair.run(5000 * MS);
    expect(pair.up).toBe(false);
    expect(pair.received[1]).toEqual([]);
  });
  test("a machine that is thought dead and lives is told so", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { loss: 3000 * MS });
    pair.run(100 * MS);
    pair.deaf = 0; // end 0 hears nothing, end 1 hears end 0
    pair.run(3500 * MS);
    expect(pair.losses[0]).toBe(1);
    pair.deaf = -1;
    pair.run(1500 * MS);
    expect(pair.losses[1]).toBe(1);
  });
  test("a link that was up at one end only, and is lost there: the other end hears that it has to be another", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.run(20); // the first hellos are on their way
    pair.deaf = 1;
    pair.run(200);
    expect([pair.field(0, 0), pair.field(1, 0)]).toEqual([1, 0]);
    pair.cut = true;
    pair.run(11_000 * MS);
    expect(pair.losses).toEqual([1, 0]);
    pair.deaf = -1;
    pair.cut = false;
    pair.run(2000 * MS);
    expect(pair.up).toBe(false);
    expect(pair.field(1, 18)).toBe(1);
    pair.reboot(1, 303n);
    pair.run(2000 * MS);
    expect(pair.up).toBe(true);
  });
  test("a one-way wire: what the deaf side says does not confirm what the other one said", () => {
    const pair = new Pair(new KernelWasm(), 1, {}, { loss: 60_000 * MS });
    pair.run(1500 * MS);
    const confirmed = pair.field(1, 12);
    expect(confirmed).toBeGreaterThan(0);
    pair.deaf = 0;
    pair.run(5000 * MS);
    // End 1 still hears pings, but learns of nothing of its own that arrived: its leases are not renewed.
    expect(pair.field(1, 12) - confirmed).toBeLessThan(1500 * MS * 1000);
  });
  test("a new epoch is a new machine: the old link is lost, what was queued for it is not delivered", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.run(100 * MS);
    pair.send(0, encode(1n, 1, 1));
    pair.run(1 * MS);
    expect(pair.received[1]!.length).toBe(1);
    pair.cut = true;
    pair.send(0, encode(1n, 2, 1));
    pair.run(1 * MS);
    pair.reboot(1, 303n);
    pair.cut = false;
    pair.run(2000 * MS);
    expect(pair.losses).toEqual([1, 0]);
    expect(pair.up).toBe(true);
    pair.send(0, encode(1n, 3, 1));
    pair.send(1, encode(1n, 4, 1));
    pair.run(10 * MS);
    expect(pair.received[1]!.map((bytes) => bytes[8])).toEqual([1, 3]);
    expect(pair.received[0]!.map((bytes) => bytes[8])).toEqual([4]);
  });
  // By these seeds the link comes up with a life that is over, by what it had said.
  test.each([32, 43])(
    "a late word of a former life: no hello leads to the next for ever (seed %i)",
    (seed) => {
      const pair = new Pair(new KernelWasm(), seed, { delay: 2 * MS, repeat: 820 }, { loss: 80 * MS });
      pair.run(300);
      pair.reboot(1, 303n);
      pair.run(100 * MS);
      expect(pair.up).toBe(true);
      expect(pair.datagrams).toBeLessThan(150);
    },
  );
  test("what was queued before the first contact is delivered", () => {
    const pair = new Pair(new KernelWasm(), 1, {});
    pair.cut = true;
    pair.send(0, encode(1n, 5, 1));
    pair.run(2000 * MS);
    pair.cut = false;
    pair.run(1000 * MS);
    expect(pair.received[1]!.map((bytes) => bytes[8])).toEqual([5]);
  });
});

test("100,000 damaged datagrams: every one refused, the link unharmed", () => {
  const kernel = new KernelWasm();
  const pair = new Pair(kernel, 1, {});
  pair.run(100 * MS);
  const next = chance(5);
  const real = encode(1n, 1, 1, [{ id: 1, data: new Uint8Array(200).fill(9) }]);
  pair.send(0, real);
  pair.run(100);
  const header = kernel.bytes.slice(pair.field(0, 1), pair.field(0, 1) + 40);
  const before = pair.field(1, 6);
  for (let round = 0; round < 100_000; round++) {
    const bytes = new Uint8Array(40 + next(40) * 8);
    bytes.set(header);
    for (let i = 40; i < bytes.length; i++) bytes[i] = next(256);
    for (let i = 1 + next(6); i > 0; i--) bytes[next(40)] = next(256);
    pair.inject(1, next(3) === 0 ? bytes.slice(0, next(bytes.length)) : bytes);
  }
  expect(pair.field(1, 6) - before).toBe(100_000);
  expect(pair.losses).toEqual([0, 0]);
  const count = pair.received[1]!.length;
  pair.send(0, real);
  pair.run(100);
  expect(pair.received[1]!.length).toBe(count + 1);
});

test("the Internet checksum is RFC 1071's", () => {
  const kernel = new KernelWasm();
  const at = kernel.room(4096);
  const next = chance(9);
  for (let round = 0; round < 2000; round++) {
    const bytes = new Uint8Array(1 + next(300)).map(() => next(256));
    kernel.bytes.set(bytes, at);
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! | ((bytes[i + 1] ?? 0) << 8);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    const total = kernel.call("internetSum")(at, bytes.length);
    expect(kernel.call("fold16")(total) % 0xffff).toBe(sum % 0xffff);
  }
});

test("the link's check sees every flipped bit, every two, and words that changed places", () => {
  const kernel = new KernelWasm();
  const at = kernel.room(8192);
  const next = chance(10);
  const bytes = new Uint8Array(4136).map(() => next(256));
  const check = (data: Uint8Array) => {
    kernel.bytes.set(data, at);
    return (
      kernel.call("checkEnd")(kernel.call("check")(kernel.constant("CHECK_START"), at, data.length)) >>> 0
    );
  };
  // RFC 3720 B.4: 32 bytes of zeros, of ones, and counting up.
  for (const [data, value] of [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(255), 0x62a8ab43],
    [new Uint8Array(32).map((_, i) => i), 0x46dd794e],
  ] as const)
    expect(check(data)).toBe(value);
  const right = check(bytes);
  for (let round = 0; round < 20_000; round++) {
    const damaged = bytes.slice();
    const kind = next(3);
    if (kind === 2) {
      const [a, b] = [next(517) * 8, next(517) * 8];
      damaged.set(bytes.slice(a, a + 8), b);
      damaged.set(bytes.slice(b, b + 8), a);
      if (a === b) continue;
    } else {
      // The same bit of two words is where sums are blind.
      const bit = 1 << next(8);
      const within = next(8);
      const first = next(517);
      damaged[first * 8 + within]! ^= bit;
      if (kind === 1) damaged[((first + 1 + next(516)) % 517) * 8 + within]! ^= bit;
    }
    if (check(damaged) === right) expect.fail(`round ${round}: not seen`);
  }
});
