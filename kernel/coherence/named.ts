// Shared objects by name, as the rest of the kernel sees them: opened, linked, renamed and unlinked. Called by threads, which ask core 0 (by-name.ts) and may wait for
// other machines; no spinlock may be held.
import { allocate, release } from "../memory/slab";
import { clusterSelf } from "../syslink/cluster";
import { ASK_LINK, ASK_OPEN, ASK_UNLINK, clientCurrent } from "./client";
import { commitOutput } from "./commits";
import { homeOf } from "./homes";
import { linkName } from "./links";
import { NUMBERED_BYTES, numberedName } from "./object-names";
import { call, clientFor, SharedObject } from "./pager";

const ENOENT: i64 = 2;
const EIO: i64 = 5;
const EEXIST: i64 = 17;
const ENAMETOOLONG: i64 = 36;
const NAME_MAX: u32 = 255;

/** How an object is opened: only if there is one; made if there is none; only if there was none. */
export const OPEN_THERE: u32 = 0;
export const OPEN_MAKE: u32 = 1;
export const OPEN_NEW: u32 = 2;

function nameLength(name: usize): u32 {
  let bytes: u32 = 0;
  while (load<u8>(name + bytes) != 0) bytes++;
  return bytes;
}

/** 0, or why there can be no such name. */
function nameCheck(bytes: u32): i64 {
  return bytes == 0 ? -ENOENT : bytes > NAME_MAX ? -ENAMETOOLONG : 0;
}

/** Blocks for the answer of the name's home, which is in the calling thread's client. */
function ask(command: u32, name: usize, bytes: u32, how: u32, linkTo: u64, linkHash: u32): i64 {
  const client = clientFor(changetype<SharedObject>(0));
  client.name = name;
  client.nameBytes = bytes;
  client.write = how;
  client.linkTo = linkTo;
  client.linkHash = linkHash;
  client.linkCounted = 0;
  return call(client, command);
}

/**
 * `name`: zero-terminated ASCII. Blocks for the home's answer. The object goes into `*into`; or what open() says: -ENOENT, -EEXIST, and
 * -ETIMEDOUT or -EIO when its home is out of reach, or what the name is a link to was lost.
 */
export function objectOpen(name: usize, how: u32, into: usize): i64 {
  const bytes = nameLength(name);
  let result = nameCheck(bytes);
  if (result < 0) return result;
  if (how != OPEN_THERE) commitOutput(); // others see that it is there
  let before: u64 = 0;
  while (true) {
    result = openNamed(name, bytes, how, into);
    if (result < 0 || load<usize>(into) != 0) return result;
    const to = clientCurrent().linkTo;
    result = linkedOpen(to, clientCurrent().linkHash, into);
    if (result != -ENOENT) return result;
    if (to == before) return -EIO;
    before = to; // the name may stand for another one by now
  }
}

/** `*into` becomes 0 where the name is a link, which the answer says. */
function openNamed(name: usize, bytes: u32, how: u32, into: usize): i64 {
  const result = ask(ASK_OPEN, name, bytes, how, 0, 0);
  if (result < 0) return result;
  store<usize>(into, clientCurrent().object);
  return 0;
}

function linkedOpen(to: u64, hash: u32, into: usize): i64 {
  const name = allocate(NUMBERED_BYTES);
  linkName(name, hash, to);
  const result = openNamed(name, NUMBERED_BYTES, OPEN_THERE, into);
  release(name);
  return result;
}

/**
 * An object that the kernel numbers itself: what it is and its number, at home where `hash` says. Nobody waits here for what was written to be
 * mirrored: who tells of it has to.
 */
export function numberedOpen(kind: u32, number: u64, hash: u32, how: u32, into: usize): i64 {
  const name = allocate(NUMBERED_BYTES);
  numberedName(name, kind, number, hash);
  const result = openNamed(name, NUMBERED_BYTES, how, into);
  release(name);
  return result;
}

/** A hash by which this machine would be the home, of those that the number leads to; the last one tried if there is none. */
export function hashAtHome(number: u64): u32 {
  let hash = <u32>number ^ <u32>(number >> 32);
  for (let tries = 0; tries < 256; tries++) {
    hash = max<u32>(hash * 0x9e37_79b1 + 1, 1);
    if (homeOf(hash) == clusterSelf()) break;
  }
  return hash;
}

// --- Removing ---

export function objectUnlink(name: usize): i64 {
  const bytes = nameLength(name);
  let result = nameCheck(bytes);
  if (result < 0) return result;
  commitOutput(); // others see that it is gone
  result = ask(ASK_UNLINK, name, bytes, 0, 0, 0);
  if (result >= 0) linkEnd();
  return result;
}

/** One name less, or the only one, of such an object. */
export function numberedUnlink(kind: u32, number: u64, hash: u32): i64 {
  const name = allocate(NUMBERED_BYTES);
  numberedName(name, kind, number, hash);
  commitOutput(); // others see that it is gone
  const result = ask(ASK_UNLINK, name, NUMBERED_BYTES, 0, 0, 0);
  release(name);
  return result;
}

/** What the answer says that a name was a link to, if to anything, has one less. It may be lost already. */
function linkEnd(): void {
  const to = clientCurrent().linkTo;
  const hash = clientCurrent().linkHash;
  if (hash == 0) return;
  const name = allocate(NUMBERED_BYTES);
  linkName(name, hash, to);
  ask(ASK_UNLINK, name, NUMBERED_BYTES, 0, 0, 0);
  release(name);
}

// --- Linking ---

/** link(2): -EEXIST, -ENOENT. */
export function objectLink(name: usize, other: usize): i64 {
  return named(name, other, false);
}

/** rename(2): the new name first, then the old one goes. `replace`: what the new name stands for may go; of both the same object nothing changes, as on Linux. */
export function objectRename(name: usize, other: usize, replace: bool): i64 {
  const result = named(name, other, replace);
  if (result == -EEXIST && replace) return 0;
  return result < 0 ? result : objectUnlink(name);
}

/** `other` stands for what `name` does; -EEXIST: it did already, or it stands for something and is not to be replaced. */
function named(name: usize, other: usize, replace: bool): i64 {
  const bytes = nameLength(other);
  let result = nameCheck(bytes);
  if (result >= 0) result = nameCheck(nameLength(name));
  if (result < 0) return result;
  commitOutput(); // others see that it is there
  result = counted(name, nameLength(name));
  if (result < 0) return result;
  const to = clientCurrent().linkTo;
  const hash = clientCurrent().linkHash;
  result = ask(ASK_LINK, other, bytes, u32(replace), to, hash);
  if (result >= 0) linkEnd();
  else if (result == -EEXIST) {
    // Of any other error nobody knows whether the link was made.
    clientCurrent().linkTo = to;
    clientCurrent().linkHash = hash;
    linkEnd();
  }
  return result;
}

/** What the name stands for has one link more; which it is, the answer says. */
function counted(name: usize, bytes: u32): i64 {
  let result = ask(ASK_LINK, name, bytes, 0, 0, 0);
  if (result < 0 || clientCurrent().linkCounted != 0) return result;
  const own = allocate(NUMBERED_BYTES);
  linkName(own, clientCurrent().linkHash, clientCurrent().linkTo);
  result = ask(ASK_LINK, own, NUMBERED_BYTES, 0, 0, 0);
  release(own);
  return result;
}

/** An object that the kernel numbers has one name more, which somebody is about to make. */
export function numberedLink(kind: u32, number: u64, hash: u32): i64 {
  const name = allocate(NUMBERED_BYTES);
  numberedName(name, kind, number, hash);
  commitOutput(); // others see it
  const result = ask(ASK_LINK, name, NUMBERED_BYTES, 0, 0, 0);
  release(name);
  return result;
}
