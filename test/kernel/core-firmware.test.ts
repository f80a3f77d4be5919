// What the kernel believes of its loader and firmware, in Node: start information, command line, memory map, ACPI.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KernelCore } from "../support/kernel-core.js";

const MEBIBYTE = 1 << 20;
const IMAGE_END = 0x23_0000;

interface Loader {
  readonly commandLine?: string;
  readonly module?: { readonly at: number; readonly bytes: number };
  /** [from, to, type] */
  readonly map?: readonly (readonly [number, number, number])[];
}

/** hvm_start_info and what it points to. */
function start({ commandLine = "", module, map = [[MEBIBYTE, 64 * MEBIBYTE, 1]] }: Loader) {
  const core = new KernelCore(1, { imageEnd: () => IMAGE_END });
  const { view, bytes } = core.kernel;
  const [info, modules, entries] = [0x1000, 0x1100, 0x1200];
  const text = core.kernel.room(4096);
  bytes.fill(0, info, info + 0x800);
  core.write(text, commandLine);
  view.setUint32(info, 0x336ec578, true);
  view.setUint32(info + 4, 1, true);
  view.setBigUint64(info + 24, BigInt(text), true);
  view.setBigUint64(info + 32, 0xe_1000n, true);
  view.setBigUint64(info + 40, BigInt(entries), true);
  view.setUint32(info + 48, map.length, true);
  if (module) {
    view.setUint32(info + 12, 1, true);
    view.setBigUint64(info + 16, BigInt(modules), true);
    view.setBigUint64(modules, BigInt(module.at), true);
    view.setBigUint64(modules + 8, BigInt(module.bytes), true);
  }
  map.forEach(([from, to, type], i) => {
    view.setBigUint64(entries + 24 * i, BigInt(from), true);
    view.setBigUint64(entries + 24 * i + 8, BigInt(to - from), true);
    view.setUint32(entries + 24 * i + 16, type, true);
  });
  return { core, info };
}

describe("command line", () => {
  const parse = (commandLine: string) => {
    const { core, info } = start({ commandLine });
    core.call("optionsStart", info);
    const option = (which: number) => {
      const at = core.call("unitOption", which);
      return at === 0 ? undefined : core.read(at);
    };
    return {
      node: option(0),
      init: option(1),
      exit: option(2),
      nod: option(3),
      rest: core.read(core.call("bootArguments")),
      number: () => core.call("unitNode"),
    };
  };

  test("words, values, and init's arguments behind --", () => {
    const words = parse("node=3 nodes=4  init=/bin/counter exit -- /shm/x 1 -- 2");
    expect(words).toMatchObject({
      node: "3",
      init: "/bin/counter",
      exit: "",
      nod: undefined,
      rest: "/shm/x 1 -- 2",
    });
    expect(words.number()).toBe(3);
  });

  test("words behind -- are not options; a word that only begins like an option is none", () => {
    expect(parse("nodes=2 -- node=1 exit=f4")).toMatchObject({
      node: undefined,
      exit: undefined,
      rest: "node=1 exit=f4",
    });
    expect(parse("").rest).toBe("");
    expect(parse("--").rest).toBe("");
    expect(parse("exit=a--b init=x").init).toBe("x");
    expect(parse("nodes=9").number()).toBe(77); // the default
  });

  test("a number that is none is refused by the option's name", () => {
    expect(() => parse("node=two").number()).toThrow(
      /panic: the command line has no decimal number behind node$/m,
    );
  });
});

describe("memory map", () => {
  test("frames are RAM above 1 MiB without image, frame map and module", () => {
    const module = { at: 0x80_0123, bytes: 0x5000 };
    const { core, info } = start({
      module,
      map: [
        [0, 0x9_fc00, 1],
        [0x9_fc00, 0xa_0000, 2],
        [MEBIBYTE, 16 * MEBIBYTE, 1],
        [16 * MEBIBYTE, 17 * MEBIBYTE, 2],
        [17 * MEBIBYTE, 20 * MEBIBYTE, 1],
        [0xc000_0000, 0xd000_0000, 2],
        [0x1_0000_0000, 0x1_4000_0000, 1],
      ],
    });
    core.call("optionsStart", info);
    expect([core.call("moduleAddress"), core.call("moduleBytes")]).toEqual([module.at, module.bytes]);
    core.call("memoryStart", info);
    // One byte per frame up to 20 MiB: 5120 bytes, two frames behind the image.
    const ram = (16 - 1 + 3) * 256;
    expect(core.call("framesFree")).toBe(ram - (IMAGE_END - MEBIBYTE) / 4096 - 2 - 6);
    for (;;) {
      const frame = core.call("frameAllocate");
      if (frame === 0) break;
      expect(frame).toBeGreaterThanOrEqual(IMAGE_END + 2 * 4096);
      expect(frame < 16 * MEBIBYTE || (frame >= 17 * MEBIBYTE && frame < 20 * MEBIBYTE)).toBe(true);
      expect(frame + 4096 <= module.at || frame >= module.at + module.bytes).toBe(true);
    }
  });

  test("a module right behind the image does not lie under the frame map", () => {
    const module = { at: IMAGE_END, bytes: 0x1_0000 };
    const { core, info } = start({ module });
    core.kernel.bytes.fill(0x5a, module.at, module.at + module.bytes);
    core.call("optionsStart", info);
    core.call("memoryStart", info);
    expect(core.kernel.bytes.slice(module.at, module.at + module.bytes).every((byte) => byte === 0x5a)).toBe(
      true,
    );
  });

  test("no PVH, no memory map, no RAM: each is a panic that says so", () => {
    const { core, info } = start({ map: [] });
    core.call("optionsStart", info);
    expect(() => core.call("memoryStart", info)).toThrow(/the memory map names no RAM/);
    core.kernel.view.setUint32(info, 0, true);
    const other = start({});
    other.core.kernel.view.setUint32(other.info, 0, true);
    expect(() => other.core.call("optionsStart", other.info)).toThrow(/the loader speaks no PVH/);
  });
});

describe("ACPI", () => {
  /** Writes a table with its checksum; returns its address. */
  function table(core: KernelCore, at: number, signature: string, body: readonly number[]): number {
    const { bytes, view } = core.kernel;
    bytes.fill(0, at, at + 36);
    bytes.set(new TextEncoder().encode(signature), at);
    bytes.set(body, at + 36);
    view.setUint32(at + 4, 36 + body.length, true);
    const sum = bytes.slice(at, at + 36 + body.length).reduce((a, b) => a + b, 0);
    bytes[at + 9] = -sum & 0xff;
    return at;
  }
  const le32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

  function firmware(extended: boolean) {
    const core = new KernelCore();
    const base = core.kernel.room(0x4000);
    const dsdt = table(core, base + 0x1000, "DSDT", [
      ...[0x10, 0x20, 0x5f, 0x53], // something before
      ...[0x08, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00],
      ...new Array<number>(16).fill(0),
    ]);
    const fadt = new Array<number>(80).fill(0);
    fadt.splice(40 - 36, 4, ...le32(dsdt));
    fadt.splice(64 - 36, 4, ...le32(0x604));
    const facp = table(core, base + 0x1400, "FACP", fadt);
    const apic = table(core, base + 0x1800, "APIC", [
      ...[...le32(0xfee0_0000), ...le32(1)],
      ...[0, 8, 0, 4, ...le32(1)], // a core
      ...[0, 8, 1, 9, ...le32(0)], // one that is switched off
      ...[0, 8, 2, 7, ...le32(1)],
      ...[1, 12, 0, 0, ...le32(0xfec0_0000), ...le32(0)],
      ...[2, 10, 0, 0, ...le32(2), 0, 0],
      ...[2, 10, 0, 9, ...le32(9), 0x0d, 0],
    ]);
    const pointers = [facp, apic];
    const root = table(
      core,
      base + 0x2000,
      extended ? "XSDT" : "RSDT",
      pointers.flatMap((at) => [...le32(at), ...(extended ? le32(0) : [])]),
    );
    const { bytes, view } = core.kernel;
    bytes.set(new TextEncoder().encode("RSD PTR "), base);
    bytes[base + 15] = extended ? 2 : 0;
    view.setUint32(base + 16, extended ? 0 : root, true);
    if (extended) view.setBigUint64(base + 24, BigInt(root), true);
    bytes[base + 8] = -bytes.slice(base, base + 20).reduce((a, b) => a + b, 0) & 0xff;
    return { core, rsdp: base, apic };
  }

  test.each([false, true])("cores, interrupt overrides and power off (XSDT: %s)", (extended) => {
    const { core, rsdp } = firmware(extended);
    core.call("acpiStart", rsdp);
    expect(core.kernel.constant("apicIdCount")).toBe(2);
    expect([core.call("apicIdAt", 0), core.call("apicIdAt", 1)]).toEqual([4, 7]);
    expect([0, 1, 9].map((line) => core.call("isaInterrupt", line))).toEqual([2, 1, 9]);
    expect(core.call("isaFlags", 9)).toBe(0x0d);
    core.call("acpiPowerOff");
    expect(core.ports.at(-1)).toEqual([0x604, (5 << 10) | 0x2000 | 1]);
  });

  test("a table whose checksum is wrong is not believed", () => {
    const { core, rsdp, apic } = firmware(false);
    core.kernel.bytes[apic + 50]!++;
    expect(() => core.call("acpiStart", rsdp)).toThrow(/the checksum of an ACPI table is wrong/);
    expect(() => new KernelCore().call("acpiStart", 0)).toThrow(/the loader gave no RSDP/);
  });
});

test("clock factors are floor(numerator * 2^power / divisor)", () => {
  const core = new KernelCore();
  const scale = core.kernel.call("scale") as unknown as (n: bigint, power: number, d: bigint) => bigint;
  for (const hertz of [62_500_001n, 999_999_999n, 1_000_000_000n, 2_635_812_345n, 5_800_000_000n])
    for (const power of [0, 1, 32, 58])
      expect(BigInt.asUintN(64, scale(1_000_000_000n, power, hertz))).toBe(
        (1_000_000_000n << BigInt(power)) / hertz,
      );
});

test("every counter has its name in the stats line, in order", () => {
  const source = readFileSync("kernel/stats.ts", "utf8");
  const fields = [...source.matchAll(/^ {2}(\w+): u64 = 0;/gm)].map((match) => match[1]);
  const core = new KernelCore();
  core.memory(16);
  core.call("statsPrint");
  expect(core.text.startsWith("stats: {")).toBe(true);
  expect(Object.keys(JSON.parse(core.text.slice(7)) as object)).toEqual(fields);
  expect(fields.length).toBeGreaterThan(10);
});
