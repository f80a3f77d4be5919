// RDRAND and RDSEED: ChaCha20 (RFC 8439, 2.3) in counter mode. Its key is the core's own: drawn from the machine's seed,
// so that a run repeats, or from the host's entropy in a live machine (engine.ts seedRandom()).

import { RANDOM_COUNT, RANDOM_KEY, SCRATCH } from "../layout";

const DOUBLE_ROUNDS: u32 = 10;

function quarter(state: usize, a: u32, b: u32, c: u32, d: u32): void {
  let wa = load<u32>(state + a * 4);
  let wb = load<u32>(state + b * 4);
  let wc = load<u32>(state + c * 4);
  let wd = load<u32>(state + d * 4);
  wa += wb;
  wd = rotl<u32>(wd ^ wa, 16);
  wc += wd;
  wb = rotl<u32>(wb ^ wc, 12);
  wa += wb;
  wd = rotl<u32>(wd ^ wa, 8);
  wc += wd;
  wb = rotl<u32>(wb ^ wc, 7);
  store<u32>(state + a * 4, wa);
  store<u32>(state + b * 4, wb);
  store<u32>(state + c * 4, wc);
  store<u32>(state + d * 4, wd);
}

/** "expand 32-byte k" */
const CONSTANT_0: u32 = 0x6170_7865;
const CONSTANT_1: u32 = 0x3320_646e;

/** 64 random bits: the first eight bytes of the next block. */
export function random(core: usize): u64 {
  const state = core + SCRATCH;
  const count = load<u64>(core, RANDOM_COUNT);
  store<u64>(core, count + 1, RANDOM_COUNT);
  store<u32>(state, CONSTANT_0);
  store<u32>(state, CONSTANT_1, 4);
  store<u32>(state, 0x7962_2d32, 8);
  store<u32>(state, 0x6b20_6574, 12);
  memory.copy(state + 16, core + RANDOM_KEY, 32);
  store<u64>(state, count, 48);
  store<u64>(state, 0, 56);
  for (let i: u32 = 0; i < DOUBLE_ROUNDS; i++) {
    quarter(state, 0, 4, 8, 12);
    quarter(state, 1, 5, 9, 13);
    quarter(state, 2, 6, 10, 14);
    quarter(state, 3, 7, 11, 15);
    quarter(state, 0, 5, 10, 15);
    quarter(state, 1, 6, 11, 12);
    quarter(state, 2, 7, 8, 13);
    quarter(state, 3, 4, 9, 14);
  }
  const low = load<u32>(state) + CONSTANT_0;
  const high = load<u32>(state, 4) + CONSTANT_1;
  return <u64>low | ((<u64>high) << 32);
}
