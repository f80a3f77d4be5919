// What this processor can do, by its CPUID bits. AMD APM vol. 3, appendix E; Intel SDM vol. 2, CPUID. Each feature bit
// stands with the instructions that it promises, by the names of iced's CPUID features; test/cpu/features.test.ts holds
// the rows against them. A bit without instructions promises behaviour, and says where that is. cpuid.ts makes leaves.

export type Register = "eax" | "ebx" | "ecx" | "edx";

export interface Feature {
  readonly name: string;
  readonly leaf: number;
  /** 0 unless told. */
  readonly subleaf?: number;
  readonly register: Register;
  readonly bit: number;
  /** iced's names of the instruction sets that come with it. */
  readonly instructions?: readonly string[];
}

/** What every x86-64 processor has, without a bit. */
export const baseInstructions: readonly string[] = [
  "INTEL8086",
  "INTEL8086_ONLY",
  "INTEL186",
  "INTEL286",
  "INTEL386",
  "INTEL486",
  "X64",
  "CPUID",
  "PAUSE",
  "MULTIBYTENOP",
];

// biome-ignore format: a table
export const features: readonly Feature[] = [
  { name: "fpu", leaf: 1, register: "edx", bit: 0, instructions: ["FPU", "FPU287", "FPU387"] },
  { name: "vme", leaf: 1, register: "edx", bit: 1 }, // CR4.VME and PVI: microcode/virtual.ts
  { name: "de", leaf: 1, register: "edx", bit: 2 }, // CR4.DE: microcode/control.ts
  { name: "pse", leaf: 1, register: "edx", bit: 3 }, // 4 MiB pages: microcode/walk.ts
  { name: "tsc", leaf: 1, register: "edx", bit: 4, instructions: ["TSC"] },
  { name: "msr", leaf: 1, register: "edx", bit: 5, instructions: ["MSR"] },
  { name: "pae", leaf: 1, register: "edx", bit: 6 },
  { name: "mce", leaf: 1, register: "edx", bit: 7 }, // CR4.MCE; no machine check ever comes
  { name: "cx8", leaf: 1, register: "edx", bit: 8, instructions: ["CX8"] },
  { name: "apic", leaf: 1, register: "edx", bit: 9 }, // while IA32_APIC_BASE enables it
  { name: "sep", leaf: 1, register: "edx", bit: 11, instructions: ["SEP"] },
  { name: "mtrr", leaf: 1, register: "edx", bit: 12 }, // the MSRs: microcode/msr-words.ts
  { name: "pge", leaf: 1, register: "edx", bit: 13 }, // global pages: microcode/tlb.ts
  { name: "mca", leaf: 1, register: "edx", bit: 14 }, // the banks' MSRs: microcode/msr-words.ts
  { name: "cmov", leaf: 1, register: "edx", bit: 15, instructions: ["CMOV"] },
  { name: "pat", leaf: 1, register: "edx", bit: 16 }, // the MSR; memory types make no difference here
  { name: "pse36", leaf: 1, register: "edx", bit: 17 },
  { name: "clflush", leaf: 1, register: "edx", bit: 19, instructions: ["CLFSH"] },
  { name: "mmx", leaf: 1, register: "edx", bit: 23, instructions: ["MMX"] },
  { name: "fxsr", leaf: 1, register: "edx", bit: 24, instructions: ["FXSR"] },
  { name: "sse", leaf: 1, register: "edx", bit: 25, instructions: ["SSE"] },
  { name: "sse2", leaf: 1, register: "edx", bit: 26, instructions: ["SSE2"] },
  { name: "sse3", leaf: 1, register: "ecx", bit: 0, instructions: ["SSE3"] },
  { name: "monitor", leaf: 1, register: "ecx", bit: 3, instructions: ["MONITOR"] },
  { name: "ssse3", leaf: 1, register: "ecx", bit: 9, instructions: ["SSSE3"] },
  { name: "cx16", leaf: 1, register: "ecx", bit: 13, instructions: ["CMPXCHG16B"] },
  { name: "pcid", leaf: 1, register: "ecx", bit: 17 }, // CR4.PCIDE: microcode/control.ts
  { name: "sse4_1", leaf: 1, register: "ecx", bit: 19, instructions: ["SSE4_1"] },
  { name: "sse4_2", leaf: 1, register: "ecx", bit: 20, instructions: ["SSE4_2"] },
  { name: "x2apic", leaf: 1, register: "ecx", bit: 21 }, // devices/x2apic.ts
  { name: "movbe", leaf: 1, register: "ecx", bit: 22, instructions: ["MOVBE"] },
  { name: "popcnt", leaf: 1, register: "ecx", bit: 23, instructions: ["POPCNT"] },
  { name: "tsc_deadline", leaf: 1, register: "ecx", bit: 24 }, // devices/apic-timer.ts
  { name: "xsave", leaf: 1, register: "ecx", bit: 26, instructions: ["XSAVE"] }, // OSXSAVE: microcode/cpuid.ts
  { name: "rdrand", leaf: 1, register: "ecx", bit: 30, instructions: ["RDRAND"] },
  { name: "arat", leaf: 6, register: "eax", bit: 2 }, // the APIC timer runs in HLT
  { name: "fsgsbase", leaf: 7, register: "ebx", bit: 0, instructions: ["FSGSBASE"] },
  { name: "tsc_adjust", leaf: 7, register: "ebx", bit: 1 }, // microcode/msr.ts
  { name: "smep", leaf: 7, register: "ebx", bit: 7 },
  { name: "erms", leaf: 7, register: "ebx", bit: 9 }, // REP MOVSB and STOSB by whole pages
  { name: "invpcid", leaf: 7, register: "ebx", bit: 10, instructions: ["INVPCID"] },
  { name: "rdseed", leaf: 7, register: "ebx", bit: 18, instructions: ["RDSEED"] },
  { name: "smap", leaf: 7, register: "ebx", bit: 20, instructions: ["SMAP"] },
  { name: "clflushopt", leaf: 7, register: "ebx", bit: 23, instructions: ["CLFLUSHOPT"] },
  { name: "clwb", leaf: 7, register: "ebx", bit: 24, instructions: ["CLWB"] },
  { name: "umip", leaf: 7, register: "ecx", bit: 2 },
  { name: "pku", leaf: 7, register: "ecx", bit: 3, instructions: ["PKU"] }, // OSPKE: microcode/cpuid.ts
  { name: "rdpid", leaf: 7, register: "ecx", bit: 22, instructions: ["RDPID"] },
  { name: "xsaveopt", leaf: 0xd, subleaf: 1, register: "eax", bit: 0, instructions: ["XSAVEOPT"] },
  { name: "xsavec", leaf: 0xd, subleaf: 1, register: "eax", bit: 1, instructions: ["XSAVEC"] },
  { name: "xgetbv_in_use", leaf: 0xd, subleaf: 1, register: "eax", bit: 2 }, // XGETBV with ECX 1
  { name: "xsaves", leaf: 0xd, subleaf: 1, register: "eax", bit: 3, instructions: ["XSAVES"] }, // IA32_XSS is empty
  { name: "lahf_lm", leaf: 0x8000_0001, register: "ecx", bit: 0 }, // LAHF and SAHF in 64-bit mode
  { name: "cr8_legacy", leaf: 0x8000_0001, register: "ecx", bit: 4 }, // LOCK MOV CR0 is MOV CR8 outside 64-bit mode
  { name: "abm", leaf: 0x8000_0001, register: "ecx", bit: 5, instructions: ["LZCNT"] },
  { name: "prefetchw", leaf: 0x8000_0001, register: "ecx", bit: 8, instructions: ["PREFETCHW"] },
  { name: "syscall", leaf: 0x8000_0001, register: "edx", bit: 11, instructions: ["SYSCALL"] },
  { name: "nx", leaf: 0x8000_0001, register: "edx", bit: 20 },
  { name: "pdpe1gb", leaf: 0x8000_0001, register: "edx", bit: 26 },
  { name: "rdtscp", leaf: 0x8000_0001, register: "edx", bit: 27, instructions: ["RDTSCP"] },
  { name: "lm", leaf: 0x8000_0001, register: "edx", bit: 29 },
  { name: "perfctr_core", leaf: 0x8000_0001, register: "ecx", bit: 23, instructions: ["RDPMC"] },
  { name: "topoext", leaf: 0x8000_0001, register: "ecx", bit: 22 }, // leaves 8000001D and 8000001E
  { name: "invariant_tsc", leaf: 0x8000_0007, register: "edx", bit: 8 },
  { name: "xsave_error_pointers", leaf: 0x8000_0008, register: "ebx", bit: 2 }, // saved whether or not pending
  { name: "wbnoinvd", leaf: 0x8000_0008, register: "ebx", bit: 9, instructions: ["WBNOINVD"] },
  { name: "efer_lmsle_unsupported", leaf: 0x8000_0008, register: "ebx", bit: 20 }, // no segment limits in 64-bit mode
  // Nothing is executed speculatively, so none of these leaks exists, and IBRS has nothing to hold back.
  { name: "ssb_no", leaf: 0x8000_0008, register: "ebx", bit: 26 },
  { name: "btc_no", leaf: 0x8000_0008, register: "ebx", bit: 29 },
  { name: "lfence_serializing", leaf: 0x8000_0021, register: "eax", bit: 2 },
  { name: "automatic_ibrs", leaf: 0x8000_0021, register: "eax", bit: 8 }, // EFER.AIBRSE
  { name: "srso_no", leaf: 0x8000_0021, register: "eax", bit: 29 },
];

/** Instruction sets of this processor by iced's names: outside them an encoding is #UD. */
export const instructionSets: ReadonlySet<string> = new Set([
  ...baseInstructions,
  ...features.flatMap((feature) => feature.instructions ?? []),
]);
