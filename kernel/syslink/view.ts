// A view: which machines the cluster consists of, and in which lives; and the frames by which views are voted on. Only
// data. membership.ts says what happens, netbridge/witness.ts is the bridge's half.
//
// Votes need no links: they must pass where links are broken. So each is one Ethernet frame to a group address, of the type
// that IEEE 802 leaves to local experiments (88B5), and whoever sends one sends it again until it is answered. All numbers
// are little endian:
//
//   destination[6] source[6] type[2]
//   magic[4] kind[1] from[1] to[1] machines[1]   to 0 = all
//   cluster[8] number[8]                        what is voted on, or what the sender has
//   ballot[8] acceptedBallot[8] life[8]         in ACCEPTED and VIEW acceptedBallot is a silence (silence.ts), nanoseconds
//   members[8] witness[8] leaving[8] lives[8 for each member, in the order of their numbers]
//                                               of the view that is accepted (PROMISE), to be (ACCEPT) or known (PREPARE, VIEW, WITNESS)

export const VOTE_TYPE: u32 = 0x88b5;
/** 03:42:4c:4b:00:01, in memory's order. */
export const VOTE_GROUP: u64 = 0x0100_4b4c_4203;
/** "BLV" and the version of this layout. */
export const VOTE_MAGIC: u32 = 0x0256_4c42;
/** The number under which the bridge votes. */
export const WITNESS: u32 = 255;

export const VOTE_PREPARE: u32 = 1;
export const VOTE_PROMISE: u32 = 2;
export const VOTE_ACCEPT: u32 = 3;
export const VOTE_ACCEPTED: u32 = 4;
/** The newest view that the sender knows. */
export const VOTE_VIEW: u32 = 5;
/** The witness: which life it is (`life`), of which cluster it knows, and the number that is voted on; the view before it, if it was told. */
export const VOTE_WITNESS: u32 = 6;

@unmanaged
export class Vote {
  magic: u32 = 0;
  kind: u8 = 0;
  from: u8 = 0;
  to: u8 = 0;
  machines: u8 = 0;
  cluster: u64 = 0;
  number: u64 = 0;
  ballot: u64 = 0;
  acceptedBallot: u64 = 0;
  life: u64 = 0;
  members: u64 = 0;
  witness: u64 = 0;
  leaving: u64 = 0;
}
export const VOTE_BYTES: u32 = 72;
/** Of all machines. */
export const VOTE_BYTES_MAX: u32 = 584;

@unmanaged
export class View {
  /** The life of the machine that proposed the first view: two clusters on one wire differ in it. 0: there is none yet. */
  cluster: u64 = 0;
  /** Views count from 1. */
  number: u64 = 0;
  members: u64 = 0;
  /** The life of the bridge whose vote counts; 0 = none. */
  witness: u64 = 0;
  /** Members that hand in what they have and are the home of nothing: the next view is without them. */
  leaving: u64 = 0;
}
const VIEW_HEADER: u32 = 40;
/** With the lives, by machine. */
export const VIEW_BYTES: u32 = 552;

function bitOf(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
}

export function viewLife(view: View, machine: u32): u64 {
  return load<u64>(changetype<usize>(view) + VIEW_HEADER + ((machine - 1) << 3));
}
export function viewLifeSet(view: View, machine: u32, life: u64): void {
  store<u64>(changetype<usize>(view) + VIEW_HEADER + ((machine - 1) << 3), life);
}

/** Is this life of the machine a member? */
export function viewHas(view: View, machine: u32, life: u64): bool {
  return (view.members & bitOf(machine)) != 0 && viewLife(view, machine) == life;
}

export function viewCopy(to: View, from: View): void {
  memory.copy(changetype<usize>(to), changetype<usize>(from), VIEW_BYTES);
}

/** The members with their lives, behind the header of a vote; returns its bytes. */
export function voteWriteView(vote: Vote, view: View): u32 {
  vote.members = view.members;
  vote.witness = view.witness;
  vote.leaving = view.leaving;
  let at = changetype<usize>(vote) + VOTE_BYTES;
  for (let rest = view.members; rest != 0; rest &= rest - 1) {
    store<u64>(at, viewLife(view, <u32>ctz(rest) + 1));
    at += 8;
  }
  return <u32>(at - changetype<usize>(vote));
}

export function voteReadView(vote: Vote, view: View, cluster: u64, number: u64): void {
  memory.fill(changetype<usize>(view), 0, VIEW_BYTES);
  view.cluster = cluster;
  view.number = number;
  view.members = vote.members;
  view.witness = vote.witness;
  view.leaving = vote.leaving;
  let at = changetype<usize>(vote) + VOTE_BYTES;
  for (let rest = vote.members; rest != 0; rest &= rest - 1) {
    viewLifeSet(view, <u32>ctz(rest) + 1, load<u64>(at));
    at += 8;
  }
}

/** Nothing of a frame is believed that does not pass this: the layout, and numbers that there are. */
export function voteCheck(at: usize, bytes: u32, machines: u32): bool {
  if (bytes < VOTE_BYTES) return false;
  const vote = changetype<Vote>(at);
  if (vote.magic != VOTE_MAGIC || vote.kind < VOTE_PREPARE || vote.kind > VOTE_WITNESS) return false;
  if (<u32>vote.machines != machines) return false;
  if (vote.kind == VOTE_WITNESS ? vote.from != WITNESS : vote.from == 0) return false;
  if (vote.from != WITNESS && <u32>vote.from > machines) return false;
  if (machines < 64 && vote.members >> machines != 0) return false;
  if ((vote.leaving & ~vote.members) != 0) return false;
  // A short frame is padded by Ethernet, so there may be more.
  return bytes >= VOTE_BYTES + ((<u32>popcnt(vote.members)) << 3);
}
