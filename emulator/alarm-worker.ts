// The sleeper of alarm.ts.

import { parentPort, workerData } from "node:worker_threads";
import { type AlarmData, alarmWord } from "./alarm.js";
import { hostNanosecondsSince } from "./host-clock.js";

const { words, time, epoch } = workerData as AlarmData;
const now = hostNanosecondsSince(epoch);

for (let rung = false; Atomics.load(words, alarmWord.ending) === 0; ) {
  const count = Atomics.load(words, alarmWord.count);
  const left = time[0]! - now();
  if (left > 0 || rung) {
    // Rung, it sleeps until a time is set anew.
    Atomics.wait(words, alarmWord.count, count, rung ? Number.POSITIVE_INFINITY : left / 1e6);
    rung = rung && Atomics.load(words, alarmWord.count) === count;
  } else {
    parentPort!.postMessage(null);
    rung = true;
  }
}
