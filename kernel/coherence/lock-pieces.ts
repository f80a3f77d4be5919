// Lists of pieces: a piece is a run of an object's bytes that somebody has locked, may lock, or wants to. The lists of the range
// locks (lock-space.ts) are kept sorted by machine, owner and first byte; pieces of one machine and owner do not overlap.
// Pure: nodes come from a pool, which asks `source` for more; a list's head is a cell like a piece's `next`, its first field.

/** Piece.mode: many may have it; one alone. */
export const SHARED_LOCK: u32 = 1;
export const EXCLUSIVE_LOCK: u32 = 2;
/** An object's last byte. */
export const LOCK_LAST: u64 = ~(<u64>0);

@unmanaged
export class Piece {
  next: usize = 0;
  mode: u32 = 0;
  /** The first and the last byte. */
  first: u64 = 0;
  last: u64 = 0;
  machine: u32 = 0;
  /** Of a right: the number of the grant that it came with. Of a lock: the process to be named to who asks. */
  number: u32 = 0;
  /** Who on that machine has it; 0: the machine as such. */
  owner: u64 = 0;
}

// --- The pool ---

/** Every node: pieces here, requests and messages in lock-space.ts. */
export const NODE_BYTES: usize = 64;
const CHUNK_NODES: usize = 64;
let free: usize = 0;
let source: u32 = 0;

/** `from`: table index of (bytes: usize): usize. */
export function nodesFrom(from: u32): void {
  source = from;
}

export function nodesAdd(at: usize, bytes: usize): void {
  for (; bytes >= NODE_BYTES; bytes -= NODE_BYTES) {
    store<usize>(at, free);
    free = at;
    at += NODE_BYTES;
  }
}

/** For searches, which put memory back as it was: the pool's only state. */
export function nodesFree(): usize {
  return free;
}
export function nodesSetFree(at: usize): void {
  free = at;
}

/** Zeroed. */
export function nodeTake(): usize {
  if (free == 0 && source != 0) {
    nodesAdd(call_indirect<usize>(source, CHUNK_NODES * NODE_BYTES), CHUNK_NODES * NODE_BYTES);
  }
  assert(free != 0, "the pool of range locks is empty");
  const at = free;
  free = load<usize>(at);
  memory.fill(at, 0, NODE_BYTES);
  return at;
}

export function nodeFree(at: usize): void {
  store<usize>(at, free);
  free = at;
}

// --- Lists: `head` is the address of the cell that has the first piece ---

export function listFree(head: usize): void {
  while (load<usize>(head) != 0) {
    const at = load<usize>(head);
    store<usize>(head, load<usize>(at));
    nodeFree(at);
  }
}

function before(a: Piece, b: Piece): bool {
  if (a.machine != b.machine) return a.machine < b.machine;
  if (a.owner != b.owner) return a.owner < b.owner;
  return a.first < b.first;
}

function insert(head: usize, piece: Piece): void {
  let link = head;
  while (load<usize>(link) != 0 && before(changetype<Piece>(load<usize>(link)), piece))
    link = load<usize>(link);
  piece.next = load<usize>(link);
  store<usize>(link, changetype<usize>(piece));
}

/** Wherever it is in the list's order. */
export function pieceAdd(
  head: usize,
  first: u64,
  last: u64,
  mode: u32,
  machine: u32,
  number: u32,
  owner: u64,
): void {
  const piece = changetype<Piece>(nodeTake());
  piece.first = first;
  piece.last = last;
  piece.mode = mode;
  piece.machine = machine;
  piece.number = number;
  piece.owner = owner;
  insert(head, piece);
}

/** Adds a copy of each piece of a list. */
export function listCopy(head: usize, from: usize): void {
  for (let at = from; at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    pieceAdd(head, p.first, p.last, p.mode, p.machine, p.number, p.owner);
  }
}

/** Grants' numbers go round: is `a` an earlier one than `b`? */
export function isOlder(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}

/** Neighbours in the same mode become one piece. */
export function listTidy(head: usize): void {
  let at = load<usize>(head);
  while (at != 0 && load<usize>(at) != 0) {
    const p = changetype<Piece>(at);
    const q = changetype<Piece>(p.next);
    const same = p.machine == q.machine && p.owner == q.owner && p.mode == q.mode;
    if (!same || p.last == LOCK_LAST || p.last + 1 != q.first) {
      at = p.next;
      continue;
    }
    p.last = q.last;
    if (isOlder(p.number, q.number)) p.number = q.number;
    p.next = q.next;
    nodeFree(changetype<usize>(q));
  }
}

function overlaps(p: Piece, first: u64, last: u64): bool {
  return p.first <= last && p.last >= first;
}

export function conflicts(p: Piece, q: Piece): bool {
  return overlaps(p, q.first, q.last) && (p.mode == EXCLUSIVE_LOCK || q.mode == EXCLUSIVE_LOCK);
}

/** The first piece of somebody else that stands against `wanted`; 0 = none. */
export function obstacleOf(head: usize, wanted: Piece, machine: u32, owner: u64): Piece {
  for (let at = load<usize>(head); at != 0; at = load<usize>(at)) {
    const p = changetype<Piece>(at);
    if ((p.machine != machine || p.owner != owner) && conflicts(p, wanted)) return p;
  }
  return changetype<Piece>(0);
}

/** The machine has every byte of `wanted` in its mode or a stronger one. */
export function isCovered(head: usize, wanted: Piece, machine: u32): bool {
  let from = wanted.first;
  while (true) {
    let end = from;
    let found = false;
    for (let at = load<usize>(head); at != 0 && !found; at = load<usize>(at)) {
      const p = changetype<Piece>(at);
      found = p.machine == machine && p.mode >= wanted.mode && p.first <= from && p.last >= from;
      if (found) end = p.last;
    }
    if (!found) return false;
    if (end >= wanted.last) return true;
    from = end + 1;
  }
}

/**
 * What machine and owner have of [first, last] in a mode above `mode` goes down to it; 0 = to nothing. `limit` not 0: only what
 * was granted before that number.
 */
export function lower(
  head: usize,
  machine: u32,
  owner: u64,
  first: u64,
  last: u64,
  mode: u32,
  limit: u32,
): bool {
  let parts: usize = 0;
  const partsHead = heads;
  store<usize>(partsHead, 0);
  let changed = false;
  let link = head;
  while (load<usize>(link) != 0) {
    const at = load<usize>(link);
    const p = changetype<Piece>(at);
    const his = p.machine == machine && p.owner == owner && overlaps(p, first, last);
    if (!his || p.mode <= mode || (limit != 0 && !isOlder(p.number, limit))) {
      link = at;
      continue;
    }
    changed = true;
    store<usize>(link, p.next);
    if (p.first < first) pieceAdd(partsHead, p.first, first - 1, p.mode, machine, p.number, owner);
    if (p.last > last) pieceAdd(partsHead, last + 1, p.last, p.mode, machine, p.number, owner);
    if (mode != 0)
      pieceAdd(partsHead, max<u64>(p.first, first), min<u64>(p.last, last), mode, machine, p.number, owner);
    nodeFree(at);
  }
  parts = load<usize>(partsHead);
  while (parts != 0) {
    const next = load<usize>(parts);
    insert(head, changetype<Piece>(parts));
    parts = next;
  }
  if (changed) listTidy(head);
  return changed;
}
const heads: usize = memory.data(16, 8);

/** The machine has [first, last] in that mode from now on, or what it has of it in a stronger one, as of grant `number`. */
export function raise(
  head: usize,
  machine: u32,
  owner: u64,
  first: u64,
  last: u64,
  mode: u32,
  number: u32,
): void {
  lowerWeak(head, machine, owner, first, last, mode);
  let from = first;
  while (true) {
    let stronger = changetype<Piece>(0);
    for (let at = load<usize>(head); at != 0 && changetype<usize>(stronger) == 0; at = load<usize>(at)) {
      const p = changetype<Piece>(at);
      if (p.machine == machine && p.owner == owner && overlaps(p, from, last)) stronger = p;
    }
    if (changetype<usize>(stronger) == 0) {
      pieceAdd(head, from, last, mode, machine, number, owner);
      break;
    }
    stronger.number = number;
    if (stronger.first > from) pieceAdd(head, from, stronger.first - 1, mode, machine, number, owner);
    if (stronger.last >= last) break;
    from = stronger.last + 1;
  }
  listTidy(head);
}

/** Takes out what is not stronger than `mode`. */
function lowerWeak(head: usize, machine: u32, owner: u64, first: u64, last: u64, mode: u32): void {
  store<usize>(heads, 0);
  let link = head;
  while (load<usize>(link) != 0) {
    const at = load<usize>(link);
    const p = changetype<Piece>(at);
    if (p.machine != machine || p.owner != owner || p.mode > mode || !overlaps(p, first, last)) {
      link = at;
      continue;
    }
    store<usize>(link, p.next);
    if (p.first < first) pieceAdd(heads, p.first, first - 1, p.mode, machine, p.number, owner);
    if (p.last > last) pieceAdd(heads, last + 1, p.last, p.mode, machine, p.number, owner);
    nodeFree(at);
  }
  let parts = load<usize>(heads);
  while (parts != 0) {
    const next = load<usize>(parts);
    insert(head, changetype<Piece>(parts));
    parts = next;
  }
}
