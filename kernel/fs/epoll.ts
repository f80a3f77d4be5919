// epoll(7): a set of interests, each in the events of an open file under one of its descriptors. An interest is a Watch at its file's source; when
// it is told, it goes to the end of its epoll's queue, where epollTake() looks whether the events are there and takes it out, to
// put it back at once unless it is edge-triggered. An interest holds no reference to its file: with the file it goes.
//
// Invariant: all of it is under the lock of readiness. No epoll reaches itself by its interests, and chains of them are short.
import { allocate, release } from "../memory/slab";
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM } from "../process/errno";
import { File, fileCreate, fileReadyHeld, fileTellsReadiness, KIND_EPOLL, O_RDWR } from "./file";
import {
  ALWAYS,
  POLLIN,
  POLLOUT,
  READABLE,
  readinessLock,
  readinessUnlock,
  Source,
  tellHeld,
  Watch,
  watchAt,
  watchEnd,
} from "./readiness";

export const EPOLL_CTL_ADD: u32 = 1;
export const EPOLL_CTL_DEL: u32 = 2;
export const EPOLL_CTL_MOD: u32 = 3;
/** Wakes one of several epolls or more: here all. Once asked for it stays, and only these may come with it. */
const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLWAKEUP: u32 = 1 << 29;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;
/** What of an interest's events is none. */
const MANNERS: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;
const EXCLUSIVE: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLET | POLLIN | POLLOUT | ALWAYS;
/** struct epoll_event of x86-64: events u32, data u64, packed. */
export const EVENT_BYTES: usize = 12;
/** What epollTake() puts before the events. */
export const TAKING_BYTES: usize = 8;
/** Epolls that watch one another: one more in a chain of them is refused. */
const CHAIN_MOST: u32 = 6;
/** Interests of all epolls (max_user_watches). */
const INTERESTS_MOST: u32 = 16384;

@unmanaged
class Epoll extends Source {
  file: usize = 0;
  /** Its interests, and those of them that are queued. */
  interests: usize = 0;
  queue: usize = 0;
  queueLast: usize = 0;
  queued: u32 = 0;
}

@unmanaged
class Interest extends Watch {
  epoll: usize = 0;
  file: usize = 0;
  fd: u32 = 0;
  manners: u32 = 0;
  data: u64 = 0;
  /** Which call of epollTake() told of it last, as which of its events, and what was wanted then. */
  taking: u32 = 0;
  place: u32 = 0;
  wanted: u32 = 0;
  /** Links of the epoll's interests, and of the file's. */
  following: usize = 0;
  before: usize = 0;
  fileFollowing: usize = 0;
  fileBefore: usize = 0;
  /** Of the epoll's queue. */
  isQueued: u32 = 0;
  queueNext: usize = 0;
  queueBefore: usize = 0;
}

let interestCount: u32 = 0;

function epollOf(file: File): Epoll {
  return changetype<Epoll>(file.stream);
}

export function epollCreate(flags: u32): File {
  const epoll = changetype<Epoll>(allocate(offsetof<Epoll>()));
  const file = fileCreate(KIND_EPOLL, O_RDWR | flags, 0, 0);
  epoll.file = changetype<usize>(file);
  file.stream = changetype<usize>(epoll);
  file.source = changetype<usize>(epoll);
  file.mode = 0o600;
  return file;
}

export function epollEnd(file: File): void {
  const epoll = epollOf(file);
  readinessLock();
  while (epoll.interests !== 0) forget(changetype<Interest>(epoll.interests));
  readinessUnlock();
  release(changetype<usize>(epoll));
}

/** epoll_ctl(2) */
export function epollChange(set: File, operation: u32, file: File, fd: u32, events: u32, data: u64): i64 {
  if (!fileTellsReadiness(file)) return -EPERM;
  if (set === file || set.kind !== KIND_EPOLL) return -EINVAL;
  if (events & EPOLLEXCLUSIVE) {
    if (operation === EPOLL_CTL_MOD || file.kind === KIND_EPOLL || events & ~EXCLUSIVE) return -EINVAL;
  }
  const epoll = epollOf(set);
  const fresh = operation === EPOLL_CTL_ADD ? allocate(offsetof<Interest>()) : 0;
  readinessLock();
  const known = find(file, epoll, fd);
  let result: i64 = 0;
  if (operation === EPOLL_CTL_ADD) {
    result = known !== 0 ? -EEXIST : mayWatch(epoll, file);
    if (result === 0) add(epoll, changetype<Interest>(fresh), file, fd, events, data);
  } else if (operation !== EPOLL_CTL_DEL && operation !== EPOLL_CTL_MOD) result = -EINVAL;
  else if (known === 0) result = -ENOENT;
  else if (operation === EPOLL_CTL_DEL) forget(changetype<Interest>(known));
  else if (changetype<Interest>(known).manners & EPOLLEXCLUSIVE) result = -EINVAL;
  else change(changetype<Interest>(known), events, data);
  readinessUnlock();
  if (fresh !== 0 && result < 0) release(fresh);
  return result;
}

/** Of the file's interests, which are fewer than the epoll's. */
function find(file: File, epoll: Epoll, fd: u32): usize {
  let at = file.interests;
  while (
    at !== 0 &&
    (changetype<Interest>(at).epoll !== changetype<usize>(epoll) || changetype<Interest>(at).fd !== fd)
  )
    at = changetype<Interest>(at).fileFollowing;
  return at;
}

function mayWatch(epoll: Epoll, file: File): i64 {
  if (interestCount >= INTERESTS_MOST) return -ENOSPC;
  if (file.kind !== KIND_EPOLL) return 0;
  if (reaches(epollOf(file), epoll)) return -ELOOP;
  return below(epollOf(file)) + above(epoll) > CHAIN_MOST ? -ELOOP : 0;
}

function reaches(from: Epoll, to: Epoll): bool {
  for (let at = from.interests; at !== 0; at = changetype<Interest>(at).following) {
    const file = changetype<File>(changetype<Interest>(at).file);
    if (file.kind === KIND_EPOLL && (file.stream === changetype<usize>(to) || reaches(epollOf(file), to)))
      return true;
  }
  return false;
}

/** How many epolls the longest chain has that begins with this one; that ends with it. */
function below(epoll: Epoll): u32 {
  let most: u32 = 0;
  for (let at = epoll.interests; at !== 0; at = changetype<Interest>(at).following) {
    const file = changetype<File>(changetype<Interest>(at).file);
    if (file.kind === KIND_EPOLL) most = max<u32>(most, below(epollOf(file)));
  }
  return most + 1;
}
function above(epoll: Epoll): u32 {
  let most: u32 = 0;
  let at = changetype<File>(epoll.file).interests;
  for (; at !== 0; at = changetype<Interest>(at).fileFollowing)
    most = max<u32>(most, above(changetype<Epoll>(changetype<Interest>(at).epoll)));
  return most + 1;
}

function add(epoll: Epoll, interest: Interest, file: File, fd: u32, events: u32, data: u64): void {
  interest.epoll = changetype<usize>(epoll);
  interest.file = changetype<usize>(file);
  interest.fd = fd;
  interest.tells = interestTold.index;
  interest.following = epoll.interests;
  if (epoll.interests !== 0) changetype<Interest>(epoll.interests).before = changetype<usize>(interest);
  epoll.interests = changetype<usize>(interest);
  interest.fileFollowing = file.interests;
  if (file.interests !== 0) changetype<Interest>(file.interests).fileBefore = changetype<usize>(interest);
  file.interests = changetype<usize>(interest);
  interestCount++;
  if (file.source !== 0) watchAt(changetype<Source>(file.source), interest);
  change(interest, events, data);
}

function change(interest: Interest, events: u32, data: u64): void {
  interest.events = (events & ~MANNERS) | ALWAYS;
  interest.manners = events & MANNERS;
  interest.data = data;
  interest.taking = 0;
  if (fileReadyHeld(changetype<File>(interest.file)) & interest.events) interestTold(interest);
}

/** By the file's source: a Watch is told. */
function interestTold(watch: Watch): void {
  const interest = changetype<Interest>(changetype<usize>(watch));
  const epoll = changetype<Epoll>(interest.epoll);
  if (!interest.isQueued) enqueue(epoll, interest);
  tellHeld(epoll, READABLE);
}

function enqueue(epoll: Epoll, interest: Interest): void {
  interest.isQueued = 1;
  interest.queueNext = 0;
  interest.queueBefore = epoll.queueLast;
  if (epoll.queueLast !== 0) changetype<Interest>(epoll.queueLast).queueNext = changetype<usize>(interest);
  else epoll.queue = changetype<usize>(interest);
  epoll.queueLast = changetype<usize>(interest);
  epoll.queued++;
}

function enqueueFirst(epoll: Epoll, interest: Interest): void {
  interest.isQueued = 1;
  interest.queueBefore = 0;
  interest.queueNext = epoll.queue;
  if (epoll.queue !== 0) changetype<Interest>(epoll.queue).queueBefore = changetype<usize>(interest);
  else epoll.queueLast = changetype<usize>(interest);
  epoll.queue = changetype<usize>(interest);
  epoll.queued++;
}

function dequeue(epoll: Epoll, interest: Interest): void {
  interest.isQueued = 0;
  if (interest.queueBefore !== 0) changetype<Interest>(interest.queueBefore).queueNext = interest.queueNext;
  else epoll.queue = interest.queueNext;
  if (interest.queueNext !== 0) changetype<Interest>(interest.queueNext).queueBefore = interest.queueBefore;
  else epoll.queueLast = interest.queueBefore;
  epoll.queued--;
}

function forget(interest: Interest): void {
  const epoll = changetype<Epoll>(interest.epoll);
  const file = changetype<File>(interest.file);
  if (interest.isQueued) dequeue(epoll, interest);
  watchEnd(interest);
  if (interest.before !== 0) changetype<Interest>(interest.before).following = interest.following;
  else epoll.interests = interest.following;
  if (interest.following !== 0) changetype<Interest>(interest.following).before = interest.before;
  if (interest.fileBefore !== 0)
    changetype<Interest>(interest.fileBefore).fileFollowing = interest.fileFollowing;
  else file.interests = interest.fileFollowing;
  if (interest.fileFollowing !== 0)
    changetype<Interest>(interest.fileFollowing).fileBefore = interest.fileBefore;
  interestCount--;
  release(changetype<usize>(interest));
}

/** The file's last reference has gone. */
export function interestsForget(file: File): void {
  if (!fileTellsReadiness(file)) return;
  readinessLock();
  while (file.interests !== 0) forget(changetype<Interest>(file.interests));
  readinessUnlock();
}

/** Calls of epollTake(), under the lock. */
let takings: u32 = 0;

/** Up to `most` events that are there, to kernel memory behind a word of `to` that is for epollReturn(); how many. Who was told first is first. */
export function epollTake(set: File, to: usize, most: u32): u32 {
  const epoll = epollOf(set);
  let at = to + TAKING_BYTES;
  let count: u32 = 0;
  readinessLock();
  takings++;
  store<u32>(to, takings);
  for (let left = epoll.queued; left > 0 && count < most; left--) {
    const interest = changetype<Interest>(epoll.queue);
    const events = fileReadyHeld(changetype<File>(interest.file)) & interest.events;
    dequeue(epoll, interest);
    if (events === 0) continue;
    store<u32>(at, events);
    store<u64>(at, interest.data, 4);
    at += EVENT_BYTES;
    interest.taking = takings;
    interest.place = count++;
    interest.wanted = interest.events;
    if (interest.manners & EPOLLONESHOT) interest.events = 0;
    else if (!(interest.manners & EPOLLET)) enqueue(epoll, interest);
  }
  readinessUnlock();
  return count;
}

/** Of the `count` events that epollTake() has found those from the so manieth on were told to nobody: they are the first again. */
export function epollReturn(set: File, to: usize, first: u32, count: u32): void {
  const epoll = epollOf(set);
  readinessLock();
  for (let place = count; place > first; place--) {
    const at = takenAs(epoll, load<u32>(to), place - 1);
    if (at === 0) continue;
    const interest = changetype<Interest>(at);
    interest.events = interest.wanted;
    if (interest.isQueued) dequeue(epoll, interest);
    enqueueFirst(epoll, interest);
  }
  tellHeld(epoll, READABLE);
  readinessUnlock();
}

/** 0: it has gone since, or was changed, or told once more. */
function takenAs(epoll: Epoll, taking: u32, place: u32): usize {
  let at = epoll.interests;
  while (at !== 0 && (changetype<Interest>(at).taking !== taking || changetype<Interest>(at).place !== place))
    at = changetype<Interest>(at).following;
  return at;
}

/** Lock held. Those that were told and are not ready any more leave the queue. */
export function epollReady(file: File): u32 {
  const epoll = epollOf(file);
  while (epoll.queue !== 0) {
    const interest = changetype<Interest>(epoll.queue);
    if (fileReadyHeld(changetype<File>(interest.file)) & interest.events) return READABLE;
    dequeue(epoll, interest);
  }
  return 0;
}
