// Stale translations go along in a snapshot. A guest that changes a page-table entry without INVLPG may see the old page as
// long as the TLB holds it (Intel SDM vol. 3A, 4.10.2.3; AMD APM vol. 2, 5.5): what it sees is then the TLB's, so a machine
// that goes on from a file must hold exactly the translations of the one that was saved. It is saved after each instruction.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { restoreMachine, saveMachine } from "../../emulator/snapshot-file.js";
import { withoutCodeMarks } from "../support/tlb-record.js";

const folder = mkdtempSync(join(tmpdir(), "buslock-translations-"));
afterAll(() => rmSync(folder, { recursive: true }));

const options: MachineOptions = { memory: 4 << 20 };
const DIRECTORY = 0x5000; // of the second GiB, of those that start() writes
const TABLE = 0x2_0000;
const AT = 0x4000_0000; // what TABLE maps
const [OLD, NEW] = [0x30_0000, 0x30_1000];

/** A machine whose pages from AT on are OLD, with a program at its usual place. */
async function machineWith(program: string): Promise<Machine> {
  const machine = await Machine.create(options);
  machine.start(program);
  machine.write(DIRECTORY, 8, TABLE | 7);
  machine.write(TABLE, 8, OLD | 7);
  machine.write(TABLE + 8, 8, OLD | 7);
  return machine;
}

function end(machine: Machine) {
  const { cores, ...rest } = machine.snapshot();
  const digest = (text: string) => createHash("sha256").update(withoutCodeMarks(text)).digest("hex");
  return { ...rest, cores: cores.map((core) => ({ ...core, translations: digest(core.translations) })) };
}

const scheduleOf = (machine: Machine) => new Schedule([machine], [], new Random(1));

/**
 * Runs to the HLT; then from files that are written after each instruction, in a machine that has decoded nothing of it. All
 * ends are the same; gives the first. The last file comes first, so that nothing in that machine is of an earlier one.
 */
async function everywhere(make: () => Promise<Machine>): Promise<Machine> {
  const whole = await make();
  const instructions = whole.step(0, 1000);
  expect(instructions).toBeLessThan(1000);
  const saved = await make();
  const fileAfter = (at: number) => join(folder, String(at));
  for (let at = 1; at < instructions; at++) {
    saved.step();
    saveMachine(fileAfter(at), saved, scheduleOf(saved), options);
  }
  const wanted = end(whole);
  const other = await Machine.create(options);
  for (let at = instructions - 1; at > 0; at--) {
    other.load(0, new Uint8Array(other.ram.length));
    restoreMachine(fileAfter(at), other, scheduleOf(other), options);
    expect(other.step(0, 1000)).toBe(instructions - at);
    expect(end(other), `saved after ${at} instructions`).toEqual(wanted);
  }
  return whole;
}

describe("what the TLB held when a machine was saved answers in the one that goes on", () => {
  test("for data: the old page until INVLPG, and until another address takes its place", async () => {
    const rival = AT + 0x20_1000; // the same entry (layout.ts); the PD entry is the same table's
    const end = await everywhere(async () => {
      const machine = await machineWith(`
        mov ebp, ${AT} ;; mov eax, [rbp]
        mov dword ptr [${TABLE}], ${NEW | 7}
        mov ebx, [rbp]
        invlpg [rbp] ;; mov ecx, [rbp]
        mov dword ptr [${TABLE}], ${OLD | 7}
        mov edx, [rbp] ;; mov edi, ${rival} ;; mov edi, [rdi] ;; mov esi, [rbp]
        hlt`);
      machine.write(DIRECTORY + 8, 8, TABLE | 7);
      machine.write(OLD, 4, 1);
      machine.write(NEW, 4, 2);
      return machine;
    });
    const seen = (["rax", "rbx", "rcx", "rdx", "rsi"] as const).map((name) => end.core().register(name));
    expect(seen).toEqual([1n, 1n, 2n, 2n, 1n]);
  });

  // Two readers of one page under two process-context identifiers: the second level of the TLB (SDM vol. 3A, 4.10.1).
  test("for the context that CR3 does not name", async () => {
    const end = await everywhere(async () => {
      const machine = await machineWith(`
        mov rax, cr4 ;; or eax, 0x20000 ;; mov cr4, rax   ; PCIDE
        mov ebp, ${AT} ;; mov eax, [rbp]
        mov rdx, cr3 ;; mov r8, rdx ;; or rdx, 5
        bts r8, 63 ;; bts rdx, 63
        mov dword ptr [${TABLE}], ${NEW | 7}
        mov cr3, rdx ;; mov ebx, [rbp]
        mov cr3, r8 ;; mov ecx, [rbp]
        hlt`);
      machine.write(OLD, 4, 1);
      machine.write(NEW, 4, 2);
      return machine;
    });
    const seen = (["rax", "rbx", "rcx"] as const).map((name) => end.core().register(name));
    expect(seen).toEqual([1n, 2n, 1n]);
  });

  test("for the page that runs, whose place in the TLB data have taken", async () => {
    const loop = (n: number) => `
        add ebx, ${n}
        mov dword ptr [${TABLE}], ${NEW | 7}
        mov eax, [0] ;; mov eax, [${AT + 0x20_1000}]
        dec ecx ;; jnz ${AT} ;; hlt`;
    const end = await everywhere(async () => {
      const machine = await machineWith(`mov ecx, 3 ;; mov eax, ${AT} ;; jmp rax`);
      machine.write(DIRECTORY + 8, 8, TABLE | 7);
      machine.load(OLD, assemble(loop(1), { bits: 64, origin: AT }));
      machine.load(NEW, assemble(loop(0x100), { bits: 64, origin: AT }));
      return machine;
    });
    expect(end.core().register("rbx")).toBe(3n);
  });

  test("while the A20 gate is closed", async () => {
    const end = await everywhere(async () => {
      const machine = await machineWith(`
        in al, 0x92 ;; and al, 0xfd ;; out 0x92, al
        mov ebp, ${AT} ;; mov eax, [rbp]
        mov dword ptr [${TABLE}], ${NEW | 7}
        mov ebx, [rbp]
        hlt`);
      machine.write(OLD - 0x10_0000, 4, 1);
      machine.write(NEW - 0x10_0000, 4, 2);
      return machine;
    });
    expect([end.core().register("rax"), end.core().register("rbx")]).toEqual([1n, 1n]);
  });
});
