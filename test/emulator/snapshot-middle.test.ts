// Two cores and the board, saved before every instruction of a program that is seldom at rest: in interrupt shadows, with an NMI
// that waits while another is served, single steps held off by MOV SS, a repeated MOVS that a timer interrupts, an x87
// exception that waits, halves of counters read, indexes written whose data come next, asleep by HLT and by MWAIT. Each goes on
// in a machine that has run nothing of it, to the same end. A disk's requests are answered within the instruction that notifies
// it (virtio-blk.ts), frames are on the wire in snapshot-anywhere.test.ts, so nothing of those is between two instructions.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import * as L from "../../emulator/cpu/layout.js";
import { HALTED, MONITOR_ARMED, MORE_STATE } from "../../emulator/cpu/layout.js";
import { flat } from "../../emulator/flat.js";
import { Machine } from "../../emulator/machine.js";
import type { Snapshot } from "../../emulator/snapshot.js";
import { withoutCodeMarks } from "../support/tlb-record.js";

const IDT = 0x4_0000;
const HANDLERS = 0x4_1000;
const COUNTS = 0x4_8000; // a u32 for each vector
const SEEN = 0x4_9000; // what was read from devices
const BEAT_NS = 10;
const TIMER = 0x40;

const first = `
    mov rax, cr0 ;; or eax, 0x22 ;; mov cr0, rax
    mov rax, cr4 ;; or eax, 0x600 ;; mov cr4, rax
    mov r15d, ${SEEN} ;; mov ebp, 0xfee00000
    mov dword ptr [rbp+0xf0], 0x1ff ;; mov dword ptr [rbp+0x3e0], 0xb ;; mov dword ptr [rbp+0x320], ${TIMER}
    mov dword ptr [rbp+0x380], 300
    sti ;; nop
    mov esi, 0x60000 ;; mov edi, 0x61000 ;; mov ecx, 40 ;; rep movsb
    cli
    mov dword ptr [rbp+0x310], 0 ;; mov dword ptr [rbp+0x300], 0x4400
    mov eax, ss ;; mov dword ptr [rbp+0x380], 1 ;; sti ;; mov ss, eax ;; nop ;; cli
    pushfq ;; or dword ptr [rsp], 0x100 ;; popfq ;; mov ss, eax ;; nop ;; nop
    pushfq ;; and dword ptr [rsp], 0xfffffeff ;; popfq
    mov eax, 0x62020 ;; mov dr0, rax ;; mov eax, 0xf0003 ;; mov dr7, rax
    mov dword ptr [0x62020], ${flat.selector.data} ;; mov ss, word ptr [0x62020] ;; nop ;; nop
    xor eax, eax ;; mov dr7, rax
    db 0xdb, 0xe3 ;; fldcw word ptr [0x62010] ;; fld1 ;; fldz ;; db 0xde, 0xf9 ;; nop ;; db 0x9b
    mov al, 0 ;; out 0x43, al ;; in al, 0x40 ;; call keep ;; in al, 0x40 ;; call keep
    mov al, 0x0b ;; out 0x70, al ;; in al, 0x71 ;; call keep
    mov al, 0x11 ;; out 0x20, al ;; mov al, 0x50 ;; out 0x21, al ;; mov al, 4 ;; out 0x21, al
    mov al, 1 ;; out 0x21, al ;; mov al, 0xfb ;; out 0x21, al ;; in al, 0x21 ;; call keep
    mov al, 0xd1 ;; out 0x64, al ;; mov al, 3 ;; out 0x60, al
    mov dx, 0x510 ;; xor eax, eax ;; out dx, ax ;; mov dx, 0x511
    in al, dx ;; call keep ;; in al, dx ;; call keep ;; in al, dx ;; call keep
    mov ebx, 0xfec00000 ;; mov dword ptr [rbx], 0x18 ;; mov dword ptr [rbx+16], 0x10041 ;; mov eax, [rbx+16] ;; call keep
    mov dx, 0xcf8 ;; mov eax, 0x80000000 ;; out dx, eax ;; mov dx, 0xcfc ;; in eax, dx ;; call keep
    mov dx, 0x3fb ;; mov al, 0x83 ;; out dx, al ;; mov dx, 0x3f8 ;; mov al, 12 ;; out dx, al
    in al, dx ;; call keep ;; mov dx, 0x3fb ;; mov al, 3 ;; out dx, al
    db 0x0f, 0xc7, 0xf0 ;; call keep ;; rdtsc ;; call keep
    mov eax, 3 ;; lock xadd [0x6303e], eax ;; call keep
    mov eax, 0x64000 ;; xor ecx, ecx ;; xor edx, edx ;; db 0x0f, 0x01, 0xc8
    mov dword ptr [rbp+0x380], 400 ;; sti ;; db 0x0f, 0x01, 0xc9
    mov dword ptr [rbp+0x380], 400 ;; hlt
    cli ;; hlt
  keep: mov [r15], eax ;; add r15, 4 ;; ret`;
const second = `
    mov ecx, 20
  again: lock inc dword ptr [0x6303e] ;; loop again
    cli ;; hlt`;
/** By vector: what comes before the counter and IRETQ. */
const handlers: Readonly<Record<number, string>> = {
  1: `mov rax, dr6 ;; mov [r15], eax ;; add r15, 4 ;; xor eax, eax ;; mov dr6, rax`,
  // The first asks for another, which waits for its IRET.
  2: `cmp dword ptr [${COUNTS + 8}], 0 ;; jne over ;; mov dword ptr [rbp+0x300], 0x4400 ;; nop ;; over:`,
  16: "db 0xdb, 0xe2",
  [TIMER]: "mov dword ptr [rbp+0xb0], 0",
};

async function make(): Promise<Machine> {
  const machine = await Machine.create({ cores: 2, memory: 1 << 20, seed: 3 });
  machine.start(first, { cores: [0], stack: 0x7_0000 });
  machine.start(second, { cores: [1], at: 0x2_0000, stack: 0x7_0000 });
  machine.write(0x6_2010, 2, 0x37b); // #Z is not masked
  for (const [vector, body] of Object.entries(handlers).map(([n, text]) => [Number(n), text] as const)) {
    const at = HANDLERS + 0x100 * vector;
    const count = `inc dword ptr [${COUNTS + 4 * vector}]`;
    machine.load(at, assemble(`push rax;; ${body}\n ${count};; pop rax;; iretq`, { bits: 64, origin: at }));
    const gate = BigInt(at & 0xffff) | (BigInt(flat.selector.code64) << 16n) | (0x8en << 40n);
    machine.write(IDT + 16 * vector, 8, gate | (BigInt(at >> 16) << 48n));
  }
  machine.core(0).idtr = { base: BigInt(IDT), limit: 0xfff };
  return machine;
}

/** One instruction of one of the cores, in turn. */
function beat(machine: Machine, number: number): void {
  machine.step(number % 2);
  machine.advance((number + 1) * BEAT_NS);
}
const over = (machine: Machine) =>
  [0, 1].every((core) => machine.core(core).activity === HALTED && !(machine.core(core).rflags & 0x200n));

function digest(machine: Machine): string {
  const { pages, cores, ...rest } = machine.snapshot();
  const hash = createHash("sha256").update(JSON.stringify([pages, rest]));
  for (const { translations, ...registers } of cores)
    hash.update(JSON.stringify(registers)).update(withoutCodeMarks(translations));
  return hash.digest("hex");
}

/** What the first core is in the middle of. */
function middle({ cores: [core] }: Snapshot): string[] {
  const block = Buffer.from(core!.block, "base64");
  const more = Buffer.from(core!.more, "base64");
  const at = (offset: number) => block.readUInt32LE(offset);
  const found: Record<string, boolean> = {
    "STI's shadow": at(L.SHADOW) === L.SHADOW_INTERRUPTS,
    "MOV SS's shadow": at(L.SHADOW) === L.SHADOW_STACK,
    "a debug trap held off": at(L.SHADOW) === L.SHADOW_STACK && at(L.DEBUG_PENDING) !== 0,
    "a repetition": at(L.REPEATING) !== 0,
    "an NMI that waits": at(L.NMI_BLOCKED) !== 0 && at(L.NMI_WANTED) !== 0,
    "an x87 exception": (at(L.FSW) & 0x80) !== 0,
    "HLT or MWAIT": at(L.ACTIVITY) === HALTED,
    MONITOR: more.readUInt32LE(MONITOR_ARMED - MORE_STATE) !== 0,
  };
  return Object.keys(found).filter((name) => found[name]);
}

test("before each instruction, another machine goes on to the same end", async () => {
  const whole = await make();
  const saved: Snapshot[] = [];
  for (; !over(whole); beat(whole, saved.length - 1)) {
    expect(saved.length).toBeLessThan(2_000);
    saved.push(whole.snapshot());
  }
  const counts = [1, 2, 16, TIMER].map((vector) => Number(whole.read(COUNTS + 4 * vector, 4)));
  expect(counts).toEqual([7, 2, 1, 4]);
  expect([...new Set(saved.flatMap(middle))]).toHaveLength(8);
  const end = digest(whole);
  const other = await Machine.create({ cores: 2, memory: 1 << 20, seed: 99 });
  for (const [place, snapshot] of [...saved.entries()].reverse()) {
    // Asleep for long: once is enough.
    if (place % 8 !== 0 && middle(snapshot).includes("HLT or MWAIT")) continue;
    other.load(0, new Uint8Array(other.ram.length));
    other.restore(JSON.parse(JSON.stringify(snapshot)));
    for (let n = place; !over(other); n++) beat(other, n);
    expect(digest(other), `saved before beat ${place}: ${middle(snapshot).join(", ")}`).toBe(end);
  }
}, 60_000);
