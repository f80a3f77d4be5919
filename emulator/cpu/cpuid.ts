// CPUID: what this processor says it is, leaf by leaf. AMD APM vol. 3, appendix E; Intel SDM vol. 2, CPUID, for the
// leaves that AMD took over. Feature bits come from features.ts. What depends on the core's own registers (OSXSAVE,
// OSPKE, the size of XSAVE's area, IA32_MISC_ENABLE) is put in by microcode/cpuid.ts.

import { features, type Register } from "./features.js";

/** Family 17H, model 31H, stepping 0: EAX of leaf 1, and EDX after reset. A Zen 2, without its AVX. */
export const SIGNATURE = 0x0083_0f10;
export const VENDOR = "AuthenticAMD";
const BRAND = "Buslock x86-64 processor";

/** What CPUID depends on. */
export interface CpuidContext {
  /** The core's number, which is its local APIC ID. */
  readonly core: number;
  /** All of them are one package. */
  readonly cores: number;
  /** IA32_APIC_BASE's enable bit. */
  readonly apicEnabled: boolean;
}

export type CpuidResult = [eax: number, ebx: number, ecx: number, edx: number];

const BASIC_MAX = 0x16;
const EXTENDED_MAX = 0x8000_0021;
/** The TSC, the local APIC's timer and the crystal of leaf 15H count nanoseconds of machine time (board/map.ts). */
const CRYSTAL_HZ = 1_000_000_000;
const MEGAHERTZ = 1000;
const PHYSICAL_BITS = 40; // microcode/physical.ts
const LINEAR_BITS = 48;
const CACHE_LINE_BYTES = 64;

const HTT = 1 << 28;
const CMP_LEGACY = 1 << 1;
const APIC = 1 << 9;
/** Leaf 8000_0001 EDX repeats these bits of leaf 1 EDX. */
const REPEATED = 0x0183_f3ff;

/** Caches that a guest may plan with: an access here takes the same time wherever its bytes are. */
const caches = [
  { type: 1, level: 1, kibibytes: 32, ways: 8 }, // data
  { type: 2, level: 1, kibibytes: 32, ways: 8 }, // instructions
  { type: 3, level: 2, kibibytes: 512, ways: 8 },
  { type: 3, level: 3, kibibytes: 16384, ways: 16 }, // shared by all cores
] as const;
const [DATA, CODE, SECOND, THIRD] = caches;

/** Bits of the APIC ID that number the cores of the package. */
const coreBits = (cores: number): number => Math.ceil(Math.log2(cores));

/** EAX, EBX, ECX and EDX as unsigned numbers. Leaves that do not exist are zero. */
export function cpuid(leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
  const known = leaves[leaf >>> 0];
  const words = known?.(context, subleaf >>> 0, leaf >>> 0) ?? [0, 0, 0, 0];
  const bits = featureBits(leaf >>> 0, subleaf >>> 0);
  for (let i = 0; i < 4; i++) words[i]! |= bits[i]!;
  if (leaf === 1 || leaf >>> 0 === 0x8000_0001) {
    if (leaf >>> 0 === 0x8000_0001) words[3] |= featureBits(1, 0)[3]! & REPEATED;
    if (!context.apicEnabled) words[3] &= ~APIC;
  }
  return words.map((word) => word >>> 0) as CpuidResult;
}

type Leaf = (context: CpuidContext, subleaf: number, leaf: number) => CpuidResult;

const leaves: Readonly<Record<number, Leaf>> = {
  0: () => [BASIC_MAX, ...vendorWords()],
  // EBX: APIC ID, logical processors of the package, CLFLUSH line in quadwords
  1: ({ core, cores }) => [
    SIGNATURE,
    (core << 24) | (cores << 16) | ((CACHE_LINE_BYTES / 8) << 8),
    0,
    cores > 1 ? HTT : 0,
  ],
  // MONITOR's line, extensions (interrupts break MWAIT with IF clear as well), and no C-states by hint
  5: () => [CACHE_LINE_BYTES, CACHE_LINE_BYTES, 3, 0],
  11: topology,
  13: extendedState,
  21: () => [1, 1, CRYSTAL_HZ, 0],
  22: () => [MEGAHERTZ, MEGAHERTZ, MEGAHERTZ, 0],
  [0x8000_0000]: () => [EXTENDED_MAX, ...vendorWords()],
  [0x8000_0001]: ({ cores }) => [SIGNATURE, 0, cores > 1 ? CMP_LEGACY : 0, 0],
  [0x8000_0002]: brandWords,
  [0x8000_0003]: brandWords,
  [0x8000_0004]: brandWords,
  // The first-level caches, and the TLBs: 512 entries, direct mapped
  [0x8000_0005]: () => [0x01ff_01ff, 0x01ff_01ff, firstLevel(DATA), firstLevel(CODE)],
  [0x8000_0006]: () => [0, 0, secondLevel(), thirdLevel()],
  [0x8000_0008]: ({ cores }) => [
    PHYSICAL_BITS | (LINEAR_BITS << 8),
    0,
    (coreBits(cores) << 12) | (cores - 1),
    0,
  ],
  [0x8000_001d]: cacheProperties,
  [0x8000_001e]: ({ core }) => [core, core, 0, 0],
};

/** Leaf 0BH: threads of a core (one), then cores of the package; EDX is the APIC ID at any level. */
function topology({ core, cores }: CpuidContext, level: number): CpuidResult {
  const THREADS = 1;
  const CORES = 2;
  if (level === 0) return [0, 1, THREADS << 8, core];
  if (level === 1) return [coreBits(cores), cores, (CORES << 8) | 1, core];
  return [0, 0, level & 0xff, core];
}

/** XSAVE's components: x87, SSE, and PKRU behind the header. EBX of subleaves 0 and 1: microcode/cpuid.ts. */
const HEADER_END = 576;
const KEYS_BYTES = 8;
function extendedState(_context: CpuidContext, subleaf: number): CpuidResult {
  if (subleaf === 0) return [0x203, HEADER_END, HEADER_END + KEYS_BYTES, 0];
  if (subleaf === 1) return [0, HEADER_END, 0, 0];
  if (subleaf === 9) return [KEYS_BYTES, HEADER_END, 0, 0];
  return [0, 0, 0, 0];
}

// The caches in the three ways in which AMD tells them.
const firstLevel = ({ kibibytes, ways }: (typeof caches)[number]): number =>
  (kibibytes << 24) | (ways << 16) | (1 << 8) | CACHE_LINE_BYTES;
const WAYS_CODE: Record<number, number> = { 8: 6, 16: 8 };
const secondLevel = (): number =>
  (SECOND.kibibytes << 16) | (WAYS_CODE[SECOND.ways]! << 12) | (1 << 8) | CACHE_LINE_BYTES;
const thirdLevel = (): number =>
  ((THIRD.kibibytes / 512) << 18) | (WAYS_CODE[THIRD.ways]! << 12) | (1 << 8) | CACHE_LINE_BYTES;

function cacheProperties({ cores }: CpuidContext, subleaf: number): CpuidResult {
  const cache = caches[subleaf];
  if (cache === undefined) return [0, 0, 0, 0];
  const { type, level, kibibytes, ways } = cache;
  const SELF_INITIALIZING = 1 << 8;
  const sharing = level === 3 ? cores - 1 : 0;
  const sets = (kibibytes * 1024) / CACHE_LINE_BYTES / ways;
  return [
    type | (level << 5) | SELF_INITIALIZING | (sharing << 14),
    (CACHE_LINE_BYTES - 1) | ((ways - 1) << 22),
    sets - 1,
    0,
  ];
}

/** Leaves that ECX chooses among; the others answer the same whatever it holds. */
const indexed = new Set([7, 0xd]);
const SUBLEAVES = 64;
const keyOf = (leaf: number, subleaf: number): number =>
  leaf * SUBLEAVES + (indexed.has(leaf) ? Math.min(subleaf, SUBLEAVES - 1) : 0);

/** Feature bits by leaf and subleaf, gathered once: EAX, EBX, ECX, EDX. */
const gathered = new Map<number, [number, number, number, number]>();
const REGISTERS: readonly Register[] = ["eax", "ebx", "ecx", "edx"];
for (const { leaf, subleaf, register, bit } of features) {
  const words = gathered.get(keyOf(leaf, subleaf ?? 0)) ?? [0, 0, 0, 0];
  words[REGISTERS.indexOf(register)]! |= 1 << bit;
  gathered.set(keyOf(leaf, subleaf ?? 0), words);
}
const NONE = [0, 0, 0, 0] as const;
const featureBits = (leaf: number, subleaf: number): readonly number[] =>
  gathered.get(keyOf(leaf, subleaf)) ?? NONE;

function word(text: string, at: number): number {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = (value << 8) | (text.charCodeAt(at + i) || 0);
  return value >>> 0;
}

/** The vendor's twelve characters in the order EBX, EDX, ECX. */
function vendorWords(): [number, number, number] {
  return [word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)];
}

function brandWords(_context: CpuidContext, _subleaf: number, leaf: number): CpuidResult {
  const at = (leaf - 0x8000_0002) * 16;
  return [word(BRAND, at), word(BRAND, at + 4), word(BRAND, at + 8), word(BRAND, at + 12)];
}
