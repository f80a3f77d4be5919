// The machines of the cluster as this one sees them: numbers, lives, links, and which of them are spoken to. Only data and
// what reads it; members.ts decides, outbox.ts sends. Core 0's, like all of syslink.
import { Interface } from "../net/interface";
import { Link } from "./link";

export const MACHINES_MAX: u32 = 64;
export const PORT: u32 = 2666;
/** 10.66.0.0 in memory's order; the machine's number is the last byte. */
export const NETWORK: u32 = 0x0000_420a;
export const card = changetype<Interface>(memory.data(offsetof<Interface>(), 8));

let self: u32 = 1;
let machines: u32 = 1;
let epoch: u64 = 0;
/** Link by machine, 0 for this one. */
const links: usize = memory.data(256);
/** Bit per machine: not spoken to, since it is no member of the view, or was not heard any more. */
let excluded: u64 = 0;

export function peersStart(node: u32, nodes: u32): void {
  self = node;
  machines = nodes;
  excluded = allMachines() & ~bit(self);
}

export function clusterSelf(): u32 {
  return self;
}
/** As many as were configured; which of them there are, the view says. */
export function clusterMachines(): u32 {
  return machines;
}
/** This life of the machine; no two are the same. */
export function clusterEpoch(): u64 {
  return epoch;
}
export function epochSet(life: u64): void {
  epoch = life;
}

export function bit(machine: u32): u64 {
  return (<u64>1) << (machine - 1);
}
export function allMachines(): u64 {
  return machines == 64 ? ~(<u64>0) : bit(machines + 1) - 1;
}

/** It is not spoken to: it never came, fell silent, or was left out. */
export function isDead(machine: u32): bool {
  return (excluded & bit(machine)) != 0;
}
export function deadMachines(): u64 {
  return excluded;
}
export function exclude(machine: u32): void {
  excluded |= bit(machine);
}
export function include(machine: u32): void {
  excluded &= ~bit(machine);
}

export function linkTo(machine: u32): Link {
  return changetype<Link>(load<usize>(links + ((machine - 1) << 2)));
}
export function linkSet(machine: u32, link: Link): void {
  store<usize>(links + ((machine - 1) << 2), changetype<usize>(link));
}

/** The shortest round trip to any machine of late; 0 = not known yet. */
export function wireTime(): u64 {
  let least: u64 = 0;
  for (let machine: u32 = 1; machine <= machines; machine++) {
    if (machine == self || isDead(machine)) continue;
    const time = linkTo(machine).shortest;
    if (time != 0 && (least == 0 || time < least)) least = time;
  }
  return least;
}
