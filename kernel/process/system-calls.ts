// The system calls about the machine as a whole (Linux man pages, section 2).

import { DESCRIPTORS_MAX } from "../fs/descriptors";
import { randomBytes } from "../fs/random";
import { nanoseconds } from "../machine/time";
import { framesFree } from "../memory/frames";
import { bootNumber } from "../options";
import { EFAULT, EINVAL, EPERM } from "./errno";
import { currentLwp } from "./lwp";
import { QUEUED_MOST } from "./signal-queue";
import { STACK_BYTES } from "./start";
import { SCRATCH_BYTES, scratch, userRange, writeUser } from "./user-memory";

/** Six fields of 65 bytes. */
const UTSNAME_FIELD: usize = 65;

export function uname(to: u64): i64 {
  const at = scratch();
  memory.fill(at, 0, UTSNAME_FIELD * 6);
  text(at, "Buslock");
  text(at + UTSNAME_FIELD, "node");
  const node = u32(bootNumber("node", 1));
  if (node >= 10) store<u8>(at + UTSNAME_FIELD + 4, u8(0x30 + ((node / 10) % 10)));
  store<u8>(at + UTSNAME_FIELD + (node >= 10 ? 5 : 4), u8(0x30 + (node % 10)));
  // The release is what C libraries compare with the oldest Linux that they support.
  text(at + UTSNAME_FIELD * 2, "5.10.0-buslock");
  text(at + UTSNAME_FIELD * 3, "0.1.0");
  text(at + UTSNAME_FIELD * 4, "x86_64");
  return writeUser(to, at, UTSNAME_FIELD * 6) ? 0 : -EFAULT;
}

function text(at: usize, value: string): void {
  for (let i = 0; i < value.length; i++) store<u8>(at + usize(i), u8(value.charCodeAt(i)));
}

/** GRND_NONBLOCK, GRND_RANDOM and GRND_INSECURE: there is one source, which has always enough. */
const GRND_ALL: u32 = 7;

export function getrandom(buffer: u64, bytes: u64, flags: u64): i64 {
  if (u32(flags) & ~GRND_ALL) return -EINVAL;
  if (!userRange(buffer, bytes)) return -EFAULT;
  let done: u64 = 0;
  while (done < bytes) {
    const chunk = usize(min<u64>(bytes - done, u64(SCRATCH_BYTES)));
    randomBytes(scratch(), chunk);
    if (!writeUser(buffer + done, scratch(), chunk)) return done > 0 ? i64(done) : -EFAULT;
    done += u64(chunk);
  }
  return i64(done);
}

const SYSINFO_BYTES: usize = 112;

/** Memory in bytes: what is free now; the total is what the free frames and this process hold. */
export function sysinfo(to: u64): i64 {
  const at = scratch();
  const free = u64(framesFree()) * 4096;
  memory.fill(at, 0, SYSINFO_BYTES);
  store<u64>(at, nanoseconds() / 1_000_000_000);
  store<u64>(at + 32, free + currentLwp().process.map.frames * 4096);
  store<u64>(at + 40, free);
  store<u16>(at + 80, 1);
  store<u32>(at + 104, 1);
  return writeUser(to, at, SYSINFO_BYTES) ? 0 : -EFAULT;
}

const RLIMIT_STACK: u64 = 3;
const RLIMIT_CORE: u64 = 4;
const RLIMIT_NOFILE: u64 = 7;
const RLIMIT_SIGPENDING: u64 = 11;
const RLIMITS: u64 = 16;
const INFINITY: u64 = -1;

export function getrlimit(resource: u64, to: u64): i64 {
  if (resource >= RLIMITS) return -EINVAL;
  let limit = INFINITY;
  if (resource === RLIMIT_STACK) limit = STACK_BYTES;
  if (resource === RLIMIT_CORE) limit = 0;
  if (resource === RLIMIT_NOFILE) limit = u64(DESCRIPTORS_MAX);
  if (resource === RLIMIT_SIGPENDING) limit = u64(QUEUED_MOST);
  store<u64>(scratch(), limit);
  store<u64>(scratch() + 8, limit);
  return writeUser(to, scratch(), 16) ? 0 : -EFAULT;
}

/** Limits are fixed: a new one is refused. */
export function prlimit64(id: u64, resource: u64, fresh: u64, old: u64): i64 {
  if (u32(id) !== 0 && u32(id) !== currentLwp().process.id) return -EINVAL;
  if (fresh) return -EPERM;
  return old ? getrlimit(resource, old) : 0;
}
