// What a core finds outside its own chip: I/O ports, device memory, its local APIC, the time. The engine calls it
// in the core's own thread; behind `board` stands the board itself or, in live mode, the channel to its thread.

import type { CoreDevices } from "./board/core-devices.js";
import type { BoardService } from "./channel.js";
import type { Clock } from "./clock.js";
import type { Host } from "./cpu/engine.js";

export class CoreHost implements Host {}
