// The console: the 16550 at 3F8. Kernel text is gathered per thread and leaves in whole lines.

export function print(text: string): void {}
export function printHex(value: u64): void {}
export function printDecimal(value: u64): void {}
export function printAscii(pointer: usize, bytes: usize): void {}
/** Zero-terminated. */
export function printAsciiZ(pointer: usize): void {}
/** User output: as it is, in one piece. */
export function consoleWrite(pointer: usize, bytes: usize): void {}
