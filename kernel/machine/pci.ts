// PCI configuration space by ports CF8 and CFC (PCI Local Bus 3.0, 3.2.2.3), capabilities (6.7) and MSI-X (6.8.2).
// The firmware has numbered the buses and placed the BARs.
import { in8, in16, in32, mmioWrite32, out16, out32 } from "../arch";
import { coreAt } from "../lwkt/core";
import { SpinLock } from "../lwkt/spinlock";
import { mapDevice } from "../memory/paging";
import { panic } from "../panic";

export const PCI_NONE: u32 = 0xffff_ffff;

const ADDRESS: u32 = 0xcf8;
const DATA: u32 = 0xcfc;
const ENABLE: u32 = 0x8000_0000;

const VENDOR: u32 = 0;
const COMMAND: u32 = 4;
const COMMAND_MEMORY: u32 = 2;
const COMMAND_MASTER: u32 = 4;
const COMMAND_NO_INTX: u32 = 0x400;
const STATUS: u32 = 6;
const STATUS_CAPABILITIES: u32 = 0x10;
const HEADER_TYPE: u32 = 0x0e;
const HEADER_BRIDGE: u32 = 1;
const HEADER_MANY_FUNCTIONS: u32 = 0x80;
const BAR_0: u32 = 0x10;
const BAR_PORT: u32 = 1;
const BAR_64: u32 = 4;
const SECONDARY_BUS: u32 = 0x19;
const CAPABILITIES: u32 = 0x34;

const MSIX: u32 = 0x11;
const MSIX_CONTROL: u32 = 2;
const MSIX_TABLE: u32 = 4;
const MSIX_ENABLE: u32 = 0x8000;
const MSIX_MASK_ALL: u32 = 0x4000;
const MSI_ADDRESS: u32 = 0xfee0_0000;

/** The address register is shared: two accesses must not mix. */
const lock = changetype<SpinLock>(memory.data(offsetof<SpinLock>()));

function select(bdf: u32, offset: u32): u32 {
  out32(ADDRESS, ENABLE | (bdf << 8) | (offset & 0xfc));
  return DATA + (offset & 3);
}

export function pciRead8(bdf: u32, offset: u32): u32 {
  lock.acquire();
  const value = in8(select(bdf, offset));
  lock.release();
  return value;
}
export function pciRead16(bdf: u32, offset: u32): u32 {
  lock.acquire();
  const value = in16(select(bdf, offset));
  lock.release();
  return value;
}
export function pciRead32(bdf: u32, offset: u32): u32 {
  lock.acquire();
  const value = in32(select(bdf, offset));
  lock.release();
  return value;
}
export function pciWrite16(bdf: u32, offset: u32, value: u32): void {
  lock.acquire();
  out16(select(bdf, offset), value);
  lock.release();
}

/** bdf: bus << 8 | device << 3 | function, of the first such function; PCI_NONE when there is none. */
export function pciFind(vendor: u32, device: u32): u32 {
  return findOn(0, vendor | (device << 16));
}

function findOn(bus: u32, identity: u32): u32 {
  for (let device: u32 = 0; device < 32; device++) {
    let functions: u32 = 1;
    for (let fn: u32 = 0; fn < functions; fn++) {
      const bdf = (bus << 8) | (device << 3) | fn;
      const found = pciRead32(bdf, VENDOR);
      if ((found & 0xffff) === 0xffff) continue;
      if (found === identity) return bdf;
      const header = pciRead8(bdf, HEADER_TYPE);
      if (fn === 0 && header & HEADER_MANY_FUNCTIONS) functions = 8;
      if ((header & 0x7f) !== HEADER_BRIDGE) continue;
      const behind = pciRead8(bdf, SECONDARY_BUS);
      if (behind <= bus) continue;
      const below = findOn(behind, identity);
      if (below !== PCI_NONE) return below;
    }
  }
  return PCI_NONE;
}

/** Physical address of a memory BAR, made reachable by the mmio functions; memory decoding is switched on. */
export function pciBar(bdf: u32, index: u32): u64 {
  const offset = BAR_0 + (index << 2);
  const low = pciRead32(bdf, offset);
  if (low & BAR_PORT) panic("a PCI BAR that should be memory is ports");
  let address = u64(low & ~0xf);
  if (low & BAR_64) address |= u64(pciRead32(bdf, offset + 4)) << 32;
  if (address === 0) panic("a PCI BAR has no address: the firmware did not place it");
  pciWrite16(bdf, COMMAND, pciRead16(bdf, COMMAND) | COMMAND_MEMORY);
  mapDevice(address, 0x20_0000);
  return address;
}

/** Configuration offset of the next capability `id` behind `after` (0 = from the first); 0 = none. */
export function pciCapability(bdf: u32, id: u32, after: u32): u32 {
  let at: u32 = 0;
  if (after !== 0) at = pciRead8(bdf, after + 1);
  else if (pciRead16(bdf, STATUS) & STATUS_CAPABILITIES) at = pciRead8(bdf, CAPABILITIES);
  for (let steps = 0; at !== 0 && steps < 64; steps++) {
    at &= 0xfc;
    if (pciRead8(bdf, at) === id) return at;
    at = pciRead8(bdf, at + 1);
  }
  return 0;
}

/** MSI-X table entry `entry` raises `vector` on core 0. Switches on MSI-X and bus mastering. */
export function msixEnable(bdf: u32, entry: u32, vector: u32): void {
  const capability = pciCapability(bdf, MSIX, 0);
  if (capability === 0) panic("a PCI device has no MSI-X");
  const control = pciRead16(bdf, capability + MSIX_CONTROL);
  if (entry > (control & 0x7ff)) panic("a PCI device has too few MSI-X entries");
  const place = pciRead32(bdf, capability + MSIX_TABLE);
  const row = pciBar(bdf, place & 7) + u64(place & ~7) + (u64(entry) << 4);
  pciWrite16(bdf, COMMAND, pciRead16(bdf, COMMAND) | COMMAND_MASTER | COMMAND_NO_INTX);
  pciWrite16(bdf, capability + MSIX_CONTROL, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
  mmioWrite32(row, MSI_ADDRESS | (coreAt(0).apicId << 12));
  mmioWrite32(row + 4, 0);
  mmioWrite32(row + 8, vector);
  mmioWrite32(row + 12, 0);
}
