import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "./microcode.js";
import { enterLong, must, Tables } from "./paging.js";

export const READ = L.ACCESS_READ;
export const WRITE = L.ACCESS_WRITE;
export const EXECUTE = L.ACCESS_EXECUTE;
export const PAGE = 0x1000;
export const VA = 0x7f00_1234_5000n;
export const FRAME = 0x40_0000;

/** 64-bit mode, ring 0, first 16 MiB identity-mapped for the supervisor. */
export function long(cr4 = 0n) {
  const m = new Microcode();
  const tables = new Tables(m).identity();
  enterLong(m, tables, cr4);
  return { m, tables };
}
export const user = (m: Microcode) => m.setU32(L.CPL, 3);
export const supervisor = (m: Microcode) => m.setU32(L.CPL, 0);
export const alignmentCheck = (m: Microcode, on: boolean) =>
  m.setU64(L.FLAGS_OTHER, (m.u64(L.FLAGS_OTHER) & ~0x4_0000n) | (on ? 0x4_0000n : 0n));
export const errorOf = (m: Microcode, va: bigint, access: number) =>
  m.faultOf("translate", va, access)?.error;
export const physicalOf = (m: Microcode, va: bigint, access = READ) =>
  must(m, "translate", va, access) - m.ramAddress(0);
