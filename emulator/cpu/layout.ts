// The machine's shared memory, drawn. One `WebAssembly.Memory` holds everything that generated code touches:
//
//   0000_0000  machine words (64 KiB): RAM size, A20 mask, bus lock, ...
//   0001_0000  core blocks, CORE_BYTES each, CORES_MAX of them
//   CODE_GENERATIONS  one u32 per physical page of RAM: bit 0 = stores to it are looked at, rest = its generation
//   CODE_LINES        one u64 per physical page of RAM: bit n = code was decoded from the 64 bytes at n * 64
//   then, placed by `plan()` in engine.ts for the cores and the RAM that the machine has:
//   decoded-op caches (one per core) · ROM · RAM (page aligned, physical 0 first)
//
// This file is read by TypeScript and by the microcode (AssemblyScript): plain numeric constants only, offsets in
// bytes from the start of a core block unless the name says otherwise.

export const MACHINE_WORDS = 0x0;
export const RAM_BASE_WORD = 0x10; // u32: wasm address of physical 0
export const RAM_BYTES_WORD = 0x14; // u32
export const ROM_BASE_WORD = 0x18; // u32: wasm address of the ROM
export const ROM_BYTES_WORD = 0x1c; // u32: it ends at physical 4 GiB; its last 128 KiB show below 1 MiB as well
export const A20_MASK_WORD = 0x20; // u32: anded to physical address bits 31..0; all ones or ~0x100000
export const BUS_LOCK_WORD = 0x24; // u32: 0 free, else owner core + 1
export const CORE_COUNT_WORD = 0x28; // u32
export const LIVE_WORD = 0x2c; // u32: 1 when each core runs on a thread of its own
export const ZERO_WORD = 0x30; // u64: always 0; stands for the code generation of what is not RAM

export const STORE_BUFFER_WORD = 0x38; // u32: entries of each core's store buffer; 0: there is none (microcode/store-buffer.ts)
export const SHADOWED_WORD = 0x3c; // u32: 1 when the ROM's place below 1 MiB is RAM that holds a copy of it
export const SLOW_DATA_WORD = 0x40; // u32: not 0: every data access takes the slow way, for store buffers or for who looks on
export const WATCHERS_WORD = 0x48; // u64: cores that want to know of stores to their MONITOR_HOST (monitor.ts)
export const LOOKING_WORD = 0x44; // u32: what the host is told of: LOOKING_DATA, LOOKING_WALKS (onlooker.ts)
export const LOOKING_DATA = 1;
export const LOOKING_WALKS = 2;

/** CRC-32C eight bytes at a time: table n, 256 u32, is what a byte that n others follow does to the sum (instructions/sse-string.ts). */
export const CRC_TABLES = 0x4000;
export const CRC_TABLE_BYTES = 1024;

/** A TLB bank whose tags are TLB_NONE for ever: every access goes the slow way, where alignment is checked. */
export const EMPTY_BANK = 0x8000;

export const CORES_BASE = 0x1_0000;
export const CORE_BYTES = 0x4_0000;
export const CODE_GENERATIONS = 0x102_0000; // 64 * 256 KiB core blocks end at 0x101_0000
export const CODE_GENERATIONS_BYTES = 0x30_0000; // 3 GiB / 4 KiB * 4
export const CODE_LINES = 0x132_0000;
export const CODE_LINES_BYTES = 0x60_0000; // 3 GiB / 4 KiB * 8
export const PLANNED_BASE = 0x192_0000;

// --- Architectural state ---
export const GPR = 0x000; // 16 u64: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15
export const RIP = 0x080; // u64: the current instruction's, exact at every instruction boundary and fault
// The six arithmetic flags, lazily, from two words:
//   RESULT  sign-extended result: ZF = it is 0, SF = its bit 63 (xor CARRIES bit 0), PF = even parity of its low
//           byte (xor CARRIES bit 1)
//   CARRIES carry-out vector of the operation shifted so that the top bit's carry is bit 63: CF = bit 63,
//           OF = bit 63 xor bit 62, AF = bit 3 (the unshifted vector's bit 3); bits 0-2 are zero after arithmetic
export const FLAGS_RESULT = 0x088;
export const FLAGS_CARRIES = 0x090;
export const FLAGS_OTHER = 0x098; // u64: RFLAGS without CF PF AF ZF SF OF; bit 1 always set
export const CR0 = 0x0a0; // u64 each
export const CR2 = 0x0a8;
export const CR3 = 0x0b0;
export const CR4 = 0x0b8;
export const EFER = 0x0c0;
export const CPL = 0x0c8; // u32
export const MODE = 0x0cc; // u32: MODE_* below; kept by the microcode whenever CR0, EFER or CS change
export const GDTR_BASE = 0x0d0;
export const GDTR_LIMIT = 0x0d8; // u32
export const IDTR_BASE = 0x0e0;
export const IDTR_LIMIT = 0x0e8; // u32

// Segment registers: SEGMENTS + index * SEGMENT_BYTES; order ES CS SS DS FS GS LDTR TR
export const SEGMENTS = 0x100;
export const SEGMENT_BYTES = 32;
export const SEG_SELECTOR = 0; // u32
export const SEG_ATTRIBUTES = 4; // u32: bits 8..23 of the descriptor's high dword, in place; 0 = null
export const SEG_BASE = 8; // u64
export const SEG_LIMIT = 16; // u32, in bytes, inclusive
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;

export const MSR_STAR = 0x200; // u64 each
export const MSR_LSTAR = 0x208;
export const MSR_CSTAR = 0x210;
export const MSR_SFMASK = 0x218;
export const MSR_KERNEL_GS_BASE = 0x220;
export const MSR_TSC_AUX = 0x228;
export const MSR_SYSENTER_CS = 0x230;
export const MSR_SYSENTER_ESP = 0x238;
export const MSR_SYSENTER_EIP = 0x240;
export const MSR_PAT = 0x248;
export const MSR_TSC_OFFSET = 0x250; // i64: TSC = machine nanoseconds + this
export const DR = 0x280; // 8 u64
export const PDPTE = 0x2c0; // 4 u64: the page-directory-pointer registers of PAE paging outside long mode
export const XMM = 0x300; // 16 of 16 bytes
export const MXCSR = 0x400; // u32
export const FCW = 0x404; // u32; x87 words
export const FSW = 0x408;
export const FTW = 0x40c; // u32: abridged tag (1 = valid), one bit a register
export const ST = 0x410; // 8 physical registers of 16 bytes (80 bits used), R0 first
export const FOP = 0x490; // u32
export const FCS = 0x494; // u16: selectors of the last x87 instruction, and of its operand
export const FDS = 0x496; // u16
export const FIP = 0x498;
export const FDP = 0x4a0;
export const X87_ERROR = 0x4a8; // u32: with CR0.NE clear: 0, FERR_ASSERTED, IGNNE_ASSERTED
export const FERR_ASSERTED = 1;
export const IGNNE_ASSERTED = 2;
/** Where the board listens for FERR# (board/map.ts), and the port whose write asserts IGNNE#. */
export const FERR_PIN = 0x1_0000;
export const COPROCESSOR_PORT = 0xf0;

// --- Execution state ---
export const FAULT_VECTOR = 0x500; // i32: -1 none; else the exception that the current instruction raised
export const STEP_WANTED = 0x100; // no exception: nothing was done, and the instruction has to run on its own (microcode/debug.ts)
export const FAULT_ERROR = 0x504; // u32
export const FAULT_HAS_ERROR = 0x508; // u32
export const SHADOW = 0x50c; // u32: what is held off for one instruction: SHADOW_INTERRUPTS (STI), SHADOW_STACK (MOV SS, POP SS), or 0
export const ACTIVITY = 0x510; // u32: ACTIVE, HALTED, WAIT_FOR_SIPI, SHUTDOWN
export const NMI_BLOCKED = 0x514; // u32: until IRET
export const CORE_INDEX = 0x518; // u32
export const RETIRED = 0x520; // u64: instructions retired; RESET leaves it alone
export const RUN_STATE = 0x528; // u32, atomic: 0 parked (not touching memory), 1 running
export const CODE_WRITTEN = 0x52c; // u32: set by microcode whose store hit decoded code, or made a device want attention; the engine clears it and ends the block
export const REPEATING = 0x530; // u32: 1 = RIP names a repeated string instruction that has done some of its iterations
export const INTERRUPT_WANTED = 0x534; // u32: an interrupt was announced, and has not been looked for with IF set since
export const NMI_WANTED = 0x538; // u32: NMIs that wait: at most one while they are blocked, two otherwise
export const DEBUG_PENDING = 0x53c; // u32: debug traps that wait for an instruction boundary, as bits of DR6 (microcode/debug.ts)
export const SCRATCH = 0x540; // 64 bytes: results of calls to the host (CPUID, TSC)
export const STORES_WAITING = 0x580; // u32: entries in the store buffer
export const A20_SEEN = 0x584; // u32: the A20 mask under which this core's TLB was filled
export const MAILBOX = 0x600; // 64 u32, atomic, written by other threads too (devices/local-apic.ts)
export const ATTENTION = 0x640; // u32, atomic: ATTENTION_* bits; = MAILBOX word 16

// ATTENTION bits
export const ATTENTION_INTERRUPT = 1; // the local APIC may have an interrupt to give
export const ATTENTION_NMI = 2;
export const ATTENTION_INIT = 4;
export const ATTENTION_SIPI = 8;
export const ATTENTION_STOP = 16; // the host wants the core back: run() returns
export const ATTENTION_BUS_LOCK = 32; // another core holds the bus: park until BUS_LOCK_WORD is 0
export const ATTENTION_COUNTERS = 64; // PERF_DUE or PERF_BLOCKS has changed
export const ATTENTION_DEBUG = 128; // a debug trap waits in DEBUG_PENDING
export const ATTENTION_STORED = 256; // MONITOR_STORED is 1, for a thread that sleeps

// --- The engine's own words (decode.ts, interpreter.ts); nobody else writes them ---
export const ZERO = 0x700; // u64: always 0; what an absent base or index register reads
export const BLOCK_RIP = 0x708; // u64: RIP of the first instruction of the block that runs
export const TLB_BANK = 0x710; // u32: wasm address of the TLB bank in use for data
export const SSE_TRAP = 0x714; // u32: vector that an SSE instruction raises under the present CR0 and CR4, or 0
export const FPU_TRAP = 0x718; // u32: the same for x87 and MMX instructions
export const BLOCK_MODE = 0x71c; // u32: the bits of MODE by which code is decoded
export const RUN_BUDGET = 0x720; // i32: what is left of run()'s budget, as of the last slow call or exit
export const RUN_START = 0x724; // i32: run()'s budget
export const RUN_OP = 0x728; // u32: wasm address of the op that made a slow call; 0 between instructions
export const CHAIN_SINK = 0x730; // u32: takes links that must not be kept
export const RETURN_NEXT = 0x73c; // u32: offset in RETURNS where the next call goes
export const BLOCK_FOUND = 0x734; // u32: the block that an exit code is about
export const TLB_CODE_BANK = 0x744; // u32: ... for instructions
export const CODE_CACHE_AT = 0x738; // u32: wasm address of this core's decoded-op cache
export const STEPPING = 0x748; // u32: one instruction at a time: data breakpoints are noted, and elsewhere ask for that
export const DEBUG_CHANGED = 0x74c; // u32: the debug registers were written: the run loop looks at them
export const RUN_STOP = 0x750; // u32: the op that may not run any more and is a stop meanwhile, or 0
export const RUN_STOPPED = 0x754; // u32: its handler
export const RETURNS = 0x780; // 16 u32, a ring: of the latest calls the OP_GUESS of the record behind each, where its return leads
export const RETURNS_BYTES = 64;

// --- More architectural state: what RDMSR and WRMSR alone reach (microcode/msr-words.ts), and what came after SSE ---
export const MORE_STATE = 0x800;
export const XCR0 = 0x800; // u64: XSAVE's state components in use
export const PKRU = 0x808; // u32: rights of the 16 protection keys
export const MSR_TSC_ADJUST = 0x810; // u64 each
export const MSR_MISC_ENABLE = 0x818;
export const MSR_DEBUGCTL = 0x820;
export const MSR_MTRR_DEF_TYPE = 0x828;
export const MSR_MCG_STATUS = 0x830;
export const MSR_MCG_CTL = 0x838;
export const MSR_SYSCFG = 0x840;
export const MSR_HWCR = 0x848;
export const MSR_TOP_MEM = 0x850;
export const MSR_TOP_MEM2 = 0x858;
export const MSR_NB_CFG = 0x860;
export const MSR_DE_CFG = 0x868;
export const MSR_FP_CFG = 0x870;
export const MSR_MTRR_VARIABLE = 0x880; // base and mask, eight of each
export const MSR_MTRR_FIXED = 0x900; // 64K, 2 of 16K, 8 of 4K
export const MSR_MC_BANKS = 0x960; // CTL STATUS ADDR MISC, six times
export const RANDOM_KEY = 0xa20; // 8 u32 and a u64 that counts: RDRAND's generator (microcode/random.ts)
export const RANDOM_COUNT = 0xa40;
export const MONITOR_ARMED = 0xa48; // u32: MONITOR has named a line (microcode/monitor.ts)
export const MONITOR_BREAKS = 0xa4c; // u32: MWAIT's ECX bit 0: interrupts wake it with IF clear as well
export const MONITOR_HOST = 0xa50; // u32: wasm address of the line, or 0
export const MONITOR_STORED = 0xa54; // u32: 1 when somebody has stored to it since
/** Bits of MSR_DEBUGCTL: branches are recorded; TF traps after branches alone. */
export const DEBUGCTL_LBR = 1;
export const DEBUGCTL_BTF = 2;
export const MSR_LAST_BRANCH_FROM = 0xa58; // u64 each: while DebugCtl.LBR is set (branch-records.ts)
export const MSR_LAST_BRANCH_TO = 0xa60;
export const MSR_LAST_INTERRUPT_FROM = 0xa68; // the branch before the latest interrupt or exception
export const MSR_LAST_INTERRUPT_TO = 0xa70;
export const MORE_STATE_END = 0xa80;
export const MC_BANKS = 6;

// --- The store buffer, oldest entry first (microcode/store-buffer.ts) ---
export const STORE_BUFFER = 0xb00;
export const STORE_BUFFER_MAX = 64; // entries
export const STORE_BYTES = 16;
export const STORE_VALUE = 0; // u64
export const STORE_HOST = 8; // u32: wasm address in RAM
export const STORE_LENGTH = 12; // u32: 1, 2, 4 or 8 bytes, all in one page

// --- Performance counters (microcode/performance.ts) ---
export const PERFORMANCE = 0xf00;
export const PERF_COUNTERS = 6;
export const PERF_SELECT = 0xf00; // u64 each: PERF_CTL0..5
export const PERF_COUNT = 0xf30; // u64 each: PERF_CTR0..5, as of PERF_SEEN
export const PERF_SEEN = 0xf60; // u64: RETIRED when the counters were last brought up to date
export const PERF_SKEW = 0xf68; // u64: what RETIRED holds beyond instructions: iterations, exceptions
export const PERF_INSTRUCTIONS_SEEN = 0xf70; // u64
export const PERF_BRANCHES = 0xf78; // u64: counted by the engine while PERF_BLOCKS is set
export const PERF_BRANCHES_SEEN = 0xf80;
export const PERF_TAKEN = 0xf88; // u64
export const PERF_TAKEN_SEEN = 0xf90;
export const PERF_DUE = 0xf98; // f64: RETIRED at which a counter may overflow and interrupt, or Infinity
export const PERF_ACTIVE = 0xfa0; // u32: some counter is enabled
export const PERF_FILTERS = 0xfa4; // u32: ... at some levels only
export const PERF_BLOCKS = 0xfa8; // u32: ... and counts branches
export const PERF_LEVEL = 0xfac; // u32: CPL since PERF_SEEN
export const PERF_REPEAT = 0xfb0; // i32: the budget when the repeated instruction under way began, or -2^31
export const PERFORMANCE_END = 0xfb8;

// --- Decoded-op cache: a hash table of blocks by physical address, then the blocks; each a header and its ops ---
// As many heads as Linux with its programs has blocks: found at the first look, mostly.
export const BLOCK_HASH_ENTRIES = 131072; // u32 each: wasm address of the first block, 0 none
export const BLOCK_HEADER_BYTES = 32;
export const BLOCK_PHYSICAL = 0; // u32: of its first byte
export const BLOCK_GENERATION = 4; // u32: the page's CODE_GENERATIONS word when it was decoded
export const BLOCK_GENERATION_AT = 8; // u32: wasm address of that word
export const BLOCK_NEXT = 12; // u32: next block of the same hash
export const BLOCK_KEY = 16; // u8: BLOCK_MODE it was decoded under
export const BLOCK_COUNT = 17; // u8: instructions
export const BLOCK_BYTES = 18; // u8: code bytes
export const BLOCK_FUSED = 19; // u8: 1 when it is fused, as far as it can be
export const BLOCK_SECOND_AT = 20; // u32: generation word of the page into which its only instruction runs on, or 0
export const BLOCK_SECOND_GENERATION = 24; // u32
export const BLOCK_SECOND_PAGE = 28; // u32: physical page number
export const BLOCK_HEAT = 28; // u32, of a block without a second page: instructions of slices that ended in it (fusion.ts)

// An op is half a cache line: code that runs seldom costs what its records cost to fetch.
export const OP_BYTES = 32;
export const OP_HANDLER = 0; // u16: table slot of what does it: the form's handler, or a function that does the ops behind it as well
export const OP_OWN = 2; // u16: table slot of the form's handler
export const OP_REGISTERS = 4; // 3 u16, by operand number: offset of the register in the core block, or the register's number
export const OP_IMMEDIATE2 = 8; // u16, for the third of them: second immediate (ENTER); of an x87 instruction its opcode as FOP has it
export const OP_BASE = 10; // u16: offset of the base register (ZERO, BLOCK_RIP) in the core block, 64 wide
export const OP_CHAIN = 4; // u32, of a near branch, which has no registers: block that follows when it is taken, once known
export const OP_PATCH = 8; // u32, of a near branch: where enter() writes that block: OP_CHAIN of this op, or OP_GUESS
export const OP_INDEX = 12; // u16: offset of the index register
export const OP_SCALE = 14; // u8: log2, modulo 64 as shifts take it
export const OP_FLAGS = 14; // ... with OP_STACK_BASED
export const OP_LENGTH = 15; // u8: bytes
export const OP_OFFSET = 16; // u8: of its first byte from the block's
export const OP_REST = 17; // u8: instructions of the block after this one
export const OP_CODE = 18; // u16: iced's Code, for reports
export const OP_SHORT = 20; // i32: the immediate beside a displacement
export const OP_GUESS = 20; // u32, of an op that leaves for another page or for where a register says, and of a block's end: the block that came last; enter() looks whether it is
export const OP_LONG = 24; // i64: the displacement from the base (RIP-relative: from BLOCK_RIP); without one the immediate, as wide as the operand; of a near branch the target's distance from BLOCK_RIP
export const OP_STACK_BASED = 64; // the memory operand is in SS: non-canonical is #SS(0)

export const ACTIVE = 0;
export const HALTED = 1; // by HLT, or by MWAIT while MONITOR_ARMED
export const WAIT_FOR_SIPI = 2;
export const SHUTDOWN = 3;

// SHADOW: interrupts, or those and debug exceptions
export const SHADOW_INTERRUPTS = 1;
export const SHADOW_STACK = 2;

// MODE bits
export const MODE_PROTECTED = 1; // CR0.PE and not virtual-8086
export const MODE_LONG = 2; // EFER.LMA
export const MODE_64 = 4; // LMA and CS.L
export const MODE_CODE32 = 8; // CS.D, default operand and address size 32 (outside 64-bit mode)
export const MODE_PAGING = 16;
export const MODE_V86 = 32;
export const MODE_STACK32 = 64; // SS.B: ESP is used (outside 64-bit mode)

// --- TLB: five banks of direct-mapped entries. For data: supervisor, user, and supervisor while SMAP is on and RFLAGS.AC
// set; for instructions: supervisor and user. Apart, since the engine follows a block's links without a look at the TLB: what
// data do must not take the entry of the page that runs, or which code happens to be decoded would decide what the TLB holds.
// A tag is the page's virtual address when the access needs nothing but the host address; the address with bit 1 set
// (TLB_SLOW) when the entry allows it but the slow path must look again (device memory, a store to ROM or to a page
// that code was decoded from, a user page under SMAP); TLB_NONE when the tables have to be walked. TLB_READ names
// the page in every valid entry.
export const TLB = 0x1000;
export const TLB_DATA_BANKS = 3;
export const TLB_BANKS = 5;
export const TLB_ENTRIES = 512; // per bank; va's is number (va >> 12 ^ va >> 21) & 511
export const TLB_ENTRY_BYTES = 64; // a cache line
export const TLB_READ = 0; // u64: page-aligned virtual address that may be read fast, or TLB_NONE
export const TLB_WRITE = 8; // u64: ... written fast (dirty bit already set, RAM, not ROM); never in a bank for instructions
export const TLB_EXECUTE = 16; // u64
export const TLB_HOST = 24; // u32: wasm address of the page; 0 when neither RAM nor ROM answers
export const TLB_PHYSICAL = 28; // u32: physical page number (may lie outside RAM: then no fast tag is set)
export const TLB_FLAGS = 32; // u32: TLB_VALID ... | page size's log2 << 8 (8 bits)
export const TLB_NONE = 1; // an odd tag never equals a page address
export const TLB_SLOW = 2;
// What microcode/tlb.ts keeps so that a flush costs what it drops; nobody else writes it.
export const TLB_LIVE_COUNT = 0x2_9000; // u32: length of TLB_LIVE
export const TLB_SWEPT = 0x2_9004; // u32: 0 until the whole TLB has been cleared once
export const TLB_HUGE = 0x2_9008; // u32: fragments of pages other than 4 KiB and 2 MiB are or were there
export const TLB_LIVE = 0x2_9100; // u16 each: entries (of all banks) that have been filled
export const TLB_REGIONS = 0x2_a500; // bits: 2 MiB regions (hashed) of which fragments of a 2 MiB page are or were there
export const TLB_REGIONS_BYTES = 0x200;
// bits of TLB_FLAGS
export const TLB_VALID = 1;
export const TLB_GLOBAL = 2;
export const TLB_WRITABLE = 4; // by the tables' R/W bits alone
export const TLB_EXECUTABLE = 8;
export const TLB_DIRTY = 16;
export const TLB_LARGE = 32; // a 4 KiB fragment of a larger page
export const TLB_USER = 64;
export const TLB_ROM = 128;
export const TLB_LISTED = 0x1_0000; // in TLB_LIVE
export const TLB_KEY_SHIFT = 20; // bits 23..20: the protection key of the last entry
export const TLB_BANK_SHIFT = 24; // bits 26..24, in the second level: the bank

// --- The TLB's second level: translations of the contexts (PCIDs) that CR3 does not hold (microcode/contexts.ts) ---
export const CONTEXT_COUNT = 0x2_900c; // u32: entries in use
export const CONTEXT_TURN = 0x2_9010; // u32: which way of a full set makes room next
export const CONTEXTS = 0x2_b000; // sets of CONTEXT_WAYS entries, a cache line each
export const CONTEXT_ENTRIES = 1024;
export const CONTEXT_WAYS = 4;
export const CONTEXT_BYTES = 16;
export const CONTEXT_TAG = 0; // u64: page-aligned virtual address | PCID
export const CONTEXT_FLAGS = 8; // u32: as TLB_FLAGS, with the bank; 0: empty
export const CONTEXT_PHYSICAL = 12; // u32: physical page number
export const TLB_END = 0x2_f000; // of all that says which translations a core holds

// --- Microcode calls (emulator/cpu/microcode): `name(core, a, b, ...)`, all u64 but core ---
// The access argument of translate(), linear() and, from bit 8 on, the bytes argument of the slow loads and stores:
export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_EXECUTE = 2;
export const ACCESS_IMPLICIT = 4; // descriptor tables, TSS: supervisor whatever CPL is, and never to user pages under SMAP
export const ACCESS_SUPERVISOR = 8; // as if CPL were below 3: pushes on the stack of an inner level
export const ACCESS_STACK = 0x100; // based on RSP, RBP or SS: a non-canonical address is #SS(0), not #GP(0)
/** translate() gives a wasm address; 0 after a fault; or the physical address with this bit set: ask the bus. */
export const ON_BUS_BIT = 63;

/** The kind of event, last argument of interrupt() and third of softwareInterrupt(). */
export const EVENT_EXTERNAL = 0;
export const EVENT_NMI = 1;
export const EVENT_SOFTWARE = 2; // INT n
export const EVENT_SOFTWARE_EXCEPTION = 3; // INT3, INTO: no IOPL check in virtual-8086 mode
export const EVENT_PRIVILEGED = 4; // INT1: no check of the gate's DPL
export const EVENT_FAULT = 5;
export const EVENT_TRAP = 6; // #DB after an instruction

/** What MXCSR may hold, as FXSAVE tells. */
export const MXCSR_MASK = 0xffff;
