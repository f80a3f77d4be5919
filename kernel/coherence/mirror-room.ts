// Room for mirrors: each machine promises each other one frames for so many, beside what its programs may take (memory/reserve.ts), and
// nobody sends more than he was promised. So who gets a mirror can keep it, and a link's acknowledgement says that it is kept. Both
// ends count from the beginning of a life, so that nothing said twice counts twice. Core 0 only.
//
// Who has no room promises nothing more: his frames go to mirrors that are newer than those which he has, one for one.
import { framesPromised, framesToTake } from "../memory/reserve";
import { clusterMachines, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_MIRROR, ITEM_ROOM } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";

/** Of what programs may take, a promise to one of n others takes 1 / (SHARE * n) at most; it is renewed when half of it is used. */
const SHARE: u32 = 16;
/** Pages. */
const PROMISE_MAX: u32 = 512;
const MACHINES: i32 = 64;

@unmanaged
class Room {
  // Here: mirrors that the machine has promised room for, in all, and has been sent; of these with PROMPT; how many of them it has answered.
  granted: u32 = 0;
  used: u32 = 0;
  asked: u32 = 0;
  answered: u32 = 0;
  // There: the same of what this machine has promised it, and has been sent.
  promised: u32 = 0;
  came: u32 = 0;
  prompted: u32 = 0;
  /** It knows that this machine is a member; it has said how much room it has. */
  open: u32 = 0;
  heard: u32 = 0;
}

const rooms: usize = memory.data(MACHINES * <i32>offsetof<Room>(), 8);
/** Promised and not used. */
let outstanding: u32 = 0;

function roomOf(machine: u32): Room {
  return changetype<Room>(rooms + (machine - 1) * offsetof<Room>());
}

// --- At who sends mirrors ---

/** So many mirrors that machine has room for. */
export function roomAt(machine: u32): u32 {
  const room = roomOf(machine);
  return room.granted - room.used;
}

/** It has none, and said so after everything that it was sent. */
export function isFull(machine: u32): bool {
  const room = roomOf(machine);
  return room.heard != 0 && room.granted == room.used && room.asked == room.answered;
}

/** A mirror goes there; `prompt`: and it is to answer at once. */
export function roomUsed(machine: u32, prompt: bool): void {
  const room = roomOf(machine);
  assert(room.granted != room.used, "a mirror is sent where there is no room for it");
  room.used++;
  if (prompt) room.asked++;
}

/** What that machine says of its room. True: it has more than before. */
export function roomHeard(from: u32, message: MessageHeader): bool {
  const room = roomOf(from);
  const item = itemFind(message, ITEM_ROOM);
  const more = room.granted != item.aux;
  room.granted = item.aux;
  room.answered = <u32>load<u64>(itemData(item));
  room.heard = 1;
  return more;
}

// --- At who keeps them ---

/** A mirror has come from there. */
export function roomCame(from: u32, prompt: bool): void {
  const room = roomOf(from);
  room.came++;
  if (prompt) room.prompted++;
  outstanding--;
  framesPromised(outstanding);
}

/** An answer: how much room there is, and up to where it counts. */
export function roomSay(to: u32): void {
  const room = roomOf(to);
  const more = moreFor(room);
  room.promised += more;
  outstanding += more;
  framesPromised(outstanding);
  const writer = messageTo(to, 16 + 16, 0, 0, COMMAND_MIRROR | RESPONSE);
  store<u64>(itemPut(writer, ITEM_ROOM, room.promised, 8), room.prompted);
  messageEnd();
}

/** So many more may be promised to that machine; 0 as long as half of what it was is not used. */
function moreFor(room: Room): u32 {
  const open = room.promised - room.came;
  const share = min<u32>(PROMISE_MAX, <u32>framesToTake() / (SHARE * (clusterMachines() - 1)));
  return share >= 2 * open ? share - open : 0;
}

/** After every piece of work. True: something was said. */
export function roomsTend(): bool {
  let said = false;
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    const room = roomOf(machine);
    if (room.open == 0 || moreFor(room) == 0) continue;
    roomSay(machine);
    said = true;
  }
  return said;
}

/** The machine knows that this one is a member. */
export function roomOpen(machine: u32): void {
  roomOf(machine).open = 1;
}

export function roomForget(machine: u32): void {
  const room = roomOf(machine);
  outstanding -= room.promised - room.came;
  framesPromised(outstanding);
  memory.fill(changetype<usize>(room), 0, offsetof<Room>());
}
