// The host's own processor as a second opinion: a child process, a static ELF64 written here without a compiler. It
// reads cases from standard input, runs each, catches where it ends by a signal (INT3 at the end, or a fault), and
// writes registers, FXSAVE image and memory windows to standard output.
// Linux x86-64 ABI: system calls, struct sigaction, ucontext_t (arch/x86/include/uapi/asm/sigcontext.h).

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { assemble } from "../../emulator/assembler.js";
import { VENDOR } from "../../emulator/cpu/cpuid.js";
import * as map from "./map.js";

/** Why this host cannot judge, or undefined when it can. Where vendors differ the rows follow the one that CPUID names. */
export const absent: string | undefined = whyAbsent();

function whyAbsent(): string | undefined {
  if (arch() !== "x64" || platform() !== "linux")
    return `the host is ${platform()} on ${arch()}, not Linux on x86-64: no silicon to compare with`;
  const vendor = /^vendor_id\s*:\s*(\S+)/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  return vendor === VENDOR
    ? undefined
    : `the host's processor is ${vendor}, not ${VENDOR}: they differ in details`;
}

const ORIGIN = 0x7000_0000; // below 4 GiB: compatibility mode comes back here through the kernel
const TEXT_OFFSET = 0x1000; // headers fill the first page
const BUFFERS = ORIGIN + 0x10000;
const CASE = BUFFERS; // page aligned, as FXRSTOR wants 16
const OUTCOME = BUFFERS + 0x1000;
const READ_ONLY_PATTERN = BUFFERS + 0x2000;
const ACTION = BUFFERS + 0x3000; // struct sigaction, then stack_t
const DESCRIPTORS = BUFFERS + 0x3100; // struct user_desc, two of them
const SIGNAL_STACK = BUFFERS + 0x4000;
const SIGNAL_STACK_BYTES = 0x8000; // AVX-512's state is in the frame too
const OWN_STACK = BUFFERS + 0x10000; // grows down
const END = OWN_STACK;

const SYS = {
  read: 0,
  write: 1,
  mmap: 9,
  mprotect: 10,
  rt_sigaction: 13,
  sigaltstack: 131,
  modify_ldt: 154,
  arch_prctl: 158,
  exit: 231,
};
const SIGNALS = { SIGILL: 4, SIGTRAP: 5, SIGBUS: 7, SIGFPE: 8, SIGSEGV: 11 };
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const PROT_ALL = 7;
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x32;
const SA_SIGINFO = 0x4n;
const SA_RESTORER = 0x0400_0000n;
const SA_ONSTACK = 0x0800_0000n;
const SA_NODEFER = 0x4000_0000n;
const ARCH_SET_FS = 0x1002;
const UCONTEXT_GREGS = 40;
const UCONTEXT_FPSTATE = 224;
const GREGS = 23;
const USER_DESC_BYTES = 16;
// struct user_desc: contents 2 is code, 0 data; useable
const USER_DESC_CODE_16 = (2 << 1) | (1 << 6);
const USER_DESC_DATA_16 = 1 << 6;

const GPR_NAMES = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");

function call(number: number, ...args: (number | string)[]): string {
  const registers = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];
  return [...args.map((a, i) => `mov ${registers[i]}, ${a}`), `mov eax, ${number}`, "syscall"].join("\n");
}
const copy = (to: number | string, from: number | string, bytes: number | string) =>
  `mov rdi, ${to}\nmov rsi, ${from}\nmov ecx, ${bytes}\nrep movsb`;
const mapFixed = (at: number, bytes: number, protection: number) =>
  call(SYS.mmap, at, bytes, protection, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0);
const copyWindows = (out: boolean) =>
  map.WINDOWS.map((at, i) => {
    const record = (out ? OUTCOME + map.OUTCOME_WINDOWS : CASE + map.CASE_WINDOWS) + i * map.WINDOW_BYTES;
    return out ? copy(record, at, map.WINDOW_BYTES) : copy(at, record, map.WINDOW_BYTES);
  }).join("\n");

const program = () => `
  mov rsp, ${OWN_STACK}
  ${mapFixed(map.CODE, map.CODE_BYTES, PROT_ALL)}
  ${mapFixed(map.DATA, map.DATA_BYTES, PROT_READ_WRITE)}
  ${mapFixed(map.READ_ONLY, map.READ_ONLY_BYTES, PROT_READ_WRITE)}
  ${copy(map.READ_ONLY, READ_ONLY_PATTERN, map.READ_ONLY_BYTES)}
  ${call(SYS.mprotect, map.READ_ONLY, map.READ_ONLY_BYTES, PROT_READ)}
  mov rdi, ${map.CODE}
  mov ecx, ${map.CODE_BYTES}
  mov eax, ${map.INT3}
  rep stosb
  mov rax, handler
  mov [${ACTION}], rax
  mov [${ACTION + 16}], rax ; the restorer is never reached, but must be there
  ${call(SYS.sigaltstack, ACTION + 64, 0)}
  ${Object.values(SIGNALS)
    .map((signal) => call(SYS.rt_sigaction, signal, ACTION, 0, 8))
    .join("\n")}
  ${call(SYS.arch_prctl, ARCH_SET_FS, map.FS_BASE)}
  ${call(SYS.modify_ldt, 1, DESCRIPTORS, USER_DESC_BYTES)}
  ${call(SYS.modify_ldt, 1, DESCRIPTORS + USER_DESC_BYTES, USER_DESC_BYTES)}
next:
  mov rsp, ${OWN_STACK}
  mov rbx, ${CASE}
more:
  mov rdx, ${CASE + map.CASE_BYTES}
  sub rdx, rbx
  je ready
  mov rsi, rbx
  mov edi, 0
  mov eax, ${SYS.read}
  syscall
  cmp rax, 0
  jle finish
  add rbx, rax
  jmp more
finish:
  ${call(SYS.exit, 0)}
ready:
  mov rdi, ${map.DATA} ; nothing of an earlier case: faults may leave what is not compared
  mov ecx, ${map.DATA_BYTES / 8}
  mov eax, 0
  rep stosq
  ${copyWindows(false)}
  mov rax, [${CASE + map.CASE_CODE_ADDRESS}]
  ${copy("rax", CASE + map.CASE_CODE, map.CODE_LENGTH_MAX)}
  mov rax, ${CASE + map.CASE_FX}
  fxrstor [rax]
  mov rax, [${CASE + map.CASE_DATA_SELECTOR}] ; 64-bit mode looks at none of them
  mov ds, eax
  mov es, eax
  mov rcx, [${CASE + map.CASE_RFLAGS}]
  push rcx
  popfq
  mov ss, eax
  ${GPR_NAMES.map((r, i) => `mov ${r}, [${CASE + map.CASE_GPR + 8 * i}]`).join("\n")}
  db 0xff, 0x2c, 0x25 ; jmp far [abs32]
  dd ${CASE + map.CASE_FAR_POINTER}
handler:
  mov rbx, rdx
  lea rax, [rbx + ${UCONTEXT_GREGS}]
  ${copy(OUTCOME + map.OUTCOME_GREGS, "rax", GREGS * 8)}
  mov rax, [rbx + ${UCONTEXT_FPSTATE}]
  ${copy(OUTCOME + map.OUTCOME_FX, "rax", map.FX_BYTES)}
  ${copyWindows(true)}
  mov rdi, [${CASE + map.CASE_CODE_ADDRESS}]
  mov ecx, ${map.CODE_LENGTH_MAX}
  mov eax, ${map.INT3}
  rep stosb
  mov rbx, ${OUTCOME}
write:
  mov rdx, ${OUTCOME + map.OUTCOME_BYTES}
  sub rdx, rbx
  je next
  mov rsi, rbx
  mov edi, 1
  mov eax, ${SYS.write}
  syscall
  cmp rax, 0
  jle finish
  add rbx, rax
  jmp write
`;

/** The child, as an ELF64 executable of one segment. */
export function childImage(): Uint8Array {
  const image = new Uint8Array(END - ORIGIN);
  const view = new DataView(image.buffer);
  const u64 = (at: number, v: number | bigint) => view.setBigUint64(at, BigInt(v), true);
  // ELF header: 64 bits, little endian, ET_EXEC, EM_X86_64
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  u64(24, ORIGIN + TEXT_OFFSET);
  u64(32, 64); // program headers
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  // PT_LOAD of the whole file, readable, writable, executable
  view.setUint32(64, 1, true);
  view.setUint32(68, PROT_ALL, true);
  u64(64 + 16, ORIGIN);
  u64(64 + 24, ORIGIN);
  u64(64 + 32, image.length);
  u64(64 + 40, image.length);
  u64(64 + 48, 0x1000);
  image.set(assemble(program(), { bits: 64, origin: ORIGIN + TEXT_OFFSET }), TEXT_OFFSET);
  for (let i = 0; i < map.READ_ONLY_BYTES; i++) image[READ_ONLY_PATTERN - ORIGIN + i] = map.pattern(i);
  const action = ACTION - ORIGIN;
  u64(action + 8, SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER);
  [
    [0, map.CODE_16_BASE, map.SEGMENT_16_LIMIT, USER_DESC_CODE_16],
    [1, map.DATA_16_BASE, map.SEGMENT_16_LIMIT, USER_DESC_DATA_16],
  ]
    .flat()
    .forEach((word, i) => {
      view.setUint32(DESCRIPTORS - ORIGIN + 4 * i, word, true);
    });
  u64(action + 64, SIGNAL_STACK);
  u64(action + 64 + 16, SIGNAL_STACK_BYTES);
  return image;
}

/**
 * The child could not tell: with RSP on its signal stack the kernel would take a signal for one that came while another
 * is handled, write the frame below RSP, and kill the child when that is no memory.
 */
export function standsOnSignalStack(record: Uint8Array): boolean {
  const rsp = new DataView(record.buffer, record.byteOffset).getBigUint64(map.CASE_GPR + 4 * 8, true);
  return rsp > BigInt(SIGNAL_STACK) && rsp <= BigInt(SIGNAL_STACK + SIGNAL_STACK_BYTES);
}

/** Runs all cases (CASE_BYTES each) and gives their outcomes (OUTCOME_BYTES each). */
export function runNative(cases: Uint8Array): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "silicon-"));
  try {
    const file = join(folder, "child");
    writeFileSync(file, childImage());
    chmodSync(file, 0o755);
    const wanted = (cases.length / map.CASE_BYTES) * map.OUTCOME_BYTES;
    const result = spawnSync(file, { input: cases, maxBuffer: wanted + 1, timeout: 120_000 });
    // A child that dies leaves its input unread: how far it came says more than EPIPE.
    if (result.error !== undefined && (result.error as NodeJS.ErrnoException).code !== "EPIPE")
      throw result.error;
    if (result.stdout.length !== wanted)
      throw new Error(
        `the native child ended after ${result.stdout.length / map.OUTCOME_BYTES} cases of ` +
          `${cases.length / map.CASE_BYTES}: status ${result.status}, signal ${result.signal}`,
      );
    return result.stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Why 16-bit code cannot be judged here, or undefined: the kernel may have been built without modify_ldt(). */
export function absentIn16Bit(): string | undefined {
  if (absent !== undefined) return absent;
  const empty = new Uint8Array(map.CASE_BYTES);
  const view = new DataView(empty.buffer);
  empty.fill(map.INT3, map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX);
  view.setBigUint64(map.CASE_CODE_ADDRESS, BigInt(map.CODE), true);
  view.setBigUint64(map.CASE_DATA_SELECTOR, BigInt(map.DATA_SELECTOR_16), true);
  view.setBigUint64(map.CASE_RFLAGS, 0x202n, true);
  view.setUint32(map.CASE_FAR_POINTER, map.CODE - map.CODE_16_BASE, true);
  view.setUint16(map.CASE_FAR_POINTER + 4, map.CODE_SELECTOR_16, true);
  view.setUint32(map.CASE_FX + 24, 0x1f80, true);
  try {
    const outcome = runNative(empty);
    const rip = outcome.readBigUInt64LE(map.OUTCOME_GREGS + 8 * map.GREG_RIP);
    if (rip === BigInt(map.CODE - map.CODE_16_BASE + 1)) return undefined;
  } catch {
    // The child died: the same answer.
  }
  return "this kernel gives no 16-bit segments (modify_ldt)";
}
