// Disk images on the host: modes, errors with names, what reaches the file.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDisk, parseDisk } from "../../emulator/disk.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { pattern } from "./virtio-driver.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buslock-disk-"));
  path = join(folder, "image");
  writeFileSync(path, pattern(0x3000));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ["a.img", { path: "a.img", mode: "rw" }],
  ["/x/a.img,ro", { path: "/x/a.img", mode: "ro" }],
  ["a,b/c.img,cow", { path: "a,b/c.img", mode: "cow" }],
])("%s", (text, options) => {
  expect(parseDisk(text)).toEqual(options);
});

test.each(["", "a.img,rx", "a.img,"])("refused: %j", (text) => {
  expect(() => parseDisk(text)).toThrow(/wanted FILE, FILE,ro or FILE,cow/);
});

test("rw: writes reach the file, in shared memory as well as not", () => {
  const disk = openDisk({ path, mode: "rw" });
  const shared = new Uint8Array(new SharedArrayBuffer(1024));
  shared.set(pattern(1024, 77));
  disk.write(512, shared);
  disk.flush();
  const bytes = new Uint8Array(new SharedArrayBuffer(2048));
  disk.read(0, bytes);
  const expected = pattern(0x3000);
  expected.set(shared, 512);
  expect(Uint8Array.from(bytes)).toEqual(expected.slice(0, 2048));
  expect(Uint8Array.from(readFileSync(path))).toEqual(expected);
});

test("cow: the file stays, the disk changes; ro says so", () => {
  const disk = openDisk({ path, mode: "cow" });
  disk.write(0x2e00, pattern(512, 5));
  const bytes = new Uint8Array(1024);
  disk.read(0x2c00, bytes);
  expect([...bytes]).toEqual([...pattern(0x3000).slice(0x2c00, 0x2e00), ...pattern(512, 5)]);
  expect(Uint8Array.from(readFileSync(path))).toEqual(pattern(0x3000));
  expect([disk.readOnly, openDisk({ path, mode: "ro" }).readOnly]).toEqual([false, true]);
});

test("rw: snapshots bring the file back, whichever of them in whichever order", () => {
  const random = new Random(5);
  const size = 0x3000 + 512; // the last block is short
  writeFileSync(path, pattern(size));
  const disk = openDisk({ path, mode: "rw" });
  const model = Uint8Array.from(readFileSync(path));
  const write = () => {
    const sectors = 1 + random.below(12);
    const at = 512 * random.below(size / 512 - sectors + 1);
    const bytes = pattern(512 * sectors, random.below(256));
    disk.write(at, bytes);
    model.set(bytes, at);
  };
  for (let i = 0; i < 5; i++) write(); // before the first snapshot
  const kept = Array.from({ length: 12 }, () => {
    const state = JSON.stringify(disk.snapshot());
    const file = Uint8Array.from(model);
    for (let i = random.below(4); i > 0; i--) write();
    return { state, file };
  });
  for (let i = 0; i < 60; i++) {
    const { state, file } = kept[random.below(kept.length)]!;
    disk.restore(JSON.parse(state) as object);
    expect(readFileSync(path).equals(file), `restore ${i}`).toBe(true);
    model.set(file);
    if (random.below(2) === 0) write();
    expect(readFileSync(path).equals(model), `write ${i}`).toBe(true);
  }
});

test("rw: a machine's snapshot brings its disk's file back", async () => {
  const disk = openDisk({ path, mode: "rw" });
  const machine = await Machine.create({ memory: 1 << 20, disks: [disk] });
  const before = machine.snapshot();
  disk.write(0x200, pattern(1024, 3));
  const after = machine.snapshot();
  machine.restore(before);
  expect(readFileSync(path).equals(pattern(0x3000))).toBe(true);
  machine.restore(after);
  expect(readFileSync(path).subarray(0x200, 0x600).equals(pattern(1024, 3))).toBe(true);
});

test("rw: a snapshot of another process brings its blocks along", () => {
  const first = openDisk({ path, mode: "rw" });
  first.snapshot();
  first.write(0x1000, pattern(512, 9));
  const state = first.snapshot();
  const after = Uint8Array.from(readFileSync(path));
  writeFileSync(path, pattern(0x3000));
  openDisk({ path, mode: "rw" }).restore(state);
  expect(Uint8Array.from(readFileSync(path))).toEqual(after);
});

test("what cannot be a disk is named", () => {
  expect(() => openDisk({ path: join(folder, "none"), mode: "ro" })).toThrow(/disk .*none: ENOENT/);
  expect(() => openDisk({ path: folder, mode: "ro" })).toThrow(/it is not a file/);
  writeFileSync(path, "short");
  expect(() => openDisk({ path, mode: "rw" })).toThrow(/5 bytes are no whole number of sectors of 512/);
});
