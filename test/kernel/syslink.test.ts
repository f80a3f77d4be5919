// SYSLINK's messages, byte by byte (promises 19-29): golden vectors, every refusal by name, a fuzzed checker, the ring.
import { describe, expect, test } from "vitest";
import { type KernelWasm as Kernel, KernelWasm } from "../support/kernel-wasm.js";
import { chance } from "../support/search.js";
import { encode, type Item } from "../support/syslink.js";

const kernel = new KernelWasm();
const room = kernel.room(0x20000);
const writer = kernel.room(128);

const hex = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/(.{16})/g, "$1 ")
    .trim();

/** By the kernel's writer. */
function written(linkid: bigint, msgid: number, command: number, items: Item[], space = 0x10000): Uint8Array {
  kernel.bytes.fill(0xee, room, room + 0x10010);
  kernel.call("writerBegin")(writer, room, space, linkid, msgid, command);
  const put = (item: Item) => {
    if (item.items) {
      kernel.call("itemBegin")(writer, item.id & 0x3fff, item.aux ?? 0);
      item.items.forEach(put);
      kernel.call("itemEnd")(writer);
      return;
    }
    const data = item.data ?? new Uint8Array();
    const at = kernel.call("itemPut")(writer, item.id, item.aux ?? 0, data.length);
    if (at !== 0) kernel.bytes.set(data, at);
  };
  items.forEach(put);
  const bytes = kernel.call("writerEnd")(writer);
  return kernel.bytes.slice(room, room + bytes);
}

function reason(bytes: Uint8Array, available = bytes.length): string {
  kernel.bytes.set(bytes, room);
  return kernel.text(kernel.call("messageReason")(kernel.call("messageCheck")(room, available)));
}

const u64 = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const text = (value: string) => new TextEncoder().encode(value);

describe("golden vectors", () => {
  const vectors: {
    title: string;
    linkid: bigint;
    msgid: number;
    command: number;
    items: Item[];
    hex: string;
  }[] = [
    {
      title: "promises 19-22: a bare header, little endian",
      linkid: 0x1122334455667788n,
      msgid: 0xaabbccdd,
      command: 0x0102,
      items: [],
      hex: "8877665544332211 ddccbbaa02011000",
    },
    {
      title: "promise 21: bit 15 of the command is a response",
      linkid: 1n,
      msgid: 7,
      command: 0x8008,
      items: [],
      hex: "0100000000000000 0700000008801000",
    },
    {
      title: "promises 22 and 28: a message of 27 bytes takes up 32, and the padding is zero",
      linkid: 1n,
      msgid: 1,
      command: 8,
      items: [{ id: 1, aux: 0x01020304, data: text("abc") }],
      hex: "0100000000000000 0100000008001b00 01000b0004030201 6162630000000000",
    },
    {
      title: "promises 23, 24 and 28: items within an item, each at a multiple of 8",
      linkid: 2n,
      msgid: 3,
      command: 4,
      items: [
        {
          id: 5 | 0x8000,
          items: [
            { id: 6, data: text("x") },
            { id: 7, aux: 9 },
          ],
        },
        { id: 8, data: text("yz") },
      ],
      hex: "0200000000000000 0300000004003a00 0580200000000000 0600090000000000 7800000000000000 0700080009000000 08000a0000000000 797a000000000000",
    },
    {
      title: "promise 25: a linkid marks its item and every item around it",
      linkid: 2n,
      msgid: 3,
      command: 4,
      items: [{ id: 1 | 0xc000, items: [{ id: 2 | 0xc000, items: [{ id: 3 | 0x4000, data: u64(0x99n) }] }] }],
      hex: "0200000000000000 0300000004003000 01c0200000000000 02c0180000000000 0340100000000000 9900000000000000",
    },
  ];
  for (const { title, linkid, msgid, command, items, hex: golden } of vectors)
    test(title, () => {
      expect(hex(written(linkid, msgid, command, items))).toBe(golden);
      expect(hex(encode(linkid, msgid, command, items))).toBe(golden);
      expect(reason(encode(linkid, msgid, command, items))).toBe("good");
    });
});

describe("limits", () => {
  const filler = (bytes: number): Item[] => {
    const items: Item[] = [];
    for (let left = bytes; left > 0; ) {
      const data = Math.min(left - 8, 32768);
      items.push({ id: 1, data: new Uint8Array(data) });
      left -= 8 + data;
    }
    return items;
  };
  test("promise 26: a message of 65535 bytes is accepted, one of 65536 cannot be written", () => {
    const largest = written(1n, 1, 1, filler(65535 - 16));
    expect(largest.length).toBe(65536);
    expect(new DataView(largest.buffer).getUint16(14, true)).toBe(65535);
    expect(reason(largest)).toBe("good");
    expect(written(1n, 1, 1, filler(65536 - 16)).length).toBe(0);
  });
  test("promise 26: 32 KiB fit in one item, a byte more is refused", () => {
    expect(reason(written(1n, 1, 1, [{ id: 1, data: new Uint8Array(32768) }]))).toBe("good");
    expect(written(1n, 1, 1, [{ id: 1, data: new Uint8Array(32769) }]).length).toBe(0);
    expect(reason(encode(1n, 1, 1, [{ id: 1, data: new Uint8Array(32769) }]))).toBe(
      "more than 32 KiB of data in one item",
    );
  });
  test("eight levels of items are accepted, nine refused", () => {
    const nest = (depth: number): Item =>
      depth === 0 ? { id: 1 } : { id: 2 | 0x8000, items: [nest(depth - 1)] };
    expect(reason(written(1n, 1, 1, [nest(8)]))).toBe("good");
    expect(written(1n, 1, 1, [nest(9)]).length).toBe(0);
    expect(reason(encode(1n, 1, 1, [nest(9)]))).toBe("items nested too deep");
  });
  test("what does not fit the room is not written", () => {
    expect(written(1n, 1, 1, [{ id: 1, data: new Uint8Array(100) }], 64).length).toBe(0);
  });
});

describe("refusals", () => {
  const good = () =>
    encode(1n, 1, 1, [
      { id: 1, data: text("abc") },
      { id: 2, data: text("d") },
    ]);
  const patch = (offset: number, value: number): Uint8Array => {
    const bytes = good();
    new DataView(bytes.buffer).setUint16(offset, value, true);
    return bytes;
  };
  const cases: [string, string, () => Uint8Array][] = [
    ["no header", "shorter than a header", () => good().slice(0, 8)],
    ["a length of 15", "length smaller than the header", () => patch(14, 15)],
    ["a length beyond the buffer", "length beyond what came", () => patch(14, 60)],
    ["an item shorter than its header", "itemlen smaller than the item's header", () => patch(18, 7)],
    ["an item longer than the message", "itemlen beyond what holds the item", () => patch(18, 90)],
    ["a rest that is no item", "bytes left over that are no item", () => patch(14, 36)],
    ["dirty padding between items", "padding is not zero", () => patch(16 + 12, 1)],
    [
      "an empty recursion",
      "an item of items has none",
      () => encode(1n, 1, 1, [{ id: 1 | 0x8000, data: new Uint8Array() }]),
    ],
    [
      "half a linkid",
      "linkids are not whole",
      () => encode(1n, 1, 1, [{ id: 1 | 0x4000, data: text("abcd") }]),
    ],
    [
      "a promise of linkids",
      "an item promises linkids and has none",
      () => encode(1n, 1, 1, [{ id: 1 | 0xc000, items: [{ id: 2 }] }]),
    ],
    [
      "an unmarked linkid",
      "linkids inside an item that does not say so",
      () => encode(1n, 1, 1, [{ id: 1 | 0x8000, items: [{ id: 2 | 0x4000, data: u64(5n) }] }]),
    ],
  ];
  for (const [title, why, make] of cases) test(title, () => expect(reason(make())).toBe(why));
});

test("promise 28: 100,000 damaged messages: never accepted with anything outside them, never a crash", () => {
  const next = chance(20260726);
  const random = (depth: number): Item => {
    if (depth > 0 && next(3) === 0)
      return {
        id: (1 + next(9)) | 0x8000,
        items: Array.from({ length: 1 + next(3) }, () => random(depth - 1)),
      };
    return { id: 1 + next(9), aux: next(1 << 30), data: new Uint8Array(next(24)).map(() => next(256)) };
  };
  let accepted = 0;
  for (let round = 0; round < 100_000; round++) {
    const bytes = encode(
      BigInt(next(1 << 30)),
      round,
      next(65536),
      Array.from({ length: next(4) }, () => random(3)),
    );
    for (let i = next(4); i > 0; i--) bytes[next(bytes.length)] = next(256);
    const available = next(4) === 0 ? next(bytes.length + 1) : bytes.length;
    kernel.bytes.set(bytes, room);
    if (kernel.call("messageCheck")(room, available) !== 0) continue;
    accepted++;
    // Accepted: then walking it by the layout's rules alone stays within it, and it is encoded in its only way.
    const again = decode(bytes, available);
    const length = (new DataView(bytes.buffer).getUint16(14, true) + 7) & ~7;
    if (Buffer.compare(again!, bytes.subarray(0, length)) !== 0) expect.fail(`round ${round}: ${hex(bytes)}`);
  }
  expect(accepted).toBeGreaterThan(10_000);
  expect(accepted).toBeLessThan(90_000);
});

/** An independent reader: what it reads, encoded again. */
function decode(bytes: Uint8Array, available: number): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, available);
  const items = (from: number, end: number): Item[] => {
    const found: Item[] = [];
    for (let at = from; at < end; ) {
      const id = view.getUint16(at, true);
      const length = view.getUint16(at + 2, true);
      const aux = view.getUint32(at + 4, true);
      if (length < 8 || at + length > end) throw new Error("an item outside");
      if (id & 0x8000) found.push({ id, aux, items: items(at + 8, at + length) });
      else found.push({ id, aux, data: bytes.slice(at + 8, at + length) });
      at += (length + 7) & ~7;
    }
    return found;
  };
  const length = view.getUint16(14, true);
  return encode(
    view.getBigUint64(0, true),
    view.getUint32(8, true),
    view.getUint16(12, true),
    items(16, length),
  );
}

describe("the ring", () => {
  /** [address of the Fifo record, address of the ring] */
  function ring(kernel: Kernel, size: number): [number, number] {
    const fifo = kernel.room(32);
    const base = kernel.room(size);
    kernel.call("fifoCreate")(fifo, base, size);
    return [fifo, base];
  }
  for (const size of [64, 256, 4096])
    test(`promises 18 and 29: ${size} bytes: messages come out in order, 8-aligned, in one piece`, () => {
      const [fifo, base] = ring(kernel, size);
      const next = chance(size);
      const queue: string[] = [];
      for (let step = 0; step < 4_000; step++) {
        if (next(2) === 0) {
          const message = encode(BigInt(step + 1), step, 1 + next(100), [
            { id: 1, data: new Uint8Array(next(24)).map(() => next(256)) },
          ]);
          const at = kernel.call("fifoReserve")(fifo, message.length);
          if (at === 0) {
            expect(queue.length, "an empty ring takes what is half its size").toBeGreaterThan(
              message.length * 2 <= size ? 0 : -1,
            );
            continue;
          }
          expect(at % 8).toBe(0);
          expect(at).toBeGreaterThanOrEqual(base);
          expect(at + message.length).toBeLessThanOrEqual(base + size);
          kernel.bytes.set(message, at);
          kernel.call("fifoCommit")(fifo, message.length);
          queue.push(hex(message));
        } else {
          const at = kernel.call("fifoFirst")(fifo);
          expect(at === 0).toBe(queue.length === 0);
          if (at === 0) continue;
          const length = (kernel.view.getUint16(at + 14, true) + 7) & ~7;
          expect(hex(kernel.bytes.slice(at, at + length))).toBe(queue.shift());
          kernel.call("fifoRelease")(fifo, kernel.view.getUint32(fifo + 12, true) + length);
        }
      }
    });
});

describe("commands", () => {
  const check = (bytes: Uint8Array) => {
    kernel.bytes.set(bytes, room);
    expect(reason(bytes)).toBe("good");
    return kernel.call("commandCheck")(room);
  };
  const rows: { command: number; item: number; least: number; most: number; must: boolean }[] = [];
  const at = kernel.call("commandRows")();
  for (let row = at; kernel.view.getUint32(row, true) !== 0; row += 20) {
    const [command, item, least, most, must] = [0, 4, 8, 12, 16].map((offset) =>
      kernel.view.getUint32(row + offset, true),
    );
    rows.push({ command: command!, item: item!, least: least!, most: most!, must: must === 1 });
  }
  const numbers = [...new Set(rows.map((row) => row.command))];
  const itemOf = ({ item, least }: { item: number; least: number }): Item => ({
    id: item === 2 ? item | 0x4000 : item,
    data: new Uint8Array(least),
  });

  test("each has a name, and rows that lie together", () => {
    for (const command of numbers)
      expect(kernel.text(kernel.call("commandName")(command))).toMatch(/^[A-Z_]+$/);
    expect(rows.map((row) => row.command).filter((command, i, all) => all[i - 1] !== command)).toEqual(
      numbers,
    );
  });
  test("each is accepted with its items, refused without one that it needs, twice one, or a wrong length", () => {
    for (const command of numbers) {
      const own = rows.filter((row) => row.command === command && row.item !== 0);
      expect(check(encode(1n, 1, command, own.map(itemOf))), `command ${command}`).toBe(0);
      for (const row of own) {
        const others = own.filter((other) => other !== row).map(itemOf);
        expect(check(encode(1n, 1, command, others))).toBe(row.must ? 34 : 0);
        expect(check(encode(1n, 1, command, [...own.map(itemOf), itemOf(row)]))).toBe(36);
        const longer = new Uint8Array(row.most + (row.item === 2 ? 8 : 1));
        expect(check(encode(1n, 1, command, [...others, { ...itemOf(row), data: longer }]))).toBe(35);
      }
      expect(check(encode(1n, 1, command, [...own.map(itemOf), { id: 63 }]))).toBe(33);
    }
  });
  test("behind a message that was accepted another is judged as behind any: one bit of its shape, bytes that are missing, padding", () => {
    // Of whole words, as those are that are kept.
    const whole = numbers.filter((command) =>
      rows.every((row) => row.command !== command || (row.least % 8 === 0 && row.item !== 2)),
    );
    const judged = (by: Kernel, place: number, bytes: Uint8Array, available = bytes.length) => {
      by.bytes.set(bytes, place);
      const wrong = by.text(by.call("messageReason")(by.call("messageCheck")(place, available)));
      return wrong === "good" ? by.call("commandCheck")(place) : wrong;
    };
    // It has accepted none of the good ones.
    const stranger = new KernelWasm();
    const strangersRoom = stranger.room(0x20000);
    let kept = 0;
    for (const command of numbers) {
      const own = rows.filter((row) => row.command === command && row.item !== 0);
      const good = encode(1n, 1, command, own.map(itemOf));
      const another = whole.find((number) => number !== command)!;
      const others = rows.filter((row) => row.command === another && row.item !== 0);
      const other = encode(1n, 1, another, others.map(itemOf));
      const shape = [12, 13, 14, 15];
      for (let at = 16, item = 0; item < own.length; item++) {
        shape.push(at, at + 1, at + 2, at + 3);
        at += (8 + own[item]!.least + 7) & ~7;
      }
      const cases = shape.flatMap((byte) => [...Array(8).keys()].map((bit) => [byte, bit] as const));
      for (const [byte, bit] of cases) {
        const bad = good.slice();
        bad[byte]! ^= 1 << bit;
        expect(check(good)).toBe(0);
        // Each kind keeps its own.
        expect(check(other)).toBe(0);
        const byStranger = judged(stranger, strangersRoom, bad);
        expect(judged(kernel, room, bad), `command ${command}, byte ${byte}, bit ${bit}`).toBe(byStranger);
      }
      expect(check(good)).toBe(0);
      expect(check(good)).toBe(0);
      expect(judged(kernel, room, good, good.length - 8)).not.toBe(0);
      kept++;
    }
    expect(kept).toBe(numbers.length);
  });
  test("unknown commands are refused", () => {
    for (const command of [0, 2, 31, 100, 0x7fff, 0x8001, 0x8012])
      if (!numbers.includes(command)) expect(check(encode(1n, 1, command))).toBe(32);
  });
});
