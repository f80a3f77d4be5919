// The local APIC as model-specific registers 800H to 8FFH: Intel SDM vol. 3A, "Extended XAPIC (x2APIC)"; AMD APM
// vol. 2, 16.11. MSR 800H + n stands for offset 16 n of the xAPIC's page, but for the few rows named here.
// Invariant: what the table does not allow is #GP(0), and nothing has changed then.

export const FIRST_MSR = 0x800;
export const LAST_MSR = 0x8ff;
export const ICR = 0x830;
export const SELF_IPI = 0x83f;

export type Access = "r" | "w" | "rw";
export interface X2ApicRegister {
  readonly name: string;
  readonly access: Access;
  /** Bits 31-0 that may be 1 in a write: those that can be written, and those that hardware ignores. */
  readonly allowed: number;
}

const DELIVERY_STATUS = 0x1000;
const REMOTE_IRR = 0x4000;

// biome-ignore format: a table
const single: readonly (readonly [index: number, name: string, access: Access, allowed: number])[] = [
  [0x802, "ID", "r", 0],
  [0x803, "VERSION", "r", 0],
  [0x808, "TPR", "rw", 0xff],
  [0x80a, "PPR", "r", 0],
  [0x80b, "EOI", "w", 0],
  [0x80d, "LDR", "r", 0],
  [0x80f, "SVR", "rw", 0x13ff],
  [0x828, "ESR", "rw", 0],
  [ICR, "ICR", "rw", 0x000c_cfff | DELIVERY_STATUS], // its upper half is the destination
  [0x832, "LVT_TIMER", "rw", 0x0007_00ff | DELIVERY_STATUS],
  [0x833, "LVT_THERMAL", "rw", 0x0001_07ff | DELIVERY_STATUS],
  [0x834, "LVT_PERFORMANCE", "rw", 0x0001_07ff | DELIVERY_STATUS],
  [0x835, "LVT_LINT0", "rw", 0x0001_a7ff | DELIVERY_STATUS | REMOTE_IRR],
  [0x836, "LVT_LINT1", "rw", 0x0001_a7ff | DELIVERY_STATUS | REMOTE_IRR],
  [0x837, "LVT_ERROR", "rw", 0x0001_00ff | DELIVERY_STATUS],
  [0x838, "INITIAL_COUNT", "rw", 0xffff_ffff],
  [0x839, "CURRENT_COUNT", "r", 0],
  [0x83e, "DIVIDE", "rw", 0xb],
  [SELF_IPI, "SELF_IPI", "w", 0xff],
];

const banks = { ISR: 0x810, TMR: 0x818, IRR: 0x820 } as const;

export const registers: ReadonlyMap<number, X2ApicRegister> = new Map([
  ...single.map(([index, name, access, allowed]) => [index, { name, access, allowed }] as const),
  ...Object.entries(banks).flatMap(([name, first]) =>
    Array.from(
      { length: 8 },
      (_, index) => [first + index, { name: `${name}${index}`, access: "r", allowed: 0 }] as const,
    ),
  ),
]);

export const pageOffset = (msr: number): number => (msr - FIRST_MSR) * 16;

/** Whether WRMSR takes this value. */
export function writable(msr: number, low: number, high: number): boolean {
  const register = registers.get(msr);
  if (register === undefined || register.access === "r") return false;
  return (low & ~register.allowed) === 0 && (high === 0 || msr === ICR);
}

export const readable = (msr: number): boolean => (registers.get(msr)?.access ?? "w") !== "w";

/** "Logical x2APIC ID = [(x2APIC ID[19:4] << 16) | (1 << x2APIC ID[3:0])]" */
export const logicalId = (id: number): number => (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0;
