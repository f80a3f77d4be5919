// CPUID: what this processor says it is. Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E. Each feature bit stands
// with the instructions that it promises, by the names of iced's CPUID features; test/cpu/features.test.ts holds the
// rows against them. A bit without instructions promises behaviour, and says where that is.

/** Family 6, model 15, stepping 1: EAX of leaf 1, and EDX after reset. */
export const SIGNATURE = 0x0000_06f1;
const VENDOR = "BuslockCPU64";
const BRAND = "Buslock x86-64 processor";

type Register = "eax" | "ebx" | "ecx" | "edx";

export interface Feature {
  readonly name: string;
  readonly leaf: number;
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
  // Without x87's transcendental functions and packed decimals, which report themselves (instructions/x87.ts).
  { name: "fpu", leaf: 1, register: "edx", bit: 0, instructions: ["FPU", "FPU287", "FPU387"] },
  { name: "de", leaf: 1, register: "edx", bit: 2 }, // CR4.DE: microcode/control.ts
  { name: "pse", leaf: 1, register: "edx", bit: 3 }, // 4 MiB pages: microcode/translation.ts
  { name: "tsc", leaf: 1, register: "edx", bit: 4, instructions: ["TSC"] },
  { name: "msr", leaf: 1, register: "edx", bit: 5, instructions: ["MSR"] },
  { name: "pae", leaf: 1, register: "edx", bit: 6 },
  { name: "cx8", leaf: 1, register: "edx", bit: 8, instructions: ["CX8"] },
  { name: "apic", leaf: 1, register: "edx", bit: 9 }, // while IA32_APIC_BASE enables it
  { name: "sep", leaf: 1, register: "edx", bit: 11, instructions: ["SEP"] },
  { name: "pge", leaf: 1, register: "edx", bit: 13 }, // global pages: microcode/translation.ts
  { name: "cmov", leaf: 1, register: "edx", bit: 15, instructions: ["CMOV"] },
  { name: "pat", leaf: 1, register: "edx", bit: 16 }, // the MSR; memory types make no difference here
  { name: "pse36", leaf: 1, register: "edx", bit: 17 },
  { name: "clflush", leaf: 1, register: "edx", bit: 19, instructions: ["CLFSH"] },
  { name: "mmx", leaf: 1, register: "edx", bit: 23, instructions: ["MMX"] },
  { name: "fxsr", leaf: 1, register: "edx", bit: 24, instructions: ["FXSR"] },
  { name: "sse", leaf: 1, register: "edx", bit: 25, instructions: ["SSE"] },
  { name: "sse2", leaf: 1, register: "edx", bit: 26, instructions: ["SSE2"] },
  { name: "sse3", leaf: 1, register: "ecx", bit: 0, instructions: ["SSE3"] },
  { name: "ssse3", leaf: 1, register: "ecx", bit: 9, instructions: ["SSSE3"] },
  { name: "cx16", leaf: 1, register: "ecx", bit: 13, instructions: ["CMPXCHG16B"] },
  { name: "sse4_1", leaf: 1, register: "ecx", bit: 19, instructions: ["SSE4_1"] },
  { name: "sse4_2", leaf: 1, register: "ecx", bit: 20, instructions: ["SSE4_2"] },
  { name: "x2apic", leaf: 1, register: "ecx", bit: 21 }, // devices/x2apic.ts
  { name: "movbe", leaf: 1, register: "ecx", bit: 22, instructions: ["MOVBE"] },
  { name: "popcnt", leaf: 1, register: "ecx", bit: 23, instructions: ["POPCNT"] },
  { name: "tsc_deadline", leaf: 1, register: "ecx", bit: 24 }, // devices/apic-timer.ts
  { name: "arat", leaf: 6, register: "eax", bit: 2 }, // the APIC timer runs in HLT
  { name: "smep", leaf: 7, register: "ebx", bit: 7 },
  { name: "erms", leaf: 7, register: "ebx", bit: 9 }, // REP MOVSB and STOSB by whole pages
  { name: "smap", leaf: 7, register: "ebx", bit: 20, instructions: ["SMAP"] },
  { name: "umip", leaf: 7, register: "ecx", bit: 2 },
  { name: "arch_capabilities", leaf: 7, register: "edx", bit: 29 }, // microcode/msr.ts
  { name: "lahf_lm", leaf: 0x8000_0001, register: "ecx", bit: 0 }, // LAHF and SAHF in 64-bit mode
  { name: "abm", leaf: 0x8000_0001, register: "ecx", bit: 5, instructions: ["LZCNT"] },
  { name: "prefetchw", leaf: 0x8000_0001, register: "ecx", bit: 8, instructions: ["PREFETCHW"] },
  { name: "syscall", leaf: 0x8000_0001, register: "edx", bit: 11, instructions: ["SYSCALL"] },
  { name: "nx", leaf: 0x8000_0001, register: "edx", bit: 20 },
  { name: "pdpe1gb", leaf: 0x8000_0001, register: "edx", bit: 26 },
  { name: "rdtscp", leaf: 0x8000_0001, register: "edx", bit: 27, instructions: ["RDTSCP"] },
  { name: "lm", leaf: 0x8000_0001, register: "edx", bit: 29 },
  { name: "invariant_tsc", leaf: 0x8000_0007, register: "edx", bit: 8 },
];

/** Instruction sets of this processor by iced's names: outside them an encoding is #UD. */
export const instructionSets: ReadonlySet<string> = new Set([
  ...baseInstructions,
  "RDPMC", // exists, and is #GP: there are no counters
  ...features.flatMap((feature) => feature.instructions ?? []),
]);

/** What CPUID depends on. */
export interface CpuidContext {
  /** The core's number, which is its local APIC ID. */
  readonly core: number;
  /** IA32_APIC_BASE's enable bit. */
  readonly apicEnabled: boolean;
}

export type CpuidResult = [eax: number, ebx: number, ecx: number, edx: number];

const BASIC_MAX = 0x16;
/** The TSC, the local APIC's timer and the crystal of leaf 15H count nanoseconds of machine time (board/map.ts). */
const CRYSTAL_HZ = 1_000_000_000;
const MEGAHERTZ = 1000;
const EXTENDED_MAX = 0x8000_0008;
const PHYSICAL_BITS = 40; // microcode/physical.ts
const LINEAR_BITS = 48;
const CACHE_LINE_BYTES = 64;

/** EAX, EBX, ECX and EDX as unsigned numbers. Leaves that do not exist are zero. */
export function cpuid(leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
  const bits = (register: Register) => featureBits(leaf, register, context);
  switch (leaf >>> 0) {
    case 0:
      return [BASIC_MAX, ...vendorWords()];
    case 1:
      // EBX: APIC ID, one logical processor a package, CLFLUSH line in quadwords
      return [
        SIGNATURE,
        ((context.core << 24) | (1 << 16) | ((CACHE_LINE_BYTES / 8) << 8)) >>> 0,
        bits("ecx"),
        bits("edx"),
      ];
    case 6:
      return [bits("eax"), 0, 0, 0];
    case 7:
      return subleaf === 0 ? [0, bits("ebx"), bits("ecx"), bits("edx")] : [0, 0, 0, 0];
    case 0xb:
      return topology(subleaf, context.core);
    case 0x15:
      return [1, 1, CRYSTAL_HZ, 0];
    case 0x16:
      return [MEGAHERTZ, MEGAHERTZ, MEGAHERTZ, 0];
    case 0x8000_0000:
      return [EXTENDED_MAX, ...vendorWords()];
    case 0x8000_0001:
      return [SIGNATURE, 0, bits("ecx"), bits("edx")];
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004:
      return brandWords(leaf - 0x8000_0002);
    case 0x8000_0007:
      return [0, 0, 0, bits("edx")];
    case 0x8000_0008:
      return [PHYSICAL_BITS | (LINEAR_BITS << 8), 0, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}

/** Leaf 0BH: one thread a core, one core a package, so no level takes bits of the x2APIC ID. */
function topology(level: number, id: number): CpuidResult {
  const type = [1, 2][level] ?? 0; // SMT, core
  return [0, type === 0 ? 0 : 1, (type << 8) | (level & 0xff), id];
}

function featureBits(leaf: number, register: Register, { apicEnabled }: CpuidContext): number {
  let word = 0;
  for (const feature of features) {
    if (feature.leaf !== leaf >>> 0 || feature.register !== register) continue;
    if (feature.name === "apic" && !apicEnabled) continue;
    word |= 1 << feature.bit;
  }
  return word >>> 0;
}

function word(text: string, at: number): number {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = (value << 8) | (text.charCodeAt(at + i) || 0);
  return value >>> 0;
}

/** The vendor's twelve characters in the order EBX, EDX, ECX. */
function vendorWords(): [number, number, number] {
  return [word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)];
}

function brandWords(part: number): CpuidResult {
  const at = part * 16;
  return [word(BRAND, at), word(BRAND, at + 4), word(BRAND, at + 8), word(BRAND, at + 12)];
}
