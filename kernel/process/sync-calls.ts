// msync, fsync, fdatasync, syncfs, sync (Linux man pages, section 2). There is no disk: the bytes of a shared file are safe when as many
// machines have them as are to (mirrored mode, ../coherence/commits.ts). Volatile mode has nothing safer than where they are, and
// ends these calls at once.
//
// What a thread knows to have been written elsewhere was mirrored before it could be seen, so a machine commits its own writes only; and all of
// them, since a cut has all of them.
import { commitOutput } from "../coherence/commits";
import { descriptorFile } from "../fs/descriptors";
import { File, fileRelease, fileSync } from "../fs/file";
import { EBADF, EINVAL, EIO, ENOMEM } from "./errno";
import { currentLwp } from "./lwp";
import { isCovered, pageUp } from "./memory-map";

const MS_ASYNC: u64 = 1;
const MS_INVALIDATE: u64 = 2;
const MS_SYNC: u64 = 4;

/** Over a hole it does what there is to do, and says ENOMEM. MS_INVALIDATE has nothing to do: every mapping shows the same bytes. */
export function msync(start: u64, length: u64, flags: u64): i64 {
  const known = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
  if (flags & ~known || start !== pageUp(start)) return -EINVAL;
  if (flags & MS_ASYNC && flags & MS_SYNC) return -EINVAL;
  const end = start + pageUp(length);
  if (end < start) return -ENOMEM;
  if (end === start) return 0;
  if (flags & MS_SYNC && commitOutput() !== 0) return -EIO;
  return isCovered(start, end) ? 0 : -ENOMEM;
}

export function fsync(fd: u64): i64 {
  const at = descriptorFile(currentLwp().process.descriptors, u64(u32(fd)));
  if (at === 0) return -EBADF;
  const result = fileSync(changetype<File>(at));
  fileRelease(changetype<File>(at));
  return result;
}

/** The file system that the descriptor is in: they are all in one. */
export function syncfs(fd: u64): i64 {
  const at = descriptorFile(currentLwp().process.descriptors, u64(u32(fd)));
  if (at === 0) return -EBADF;
  fileRelease(changetype<File>(at));
  return commitOutput() === 0 ? 0 : -EIO;
}

/** It never fails. */
export function sync(): i64 {
  commitOutput();
  return 0;
}
