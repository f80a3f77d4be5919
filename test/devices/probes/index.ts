// All tables of probes.

import { acpiPm } from "./acpi-pm.js";
import { fwCfg } from "./fw-cfg.js";
import { hpet } from "./hpet.js";
import { keyboard } from "./i8042.js";
import { ioApic } from "./io-apic.js";
import { pci } from "./pci.js";
import { pic } from "./pic.js";
import { pit } from "./pit.js";
import { platform } from "./platform.js";
import { rtc } from "./rtc.js";
import type { Table } from "./script.js";
import { uart } from "./uart.js";
import { virtio } from "./virtio.js";

export const tables: readonly Table[] = [
  pic,
  pit,
  rtc,
  uart,
  ioApic,
  hpet,
  acpiPm,
  keyboard,
  platform,
  fwCfg,
  pci,
  virtio,
];
