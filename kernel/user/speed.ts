// Programs to measure an engine with: the same file runs natively on Linux, under QEMU and in our machines.
// Usage: speed sieve|sha256|chase [SIZE]
//
// Prints `speed: NAME SIZE checksum HEX ns N`, the time by CLOCK_MONOTONIC around the work alone. In virtual time a
// nanosecond is an instruction, so a seeded run prints the number of instructions.
import {
  argumentIs,
  decimal,
  exit,
  letter,
  mapPrivate,
  now,
  numberArgument,
  pageUp,
  programStart,
  text,
} from "./libuser";

const SIEVE: u32 = 0;
const SHA256: u32 = 1;
const CHASE: u32 = 2;

export function start(stack: u64): void {
  programStart(stack);
  const which = argumentIs(1, "sieve")
    ? SIEVE
    : argumentIs(1, "sha256")
      ? SHA256
      : argumentIs(1, "chase")
        ? CHASE
        : 99;
  if (which === 99) {
    text("usage: speed sieve|sha256|chase [SIZE]\n");
    exit(2);
  }
  const size = u32(numberArgument(2, which === SHA256 ? 1 << 20 : 1 << 22));
  // Memory is touched before the clock starts: this measures instructions, not page faults.
  const memory = mapPrivate(pageUp(usize(size) + 4096));
  memoryTouch(memory, usize(size) + 4096);
  if (which === CHASE) chasePrepare(memory, size);
  const before = now();
  let sum: u64 = 0;
  if (which === SIEVE) sum = sieve(memory, size);
  else if (which === SHA256) sum = sha256(memory, size);
  else sum = chase(memory, size);
  const elapsed = now() - before;
  text("speed: ");
  text(which === SIEVE ? "sieve " : which === SHA256 ? "sha256 " : "chase ");
  decimal(u64(size));
  text(" checksum ");
  hexadecimal(sum);
  text(" ns ");
  decimal(elapsed);
  text("\n");
  exit(0);
}

function hexadecimal(value: u64): void {
  for (let shift: i32 = 60; shift >= 0; shift -= 4) {
    const digit = u32((value >> u64(shift)) & 15);
    letter(digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}

function memoryTouch(at: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 4096) store<u8>(at + i, 1);
}

/** Eratosthenes, a byte a number: stores with a stride, and a short inner loop. */
function sieve(flags: usize, size: u32): u64 {
  memory.fill(flags, 1, usize(size));
  let primes: u64 = 0;
  for (let i: u32 = 2; i < size; i++) {
    if (load<u8>(flags + usize(i)) === 0) continue;
    primes++;
    if (i > 46340) continue;
    for (let j = i * i; j < size; j += i) store<u8>(flags + usize(j), 0);
  }
  return primes;
}

// --- SHA-256 (FIPS 180-4): rotations, additions, no branches ---

// biome-ignore format: a table
const K: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
// biome-ignore format: a table
const START: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const W: usize = memory.data(256);
const H: usize = memory.data(32);

/** The blocks of `size` bytes, without padding; the first eight bytes of the state. */
function sha256(at: usize, size: u32): u64 {
  memory.copy(H, START, 32);
  for (let block: u32 = 0; block + 64 <= size; block += 64) sha256Block(at + usize(block));
  return (u64(load<u32>(H)) << 32) | u64(load<u32>(H + 4));
}

function sha256Block(at: usize): void {
  for (let i: usize = 0; i < 16; i++) store<u32>(W + (i << 2), bswap<u32>(load<u32>(at + (i << 2))));
  for (let i: usize = 16; i < 64; i++) {
    const a = load<u32>(W + ((i - 15) << 2));
    const b = load<u32>(W + ((i - 2) << 2));
    const s0 = rotr<u32>(a, 7) ^ rotr<u32>(a, 18) ^ (a >> 3);
    const s1 = rotr<u32>(b, 17) ^ rotr<u32>(b, 19) ^ (b >> 10);
    store<u32>(W + (i << 2), load<u32>(W + ((i - 16) << 2)) + s0 + load<u32>(W + ((i - 7) << 2)) + s1);
  }
  let a = load<u32>(H);
  let b = load<u32>(H + 4);
  let c = load<u32>(H + 8);
  let d = load<u32>(H + 12);
  let e = load<u32>(H + 16);
  let f = load<u32>(H + 20);
  let g = load<u32>(H + 24);
  let h = load<u32>(H + 28);
  for (let i: usize = 0; i < 64; i++) {
    const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u32>(K + (i << 2)) + load<u32>(W + (i << 2));
    const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  store<u32>(H, load<u32>(H) + a);
  store<u32>(H + 4, load<u32>(H + 4) + b);
  store<u32>(H + 8, load<u32>(H + 8) + c);
  store<u32>(H + 12, load<u32>(H + 12) + d);
  store<u32>(H + 16, load<u32>(H + 16) + e);
  store<u32>(H + 20, load<u32>(H + 20) + f);
  store<u32>(H + 24, load<u32>(H + 24) + g);
  store<u32>(H + 28, load<u32>(H + 28) + h);
}

/** A cycle through all lines of the memory in an order that no prefetcher guesses: each load waits for the last. */
function chasePrepare(at: usize, size: u32): void {
  const lines = size >> 6;
  // A linear congruential step visits every line of a power of two once (Hull and Dobell).
  let line: u32 = 0;
  for (let i: u32 = 0; i < lines; i++) {
    const next = (line * 1_664_525 + 1_013_904_223) & (lines - 1);
    store<u32>(at + (usize(line) << 6), next);
    line = next;
  }
}

function chase(at: usize, size: u32): u64 {
  let line: u32 = 0;
  let sum: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    line = load<u32>(at + (usize(line) << 6));
    sum += u64(line);
  }
  return sum;
}
