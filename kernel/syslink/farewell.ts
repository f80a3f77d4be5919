// The end of a machine's part in the cluster. Its program has ended, or its power button was pressed (machine/power.ts): it says
// farewell, and goes on serving what others need of it until all have said so. If they go on for longer than `leave=` it leaves: a
// view is voted in which it is leaving (view.ts), by which it hands in all that it has and is the home of nothing
// (coherence/homes.ts); when that has been done the others act by a view without it, and wait for no lease of its (promise 115).
import { Client } from "../coherence/client";
import { print } from "../console";
import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { bootNumber, bootOption } from "../options";
import { COMMAND_FAREWELL } from "./commands";
import { NEVER } from "./link";
import { linkDirty, messageEnd, noticeTo } from "./outbox";
import { allMachines, bit, clusterMachines, clusterSelf, isDead, linkTo } from "./peers";

const MILLISECOND: u64 = 1_000_000;
/** So long who has left waits for the view without it, which changes nothing for it. */
const LAST_WAIT: u64 = 1000 * MILLISECOND;

/** Who waits for the end. */
let leaver: usize = 0;
/** When everything that has been said need not be heard any more. */
let quietUntil: u64 = 0;
let leaveAt: u64 = 0;
/** When a machine that nobody lets go leaves all the same. */
let giveUpAt: u64 = NEVER;
let hurried: bool = false;
let announced: bool = false;
/** NEVER: it still has something. */
let goneAt: u64 = NEVER;
let over: bool = false;
/** Machines that have said farewell. */
let departed: u64 = 0;

export function farewellSaid(machine: u32): void {
  departed |= bit(machine);
}
export function farewellHeard(machine: u32): bool {
  return (departed & bit(machine)) != 0;
}
export function farewellForget(machine: u32): void {
  departed &= ~bit(machine);
}
export function farewellsForget(): void {
  departed = 0;
}

export function allSaidFarewell(): bool {
  return leaver != 0 && (departed | bit(clusterSelf())) == allMachines();
}

/** The power button: the end of the program need not wait for that of others. */
export function farewellHurry(): void {
  hurried = true;
}

/** `client` is answered when every living machine has said farewell and has heard ours, or when this one has left. */
export function farewellBegin(client: Client, now: u64): i64 {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf() || isDead(machine)) continue;
    noticeTo(machine, 16, COMMAND_FAREWELL);
    messageEnd();
  }
  leaver = changetype<usize>(client);
  quietUntil = 0;
  leaveAt = hurried ? now : now + bootNumber("leave", 1000) * MILLISECOND;
  if (hurried) giveUpAt = now + bootNumber("blocked", 30_000) * MILLISECOND;
  if (farewell(now) == 0) {
    leaver = 0;
    return 0;
  }
  return ASYNCHRONOUS;
}

/** Somebody has not said farewell, and is not waited for any longer. */
export function wantsToLeave(now: u64): bool {
  // The threads of a process that is spread over machines do not move, and end together.
  if (leaver == 0 || now < leaveAt || !othersGoOn() || bootOption("spread") != 0) return false;
  if (!announced) print("cluster: leaving; what this machine has goes to the others\n");
  announced = true;
  return true;
}

function othersGoOn(): bool {
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && !isDead(machine) && !(departed & bit(machine))) return true;
  }
  return false;
}

/** This machine has nothing any more, and has said so. */
export function farewellHandedIn(now: u64): void {
  goneAt = now;
}

/** The others act by a view without it. */
export function farewellOver(): void {
  over = true;
}

/** 0: it is over; else when to look again. */
function farewell(now: u64): u64 {
  if (over || now >= giveUpAt) return 0;
  if (goneAt != NEVER) return now >= goneAt + LAST_WAIT ? 0 : goneAt + LAST_WAIT;
  if (othersGoOn()) return now < leaveAt ? leaveAt : giveUpAt;
  let quiet = true;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf() || isDead(machine)) continue;
    const link = linkTo(machine);
    if (link.oldest != link.nextSequence) quiet = false;
  }
  // All have said it. What they have not acknowledged they may still need, but not for ever.
  if (quietUntil == 0) quietUntil = now + 500 * MILLISECOND;
  if (!quiet && now < quietUntil) return now + 5 * MILLISECOND;
  return 0;
}

/** Time is to be looked at, whatever comes. */
export function farewellBegun(): bool {
  return leaver != 0;
}

/** When to look again; 0: it is over, and what is still to be said was marked. */
export function farewellTick(now: u64): u64 {
  if (leaver == 0) return NEVER;
  const end = farewell(now);
  if (end != 0) return end;
  // The last thing that the others hear: that theirs has arrived, so that they need not wait for it.
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine == clusterSelf() || isDead(machine)) continue;
    if (linkTo(machine).ackDue != 0) linkTo(machine).ackDue = now;
    linkDirty(machine);
  }
  return 0;
}

export function farewellEnd(): void {
  const client = changetype<Client>(leaver);
  leaver = 0;
  if (over || goneAt != NEVER) print("cluster: this machine has left\n");
  portReply(client, 0);
}
