// The sleeper of alarm.ts.

import { parentPort, workerData } from "node:worker_threads";
import { type AlarmData, alarmTime, alarmWord, NEVER } from "./alarm.js";
import { hostNanosecondsSince } from "./host-clock.js";

const { words, times, epoch } = workerData as AlarmData;
const now = hostNanosecondsSince(epoch);

for (let rung = 0; Atomics.load(words, alarmWord.ending) === 0; ) {
  const woken = Atomics.load(words, alarmWord.woken);
  const setting = Atomics.load(words, alarmWord.settings);
  const goal = setting === rung ? NEVER : Atomics.load(times, alarmTime.set);
  Atomics.store(times, alarmTime.asleep, goal);
  if (Atomics.load(words, alarmWord.settings) !== setting) continue;
  const left = goal === NEVER ? Number.POSITIVE_INFINITY : (Number(goal) - now()) / 1e6;
  if (left > 0) Atomics.wait(words, alarmWord.woken, woken, left);
  else {
    rung = setting;
    parentPort!.postMessage(null);
  }
}
