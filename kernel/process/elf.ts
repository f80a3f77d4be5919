// Loading a program: static ELF64 files for x86-64 (System V ABI, "Executable and Linking Format", chapters 4 and 5).
//
// Every header is checked against the file before anything is mapped; what is cut, foreign or does not fit is refused with
// one line that names the file and what is wrong. Pages come later, by page faults.
import { print, printAsciiZ, printHex } from "../console";
import { Inode } from "../fs/archive";
import { File } from "../fs/file";
import { currentLwp } from "./lwp";
import { PAGE, PROT_EXEC, PROT_READ, PROT_WRITE } from "./mapping";
import { MMAP_HIGH, mapProgram } from "./memory-map";

const HEADER_BYTES: u32 = 64;
const PROGRAM_HEADER_BYTES: u32 = 56;
const PROGRAM_HEADERS_MAX: u32 = 64;
const ELF_MAGIC: u32 = 0x464c_457f;
const CLASS_64: u32 = 2;
const LITTLE_ENDIAN: u32 = 1;
const TYPE_EXEC: u32 = 2;
const TYPE_DYN: u32 = 3;
const MACHINE_X86_64: u32 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/** Where a position-independent program begins. */
const DYN_BASE: u64 = 0x55_5555_4000;
/** Lowest address of a segment: page 0 stays unmapped, so that null pointers fault. */
const LOWEST: u64 = 4096; // not PAGE: constants of modules that import each other have no order

/** What the program's start needs to know: filled by loadElf. */
@unmanaged
export class Program {
  entry: u64 = 0;
  /** Added to every address in the file. */
  base: u64 = 0;
  programHeaders: u64 = 0;
  programHeaderCount: u32 = 0;
  /** Page-aligned end of the highest segment: the heap begins there. */
  end: u64 = 0;
}

@unmanaged
class ElfHeader {
  magic: u32 = 0;
  class_: u8 = 0;
  data: u8 = 0;
  identVersion: u8 = 0;
  osAbi: u8 = 0;
  padding: u64 = 0;
  type: u16 = 0;
  machine: u16 = 0;
  version: u32 = 0;
  entry: u64 = 0;
  programHeaders: u64 = 0;
  sectionHeaders: u64 = 0;
  flags: u32 = 0;
  headerBytes: u16 = 0;
  programHeaderBytes: u16 = 0;
  programHeaderCount: u16 = 0;
}

@unmanaged
class ProgramHeader {
  type: u32 = 0;
  flags: u32 = 0;
  offset: u64 = 0;
  address: u64 = 0;
  physical: u64 = 0;
  fileBytes: u64 = 0;
  memoryBytes: u64 = 0;
  align: u64 = 0;
}

/** Fills `program`. False: refused, and the console says why. By a thread of the process, in its address space. */
export function loadElf(path: usize, file: File, program: Program): bool {
  const inode = changetype<Inode>(file.inode);
  if (!headerIsOurs(path, inode)) return false;
  const header = changetype<ElfHeader>(inode.data);
  program.base = u32(header.type) === TYPE_DYN ? DYN_BASE : 0;
  if (!segmentsAreSound(path, inode, program.base)) return false;
  program.entry = header.entry + program.base;
  program.programHeaderCount = u32(header.programHeaderCount);
  for (let i: u32 = 0; i < u32(header.programHeaderCount); i++) {
    const segment = segmentAt(inode, i);
    if (segment.type === PT_LOAD) loadSegment(file, segment, program);
  }
  const map = currentLwp().process.map;
  map.breakStart = program.end;
  map.breakEnd = program.end;
  return entryIsCode(path, inode, program);
}

function refuse(path: usize, why: string): bool {
  print("init: ");
  printAsciiZ(path);
  print(": ");
  print(why);
  print("\n");
  return false;
}

function refuseSegment(path: usize, segment: ProgramHeader, why: string): bool {
  print("init: ");
  printAsciiZ(path);
  print(": the segment at ");
  printHex(segment.address);
  print(" ");
  print(why);
  print("\n");
  return false;
}

function headerIsOurs(path: usize, inode: Inode): bool {
  const header = changetype<ElfHeader>(inode.data);
  if (inode.bytes < 4 || header.magic !== ELF_MAGIC) return refuse(path, "not an ELF file");
  if (inode.bytes < HEADER_BYTES) return refuse(path, "cut within the ELF header");
  if (u32(header.class_) !== CLASS_64) return refuse(path, "not a 64-bit ELF file");
  if (u32(header.data) !== LITTLE_ENDIAN) return refuse(path, "not little endian");
  if (u32(header.machine) !== MACHINE_X86_64) return refuse(path, "for another machine than x86-64");
  if (u32(header.type) !== TYPE_EXEC && u32(header.type) !== TYPE_DYN)
    return refuse(path, "not an executable");
  if (u32(header.programHeaderBytes) !== PROGRAM_HEADER_BYTES)
    return refuse(path, "program headers of a foreign size");
  const count = u32(header.programHeaderCount);
  if (count === 0) return refuse(path, "no program headers");
  if (count > PROGRAM_HEADERS_MAX) return refuse(path, "more than 64 program headers");
  const bytes = u64(count * PROGRAM_HEADER_BYTES);
  if (header.programHeaders > u64(inode.bytes) || bytes > u64(inode.bytes) - header.programHeaders) {
    return refuse(path, "cut within the program headers");
  }
  return header.programHeaders & 7 ? refuse(path, "program headers at an odd place") : true;
}

function segmentAt(inode: Inode, index: u32): ProgramHeader {
  const header = changetype<ElfHeader>(inode.data);
  return changetype<ProgramHeader>(
    inode.data + usize(header.programHeaders) + <usize>(index * PROGRAM_HEADER_BYTES),
  );
}

function segmentsAreSound(path: usize, inode: Inode, base: u64): bool {
  const count = u32(changetype<ElfHeader>(inode.data).programHeaderCount);
  let loads: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const segment = segmentAt(inode, i);
    if (segment.type === PT_INTERP)
      return refuse(path, "dynamically linked (it asks for an interpreter): link it with -static");
    if (segment.type !== PT_LOAD) continue;
    loads++;
    if (!segmentIsSound(path, inode, segment, base)) return false;
    for (let j: u32 = 0; j < i; j++) {
      const other = segmentAt(inode, j);
      if (other.type === PT_LOAD && overlap(segment, other))
        return refuseSegment(path, segment, "overlaps another one");
    }
  }
  return loads > 0 ? true : refuse(path, "nothing to load");
}

function segmentIsSound(path: usize, inode: Inode, segment: ProgramHeader, base: u64): bool {
  const size = u64(inode.bytes);
  if (segment.fileBytes > segment.memoryBytes)
    return refuseSegment(path, segment, "is larger in the file than in memory");
  if (segment.offset > size || segment.fileBytes > size - segment.offset) {
    return refuseSegment(path, segment, "is cut: the file ends before it");
  }
  if ((segment.offset ^ segment.address) & (PAGE - 1))
    return refuseSegment(path, segment, "is not aligned with its place in the file");
  const address = segment.address + base;
  const fits =
    address >= segment.address && address <= MMAP_HIGH && segment.memoryBytes <= MMAP_HIGH - address;
  return fits && address >= LOWEST ? true : refuseSegment(path, segment, "lies outside of the user range");
}

function overlap(a: ProgramHeader, b: ProgramHeader): bool {
  return a.address < b.address + b.memoryBytes && b.address < a.address + a.memoryBytes;
}

function entryIsCode(path: usize, inode: Inode, program: Program): bool {
  const count = u32(changetype<ElfHeader>(inode.data).programHeaderCount);
  const entry = program.entry - program.base;
  for (let i: u32 = 0; i < count; i++) {
    const segment = segmentAt(inode, i);
    if (segment.type !== PT_LOAD || !(segment.flags & PF_X)) continue;
    if (entry >= segment.address && entry - segment.address < segment.memoryBytes) return true;
  }
  return refuse(path, "its entry point is not in executable memory");
}

/** File pages, then zeros: the file's last page is cleared behind the file's bytes by the fault that makes it. */
function loadSegment(file: File, segment: ProgramHeader, program: Program): void {
  const address = segment.address + program.base;
  const start = address & ~(PAGE - 1);
  const fileEnd = (address + segment.fileBytes + PAGE - 1) & ~(PAGE - 1);
  const end = (address + segment.memoryBytes + PAGE - 1) & ~(PAGE - 1);
  const protection = protectionOf(segment.flags);
  const offset = segment.offset & ~(PAGE - 1);
  const limit = segment.offset + segment.fileBytes;
  if (segment.fileBytes > 0) mapProgram(start, fileEnd, protection, changetype<usize>(file), offset, limit);
  const zeros = segment.fileBytes > 0 ? fileEnd : start;
  if (end > zeros) mapProgram(zeros, end, protection, 0, 0, 0);
  program.end = max<u64>(program.end, end);
  findProgramHeaders(changetype<Inode>(file.inode), segment, program);
}

function protectionOf(flags: u32): u32 {
  let protection: u32 = 0;
  if (flags & PF_R) protection |= PROT_READ;
  if (flags & PF_W) protection |= PROT_WRITE;
  if (flags & PF_X) protection |= PROT_EXEC;
  return protection;
}

/** AT_PHDR: the program headers as the program sees them, through whichever segment holds them. */
function findProgramHeaders(inode: Inode, segment: ProgramHeader, program: Program): void {
  const at = changetype<ElfHeader>(inode.data).programHeaders;
  if (at < segment.offset || at - segment.offset >= segment.fileBytes) return;
  program.programHeaders = segment.address + program.base + (at - segment.offset);
}
