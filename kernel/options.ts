// The command line and the modules, as the loader handed them over.

/** The value of `name=value` (zero-terminated ASCII), an empty text for a bare word, 0 when absent. Words before ` -- ` only. */
export function bootOption(name: string): usize {
  return 0;
}
export function bootNumber(name: string, otherwise: u64): u64 {
  return otherwise;
}
/** What follows ` -- `, zero-terminated. */
export function bootArguments(): usize {
  return 0;
}
/** Module 0, the initial file system: address and size, 0 when there is none. */
export function moduleAddress(): usize {
  return 0;
}
export function moduleBytes(): usize {
  return 0;
}
