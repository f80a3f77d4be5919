// The bridge's vote: a station of its own on the bridge's switch that answers votes on views (kernel/syslink/view.ts has the
// layout of the frames and membership.ts the protocol; ARCHITECTURE.md, "The bridge"). So half of a cluster goes on
// when the bridge is with it, and never both halves. Pure: a frame in, at most one frame out.
//
// It is a voter of Paxos like every machine: it promises to no lower ballot, and shows what it accepted last. What it
// remembers it never takes back. A bridge that starts again has forgotten, so it is another life, whose votes count
// in no view that the former one is in: it does not vote twice. The cluster takes it in by a view of its machines.
//
// Before the first view it is the one who knows whether there is a cluster already: machines that come later, and hear
// nobody, do not get its vote for another. And it tells the newest view that it heard of: all machines of that one may be gone when another
// comes that was left out of it.

import { HEADER_BYTES } from "./frame.js";

export const VOTE_TYPE = 0x88b5;
/** "BLV" and the version of the layout, little endian. */
const MAGIC = 0x02564c42;
const ADDRESS = [0x52, 0x54, 0x00, 0x00, 0x01, 0x00];
const GROUP = [0x03, 0x42, 0x4c, 0x4b, 0x00, 0x01];
const WITNESS = 255;
const BODY_BYTES = 72;

const PREPARE = 1;
const PROMISE = 2;
const ACCEPT = 3;
const ACCEPTED = 4;
const VIEW = 5;
/** What it knows, to whom it does not vote with. */
export const TELL = 6;

const KIND = 4;
const FROM = 5;
const TO = 6;
const MACHINES = 7;
const CLUSTER = 8;
const NUMBER = 16;
const BALLOT = 24;
const ACCEPTED_BALLOT = 32;
const LIFE = 40;
export const MEMBERS = 48;
/** A view without members: members, witness, leaving. */
const NOBODY = BODY_BYTES - MEMBERS;

/** All that it has promised. */
export interface WitnessState {
  /** 0: it knows of none. */
  readonly cluster: bigint;
  /** Of the view that is voted on; the one before is decided. */
  readonly number: bigint;
  /** The one before: members, witness, leaving and lives as they stand in a frame; empty if nobody has shown it. */
  readonly decided: Uint8Array;
  readonly promised: bigint;
  readonly acceptedBallot: bigint;
  /** What was accepted, as `decided`. */
  readonly accepted: Uint8Array;
}

export type WitnessSnapshot = readonly string[];

const NOTHING: WitnessState = {
  cluster: 0n,
  number: 1n,
  decided: new Uint8Array(),
  promised: 0n,
  acceptedBallot: 0n,
  accepted: new Uint8Array(),
};

export class Witness {
  /** This life of the bridge; no two are the same. */
  readonly life: bigint;
  state: WitnessState = NOTHING;

  constructor(life: bigint) {
    if (BigInt.asUintN(64, life) !== life || life === 0n)
      throw new RangeError(`a witness's life is 64 bits and not 0: ${life}`);
    this.life = life;
  }

  /** As JSON can hold it. */
  snapshot(): WitnessSnapshot {
    const { cluster, number, promised, acceptedBallot, accepted, decided } = this.state;
    return [
      ...[cluster, number, promised, acceptedBallot].map(String),
      ...[accepted, decided].map((view) => Buffer.from(view).toString("hex")),
    ];
  }

  restore(snapshot: WitnessSnapshot): void {
    const [cluster, number, promised, acceptedBallot] = snapshot.slice(0, 4).map(BigInt);
    const [accepted, decided] = snapshot.slice(4).map((hex) => new Uint8Array(Buffer.from(hex, "hex")));
    this.state = {
      cluster: cluster!,
      number: number!,
      promised: promised!,
      acceptedBallot: acceptedBallot!,
      accepted: accepted!,
      decided: decided!,
    };
  }

  /** The answer to a frame, or null. */
  receive(frame: Uint8Array): Uint8Array | null {
    const body = checked(frame);
    if (body === null) return null;
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const to = body[TO]!;
    if (to !== 0 && to !== WITNESS) return null;
    const cluster = view.getBigUint64(CLUSTER, true);
    const number = view.getBigUint64(NUMBER, true);
    if (body[KIND] === VIEW) return this.#viewed(body, cluster, number);
    if (body[KIND] !== PREPARE && body[KIND] !== ACCEPT) return null;
    if (!this.#isNext(cluster, number)) return this.#answer(body, TELL);
    if (body[KIND] === PREPARE && number > 1n) this.state = { ...this.state, decided: body.slice(MEMBERS) };
    const ballot = view.getBigUint64(BALLOT, true);
    if (body[KIND] === PREPARE) {
      if (ballot > this.state.promised) this.state = { ...this.state, promised: ballot };
      return this.#answer(body, PROMISE);
    }
    if (ballot < this.state.promised) return null;
    const accepted = body.slice(MEMBERS);
    this.state = { ...this.state, promised: ballot, acceptedBallot: ballot, accepted };
    return this.#answer(body, ACCEPTED);
  }

  /** Some machine says which view there is. A cluster of all machines that there are leaves no room for an older one. */
  #viewed(body: Uint8Array, cluster: bigint, number: bigint): Uint8Array {
    const next = number + 1n;
    const members = new DataView(body.buffer, body.byteOffset).getBigUint64(MEMBERS, true);
    const whole = members === (1n << BigInt(body[MACHINES]!)) - 1n;
    const known = this.state.cluster;
    if (number > 0n) {
      const another = known !== cluster && (known === 0n || whole);
      if (another || (known === cluster && next > this.state.number))
        this.state = { ...NOTHING, cluster, number: next, decided: body.slice(MEMBERS) };
    }
    return this.#answer(body, TELL);
  }

  /** Whether it may vote on that; what was before is over then. */
  #isNext(cluster: bigint, number: bigint): boolean {
    const { state } = this;
    if (cluster === 0n) return state.cluster === 0n && number === 1n;
    if (state.cluster !== 0n && state.cluster !== cluster) return false;
    if (state.cluster === cluster && number === state.number) return true;
    if (state.cluster === cluster && number < state.number) return false;
    this.state = { ...NOTHING, cluster, number };
    return true;
  }

  #answer(to: Uint8Array, kind: number): Uint8Array {
    const { state } = this;
    const shows = { [PROMISE]: state.accepted, [TELL]: state.decided }[kind];
    const content = shows === undefined || shows.length === 0 ? new Uint8Array(NOBODY) : shows;
    const frame = new Uint8Array(HEADER_BYTES + MEMBERS + content.length);
    frame.set(GROUP, 0);
    frame.set(ADDRESS, 6);
    const body = new DataView(frame.buffer, HEADER_BYTES);
    const asked = new DataView(to.buffer, to.byteOffset);
    new DataView(frame.buffer).setUint16(12, VOTE_TYPE);
    body.setUint32(0, MAGIC, true);
    body.setUint8(KIND, kind);
    body.setUint8(FROM, WITNESS);
    body.setUint8(TO, to[FROM]!);
    body.setUint8(MACHINES, to[MACHINES]!);
    body.setBigUint64(CLUSTER, kind === TELL ? state.cluster : asked.getBigUint64(CLUSTER, true), true);
    body.setBigUint64(NUMBER, kind === TELL ? state.number : asked.getBigUint64(NUMBER, true), true);
    body.setBigUint64(
      BALLOT,
      kind === PROMISE ? state.promised : kind === ACCEPTED ? state.acceptedBallot : 0n,
      true,
    );
    body.setBigUint64(ACCEPTED_BALLOT, kind === PROMISE ? state.acceptedBallot : 0n, true);
    body.setBigUint64(LIFE, this.life, true);
    frame.set(content, HEADER_BYTES + MEMBERS);
    return frame;
  }
}

/** The part of a frame that is a vote, without Ethernet's padding; null when it is none, or not as it should be. */
function checked(frame: Uint8Array): Uint8Array | null {
  const bytes = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < HEADER_BYTES + BODY_BYTES || bytes.getUint16(12) !== VOTE_TYPE) return null;
  const body = frame.subarray(HEADER_BYTES);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const machines = body[MACHINES]!;
  if (view.getUint32(0, true) !== MAGIC || machines === 0 || machines > 64) return null;
  if (body[FROM] === 0 || body[FROM]! > machines) return null;
  const members = view.getBigUint64(MEMBERS, true);
  if (members >> BigInt(machines) !== 0n) return null;
  let count = 0;
  for (let rest = members; rest !== 0n; rest &= rest - 1n) count++;
  const length = BODY_BYTES + 8 * count;
  return body.length < length ? null : body.subarray(0, length);
}
