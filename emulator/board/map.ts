// The board's map: every physical address, I/O port and interrupt line, as numbers only. The firmware and
// the kernel's build may import this file and nothing else of the emulator. Names follow the QEMU q35
// board where both have the part, since the same kernel image runs on both.
//
//   0000_0000  RAM (conventional memory)          A_0000 legacy video hole: nothing answers
//   000E_0000  firmware ROM, its last 128 KiB     0010_0000 RAM up to the machine's size (at most 3 GiB)
//   C000_0000  PCI memory window                  E000_0000 ECAM: PCI configuration space, 256 buses
//   FEC0_0000  I/O APIC                           FED0_0000 HPET
//   FEE0_0000  local APIC                         FF00_0000 the test device's memory, when it is plugged in
//   FFF?_????  firmware ROM, ends at 4 GiB; the reset vector is its last 16 bytes

/** Largest RAM of a machine, in bytes: what lies below the PCI window. */
export const RAM_BYTES_MAX = 0xc000_0000;
export const CORES_MAX = 64;

export const address = {
  videoHole: 0x000a_0000,
  videoHoleEnd: 0x000c_0000,
  /** From here to lowRomEnd RAM may hold a copy of the ROM's end, when the board is told to shadow it. */
  shadow: 0x000c_0000,
  lowRom: 0x000e_0000,
  lowRomEnd: 0x0010_0000,
  highRam: 0x0010_0000,
  pciWindow: 0xc000_0000,
  pciWindowEnd: 0xe000_0000,
  ecam: 0xe000_0000,
  ecamEnd: 0xf000_0000,
  ioApic: 0xfec0_0000,
  hpet: 0xfed0_0000,
  localApic: 0xfee0_0000,
  /** Bus masters' stores to this megabyte are message-signalled interrupts. */
  messages: 0xfee0_0000,
  testMemory: 0xff00_0000,
  romEnd: 0x1_0000_0000,
  resetVector: 0xffff_fff0,
} as const;

export const port = {
  pic1: 0x20,
  pic2: 0xa0,
  pit: 0x40,
  keyboardData: 0x60,
  speaker: 0x61,
  keyboardControl: 0x64,
  rtc: 0x70,
  /** Power-on self-test codes; also what software writes to for a short delay. */
  post: 0x80,
  systemControlA: 0x92,
  /** The test device's: a word, a page to flush, bytes, and its interrupt lines. */
  testWord: 0xe0,
  testFlush: 0xe4,
  testBytes: 0xe8,
  testLines: 0x2000,
  debugConsole: 0xe9,
  coprocessor: 0xf0,
  biosConsole: 0x402,
  exit: 0xf4,
  com1: 0x3f8,
  elcr: 0x4d0,
  fwCfg: 0x510,
  fwCfgDma: 0x514,
  pm1Event: 0x600,
  pm1Control: 0x604,
  pmTimer: 0x608,
  pciAddress: 0xcf8,
  resetControl: 0xcf9,
  pciData: 0xcfc,
  /** No port but a pin: FERR#, which a core that stops at an x87 error tells the board (microcode/fpu-state.ts). */
  x87Error: 0x1_0000,
} as const;

/** ISA interrupt lines; on the I/O APIC the PIT (ISA line 0) arrives at pin 2. */
export const line = {
  pit: 0,
  keyboard: 1,
  cascade: 2,
  com1: 4,
  rtc: 8,
  sci: 9,
  mouse: 12,
  coprocessor: 13,
} as const;
/** What a PC's bus had: each is an input of the 8259 pair. */
export const ISA_LINES = 16;
export const ioApicPins = 24;
export const ioApicPitPin = 2;
/** I/O APIC pins from here on are PCI's and the HPET's, and active low; those below are ISA's, and active high. */
export const pciPinFirst = 16;
/** I/O APIC pin of a PCI device's INTA. */
export const pciPin = (device: number): number => pciPinFirst + (device % 4);
/** The ISA line on which the same INTA reaches the 8259 pair. */
export const pciLine = (device: number): number => 10 + (device % 2);

/** PCI functions: bus 0, device numbers. */
export const pciDevice = {
  hostBridge: 0,
  virtioNet: 2,
  virtioConsole: 3,
  virtioRng: 4,
  firstDisk: 8,
} as const;
export const DISKS_MAX = 8;

/** Frequencies in hertz. */
export const frequency = {
  pit: 1_193_182,
  pmTimer: 3_579_545,
  /** One TSC tick and one local APIC bus clock are one nanosecond of machine time. */
  tsc: 1_000_000_000,
  apicBus: 1_000_000_000,
} as const;
