// The privileged operations of the processor, as wasm imports. kernel/compiler inlines each one as machine
// code: `kernel/compiler/intrinsics.ts` has one row for every line here, and a test compares the two lists.
// In Node, where the same .wasm runs under unit tests, imports are stubs that throw unless a test gives one.
//
// Addresses: `usize` is a wasm address, which is a guest-physical address below 4 GiB, reached through the
// direct map (DIRECT_MAP + address). `u64` addresses are virtual: user pointers, or device registers
// already mapped. The compiler keeps DIRECT_MAP in r15.

// --- Ports and device registers (never merged, never reordered) ---
export declare function in8(port: u32): u32;
export declare function in16(port: u32): u32;
export declare function in32(port: u32): u32;
export declare function out8(port: u32, value: u32): void;
export declare function out16(port: u32, value: u32): void;
export declare function out32(port: u32, value: u32): void;
/** Device registers by physical address (64 bits wide: QEMU may place a BAR above 4 GiB). */
export declare function mmioRead8(physical: u64): u32;
export declare function mmioRead16(physical: u64): u32;
export declare function mmioRead32(physical: u64): u32;
export declare function mmioRead64(physical: u64): u64;
export declare function mmioWrite8(physical: u64, value: u32): void;
export declare function mmioWrite16(physical: u64, value: u32): void;
export declare function mmioWrite32(physical: u64, value: u32): void;
export declare function mmioWrite64(physical: u64, value: u64): void;

// --- Control ---
export declare function rdmsr(register: u32): u64;
export declare function wrmsr(register: u32, value: u64): void;
export declare function readCr0(): u64;
export declare function writeCr0(value: u64): void;
export declare function readCr2(): u64;
export declare function readCr3(): u64;
export declare function writeCr3(value: u64): void;
export declare function readCr4(): u64;
export declare function writeCr4(value: u64): void;
export declare function invlpg(virtual: u64): void;
/** Operand: wasm address of the 10-byte limit and base. `lgdt` also reloads CS (selector 8), SS, DS, ES (16). */
export declare function lgdt(operand: usize): void;
export declare function lidt(operand: usize): void;
export declare function ltr(selector: u32): void;
export declare function cli(): void;
export declare function sti(): void;
/** STI; HLT as one pair, so that no interrupt is lost between them. */
export declare function stiHlt(): void;
export declare function hlt(): void;
export declare function pause(): void;
export declare function mfence(): void;
export declare function rdtsc(): u64;
/** CPUID into four u32 (eax, ebx, ecx, edx) at `into`. */
export declare function cpuid(leaf: u32, subleaf: u32, into: usize): void;
/** Of a processor that announces it. 0: it has no random number at this moment. */
export declare function rdrand(): u64;
export declare function readFlags(): u64;
/** High 64 bits of the 128-bit product. */
export declare function mulhu(a: u64, b: u64): u64;

/** CRC-32C over `bytes`, a multiple of 8, from `sum` on, by SSE4.2's CRC32. */
export declare function crc32c(sum: u32, at: usize, bytes: u32): u32;

// --- This core ---
/** Wasm address of this core's block: GS:[0]. The block begins: 0 self u64 (wasm address), 8 kernel stack
 * top u64 (virtual, used by the SYSCALL stub), 16 scratch u64 (user RSP while the stub runs). MSR GS_BASE
 * holds the block's virtual address (DIRECT_MAP + wasm address: the stubs know the kernel's GS by its upper
 * half), KERNEL_GS_BASE the user's; a user's GS base must never be in the upper half. */
export declare function coreBlock(): usize;

// --- User memory. A fault that trap() cannot resolve resumes at the fix-up address (fixupFor) ---
/** Bytes NOT copied: 0 when all went well. A user range that is not all in the lower half is refused whole. */
export declare function copyFromUser(to: usize, from: u64, bytes: usize): usize;
export declare function copyToUser(to: u64, from: usize, bytes: usize): usize;
/** LOCK CMPXCHG of a u32 in user memory; the value seen goes to `seen`. False when it faulted. */
export declare function userCompareExchange32(at: u64, expected: u32, value: u32, seen: usize): bool;
/** For a faulting kernel RIP: the address to resume at, or 0 when that instruction may not fault. */
export declare function fixupFor(rip: u64): u64;

// --- Stacks, threads, entries: stubs that the compiler writes (kernel/compiler/stubs.ts) ---
/** Save this stack's context, its pointer at `save` (u64); continue on the stack whose pointer is `next`. */
export declare function switchStack(save: usize, next: u64): void;
/** A fresh context at the top of a stack (wasm address of its end): the first switch to the value returned
 * calls the exported `threadMain()` with interrupts off. */
export declare function newStack(top: usize): u64;
/** Load this TrapFrame (wasm address, anywhere in kernel memory) and return to it by IRETQ; never returns. A
 * frame for user mode must have a canonical RIP, CS 43, SS 35: else the IRETQ faults here ("return to user"). */
export declare function resume(frame: usize): void;
export declare function fxsave(area: usize): void;
export declare function fxrstor(area: usize): void;
/** Wasm address of 256 u64: the virtual address of each vector's entry stub. Vectors 1, 2, 8 and 18 (#DB, NMI,
 * #DF, #MC) find out whose GS is loaded by reading its MSR and may have stacks of their own (IST); trap()
 * must not switch threads there. All stubs expect interrupt gates, which clear IF. */
export declare function trapStubs(): usize;
/** Virtual address of the SYSCALL entry stub. MSR SFMASK must clear IF, DF, TF and NT. */
export declare function syscallStub(): u64;
/** Real-mode start-up code to be copied to a page below 640 KiB: its wasm address and size. It calls the
 * exported `bootCore()` on the stack whose end (wasm address, u64) is in the last 8 bytes of that page, with
 * the page-table root (u32 physical) in the 4 bytes before. The root
 * must map that page and the image identically too, as the boot tables do (readCr3() in boot()). */
export declare function coreStartCode(): usize;
export declare function coreStartBytes(): usize;

// --- The image ---
/** First byte after the image and its data, as a wasm address. */
export declare function imageEnd(): usize;
/** Function symbols, sorted: u32 count, then count times {u32 start (wasm address), u32 name (wasm
 * address of a zero-terminated ASCII string)}. */
export declare function symbols(): usize;
/** Lies on the end of the running function's frame (symbols()). */
export declare function stackPointer(): usize;
/** An address in the running function. */
export declare function instructionPointer(): u64;
