// PCI configuration space by ports CF8/CFC (PCI Local Bus 3.0, 3.2.2.3).

export const PCI_NONE: u32 = 0xffff_ffff;

/** bdf: bus << 8 | device << 3 | function; PCI_NONE when there is none. */
export function pciFind(vendor: u32, device: u32): u32 {
  return PCI_NONE;
}
export function pciRead8(bdf: u32, offset: u32): u32 {
  return 0;
}
export function pciRead16(bdf: u32, offset: u32): u32 {
  return 0;
}
export function pciRead32(bdf: u32, offset: u32): u32 {
  return 0;
}
export function pciWrite8(bdf: u32, offset: u32, value: u32): void {}
export function pciWrite16(bdf: u32, offset: u32, value: u32): void {}
export function pciWrite32(bdf: u32, offset: u32, value: u32): void {}
/** Physical address of a memory BAR, reachable by the mmio functions. */
export function pciBar(bdf: u32, index: u32): u64 {
  return 0;
}
/** Configuration offset of the next capability `id` behind `after` (0 = first); 0 = none. */
export function pciCapability(bdf: u32, id: u32, after: u32): u32 {
  return 0;
}
/** MSI-X table entry -> vector on core 0. Enables MSI-X and bus mastering. */
export function msixEnable(bdf: u32, entry: u32, vector: u32): void {}
