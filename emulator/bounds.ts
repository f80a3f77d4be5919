// What callers of the library give as numbers is looked at where it comes in.

/** A whole number within bounds. */
export function checkWhole(what: string, n: number, min: number, max: number): number {
  if (!Number.isInteger(n) || n < min || n > max)
    throw new RangeError(`${what} ${n}: wanted a whole number from ${min} to ${max}`);
  return n;
}
