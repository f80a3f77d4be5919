// The check of a link's datagrams: CRC-32C (Castagnoli's polynomial 11EDC6F41h, as iSCSI has it, RFC 3720 12.1), which sees every
// burst of 32 bits and any three that are wrong in 9000 bytes. It runs over every page twice. SSE4.2 has an instruction
// for it (Intel SDM volume 2, CRC32); a processor without that gets eight tables, a byte of a word each.
import { cpuid, crc32c } from "../arch";

export const CHECK_START: u32 = 0xffff_ffff;

/** 11EDC6F41h with its bits in the data's order, lowest first. */
const CASTAGNOLI: u32 = 0x82f6_3b78;
const TABLE_BYTES: usize = 1024;
const tables: usize = memory.data(8192, 8);
const SSE4_2: u32 = 1 << 20;
const registers: usize = memory.data(16, 4);
let tabled: bool = false;
let byInstruction: bool = false;

/** CPUID leaf 1 says whether there is SSE4.2. */
export function checkStart(): void {
  cpuid(1, 0, registers);
  byInstruction = (load<u32>(registers, 8) & SSE4_2) != 0;
}

/** Goes on from `start` over `bytes`, a multiple of 8. The end is inverted by checkEnd(). */
export function check(start: u32, at: usize, bytes: u32): u32 {
  return byInstruction ? crc32c(start, at, bytes) : checkByTables(start, at, bytes);
}

export function checkEnd(sum: u32): u32 {
  return ~sum;
}

export function checkByTables(start: u32, at: usize, bytes: u32): u32 {
  if (!tabled) tablesMake();
  let sum = start;
  for (const end = at + bytes; at < end; at += 8) {
    const low = load<u32>(at) ^ sum;
    const high = load<u32>(at, 4);
    sum =
      entry(7, low) ^ entry(6, low >> 8) ^ entry(5, low >> 16) ^ entry(4, low >> 24) ^
      entry(3, high) ^ entry(2, high >> 8) ^ entry(1, high >> 16) ^ entry(0, high >> 24); // biome-ignore format: a byte each
  }
  return sum;
}

function entry(table: usize, byte: u32): u32 {
  return load<u32>(tables + table * TABLE_BYTES + ((byte & 0xff) << 2));
}

/** Table n: what a byte that n others follow does to the sum. */
function tablesMake(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (CASTAGNOLI & (0 - (sum & 1)));
    store<u32>(tables + (byte << 2), sum);
  }
  for (let table: usize = 1; table < 8; table++) {
    for (let byte: u32 = 0; byte < 256; byte++) {
      const sum = entry(table - 1, byte);
      store<u32>(tables + table * TABLE_BYTES + (byte << 2), (sum >> 8) ^ entry(0, sum));
    }
  }
  tabled = true;
}
