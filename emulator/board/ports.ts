// The I/O ports: who answers which. Invariant: a claim answers an access that lies in it; one that reaches further goes on
// byte by byte, the lower port first, as a bus of 8-bit devices has it. What nobody claims is told to `nobody`.

import { hex, mask } from "../devices/device.js";

/** Who answers a range of ports; offsets are from its first port. */
export interface PortDevice {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** Numbers that software can name; the board's own wires have numbers behind them (map.ts). */
const PORTS = 0x1_0000;

interface Claim {
  readonly first: number;
  readonly device: PortDevice;
}

export class Ports {
  readonly #claims = new Map<number, Claim>();
  readonly #nobody: PortDevice;

  /** `nobody` answers for what is not claimed; its offsets are port numbers. */
  constructor(nobody: PortDevice) {
    this.#nobody = nobody;
  }

  claim(first: number, count: number, device: PortDevice): void {
    const claim = { first, device };
    for (let number = first; number < first + count; number++) {
      if (this.#claims.has(number)) throw new Error(`port ${hex(number)} is claimed twice`);
      this.#claims.set(number, claim);
    }
  }

  /** Whether the access lies in one claim, or in none. Behind the last port there is nobody. */
  #whole(number: number, size: number): boolean {
    const claim = this.#claims.get(number);
    for (let at = number + 1; at < number + size; at++) if (this.#at(at) !== claim) return false;
    return true;
  }

  #at(number: number): Claim | undefined {
    return number < PORTS ? this.#claims.get(number) : undefined;
  }

  /** size 1, 2 or 4; values are u32. */
  read(number: number, size: number): number {
    if (size > 1 && !this.#whole(number, size)) {
      let value = 0;
      for (let byte = 0; byte < size; byte++) {
        const part = number + byte < PORTS ? this.read(number + byte, 1) : 0xff;
        value |= part << (8 * byte);
      }
      return value >>> 0;
    }
    const claim = this.#claims.get(number);
    if (claim === undefined) return this.#nobody.read(number, size);
    return (claim.device.read(number - claim.first, size) & mask(size)) >>> 0;
  }

  write(number: number, size: number, value: number): void {
    if (size > 1 && !this.#whole(number, size)) {
      for (let byte = 0; byte < size && number + byte < PORTS; byte++)
        this.write(number + byte, 1, value >>> (8 * byte));
      return;
    }
    const claim = this.#claims.get(number);
    const bits = (value & mask(size)) >>> 0;
    if (claim === undefined) this.#nobody.write(number, size, bits);
    else claim.device.write(number - claim.first, size, bits);
  }
}
