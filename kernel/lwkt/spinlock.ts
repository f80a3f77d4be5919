// A spinlock for the few tables that cores truly share. Holding one is a critical section.

@unmanaged
export class SpinLock {
  /** 0 free, else the holder's core number + 1. All-zero memory is a free lock. */
  holder: u32 = 0;

  acquire(): void {}
  release(): void {}
  held(): bool {
    return false;
  }
}
