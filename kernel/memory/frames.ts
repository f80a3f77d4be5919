// Physical memory in frames of 4 KiB, by their wasm (= physical) address.

export const FRAME_BYTES: u32 = 4096;

/** A zeroed frame; 0 = none left. */
export function frameAllocate(): usize {
  return 0;
}
export function frameFree(frame: usize): void {}
/** 2^order adjacent frames, aligned to their size, zeroed; 0 = none. */
export function framesAllocate(order: u32): usize {
  return 0;
}
export function framesRelease(frame: usize, order: u32): void {}
export function framesFree(): usize {
  return 0;
}
