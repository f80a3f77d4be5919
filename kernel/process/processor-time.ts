// How long threads have run (CLOCK_THREAD_CPUTIME_ID and its kin, clock_getcpuclockid(3)): what cores count at each switch (scheduler.ts), in
// ticks of the TSC. Time in the kernel on behalf of a thread counts. Of a process that is spread, what runs elsewhere is not known here.
import { rdtsc } from "../arch";
import { Core, coreAt } from "../lwkt/core";
import { Thread } from "../lwkt/thread";
import { ticksToNanoseconds } from "../machine/time";
import { Lwp } from "./lwp";
import { Process } from "./process";

/** The thread's kernel thread may be running, on any core. */
function ticksOf(thread: Thread): u64 {
  const core = coreAt(thread.core);
  while (true) {
    const since = atomic.load<u64>(changetype<usize>(core) + offsetof<Core>("since"));
    const ran = atomic.load<u64>(changetype<usize>(thread) + offsetof<Thread>("ran"));
    const runs =
      atomic.load<usize>(changetype<usize>(core) + offsetof<Core>("thread")) === changetype<usize>(thread);
    const now = rdtsc();
    // 0: it switches.
    if (since === 0 || atomic.load<u64>(changetype<usize>(core) + offsetof<Core>("since")) !== since)
      continue;
    return runs ? ran + (now - since) : ran;
  }
}

/** In nanoseconds. The process's lock is held. */
export function lwpTime(lwp: Lwp): u64 {
  if (lwp.thread === 0) return lwp.ran;
  return lwp.ran + ticksToNanoseconds(ticksOf(changetype<Thread>(lwp.thread)));
}

/** In nanoseconds; u64.MAX_VALUE: there is no such thread. */
export function threadCpuTime(process: Process, id: u32): u64 {
  let time = u64.MAX_VALUE;
  process.spinLock().acquire();
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) {
    const lwp = changetype<Lwp>(at);
    if (lwp.id === id && lwp.machine === 0) time = lwpTime(lwp);
  }
  process.spinLock().release();
  return time;
}

/** Of all threads that there were, in nanoseconds. */
export function processCpuTime(process: Process): u64 {
  process.spinLock().acquire();
  let time = process.ran;
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) time += lwpTime(changetype<Lwp>(at));
  process.spinLock().release();
  return time;
}

/** The lwp's kernel thread, which calls, lets go of it. The process's lock is held. */
export function lwpRan(lwp: Lwp): void {
  lwp.ran = lwpTime(lwp);
}
