// The end of a machine that found itself wrong.

export function panic(text: string): void {
  unreachable();
}
/** Where asc's assertions end (--use abort=kernel/panic/assertionFailed). */
export function assertionFailed(message: string | null, file: string | null, line: u32, column: u32): void {
  panic(message ? message : "assertion failed");
}
