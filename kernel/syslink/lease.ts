// The lease by which this machine uses shared pages (R4): while more than half of its view has been heard to have heard it within
// leaseTime, 3/10 of `linkloss=`. Those who vote it out acknowledge nothing of it any more, so it has stopped before what it
// held counts as lost (members.ts). Its threads wait until then; after `blocked=` they are told.
import { commitsFail } from "../coherence/commits";
import { locksFail } from "../coherence/object-locks";
import { pagesResume, pagesSuspend, waitersFail } from "../coherence/page-members";
import { questionsFail } from "../coherence/questions";
import { print } from "../console";
import { bootNumber } from "../options";
import { NEVER } from "./link";
import { isMember, Membership, membershipCondemned, membershipMajority } from "./membership";
import { bit, clusterSelf, linkTo } from "./peers";
import { View, viewLife } from "./view";

const MILLISECOND: u64 = 1_000_000;

let leaseTime: u64 = 0;
let patience: u64 = 0;
/** The lease has run out: nobody touches a shared page. */
let suspended: bool = false;
/** Since when its threads wait for the cluster (NEVER: they do not), and whether they were told that it was too long. */
let blockedAt: u64 = NEVER;
let gaveUp: bool = false;

/** `loss`: the nanoseconds of `linkloss=`. */
export function leaseStart(loss: u64): void {
  leaseTime = (loss * 3) / 10;
  patience = bootNumber("blocked", 30_000) * MILLISECOND;
}

export function leaseHolds(): bool {
  return !suspended;
}

/** Threads have waited for the cluster for too long: they are told so at once, until it is there again. */
export function outOfReach(): bool {
  return gaveUp;
}

/** By a member of the view, with links `up`. When to look again. */
export function leaseLook(membership: Membership, view: View, up: u64, now: u64): u64 {
  let near: u32 = 1;
  let next: u64 = NEVER;
  for (let rest = view.members & ~bit(clusterSelf()); rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    const link = linkTo(machine);
    // A new life of a member vouches for nothing: it does not know what the former one has voted for.
    if (!(up & bit(machine)) || link.peerEpoch != viewLife(view, machine)) continue;
    const end = link.lastConfirmed + leaseTime;
    if (now >= end) continue;
    near++;
    next = min<u64>(next, end);
  }
  const may =
    near >= membershipMajority(membership) && isMember(membership) && !membershipCondemned(membership);
  if (may && suspended) {
    suspended = false;
    pagesResume();
  } else if (!may && !suspended) {
    suspended = true;
    pagesSuspend();
  }
  return next;
}

/** What it was the lease of is gone: this machine begins anew. */
export function leaseForget(): void {
  if (suspended) pagesResume();
  suspended = false;
}

/** Threads that wait for the cluster for too long are told; they wait, too, for one that is not joined in time. When to look again. */
export function patienceEnds(now: u64, unjoined: bool): u64 {
  if (!suspended && !unjoined) {
    blockedAt = NEVER;
    if (gaveUp) print("cluster: back in reach\n");
    gaveUp = false;
    return NEVER;
  }
  if (blockedAt == NEVER) blockedAt = now;
  if (now < blockedAt + patience) return blockedAt + patience;
  if (!gaveUp) {
    gaveUp = true;
    print("cluster: out of reach of more than half; shared files time out\n");
    waitersFail();
    questionsFail();
    commitsFail();
    locksFail();
  }
  return NEVER;
}
