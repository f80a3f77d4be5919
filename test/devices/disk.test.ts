// Disk images on the host: modes, errors with names, what reaches the file.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDisk, parseDisk } from "../../emulator/disk.js";
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

test("what cannot be a disk is named", () => {
  expect(() => openDisk({ path: join(folder, "none"), mode: "ro" })).toThrow(/disk .*none: ENOENT/);
  expect(() => openDisk({ path: folder, mode: "ro" })).toThrow(/it is not a file/);
  writeFileSync(path, "short");
  expect(() => openDisk({ path, mode: "rw" })).toThrow(/5 bytes are no whole number of sectors of 512/);
});
