// Random bytes for programs: SplitMix64 (Steele, Lea, Flood 2014) from the boot option `seed` and the machine's
// number. Not for secrets: an emulated cluster is to do the same thing twice.
import { bootNumber } from "../options";

const GAMMA: u64 = (u64(0x9e37_79b9) << 32) | 0x7f4a_7c15;
const state: usize = memory.data(8, 8);

export function randomSeed(): void {
  store<u64>(state, bootNumber("seed", 1) * GAMMA + bootNumber("node", 1));
}

/** Each call takes a step of its own, whichever core it is made on. */
export function random64(): u64 {
  let z = atomic.add<u64>(state, GAMMA) + GAMMA;
  z = (z ^ (z >> 30)) * ((u64(0xbf58_476d) << 32) | 0x1ce4_e5b9);
  z = (z ^ (z >> 27)) * ((u64(0x94d0_49bb) << 32) | 0x1331_11eb);
  return z ^ (z >> 31);
}

export function randomBytes(buffer: usize, bytes: usize): void {
  let done: usize = 0;
  while (done < bytes) {
    let word = random64();
    for (let i: usize = 0; i < 8 && done < bytes; i++) {
      store<u8>(buffer + done, u8(word));
      word >>= 8;
      done++;
    }
  }
}
