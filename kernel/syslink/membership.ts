// Who the cluster is (R0, R4): a sequence of views, each decided by a majority of the one before. Pure: frames, links and
// the time come in, frames go out; the test's world and cluster.ts run the same code.
//
// Each member of a view has two votes on the next one and the bridge, its witness, has one: so one half of a cluster goes
// on when the bridge is with it, and no two groups ever have more than half. The first view (number 1) has no view before
// it: it takes all machines that were configured, or, when some stay away, half of them and the witness, which knows
// whether there is a cluster already.
//
// One view is decided by one round of Paxos (Lamport, "The Part-Time Parliament", 1998; the single-decree synod): whoever
// misses a machine asks all for a promise, and lets them accept the view that a promise shows to be under way, else
// its own. What is accepted twice the same way by a majority is decided, whatever is lost, doubled or late. The voters are lives:
// a machine that starts again, and so has forgotten its promises, is not a voter of the view that its earlier life was in;
// likewise the bridge, whose life stands in the view. Only when every machine that was configured answers, and the bridge with the newest view
// that it heard of, no life counts: so a cluster goes on of whose lives too few are left, or none.
//
// A vote is kept by deeds: who accepts a view without some machine speaks to it no more (`shunned`), so that its lease
// is not renewed; who accepts one without itself (`condemned`) uses no lease until it knows what became of it.
import { lastWordFrom, lastWordOf } from "./silence";
import {
  VIEW_BYTES,
  View,
  VOTE_ACCEPT,
  VOTE_ACCEPTED,
  VOTE_BYTES,
  VOTE_BYTES_MAX,
  VOTE_MAGIC,
  VOTE_PREPARE,
  VOTE_PROMISE,
  VOTE_VIEW,
  VOTE_WITNESS,
  Vote,
  viewCopy,
  viewHas,
  viewLife,
  viewLifeSet,
  voteCheck,
  voteReadView,
  voteWriteView,
  WITNESS,
} from "./view";

const MILLISECOND: u64 = 1_000_000;
/** A question that nobody answers is asked again after this, doubling. */
const RETRY_FIRST: u64 = 20 * MILLISECOND;
const RETRY_MAX: u64 = 640 * MILLISECOND;
/** So much later than the first of the members the second one takes it into its hands, and so on. */
const TURN: u64 = 60 * MILLISECOND;
/** The first of the members says so often which view it is, to the witness and to whoever looks for a cluster. */
const HEARTBEAT: u64 = 1000 * MILLISECOND;
const NEVER: u64 = ~(<u64>0);

const IDLE: u32 = 0;
const PREPARING: u32 = 1;
const ACCEPTING: u32 = 2;

const OUTBOX: u32 = 16;
const OUT_BYTES: u32 = 8 + VOTE_BYTES_MAX;

@unmanaged
export class Membership {
  self: u32 = 0;
  machines: u32 = 0;
  life: u64 = 0;
  /** Views: the newest that is known; what was accepted for the next one; what is proposed. */
  view: usize = 0;
  accepted: usize = 0;
  proposal: usize = 0;
  scratch: usize = 0;
  promised: u64 = 0;
  acceptedBallot: u64 = 0;
  // As proposer.
  phase: u32 = 0;
  /** The first view may be formed without those who are not here. */
  mayForm: u32 = 0;
  ballot: u64 = 0;
  ballotSeen: u64 = 0;
  bestBallot: u64 = 0;
  voters: u64 = 0;
  present: u64 = 0;
  witnessVoted: u64 = 0;
  /** The witness knows another cluster, and of this one nothing. */
  witnessElsewhere: u32 = 0;
  askAt: u64 = 0;
  askEvery: u64 = 0;
  wantedSince: u64 = 0;
  heartbeatAt: u64 = 0;
  /** The witness as it was last heard: its life and the cluster that it knows. */
  witness: u64 = 0;
  witnessCluster: u64 = 0;
  // What the links say, by machine: the life at the other end (0: no link), the machines that it says it has links with.
  lives: usize = 0;
  hears: usize = 0;
  /** ... and when it was last heard (silence.ts). Those whom the view leaves out, or the proposal, were not heard by its voters since. */
  heard: usize = 0;
  silentSince: u64 = 0;
  wordSeen: u64 = 0;
  /** Members whose absence changes nothing any more: all are leaving. */
  ending: u32 = 0;
  /** This machine wants to leave; members that have handed in everything, as they say. */
  leaving: u32 = 0;
  left: u64 = 0;
  outFirst: u32 = 0;
  outCount: u32 = 0;
  out: usize = 0;
  refused: u64 = 0;
}
export const MEMBERSHIP_BYTES: u32 = 256 + 4 * VIEW_BYTES + 3 * 512 + OUTBOX * OUT_BYTES;

export function membershipCreate(at: usize, self: u32, machines: u32, life: u64): Membership {
  assert(offsetof<Membership>() <= 256, "the record of the membership has grown out of its room");
  memory.fill(at, 0, MEMBERSHIP_BYTES);
  const m = changetype<Membership>(at);
  m.self = self;
  m.machines = machines;
  m.life = life;
  let room = at + 256;
  m.view = room;
  m.accepted = room + VIEW_BYTES;
  m.proposal = room + 2 * VIEW_BYTES;
  m.scratch = room + 3 * VIEW_BYTES;
  room += 4 * VIEW_BYTES;
  m.lives = room;
  m.hears = room + 512;
  m.heard = room + 1024;
  m.out = room + 1536;
  return m;
}

/** The machine goes on under a new life: it has let go of everything, and belongs to nothing. */
export function membershipReborn(m: Membership, life: u64): void {
  m.life = life;
  memory.fill(m.lives, 0, 1024);
  stop(m);
}

function viewOf(m: Membership): View {
  return changetype<View>(m.view);
}
function bitOf(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
}
function allOf(m: Membership): u64 {
  return m.machines == 64 ? ~(<u64>0) : bitOf(m.machines + 1) - 1;
}
function linkLife(m: Membership, machine: u32): u64 {
  return machine == m.self ? m.life : load<u64>(m.lives + ((machine - 1) << 3));
}

// --- What the caller asks ---

export function membershipView(m: Membership): View {
  return viewOf(m);
}

/** No voter of the newest view has heard those whom it leaves out since then, as far as is known here. */
export function membershipSilentSince(m: Membership): u64 {
  return m.silentSince;
}

/** The machine has handed in everything by a view in which it leaves. */
export function membershipLeft(m: Membership, machine: u32): void {
  m.left |= bitOf(machine);
}

/** This life is a member of the newest view that is known here. */
export function isMember(m: Membership): bool {
  return viewOf(m).number != 0 && viewHas(viewOf(m), m.self, m.life);
}

/** Members that a vote of ours wants out, and that there still is a link to. */
export function membershipShunned(m: Membership): u64 {
  if (m.acceptedBallot == 0 || viewOf(m).number == 0) return 0;
  const accepted = changetype<View>(m.accepted);
  let shunned: u64 = 0;
  for (let rest = viewOf(m).members & ~bitOf(m.self); rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    const life = viewLife(viewOf(m), machine);
    if (linkLife(m, machine) == life && !viewHas(accepted, machine, life)) shunned |= bitOf(machine);
  }
  return shunned;
}

export function membershipCondemned(m: Membership): bool {
  return (
    m.acceptedBallot != 0 && viewOf(m).number != 0 && !viewHas(changetype<View>(m.accepted), m.self, m.life)
  );
}

/** A view that this life accepted takes it in, and is not known to be decided or not. */
export function membershipExpected(m: Membership): bool {
  return m.acceptedBallot != 0 && viewHas(changetype<View>(m.accepted), m.self, m.life);
}

/** The machines that are needed for more than half of the view's votes, the bridge's not counted. */
export function membershipMajority(m: Membership): u32 {
  return (<u32>popcnt(viewOf(m).members) >> 1) + 1;
}

// --- What happens ---

/** That machine acts by a view which is not known here: it is asked for it. */
export function membershipAsk(m: Membership, machine: u32): void {
  send(m, VOTE_VIEW, machine, viewOf(m), 0, 0);
}

/** `life` 0: there is no link to it any more. */
export function membershipLink(m: Membership, machine: u32, life: u64): void {
  if (life != 0) m.left &= ~bitOf(machine);
  store<u64>(m.lives + ((machine - 1) << 3), life);
  if (life == 0) store<u64>(m.hears + ((machine - 1) << 3), 0);
}

/** Something of that machine, in whatever life, came last at `at`. */
export function membershipHeard(m: Membership, machine: u32, at: u64): void {
  const last = m.heard + ((machine - 1) << 3);
  store<u64>(last, max<u64>(load<u64>(last), at));
}

export function membershipHears(m: Membership, machine: u32, machines: u64): void {
  store<u64>(m.hears + ((machine - 1) << 3), machines);
}

/** The next frame to send, from its magic on, or 0; `bytes` of it lie before it. Until the next call. */
export function membershipOut(m: Membership): usize {
  if (m.outCount == 0) return 0;
  const at = m.out + m.outFirst * OUT_BYTES;
  m.outFirst = (m.outFirst + 1) % OUTBOX;
  m.outCount--;
  return at + 8;
}

export function membershipOutBytes(frame: usize): u32 {
  return load<u32>(frame - 8);
}

/** A full outbox loses the frame, as a wire would. */
function send(m: Membership, kind: u32, to: u32, view: View, ballot: u64, acceptedBallot: u64): void {
  if (m.outCount == OUTBOX) return;
  const at = m.out + ((m.outFirst + m.outCount) % OUTBOX) * OUT_BYTES;
  m.outCount++;
  const vote = changetype<Vote>(at + 8);
  memory.fill(at, 0, OUT_BYTES);
  vote.magic = VOTE_MAGIC;
  vote.kind = <u8>kind;
  vote.from = <u8>m.self;
  vote.to = <u8>to;
  vote.machines = <u8>m.machines;
  vote.cluster = viewOf(m).cluster;
  vote.number = kind == VOTE_VIEW ? viewOf(m).number : viewOf(m).number + 1;
  vote.ballot = ballot;
  vote.acceptedBallot = acceptedBallot;
  vote.life = m.life;
  let bytes = VOTE_BYTES;
  if (changetype<usize>(view) != 0) bytes = voteWriteView(vote, view);
  store<u32>(at, bytes);
}

/** Since `last`, as frames say it. */
function silence(last: u64, now: u64): u64 {
  return now - min<u64>(last, now);
}

function none(): View {
  return changetype<View>(0);
}

export function membershipInput(m: Membership, at: usize, bytes: u32, now: u64): void {
  if (!voteCheck(at, bytes, m.machines)) {
    m.refused++;
    return;
  }
  const vote = changetype<Vote>(at);
  if ((vote.to != 0 && <u32>vote.to != m.self) || <u32>vote.from == m.self) return;
  if (vote.kind == VOTE_WITNESS) {
    witnessTells(m, vote, now);
    return;
  }
  if (vote.kind == VOTE_VIEW) {
    viewCame(m, vote, now);
    return;
  }
  if (behind(m, vote)) return;
  switch (<u32>vote.kind) {
    case VOTE_PREPARE:
      prepare(m, vote);
      break;
    case VOTE_PROMISE:
      promise(m, vote, now);
      break;
    case VOTE_ACCEPT:
      accept(m, vote, now);
      break;
    case VOTE_ACCEPTED:
      acceptedBy(m, vote, now);
      break;
  }
}

/** Not about the view that is next here: then one of the two has something to learn. */
function behind(m: Membership, vote: Vote): bool {
  const view = viewOf(m);
  if (vote.from == WITNESS) return vote.number != view.number + 1 || vote.cluster != view.cluster;
  if (vote.cluster != view.cluster) {
    // A cluster is told to one who is about to form another.
    if (vote.cluster == 0 && view.number != 0) send(m, VOTE_VIEW, vote.from, view, 0, 0);
    return true;
  }
  if (vote.number == view.number + 1) return false;
  if (view.number != 0) send(m, VOTE_VIEW, vote.from, view, 0, 0);
  return true;
}

/** It tells the newest view that it heard of, to whom it does not vote with. */
function witnessTells(m: Membership, vote: Vote, now: u64): void {
  const view = viewOf(m);
  m.witness = vote.life;
  m.witnessCluster = vote.cluster;
  if (view.number == 0) return;
  if (vote.cluster == view.cluster) {
    const known = vote.number - 1;
    if (vote.members == 0 || known <= view.number) return;
    voteReadView(vote, changetype<View>(m.scratch), view.cluster, known);
    install(m, changetype<View>(m.scratch), now, now);
  } else if (vote.cluster != 0) {
    m.witnessElsewhere = 1;
    if (m.phase == PREPARING) prepared(m, now);
    else if (m.phase == ACCEPTING) decided(m, now);
  }
}

function viewCame(m: Membership, vote: Vote, now: u64): void {
  const view = viewOf(m);
  if (vote.number == 0) {
    if (view.number != 0) send(m, VOTE_VIEW, vote.from, view, 0, 0);
    return;
  }
  const newer =
    view.number == 0 || vote.number > view.number || (!isMember(m) && vote.cluster != view.cluster);
  if (vote.cluster == view.cluster && vote.number < view.number) send(m, VOTE_VIEW, vote.from, view, 0, 0);
  if (!newer || (vote.cluster != view.cluster && isMember(m))) return;
  voteReadView(vote, changetype<View>(m.scratch), vote.cluster, vote.number);
  const next = vote.cluster == view.cluster && vote.number == view.number + 1;
  install(m, changetype<View>(m.scratch), next ? lastWordFrom(vote.acceptedBallot, now) : now, now);
}

function install(m: Membership, next: View, silentSince: u64, now: u64): void {
  m.silentSince = silentSince;
  viewCopy(viewOf(m), next);
  m.promised = 0;
  m.acceptedBallot = 0;
  memory.fill(m.accepted, 0, VIEW_BYTES);
  stop(m);
  m.heartbeatAt = now;
}

function stop(m: Membership): void {
  m.phase = IDLE;
  m.wantedSince = 0;
  m.askEvery = 0;
}

// --- As voter ---

function prepare(m: Membership, vote: Vote): void {
  m.ballotSeen = max<u64>(m.ballotSeen, vote.ballot);
  m.promised = max<u64>(m.promised, vote.ballot);
  const accepted = m.acceptedBallot != 0 ? changetype<View>(m.accepted) : none();
  send(m, VOTE_PROMISE, vote.from, accepted, m.promised, m.acceptedBallot);
}

function accept(m: Membership, vote: Vote, now: u64): void {
  if (vote.ballot < m.promised) return;
  take(m, vote);
  send(m, VOTE_ACCEPTED, vote.from, none(), vote.ballot, silence(lastWord(m, now), now));
}

/** Of those whom the view that was accepted here leaves out: from now on nothing of them is heard (membershipShunned). */
function lastWord(m: Membership, now: u64): u64 {
  return lastWordOf(viewOf(m), changetype<View>(m.accepted), m.self, m.heard, now);
}

function take(m: Membership, vote: Vote): void {
  m.promised = vote.ballot;
  m.ballotSeen = max<u64>(m.ballotSeen, vote.ballot);
  m.acceptedBallot = vote.ballot;
  readNext(m, vote, changetype<View>(m.accepted));
}

/** A view that is proposed as the next one. The first one's cluster is named after its first member. */
function readNext(m: Membership, vote: Vote, to: View): void {
  voteReadView(vote, to, viewOf(m).cluster, viewOf(m).number + 1);
  if (to.cluster == 0) to.cluster = viewLife(to, <u32>ctz(to.members) + 1);
}

// --- As proposer ---

/** The members that this machine would have, into `to`; false: those that there are. */
function wanted(m: Membership, to: View): bool {
  const view = viewOf(m);
  memory.fill(changetype<usize>(to), 0, VIEW_BYTES);
  const first = view.number == 0;
  to.number = view.number + 1;
  let keep = bitOf(m.self);
  for (let rest = view.members & ~keep; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    if (m.left & view.leaving & bitOf(machine)) continue;
    if (m.ending != 0 || linkLife(m, machine) == viewLife(view, machine)) keep |= bitOf(machine);
  }
  to.leaving = view.leaving & keep;
  if (m.leaving != 0 && m.ending == 0 && !first) to.leaving |= bitOf(m.self);
  // Who comes has links with all who are there.
  let joined = keep;
  for (let machine: u32 = 1; machine <= m.machines; machine++) {
    const mine = bitOf(machine);
    if (keep & mine || m.ending != 0 || linkLife(m, machine) == 0) continue;
    if (view.members & m.left & mine) continue;
    const hears = load<u64>(m.hears + ((machine - 1) << 3)) | mine;
    if ((joined & ~hears) == 0) joined |= mine;
  }
  to.members = joined;
  for (let rest = joined; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    viewLifeSet(
      to,
      machine,
      keep & bitOf(machine) && !first && machine != m.self ? viewLife(view, machine) : linkLife(m, machine),
    );
  }
  to.cluster = first ? viewLife(to, <u32>ctz(joined) + 1) : view.cluster;
  to.witness = view.witness;
  if (m.witness != 0 && (first || m.witnessCluster == view.cluster)) to.witness = m.witness;
  if (first) return joined == allOf(m) || m.mayForm != 0;
  if (to.members != view.members || to.witness != view.witness) return true;
  if (to.leaving != view.leaving) return true;
  for (let rest = joined; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    if (viewLife(to, machine) != viewLife(view, machine)) return true;
  }
  return false;
}

/** No life that is a member of the newest view is left: all machines are here, in others. */
function isOver(m: Membership): bool {
  for (let machine: u32 = 1; machine <= m.machines; machine++) {
    const life = linkLife(m, machine);
    if (life == 0 || viewHas(viewOf(m), machine, life)) return false;
  }
  return true;
}

/** How many members with lower numbers could do it. `missed`: they would, but for those who hear all of these. */
function turn(m: Membership, missed: u64): u32 {
  // That this machine wants to leave nobody else knows.
  if (m.leaving != 0 && !(viewOf(m).leaving & bitOf(m.self))) return 0;
  let before: u32 = 0;
  const any = viewOf(m).number == 0 || isOver(m);
  for (let machine: u32 = 1; machine < m.self; machine++) {
    const life = m.left & bitOf(machine) ? 0 : linkLife(m, machine);
    if (life == 0 || (!any && !viewHas(viewOf(m), machine, life))) continue;
    if (missed == 0 || (missed & ~load<u64>(m.hears + ((machine - 1) << 3))) != 0) before++;
  }
  return before;
}

/** Those whom `next` leaves out, if that is all that is new in it. */
function missedBy(m: Membership, next: View): u64 {
  const view = viewOf(m);
  if ((next.members & ~view.members) != 0 || next.witness != view.witness) return 0;
  if (next.leaving != (view.leaving & next.members)) return 0;
  for (let rest = next.members; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    if (viewLife(next, machine) != viewLife(view, machine)) return 0;
  }
  return view.members & ~next.members;
}

/** When to be called again. */
export function membershipTick(m: Membership, now: u64): u64 {
  let next = heartbeat(m, now);
  if (viewOf(m).number != 0 && !isMember(m) && !isOver(m)) return next;
  // What was accepted and is not heard of again must be decided too: it may have been already.
  const wants = wanted(m, changetype<View>(m.scratch));
  if (!wants && m.acceptedBallot == 0) {
    stop(m);
    return next;
  }
  if (m.wantedSince == 0) m.wantedSince = now;
  const before = turn(m, wants ? missedBy(m, changetype<View>(m.scratch)) : 0);
  const start = m.wantedSince + <u64>(before + (wants ? 0 : 2)) * TURN;
  if (now < start) return min<u64>(next, start);
  if (m.phase == IDLE || now >= m.askAt) propose(m, now);
  next = min<u64>(next, m.askAt);
  return next;
}

function heartbeat(m: Membership, now: u64): u64 {
  if (turn(m, 0) != 0 && isMember(m)) return NEVER;
  if (now >= m.heartbeatAt) {
    m.heartbeatAt = now + HEARTBEAT;
    send(m, VOTE_VIEW, 0, viewOf(m), 0, 0);
  }
  return m.heartbeatAt;
}

/** Each try is a new ballot, so nothing has to be remembered of the last one. */
function propose(m: Membership, now: u64): void {
  m.askEvery = m.askEvery == 0 ? RETRY_FIRST : min<u64>(m.askEvery * 2, RETRY_MAX);
  m.askAt = now + m.askEvery + <u64>m.self * MILLISECOND;
  m.ballot = (((max<u64>(m.ballotSeen, m.promised) >> 8) + 1) << 8) | <u64>m.self;
  m.ballotSeen = m.ballot;
  m.promised = m.ballot;
  m.phase = PREPARING;
  votesBegin(m);
  m.bestBallot = m.acceptedBallot;
  if (m.acceptedBallot != 0) viewCopy(changetype<View>(m.proposal), changetype<View>(m.accepted));
  send(m, VOTE_PREPARE, 0, viewOf(m), m.ballot, 0); // which is what the witness remembers as the newest
  prepared(m, now);
}

/** This machine's own vote: it counts where its life is the view's. */
function votesBegin(m: Membership): void {
  const mine = bitOf(m.self);
  m.voters = viewOf(m).number == 0 || isMember(m) ? mine : 0;
  m.present = mine;
  m.witnessVoted = 0;
  m.witnessElsewhere = 0;
}

/**
 * More than half of the votes of the view before. Or every machine that was configured, whatever its life, and the witness: what might
 * have been decided by lives that are over is known to none of them, hence to nobody.
 */
function enough(m: Membership): bool {
  const view = viewOf(m);
  const first = view.number == 0;
  if (m.present == allOf(m) && (first || m.witnessVoted != 0 || m.witnessElsewhere != 0)) return true;
  const electors = first ? allOf(m) : view.members;
  const witness = m.witnessVoted != 0 && (first || m.witnessVoted == view.witness);
  const votes: u32 = 2 * <u32>popcnt(m.voters & electors) + u32(witness);
  return votes > <u32>popcnt(electors) && (!first || witness);
}

/** The vote of a machine is that of the life that the view has; before the first view any life is as good. */
function count(m: Membership, vote: Vote): bool {
  if (vote.from == WITNESS) {
    if (m.witnessVoted != 0 && m.witnessVoted != vote.life) return false;
    m.witness = vote.life;
    m.witnessVoted = vote.life;
    return true;
  }
  m.present |= bitOf(vote.from);
  if (viewOf(m).number != 0 && !viewHas(viewOf(m), vote.from, vote.life)) return true;
  m.voters |= bitOf(vote.from);
  return true;
}

function promise(m: Membership, vote: Vote, now: u64): void {
  m.ballotSeen = max<u64>(m.ballotSeen, vote.ballot);
  if (m.phase != PREPARING || vote.ballot != m.ballot || !count(m, vote)) return;
  if (vote.acceptedBallot > m.bestBallot) {
    m.bestBallot = vote.acceptedBallot;
    readNext(m, vote, changetype<View>(m.proposal));
  }
  prepared(m, now);
}

function prepared(m: Membership, now: u64): void {
  if (!enough(m) || m.promised > m.ballot) return;
  const proposal = changetype<View>(m.proposal);
  if (m.bestBallot == 0) wanted(m, proposal);
  m.phase = ACCEPTING;
  votesBegin(m);
  m.acceptedBallot = m.ballot;
  viewCopy(changetype<View>(m.accepted), proposal);
  m.wordSeen = lastWord(m, now);
  send(m, VOTE_ACCEPT, 0, proposal, m.ballot, 0);
  decided(m, now);
}

function acceptedBy(m: Membership, vote: Vote, now: u64): void {
  if (m.phase != ACCEPTING || vote.ballot != m.ballot || !count(m, vote)) return;
  // The bridge renews no lease.
  if (vote.from != WITNESS) m.wordSeen = max<u64>(m.wordSeen, lastWordFrom(vote.acceptedBallot, now));
  decided(m, now);
}

function decided(m: Membership, now: u64): void {
  if (!enough(m)) return;
  viewCopy(changetype<View>(m.scratch), changetype<View>(m.proposal));
  install(m, changetype<View>(m.scratch), m.wordSeen, now);
  // heartbeat() says so at once, whoever's turn it is.
  send(m, VOTE_VIEW, 0, viewOf(m), 0, silence(m.silentSince, now));
}
