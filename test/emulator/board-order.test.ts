// Stores of several cores to device memory, in live mode: each core's go to the board by a channel of its own, and come there
// in an order that nobody can tell from the bus's.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { BoardChannel, CHANNEL_WORDS, CoreChannel, serveAll } from "../../emulator/channel.js";
import { commands } from "../support/commands.js";

const live = process.arch === "x64" ? describe : describe.skip;
const folder = mkdtempSync(join(tmpdir(), "buslock-board-order-"));
const buslock = commands();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// SDM vol. 3A, 12.3: strong uncacheable accesses are not reordered
describe("what cores ask of the board", () => {
  const board = () => {
    const writes: number[] = [];
    const nothing = () => 0;
    const service = {
      ...{ portRead: nothing, portWrite: nothing, read: nothing, interruptAcknowledge: nothing },
      ...{ endOfInterrupt: nothing, write: (address: number) => void writes.push(address) },
    };
    return { writes, service };
  };
  const channels = (count: number, first: number) => {
    const tickets = new Int32Array(new SharedArrayBuffer(4)).fill(first);
    return Array.from({ length: count }, () => {
      const words = new Int32Array(new SharedArrayBuffer(CHANNEL_WORDS * 4));
      return { words, core: new CoreChannel(words, tickets, () => {}) };
    });
  };

  test.each([0, 0x7fff_fffe, -2])("is done in the order in which they asked, from ticket %i on", (first) => {
    const { writes, service } = board();
    const cores = channels(4, first);
    for (const which of [2, 0, 3, 1]) cores[which]!.core.write(which, 4, 0);
    const ends = cores.map(({ words }) => new BoardChannel(words));
    expect(serveAll(ends, service)).toBe(true);
    expect(writes).toEqual([2, 0, 3, 1]);
    expect(serveAll(ends, service)).toBe(false);
  });

  test("also where the earlier one comes when its channel has been looked at", () => {
    const { writes, service } = board();
    const [one, other] = channels(2, 0);
    let looks = 0;
    class Late extends BoardChannel {
      override get ticket(): number | undefined {
        const ticket = super.ticket;
        if (looks++ === 0) {
          one!.core.write(1, 4, 0);
          other!.core.write(2, 4, 0);
        }
        return ticket;
      }
    }
    serveAll([new Late(one!.words), new BoardChannel(other!.words)], service);
    expect(writes).toEqual([1, 2]);
  });
});

live(
  "a live machine of several cores: the I/O APIC's index and window under a lock",
  { timeout: 120_000 },
  () => {
    const ADDRESS = 0x10_0000;
    const WORK = 0x12_0000;
    const ROUNDS = 3000;
    const CORES = 3;
    /** Each core writes an entry of its own, lets go of the lock, and looks next time whether it got there. */
    const work = assemble(
      `mov eax, 1
     lock xadd dword ptr [0x7000], eax
     mov ebx, eax
     lea esi, [ebx*2 + 0x18]
     mov ecx, ${ROUNDS}
     mov ebp, 0
     top: lock bts dword ptr [0x7010], 0
     jnc got
     pause
     jmp top
     got: cmp ebp, 0
     jz good
     mov dword ptr [0xfec00000], esi
     mov eax, [0xfec00010]
     cmp eax, ebp
     jz good
     lock inc dword ptr [0x7020]
     good: mov eax, ecx
     and eax, 0x7f
     add eax, 0x10020
     mov ebp, eax
     mov dword ptr [0xfec00000], esi
     mov dword ptr [0xfec00010], eax
     mov dword ptr [0x7010], 0
     dec ecx
     jnz top
     lock inc dword ptr [0x7030]
     cmp ebx, 0
     jz first
     cli
     hlt
     first: cmp dword ptr [0x7030], ${CORES}
     jb first
     mov al, 1
     cmp dword ptr [0x7020], 0
     jz told
     mov al, 2
     told: mov edx, 0xf4
     out dx, al
     hlt`,
      { bits: 32, origin: WORK },
    );
    /** Of 16 bits, then a jump to where 32-bit code goes on; behind it a GDT of three descriptors, and its pointer. */
    const START = 0x8000;
    const ON = START + 0x40;
    const GDT = START + 0x80;
    const others = Buffer.alloc(0xa0);
    const enter = assemble(
      `xor ax, ax;; mov ds, ax;; lgdt [${START + 0x98}];; mov eax, cr0;; or al, 1;; mov cr0, eax`,
      {
        bits: 16,
        origin: START,
      },
    );
    const jump = Uint8Array.of(0x66, 0xea, ON & 0xff, ON >> 8, 0, 0, 8, 0);
    const on = `mov eax, 0x10;; mov ds, ax;; mov es, ax;; mov ss, ax;; mov eax, ${WORK};; jmp eax`;
    others.set([...enter, ...jump], 0);
    others.set(assemble(on, { bits: 32, origin: ON }), ON - START);
    others.writeBigUInt64LE(0x00cf_9b00_0000_ffffn, GDT - START + 8);
    others.writeBigUInt64LE(0x00cf_9300_0000_ffffn, GDT - START + 16);
    others.writeUInt16LE(23, 0x98);
    others.writeUInt32LE(GDT, 0x9a);
    const first = assemble(
      `cld
     mov esi, ${ADDRESS + 0x1000}
     mov edi, ${START}
     mov ecx, ${others.length}
     rep movsb
     xor eax, eax
     mov edi, 0x7000
     mov ecx, 0x40
     rep stosb
     mov eax, 0xfee00000
     mov dword ptr [eax + 0xf0], 0x1ff
     mov dword ptr [eax + 0x300], 0xc4500
     mov dword ptr [eax + 0x300], 0xc4608
     mov eax, ${WORK}
     jmp eax`,
      { bits: 32, origin: ADDRESS },
    );

    // SDM vol. 3A, 12.3, where another core can tell
    test("what a core stores there comes before what the next holder of the lock does", async () => {
      const path = join(folder, "window.bin");
      const image = Buffer.alloc(WORK - ADDRESS + work.length);
      image.set(first, 0);
      image.set(others, 0x1000);
      image.set(work, WORK - ADDRESS);
      writeFileSync(path, image);
      const run = buslock("boot", "--kernel", path, "--flat", `0x${ADDRESS.toString(16)}`, "--cores", CORES);
      expect(await run.ended, run.out + run.err).toEqual({ status: 3, signal: null });
    });
  },
);
