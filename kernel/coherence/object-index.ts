// The records of shared objects by id and by the hash of their name, of which there may be thousands: one a file that somebody has made. Core 0 only.
import { SharedObject } from "./pager";

const BUCKETS: u32 = 1024;
/** Heads of chains: by nextById, by nextByHash. */
const ids: usize = memory.data(4096, 4);
const hashes: usize = memory.data(4096, 4);

function idBucket(id: u64): usize {
  return ids + ((((<u32>(id >> 8) * 0x9e37_79b1) >> 22) & (BUCKETS - 1)) << 2);
}
function hashBucket(hash: u32): usize {
  return hashes + (((hash * 0x9e37_79b1) >> 22) << 2);
}

export function indexAdd(object: SharedObject): void {
  const bucket = idBucket(object.id);
  object.nextById = load<usize>(bucket);
  store<usize>(bucket, changetype<usize>(object));
}

/** The first in a chain that has every object of this id; the others follow by nextById. */
export function indexById(id: u64): usize {
  return load<usize>(idBucket(id));
}

/** The same of this hash, by nextByHash. */
export function indexByHash(hash: u32): usize {
  return load<usize>(hashBucket(hash));
}

/** Its name has this hash; 0: it has never had one. */
export function objectHashed(object: SharedObject, hash: u32): void {
  if (object.hash == hash) return;
  if (object.hash != 0) hashRemove(object);
  object.hash = hash;
  if (hash == 0) return;
  const bucket = hashBucket(hash);
  object.nextByHash = load<usize>(bucket);
  store<usize>(bucket, changetype<usize>(object));
}

function hashRemove(object: SharedObject): void {
  let link = hashBucket(object.hash);
  while (load<usize>(link) != changetype<usize>(object)) {
    link = load<usize>(link) + offsetof<SharedObject>("nextByHash");
  }
  store<usize>(link, object.nextByHash);
}

/** The record ends. */
export function indexRemove(object: SharedObject): void {
  let link = idBucket(object.id);
  while (load<usize>(link) != changetype<usize>(object)) {
    link = load<usize>(link) + offsetof<SharedObject>("nextById");
  }
  store<usize>(link, object.nextById);
  if (object.hash != 0) hashRemove(object);
}
