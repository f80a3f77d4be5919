// A machine in virtual time as a file: where it stands, and the schedule with it, so that another process goes on from there
// as this one would have, to the bit. A file is 8 bytes of magic and version, the SHA-256 of the rest, and the rest: a
// gzipped JSON record. What the machine was made of is not in it but named by digests: it has to be given again.
// Invariant: a file that is foreign, cut, damaged, of another version or of another machine is refused by name.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import type { MachineOptions } from "./hardware.js";
import type { Machine } from "./machine.js";
import type { Schedule, ScheduleRecord } from "./schedule.js";
import type { Snapshot } from "./snapshot.js";
import { writeWhole } from "./whole-file.js";

const MAGIC = Buffer.from("BUSLOCK\x07", "latin1");
const DIGEST_BYTES = 32;

/** What a machine and its schedule were made of, by name; texts and numbers as they are, images by their digest. */
type Makings = Readonly<Record<string, string>>;

interface SavedMachine {
  readonly makings: Makings;
  readonly machine: Snapshot;
  readonly schedule: ScheduleRecord;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

function makingsOf(o: MachineOptions, schedule: Schedule): Makings {
  const image = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? "none" : sha256(bytes).toString("hex").slice(0, 16);
  return {
    seed: String(o.seed ?? 1),
    "stalls of nanoseconds": String(schedule.stall),
    cores: String(o.cores ?? 1),
    "bytes of RAM": String(o.memory ?? "default"),
    "firmware image": image(o.firmware),
    "kernel image": image(o.kernel),
    "initial file system": image(o.initrd),
    "command line": o.commandLine ?? "",
    "station address": image(o.mac === undefined ? undefined : Uint8Array.from(o.mac)),
    "store buffer": String(o.storeBuffer ?? 0),
    date: String(o.startTime ?? "default"),
    "shadowed ROM": String(o.shadowedRom ?? false),
    "fw_cfg files": filesOf(o.files),
    disks:
      (o.disks ?? []).map((disk) => `${disk.bytes}${disk.readOnly ? " read-only" : ""}`).join(", ") || "none",
    devices: devicesOf(o),
  };
}

function filesOf(files: MachineOptions["files"]): string {
  const hash = createHash("sha256");
  for (const [name, bytes] of [...(files ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  return files === undefined || files.size === 0 ? "none" : hash.digest("hex").slice(0, 16);
}

/** What is plugged in or is not. */
const devicesOf = ({ entropy, virtioConsole, biosConsole, testDevice }: MachineOptions): string =>
  Object.entries({
    entropy: entropy !== undefined,
    "virtio console": virtioConsole !== undefined,
    "BIOS console": biosConsole !== undefined,
    "test device": testDevice === true,
  })
    .flatMap(([name, there]) => (there ? [name] : []))
    .join(", ") || "none";

/** Writes the file whole or not at all. */
export function saveMachine(path: string, machine: Machine, schedule: Schedule, o: MachineOptions): void {
  const record: SavedMachine = {
    makings: makingsOf(o, schedule),
    machine: machine.snapshot(),
    schedule: schedule.snapshot(),
  };
  const body = gzipSync(JSON.stringify(record), { level: 3 });
  try {
    writeWhole(path, Buffer.concat([MAGIC, sha256(body), body]));
  } catch (error) {
    throw new Error(`snapshot ${path}: ${(error as Error).message}`);
  }
}

/** Puts a machine that was made of the same things, and its schedule, where the saved one stood. */
export function restoreMachine(path: string, machine: Machine, schedule: Schedule, o: MachineOptions): void {
  const { makings, machine: snapshot, schedule: record } = read(path);
  for (const [name, value] of Object.entries(makingsOf(o, schedule))) {
    if (makings[name] === value) continue;
    throw new Error(`snapshot ${path}: made with ${name} ${makings[name]}, given ${value}`);
  }
  machine.restore(snapshot);
  schedule.restore(record);
}

function read(path: string): SavedMachine {
  const refuse = (why: string): never => {
    throw new Error(`snapshot ${path}: ${why}`);
  };
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    return refuse((error as Error).message);
  }
  const version = MAGIC.length - 1;
  if (!file.subarray(0, version).equals(MAGIC.subarray(0, version))) refuse("not a snapshot of a machine");
  if (file[version] !== MAGIC[version]) refuse(`version ${file[version]}, wanted ${MAGIC[version]}`);
  const body = file.subarray(MAGIC.length + DIGEST_BYTES);
  if (!sha256(body).equals(file.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES)))
    refuse("cut or damaged: its digest does not fit");
  return JSON.parse(gunzipSync(body).toString()) as SavedMachine;
}
