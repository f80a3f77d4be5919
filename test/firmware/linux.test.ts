// Linux's boot protocol on our own board: an image that is only a setup header and a few instructions says what it
// was handed. The kernel itself boots in test/linux.

import { describe, expect, test } from "vitest";
import { bootFiles } from "../../emulator/boot-files.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";

const NOTE = 0x50_0000; // where the image writes down what it found
const PREFERRED = 0x20_0000;

interface ImageOptions {
  readonly entries?: number;
  readonly version?: number;
  readonly relocatable?: number;
  readonly initBytes?: number;
  readonly initrdMax?: number;
  readonly commandLineMax?: number;
}

/** Entered with 32 and with 64 bits by instructions that mean the same in both. */
function image(o: ImageOptions = {}): Uint8Array {
  const sectors = 2;
  const file = new Uint8Array((sectors + 1) * 512 + 0x280);
  const view = new DataView(file.buffer);
  file[0x1f1] = sectors;
  view.setUint16(0x1fe, 0xaa55, true);
  file.set([0xeb, 0x66], 0x200);
  file.set(Buffer.from("HdrS"), 0x202);
  view.setUint16(0x206, o.version ?? 0x020f, true);
  file[0x211] = 1;
  view.setUint32(0x214, 0x10_0000, true);
  view.setUint32(0x22c, o.initrdMax ?? 0x7fff_ffff, true);
  view.setUint32(0x238, o.commandLineMax ?? 0, true);
  file[0x234] = o.relocatable ?? 1;
  file[0x236] = o.entries ?? 1;
  view.setUint32(0x258, PREFERRED, true);
  view.setUint32(0x260, o.initBytes ?? 0x10_0000, true);
  const code = (bits: number) => [
    ...[0xbf, ...u32(NOTE)], // mov edi, NOTE
    ...[0x89, 0x37], // mov [edi], esi
    ...[0xb9, ...u32(0xc000_0080), 0x0f, 0x32], // mov ecx, EFER; rdmsr
    ...[0x89, 0x47, 0x04], // mov [edi + 4], eax
    ...[0x8c, 0xc8, 0x89, 0x47, 0x08], // mov eax, cs; mov [edi + 8], eax
    ...[0xe8, 0, 0, 0, 0], // call the next instruction
    ...[0x58, 0x89, 0x47, 0x0c], // pop eax; mov [edi + 12], eax
    ...[0xb0, bits, 0xe6, 0xf4, 0xf4], // out F4, bits; hlt
  ];
  file.set(code(32), (sectors + 1) * 512);
  file.set(code(64), (sectors + 1) * 512 + 0x200);
  return file;
}

const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

async function run(options: MachineOptions) {
  let console = "";
  const machine = await Machine.create({
    firmware: firmwareImage(),
    memory: 32 << 20,
    ...options,
    console: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  machine.run({ limit: 20e6 });
  return { console, machine, view: new DataView(machine.ram.buffer, machine.ram.byteOffset) };
}

const initrd = Buffer.from("an initial file system");
const commandLine = "console=ttyS0 quiet";

describe("a bzImage on the board", () => {
  test.each([32, 64] as const)("is entered with %i bits and boot_params", async (entry) => {
    const { files } = bootFiles({ name: "not for Linux", entry });
    const { machine, view, console } = await run({ kernel: image(), files, initrd, commandLine, cores: 2 });
    expect({ exit: machine.exitCode, console }).toEqual({ exit: entry, console: expect.any(String) });
    const [parameters, efer, cs, rip] = [0, 4, 8, 12].map((at) => view.getUint32(NOTE + at, true)) as [
      number,
      number,
      number,
      number,
    ];
    expect((efer >>> 10) & 1).toBe(entry === 64 ? 1 : 0); // LMA
    expect(cs).toBe(0x10);
    expect(rip & ~0xfff).toBe(PREFERRED);
    const text = (at: number, length: number) =>
      Buffer.from(machine.ram.subarray(at, at + length)).toString();
    const field = (at: number) => view.getUint32(parameters + at, true);
    expect(text(parameters + 0x202, 4)).toBe("HdrS");
    expect(view.getUint8(parameters + 0x210)).toBe(0xff);
    expect(field(0x214)).toBe(PREFERRED);
    expect(text(field(0x228), commandLine.length + 1)).toBe(`${commandLine}\0`);
    expect(text(field(0x218), field(0x21c))).toBe(String(initrd));
    expect(text(field(0x70), 8)).toBe("RSD PTR ");
    const map = Array.from({ length: view.getUint8(parameters + 0x1e8) }, (_, i) => {
      const at = parameters + 0x2d0 + 20 * i;
      return [view.getUint32(at, true), view.getUint32(at + 8, true), view.getUint32(at + 16, true)];
    });
    expect(map.map((range) => range[2])).toEqual([1, 2, 2, 1, 3, 2, 2]);
    expect(map[0]).toEqual([0, 0x9_0000, 1]);
    expect(map[4]![0]! + map[4]![1]!).toBe(32 << 20);
  });

  test("the initial file system stays clear of init_size and below initrd_addr_max", async () => {
    const limits = { initBytes: 0x80_0000, initrdMax: 0xbf_ffff };
    const { view, machine } = await run({ kernel: image(limits), initrd });
    expect(machine.exitCode).toBe(32);
    const parameters = view.getUint32(NOTE, true);
    const at = view.getUint32(parameters + 0x218, true);
    expect(at).toBeGreaterThanOrEqual(PREFERRED + limits.initBytes);
    expect(at + initrd.length).toBeLessThanOrEqual(limits.initrdMax + 1);
  });

  test("a command line as long as the image takes", async () => {
    const kernel = image({ commandLineMax: commandLine.length });
    expect((await run({ kernel, commandLine })).machine.exitCode).toBe(32);
  });

  test("an image that may not be moved stays at code32_start", async () => {
    const { view } = await run({ kernel: image({ relocatable: 0 }) });
    expect(view.getUint32(NOTE + 12, true) & ~0xfff).toBe(0x10_0000);
  });

  test.each([
    ["an old protocol", { kernel: image({ version: 0x0205 }) }, "older than 2.10"],
    ["no 64-bit entry", { kernel: image({ entries: 0 }), ...bootFiles({ entry: 64 }) }, "no 64-bit entry"],
    ["too little RAM", { kernel: image({ initBytes: 64 << 20 }) }, "RAM that is free"],
    [
      "a command line too long for it",
      { kernel: image({ commandLineMax: commandLine.length - 1 }), commandLine },
      "longer than the Linux image takes",
    ],
    ["a file cut short", { kernel: image().slice(0, 0x600) }, "ends before its protected-mode part"],
  ] as [string, MachineOptions, string][])("names %s", async (_, options, words) => {
    const { console, machine } = await run(options);
    expect(console).toMatch(new RegExp(`^firmware: .*${words}`, "m"));
    expect(machine.exitCode).toBe(126);
  });
});
