// The library: what a hardware-level test needs.

export { type AssembleOptions, assemble, assembleWithLabels } from "./assembler.js";
export { type BootFiles, bootFiles, type Module } from "./boot-files.js";
export { runSeeded, SeededCluster, type SeededOptions } from "./cluster.js";
export type { CoreState, GeneralName, SegmentName, SegmentState } from "./cpu/state.js";
export { type FlatOptions, flat } from "./flat.js";
export { Machine, type MachineOptions, type RunEnd, type RunOptions } from "./machine.js";
export { Random } from "./random.js";
export { Schedule } from "./schedule.js";
export type { Snapshot } from "./snapshot.js";
export { restoreMachine, saveMachine } from "./snapshot-file.js";
