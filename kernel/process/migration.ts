// A thread of a spread process goes on at another machine, between two of its instructions (promise 75: migrated on the fly). Its registers
// go along, the signals that it blocks and that wait for it, its alternate stack and the cores that it may run on. Memory stays
// where it is, and comes page by page as the thread touches it (promise 108).
//
//   at the origin     it is started elsewhere as by clone, and what it was becomes its proxy
//   elsewhere         it asks its proxy (CALL_MOVE), which passes no signals from then on: what it has passed comes before the answer. Then
//                     it tells what it is (CALL_MOVED) and ends there; the proxy starts it elsewhere, or is the thread again
import { clientCurrent } from "../coherence/client";
import { pinsRelease } from "../coherence/progress";
import { coreCount } from "../lwkt/core";
import { PRIORITY_KERNEL, PRIORITY_USER, threadExit } from "../lwkt/thread";
import { clusterSelf, isDead } from "../syslink/cluster";
import { ITEM_LWP, ITEM_STATE } from "../syslink/commands";
import { Letter, letterPut, letterSend } from "../syslink/letter";
import { itemData, itemDataBytes, itemFind, MessageHeader } from "../syslink/message";
import { EAGAIN, EINVAL } from "./errno";
import { Lwp, lwpCapture, lwpLeave, lwpLetter, lwpMain, lwpRun, STATE_BYTES, stateWrite } from "./lwp";
import { lwpExit, lwpVanish } from "./process";
import { lwpTime } from "./processor-time";
import { machineOf, proxyMain, slotCount, threadStartAt } from "./proxy";
import { callMove, putCall } from "./shadow";
import {
  queueAppend,
  queueBytes,
  queueRead,
  queueWrite,
  SignalQueue,
  signalQueueCreate,
  signalQueueDestroy,
} from "./signal-queue";
import { CALL_MOVED } from "./spread";

const BELONGINGS_BYTES: usize = 40;

/** ITEM_LWP: what a thread that moves has besides its registers and its mask. The signals that waited for it, which go: a SignalQueue. */
export function belongingsPut(letter: Letter, lwp: Lwp): usize {
  const process = lwp.process;
  const fresh = changetype<usize>(signalQueueCreate());
  process.spinLock().acquire();
  const gone = lwp.signals;
  lwp.signals = fresh; // what comes from now on is another one
  process.spinLock().release();
  const queue = changetype<SignalQueue>(gone);
  const at = letterPut(letter, ITEM_LWP, 0, u32(BELONGINGS_BYTES + queueBytes(queue)));
  store<u64>(at, lwp.affinity);
  store<u64>(at, lwp.alternateBase, 8);
  store<u64>(at, lwp.alternateBytes, 16);
  store<u64>(at, u64(lwp.alternateFlags), 24);
  store<u64>(at, lwpTime(lwp), 32);
  queueWrite(queue, at + BELONGINGS_BYTES);
  return gone;
}

/** It has gone, with them. 0: it had none. */
export function belongingsGone(gone: usize): void {
  if (gone !== 0) signalQueueDestroy(changetype<SignalQueue>(gone));
}

/** It does not go: these signals wait for it here, before those that have come since. */
export function belongingsStay(lwp: Lwp, gone: usize): void {
  if (gone === 0) return;
  lwp.process.spinLock().acquire();
  const since = lwp.queue();
  lwp.signals = gone;
  queueAppend(lwp.queue(), since);
  lwp.process.spinLock().release();
  signalQueueDestroy(since);
}

/** The lwp is on no list, or its own thread calls. */
export function belongingsTake(lwp: Lwp, message: MessageHeader): void {
  const item = itemFind(message, ITEM_LWP);
  if (changetype<usize>(item) === 0) return;
  const at = itemData(item);
  lwp.affinity = load<u64>(at);
  lwp.alternateBase = load<u64>(at, 8);
  lwp.alternateBytes = load<u64>(at, 16);
  lwp.alternateFlags = load<u32>(at, 24);
  lwp.process.spinLock().acquire();
  lwp.ran = load<u64>(at, 32);
  queueRead(lwp.queue(), at + BELONGINGS_BYTES, usize(itemDataBytes(item)) - BELONGINGS_BYTES);
  lwp.process.spinLock().release();
}

/**
 * By the thread itself, in a system call that then returns 0: it goes on at the first core of `wanted`, which are all on other machines. Returns
 * only if it cannot, with the error.
 */
export function migrate(lwp: Lwp, wanted: u64): i64 {
  const slot = u32(ctz<u64>(wanted));
  const affinity = lwp.affinity;
  const origin = lwp.process.origin;
  pinsRelease(clientCurrent());
  const asked = origin === 0 ? (machineOf(slot) !== 0 ? 0 : -EINVAL) : callMove(lwp, slot);
  if (asked < 0) return asked;
  lwp.affinity = wanted;
  lwp.frame.rax = 0;
  lwpCapture(lwp, lwp.frame);
  if (origin !== 0) {
    const letter = lwpLetter(lwp);
    store<u64>(putCall(letter, lwp, CALL_MOVED), u64(slot));
    stateWrite(lwp, letterPut(letter, ITEM_STATE, 0, u32(STATE_BYTES)));
    const gone = belongingsPut(letter, lwp);
    letterSend(letter);
    belongingsGone(gone);
    lwpVanish(lwp);
  }
  const started = threadStartAt(lwp, machineOf(slot), slot % coreCount(), true);
  if (started < 0) {
    lwp.affinity = affinity;
    return -EAGAIN;
  }
  lwpLeave(lwp);
  lwpRun(lwp, lwp.process.started % coreCount(), proxyMain.index, PRIORITY_KERNEL);
  threadExit();
  return 0;
}

// --- By the proxy ---

/** CALL_MOVE. 0: the thread may go, and signals wait. */
export function moveAsked(lwp: Lwp, slot: u64): i64 {
  if (slot >= u64(slotCount())) return -EINVAL;
  const machine = u32(slot) / coreCount() + 1;
  if (machine !== clusterSelf() && isDead(machine)) return -EINVAL;
  lwp.moves = 1;
  return 0;
}

/** CALL_MOVED: the thread has left where it was; its registers have been taken. Returns if it is elsewhere now. */
export function moved(lwp: Lwp, message: MessageHeader, slot: u32): void {
  lwp.moves = 0;
  belongingsTake(lwp, message);
  if (lwp.process.ending !== 0) lwpExit(lwp, lwp.process.status);
  const machine = slot < slotCount() ? machineOf(slot) : 0;
  if (machine !== 0 && threadStartAt(lwp, machine, slot % coreCount(), true) >= 0) return;
  lwp.machine = 0;
  lwpLeave(lwp);
  lwpRun(lwp, slot % coreCount(), lwpMain.index, PRIORITY_USER);
  threadExit();
}
