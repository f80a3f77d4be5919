// The links to all other machines: how large they are, and their memory, which is taken once. Core 0's.
import { print, printDecimal } from "../console";
import { framesFree } from "../memory/frames";
import { allocate } from "../memory/slab";
import { IP_BYTES, UDP_BYTES } from "../net/interface";
import { panic } from "../panic";
import { LINK_HEADER_BYTES, Link, linkBytes, linkCreate } from "./link";
import { linkDirty } from "./outbox";
import { card, clusterEpoch, clusterMachines, clusterSelf, linkSet, linkTo } from "./peers";

/** The least that linkCreate() takes; with the other parts of a link just below 512 KiB at an MTU of 9000. */
const RING_BYTES: u32 = 131072;
/** The most: a window of whole pages. All rings together take no more than this part of the memory, if they need not. */
const RING_BYTES_MAX: u32 = 1 << 20;
const RINGS_PART: u32 = 32;

/** Of each link, the same for good. */
let ring: u32 = 0;

function freeBytes(): u64 {
  return (<u64>framesFree()) << 12;
}

function ringBytes(): u32 {
  const each = freeBytes() / RINGS_PART / <u64>(clusterMachines() - 1);
  let bytes = RING_BYTES;
  while (bytes < RING_BYTES_MAX && <u64>(2 * bytes) <= each) bytes *= 2;
  return bytes;
}

/** Bytes that wait in a link for the other end at the most, before more of them take memory of their own; 0: there is no link. */
export function linkRoom(): u32 {
  return ring;
}

/** For a new life of this machine; who is silent for `lossTime`, nanoseconds, is lost. */
export function linksCreate(lossTime: u64): void {
  const payload = (card.mtu - IP_BYTES - UDP_BYTES - LINK_HEADER_BYTES) & ~7;
  if (ring == 0) {
    ring = ringBytes();
    needMemory(linkBytes(payload, ring));
  }
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf()) continue;
    let at = changetype<usize>(linkTo(machine));
    if (at == 0) at = allocate(linkBytes(payload, ring));
    else memory.fill(at, 0, offsetof<Link>());
    linkSet(machine, linkCreate(at, clusterSelf(), machine, clusterEpoch(), payload, ring, lossTime));
    linkDirty(machine);
  }
}

/** A machine is given its memory once and for all: who gave too little is told how much it takes. */
function needMemory(each: u32): void {
  const others = clusterMachines() - 1;
  const bytes = <u64>others * each;
  if (bytes < freeBytes()) return;
  print("cluster: links to ");
  printDecimal(others);
  print(" machines take ");
  printDecimal(bytes >> 10);
  print(" KiB, and ");
  printDecimal(freeBytes() >> 10);
  print(" are free\n");
  panic("too little memory for so many machines");
}
