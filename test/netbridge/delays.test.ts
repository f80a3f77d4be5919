// What a bad wire holds back comes when its time is over: not before, and no later than the event loop can.
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Delays } from "../../netbridge/delays.js";

/** A wire whose clock is moved by hand, in milliseconds, and what it has released. */
function wire() {
  const clock = { now: 0 };
  const delays = new Delays(() => clock.now);
  const released: string[] = [];
  const hold = (microseconds: number, name: string) => delays.hold(microseconds, () => released.push(name));
  return { clock, delays, released, hold };
}

it("parts of a millisecond count: what is due is released at the next turn of the event loop", async () => {
  const { clock, released, hold } = wire();
  hold(100, "frame");
  clock.now = 0.099;
  await turn();
  await turn();
  expect(released).toEqual([]);
  clock.now = 0.1;
  await turn();
  await turn();
  expect(released).toEqual(["frame"]);
});

it("what is due first is released first, and of what is due at once what came first", async () => {
  const { clock, released, hold } = wire();
  hold(300, "c");
  hold(100, "a");
  hold(5000, "d");
  hold(100, "b");
  clock.now = 0.3;
  await turn();
  await turn();
  expect(released).toEqual(["a", "b", "c"]);
  clock.now = 5;
  await sleep(10);
  expect(released).toEqual(["a", "b", "c", "d"]);
});

it("what is dropped is not released, and what is held afterwards is", async () => {
  const { clock, delays, released, hold } = wire();
  hold(100, "dropped");
  hold(50_000, "dropped as well");
  delays.drop();
  hold(200, "held");
  clock.now = 100;
  await turn();
  await turn();
  expect(released).toEqual(["held"]);
});
