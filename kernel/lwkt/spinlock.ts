// A spinlock for the few tables that cores truly share. Holding one is a critical section, so that no handler on the
// same core can want it: handlers wait for the critical count to reach zero.
import { pause } from "../arch";
import { shootDownAnswer } from "../memory/paging";
import { Core, thisCore } from "./core";
import { criticalLeave } from "./critical";

@unmanaged
export class SpinLock {
  /** 0 free, else the holder's core number + 1. All-zero memory is a free lock. */
  holder: u32 = 0;

  acquire(): void {
    const core = thisCore();
    core.critical++;
    if (atomic.cmpxchg<u32>(changetype<usize>(this), 0, core.index + 1) !== 0) acquireWait(this, core);
  }

  release(): void {
    const core = thisCore();
    unlockWord(changetype<usize>(this), core.index + 1);
    criticalLeave(core);
  }

  /** By this core. */
  held(): bool {
    return this.holder === thisCore().index + 1;
  }
}

/**
 * The holder may wait for room among the messages for this core, to wake a crowd for instance: as long as nothing else is critical here they run, and
 * so does who is woken.
 */
function acquireWait(lock: SpinLock, core: Core): void {
  const word = changetype<usize>(lock);
  do {
    assert(!lock.held(), "spinlock taken twice by one core");
    while (atomic.load<u32>(word) !== 0) {
      shootDownAnswer(core);
      if (core.critical === 1 && core.pending !== 0) {
        criticalLeave(core);
        core.critical++;
      }
      pause();
    }
  } while (atomic.cmpxchg<u32>(word, 0, core.index + 1) !== 0);
}

/** Takes the lock at `word` for `holder`; the caller is in a critical section. */
export function lockWord(word: usize, holder: u32): void {
  if (atomic.cmpxchg<u32>(word, 0, holder) !== 0) lockWait(word, holder);
}

function lockWait(word: usize, holder: u32): void {
  while (atomic.cmpxchg<u32>(word, 0, holder) !== 0) {
    assert(atomic.load<u32>(word) !== holder, "spinlock taken twice by one core");
    while (atomic.load<u32>(word) !== 0) {
      // The holder may be shooting down, and interrupts may be off here.
      shootDownAnswer(thisCore());
      pause();
    }
  }
}

/** A plain store releases: x86 stores become visible in order, and binaryen keeps stores in order. */
export function unlockWord(word: usize, holder: u32): void {
  assert(load<u32>(word) === holder, "spinlock released by a core that does not hold it");
  store<u32>(word, 0);
}
