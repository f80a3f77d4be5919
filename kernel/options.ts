// What the loader handed over (Xen's PVH boot ABI: hvm_start_info, version 1): memory map, RSDP, modules and command
// line. All of it is copied or reserved before the first frame is given away.
import { imageEnd } from "./arch";
import { framesAdd, framesStart } from "./memory/frames";
import { panic } from "./panic";

const MAGIC: u32 = 0x336e_c578;
const INFO_VERSION: usize = 4;
const INFO_MODULE_COUNT: usize = 12;
const INFO_MODULES: usize = 16;
const INFO_COMMAND_LINE: usize = 24;
const INFO_RSDP: usize = 32;
const INFO_MAP: usize = 40;
const INFO_MAP_COUNT: usize = 48;
const MAP_ENTRY_BYTES: usize = 24;
const MAP_RAM: u32 = 1;
const LOW_MEMORY_END: u64 = 0x10_0000;
const FOUR_GIBIBYTES: u64 = 0x1_0000_0000;

const COMMAND_LINE_MAX: usize = 2048;
const commandLine: usize = memory.data(2049);
let optionsEnd: usize = 0;
let initWords: usize = 0;
let moduleStart: usize = 0;
let moduleSize: usize = 0;
export let rsdp: usize = 0;
/** Behind the last RAM below 4 GiB. */
export let ramEnd: usize = 0;

const SPACE: u32 = 0x20;
const EQUALS: u32 = 0x3d;
const DASH: u32 = 0x2d;

/** Command line and modules. */
export function optionsStart(info: usize): void {
  if (load<u32>(info) !== MAGIC || load<u32>(info, INFO_VERSION) < 1)
    panic("the loader speaks no PVH with a memory map");
  rsdp = <usize>load<u64>(info, INFO_RSDP);
  const text = <usize>load<u64>(info, INFO_COMMAND_LINE);
  let bytes: usize = 0;
  if (text !== 0) {
    while (load<u8>(text + bytes) !== 0) bytes++;
    if (bytes > COMMAND_LINE_MAX) panic("the command line is longer than 2048 bytes");
    memory.copy(commandLine, text, bytes);
  }
  optionsEnd = commandLine + bytes;
  initWords = optionsEnd;
  for (let at = commandLine; at + 1 < commandLine + bytes; at++) {
    const apart = at === commandLine || load<u8>(at - 1) === SPACE;
    if (!apart || load<u8>(at) !== DASH || load<u8>(at + 1) !== DASH) continue;
    if (at + 2 !== commandLine + bytes && load<u8>(at + 2) !== SPACE) continue;
    optionsEnd = at;
    initWords = at + 2;
    while (load<u8>(initWords) === SPACE) initWords++;
    break;
  }
  // The words become zero-terminated, for bootOption to hand out.
  for (let at = commandLine; at < optionsEnd; at++) if (load<u8>(at) === SPACE) store<u8>(at, 0);
  if (load<u32>(info, INFO_MODULE_COUNT) === 0) return;
  const module = <usize>load<u64>(info, INFO_MODULES);
  moduleStart = <usize>load<u64>(module);
  moduleSize = <usize>load<u64>(module, 8);
}

/** Gives the frame allocator all RAM from 1 MiB to 4 GiB but the image, the frame map and the module. */
export function memoryStart(info: usize): void {
  const map = <usize>load<u64>(info, INFO_MAP);
  const count = load<u32>(info, INFO_MAP_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const entry = map + <usize>i * MAP_ENTRY_BYTES;
    const from = load<u64>(entry);
    const to = from + load<u64>(entry, 8);
    if (load<u32>(entry, 16) !== MAP_RAM || from >= FOUR_GIBIBYTES) continue;
    const end = to < FOUR_GIBIBYTES ? to : FOUR_GIBIBYTES - 4096;
    if (end > u64(ramEnd)) ramEnd = <usize>end;
  }
  if (ramEnd === 0) panic("the memory map names no RAM");
  // The frame map follows the image, unless the loader put something there.
  const mapBytes = ramEnd >> 12;
  let place = (imageEnd() + 4095) & ~4095;
  if (overlaps(place, mapBytes, moduleStart, moduleSize)) place = (moduleStart + moduleSize + 4095) & ~4095;
  if (overlaps(place, mapBytes, info, 56) || overlaps(place, mapBytes, map, <usize>count * MAP_ENTRY_BYTES)) {
    panic("the loader's information lies behind the image");
  }
  framesStart(place, ramEnd);
  for (let i: u32 = 0; i < count; i++) {
    const entry = map + <usize>i * MAP_ENTRY_BYTES;
    let from = load<u64>(entry);
    let to = from + load<u64>(entry, 8);
    if (load<u32>(entry, 16) !== MAP_RAM) continue;
    if (from < LOW_MEMORY_END) from = LOW_MEMORY_END;
    if (to > u64(ramEnd)) to = u64(ramEnd);
    if (from < to) addAround(<usize>from, <usize>to, place + mapBytes);
  }
}

function overlaps(a: usize, aBytes: usize, b: usize, bBytes: usize): bool {
  return bBytes !== 0 && a < b + bBytes && b < a + aBytes;
}

/** Adds RAM but for the image with the frame map behind it, and the module. */
function addAround(from: usize, to: usize, kernelEnd: usize): void {
  const start = from < kernelEnd ? kernelEnd : from;
  if (start >= to) return;
  if (!overlaps(start, to - start, moduleStart, moduleSize)) {
    framesAdd(start, to);
    return;
  }
  if (moduleStart > start) framesAdd(start, moduleStart);
  const behind = moduleStart + moduleSize;
  if (behind < to) framesAdd(behind, to);
}

/**
 * The value of `name=value` (zero-terminated ASCII), an empty text for a bare word, 0 when absent. Words before
 * ` -- ` only.
 */
export function bootOption(name: string): usize {
  let at = commandLine;
  while (at < optionsEnd) {
    let i: usize = 0;
    while (i < <usize>name.length && load<u8>(at + i) === load<u16>(changetype<usize>(name) + (i << 1))) i++;
    const behind = <u32>load<u8>(at + i);
    if (i === <usize>name.length && behind === EQUALS) return at + i + 1;
    if (i === <usize>name.length && (behind === 0 || at + i === optionsEnd)) return at + i;
    while (at < optionsEnd && load<u8>(at) !== 0) at++;
    at++;
  }
  return 0;
}

/** The decimal number of `name=number`; anything else than digits is a panic that names the option. */
export function bootNumber(name: string, otherwise: u64): u64 {
  let at = bootOption(name);
  if (at === 0) return otherwise;
  let value: u64 = 0;
  do {
    const digit = u32(load<u8>(at)) - 0x30;
    if (digit > 9) panic("the command line has no decimal number behind ", name);
    value = value * 10 + u64(digit);
    at++;
  } while (load<u8>(at) !== 0);
  return value;
}

/** What follows ` -- `, zero-terminated. */
export function bootArguments(): usize {
  return initWords;
}

/** Module 0, the initial file system: address and size, 0 when there is none. */
export function moduleAddress(): usize {
  return moduleStart;
}
export function moduleBytes(): usize {
  return moduleSize;
}
