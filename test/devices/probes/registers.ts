// The registers of each device by the names of its data sheet, and what touches them: those that work and those that only
// say who they are. registers.test.ts walks them by guest code.

import type { Script } from "./script.js";

export interface Touch {
  readonly device: string;
  readonly name: string;
  readonly touch: (t: Script) => void;
  /** What it must report of itself, where it does nothing; otherwise it must report nothing. */
  readonly reports?: RegExp;
}

const IO_APIC = 0xfec0_0000;
const HPET = 0xfed0_0000;
const CARD = 0xe000_0000 + (2 << 15);
const DISK = 0xe000_0000 + (8 << 15);
const CARD_BAR = 0xd100_0000;
const DISK_BAR = 0xd200_0000;

/** Read and written back. */
const port = (device: string, name: string, at: number, size: 1 | 2 | 4 = 1): Touch => ({
  device,
  name,
  touch: (t) => t.in(at, undefined, size),
});
const write = (
  device: string,
  name: string,
  at: number,
  value: number,
  reports?: RegExp,
  size: 1 | 2 | 4 = 1,
): Touch => ({
  device,
  name,
  touch: (t) => t.out(at, value, size),
  ...(reports === undefined ? {} : { reports }),
});
const read = (device: string, name: string, at: number, reports?: RegExp, size: 1 | 2 | 4 = 1): Touch => ({
  device,
  name,
  touch: (t) => t.in(at, undefined, size),
  ...(reports === undefined ? {} : { reports }),
});
const memory = (device: string, name: string, at: number, size: 1 | 2 | 4 = 4): Touch => ({
  device,
  name,
  touch: (t) => t.read(at, undefined, size),
});
const store = (
  device: string,
  name: string,
  at: number,
  value: number,
  reports: RegExp,
  size: 1 | 2 | 4 = 4,
): Touch => ({
  device,
  name,
  touch: (t) => t.write(at, value, size),
  reports,
});
const indexed = (name: string, index: number): Touch => ({
  device: "82093AA",
  name,
  touch: (t) => t.write(IO_APIC, index).read(IO_APIC + 16),
});

/** Intel SDM vol. 3A, table 11-1, as far as an AMD processor has them (APM vol. 2, table 16-2): offset, name, what is said of a read, and of a write. */
// biome-ignore format: a table
const localApicRows: readonly (readonly [offset: number, name: string, access: "rw" | "r" | "w" | "none"])[] = [
  [0x20, "ID", "rw"], [0x30, "VERSION", "r"], [0x80, "TPR", "rw"], [0x90, "APR", "none"], [0xa0, "PPR", "r"], [0xb0, "EOI", "w"],
  [0xc0, "RRD", "none"], [0xd0, "LDR", "rw"], [0xe0, "DFR", "rw"], [0xf0, "SVR", "rw"],
  ...(["ISR", "TMR", "IRR"] as const).flatMap((bank, at) =>
    Array.from({ length: 8 }, (_, n) => [0x100 + 0x80 * at + 16 * n, `${bank}${n}`, "r"] as const)),
  [0x280, "ESR", "rw"], [0x300, "ICR_LOW", "rw"], [0x310, "ICR_HIGH", "rw"],
  [0x320, "LVT_TIMER", "rw"], [0x330, "LVT_THERMAL", "rw"], [0x340, "LVT_PERFORMANCE", "rw"], [0x350, "LVT_LINT0", "rw"],
  [0x360, "LVT_LINT1", "rw"], [0x370, "LVT_ERROR", "rw"], [0x380, "INITIAL_COUNT", "rw"], [0x390, "CURRENT_COUNT", "r"], [0x3e0, "DIVIDE", "rw"],
];
const LOCAL_APIC = 0xfee0_0000;
/** Every 16 bytes of the page: a register, or nothing, which is an illegal register address. */
const localApic: readonly Touch[] = Array.from({ length: 256 }, (_, slot) => {
  const offset = 16 * slot;
  const [, name, access] = localApicRows.find(([at]) => at === offset) ?? [
    0,
    `nothing at ${offset.toString(16)}`,
    undefined,
  ];
  const device = "local APIC";
  const reading = { device, name, touch: (t: Script) => void t.read(LOCAL_APIC + offset) };
  const writing = { device, name, touch: (t: Script) => void t.write(LOCAL_APIC + offset, 0) };
  const why = { none: "not implemented", r: "read-only", w: "write-only" };
  const says = (what: string) => new RegExp(`local-apic 0: ${what}`);
  const hole = `nothing at offset 0x${offset.toString(16)}\\b`;
  if (access === undefined)
    return [
      { ...reading, reports: says(`read of ${hole}`) },
      { ...writing, reports: says(`write of 0x0 to ${hole}`) },
    ];
  const refused = (what: string) => says(`${what} ${name}, which is ${why[access as keyof typeof why]}`);
  return [
    { ...reading, ...(access === "w" || access === "none" ? { reports: refused("read of") } : {}) },
    // What software has set stays: a working register is written elsewhere.
    ...(access === "r" || access === "none" ? [{ ...writing, reports: refused("write of 0x0 to") }] : []),
  ];
}).flat();

const timers = [0, 1, 2].flatMap((timer) =>
  (
    [
      ["CONF", 0],
      ["INT_ROUTE_CAP", 4],
      ["CMP", 8],
      ["CMP_HIGH", 12],
      ["FSB_VAL", 16],
      ["FSB_ADDR", 20],
    ] as const
  ).map(([name, at]) => memory("HPET", `T${timer}_${name}`, HPET + 0x100 + 0x20 * timer + at)),
);

// biome-ignore format: a table
export const touches: readonly Touch[] = [
  ...localApic,
  port("8259A", "IRR/ISR", 0x20), port("8259A", "IMR", 0x21), port("8259A", "IRR/ISR", 0xa0), port("8259A", "IMR", 0xa1),
  port("8259A", "ELCR1", 0x4d0), port("8259A", "ELCR2", 0x4d1),
  port("8254", "counter 0", 0x40), port("8254", "counter 1", 0x41), port("8254", "counter 2", 0x42), port("8254", "NMI_SC", 0x61),
  read("8254", "CONTROL", 0x43, /pit: read of CONTROL, which is write-only/),
  read("MC146818A", "INDEX", 0x70, /rtc: read of INDEX, which is write-only/),
  ...[..."0123456789"].map((digit) => ({ device: "MC146818A", name: digit, touch: (t: Script) => t.out(0x70, Number(digit)).in(0x71) })),
  ...[..."ABCD"].map((name, index) => ({ device: "MC146818A", name, touch: (t: Script) => t.out(0x70, 10 + index).in(0x71) })),
  { device: "MC146818A", name: "C", touch: (t) => t.out(0x70, 12).out(0x71, 0), reports: /rtc: write to register C, which is read-only/ },
  { device: "MC146818A", name: "D", touch: (t) => t.out(0x70, 13).out(0x71, 0), reports: /rtc: write to register D, which is read-only/ },
  { device: "MC146818A", name: "B: DSE", touch: (t) => t.out(0x70, 11).out(0x71, 3), reports: /rtc: register B: DSE/ },
  { device: "MC146818A", name: "B: SQWE", touch: (t) => t.out(0x70, 11).out(0x71, 10), reports: /rtc: register B: SQWE/ },
  { device: "MC146818A", name: "A: DV", touch: (t) => t.out(0x70, 10).out(0x71, 0x06).out(0x71, 0x26), reports: /rtc: register A: time base DV 0/ },
  ...["RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR"].map((name, index) => port("16550A", name, 0x3f8 + index)),
  write("16550A", "LSR", 0x3fd, 0, /uart16550: write of 0x0 to LSR, which is read-only/),
  write("16550A", "MSR", 0x3fe, 0, /uart16550: write of 0x0 to MSR, which is read-only/),
  { device: "16550A", name: "LCR: set break", touch: (t) => t.out(0x3fb, 0x43).out(0x3fb, 3), reports: /uart16550: LCR: set break is not implemented/ },
  memory("82093AA", "IOREGSEL", IO_APIC), indexed("IOAPICID", 0), indexed("IOAPICVER", 1), indexed("IOAPICARB", 2),
  ...Array.from({ length: 48 }, (_, index) => indexed(`IOREDTBL${index >> 1}`, 0x10 + index)),
  { device: "82093AA", name: "IOAPICVER", touch: (t) => t.write(IO_APIC, 1).write(IO_APIC + 16, 0), reports: /io-apic: write to IOAPICVER, which is read-only/ },
  { device: "82093AA", name: "IOAPICARB", touch: (t) => t.write(IO_APIC, 2).write(IO_APIC + 16, 0), reports: /io-apic: write to IOAPICARB, which is read-only/ },
  { device: "82093AA", name: "EOI", touch: (t) => t.read(IO_APIC + 0x40), reports: /io-apic: read of EOI, which is write-only/ },
  ...(["GCAP_ID 0", "COUNTER_CLK_PERIOD 4", "GEN_CONF 10", "GINTR_STA 20", "MAIN_CNT f0", "MAIN_CNT_HIGH f4"] as const).map((row) => {
    const [name, at] = row.split(" ") as [string, string];
    return memory("HPET", name, HPET + Number.parseInt(at, 16));
  }),
  ...timers,
  store("HPET", "GCAP_ID", HPET, 0, /hpet: write of 0x0 to GCAP_ID, which is read-only/),
  store("HPET", "COUNTER_CLK_PERIOD", HPET + 4, 0, /hpet: write of 0x0 to COUNTER_CLK_PERIOD, which is read-only/),
  port("ACPI", "PM1_STS", 0x600, 2), port("ACPI", "PM1_EN", 0x602, 2), port("ACPI", "PM1_CNT", 0x604, 2), port("ACPI", "PM_TMR", 0x608, 4),
  write("ACPI", "PM_TMR", 0x608, 0, /acpi-pm: write of 0x0 to PM_TMR, which is read-only/, 4),
  write("ACPI", "PM1_CNT: GBL_RLS", 0x604, 4, /acpi-pm: PM1_CNT: GBL_RLS is not implemented/, 2),
  write("ACPI", "PM1_CNT: SLP_TYP", 0x604, 0x2800, /acpi-pm: sleep type 2 is not implemented/, 2),
  port("i8042", "data", 0x60), port("i8042", "status", 0x64),
  ...([[0x21, "read controller RAM"], [0xa5, "load password"], [0xac, "diagnostic dump"], [0xc1, "poll input port low"], [0xe0, "read test inputs"]] as const).map(
    ([command, name]) => write("i8042", name, 0x64, command, new RegExp(`i8042: command 0x${command.toString(16)} \\(${name}\\) is not implemented`))),
  port("port 92", "PORT92", 0x92), port("ICH9", "RST_CNT", 0xcf9), port("POST", "POST", 0x80),
  read("exit", "STATUS", 0xf4, /exit: read of STATUS, which is write-only/),
  read("coprocessor", "CLEAR_BUSY", 0xf0, /coprocessor: read of CLEAR_BUSY, which is write-only/),
  { device: "fw_cfg", name: "signature", touch: (t) => t.out(0x510, 0, 2).in(0x511).in(0x514, undefined, 4).in(0x518, undefined, 4) },
  write("fw_cfg", "BOOT_MENU", 0x510, 0x0e, /fw-cfg: no item BOOT_MENU, 0xe/, 2),
  write("fw_cfg", "E820_TABLE", 0x510, 0x8003, /fw-cfg: no item E820_TABLE, 0x8003/, 2),
  port("PCI", "CONFIG_ADDRESS", 0xcf8, 4),
  ...Array.from({ length: 16 }, (_, index) => memory("PCI", `header ${4 * index}`, CARD + 4 * index)),
  store("PCI", "Cache Line Size", CARD + 0x0c, 16, /virtio-net: write of 0x10 to Cache Line Size, which is not implemented/, 1),
  store("PCI", "Latency Timer", CARD + 0x0d, 16, /virtio-net: write of 0x10 to Latency Timer, which is not implemented/, 1),
  store("PCI", "BIST", CARD + 0x0f, 0x40, /virtio-net: write of 0x40 to BIST, which is not implemented/, 1),
  store("PCI", "Base Address Register 5", CARD + 0x24, 1, /virtio-net: write of 0x1 to Base Address Register 5, which is not implemented/),
  store("PCI", "Expansion ROM Base Address", CARD + 0x30, 1, /virtio-net: write of 0x1 to Expansion ROM Base Address, which is not implemented/),
  { device: "virtio", name: "BARs", touch: (t) => t.write(CARD + 0x10, CARD_BAR).write(CARD + 4, 6, 2).write(DISK + 0x10, DISK_BAR).write(DISK + 4, 6, 2) },
  ...Array.from({ length: 14 }, (_, index) => memory("virtio", `common ${4 * index}`, CARD_BAR + 4 * index)),
  { device: "virtio", name: "queue_reset", touch: (t) => t.read(CARD_BAR + 0x3a, undefined, 2), reports: /virtio-net: read of queue_reset, which is not implemented/ },
  { device: "virtio", name: "queue_notify_data", touch: (t) => t.read(CARD_BAR + 0x38, undefined, 2), reports: /virtio-net: read of queue_notify_data, which is not implemented/ },
  store("virtio", "num_queues", CARD_BAR + 0x12, 1, /virtio-net: write of 0x1 to num_queues, which is read-only/, 2),
  memory("virtio-net", "mac", CARD_BAR + 0x2000), memory("virtio-net", "status", CARD_BAR + 0x2006, 2), memory("virtio-net", "mtu", CARD_BAR + 0x200a, 2),
  { device: "virtio-net", name: "max_virtqueue_pairs", touch: (t) => t.read(CARD_BAR + 0x2008, undefined, 2), reports: /virtio-net: read of max_virtqueue_pairs, which is not implemented/ },
  memory("virtio-blk", "capacity", DISK_BAR + 0x2000), memory("virtio-blk", "seg_max", DISK_BAR + 0x200c), memory("virtio-blk", "blk_size", DISK_BAR + 0x2014),
  ...([["size_max", 8], ["geometry", 16], ["topology", 24], ["writeback", 32], ["num_queues", 34]] as const).map(([name, at]) => ({
    device: "virtio-blk", name, touch: (t: Script) => t.read(DISK_BAR + 0x2000 + at, undefined, 1), reports: new RegExp(`virtio-blk 0: read of ${name}, which is not implemented`) })),
  ...([["COM2", 0x2f8], ["VGA", 0x3c0], ["IDE, primary", 0x1f0], ["8237 DMA channels 0-3", 0], ["floppy disk", 0x3f4]] as const).map(([name, at]) => ({
    device: "PC", name, touch: (t: Script) => t.in(at), reports: new RegExp(`board: port 0x${at.toString(16)} \\(${name}\\): read of 1 bytes, claimed by nobody`) })),
];
