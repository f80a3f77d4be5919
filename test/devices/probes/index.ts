// All tables of probes.

import { ioApic } from "./io-apic.js";
import { pic } from "./pic.js";
import { pit } from "./pit.js";
import { rtc } from "./rtc.js";
import type { Table } from "./script.js";
import { uart } from "./uart.js";

export const tables: readonly Table[] = [pic, pit, rtc, uart, ioApic];
