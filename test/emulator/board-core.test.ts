// The bootstrap processor of a live machine shares its thread with the board (emulator/board-core.ts): nobody who waits for
// the board may be kept waiting by it, nor it by them; and its time is kept by an alarm clock of finer steps than the event
// loop's timers have.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { AlarmClock } from "../../emulator/alarm.js";
import { assemble } from "../../emulator/assembler.js";
import { BusLock } from "../../emulator/cpu/bus-lock.js";
import { buildHardware } from "../../emulator/hardware.js";
import { hostEpoch, hostNanosecondsSince } from "../../emulator/host-clock.js";
import { commands } from "../support/commands.js";

const live = process.arch === "x64" ? describe : describe.skip;
const folder = mkdtempSync(join(tmpdir(), "buslock-board-core-"));
const buslock = commands();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("who waits for the bus lock does what others wait for: one of them is in the way", () => {
  const { memory } = buildHardware({ cores: 2 });
  const other = new BusLock(memory, 2, true);
  let calls = 0;
  const bus = new BusLock(memory, 2, true, () => {
    if (++calls === 3) other.park(1);
  });
  other.unpark(1);
  bus.unpark(0);
  bus.lock(0);
  expect(calls).toBe(3);
  bus.unlock(0);
});

live("a live machine of two cores", { timeout: 120_000 }, () => {
  const ADDRESS = 0x10_0000;
  const TIMES = 2000;
  /** Started at 8000:0; asks the board, and counts. */
  const second = assemble(
    `xor ax, ax
     mov ds, ax
     mov cx, ${TIMES}
     again: in al, 0x61
     inc word ptr [0x7000]
     loop again
     cli
     hlt`,
    { bits: 16, origin: 0x8000 },
  );
  /** The first core, until the other has counted to the end: in 32-bit protected mode, as multiboot has it. */
  const first = (body: string) => {
    const code = (copy: number) =>
      assemble(
        `cld
         mov dword ptr [0x7000], 0
         mov dword ptr [0x6000], 0
         mov esi, ${copy}
         mov edi, 0x8000
         mov ecx, ${second.length}
         rep movsb
         mov eax, 0xfee00000
         mov dword ptr [eax + 0xf0], 0x1ff
         mov dword ptr [eax + 0x300], 0xc4500
         mov dword ptr [eax + 0x300], 0xc4608
         top: ${body}
         cmp dword ptr [0x7000], ${TIMES}
         jb top
         mov al, 3
         mov edx, 0xf4
         out dx, al
         hlt`,
        { bits: 32, origin: ADDRESS },
      );
    const { length } = code(ADDRESS);
    return Buffer.concat([code(ADDRESS + length), second]);
  };

  it.each([
    ["spins", "pause"],
    ["takes the bus lock again and again", "lock add dword ptr [0x603e], 1"],
    ["uses the board itself", "in al, 0x61"],
  ])("serves the other core while the first %s", async (_, body) => {
    const path = join(folder, "guest.bin");
    writeFileSync(path, first(body));
    const run = buslock("boot", "--kernel", path, "--flat", `0x${ADDRESS.toString(16)}`, "--cores", 2);
    expect(await run.ended, run.out + run.err).toEqual({ status: 7, signal: null });
  });
});

describe("the alarm clock", () => {
  const epoch = hostEpoch();
  const now = hostNanosecondsSince(epoch);
  const MS = 1e6;

  /** Sets times; gives those at which it rang, in milliseconds from the first set, once it rang behind `last`. */
  async function rings(
    last: number,
    set: (clock: AlarmClock, from: number) => Promise<void>,
  ): Promise<number[]> {
    const heard: number[] = [];
    let enough = () => {};
    const clock = new AlarmClock(epoch, () => {
      heard.push((now() - from) / MS);
      if (heard.at(-1)! >= last) enough();
    });
    const from = now();
    const done = new Promise<void>((resolve) => {
      enough = resolve;
    });
    await set(clock, from);
    await done;
    await clock.end();
    return heard;
  }
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it("rings at the time that was set last, whether that is earlier or later, and never before the earliest", async () => {
    const heard = await rings(300, async (clock, from) => {
      clock.set(from + 5000 * MS);
      await pause(20);
      clock.set(from + 200 * MS);
      clock.set(from + 300 * MS);
    });
    expect(heard[0]).toBeGreaterThanOrEqual(300);
  });

  it("rings for a time that has rung when it is set again, also after another", async () => {
    let next = () => {};
    const clock = new AlarmClock(epoch, () => next());
    const until = now() + 5 * MS;
    for (const between of [undefined, until + 60_000 * MS, Number.POSITIVE_INFINITY, until + 60_000 * MS]) {
      const heard = new Promise<boolean>((resolve) => {
        next = () => resolve(true);
      });
      if (between !== undefined) clock.set(between);
      clock.set(until);
      expect(await Promise.race([heard, pause(2000)]), `after ${between}`).toBe(true);
    }
    await clock.end();
  });

  it("rings again for each time that is set after it rang, however close together", async () => {
    const TIMES = 200;
    let rung = 0;
    let next = () => {};
    const clock = new AlarmClock(epoch, () => {
      rung++;
      next();
    });
    for (let i = 0; i < TIMES; i++) {
      const until = now() + (i % 7) * 0.05 * MS;
      const heard = new Promise<void>((resolve) => {
        next = () => (now() >= until ? resolve() : clock.set(until));
      });
      clock.set(until);
      await heard;
    }
    expect(rung).toBeGreaterThanOrEqual(TIMES);
    await clock.end();
  });
});
