// GDT, IDT, TSS and the SYSCALL registers (Intel SDM vol. 3A, chapters 3, 6, 7; AMD APM vol. 2, 6.1). Each core has a
// GDT and a TSS in its core block; the IDT is one for all.
//
//   selectors: 8 kernel code  16 kernel data  24 user code 32 (unused)  32 user data  40 user code 64  48 TSS
import { lgdt, lidt, ltr, rdmsr, syscallStub, trapStubs, wrmsr } from "../arch";
import { CORE_GDT, CORE_GDT_OPERAND, CORE_TSS, Core, DIRECT_MAP } from "../lwkt/core";
import { allocate } from "../memory/slab";

export const KERNEL_CODE: u64 = 8;
export const USER_DATA: u64 = 32 | 3;
export const USER_CODE: u64 = 40 | 3;
const TSS_SELECTOR: u32 = 48;

/** Limits are not checked in 64-bit mode; flat all the same. */
const LIMIT: u64 = 0xffff;
const GDT_KERNEL_CODE: u64 = (u64(0x00af_9b00) << 32) | LIMIT;
const GDT_KERNEL_DATA: u64 = (u64(0x00cf_9300) << 32) | LIMIT;
const GDT_USER_CODE_32: u64 = (u64(0x00cf_fb00) << 32) | LIMIT;
const GDT_USER_DATA: u64 = (u64(0x00cf_f300) << 32) | LIMIT;
const GDT_USER_CODE_64: u64 = (u64(0x00af_fb00) << 32) | LIMIT;
const GDT_BYTES: u32 = 64;
const TSS_BYTES: u64 = 104;
const TSS_PRESENT_AVAILABLE: u64 = 0x89;
/** Offset of the first interrupt stack pointer, and of the I/O map's offset. */
const TSS_IST_1: usize = 36;
const TSS_IO_MAP: usize = 102;

/** Interrupt stacks: what may strike while the stack or GS is in doubt gets one of its own. */
const IST_DOUBLE_FAULT: u32 = 1;
const IST_NMI: u32 = 2;
const IST_MACHINE_CHECK: u32 = 3;
const IST_BYTES: usize = 8192;

const GATE_INTERRUPT: u64 = 0x8e;
const GATE_FROM_USER: u64 = 0xee;
const NMI: u32 = 2;
const BREAKPOINT: u32 = 3;
const OVERFLOW: u32 = 4;
const DOUBLE_FAULT: u32 = 8;
const MACHINE_CHECK: u32 = 18;

const MSR_EFER: u32 = 0xc000_0080;
const EFER_SYSCALL: u64 = 1;
const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_FMASK: u32 = 0xc000_0084;
const MSR_GS_BASE: u32 = 0xc000_0101;
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;
/** Cleared on SYSCALL: TF IF DF IOPL NT AC. */
const SYSCALL_FLAGS: u64 = 0x4_7700;

const idt: usize = memory.data(4096, 16);
const idtOperand: usize = memory.data(10);

/** From here on coreBlock() answers. First of all on a core: a critical section needs it. */
export function coreBlockUse(block: usize): void {
  store<u64>(block, u64(block));
  wrmsr(MSR_GS_BASE, DIRECT_MAP + u64(block));
  wrmsr(MSR_KERNEL_GS_BASE, 0);
}

function gate(vector: u32, address: u64, type: u64, stack: u32): void {
  const at = idt + (vector << 4);
  store<u64>(
    at,
    (address & 0xffff) | (KERNEL_CODE << 16) | (u64(stack) << 32) | (type << 40) | ((address >> 16) << 48),
  );
  store<u64>(at, address >> 32, 8);
}

/** The IDT, once. */
export function idtStart(): void {
  const stubs = trapStubs();
  for (let vector: u32 = 0; vector < 256; vector++) {
    const fromUser = vector === BREAKPOINT || vector === OVERFLOW;
    let stack: u32 = 0;
    if (vector === NMI) stack = IST_NMI;
    else if (vector === DOUBLE_FAULT) stack = IST_DOUBLE_FAULT;
    else if (vector === MACHINE_CHECK) stack = IST_MACHINE_CHECK;
    gate(vector, load<u64>(stubs + (vector << 3)), fromUser ? GATE_FROM_USER : GATE_INTERRUPT, stack);
  }
  operand(idtOperand, 4095, idt);
}

function operand(at: usize, limit: u32, table: usize): void {
  store<u16>(at, <u16>limit);
  store<u64>(at, DIRECT_MAP + u64(table), 2);
}

/** Stacks for the interrupts that need their own: before descriptorsCore, on the core that starts. */
export function descriptorsPrepare(core: Core): void {
  const tss = changetype<usize>(core) + CORE_TSS;
  for (let stack: usize = 0; stack < 3; stack++) {
    store<u64>(tss + TSS_IST_1 + (stack << 3), DIRECT_MAP + u64(allocate(IST_BYTES) + IST_BYTES));
  }
  store<u16>(tss, <u16>TSS_BYTES, TSS_IO_MAP); // behind the limit: no port is allowed to user mode
}

/** Loads GDT, TSS and IDT and the SYSCALL registers of the running core. */
export function descriptorsCore(core: Core): void {
  const block = changetype<usize>(core);
  const gdt = block + CORE_GDT;
  const tss = DIRECT_MAP + u64(block + CORE_TSS);
  store<u64>(gdt, 0);
  store<u64>(gdt, GDT_KERNEL_CODE, 8);
  store<u64>(gdt, GDT_KERNEL_DATA, 16);
  store<u64>(gdt, GDT_USER_CODE_32, 24);
  store<u64>(gdt, GDT_USER_DATA, 32);
  store<u64>(gdt, GDT_USER_CODE_64, 40);
  store<u64>(
    gdt,
    (TSS_BYTES - 1) |
      ((tss & 0xff_ffff) << 16) |
      (TSS_PRESENT_AVAILABLE << 40) |
      (((tss >> 24) & 0xff) << 56),
    48,
  );
  store<u64>(gdt, tss >> 32, 56);
  operand(block + CORE_GDT_OPERAND, GDT_BYTES - 1, gdt);
  lgdt(block + CORE_GDT_OPERAND);
  ltr(TSS_SELECTOR);
  lidt(idtOperand);
  wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SYSCALL);
  // SYSRET takes CS = field + 16 and SS = field + 8, both with privilege 3.
  wrmsr(MSR_STAR, (KERNEL_CODE << 32) | (u64(24 | 3) << 48));
  wrmsr(MSR_LSTAR, syscallStub());
  wrmsr(MSR_FMASK, SYSCALL_FLAGS);
}
