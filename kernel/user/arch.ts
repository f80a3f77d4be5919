// What a user program written in the dialect gets from the processor, as wasm imports that the compiler turns
// into machine code (kernel/compiler/intrinsics.ts: userIntrinsics has one row for every line here).
//
// A program's image is at 0x40_0000 and a wasm address is a virtual address below 4 GiB, so memory for
// load and store must come from there (mmap with MAP_32BIT, or a fixed low address). The program exports
// `start(stack: u64): void`: `stack` is the initial stack pointer, above 4 GiB, where argc, argv, envp and
// the auxiliary vector stand; read them with peek. When `start` returns, the program ends with status 0.
// A failed assertion ends it by SIGILL.

/** SYSCALL with the Linux x86-64 convention: the result, or a negative errno. */
export declare function syscall(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64): i64;
/** A thread of this process by clone(2); it calls `entry` (a function's table index, (argument: usize) => void)
 * on the stack that ends at `stackTop` (a multiple of 16), then exits with 0. Returns its id or a negative errno. */
export declare function threadStart(entry: u32, argument: usize, stackTop: usize): i64;
export declare function pause(): void;
export declare function mfence(): void;
export declare function rdtsc(): u64;

// --- Memory at any virtual address; never merged, never reordered ---
export declare function peek8(address: u64): u32;
export declare function peek16(address: u64): u32;
export declare function peek32(address: u64): u32;
export declare function peek64(address: u64): u64;
export declare function poke8(address: u64, value: u32): void;
export declare function poke16(address: u64, value: u32): void;
export declare function poke32(address: u64, value: u32): void;
export declare function poke64(address: u64, value: u64): void;

/** UD2, which raises SIGILL. */
export declare function undefinedInstruction(): void;
/** First byte after the image and its data. */
export declare function imageEnd(): usize;
/** Where the code of a function begins, by its table index: for what takes addresses, such as rt_sigaction(2). */
export declare function codeOf(entry: u32): u64;
