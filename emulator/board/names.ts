// Who answers a port or a physical address, by name, for people who read along: the board's map in words. Cards are
// where software has put them: all of the PCI window is "PCI memory".

import { address, port } from "./map.js";

type Row = readonly [first: number, count: number, name: string];

// biome-ignore format: a table
const ports: readonly Row[] = [
  [port.pic1, 2, "8259 master"], [port.pic2, 2, "8259 slave"], [port.elcr, 2, "ELCR"], [port.pit, 4, "8254"],
  [port.keyboardData, 1, "i8042"], [port.speaker, 1, "port B"], [port.keyboardControl, 1, "i8042"], [port.rtc, 2, "RTC"],
  [port.post, 1, "POST"], [port.systemControlA, 1, "port A"], [port.testWord, 9, "test device"], [port.debugConsole, 3, "debug console"],
  [port.testLines, 24, "test device"], [port.coprocessor, 2, "x87"], [port.exit, 4, "exit"], [port.com1, 8, "COM1"],
  [port.biosConsole, 1, "BIOS console"], [port.fwCfg, 12, "fw_cfg"], [port.pm1Event, 12, "ACPI PM"],
  [port.pciAddress, 4, "PCI address"], [port.pciData, 4, "PCI data"], [port.x87Error, 1, "FERR#"],
];
// biome-ignore format: a table
const addresses: readonly Row[] = [
  [address.videoHole, address.videoHoleEnd - address.videoHole, "video hole"],
  [address.shadow, address.lowRomEnd - address.shadow, "ROM"],
  [address.pciWindow, address.pciWindowEnd - address.pciWindow, "PCI memory"],
  [address.ecam, address.ecamEnd - address.ecam, "PCI configuration"],
  [address.ioApic, 0x1000, "I/O APIC"], [address.hpet, 0x400, "HPET"], [address.localApic, 0x1000, "local APIC"],
  [address.testMemory, 0x1000, "test device"], [address.romEnd - 0x100_0000, 0x100_0000, "ROM"],
];

/** What other PCs have and this one has not. */
// biome-ignore format: a table
const absentPorts: readonly Row[] = [
  [0x00, 16, "8237 DMA channels 0-3"], [0x22, 2, "IMCR"], [0x2e, 2, "super I/O"], [0x4e, 2, "super I/O"],
  [0x62, 1, "ACPI embedded controller"], [0x66, 1, "ACPI embedded controller"], [0x72, 2, "extended CMOS"],
  [0x81, 15, "DMA page registers"], [0xb2, 2, "APM_CNT and APM_STS (SMI)"], [0xc0, 32, "8237 DMA channels 4-7"],
  [0x170, 8, "IDE, secondary"], [0x1f0, 8, "IDE, primary"], [0x201, 1, "game port"], [0x278, 3, "LPT2"], [0x2e8, 8, "COM4"],
  [0x2f8, 8, "COM2"], [0x376, 1, "IDE, secondary"], [0x378, 3, "LPT1"], [0x388, 4, "sound"], [0x3b0, 12, "MDA"],
  [0x3bc, 3, "LPT"], [0x3c0, 32, "VGA"], [0x3e8, 8, "COM3"], [0x3f0, 6, "floppy disk"], [0x3f6, 1, "IDE, primary"],
  [0x3f7, 1, "floppy disk"], [0x505, 1, "pvpanic"], [0x5658, 4, "VMware backdoor"], [0xb004, 2, "PIIX4 power management"],
];

/** What would be at a port that nobody claims, "" where nothing is known. Port 92 is ours, though it lies among the pages. */
export function absentName(at: number): string {
  return absentPorts.find(([first, count]) => at >= first && at < first + count)?.[2] ?? "";
}

/** "" where nobody is known. */
export function deviceName(space: "port" | "address", at: number): string {
  const rows = space === "port" ? ports : addresses;
  return rows.find(([first, count]) => at >= first && at < first + count)?.[2] ?? "";
}
