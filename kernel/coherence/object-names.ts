// Names of shared objects: those that programs spell, and those of objects that the kernel numbers itself, which no program can spell:
//
//   0     0    a zero byte
//   1     4    the hash by which its home is chosen (homes.ts)
//   5     1    its kind
//   6     8    its number

export const NUMBERED_BYTES: u32 = 14;

/** Kinds: the names of a file system, by its number; a file, by its own; what has further names, by the object's id (links.ts). */
export const NUMBERED_NAMES: u32 = 1;
export const NUMBERED_FILE: u32 = 2;
export const NUMBERED_LINK: u32 = 3;

export function numberedName(at: usize, kind: u32, number: u64, hash: u32): void {
  store<u8>(at, 0);
  store<u32>(at, hash, 1);
  store<u8>(at, u8(kind), 5);
  store<u64>(at, number, 6);
}

export function isNumbered(name: usize, bytes: u32): bool {
  return bytes == NUMBERED_BYTES && load<u8>(name) == 0;
}

export function numberedKind(name: usize): u32 {
  return load<u8>(name, 5);
}

export function numberedNumber(name: usize): u64 {
  return load<u64>(name, 6);
}

/** FNV-1a, never 0; of a numbered object what its name says. */
export function nameHash(name: usize, bytes: u32): u32 {
  if (isNumbered(name, bytes)) return load<u32>(name, 1);
  let hash: u32 = 0x811c_9dc5;
  for (let i: usize = 0; i < bytes; i++) hash = (hash ^ u32(load<u8>(name + i))) * 0x0100_0193;
  return max<u32>(hash, 1);
}
