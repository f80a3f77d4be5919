// Page faults on user addresses (Intel SDM vol. 3A, 4.7 and 6.15 #PF): a missing page is made (zeros, or a private
// copy of a file's bytes) or asked for (a page of a shared object); anything else becomes a signal.
//
// Invariant: no lock is held while a page or a right is fetched from another machine (the decision on deadlock).
import { clientCurrent } from "../coherence/client";
import { framesAwait, pageFaultShared, SharedObject } from "../coherence/pager";
import { TrapFrame } from "../frame";
import { File, fileReadAt } from "../fs/file";
import { threadCurrent } from "../lwkt/thread";
import { frameAllocate, frameFree } from "../memory/frames";
import {
  entryOf,
  FRAME_MASK,
  mapPage,
  NO_EXECUTE,
  PRESENT,
  setEntry,
  USER,
  WRITABLE,
} from "../memory/paging";
import { mayTakeFrame } from "../memory/reserve";
import { stats } from "../stats";
import { ENOMEM } from "./errno";
import {
  accessCarried,
  accessTouches,
  instructionRead,
  operationAt,
  partedFault,
  retire,
} from "./instruction-fault";
import { Lwp } from "./lwp";
import {
  AddressSpace,
  ANONYMOUS,
  awaitQuiet,
  entryAt,
  faultLanded,
  MapEntry,
  PAGE,
  PRIVATE_FILE,
  PROT_EXEC,
  PROT_WRITE,
} from "./mapping";
import { entryFlags, pageReadOnly } from "./pages";
import { mapFetch } from "./shadow";
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGKILL, SIGSEGV } from "./signal-numbers";
import { USER_TOP } from "./user-memory";

/** Bits of the error code. */
const ERROR_WRITE: u64 = 2;
const ERROR_RESERVED: u64 = 8;
const ERROR_FETCH: u64 = 16;

/**
 * Called by trap() with interrupts on, for a #PF in user mode or in kernel mode on a user address. `address` is
 * CR2, read by trap() before it let interrupts in. True: resolved, run the instruction again. May block.
 */
export function pageFault(frame: TrapFrame, address: u64): bool {
  const thread = threadCurrent();
  if (!thread.lwp) return false;
  const lwp = changetype<Lwp>(thread.lwp);
  if (partedFault(frame, address)) return true;
  assert(!(frame.error & ERROR_RESERVED), "a reserved bit is set in a page table");
  const counters = stats();
  counters.pageFaults++;
  lwp.faultAddress = address;
  lwp.faultError = u32(frame.error);
  lwp.faultCode = SEGV_MAPERR;
  lwp.faultSignal = SIGSEGV;
  if (address >= USER_TOP) return false;
  const map = lwp.process.map;
  map.sleepLock().acquire();
  awaitQuiet(map);
  let entry = entryAt(map, address);
  if (lwp.process.origin !== 0 && !permits(entry, frame.error) && mapFetch(lwp, map, address)) {
    entry = entryAt(map, address);
  }
  const resolved = changetype<usize>(entry) !== 0 && resolve(lwp, map, entry, address, frame);
  map.sleepLock().release();
  return resolved;
}

function permits(entry: MapEntry, error: u64): bool {
  if (changetype<usize>(entry) === 0 || entry.protection === 0) return false;
  if ((error & ERROR_WRITE) !== 0 && !(entry.protection & PROT_WRITE)) return false;
  return (error & ERROR_FETCH) === 0 || (entry.protection & PROT_EXEC) !== 0;
}

/** Lock held, and held again on return. */
function resolve(lwp: Lwp, map: AddressSpace, entry: MapEntry, address: u64, frame: TrapFrame): bool {
  lwp.faultCode = SEGV_ACCERR;
  if (!permits(entry, frame.error)) return false;
  const va = address & ~(PAGE - 1);
  if (entry.kind === PRIVATE_FILE && entry.offset + (va - entry.start) >= entry.limit) {
    return failed(lwp, SIGBUS, BUS_ADRERR);
  }
  if (entry.object) return resolveShared(lwp, map, entry, address, frame);
  const present = entryOf(map.tables, va);
  if (present & PRESENT) {
    // Another thread was faster, or a stale translation was met.
    const wanted = (present & FRAME_MASK) | entryFlags(entry.protection);
    if ((present ^ wanted) & (WRITABLE | USER | NO_EXECUTE)) setEntry(map.tables, va, wanted);
    return true;
  }
  // Looked at again: the map may be another one when there is room.
  if (!mayTakeFrame()) return roomMade(lwp, map, entry);
  return entry.kind === ANONYMOUS
    ? install(lwp, map, entry, va, frameAllocate())
    : resolveFile(lwp, map, entry, va);
}

function install(lwp: Lwp, map: AddressSpace, entry: MapEntry, va: u64, frame: usize): bool {
  if (frame !== 0) {
    if (mapPage(map.tables, va, u64(frame), entryFlags(entry.protection))) {
      map.frames++;
      return true;
    }
    frameFree(frame);
  }
  return failed(lwp, SIGKILL, 0);
}

/** Memory is short: waits until other machines have taken some of what is here. Lock held, and held again on return. */
function roomMade(lwp: Lwp, map: AddressSpace, entry: MapEntry): bool {
  entry.faults++;
  map.sleepLock().release();
  const room = framesAwait(1);
  map.sleepLock().acquire();
  faultLanded(map, entry);
  return room ? true : failed(lwp, SIGKILL, 0);
}

/** What raiseFault() is to make of it. SIGKILL stands for "no memory", which no handler can mend. */
function failed(lwp: Lwp, signal: u32, code: u32): bool {
  lwp.faultSignal = signal;
  lwp.faultCode = code;
  return false;
}

function resolveFile(lwp: Lwp, map: AddressSpace, entry: MapEntry, va: u64): bool {
  const offset = entry.offset + (va - entry.start);
  const frame = frameAllocate();
  if (frame === 0) return failed(lwp, SIGKILL, 0);
  // The bytes may come from another machine.
  entry.faults++;
  map.sleepLock().release();
  const bytes = usize(min<u64>(PAGE, entry.limit - offset));
  const done = fileReadAt(changetype<File>(entry.file), offset, frame, bytes);
  map.sleepLock().acquire();
  faultLanded(map, entry);
  const bad = done <= 0; // lost, or behind the file's end
  if (bad || entryOf(map.tables, va) !== 0) {
    frameFree(frame);
    return bad ? failed(lwp, SIGBUS, BUS_ADRERR) : true;
  }
  return install(lwp, map, entry, va, frame);
}

function resolveShared(lwp: Lwp, map: AddressSpace, entry: MapEntry, address: u64, frame: TrapFrame): bool {
  const va = address & ~(PAGE - 1);
  const write = (frame.error & ERROR_WRITE) !== 0;
  const index = (entry.shown + (va - entry.start)) / PAGE;
  entry.faults++;
  map.sleepLock().release();
  const object = changetype<SharedObject>(entry.object);
  const client = clientCurrent();
  // Of a page that nobody fights for nothing is done but to fetch it.
  client.unseen = u32(object.fought === 0);
  const read = client.unseen === 0 && instructionRead(frame);
  client.touches = read ? accessTouches(frame, address) : 0;
  let result: i32 = 0;
  if (client.touches === 0 || !accessCarried(client, frame, object, index, va, entry.protection)) {
    const operation = write && read ? operationAt(frame, address) : 0;
    client.execute = entry.protection & PROT_EXEC;
    result = pageFaultShared(object, index, write, map.tables, va, operation);
    if (operation !== 0) retire(frame);
  }
  map.sleepLock().acquire();
  // Reading the instruction may have faulted as well.
  lwp.faultAddress = address;
  lwp.faultError = u32(frame.error);
  if (result === 0 && !(entry.protection & PROT_WRITE)) pageReadOnly(map, va);
  faultLanded(map, entry);
  if (result === -i32(ENOMEM)) return failed(lwp, SIGKILL, 0);
  return result === 0 ? true : failed(lwp, SIGBUS, BUS_ADRERR);
}
