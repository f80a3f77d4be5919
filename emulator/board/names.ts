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

/** "" where nobody is known. */
export function deviceName(space: "port" | "address", at: number): string {
  const rows = space === "port" ? ports : addresses;
  return rows.find(([first, count]) => at >= first && at < first + count)?.[2] ?? "";
}
