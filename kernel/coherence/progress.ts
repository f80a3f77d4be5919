// Progress: at least one user instruction retires between a grant and the next revocation (the decision on livelock).
//
// A page that was granted to a thread is pinned for it until the thread is seen at another instruction. A revocation
// that meets a pin waits (pages.ts). When one waits already as the thread leaves for user mode, TF is set, and the
// debug exception after its one instruction ends the pin; else the next entry for any reason does, which an IPI
// message hastens. An instruction that needs several pages (a split LOCK, MOVS) faults several times at the same place, with
// the same registers, and keeps all their pins; a thread that needs a page before one that it has pinned lets go of that one first, so that
// pages are always waited for in one order of the whole cluster, and nobody waits in a circle. A pin ends after a while
// in any case.
//
// Pins taken within a system call, by copies to and from user memory, end with it.
import { TrapFrame } from "../frame";
import { thisCore } from "../lwkt/core";
import { ipiSend } from "../lwkt/ipi";
import { Thread, threadCurrent } from "../lwkt/thread";
import { pageUnpinned } from "../syslink/cluster";
import { Client, clientFree, PINS_MAX } from "./client";
import { holdLasts } from "./hold";
import { Page } from "./records";

const TRAP_FLAG: u64 = 0x100;
const PAGE_FAULT: u32 = 14;

function pinAt(client: Client, index: u32): usize {
  return changetype<usize>(client) + offsetof<Client>("pin0") + ((<usize>index) << 2);
}

function pinsOf(page: usize): usize {
  return page + offsetof<Page>("pins");
}
function runningOf(page: usize): usize {
  return page + offsetof<Page>("running");
}

/** First thing that trap() and syscall() do when the trap came from user mode; interrupts may be off. Never blocks. */
export function userEntered(frame: TrapFrame): void {
  const client = changetype<Client>(changetype<Thread>(thisCore().thread).pins);
  if (changetype<usize>(client) == 0) return;
  client.stepped = 0;
  if (client.stepping != 0) {
    client.stepping = 0;
    client.stepped = 1;
    if (client.userSteps == 0) frame.rflags &= ~TRAP_FLAG;
  }
  if (client.pinCount != 0) {
    if (client.running != 0) notRunning(client);
    if (hasRetired(client, frame)) pinsRelease(client);
  }
  client.vector = <u32>frame.vector;
  client.rip = frame.rip;
  client.rcx = frame.rcx;
  client.registers = registersOf(frame);
}

/**
 * Something has, since the last entry: an instruction that begins anew finds all registers as it left them. A repeated string
 * instruction stays where it is, and RCX tells how far it has come; a loop comes back to where it was, with other registers.
 */
function hasRetired(client: Client, frame: TrapFrame): bool {
  return frame.rip != client.rip || frame.rcx != client.rcx || registersOf(frame) != client.registers;
}

/** Equal sums of different registers are a pin that lasts longer, no more. */
function registersOf(frame: TrapFrame): u64 {
  const low = frame.rax + frame.rdx + frame.rbx + frame.rsi + frame.rdi + frame.rbp + frame.rsp;
  const high = frame.r8 + frame.r9 + frame.r10 + frame.r11 + frame.r12 + frame.r13 + frame.r14 + frame.r15;
  return low + high;
}

/** Last thing before resuming user mode, interrupts off. Never blocks. */
export function userLeaving(frame: TrapFrame): void {
  const client = changetype<Client>(changetype<Thread>(thisCore().thread).pins);
  if (changetype<usize>(client) == 0 || client.pinCount == 0) return;
  if (client.pinsOfKernel != 0) {
    pinsRelease(client);
    return;
  }
  client.running = 1;
  let wanted: u32 = 0;
  for (let i: u32 = 0; i < client.pinCount; i++) {
    const page = load<usize>(pinAt(client, i));
    // Locked, and then the look: a revocation does it the other way round.
    atomic.add<u32>(runningOf(page), 1);
    // A page that is held (hold.ts) gives the thread more time than one step.
    if (!holdLasts(changetype<Page>(page))) wanted |= atomic.load<u32>(page + offsetof<Page>("revoking"));
  }
  if (wanted == 0) return;
  client.stepping = 1;
  client.userSteps = u32((frame.rflags & TRAP_FLAG) != 0);
  frame.rflags |= TRAP_FLAG;
}

/** For #DB from user mode, after userEntered: true when the single step was ours and the thread has nothing to be told. */
export function singleStepEnded(_frame: TrapFrame): bool {
  const client = changetype<Client>(threadCurrent().pins);
  return changetype<usize>(client) != 0 && client.stepped != 0 && client.userSteps == 0;
}

function notRunning(client: Client): void {
  client.running = 0;
  for (let i: u32 = 0; i < client.pinCount; i++) atomic.sub<u32>(runningOf(load<usize>(pinAt(client, i))), 1);
}

/** By the thread itself: it has made progress, or gives up, or is about to sleep for other reasons. */
export function pinsRelease(client: Client): void {
  if (client.running != 0) notRunning(client);
  client.pinsOfKernel = 0;
  const count = client.pinCount;
  client.pinCount = 0;
  for (let i: u32 = 0; i < count; i++) letGo(load<usize>(pinAt(client, i)));
}

function letGo(page: usize): void {
  // Read before the pin goes: without pins the record may go as well.
  const wanted = atomic.load<u32>(page + offsetof<Page>("revoking"));
  const before = atomic.sub<u32>(pinsOf(page), 1);
  assert(before > 0, "a page is unpinned once too often");
  if (before == 1 && wanted != 0) ipiSend(0, pageUnpinned.index, page);
}

/** The thread leaves its process: by itself, as the last thing that it has to do with the cluster. */
export function clusterLeave(thread: Thread): void {
  const client = changetype<Client>(thread.pins);
  if (changetype<usize>(client) == 0) return;
  pinsRelease(client);
  clientFree(thread);
}

// --- On core 0, while the thread waits ---

/** In the order of the cluster? */
function before(a: Page, b: Page): bool {
  return a.object != b.object ? a.object < b.object : a.index < b.index;
}

/** The thread asks for `page`: pins of later pages end, those of earlier ones last until then. */
export function pinsOrder(client: Client, page: Page, until: u64): void {
  const kept = client.pinCount;
  client.pinCount = 0;
  for (let i: u32 = 0; i < kept; i++) {
    const pinned = changetype<Page>(load<usize>(pinAt(client, i)));
    if (pinned == page || before(page, pinned)) {
      atomic.sub<u32>(pinsOf(changetype<usize>(pinned)), 1); // core 0 looks at revocations when it is done
      continue;
    }
    pinned.pinsEnd = max<u64>(pinned.pinsEnd, until);
    store<usize>(pinAt(client, client.pinCount++), changetype<usize>(pinned));
  }
}

/** The page was granted to the thread. */
export function pinAdd(client: Client, page: Page, until: u64): void {
  if (client.pinCount == PINS_MAX) {
    atomic.sub<u32>(pinsOf(load<usize>(pinAt(client, 0))), 1);
    memory.copy(pinAt(client, 0), pinAt(client, 1), (PINS_MAX - 1) << 2);
    client.pinCount--;
  }
  for (let i: u32 = 0; i < client.pinCount; i++) {
    changetype<Page>(load<usize>(pinAt(client, i))).pinsEnd = until;
  }
  page.pinsEnd = until;
  if (client.vector != PAGE_FAULT) client.pinsOfKernel = 1;
  atomic.add<u32>(pinsOf(changetype<usize>(page)), 1);
  store<usize>(pinAt(client, client.pinCount++), changetype<usize>(page));
}
