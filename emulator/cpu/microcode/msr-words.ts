// The model-specific registers that are a word and a rule: which word of the core block, and what may be written to
// it. AMD APM vol. 2, appendix A and the chapters named below; Intel SDM vol. 4. A write that breaks the rule is
// #GP(0) and changes nothing. Registers that do more than remember are in msr.ts.
//
// Invariant: a word never holds what its rule refuses.

import {
  FS,
  GS,
  MC_BANKS,
  MSR_CSTAR,
  MSR_DE_CFG,
  MSR_DEBUGCTL,
  MSR_FP_CFG,
  MSR_HWCR,
  MSR_KERNEL_GS_BASE,
  MSR_LAST_BRANCH_FROM,
  MSR_LAST_BRANCH_TO,
  MSR_LAST_INTERRUPT_FROM,
  MSR_LAST_INTERRUPT_TO,
  MSR_LSTAR,
  MSR_MC_BANKS,
  MSR_MCG_CTL,
  MSR_MCG_STATUS,
  MSR_MISC_ENABLE,
  MSR_MTRR_DEF_TYPE,
  MSR_MTRR_FIXED,
  MSR_MTRR_VARIABLE,
  MSR_NB_CFG,
  MSR_PAT,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSCFG,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  MSR_TOP_MEM,
  MSR_TOP_MEM2,
  MSR_TSC_AUX,
  RAM_BYTES_WORD,
  SEG_BASE,
  SEGMENT_BYTES,
  SEGMENTS,
} from "../layout";
import { canonical } from "./core";
import { PHYSICAL_MASK } from "./physical";

/** What a write must look like. */
type Rule = u32;
/** No bit outside the mask. */
const BITS: Rule = 0;
const CANONICAL: Rule = 1;
/** Not at all: the mask is the value. */
const CONSTANT: Rule = 2;
/** PAT: a memory type in each byte, UC- among them. */
const PAT_TYPES: Rule = 3;
/** An MTRR: a memory type in the low byte, or in each byte that the mask reaches. */
const MTRR_TYPE: Rule = 4;
const MTRR_TYPES: Rule = 5;
/** MCi_CTL: all reporting on or all off; the K8's software clears bit 10 alone. */
const ALL_OR_NONE: Rule = 6;
/** MCi_STATUS: software may only clear it, unless HWCR.McStatusWrEn lets it play machine check. */
const CLEARED: Rule = 7;
/** Always zero, and nothing else may be written. */
const ZERO: Rule = 8;
/** Bits outside of the mask are dropped: AMD's processors have no more of TSC_AUX and SYSENTER_CS, where Intel's refuse them. */
const DROPS: Rule = 10;
/** What the processor writes. */
const READ_ONLY: Rule = 9;

const ALL: u64 = ~(0 as u64);
const EACH_BYTE: u64 = ((0x0101_0101 as u64) << 32) | 0x0101_0101;
const LOW: u64 = 0xffff_ffff;
const PAGE_FRAME: u64 = PHYSICAL_MASK & ~0xfff;

// MTRRs, APM vol. 2, 7.7: eight of variable size, the fixed ones, and write combining
const MTRR_CAPABILITIES: u64 = 0x508;
const MTRR_VALID: u64 = 0x800;
const MTRR_ENABLES: u64 = 0xc00;
/** With SYSCFG.MtrrFixDramModEn fixed-size MTRRs show RdDram and WrDram, bits 4 and 3 of each byte (7.9.1). */
const FIXED_TYPES: u64 = EACH_BYTE * 7;
const FIXED_DRAM: u64 = EACH_BYTE * 0x18;
const SYSCFG_DRAM_MODIFY: u64 = 0x8_0000;
/** MtrrFixDramEn, MtrrFixDramModEn, MtrrVarDramEn, MtrrTom2En, Tom2ForceMemTypeWB. */
const SYSCFG_DEFINED: u64 = 0x7c_0000;
const TOP_OF_MEMORY: u64 = PHYSICAL_MASK & ~0x7f_ffff;
/** MonMwaitDis, MonMwaitUserEn, McStatusWrEn; TscFreqSel always: the TSC runs at the rate of P-state 0. */
const HWCR_DEFINED: u64 = 0x4_0600;
const HWCR_TSC_FREQUENCY: u64 = 0x100_0000;
const HWCR_STATUS_WRITES: u64 = 0x4_0000;
/** LFENCE is serializing: what the bit asks for is so whether it is set or not. */
const DE_CFG_LFENCE: u64 = 2;
/** ... and what software that knows the processor sets in place of newer microcode; no register file leaks here. */
const DE_CFG_DEFINED: u64 = DE_CFG_LFENCE | 0x200;
/** What keeps a divider's leftovers from the next program: ours has none. Software that knows no better sets it. */
const FP_CFG_DEFINED: u64 = 0x200;
/** EnableCf8ExtCfg (configuration space beyond 256 bytes by ports), InitApicIdCpuIdLo. */
const NB_CFG_DEFINED: u64 = 0x0040_4000_0000_0000;
/** Fast strings, thermal control, SpeedStep, MONITOR, limited CPUID, xTPR off, no NX. SDM vol. 4, table 2-2. */
const MISC_DEFINED: u64 = 0x4_00c5_0809;
/** No branch trace store, no PEBS: always set. */
const MISC_UNAVAILABLE: u64 = 0x1800;
const MISC_RESET: u64 = 0x4_0001;
/** LBR, BTF, and the pins of the performance counters, which this processor has none of. */
const DEBUGCTL_DEFINED: u64 = 0x3f;
/** MCi register banks, and MCG_CTL. */
const MCG_CAPABILITIES: u64 = 0x100 | MC_BANKS;
const MCG_STATUS_DEFINED: u64 = 7;
/** WB, WT, UC-, UC, twice. */
const PAT_RESET: u64 = 0x0007_0406_0007_0406;

// --- one row's facts; a core's microcode runs to its end, so globals serve as registers ---
let place: u32 = 0;
let rule: Rule = 0;
let mask: u64 = 0;
/** Bits that are set whatever is written. */
let fixed: u64 = 0;

function row(at: u32, how: Rule, bits: u64 = ALL, always: u64 = 0): bool {
  place = at;
  rule = how;
  mask = bits;
  fixed = always;
  return true;
}

/** False: there is no such register here. */
function find(core: usize, index: u32): bool {
  switch (index) {
    case 0x8b: // PATCH_LEVEL
      return row(0, CONSTANT, 0);
    case 0xfe: // MTRRcap
      return row(0, CONSTANT, MTRR_CAPABILITIES);
    case 0x174: // bits 63 to 16 reserved (PPR for family 17h, MSR0000_0174), read as zero: no more than a selector is there
      return row(MSR_SYSENTER_CS, DROPS, 0xffff);
    case 0x175:
      return row(MSR_SYSENTER_ESP, CANONICAL);
    case 0x176:
      return row(MSR_SYSENTER_EIP, CANONICAL);
    case 0x179: // MCG_CAP
      return row(0, CONSTANT, MCG_CAPABILITIES);
    case 0x17a:
      return row(MSR_MCG_STATUS, BITS, MCG_STATUS_DEFINED);
    case 0x17b:
      return row(MSR_MCG_CTL, BITS);
    case 0x1a0:
      return row(MSR_MISC_ENABLE, BITS, MISC_DEFINED | MISC_UNAVAILABLE, MISC_UNAVAILABLE);
    case 0x1d9:
      return row(MSR_DEBUGCTL, BITS, DEBUGCTL_DEFINED);
    case 0x1db:
      return row(MSR_LAST_BRANCH_FROM, READ_ONLY);
    case 0x1dc:
      return row(MSR_LAST_BRANCH_TO, READ_ONLY);
    case 0x1dd:
      return row(MSR_LAST_INTERRUPT_FROM, READ_ONLY);
    case 0x1de:
      return row(MSR_LAST_INTERRUPT_TO, READ_ONLY);
    case 0x277:
      return row(MSR_PAT, PAT_TYPES);
    case 0x2ff:
      return row(MSR_MTRR_DEF_TYPE, MTRR_TYPE, MTRR_ENABLES);
    case 0xda0: // IA32_XSS: no supervisor component of XSAVE's
      return row(0, ZERO, 0);
    case 0xc000_0081:
      return row(MSR_STAR, BITS);
    case 0xc000_0082:
      return row(MSR_LSTAR, CANONICAL);
    case 0xc000_0083:
      return row(MSR_CSTAR, CANONICAL);
    case 0xc000_0084:
      // The APM says no more of bits 63 to 32 than that they are reserved; processors of family 17h raise #GP.
      return row(MSR_SFMASK, BITS, LOW);
    case 0xc000_0100:
      return row(SEGMENTS + FS * SEGMENT_BYTES + SEG_BASE, CANONICAL);
    case 0xc000_0101:
      return row(SEGMENTS + GS * SEGMENT_BYTES + SEG_BASE, CANONICAL);
    case 0xc000_0102:
      return row(MSR_KERNEL_GS_BASE, CANONICAL);
    case 0xc000_0103:
      return row(MSR_TSC_AUX, DROPS, LOW);
    case 0xc001_0010:
      return row(MSR_SYSCFG, BITS, SYSCFG_DEFINED);
    case 0xc001_0015:
      return row(MSR_HWCR, BITS, HWCR_DEFINED | HWCR_TSC_FREQUENCY, HWCR_TSC_FREQUENCY);
    case 0xc001_001a:
      return row(MSR_TOP_MEM, BITS, TOP_OF_MEMORY);
    case 0xc001_001d:
      return row(MSR_TOP_MEM2, BITS, TOP_OF_MEMORY);
    case 0xc001_001f:
      return row(MSR_NB_CFG, BITS, NB_CFG_DEFINED);
    case 0xc001_1028:
      return row(MSR_FP_CFG, BITS, FP_CFG_DEFINED);
    case 0xc001_1029:
      return row(MSR_DE_CFG, BITS, DE_CFG_DEFINED);
    default:
      return findMtrr(core, index) || findBank(index);
  }
}

function findMtrr(core: usize, index: u32): bool {
  if (index - 0x200 < 16) {
    const at = MSR_MTRR_VARIABLE + (index - 0x200) * 8;
    return index & 1 ? row(at, BITS, PAGE_FRAME | MTRR_VALID) : row(at, MTRR_TYPE, PAGE_FRAME);
  }
  let n: u32 = 0;
  if (index == 0x250) n = 0;
  else if (index - 0x258 < 2) n = 1 + (index - 0x258);
  else if (index - 0x268 < 8) n = 3 + (index - 0x268);
  else return false;
  const shown = (load<u64>(core, MSR_SYSCFG) & SYSCFG_DRAM_MODIFY) != 0;
  return row(MSR_MTRR_FIXED + n * 8, MTRR_TYPES, shown ? FIXED_TYPES | FIXED_DRAM : FIXED_TYPES);
}

function findBank(index: u32): bool {
  const n = index - 0x400;
  if (n >= <u32>MC_BANKS * 4) return false;
  const register = n & 3;
  return row(MSR_MC_BANKS + n * 8, register == 0 ? ALL_OR_NONE : register == 1 ? CLEARED : BITS);
}

/** UC, WC, WT, WP, WB. */
function isMtrrType(type: u64): bool {
  return type <= 6 && type != 2 && type != 3;
}

function accepted(core: usize, value: u64): bool {
  switch (rule) {
    case BITS:
      return (value & ~mask) == 0;
    case CANONICAL:
      return canonical(value);
    case PAT_TYPES:
      for (let i = 0; i < 64; i += 8) {
        const type = (value >> i) & 0xff;
        if (type != 7 && !isMtrrType(type)) return false;
      }
      return true;
    case MTRR_TYPE:
      return (value & ~(mask | 0xff)) == 0 && isMtrrType(value & 0xff);
    case MTRR_TYPES:
      for (let i = 0; i < 64; i += 8) if (!isMtrrType((value >> i) & 7)) return false;
      return (value & ~mask) == 0;
    case ALL_OR_NONE:
      return value == 0 || (value | 0x400) == ALL;
    case CLEARED:
      return value == 0 || (load<u64>(core, MSR_HWCR) & HWCR_STATUS_WRITES) != 0;
    case ZERO:
      return value == 0;
    case DROPS:
      return true;
    default:
      return false;
  }
}

/** True when there is such a register, whose value then stands in `found`. */
export function readWord(core: usize, index: u32): bool {
  if (!find(core, index)) return false;
  if (place == 0) found = mask;
  else found = load<u64>(core + place);
  if (rule == MTRR_TYPES) found &= mask; // RdDram and WrDram are hidden again
  return true;
}
export let found: u64 = 0;

/** False: no such register, or it does not take this value. */
export function writeWord(core: usize, index: u32, value: u64): bool {
  if (!find(core, index) || !accepted(core, value)) return false;
  if (place == 0) return true;
  const hidden = rule == MTRR_TYPES ? load<u64>(core + place) & ~mask : 0;
  const kept = rule == DROPS ? value & mask : value;
  store<u64>(core + place, kept | fixed | hidden);
  return true;
}

/** After RESET; INIT leaves them alone. */
export function resetWords(core: usize): void {
  store<u64>(core, 0, MSR_STAR);
  store<u64>(core, 0, MSR_LSTAR);
  store<u64>(core, 0, MSR_CSTAR);
  store<u64>(core, 0, MSR_SFMASK);
  store<u64>(core, 0, MSR_KERNEL_GS_BASE);
  store<u64>(core, 0, MSR_TSC_AUX);
  store<u64>(core, 0, MSR_SYSENTER_CS);
  store<u64>(core, 0, MSR_SYSENTER_ESP);
  store<u64>(core, 0, MSR_SYSENTER_EIP);
  store<u64>(core, PAT_RESET, MSR_PAT);
  store<u64>(core, MISC_RESET | MISC_UNAVAILABLE, MSR_MISC_ENABLE);
  store<u64>(core, 0, MSR_DEBUGCTL);
  memory.fill(core + MSR_LAST_BRANCH_FROM, 0, 4 * 8);
  store<u64>(core, 0, MSR_MTRR_DEF_TYPE);
  store<u64>(core, 0, MSR_MCG_STATUS);
  store<u64>(core, 0, MSR_MCG_CTL);
  store<u64>(core, 0, MSR_SYSCFG);
  store<u64>(core, HWCR_TSC_FREQUENCY, MSR_HWCR);
  store<u64>(core, load<u32>(RAM_BYTES_WORD) & TOP_OF_MEMORY, MSR_TOP_MEM);
  store<u64>(core, 0, MSR_TOP_MEM2);
  store<u64>(core, 0, MSR_NB_CFG);
  store<u64>(core, DE_CFG_LFENCE, MSR_DE_CFG);
  store<u64>(core, 0, MSR_FP_CFG);
  memory.fill(core + MSR_MTRR_VARIABLE, 0, 16 * 8);
  memory.fill(core + MSR_MTRR_FIXED, 0, 11 * 8);
  memory.fill(core + MSR_MC_BANKS, 0, MC_BANKS * 32);
}
