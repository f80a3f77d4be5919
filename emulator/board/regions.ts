// The physical addresses that devices have for good: which lies where. Invariant: regions do not overlap; an access
// belongs to the region that holds all of it.

import { hex, mask } from "../devices/device.js";
import type { PortDevice } from "./ports.js";

interface Region {
  readonly first: number;
  readonly end: number;
  readonly device: PortDevice;
}

export class Regions {
  readonly #regions: Region[] = [];

  claim(first: number, bytes: number, device: PortDevice): void {
    const end = first + bytes;
    if (this.#regions.some((other) => first < other.end && other.first < end))
      throw new Error(`address ${hex(first)} is claimed twice`);
    this.#regions.push({ first, end, device });
  }

  #find(physical: number, size: number): Region | undefined {
    for (const region of this.#regions)
      if (physical >= region.first && physical + size <= region.end) return region;
    return undefined;
  }

  /** undefined where nobody is. */
  read(physical: number, size: number): number | undefined {
    const region = this.#find(physical, size);
    return region && (region.device.read(physical - region.first, size) & mask(size)) >>> 0;
  }

  /** False where nobody is. */
  write(physical: number, size: number, value: number): boolean {
    const region = this.#find(physical, size);
    region?.device.write(physical - region.first, size, value);
    return region !== undefined;
  }
}
