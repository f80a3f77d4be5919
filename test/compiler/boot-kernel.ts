// A kernel in the dialect that uses every stub of the compiler once and says so on the serial port. It
// knows nothing of the real kernel: what it proves is the boot path, the entries and the context switch.
export const bootKernel = `
import {
  in8, out8, lidt, lgdt, ltr, trapStubs, fixupFor, copyFromUser, copyToUser, userCompareExchange32, newStack,
  switchStack, resume, wrmsr, rdmsr, syscallStub, coreBlock, readCr2, readCr3, writeCr3, symbols, mulhu, rdtsc,
  imageEnd, coreStartCode, coreStartBytes, mmioRead32, mmioWrite32, mmioRead64, cpuid, readFlags, cli, sti,
  fxsave, fxrstor, instructionPointer, pause, stackPointer, invlpg, readCr0, readCr4, hlt, stiHlt,
} from "./arch";
import { TrapFrame } from "./frame";

const DIRECT_MAP: u64 = 0xffff800000000000;
// Room behind the image, page by page.
const PAGE: usize = 4096;
function room(page: usize): usize { return ((imageEnd() + 0x1fffff) & ~0x1fffff) + page * PAGE; }

function putc(c: u32): void {
  while ((in8(0x3fd) & 0x20) == 0) pause();
  out8(0x3f8, c);
}
function text(s: string): void { for (let i = 0; i < s.length; i++) putc(s.charCodeAt(i)); }
function hex(value: u64): void {
  text("0x");
  let digits: i32 = 1;
  while (digits < 16 && value >> (<u64>digits * 4) != 0) digits++;
  for (let i = digits - 1; i >= 0; i--) putc("0123456789abcdef".charCodeAt(<i32>((value >> (<u64>i * 4)) & 15)));
}
function line(name: string, value: u64): void { text(name); text(" "); hex(value); putc(10); }
function ascii(at: usize): void { while (load<u8>(at) != 0) putc(load<u8>(at++)); }

function symbolAt(address: usize): usize {
  const table = symbols();
  const count = load<u32>(table);
  let symbol: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const row = table + 4 + i * 12;
    if (load<u32>(row) > address) break;
    symbol = row;
  }
  return symbol;
}

function functionAt(address: usize): usize {
  return load<u32>(symbolAt(address), 4);
}

function setGates(): void {
  const idt = room(0);
  const stubs = trapStubs();
  for (let vector: usize = 0; vector < 256; vector++) {
    const at = load<u64>(stubs + vector * 8);
    const gate = idt + vector * 16;
    store<u64>(gate, (at & 0xffff) | (8 << 16) | (<u64>0x8e00 << 32) | (((at >> 16) & 0xffff) << 48));
    store<u64>(gate + 8, at >> 32);
  }
  const pointer = room(1);
  store<u16>(pointer, 4095);
  store<u64>(pointer + 2, DIRECT_MAP + idt);
  lidt(pointer);
}

// Descriptors with a task state segment; interrupts from user mode come in on the stack that ends at room(4).
function setSegments(): void {
  const gdt = room(1) + 64;
  const tss = room(1) + 256;
  store<u64>(gdt, 0);
  store<u64>(gdt + 8, 0x00af9a000000ffff);
  store<u64>(gdt + 16, 0x00cf92000000ffff);
  store<u64>(gdt + 24, 0x00cffa000000ffff);
  store<u64>(gdt + 32, 0x00cff2000000ffff);
  store<u64>(gdt + 40, 0x00affa000000ffff);
  const base = DIRECT_MAP + tss;
  store<u64>(gdt + 48, 103 | ((base & 0xffffff) << 16) | (<u64>0x89 << 40) | (((base >> 24) & 0xff) << 56));
  store<u64>(gdt + 56, base >> 32);
  store<u64>(tss + 4, DIRECT_MAP + room(4));
  const pointer = room(1) + 32;
  store<u16>(pointer, 63);
  store<u64>(pointer + 2, DIRECT_MAP + gdt);
  lgdt(pointer);
  ltr(48);
}

function setCoreBlock(): void {
  const block = room(2);
  store<u64>(block, block);
  store<u64>(block + 8, DIRECT_MAP + room(6));
  wrmsr(0xc0000101, DIRECT_MAP + block);
  wrmsr(0xc0000102, 0x1234);
  wrmsr(0xc0000081, (<u64>8 << 32) | (<u64>(24 | 3) << 48));
  wrmsr(0xc0000082, syscallStub());
  wrmsr(0xc0000084, 0x47700);
}

let traps: u32 = 0;
export function trap(address: usize): void {
  const frame = changetype<TrapFrame>(address);
  traps++;
  if (frame.vector == 6 && (frame.cs & 3) == 0) {
    text("undefined instruction in ");
    ascii(functionAt(<usize>(frame.rip - DIRECT_MAP)));
    putc(10);
    // Return from that function by its frame, as a back trace would.
    const length = load<u32>(symbolAt(<usize>(frame.rip - DIRECT_MAP)), 8);
    const end = <usize>(frame.rsp - DIRECT_MAP) + ((length & 0xffff) << 3);
    frame.rip = load<u64>(end);
    frame.rsp = DIRECT_MAP + end + 8 + ((length >> 16) << 3);
    return;
  }
  if (frame.vector == 14) {
    const fixup = fixupFor(frame.rip);
    line("page fault at", readCr2());
    if (fixup == 0) { line("no fix-up for", frame.rip); leave(99); }
    frame.rip = fixup;
    return;
  }
  if (frame.vector == 3) { line("breakpoint, GS base", rdmsr(0xc0000101) >> 40); return; }
  if ((frame.cs & 3) == 3) {
    line("user trap", frame.vector);
    line("  rip", frame.rip);
    line("  rbx", frame.rbx);
    line("  rax", frame.rax);
    line("  rcx", frame.rcx);
    line("  r11", frame.r11);
    line("  core block is ours", u64(coreBlock() == room(2)));
    leave(21);
  }
  line("unexpected trap", frame.vector);
  line("  rip", frame.rip);
  leave(98);
}

let calls: u32 = 0;
export function syscall(address: usize): void {
  const frame = changetype<TrapFrame>(address);
  calls++;
  line("syscall", frame.rax);
  line("  rdi", frame.rdi);
  line("  vector", frame.vector);
  frame.rax = 0x77;
  // The second time by IRETQ: another RIP than SYSRETQ would take.
  if (calls == 2) frame.rip += 2;
}

let mainStack: usize = 0;
let threadStack: usize = 0;
let turns: u32 = 0;
export function threadMain(): void {
  line("thread, interrupts", (readFlags() >> 9) & 1);
  for (;;) {
    turns += 10;
    switchStack(threadStack, load<u64>(mainStack));
  }
}

function threads(): void {
  mainStack = room(7);
  threadStack = room(7) + 8;
  store<u64>(threadStack, newStack(room(9)));
  for (let i: u32 = 0; i < 3; i++) {
    switchStack(mainStack, load<u64>(threadStack));
    turns += i;
  }
  line("turns", turns);
}

export function bootCore(): void {
  atomic.store<u32>(room(9), 0x5a);
  while (true) hlt();
}

function startCore(): void {
  const page: usize = 0x8000;
  memory.copy(page, coreStartCode(), coreStartBytes());
  store<u32>(page + 0xff4, <u32>readCr3());
  store<u64>(page + 0xff8, room(11));
  const apic: u64 = 0xfee00000;
  mmioWrite32(apic + 0xf0, 0x1ff);
  mmioWrite32(apic + 0x310, 1 << 24);
  mmioWrite32(apic + 0x300, 0x4500);
  const ready = rdtsc() + 40000000;
  while (rdtsc() < ready) pause();
  mmioWrite32(apic + 0x300, 0x4608);
  const late = rdtsc() + 4000000000;
  while (atomic.load<u32>(room(9)) != 0x5a && rdtsc() < late) pause();
  line("other core", atomic.load<u32>(room(9)));
}

// Makes the 2 MiB page after room() the user's too, and puts code there.
function user(): void {
  const page = room(512);
  const root = <usize>readCr3();
  store<u64>(root, load<u64>(root) | 4);
  const directories = <usize>(load<u64>(root) & ~<u64>0xfff);
  store<u64>(directories, load<u64>(directories) | 4);
  const directory = <usize>(load<u64>(directories) & ~<u64>0xfff);
  const entry = directory + (page >> 21) * 8;
  store<u64>(entry, load<u64>(entry) | 4);
  writeCr3(readCr3());
  line("seen through the direct map", u64(mmioRead64(page) == load<u64>(page)));
  // mov edi,5; mov eax,39; syscall; mov ebx,eax; mov eax,40; syscall; ud2; mov eax,41; ud2
  store<u64>(page, 0x0027b800000005bf);
  store<u64>(page + 8, 0x28b8c389050f0000);
  store<u64>(page + 16, 0x0b0f050f000000);
  store<u64>(page + 23, 0x000b0f00000029b8);
  line("copied to the user", copyToUser(<u64>page + 64, page, 8));
  line("exchanged", u64(userCompareExchange32(<u64>page + 64, load<u32>(page), 0xabcd, room(10))));
  line("  now", load<u32>(page + 64));
  const frame = changetype<TrapFrame>(room(3));
  frame.rip = page;
  frame.cs = 43;
  frame.rflags = 2;
  frame.rsp = page + 4096;
  frame.ss = 35;
  resume(room(3));
}

function leave(status: u32): void {
  while ((in8(0x3fd) & 0x40) == 0) pause();
  out8(0xf4, status);
  for (;;) {}
}

function broken(): void { unreachable(); }
let call: u32 = 0;

export function boot(start: usize): void {
  // The 8259 pair's lines stay masked: their vectors are exceptions here.
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  line("start magic", load<u32>(start));
  line("high half", mulhu(0xffffffffffffffff, 0x123456789));
  line("stack pointer in the boot stack", u64(stackPointer() < imageEnd() && stackPointer() > imageEnd() - 0x4000));
  text("instruction pointer in "); ascii(functionAt(<usize>(instructionPointer() - DIRECT_MAP))); putc(10);
  line("write protection", (readCr0() >> 16) & 1);
  line("SSE enabled", (readCr4() >> 9) & 3);
  cpuid(0, 0, room(10));
  line("cpuid says more than", u64(load<u32>(room(10)) > 0 && load<u32>(room(10) + 4) != 0));
  fxsave(room(10));
  line("control word", load<u16>(room(10)));
  fxrstor(room(10));
  setSegments();
  setGates();
  setCoreBlock();
  call_indirect<void>(call == 0 ? broken.index : 0);
  line("not copied", copyFromUser(room(10), 0x700000000ff8, 100));
  line("refused", copyFromUser(room(10), DIRECT_MAP + 64, 100));
  line("refused at the edge", copyToUser(0x7fffffffffff, room(10), 2));
  line("exchange failed", u64(!userCompareExchange32(0x700000001000, 1, 2, room(10))));
  sti();
  line("interrupts", (readFlags() >> 9) & 1);
  cli();
  threads();
  startCore();
  line("traps", traps);
  user();
}
`;
