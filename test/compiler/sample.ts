// A program in the kernel's dialect as the kernel is written: unmanaged classes on a slab of its own, a
// red-black tree, four-level page tables, SHA-256, a sieve, dispatch through the function table, messages on a
// ring with atomics. `step(which, n)` runs n operations of one kind; `start` runs all and writes hashes.
export const sample = `
import { syscall } from "./arch";

const POOL: usize = 0x600000;
const POOL_BYTES: usize = 0x1000000;
let next: usize = POOL;
function allocate(bytes: usize): usize {
  const at = next;
  next += (bytes + 15) & ~15;
  assert(next <= POOL + POOL_BYTES, "the pool is used up");
  memory.fill(at, 0, bytes);
  return at;
}

let state: u64 = 88172645463325252;
function random(): u64 {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

@unmanaged class Node {
  left: Node | null;
  right: Node | null;
  parent: Node | null;
  red: bool;
  key: u64;
  value: u32;
}

@unmanaged class Tree {
  root: Node | null;
  count: u32;

  find(key: u64): Node | null {
    let node = this.root;
    while (node != null && node.key != key) node = key < node.key ? node.left : node.right;
    return node;
  }

  rotate(node: Node, left: bool): void {
    const child = left ? node.right! : node.left!;
    const moved = left ? child.left : child.right;
    if (left) node.right = moved;
    else node.left = moved;
    if (moved != null) moved.parent = node;
    const parent = node.parent;
    child.parent = parent;
    if (parent == null) this.root = child;
    else if (parent.left == node) parent.left = child;
    else parent.right = child;
    if (left) child.left = node;
    else child.right = node;
    node.parent = child;
  }

  insert(key: u64, value: u32): bool {
    let parent: Node | null = null;
    let node = this.root;
    while (node != null) {
      parent = node;
      if (key == node.key) { node.value += value; return false; }
      node = key < node.key ? node.left : node.right;
    }
    const fresh = changetype<Node>(allocate(offsetof<Node>()));
    fresh.key = key;
    fresh.value = value;
    fresh.parent = parent;
    fresh.red = true;
    if (parent == null) this.root = fresh;
    else if (key < parent.key) parent.left = fresh;
    else parent.right = fresh;
    this.count++;
    this.repair(fresh);
    return true;
  }

  repair(inserted: Node): void {
    let node = inserted;
    for (;;) {
      const parent = node.parent;
      if (parent == null || !parent.red) break;
      const grand = parent.parent!;
      const left = grand.left == parent;
      const uncle = left ? grand.right : grand.left;
      if (uncle != null && uncle.red) {
        parent.red = false;
        uncle.red = false;
        grand.red = true;
        node = grand;
        continue;
      }
      let top = parent;
      if ((left ? parent.right : parent.left) == node) {
        this.rotate(parent, left);
        top = node;
        node = parent;
      }
      top.red = false;
      grand.red = true;
      this.rotate(grand, !left);
    }
    this.root!.red = false;
  }

  /** Black nodes down to the leaves, or -1 when the tree is not in order. */
  height(node: Node | null, low: u64, high: u64): i32 {
    if (node == null) return 0;
    if (node.key < low || node.key > high) return -1;
    if (node.red && node.parent != null && node.parent!.red) return -1;
    const left = this.height(node.left, low, node.key);
    const right = this.height(node.right, node.key, high);
    if (left < 0 || left != right) return -1;
    return left + i32(!node.red);
  }
}

let tree: Tree = changetype<Tree>(0);

function treeStep(n: u32): u64 {
  if (changetype<usize>(tree) == 0) tree = changetype<Tree>(allocate(offsetof<Tree>()));
  let found: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const key = random() % 50000;
    if ((i & 3) == 0) tree.insert(key, i);
    else {
      const node = tree.find(key);
      if (node != null) found += node.value;
    }
  }
  const height = tree.height(tree.root, 0, u64.MAX_VALUE);
  assert(height > 0, "the tree is not red-black");
  return found * 31 + <u64>tree.count + <u64>height;
}

// --- Page tables: 512 entries of 8 bytes, four levels ---
const PRESENT: u64 = 1;
let root: usize = 0;
let frames: usize = 0;
let framesUsed: u32 = 0;
function frame(): usize {
  if (frames == 0) frames = (allocate(0x200000 + 4096) + 4095) & ~4095;
  framesUsed++;
  return frames + <usize>((framesUsed - 1) & 511) * 4096;
}
function entryOf(virtual: u64, create: bool): usize {
  let table = root;
  for (let level = 3; level > 0; level--) {
    const at = table + (<usize>(virtual >> (12 + 9 * <u64>level)) & 511) * 8;
    let entry = load<u64>(at);
    if ((entry & PRESENT) == 0) {
      if (!create || framesUsed >= 500) return 0;
      entry = <u64>frame() | PRESENT;
      store<u64>(at, entry);
    }
    table = <usize>(entry & 0xffffffff000);
  }
  return table + (<usize>(virtual >> 12) & 511) * 8;
}
function pageStep(n: u32): u64 {
  if (root == 0) root = frame();
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const virtual = (random() & 0x3fffff) << 12;
    const at = entryOf(virtual, (i & 7) == 0);
    if (at == 0) continue;
    const entry = load<u64>(at);
    sum += entry;
    store<u64>(at, (virtual ^ (entry << 1)) | PRESENT);
  }
  return sum + framesUsed;
}

// --- SHA-256 (FIPS 180-4) of a block that changes ---
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
const W: usize = memory.data(256);
const H: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
function compress(): void {
  for (let i: usize = 16; i < 64; i++) {
    const w15 = load<u32>(W + (i - 15) * 4);
    const w2 = load<u32>(W + (i - 2) * 4);
    const s0 = rotr<u32>(w15, 7) ^ rotr<u32>(w15, 18) ^ (w15 >> 3);
    const s1 = rotr<u32>(w2, 17) ^ rotr<u32>(w2, 19) ^ (w2 >> 10);
    store<u32>(W + i * 4, load<u32>(W + (i - 16) * 4) + s0 + load<u32>(W + (i - 7) * 4) + s1);
  }
  let a = load<u32>(H), b = load<u32>(H + 4), c = load<u32>(H + 8), d = load<u32>(H + 12);
  let e = load<u32>(H + 16), f = load<u32>(H + 20), g = load<u32>(H + 24), h = load<u32>(H + 28);
  for (let i: usize = 0; i < 64; i++) {
    const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u32>(K + i * 4) + load<u32>(W + i * 4);
    const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
  }
  store<u32>(H, load<u32>(H) + a); store<u32>(H + 4, load<u32>(H + 4) + b);
  store<u32>(H + 8, load<u32>(H + 8) + c); store<u32>(H + 12, load<u32>(H + 12) + d);
  store<u32>(H + 16, load<u32>(H + 16) + e); store<u32>(H + 20, load<u32>(H + 20) + f);
  store<u32>(H + 24, load<u32>(H + 24) + g); store<u32>(H + 28, load<u32>(H + 28) + h);
}
function hashStep(n: u32): u64 {
  for (let i: u32 = 0; i < n; i++) {
    store<u32>(W + (i & 15) * 4, bswap<u32>(i));
    compress();
  }
  return load<u64>(H) ^ load<u64>(H + 24);
}

// --- Sieve ---
const SIEVE: usize = 0x1700000;
function sieveStep(n: u32): u64 {
  memory.fill(SIEVE, 1, n);
  let primes: u64 = 0;
  for (let i: u32 = 2; i < n; i++) {
    if (load<u8>(SIEVE + i) == 0) continue;
    primes++;
    for (let j = i + i; j < n; j += i) store<u8>(SIEVE + j, 0);
  }
  return primes;
}

// --- Messages on a ring, dispatched through the table ---
@unmanaged class Message {
  handler: u32;
  flags: u32;
  a: u64;
  b: u64;
  result: u64;
}
function addition(m: Message): void { m.result = m.a + m.b; }
function product(m: Message): void { m.result = m.a * (m.b | 1); }
function quotient(m: Message): void { m.result = m.a / (m.b | 1) + (m.a % (m.b | 1)); }
function bits(m: Message): void { m.result = popcnt(m.a) + (clz(m.b) << 8) + (ctz(m.a) << 16); }
const RING: u32 = 64;
const ring: usize = memory.data(64 * 32);
const indices: usize = memory.data(64);
function handlerFor(which: u32): u32 {
  switch (which) {
    case 0: return addition.index;
    case 1: return product.index;
    case 2: return quotient.index;
    case 3: return bits.index;
    case 4: return addition.index;
    case 5: return bits.index;
    default: return product.index;
  }
}
function messageStep(n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const head = atomic.add<u32>(indices, 1);
    const m = changetype<Message>(ring + (head % RING) * 32);
    m.handler = handlerFor(<u32>(random() & 7));
    m.a = random();
    m.b = random() >> (i & 63);
    atomic.store<u32>(indices + 4, head + 1);
    const tail = atomic.load<u32>(indices + 4);
    const taken = changetype<Message>(ring + ((tail - 1) % RING) * 32);
    call_indirect<void>(taken.handler, taken);
    if (atomic.cmpxchg<u32>(indices + 8, i, i + 1) != i) sum++;
    atomic.or<u64>(indices + 16, taken.result);
    sum = rotl<u64>(sum, 5) + taken.result + atomic.xor<u64>(indices + 24, taken.a);
  }
  return sum + atomic.load<u64>(indices + 16);
}

export function step(which: u32, n: u32): u64 {
  switch (which) {
    case 0: return treeStep(n);
    case 1: return pageStep(n);
    case 2: return hashStep(n);
    case 3: return sieveStep(n);
    case 4: return messageStep(n);
    default: return 0;
  }
}

const results: usize = memory.data(16);
function report(value: u64): void {
  store<u64>(results, value);
  syscall(1, 1, <u64>results, 8, 0, 0, 0);
}

/** FNV-1a of the whole pool and the sieve. */
function memoryHash(): u64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let at = POOL; at < SIEVE + 0x10000; at += 8) hash = (hash ^ load<u64>(at)) * 0x100000001b3;
  return hash;
}

export function start(stack: u64): void {
  // Linear memory behind the image: on Linux it must be asked for, elsewhere it is there.
  syscall(9, <u64>POOL, 0x1400000, 3, 0x32, u64.MAX_VALUE, 0);
  // Arguments: which kind, how often, for measuring; without them, some of everything.
  for (let which: u32 = 0; which < 5; which++) report(step(which, which == 3 ? 60000 : 20000));
  report(memoryHash());
  syscall(231, 0, 0, 0, 0, 0, 0);
}
`;
