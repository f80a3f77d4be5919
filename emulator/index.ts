// The library: what a hardware-level test needs, and what a cluster in virtual time is made of.

export { type AssembleOptions, assemble, assembleWithLabels } from "./assembler.js";
export { type BootFiles, bootFiles, type Module } from "./boot-files.js";
export {
  type ClusterOptions,
  type ClusterSnapshot,
  runSeeded,
  SeededCluster,
  type SeededOptions,
} from "./cluster.js";
export { ACTIVE, HALTED, SHUTDOWN, WAIT_FOR_SIPI } from "./cpu/layout.js";
export type { Watch } from "./cpu/onlooker.js";
export type { CoreState, GeneralName, SegmentName, SegmentState, Translation } from "./cpu/state.js";
export type { Disk } from "./devices/virtio-blk.js";
export type { Entropy } from "./devices/virtio-rng.js";
export { openDisk } from "./disk.js";
export { seededEntropy } from "./entropy.js";
export { type FlatOptions, flat } from "./flat.js";
export { bundledPrograms, firmware, kernelPath, type Program, program, readImage } from "./images.js";
export type { Link, NetworkOptions } from "./link.js";
export { Machine, type MachineOptions, type RunEnd, type RunOptions } from "./machine.js";
export { Random } from "./random.js";
export type { ClusterReport, MachineReport } from "./report.js";
export { Schedule } from "./schedule.js";
export type { Snapshot } from "./snapshot.js";
export { restoreMachine, saveMachine } from "./snapshot-file.js";
export { type Filter as TraceFilter, Tracer } from "./trace.js";
