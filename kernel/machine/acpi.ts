// ACPI (specification 6.5), as little of it as a kernel without AML needs: the MADT's cores and I/O APIC, and from the
// FADT what powers the machine off. Tables lie in memory below 4 GiB and are believed only if their checksum is right.
import { in16, out8, out16, pause } from "../arch";
import { panic } from "../panic";

const RSDP_REVISION: usize = 15;
const RSDP_RSDT: usize = 16;
const RSDP_XSDT: usize = 24;
const TABLE_LENGTH: usize = 4;
const TABLE_BODY: usize = 36;

const MADT_ENTRIES: usize = 44;
const MADT_LOCAL_APIC: u32 = 0;
const MADT_IO_APIC: u32 = 1;
const MADT_OVERRIDE: u32 = 2;
const LOCAL_APIC_ENABLED: u32 = 1;

const FADT_DSDT: usize = 40;
const FADT_SMI_COMMAND: usize = 48;
const FADT_ACPI_ENABLE: usize = 52;
const FADT_SCI: usize = 46;
const FADT_PM1A_EVENTS: usize = 56;
const FADT_PM1A_CONTROL: usize = 64;
const FADT_PM1_EVENT_BYTES: usize = 88;
const FADT_FLAGS: usize = 112;
/** The power button is a device of AML's, not of the fixed hardware. */
const BUTTON_IS_DEVICE: u32 = 1 << 4;
/** PWRBTN_STS and PWRBTN_EN, 4.8.3.1. */
const PM1_POWER_BUTTON: u32 = 0x100;
const PM1_SCI_ENABLE: u32 = 1;
const PM1_SLEEP_ENABLE: u32 = 0x2000;

/** The local APICs of the cores that may be used, in the MADT's order. */
export let apicIdCount: u32 = 0;
const apicIds: usize = memory.data(64);
export let ioApicAddress: u32 = 0;
export let ioApicFirst: u32 = 0;
/** ISA line -> global interrupt and flags: u32 each pair, lines 0 to 15. */
const overrides: usize = memory.data(128);
let fadt: usize = 0;

export function apicIdAt(index: u32): u32 {
  return load<u8>(apicIds + index);
}
export function isaInterrupt(line: u32): u32 {
  return load<u32>(overrides + (line << 3));
}
export function isaFlags(line: u32): u32 {
  return load<u32>(overrides + (line << 3), 4);
}

function checksum(table: usize, bytes: u32): bool {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) sum += load<u8>(table + i);
  return (sum & 0xff) === 0;
}

/** Four letters as the u32 that they are in memory. */
function signature(text: string): u32 {
  let value: u32 = 0;
  for (let i: i32 = 3; i >= 0; i--)
    value = (value << 8) | <u32>load<u8>(changetype<usize>(text) + ((<usize>i) << 1));
  return value;
}

/** `rsdp`: physical address from the start information; 0 = the machine has no ACPI. */
export function acpiStart(rsdp: usize): void {
  for (let line: u32 = 0; line < 16; line++) store<u32>(overrides + (line << 3), line);
  if (rsdp === 0) panic("the loader gave no RSDP");
  if (!checksum(rsdp, 20)) panic("the RSDP's checksum is wrong");
  const extended = load<u8>(rsdp + RSDP_REVISION) >= 2 && load<u64>(rsdp + RSDP_XSDT) !== 0;
  const root = extended ? <usize>load<u64>(rsdp + RSDP_XSDT) : <usize>load<u32>(rsdp + RSDP_RSDT);
  const length = load<u32>(root + TABLE_LENGTH);
  if (!checksum(root, length)) panic("the checksum of the ACPI root table is wrong");
  const step: usize = extended ? 8 : 4;
  for (let at = root + TABLE_BODY; at + step <= root + length; at += step) {
    // The upper half of an XSDT entry must be 0: addresses above 4 GiB are out of our reach.
    if (extended && load<u32>(at, 4) !== 0) continue;
    tableFound(<usize>load<u32>(at));
  }
  if (apicIdCount === 0) panic("ACPI names no core (no MADT)");
}

function tableFound(table: usize): void {
  const name = load<u32>(table);
  if (name !== signature("APIC") && name !== signature("FACP")) return;
  if (!checksum(table, load<u32>(table + TABLE_LENGTH))) panic("the checksum of an ACPI table is wrong");
  if (name === signature("FACP")) fadt = table;
  else madt(table);
}

function madt(table: usize): void {
  const end = table + load<u32>(table + TABLE_LENGTH);
  let at = table + MADT_ENTRIES;
  while (at + 2 <= end) {
    const kind = <u32>load<u8>(at);
    const bytes = <u32>load<u8>(at + 1);
    if (bytes < 2) panic("the MADT is malformed");
    if (kind === MADT_LOCAL_APIC && load<u32>(at + 4) & LOCAL_APIC_ENABLED && apicIdCount < 64) {
      store<u8>(apicIds + apicIdCount++, load<u8>(at + 3));
    } else if (kind === MADT_IO_APIC && ioApicAddress === 0) {
      ioApicAddress = load<u32>(at + 4);
      ioApicFirst = load<u32>(at + 8);
    } else if (kind === MADT_OVERRIDE && load<u8>(at + 3) < 16) {
      const line = <usize>load<u8>(at + 3);
      store<u32>(overrides + (line << 3), load<u32>(at + 4));
      store<u32>(overrides + (line << 3), load<u16>(at + 8), 4);
    }
    at += bytes;
  }
}

/** The SLP_TYPa value of the package \_S5 in the DSDT: AML bytes `_S5_` 12 PkgLength NumElements element... */
function sleepType(): u32 {
  const dsdt = <usize>load<u32>(fadt + FADT_DSDT);
  const end = dsdt + load<u32>(dsdt + TABLE_LENGTH);
  for (let at = dsdt + TABLE_BODY; at + 12 < end; at++) {
    if (load<u32>(at) !== signature("_S5_") || load<u8>(at + 4) !== 0x12) continue;
    // The top two bits of the first PkgLength byte say how many more follow; then NumElements.
    let element = at + 5 + 1 + (load<u8>(at + 5) >> 6) + 1;
    const first = <u32>load<u8>(element);
    if (first === 0x0a) return load<u8>(++element); // BytePrefix
    if (first <= 1) return first; // ZeroOp, OneOp
  }
  return 0;
}

/** With SCI_EN interrupts of the fixed hardware come as SCI; until then they may go to a firmware that takes SMIs. */
function acpiModeEnter(control: u32): void {
  const smi = load<u32>(fadt + FADT_SMI_COMMAND);
  const enable = <u32>load<u8>(fadt + FADT_ACPI_ENABLE);
  if (smi === 0 || enable === 0 || (in16(control) & PM1_SCI_ENABLE) !== 0) return;
  out8(smi, enable);
  for (let i = 0; i < 100_000 && (in16(control) & PM1_SCI_ENABLE) === 0; i++) pause();
}

/** Lets the power button interrupt. The line of the SCI, or 0: the machine has no fixed button. */
export function powerButtonEnable(): u32 {
  if (fadt === 0 || (load<u32>(fadt + FADT_FLAGS) & BUTTON_IS_DEVICE) !== 0) return 0;
  const events = load<u32>(fadt + FADT_PM1A_EVENTS);
  const control = load<u32>(fadt + FADT_PM1A_CONTROL);
  if (events === 0 || control === 0) return 0;
  acpiModeEnter(control);
  out16(events, PM1_POWER_BUTTON);
  out16(events + (<u32>load<u8>(fadt + FADT_PM1_EVENT_BYTES) >> 1), PM1_POWER_BUTTON);
  return load<u16>(fadt + FADT_SCI);
}

/** Whether it was pressed since the last time. */
export function powerButtonPressed(): bool {
  const events = load<u32>(fadt + FADT_PM1A_EVENTS);
  if ((in16(events) & PM1_POWER_BUTTON) === 0) return false;
  out16(events, PM1_POWER_BUTTON);
  return true;
}

/** Soft off (S5). Returns only when the machine stays on. */
export function acpiPowerOff(): void {
  if (fadt === 0) return;
  const control = load<u32>(fadt + FADT_PM1A_CONTROL);
  if (control === 0) return;
  acpiModeEnter(control);
  out16(control, (sleepType() << 10) | PM1_SLEEP_ENABLE | (in16(control) & PM1_SCI_ENABLE));
}
