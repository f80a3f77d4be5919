// The little world in which a silicon case runs, the same on the emulated core and on the host's processor: where its
// code and data lie, and how a case and its outcome are laid out on the wire to the native child.
//
//   0010_0000  code, 2 pages, filled with INT3: wherever the case goes, it stops there
//   0020_0000  data, 2 pages; two windows of it are filled, and read back: around the middle, and at the end
//   0020_2000  nothing: page faults
//   0020_3000  one page that may only be read, filled by pattern()
//   0020_4000  nothing

export const CODE = 0x10_0000;
export const CODE_BYTES = 0x2000;
export const DATA = 0x20_0000;
export const DATA_BYTES = 0x2000;
export const READ_ONLY = 0x20_3000;
export const READ_ONLY_BYTES = 0x1000;
export const FS_BASE = 0x1f_f000;

/** 16-bit code has segments of 64 KiB of its own, in the LDT, that reach code and data at offsets from 8000h. */
export const CODE_16_BASE = CODE - 0x8000;
export const DATA_16_BASE = DATA - 0x8000;
export const SEGMENT_16_LIMIT = 0xffff;

export const WINDOW_BYTES = 256;
/** Across the page boundary, and up to where memory ends. */
export const WINDOWS = [DATA + 0x1000 - WINDOW_BYTES / 2, DATA + DATA_BYTES - WINDOW_BYTES] as const;

/** The byte at an offset of the read-only page. */
export const pattern = (offset: number): number => (offset * 7 + (offset >> 8) + 3) & 0xff;

export const INT3 = 0xcc;
export const CODE_LENGTH_MAX = 96;
export const FX_BYTES = 512; // the FXSAVE image

// A case on the wire, in bytes
export const CASE_CODE_ADDRESS = 0; // u64
export const CASE_DATA_SELECTOR = 8; // u64: DS, ES and SS
export const CASE_RFLAGS = 16; // u64
export const CASE_FAR_POINTER = 24; // u32 offset, u16 selector of the code
export const CASE_CODE = 32; // CODE_LENGTH_MAX bytes
export const CASE_GPR = 128; // 16 u64 in encoding order
export const CASE_FX = 256;
export const CASE_WINDOWS = CASE_FX + FX_BYTES;
export const CASE_BYTES = CASE_WINDOWS + WINDOWS.length * WINDOW_BYTES;

// An outcome: the registers in the order of Linux's ucontext
export const OUTCOME_GREGS = 0;
export const OUTCOME_FX = 256;
export const OUTCOME_WINDOWS = OUTCOME_FX + FX_BYTES;
export const OUTCOME_BYTES = OUTCOME_WINDOWS + WINDOWS.length * WINDOW_BYTES;
/** Where each general register, in encoding order, stands among the gregs. */
export const GREG_OF_GPR = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7] as const;
export const GREG_RIP = 16;
export const GREG_RFLAGS = 17;
export const GREG_ERROR = 19;
export const GREG_VECTOR = 20;
export const GREG_CR2 = 22;

/** A record's selectors in user space of Linux, and of the emulated environment. */
export const CODE_SELECTOR_64 = 0x33;
export const CODE_SELECTOR_32 = 0x23;
export const DATA_SELECTOR = 0x2b;
export const CODE_SELECTOR_16 = 0x07; // LDT entries 0 and 1
export const DATA_SELECTOR_16 = 0x0f;
