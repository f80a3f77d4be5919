// The I/O ports: who answers which. Invariant: one claim answers an access, that of its first byte; what nobody
// claims reads as all ones and is told to `unclaimed`.

import { hex, mask } from "../devices/device.js";

/** Who answers a range of ports; offsets are from its first port. */
export interface PortDevice {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

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
    for (let number = first; number < first + count; number++) {
      if (this.#claims.has(number)) throw new Error(`port ${hex(number)} is claimed twice`);
      this.#claims.set(number, { first, device });
    }
  }

  /** size 1, 2 or 4; values are u32. */
  read(number: number, size: number): number {
    const claim = this.#claims.get(number);
    if (claim === undefined) return this.#nobody.read(number, size);
    return (claim.device.read(number - claim.first, size) & mask(size)) >>> 0;
  }

  write(number: number, size: number, value: number): void {
    const claim = this.#claims.get(number);
    const bits = (value & mask(size)) >>> 0;
    if (claim === undefined) this.#nobody.write(number, size, bits);
    else claim.device.write(number - claim.first, size, bits);
  }
}
