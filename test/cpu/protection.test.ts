// Protection, judged by QEMU: the same ROM runs on both, and every case must end alike. QEMU's TCG follows the manual
// here; where it does not, the case is listed below with the manual's word.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cpu } from "../support/cpu.js";
import { type Case, logOf, protectionCases, protectionRom } from "../support/protection.js";

const program = "qemu-system-x86_64";
const missing = spawnSync(program, ["--version"]).status === 0 ? "" : ` (${program} is not installed)`;

function inQemu(rom: Uint8Array): number[] {
  const folder = mkdtempSync(join(tmpdir(), "protection-"));
  try {
    writeFileSync(join(folder, "rom"), rom);
    spawnSync(
      program,
      [
        ...[
          "-machine",
          "pc",
          "-m",
          "16",
          "-display",
          "none",
          "-no-reboot",
          "-monitor",
          "none",
          "-serial",
          "none",
        ],
        ...["-nic", "none", "-bios", join(folder, "rom"), "-debugcon", `file:${join(folder, "log")}`],
        ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
      ],
      { timeout: 10_000 },
    );
    return [...readFileSync(join(folder, "log"))];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function here(rom: Uint8Array): Promise<number[]> {
  const cpu = await Cpu.create({ rom });
  cpu.run(1_000_000);
  return cpu.host.portsWritten.filter(({ port }) => port === 0xe9).map(({ value }) => value);
}

const show = (c: Case) =>
  `${c.operation} ring ${c.ring} a=${c.a.toString(16)} b=${c.b.toString(16)} A=${c.descriptorA.toString(16)} B=${c.descriptorB.toString(16)} upper=${c.upperB.toString(16)}`;

/**
 * Where QEMU 7.2 leaves the manual, both answers are made alike: it does not set the accessed bit of segments that
 * a gate, RET or IRET loads; LAR gives zero for bits 19..16, which are undefined (silicon gives the limit's);
 * a call gate to conforming code changes the RPL of CS; a bad gate in long mode has vector * 16 for its index; RET
 * and IRET raise #NP for a stack segment that is not present. What it does not check at all, support/protection.ts leaves out.
 */
function common(c: Case, log: string | undefined): string | undefined {
  if (log === undefined) return undefined;
  const bytes = log.split(" ");
  if (c.operation === "lar" && bytes[0] === "ee") bytes[3] = `${bytes[3]![0]}x`;
  if (["jump", "call", "interrupt", "retf", "iret"].includes(c.operation)) {
    for (const at of [bytes.length - 2, bytes.length - 1]) {
      bytes[at] = (Number.parseInt(bytes[at]!, 16) & 0xfe).toString(16);
    }
  }
  if (c.operation === "call" && bytes[0] === "dd")
    bytes[1] = (Number.parseInt(bytes[1]!, 16) & 0xfc).toString(16);
  if ((c.operation === "retf" || c.operation === "iret") && bytes[1] === "0c") bytes[1] = "0b";
  return bytes.join(" ").replace(/^f0 (0b|0d) 12 08/, "f0 $1 0a 04");
}

describe("protection as QEMU has it", () => {
  for (const bits of [32, 64] as const)
    for (const seed of [1, 2, 3]) {
      test.skipIf(missing !== "")(`${bits}-bit, seed ${seed}${missing}`, async () => {
        const cases = protectionCases(bits, seed * 7919, 800);
        const rom = protectionRom(bits, cases);
        const theirs = logOf(inQemu(rom));
        const ours = logOf(await here(rom));
        const different = cases.flatMap((c, i) =>
          common(c, ours[i]) === common(c, theirs[i])
            ? []
            : [`${i}: ${show(c)}\n  ours ${ours[i]}\n  QEMU ${theirs[i]}`],
        );
        expect(different.slice(0, 20).join("\n")).toBe("");
        expect(ours.length).toBe(theirs.length);
        expect(ours.length).toBe(cases.length);
      });
    }
});
