// The start of init: its program, its descriptors, and the stack that the System V ABI for x86-64 (3.4.1, "Initial Stack
// and Register State") asks for: argc, argv, envp, auxiliary vector, and above them the texts that they point to.
import { cpuid } from "../arch";
import { print, printAsciiZ } from "../console";
import { archiveFind, Inode, TYPE_MASK, TYPE_REGULAR } from "../fs/archive";
import { descriptorAdd } from "../fs/descriptors";
import {
  File,
  fileCreate,
  fileReference,
  fileRelease,
  KIND_ARCHIVE,
  KIND_CONSOLE,
  O_RDONLY,
  O_RDWR,
} from "../fs/file";
import { PATH_MAX, pathNormalize, textBytes } from "../fs/path";
import { random64 } from "../fs/random";
import { allocate, release } from "../memory/slab";
import { bootArguments, bootNumber, bootOption } from "../options";
import { loadElf, Program } from "./elf";
import { Lwp, lwpRename, startFrame } from "./lwp";
import { PROT_READ, PROT_WRITE } from "./mapping";
import { mapProgram } from "./memory-map";
import { Process } from "./process";
import { isSpread } from "./spread";
import { USER_TOP, writeUser } from "./user-memory";

export const STACK_BYTES: u64 = 8 << 20;
const STACK_TOP: u64 = USER_TOP - 4096;

/** Selectors (ARCHITECTURE.md) and RFLAGS with IF set. */
const SELECTOR_CODE: u64 = 40 | 3;
const SELECTOR_DATA: u64 = 32 | 3;
const RFLAGS_START: u64 = 0x202;

/** Auxiliary vector types (elf.h). */
const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_FLAGS: u64 = 8;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_HWCAP: u64 = 16;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_EXECFN: u64 = 31;

/** Arguments, environment and auxiliary entries together; the block is a page of u64. */
const WORDS_MAX: u32 = 512;
const AUXILIARY_WORDS: u32 = 40;

/** The stack while it is built: texts from the top down, the words that will lie below them gathered here. */
@unmanaged
class Building {
  top: u64 = 0;
  words: usize = 0;
  count: u32 = 0;
  failed: u32 = 0;
}

/** By init's first thread. False: refused, with a line that says why. */
export function loadInit(lwp: Lwp): bool {
  const path = allocate(PATH_MAX);
  const file = openInit(path);
  let good = false;
  if (file) {
    changetype<Inode>(changetype<File>(file).inode).runs = 1;
    good = begin(lwp, changetype<File>(file), path);
    fileRelease(changetype<File>(file));
  }
  release(path);
  return good;
}

/** The file that `init=` names, its path at `path`; 0 when there is none. */
function openInit(path: usize): usize {
  const option = bootOption("init");
  if (option === 0 || load<u8>(option) === 0) {
    print("init: the command line names no program (init=/bin/...)\n");
    return 0;
  }
  return openNamed(option, path);
}

/** A file of the archive that the command line names, its path at `path`; 0 when there is none. */
function openNamed(name: usize, path: usize): usize {
  if (textBytes(name) + 2 > PATH_MAX) {
    print("init: the path is longer than 1022 bytes\n");
    return 0;
  }
  memory.copy(path + 1, name, textBytes(name) + 1);
  const bytes = pathNormalize(path + 1);
  store<u8>(path, 0x2f);
  const inode = archiveFind(path + 1, bytes);
  if (inode && (changetype<Inode>(inode).mode & TYPE_MASK) === TYPE_REGULAR) {
    return changetype<usize>(fileCreate(KIND_ARCHIVE, O_RDONLY, inode, 0));
  }
  print("init: ");
  printAsciiZ(path);
  print(inode ? ": not a file\n" : ": not in the initial file system\n");
  return 0;
}

function begin(lwp: Lwp, file: File, path: usize): bool {
  const process = lwp.process;
  nameProcess(process, path);
  lwpRename(lwp, process.name, textBytes(process.name));
  if (!openStandard(process)) return false;
  const program = changetype<Program>(allocate(offsetof<Program>()));
  let good = loadElf(path, file, program);
  if (good) {
    mapProgram(STACK_TOP - STACK_BYTES, STACK_TOP, PROT_READ | PROT_WRITE, 0, 0, 0);
    const stack = buildStack(path, program);
    good = stack !== 0;
    enterAt(lwp, program.entry, stack);
  }
  release(changetype<usize>(program));
  return good;
}

function nameProcess(process: Process, path: usize): void {
  let last = path;
  for (let at = path; load<u8>(at); at++) if (load<u8>(at) === 0x2f) last = at + 1;
  process.name = allocate(textBytes(last) + 1);
  memory.copy(process.name, last, textBytes(last) + 1);
}

/** Descriptors 0, 1 and 2 are one open console; but 0 the file of the archive that `stdin=` names. */
function openStandard(process: Process): bool {
  const console = fileCreate(KIND_CONSOLE, O_RDWR, 0, 0);
  const named = bootOption("stdin");
  let input = changetype<usize>(console);
  if (named !== 0) {
    const path = allocate(PATH_MAX);
    input = openNamed(named, path);
    release(path);
    if (input === 0) {
      fileRelease(console);
      return false;
    }
  } else fileReference(console);
  descriptorAdd(process.descriptors, changetype<File>(input), 0, false);
  descriptorAdd(process.descriptors, console, 0, false);
  fileReference(console);
  descriptorAdd(process.descriptors, console, 0, false);
  return true;
}

function enterAt(lwp: Lwp, entry: u64, stack: u64): void {
  const frame = startFrame(lwp);
  frame.rip = entry;
  frame.rsp = stack;
  frame.cs = SELECTOR_CODE;
  frame.ss = SELECTOR_DATA;
  frame.rflags = RFLAGS_START;
}

// --- The stack ---

/** The stack pointer to start with, or 0. */
function buildStack(path: usize, program: Program): u64 {
  const building = changetype<Building>(allocate(offsetof<Building>()));
  building.top = STACK_TOP;
  building.words = allocate((<usize>WORDS_MAX) << 3);
  const name = pushText(building, path, textBytes(path));
  pushWord(building, 0); // argc, known later
  pushWord(building, name);
  pushArguments(building);
  store<u64>(building.words, u64(building.count) - 1);
  pushWord(building, 0);
  pushEnvironment(building);
  pushWord(building, 0);
  pushAuxiliary(building, program, name);
  const stack = placeWords(building);
  if (stack === 0) print("init: too many arguments\n");
  release(building.words);
  release(changetype<usize>(building));
  return stack;
}

function pushWord(building: Building, word: u64): void {
  if (building.count === WORDS_MAX) {
    building.failed = 1;
    return;
  }
  store<u64>(building.words + ((<usize>building.count) << 3), word);
  building.count++;
}

/** The address of the text, zero-terminated, on the stack. */
function pushText(building: Building, text: usize, bytes: usize): u64 {
  const zero = building.top - 1;
  building.top = zero - u64(bytes);
  // The stack's memory is zero; only the text itself is written.
  if (!writeUser(building.top, text, bytes)) building.failed = 1;
  return building.top;
}

/** The words behind `--`, split at spaces. */
function pushArguments(building: Building): void {
  let at = bootArguments();
  if (at === 0) return;
  while (true) {
    while (load<u8>(at) === 0x20) at++;
    if (load<u8>(at) === 0) return;
    let bytes: usize = 0;
    while (load<u8>(at + bytes) !== 0 && load<u8>(at + bytes) !== 0x20) bytes++;
    if (building.count < WORDS_MAX - AUXILIARY_WORDS) pushWord(building, pushText(building, at, bytes));
    else building.failed = 1;
    at += bytes;
  }
}

function pushEnvironment(building: Building): void {
  pushVariable(building, "BUSLOCK_NODE=", bootNumber("node", 1));
  // A process that spreads has no peers.
  pushVariable(building, "BUSLOCK_NODES=", isSpread() ? 1 : bootNumber("nodes", 1));
  pushVariable(building, "PATH=/bin", -1);
}

const NO_NUMBER: u64 = -1;

/** name, and the number in decimal behind it. */
function pushVariable(building: Building, name: string, number: u64): void {
  const text = allocate(64);
  let bytes: usize = 0;
  for (; bytes < usize(name.length); bytes++) store<u8>(text + bytes, u8(name.charCodeAt(i32(bytes))));
  if (number !== NO_NUMBER) bytes += digits(text + bytes, number);
  pushWord(building, pushText(building, text, bytes));
  release(text);
}

function digits(to: usize, number: u64): usize {
  let count: usize = 1;
  for (let rest = number / 10; rest > 0; rest /= 10) count++;
  let rest = number;
  for (let i = count; i > 0; i--) {
    store<u8>(to + i - 1, u8(0x30 + (rest % 10)));
    rest /= 10;
  }
  return count;
}

function pushPair(building: Building, type: u64, value: u64): void {
  pushWord(building, type);
  pushWord(building, value);
}

function pushAuxiliary(building: Building, program: Program, name: u64): void {
  const words = allocate(32);
  store<u64>(words, random64());
  store<u64>(words + 8, random64());
  const random = pushText(building, words, 16);
  cpuid(1, 0, words);
  const features = load<u32>(words + 12);
  release(words);
  pushPair(building, AT_PHDR, program.programHeaders);
  pushPair(building, AT_PHENT, 56);
  pushPair(building, AT_PHNUM, u64(program.programHeaderCount));
  pushPair(building, AT_PAGESZ, 4096);
  pushPair(building, AT_BASE, 0);
  pushPair(building, AT_FLAGS, 0);
  pushPair(building, AT_ENTRY, program.entry);
  pushPair(building, AT_UID, 0);
  pushPair(building, AT_EUID, 0);
  pushPair(building, AT_GID, 0);
  pushPair(building, AT_EGID, 0);
  pushPair(building, AT_HWCAP, u64(features));
  pushPair(building, AT_CLKTCK, 100);
  pushPair(building, AT_SECURE, 0);
  pushPair(building, AT_RANDOM, random);
  pushPair(building, AT_EXECFN, name);
  pushPair(building, AT_NULL, 0);
}

/** Writes the words below the texts, so that RSP is a multiple of 16. */
function placeWords(building: Building): u64 {
  if (building.failed) return 0;
  const bytes = usize(building.count) << 3;
  const stack = (building.top - u64(bytes)) & ~15;
  return writeUser(stack, building.words, bytes) ? stack : 0;
}
