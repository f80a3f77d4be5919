// Who the cluster is (R0, R4): the kernel's own membership and the bridge's witness under every kind of cut, from seeds.
// After every millisecond: one view for each number, and nobody goes on while others have gone on without him. When
// the wire is whole again: everybody is in. A failure prints its seed.
import { describe, expect, test } from "vitest";
import { Witness } from "../../netbridge/witness.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { cut, heal, LOSS, Members, trialAndPeace } from "../support/membership.js";
import { chance } from "../support/search.js";

const kernel = new KernelWasm();
const bytes = kernel.constant("MEMBERSHIP_BYTES");
const rooms = [kernel.room(1024), ...Array.from({ length: 6 }, () => kernel.room(bytes))];

function cluster(count: number, seed = 1): Members {
  const members = new Members(kernel, count, seed, rooms);
  members.run(200);
  expect(members.whole(), members.state()).toBe(true);
  return members;
}

const active = (members: Members) => members.machines.map((_, i) => i + 1).filter((m) => members.active(m));

describe("cuts", () => {
  test.each([
    { count: 2, islands: [[0, 1], [2]], go: [1] },
    { count: 2, islands: [[1], [0, 2]], go: [2] },
    { count: 2, islands: [[0], [1], [2]], go: [] },
    {
      count: 3,
      islands: [
        [1, 2],
        [0, 3],
      ],
      go: [1, 2],
    },
    { count: 3, islands: [[0, 1], [2], [3]], go: [] },
    {
      count: 4,
      islands: [
        [1, 2],
        [0, 3, 4],
      ],
      go: [3, 4],
    },
    { count: 4, islands: [[0], [1, 2], [3, 4]], go: [] },
    {
      count: 5,
      islands: [
        [0, 1, 2],
        [3, 4, 5],
      ],
      go: [3, 4, 5],
    },
  ])("R4: $count machines cut into $islands: $go go on, and all come back", ({ count, islands, go }) => {
    const members = cluster(count);
    cut(members, ...islands);
    members.run(3000);
    expect(active(members), members.state()).toEqual(go);
    heal(members);
    members.run(4000);
    expect(members.whole(), members.state()).toBe(true);
  });

  test("one after the other dies: with the bridge's vote the last one goes on", () => {
    const members = cluster(3);
    members.machine(2).alive = false;
    members.run(2500);
    expect(active(members)).toEqual([1, 3]);
    members.machine(1).alive = false;
    members.run(2500);
    expect(active(members), members.state()).toEqual([3]);
    members.boot(1);
    members.boot(2);
    members.run(3000);
    expect(members.whole(), members.state()).toBe(true);
  });

  test("who comes late, or comes back cut off from the others, forms no second cluster", () => {
    const members = cluster(2);
    members.machine(2).alive = false;
    members.run(300);
    cut(members, [1], [0, 2]);
    members.boot(2);
    members.mayForm(2);
    members.run(3000);
    expect(active(members), members.state()).toEqual([]);
    heal(members);
    members.run(3000);
    expect(members.whole(), members.state()).toBe(true);
  });

  test("the bridge starts again: its new life is taken in, and counts from then on", () => {
    const members = cluster(2);
    members.restartBridge();
    members.run(2500);
    members.machine(1).alive = false;
    members.run(2500);
    expect(active(members), members.state()).toEqual([2]);
  });

  test("the bridge forgets and half of the cluster is gone at the same time: it does not vote twice", () => {
    const members = cluster(2);
    cut(members, [0, 1], [2]);
    members.run(3000);
    expect(active(members)).toEqual([1]);
    members.restartBridge();
    cut(members, [1], [0, 2]);
    members.run(3000);
    expect(active(members), members.state()).toEqual([1]);
  });

  test("R0: who went on alone is dead, and starts again: the other one, left out, does not go on with the view before", () => {
    const members = cluster(2);
    cut(members, [1], [0, 2]);
    members.run(3000);
    expect(active(members)).toEqual([2]);
    const { life } = members.machine(1);
    members.machine(2).alive = false;
    heal(members);
    members.boot(2);
    members.run(4000);
    expect(members.whole(), members.state()).toBe(true);
    expect(members.machine(1).life).not.toBe(life);
  });

  test("R3: one of two dies, and the bridge forgets: when both are back, the one that lived goes on in its life", () => {
    const members = cluster(2);
    members.machine(2).alive = false;
    members.restartBridge();
    members.run(3000);
    const { life } = members.machine(1);
    members.boot(2);
    members.run(4000);
    expect(members.whole(), members.state()).toBe(true);
    expect(members.machine(1).life).toBe(life);
  });

  // It is cut off while all begin anew, and hears of their cluster first when a machine is missing.
  test("R3: the bridge knows another cluster: when all are back, the one that lived goes on in its life", () => {
    const members = cluster(3);
    for (let m = 1; m <= 3; m++) members.machine(m).alive = false;
    cut(members, [0], [1, 2, 3]);
    for (let m = 1; m <= 3; m++) members.boot(m);
    members.run(1000);
    expect(members.whole(), members.state()).toBe(true);
    members.machine(3).alive = false;
    members.run(2500);
    expect(active(members), members.state()).toEqual([1, 2]);
    heal(members);
    members.machine(2).alive = false;
    members.run(2500);
    expect(active(members), members.state()).toEqual([]);
    const { life } = members.machine(1);
    members.boot(2);
    members.boot(3);
    members.run(4000);
    expect(members.whole(), members.state()).toBe(true);
    expect(members.machine(1).life).toBe(life);
  });

  test.each([0, 1])(
    "R7: no life of the newest view is left: all go on in the next one (the bridge has forgotten %i times)",
    (times) => {
      const members = cluster(3);
      cut(members, [0, 1, 2], [3]);
      members.run(3000);
      expect(active(members)).toEqual([1, 2]);
      for (let m = 1; m <= 2; m++) members.machine(m).alive = false;
      for (let t = 0; t < times; t++) members.restartBridge();
      heal(members);
      members.run(2000);
      for (let m = 1; m <= 2; m++) members.boot(m);
      members.run(5000);
      expect(members.whole(), members.state()).toBe(true);
    },
  );

  test("a cluster that starts without one of its machines waits for it, then begins, and takes it in later", () => {
    const members = new Members(kernel, 3, 5, rooms);
    members.machine(3).alive = false;
    members.run(1000);
    expect(active(members)).toEqual([]);
    members.mayForm(1);
    members.mayForm(2);
    members.run(1000);
    expect(active(members), members.state()).toEqual([1, 2]);
    members.boot(3);
    members.run(1500);
    expect(members.whole(), members.state()).toBe(true);
  });
});

describe("coming and going", () => {
  test("R4: the one machine that misses another one waits for nobody who hears it", () => {
    const members = cluster(6);
    members.hears[6]![4] = false;
    members.run(LOSS + 60);
    expect(active(members).length, members.state()).toBe(5);
  });

  test("R7: who begins anew makes nobody else do so", () => {
    const members = cluster(6);
    cut(members, [0, 1, 2, 3], [4], [5], [6]);
    members.run(2500);
    const lives = members.lives;
    heal(members);
    members.run(1500);
    expect(members.whole(), members.state()).toBe(true);
    expect(members.lives - lives).toBe(3);
  });

  // Machine 3 cannot go on without machine 1, which is back when 3 has given it up and those who come have met it.
  test("R4, R7: who votes for a view that takes it in, and without one that it hears, is a member of it", () => {
    const members = cluster(5);
    cut(members, [0, 1, 2, 3], [4], [5]);
    members.run(2500);
    members.machine(1).pausedUntil = members.now + 2000;
    members.machine(2).alive = false;
    heal(members);
    members.run(5000);
    expect(members.whole(), members.state()).toBe(true);
  });
});

describe("seeds", () => {
  test.each([2, 3, 4, 5])(
    "R0: %i machines, cuts of every shape, deaths, pauses: never two sides",
    (count) => {
      let changes = 0;
      for (let seed = 1; seed <= 6; seed++) {
        changes += trialAndPeace(kernel, count, seed, rooms);
      }
      expect(changes).toBeGreaterThan(12);
    },
  );
});

describe("the witness", () => {
  const PREPARE = 1;
  const frame = (kind: number, cluster: bigint, number: bigint, ballot: bigint, lives: bigint[] = []) => {
    const bytes = new Uint8Array(14 + 72 + 8 * lives.length);
    bytes.set([0x03, 0x42, 0x4c, 0x4b, 0, 1, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xb5]);
    const view = new DataView(bytes.buffer, 14);
    view.setUint32(0, 0x02564c42, true);
    bytes.set([kind, 1, 0, 2], 18);
    for (const [i, value] of [cluster, number, ballot].entries()) view.setBigUint64(8 + 8 * i, value, true);
    view.setBigUint64(48, (1n << BigInt(lives.length)) - 1n, true);
    for (const [i, life] of lives.entries()) view.setBigUint64(72 + 8 * i, life, true);
    return bytes;
  };

  test("promises once: a lower ballot is shown the higher one, and what was accepted", () => {
    const witness = new Witness(9n);
    const number = (answer: Uint8Array | null, at: number) =>
      new DataView(answer!.buffer, 14).getBigUint64(at, true);
    expect(number(witness.receive(frame(PREPARE, 0n, 1n, 512n)), 24)).toBe(512n);
    expect(witness.receive(frame(3, 0n, 1n, 511n, [5n]))).toBeNull();
    expect(number(witness.receive(frame(3, 0n, 1n, 512n, [5n])), 24)).toBe(512n);
    const shown = witness.receive(frame(PREPARE, 0n, 1n, 600n));
    expect(number(shown, 32)).toBe(512n);
    expect(number(shown, 72)).toBe(5n);
    // The first view is decided: no other first view, nor the second one twice.
    witness.receive(frame(5, 5n, 1n, 0n, [5n]));
    expect(new DataView(witness.receive(frame(PREPARE, 0n, 1n, 700n))!.buffer).getUint8(18)).toBe(6);
    expect(new DataView(witness.receive(frame(PREPARE, 5n, 1n, 700n))!.buffer).getUint8(18)).toBe(6);
  });

  test("50,000 damaged frames: answered by the layout or not at all", () => {
    const next = chance(77);
    const witness = new Witness(1n);
    let answered = 0;
    for (let i = 0; i < 50_000; i++) {
      const lives = Array.from({ length: next(3) }, () => BigInt(next(1000)));
      const bytes = frame(1 + next(6), BigInt(next(3)), BigInt(next(4)), BigInt(next(2000)), lives);
      for (let k = next(4); k > 0; k--) bytes[14 + next(bytes.length - 14)] = next(256);
      const answer = witness.receive(next(5) === 0 ? bytes.subarray(0, next(bytes.length)) : bytes);
      if (answer === null) continue;
      answered++;
      expect(answer.length).toBeGreaterThanOrEqual(86);
      expect(answer.length).toBeLessThanOrEqual(14 + 584);
    }
    expect(answered).toBeGreaterThan(5_000);
  });

  test("50,000 damaged votes reach a machine: nothing is believed that is not a vote", () => {
    const next = chance(78);
    const members = cluster(2);
    const view = members.view(1);
    const room = rooms[0]!;
    for (let i = 0; i < 50_000; i++) {
      const vote = frame(1 + next(4), BigInt(next(3)), BigInt(next(4)), BigInt(next(2000)), [1n]).subarray(
        14,
      );
      for (let k = next(4); k > 0; k--) vote[next(vote.length)] = next(256);
      kernel.bytes.set(vote, room);
      kernel.call("membershipInput")(
        members.machine(1).at,
        room,
        next(3) ? vote.length : next(vote.length),
        300_000_000n,
      );
      while (kernel.call("membershipOut")(members.machine(1).at) !== 0);
    }
    expect(members.view(1)).toBe(view);
  });
});
