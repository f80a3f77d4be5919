// Parts of pages: the bytes of a page that its owner has lent to other machines, in chunks of 64, and what is left to
// himself (the byte ranges of the founding text). While any chunk is lent, no machine has the page in a page table: each access
// faults, and the kernel carries it out (access.ts) when all bytes that it touches are in this machine's part.
//
// A Part is this machine's record of such a page, at its owner and at each machine that was lent something. At the owner
// `mine` is every chunk but the lent ones; elsewhere it is what was lent. So every chunk is in one machine's `mine`, or in one
// message, and is read and written there only: accesses are as ordered as if the bytes had a page of their own.
//
//   lend      owner: the chunks leave `mine` and go with their bytes
//   take      borrower: they become its `mine`
//   give      borrower: all that it was lent by this owner goes back, with its bytes
//   merge     owner: they are `mine` again
//
// Each message of lending has a number that rises with the owner. A loan is known by the last of them: a recall or a return
// that names another is about a loan that is over, and chunks that come twice are taken once. But who gives back (the home recovers the page) may have
// asked for more, and the owner have lent it before he hears of that: what comes back then is what the borrower had before.
//
//   bytes on the wire    chunks[8], then 64 bytes for each chunk that is named, in order
//
// Pure; loans.ts and fault.ts hold the lock.

export const CHUNK_SHIFT: u32 = 6;
const CHUNK: usize = 64;
export const SLOTS: u32 = 32;
/** The chunks of a whole page, and how they travel. */
const ALL: u64 = ~(<u64>0);
export const PART_BYTES_MAX: u32 = 8 + 4096;

@unmanaged
export class Part {
  /** The Page's record; 0: the slot is free. */
  page: usize = 0;
  object: u64 = 0;
  index: u64 = 0;
  frame: usize = 0;
  mine: u64 = 0;
  /** Who lent it; 0: this machine owns the page. */
  owner: u32 = 0;
  /** Of a borrower: the number of what came last. */
  id: u32 = 0;
  /** Of the owner: the chunks that others have, and whether they were asked to give them back. */
  lent: u64 = 0;
  recalled: u32 = 0;
  /** What it costs (loans.ts): accesses carried out and the nanoseconds that went into them, since the last look. */
  accesses: u32 = 0;
  spent: u64 = 0;
  lookedAt: u64 = 0;
  /** Looks in a row that found no access. */
  idle: u32 = 0;
  /** Of the owner: a Loan for each machine. */
  loans: usize = 0;
}

@unmanaged
class Loan {
  chunks: u64 = 0;
  id: u32 = 0;
  /** The number before: the borrower named it as it asked for more, and has not been heard of since. */
  before: u32 = 0;
}
const LOAN_BYTES: usize = 16;

@unmanaged
export class Parts {
  machines: u32 = 0;
  /** Slots in use. */
  count: u32 = 0;
  /** The number of the last lending by this machine; of the last that came, by machine (u32 each). */
  serial: u32 = 0;
  taken: usize = 0;
  slots: usize = 0;
}

export function partsBytes(machines: u32): usize {
  return (
    offsetof<Parts>() +
    <usize>SLOTS * (offsetof<Part>() + <usize>machines * LOAN_BYTES) +
    ((<usize>machines) << 3)
  );
}

/** `parts`: partsBytes() of zeros. */
export function partsCreate(parts: Parts, machines: u32): void {
  parts.machines = machines;
  parts.slots = changetype<usize>(parts) + offsetof<Parts>();
  const loans = parts.slots + <usize>SLOTS * offsetof<Part>();
  for (let i: usize = 0; i < SLOTS; i++) {
    partAt(parts, <u32>i).loans = loans + i * machines * LOAN_BYTES;
  }
  parts.taken = loans + <usize>SLOTS * machines * LOAN_BYTES;
}

export function partAt(parts: Parts, slot: u32): Part {
  return changetype<Part>(parts.slots + <usize>slot * offsetof<Part>());
}

function slotOf(parts: Parts, object: u64, index: u64): Part {
  return partAt(parts, <u32>((object >> 8) * 7 + object + index) & (SLOTS - 1));
}

function loanOf(part: Part, machine: u32): Loan {
  return changetype<Loan>(part.loans + <usize>(machine - 1) * LOAN_BYTES);
}

/** 0: this machine has the page whole, or nothing of it. */
export function partFind(parts: Parts, object: u64, index: u64): Part {
  const part = slotOf(parts, object, index);
  const found = part.page != 0 && part.index == index && part.object == object;
  return found ? part : changetype<Part>(0);
}

/** Another page has the only slot where this one could be. */
export function partRefused(parts: Parts, object: u64, index: u64): bool {
  const part = slotOf(parts, object, index);
  return part.page != 0 && (part.index != index || part.object != object);
}

/** `owner` 0: the page is this machine's, all of it. */
export function partBegin(
  parts: Parts,
  object: u64,
  index: u64,
  page: usize,
  frame: usize,
  owner: u32,
): Part {
  const part = slotOf(parts, object, index);
  assert(part.page == 0, "a page is parted twice, or in another's place");
  part.page = page;
  part.object = object;
  part.index = index;
  part.frame = frame;
  part.mine = owner == 0 ? ALL : 0;
  part.owner = owner;
  part.id = 0;
  part.lent = 0;
  part.recalled = 0;
  part.accesses = 0;
  part.spent = 0;
  part.idle = 0;
  memory.fill(part.loans, 0, <usize>parts.machines * LOAN_BYTES);
  parts.count++;
  return part;
}

export function partEnd(parts: Parts, part: Part): void {
  part.page = 0;
  part.mine = 0;
  parts.count--;
}

/** The chunks that hold so many bytes from an offset in the page on. */
export function chunksOf(offset: u32, bytes: u32): u64 {
  const first = offset >> CHUNK_SHIFT;
  const last = (offset + bytes - 1) >> CHUNK_SHIFT;
  return (ALL << (<u64>first)) & (ALL >> <u64>(63 - last));
}

export function partCovers(part: Part, chunks: u64): bool {
  return (chunks & ~part.mine) == 0;
}

// --- Bytes ---

function gather(frame: usize, chunks: u64, into: usize): u32 {
  store<u64>(into, chunks);
  let out = into + 8;
  for (let rest = chunks; rest != 0; rest &= rest - 1) {
    memory.copy(out, frame + ((<usize>ctz(rest)) << CHUNK_SHIFT), CHUNK);
    out += CHUNK;
  }
  return <u32>(out - into);
}

function scatter(frame: usize, chunks: u64, from: usize): void {
  const all = load<u64>(from);
  let at = from + 8;
  for (let rest = all; rest != 0; rest &= rest - 1) {
    const one = rest & (0 - rest);
    if (chunks & one) memory.copy(frame + ((<usize>ctz(one)) << CHUNK_SHIFT), at, CHUNK);
    at += CHUNK;
  }
}

/** Bytes from another machine: as many as they say that they are? */
export function partBytesValid(at: usize, bytes: u32): bool {
  return bytes >= 8 + <u32>CHUNK && bytes == 8 + ((<u32>popcnt<u64>(load<u64>(at))) << CHUNK_SHIFT);
}

// --- The owner ---

/** The bytes to send, at `into` (room for PART_BYTES_MAX), how many; parts.serial is the lending's number. */
export function partLend(parts: Parts, part: Part, machine: u32, chunks: u64, into: usize): u32 {
  assert(part.owner == 0 && chunks != 0 && partCovers(part, chunks), "a machine lends what it does not have");
  assert(part.recalled == 0, "a machine lends a page that it recalls");
  const loan = loanOf(part, machine);
  parts.serial++;
  loan.before = loan.chunks != 0 ? loan.id : 0;
  loan.id = parts.serial;
  loan.chunks |= chunks;
  part.lent |= chunks;
  part.mine &= ~chunks;
  return gather(part.frame, chunks, into);
}

/** The number of the loan that the machine has, 0: none. */
export function partLoan(part: Part, machine: u32): u32 {
  const loan = loanOf(part, machine);
  return loan.chunks != 0 ? loan.id : 0;
}

/** What a machine gives back. False: the loan is over, or was never so. */
export function partMerge(part: Part, machine: u32, id: u32, at: usize): bool {
  const loan = loanOf(part, machine);
  const chunks = load<u64>(at);
  if (part.owner != 0 || loan.chunks == 0 || (chunks & ~loan.chunks) != 0) return false;
  const all = chunks == loan.chunks;
  if (all ? loan.id != id : loan.before != id || id == 0) return false;
  scatter(part.frame, chunks, at);
  part.mine |= chunks;
  ended(part, loan, chunks);
  return true;
}

function ended(part: Part, loan: Loan, chunks: u64): void {
  part.lent &= ~chunks;
  loan.chunks &= ~chunks;
  loan.before = 0;
}

/**
 * The machine died with what it had. True: that was something of this page; the owner's frame has its bytes as they were lent,
 * but nobody may use them as a part of the page: somebody has to be told first.
 */
export function partLost(part: Part, machine: u32): bool {
  const loan = loanOf(part, machine);
  if (part.owner != 0 || loan.chunks == 0) return false;
  ended(part, loan, loan.chunks);
  return true;
}

/** Whatever is still under way from a machine that died was never sent: a new one with its number counts anew. */
export function partsForget(parts: Parts, machine: u32): void {
  store<u32>(parts.taken + ((machine - 1) << 2), 0);
}

// --- A borrower ---

/** Is this lending new? Its number counts as taken from now on. */
export function partIsNew(parts: Parts, machine: u32, id: u32): bool {
  const at = parts.taken + ((machine - 1) << 2);
  if (<i32>(id - load<u32>(at)) <= 0) return false;
  store<u32>(at, id);
  return true;
}

/** Bytes that were lent, after partIsNew(). */
export function partTake(part: Part, id: u32, at: usize): void {
  const chunks = load<u64>(at);
  assert((chunks & part.mine) == 0, "a machine is lent what it has");
  scatter(part.frame, chunks, at);
  part.mine |= chunks;
  part.id = id;
}

/** All of it goes back: bytes to send at `into`, how many. */
export function partGive(part: Part, into: usize): u32 {
  const chunks = part.mine;
  part.mine = 0;
  return gather(part.frame, chunks, into);
}
