// The private memory of a process that is spread over several machines: its data, heap, stacks and anonymous mappings are
// the pages of one nameless object, each at its own address, so that the page protocol keeps them coherent as it does
// files of /shm. The object's home is the machine where the process began; what is done here is done there.
//
// Invariant: a page of the object that no entry shows is zero, or was never used: a new mapping finds zeros. Called with the
// map's lock held, which here is held while pages come from other machines: whoever owns them waits for no map's lock.
import { objectClear, objectNextPage, objectRead, objectWrite, SharedObject } from "../coherence/pager";
import { File, fileReadAt } from "../fs/file";
import { allocate, release } from "../memory/slab";
import { AddressSpace, MapEntry, PAGE, PRIVATE_FILE } from "./mapping";

/** The highest user address and more. */
export const MEMORY_BYTES: u64 = 0x80_0000_0000;

function objectOf(map: AddressSpace): SharedObject {
  return changetype<SharedObject>(map.memory);
}

/** The file's bytes go into the pages of [start, end), which lies in `entry` and is zero. Negative: an error of the file. */
export function memoryFill(map: AddressSpace, entry: MapEntry, start: u64, end: u64): i64 {
  if (entry.kind !== PRIVATE_FILE) return 0;
  const buffer = allocate(usize(PAGE));
  let result: i64 = 0;
  for (let va = start; va < end && result >= 0; va += PAGE) {
    const offset = entry.offset + (va - entry.start);
    if (offset >= entry.limit) break;
    const bytes = usize(min<u64>(PAGE, entry.limit - offset));
    result = fileReadAt(changetype<File>(entry.file), offset, buffer, bytes);
    if (result > 0) result = objectWrite(objectOf(map), va, buffer, usize(result));
  }
  release(buffer);
  return result;
}

/** Nothing shows [start, end) any more, on no machine. */
export function memoryClear(map: AddressSpace, start: u64, end: u64): void {
  objectClear(objectOf(map), start, end);
}

/** The pages of [from, from + bytes) that were ever used, to the same offsets above `to`. */
export function memoryCopy(map: AddressSpace, from: u64, to: u64, bytes: u64): bool {
  const object = objectOf(map);
  const buffer = allocate(usize(PAGE));
  const end = (from + bytes) / PAGE;
  let good = true;
  let index = objectNextPage(object, from / PAGE, end);
  while (index < end && good) {
    good = objectRead(object, index * PAGE, buffer, usize(PAGE)) === i64(PAGE);
    if (good) good = objectWrite(object, to + (index * PAGE - from), buffer, usize(PAGE)) === i64(PAGE);
    index = objectNextPage(object, index + 1, end);
  }
  release(buffer);
  return good;
}
