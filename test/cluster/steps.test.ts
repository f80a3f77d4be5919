// The page protocol as it shows from outside, one step of real programs at a time: which machines say what to whom, what states
// it leaves behind, what it costs. Counts are exact, times virtual; R is the round trip of the wire.
import { describe, expect, test } from "vitest";
import { alone, programInstructions } from "../support/alone.js";
import { SHARERS, TAX } from "../support/goals.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { invalidations } from "../support/invalidations.js";
import { followed, R_NS, Steps, zeros, zerosRoute } from "../support/steps.js";

/** One run for several tests: it is made by the first that asks. */
function once(texts: readonly string[], shape: Parameters<typeof Steps.run>[1]): () => Promise<Steps> {
  let run: Promise<Steps> | null = null;
  return () => {
    run ??= Steps.run(texts, shape);
    return run;
  };
}

describe("a page among four machines, at home on the first", { timeout: 120_000 }, () => {
  const [FIRST, FILL, , REST, REFILL, READ, COME_HOME, READ_CLEAN, ALL, UPGRADE, TAKE, AGAIN] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ] as const;
  const pages = once(
    ["2r0", "2w0-63", "2s15", "2s15", "2w0-63", "3r5", "1r5", "4r5", "1234r5", "3w5", "4w5", "4w5"],
    { machines: 4, home: 1, append: "guess=0" },
  );

  test("promise 73: the first to read a page of a file is granted all of it, by one message", async () => {
    const run = await pages();
    expect(run.route(FIRST), run.text).toEqual(["2 READ_PAGE 1", "1 READ_PAGE answer 2"]);
    expect(run.records(2, FIRST)).toContainEqual({ state: "EXCLUSIVE", first: 0, last: 4095, directory: "" });
  });

  test("promise 65: E to M and M to E send no message", async () => {
    const run = await pages();
    // E, by reading; M, by writing; E, when it has rested; M.
    expect(run.state(2, 0, FIRST), run.text).toBe("EXCLUSIVE");
    expect(run.state(2, 63, FILL)).toBe("MODIFIED");
    expect(run.state(2, 63, REST)).toBe("EXCLUSIVE");
    for (const step of [FILL, REST, REFILL]) expect(run.route(step), run.text).toEqual([]);
    // Nor does a page that was read fault when it is written: it is E, mapped to be written.
    expect(run.did(REFILL, 2).nanoseconds).toBeLessThan(3000);
  });

  test("promise 73: a conflict splits off one page", async () => {
    const run = await pages();
    const ranges = run.records(1, READ).filter(({ directory }) => directory === "HELD");
    expect(
      ranges.map(({ first, last }) => [first, last]).sort(([a], [b]) => a! - b!),
      run.text,
    ).toEqual([
      [0, 4],
      [5, 5],
      [6, 4095],
    ]);
  });

  test("promises 67, 68 and 71: who has nothing asks the home, which passes it on, and the holder answers him directly: S", async () => {
    const run = await pages();
    expect(run.route(READ), run.text).toEqual([
      "3 READ_PAGE 1",
      "1 FORWARD_READ 2",
      "2 READ_PAGE answer with the page 3",
    ]);
    expect([run.state(2, 5, READ), run.state(3, 5, READ)]).toEqual(["OWNED", "SHARED"]);
    expect(run.did(READ, 3).nanoseconds / R_NS, run.text).toBeLessThan(2.2);
    expect(run.did(READ, 3).value).toBe(REFILL);
  });

  test("promise 67: where nobody has E or M the backing store decides", async () => {
    const run = await pages();
    expect(run.route(COME_HOME)).toContain("2 READ_PAGE answer with the page 1");
    expect(run.route(READ_CLEAN), run.text).toEqual(["4 READ_PAGE 1", "1 READ_PAGE answer with the page 4"]);
    expect(run.did(READ_CLEAN, 4).nanoseconds / R_NS).toBeLessThan(2);
  });

  test("promise 62: readers say nothing after the first fetch", async () => {
    const run = await pages();
    expect(run.of(ALL).did.size).toBe(4);
    expect(run.route(ALL), run.text).toEqual([]);
  });

  test("the right to write without the page: request, answer, and two for each other sharer, all to the writer", async () => {
    const run = await pages();
    const sent = run.of(UPGRADE).messages;
    // The home's own copy is invalidated without a message.
    expect(sent.length, run.text).toBe(2 + 2 * 3 - 1);
    expect(sent.some(({ withPage }) => withPage)).toBe(false);
    for (const { name, to } of sent) if (name === "INVALIDATE answer") expect(to).toBe(3);
    expect([1, 2, 4].map((machine) => run.state(machine, 5, UPGRADE))).toEqual(Array(3).fill("INVALID"));
  });

  test("promises 67 and 71: who has M hands it over directly to the next who writes: I", async () => {
    const run = await pages();
    expect(run.route(TAKE), run.text).toEqual([
      "4 WRITE_PAGE 1",
      "1 FORWARD_WRITE 3",
      "3 WRITE_PAGE answer with the page 4",
    ]);
    expect([run.state(3, 5, TAKE), run.state(4, 5, TAKE)]).toEqual(["INVALID", "MODIFIED"]);
    expect(run.did(TAKE, 4).nanoseconds / R_NS).toBeLessThan(2.2);
    expect(run.route(AGAIN).filter((route) => !route.includes("CLOSE"))).toEqual([]);
  });
});

describe("who has lost a page to a machine and reads it soon asks that one as well", {
  timeout: 120_000,
}, () => {
  const [FIRST, GUESSED, WRONG] = [2, 4, 6] as const;
  const texts = ["2w0", "4r0", "2w0", "4r0", "23w0", "4r0", "1s1"];
  const guesses = once(texts, { machines: 4, home: 1 });

  test("promise 71: the owner is guessed right: one hop each way", async () => {
    const run = await guesses();
    expect(run.route(GUESSED).slice(0, 2), run.text).toEqual(["4 READ_PAGE 1", "4 GUESS 2"]);
    expect(run.route(GUESSED).slice(2).sort()).toEqual([
      "1 FORWARD_READ 2",
      "1 ORDERED 4",
      "2 GUESS answer with the page 4",
    ]);
    expect(run.did(GUESSED, 4).value).toBe(3);
    const took = (step: number) => run.did(step, 4).nanoseconds / R_NS;
    // A hop is half a round trip.
    expect(took(FIRST) - took(GUESSED), run.text).toBeGreaterThan(0.4);
    expect(took(GUESSED)).toBeLessThan(1.4);
    expect([run.state(2, 0, GUESSED), run.state(4, 0, GUESSED)]).toEqual(["OWNED", "SHARED"]);
  });

  test("the owner is guessed wrong: who does not own the page says nothing, and it comes as without a guess", async () => {
    const run = await guesses();
    // Machine 3 took the page from machine 4, and machine 2 from machine 3; or the other way round.
    const [, guess] = run.route(WRONG);
    const [taker, owner] = guess === "4 GUESS 3" ? [3, 2] : [2, 3];
    expect(run.route(WRONG), run.text).toEqual([
      "4 READ_PAGE 1",
      `4 GUESS ${taker}`,
      `1 FORWARD_READ ${owner}`,
      `${owner} READ_PAGE answer with the page 4`,
    ]);
    expect(run.did(WRONG, 4).value).toBe(5);
  });

  test("`guess=0`: nobody guesses", async () => {
    const run = await Steps.run(texts, { machines: 4, home: 1, append: "guess=0" });
    for (const step of [FIRST, GUESSED])
      expect(run.route(step), run.text).toEqual([
        "4 READ_PAGE 1",
        "1 FORWARD_READ 2",
        "2 READ_PAGE answer with the page 4",
      ]);
  });
});

describe("who has lost a page to a machine and writes it asks that one as well", { timeout: 120_000 }, () => {
  const [FIRST, BACK, GUESSED, AGAIN, WRONG, SHARED, COPY] = [2, 3, 4, 6, 8, 9, 10] as const;
  const texts = ["2w0", "4w0", "2w0", "4w0", "4r0", "2w0", "3w0", "4w0", "2r0", "2w0", "1s1"];
  const guesses = once(texts, { machines: 4, home: 1 });

  test("promise 71: the owner is guessed right: one hop each way", async () => {
    const run = await guesses();
    expect(run.route(FIRST), run.text).toEqual([
      "4 WRITE_PAGE 1",
      "1 FORWARD_WRITE 2",
      "2 WRITE_PAGE answer with the page 4",
    ]);
    for (const [step, from, to] of [
      [BACK, 4, 2],
      [GUESSED, 2, 4],
      [AGAIN, 4, 2],
    ] as const) {
      expect(run.route(step).slice(0, 2), run.text).toEqual([`${to} WRITE_PAGE 1`, `${to} GUESS ${from}`]);
      expect(run.route(step).slice(2).sort()).toEqual(
        [`1 FORWARD_WRITE ${from}`, `1 ORDERED ${to}`, `${from} GUESS answer with the page ${to}`].sort(),
      );
      expect([run.state(from, 0, step), run.state(to, 0, step)]).toEqual(["INVALID", "MODIFIED"]);
    }
    const took = (step: number) => run.did(step, 4).nanoseconds / R_NS;
    // A hop is half a round trip.
    expect(took(FIRST) - took(GUESSED), run.text).toBeGreaterThan(0.4);
    expect(took(GUESSED)).toBeLessThan(1.4);
  });

  test("the owner is guessed wrong: who does not own the page says nothing, and it comes as without a guess", async () => {
    const run = await guesses();
    // Machine 2 took the page from machine 4, and machine 3 from machine 2.
    expect(run.route(WRONG), run.text).toEqual([
      "4 WRITE_PAGE 1",
      "4 GUESS 2",
      "1 FORWARD_WRITE 3",
      "3 WRITE_PAGE answer with the page 4",
    ]);
  });

  test("who has a copy asks the home alone", async () => {
    const run = await guesses();
    expect(run.route(SHARED), run.text).toContain("4 READ_PAGE answer with the page 2");
    expect(run.route(COPY)).not.toContain("2 GUESS 4");
  });

  test("`guess=0`: nobody guesses", async () => {
    const run = await Steps.run(texts, { machines: 4, home: 1, append: "guess=0" });
    for (const step of [FIRST, GUESSED])
      expect(run.route(step), run.text).toEqual([
        "4 WRITE_PAGE 1",
        "1 FORWARD_WRITE 2",
        "2 WRITE_PAGE answer with the page 4",
      ]);
  });
});

describe("what is kept of it", { timeout: 120_000 }, () => {
  const ranges = once(["1w0-20", "2r1-4", "2w8-9", "1s50", "2w100-163", "2s50"], { home: 1 });

  test("promise 83: one (S) record for P1-P4, one (E) record for P8-P9, and no others, on the machine that has them", async () => {
    const run = await ranges();
    const has = run.records(2, 4).filter(({ state }) => state !== "INVALID");
    expect(has, run.text).toEqual([
      { state: "SHARED", first: 1, last: 4, directory: "" },
      { state: "EXCLUSIVE", first: 8, last: 9, directory: "" },
    ]);
  });

  test("promise 80: 64 pages more are one record more when they have rested", async () => {
    const run = await ranges();
    expect(run.records(2, 5).length, run.text).toBeGreaterThan(64);
    expect(run.records(2, 6).filter(({ state }) => state !== "INVALID").length).toBe(3);
  });
});

test("promise 66: data that is flushed leaves its holder with E, or with S when somebody reads it", async () => {
  const run = await Steps.run(["2w0-3", "1r0", "2w1", "2w0"], { home: 1, append: "mirror=1" });
  // What machine 2 says at its console tells of what it wrote, so that is flushed to its mirror.
  expect(run.route(1).filter((route) => route.startsWith("2 MIRROR")).length, run.text).toBe(4);
  // Of page 1 it is alone: it writes again and asks nobody. Of page 0 it was S: it asks.
  const asked = (step: number) => run.of(step).messages.filter(({ name }) => /_PAGE|INVALID/.test(name));
  expect(asked(3), run.text).toEqual([]);
  expect(run.state(2, 0, 2)).toBe("OWNED");
  expect(asked(4).map(({ name }) => name)).toContain("WRITE_PAGE");
});

test("promise 62: seven readers are silent; and invalidated in at most 1.3 times the time of one", async () => {
  const { run, one, seven } = await invalidations();
  expect(run.of(5).did.size).toBe(7);
  expect(run.route(5), run.text).toEqual([]);
  expect(seven / one, run.text).toBeLessThanOrEqual(SHARERS);
  expect(run.of(6).messages.filter(({ name }) => name === "INVALIDATE answer").length).toBe(7);
});

test("promise 64: without S the page goes to every reader each time; with it they read in silence", async () => {
  const turns = ["1w0", "1r0", "2r0", "3r0", "1r0", "2r0", "3r0", "1r0", "2r0", "3r0"];
  const [mesi, mei] = [
    await Steps.run(turns, { machines: 3, home: 1 }),
    await Steps.run(turns, { machines: 3, home: 1, append: "mei" }),
  ];
  const sent = (run: Steps) =>
    turns
      .slice(4)
      .reduce(
        (sum, _, i) => sum + run.of(i + 5).messages.filter(({ name }) => /PAGE|FORWARD/.test(name)).length,
        0,
      );
  expect(sent(mesi), mesi.text).toBe(0);
  // The home's own requests and answers are no messages.
  expect(sent(mei), mei.text).toBeGreaterThanOrEqual(2 * 6);
});

test("promise 71: while several wait each hands the page to the next one, and the home has none of it", async () => {
  const [HOME, WRITES] = [1, 2];
  const run = await Steps.run(["2w0", "3456a0x20000"], {
    machines: 6,
    home: HOME,
    append: "ship=0 bytes=0 difference=0",
  });
  const waiting = new Set<number>();
  let most = 0;
  let holder = 2;
  for (const { name, from, to, withPage } of run.of(WRITES).messages) {
    if (name === "WRITE_PAGE") waiting.add(from);
    most = Math.max(most, waiting.size);
    if (!withPage) continue;
    expect([name, from], run.text).toEqual(["WRITE_PAGE answer", holder]);
    expect(waiting.delete(to), run.text).toBe(true);
    holder = to;
  }
  expect(most, run.text).toBeGreaterThanOrEqual(3);
  expect([...waiting], run.text).toEqual([]);
  expect(holder, run.text).toBeGreaterThan(2);
});

test("a page that is zeros again travels without its bytes", async () => {
  const run = await zeros();
  expect(run.route(3).slice(0, 3), run.text).toEqual(zerosRoute);
  for (const { bytes } of run.of(3).messages) expect(bytes, run.text).toBeLessThanOrEqual(128);
  expect(run.did(3, 3).value, run.text).toBe(0);
});

test("promise 85: a page comes back to who has its bytes by one request and one answer, each at most 128 bytes", async () => {
  const run = await Steps.run(["2w0", "1r0", "2r0"], { home: 1, append: "mei" });
  expect(run.route(2), run.text).toContain("2 WRITE_PAGE answer with the page 1");
  const sent = run.of(3).messages.filter(({ page }) => page === 0);
  expect(sent.map(({ name, from, to, withPage }) => [name, from, to, withPage])).toEqual([
    ["WRITE_PAGE", 2, 1, false],
    ["WRITE_PAGE answer", 1, 2, false],
  ]);
  for (const { bytes } of sent) expect(bytes, run.text).toBeLessThanOrEqual(128);
  expect(run.did(3, 2).value, run.text).toBe(1);
});

describe("promise 74: what coherence costs who is alone", { timeout: 120_000 }, () => {
  test.each([1, 2, 8])("on %i machines", async (machines) => {
    const { add, touch, again, messages, text } = await alone(machines);
    // LOCK XADD on a page that was shared and is owned now, and on a private one.
    expect(add.shared / add.own, text).toBeLessThan(1.001);
    // Work on 64 pages, from their first touch on; and when they are there.
    expect(touch.shared / touch.own, text).toBeLessThan(TAX);
    expect(again.shared / again.own, text).toBeLessThan(1.001);
    expect(messages, text).toEqual([]);
    if (machines === 1) return;
    const solo = await alone(1);
    expect(add.shared / solo.add.shared, text).toBeLessThan(1.001);
    expect(touch.shared / solo.touch.shared, text).toBeLessThan(TAX);
    expect(again.shared / solo.again.shared, text).toBeLessThan(1.001);
  });

  test("a program on memory of its own, among eight machines", async () => {
    const [solo, joined] = [
      await programInstructions(1, "sieve", 1 << 20),
      await programInstructions(8, "sieve", 1 << 20),
    ];
    expect(joined / solo).toBeLessThan(TAX);
  });
});

describe.skipIf(!hasMusl)(`data and messages${missing("musl")}`, () => {
  test("promise 70: a call that is done elsewhere carries references; its 64 KiB come by the page protocol", async () => {
    const count = 5;
    const run = await followed(cProgram("calls").host, ["write", count], {
      machines: 2,
      seed: 1,
      spread: true,
    });
    const { names, messages } = run.timeline;
    const of = (name: string) => messages.filter((m) => names[m[4]] === name && m[1] >= 0);
    const calls = of("THREAD_CALL");
    expect(calls.length, `${run.text}\n${names.join()}`).toBeGreaterThanOrEqual(count);
    for (const call of calls) expect(call[5]).toBeLessThanOrEqual(128);
    expect(of("READ_PAGE answer").filter((m) => m[3] === 1).length).toBeGreaterThanOrEqual(16 * count);
  });
});
