import { expect, test } from "vitest";
import { Timers, ticksAt, timeOfTick } from "../../emulator/clock.js";
import { Random } from "../../emulator/random.js";

test("timers run in order of time, then in the order in which they were set", () => {
  const timers = new Timers();
  const ran: string[] = [];
  for (const [name, time] of [
    ["c", 30],
    ["a", 10],
    ["b1", 20],
    ["b2", 20],
  ] as const)
    timers.at(time, () => ran.push(name));
  expect(timers.nextDeadline()).toBe(10);
  timers.run(20);
  expect(ran).toEqual(["a", "b1", "b2"]);
  expect(timers.nextDeadline()).toBe(30);
  timers.run(29);
  expect(ran).toHaveLength(3);
  timers.run(30);
  expect(ran.at(-1)).toBe("c");
  expect(timers.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});

test("a callback may set a timer that is due at once, and cancel another", () => {
  const timers = new Timers();
  const ran: string[] = [];
  const doomed = timers.at(5, () => ran.push("doomed"));
  timers.at(1, () => {
    timers.cancel(doomed);
    timers.at(2, () => ran.push("second"));
  });
  timers.run(10);
  expect(ran).toEqual(["second"]);
  timers.cancel(doomed); // again: no harm
});

test("an alarm holds one deadline; setting moves it, Infinity takes it away", () => {
  const timers = new Timers();
  let rang = 0;
  const alarm = timers.alarm(() => rang++);
  alarm.set(10);
  alarm.set(50);
  timers.run(40);
  expect([rang, timers.nextDeadline()]).toEqual([0, 50]);
  alarm.set(Number.POSITIVE_INFINITY);
  timers.run(100);
  expect(rang).toBe(0);
  alarm.set(200);
  timers.run(200);
  alarm.set(200); // after it rang, the same time is a new deadline
  timers.run(200);
  expect(rang).toBe(2);
});

test("alarms of one time ring in the order in which they were made, whoever was set last", () => {
  const timers = new Timers();
  const ran: string[] = [];
  const [a, b] = ["a", "b"].map((name) => timers.alarm(() => ran.push(name)));
  b.set(10);
  timers.at(10, () => ran.push("timer"));
  a.set(10);
  timers.run(10);
  expect(ran).toEqual(["a", "b", "timer"]);
});

test("the heap agrees with a sorted list (seeds 1 to 20)", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const timers = new Timers();
    const ran: number[] = [];
    const expected: [time: number, order: number][] = [];
    for (let order = 0; order < 200; order++) {
      const time = random.below(50);
      const timer = timers.at(time, () => ran.push(order));
      if (random.below(4) === 0) timers.cancel(timer);
      else expected.push([time, order]);
    }
    timers.run(100);
    expected.sort(([a, i], [b, j]) => a - b || i - j);
    expect(ran, `seed ${seed}`).toEqual(expected.map(([, order]) => order));
  }
});

test("ticks and times are each other's inverse, exactly, for a century", () => {
  const century = 100 * 365.25 * 86400;
  for (const hertz of [1_193_182, 3_579_545]) {
    for (const ticks of [0, 1, 2, hertz - 1, hertz, 12_345_678_901, Math.floor(century / 1000) * hertz + 7]) {
      const time = timeOfTick(ticks, hertz);
      expect(ticksAt(time, hertz)).toBe(ticks);
      if (time > 0) expect(ticksAt(time - 1, hertz)).toBe(ticks - 1);
    }
  }
});

test("a time that is not a number is refused", () => {
  expect(() => new Timers().at(Number.NaN, () => {})).toThrow(/not a number/);
});
