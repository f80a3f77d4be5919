// The sleeper of alarm.ts.

import { parentPort, workerData } from "node:worker_threads";
import { type AlarmData, alarmTime, alarmWord, NEVER } from "./alarm.js";
import { hostNanosecondsSince } from "./host-clock.js";

const { words, times, epoch } = workerData as AlarmData;
const now = hostNanosecondsSince(epoch);

for (let rung = NEVER; Atomics.load(words, alarmWord.ending) === 0; ) {
  const woken = Atomics.load(words, alarmWord.woken);
  const set = Atomics.load(times, alarmTime.set);
  const goal = set === rung ? NEVER : set;
  Atomics.store(times, alarmTime.asleep, goal);
  if (Atomics.load(times, alarmTime.set) !== set) continue;
  const left = goal === NEVER ? Number.POSITIVE_INFINITY : (Number(goal) - now()) / 1e6;
  if (left > 0) Atomics.wait(words, alarmWord.woken, woken, left);
  else {
    rung = set;
    parentPort!.postMessage(null);
  }
}
