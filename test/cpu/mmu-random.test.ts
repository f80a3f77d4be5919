// Paging on random tables, against a reference walker: a second reading of Intel SDM vol. 3A, chapter 4.
import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import type { Microcode } from "../support/microcode.js";
import { alignmentCheck, EXECUTE, long, PAGE, READ, WRITE } from "../support/mmu.js";
import { ADDRESS, CR0, CR4, EFER, G, MSR_EFER, must, NX, P, PS, U, W } from "../support/paging.js";

describe("random tables against a second reading of the manual", () => {
  /** What an access does, by the book: a physical address, or a page-fault error code. */
  function reference(
    m: Microcode,
    root: number,
    va: bigint,
    access: number,
    state: { user: boolean; wp: boolean; smep: boolean; smap: boolean; ac: boolean; nxe: boolean },
  ): { physical: bigint } | { error: number } {
    const fetch = access === EXECUTE;
    const kind =
      (access === WRITE ? 2 : 0) | (state.user ? 4 : 0) | (fetch && (state.nxe || state.smep) ? 16 : 0);
    let table = BigInt(root);
    let [writable, forUser, noExecute] = [true, true, false];
    for (const [level, shift] of [
      [4, 39n],
      [3, 30n],
      [2, 21n],
      [1, 12n],
    ] as const) {
      const e = m.read64(Number(table + ((va >> shift) & 511n) * 8n));
      if (!(e & P)) return { error: kind };
      const large = level === 1 || ((e & PS) !== 0n && (level === 2 || level === 3));
      const size = 1n << shift;
      let reserved = e & 0x000f_ff00_0000_0000n;
      if (e & NX && !state.nxe) reserved |= NX;
      if (level === 4) reserved |= e & (PS | G); // AMD APM vol. 2, figure 5-20
      if (large && level > 1) reserved |= e & (size - 1n) & 0x3fff_e000n;
      if (reserved) return { error: kind | 9 };
      writable &&= (e & W) !== 0n;
      forUser &&= (e & U) !== 0n;
      noExecute ||= (e & NX) !== 0n;
      if (!large) {
        table = e & ADDRESS;
        continue;
      }
      let allowed: boolean;
      if (state.user) allowed = forUser && (fetch ? !noExecute : access === READ || writable);
      else if (fetch) allowed = !noExecute && !(forUser && state.smep);
      else allowed = (access === READ || writable || !state.wp) && !(forUser && state.smap && !state.ac);
      if (!allowed) return { error: kind | 1 };
      return { physical: (e & ADDRESS & ~(size - 1n)) | (va & (size - 1n)) };
    }
    throw new Error("unreachable");
  }

  /** xorshift32: every failure names its seed. */
  function generator(seed: number) {
    let x = seed || 1;
    return (below: number) => {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      return (x >>> 0) % below;
    };
  }

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`seed ${seed}`, () => {
      const random = generator(seed * 0x9e37_79b9);
      const { m, tables } = long();
      const addresses: bigint[] = [];
      /** A table with a few random entries, mostly good, and what hangs below them. */
      const grow = (table: number, level: number, prefix: bigint) => {
        for (let i = 0; i < 3; i++) {
          const index = random(128);
          const va = prefix | (BigInt(index) << BigInt(12 + 9 * (level - 1)));
          const likely = (chance: number, value: bigint) => (random(chance) ? value : 0n);
          const rarely = (chance: number, value: bigint) => (random(chance) ? 0n : value);
          let entry = likely(12, P) | likely(5, W) | likely(5, U) | rarely(9, NX) | rarely(6, G);
          entry |= rarely(30, 1n << BigInt(40 + random(12)));
          const large = level === 1 || (level < 4 && random(3) === 0);
          if (large) {
            entry |=
              level === 1
                ? BigInt(0x100 + random(0xf00)) << 12n
                : PS | rarely(2, 0x1000n) | rarely(12, 0x4000n);
            addresses.push(va | BigInt(level > 1 ? (256 + random(256)) * PAGE : 0));
          } else {
            const below = tables.page();
            entry |= BigInt(below) | (level === 4 ? rarely(20, PS) : 0n);
            grow(below, level - 1, va);
          }
          m.write64(table + index * 8, entry);
        }
      };
      grow(tables.root, 4, 0n);
      const outcomes = new Set<number | "ok">();
      for (let i = 0; i < 4000; i++) {
        const va = addresses[random(addresses.length)] + BigInt(random(PAGE));
        const access = random(3);
        const state = {
          user: random(2) === 0,
          wp: random(2) === 0,
          smep: random(2) === 0,
          smap: random(2) === 0,
          ac: random(2) === 0,
          nxe: random(8) !== 0,
        };
        must(m, "writeControl", 0, (m.u64(L.CR0) & ~CR0.WP) | (state.wp ? CR0.WP : 0n));
        must(m, "writeControl", 4, CR4.PAE | (state.smep ? CR4.SMEP : 0n) | (state.smap ? CR4.SMAP : 0n));
        must(m, "writeMsr", MSR_EFER, EFER.LME | EFER.LMA | (state.nxe ? EFER.NXE : 0n));
        alignmentCheck(m, state.ac);
        m.setU32(L.CPL, state.user ? 3 : 0);
        // The tables never change, so cached translations must agree with a fresh walk, except for NXE.
        if (random(16) === 0 || !state.nxe) m.call("flushTlb");
        const expected = reference(m, tables.root, va, access, state);
        const got = m.call("translate", va, access);
        const fault = m.takeFault();
        const actual =
          fault === undefined
            ? { physical: got >> 63n ? got & ~(1n << 63n) : got - m.ramAddress(0) }
            : { error: fault.error };
        expect({ i, va, access, state, ...actual }).toEqual({ i, va, access, state, ...expected });
        outcomes.add("error" in expected ? expected.error : "ok");
        if (!state.nxe) m.call("flushTlb");
        m.setU32(L.CPL, 0);
      }
      // Success, and not-present, permission and reserved-bit faults, read, written and fetched, of both levels
      expect(outcomes.size).toBeGreaterThan(10);
      expect(outcomes).toContain("ok");
    });
  }
});
