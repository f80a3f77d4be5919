// The cpio builder against a reader of the format written from its description.
import { describe, expect, test } from "vitest";
import { initialFileSystem } from "../../emulator/initfs.js";

interface Entry {
  name: string;
  mode: number;
  data: Uint8Array;
}

/** newc: 6 letters of magic, 13 fields of 8 hexadecimal digits, name with its zero, data; both padded to 4. */
function read(archive: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  const text = (at: number, length: number) => new TextDecoder().decode(archive.subarray(at, at + length));
  for (let at = 0; ; ) {
    expect(at % 4).toBe(0);
    expect(text(at, 6)).toBe("070701");
    const field = (index: number) => Number.parseInt(text(at + 6 + 8 * index, 8), 16);
    const [mode, size, nameBytes] = [field(1), field(6), field(11)];
    const name = text(at + 110, nameBytes - 1);
    expect(archive[at + 110 + nameBytes - 1]).toBe(0);
    const data = (at + 110 + nameBytes + 3) & ~3;
    if (name === "TRAILER!!!") {
      expect(data).toBe(archive.length);
      return entries;
    }
    entries.push({ name, mode, data: archive.slice(data, data + size) });
    at = (data + size + 3) & ~3;
  }
}

describe("initial file system", () => {
  test("holds the files in order, with the directories that they need, once", () => {
    const files = [
      { path: "/bin/a", data: Uint8Array.of(1, 2, 3, 4, 5) },
      { path: "bin/b", data: new Uint8Array(), mode: 0o644 },
      { path: "/etc/deep/c", data: Uint8Array.of(9) },
    ];
    const entries = read(initialFileSystem(files));
    expect(entries.map(({ name, mode }) => `${name} ${mode.toString(8)}`)).toEqual([
      "bin 40755",
      "bin/a 100755",
      "bin/b 100644",
      "etc 40755",
      "etc/deep 40755",
      "etc/deep/c 100755",
    ]);
    expect(entries[1]!.data).toEqual(files[0]!.data);
    expect(entries[2]!.data).toHaveLength(0);
    expect(entries[5]!.data).toEqual(files[2]!.data);
  });

  test("is the same for the same files", () => {
    const files = [{ path: "/x", data: Uint8Array.of(7) }];
    expect(initialFileSystem(files)).toEqual(initialFileSystem(files));
  });

  test("refuses a path twice, or one that names no file", () => {
    const data = new Uint8Array();
    expect(() =>
      initialFileSystem([
        { path: "/a", data },
        { path: "a", data },
      ]),
    ).toThrow(/a is there twice/);
    for (const path of ["", "/", "/a/../b", "./a", "a\0b"]) {
      expect(() => initialFileSystem([{ path, data }])).toThrow(/is not the path of a file/);
    }
  });
});
