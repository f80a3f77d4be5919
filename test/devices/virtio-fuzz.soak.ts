import { test } from "vitest";
import { fuzzRegisters, fuzzRings } from "./virtio-fuzz.js";

const hundreds = Array.from({ length: 30 }, (_, index) => 1000 + 100 * index);

test.each(hundreds)("random drivers, 100 seeds from %i on", (first) => {
  for (let seed = first; seed < first + 100; seed++) {
    fuzzRings(seed);
    fuzzRegisters(seed);
  }
});
