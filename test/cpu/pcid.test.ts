// Process-context identifiers: which translations answer, and which rule takes them away. Intel SDM vol. 3A, 4.10.1
// (PCIDs), 4.10.2.4 (global pages) and 4.10.4.1 (operations that invalidate); AMD APM vol. 2, 5.5.1.
//
// Method: the same pages in several contexts. What is written to the tables is not seen until a rule says so: a
// reference model, which forgets nothing but by a rule, says for each access which frame it reaches. Manuals allow to
// forget more; a bench that looks for missing invalidations wants a processor that does not.

import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import { CR4, enterLong, G, must, P, PS, Tables, U, W } from "../support/paging.js";

const PCIDE = 1n << 17n;
const PGE = 0x80n;
const KEEP = 1n << 63n;
const READ = L.ACCESS_READ;
const VA = 0x7f00_1234_5000n;
const PAGE = 0x1000n;
const FRAME = 0x40_0000;
const ADDRESS = 0,
  CONTEXT = 1,
  ALL = 2,
  ALL_LOCAL = 3; // INVPCID's types, SDM vol. 2

/** 64-bit mode with PCIDE and PGE, PCID 000H. */
function contexts() {
  const m = new Microcode();
  const tables = new Tables(m).identity();
  enterLong(m, tables);
  must(m, "writeControl", 4, CR4.PAE | PGE | PCIDE);
  const cr3 = (pcid: number, keep: boolean) =>
    must(m, "writeControl", 3, BigInt(tables.root + pcid) | (keep ? KEEP : 0n));
  const frame = (va: bigint) => Number(must(m, "translate", va, READ) - m.ramAddress(0)) & ~0xfff;
  const reaches = (va: bigint) => {
    const at = m.call("translate", va, READ);
    return m.takeFault() === undefined ? Number(at - m.ramAddress(0)) & ~0xfff : undefined;
  };
  return { m, tables, cr3, frame, reaches };
}

describe("translations by PCID (SDM vol. 3A, 4.10.1)", () => {
  test("each PCID has its own; MOV to CR3 with bit 63 keeps those of the new one, stale as they are", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P);
    for (const pcid of [1, 2, 3]) {
      cr3(pcid, false);
      m.write64(at, BigInt(FRAME + pcid * 0x1000) | P);
      expect(frame(VA)).toBe(FRAME + pcid * 0x1000);
    }
    m.write64(at, BigInt(FRAME + 0x9000) | P);
    for (const pcid of [2, 1, 3, 1]) {
      cr3(pcid, true);
      expect(frame(VA)).toBe(FRAME + pcid * 0x1000);
    }
    cr3(4, true); // a context that has seen nothing
    expect(frame(VA)).toBe(FRAME + 0x9000);
  });

  test("without bit 63 those of the new PCID go, of the others none (4.10.4.1)", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P);
    for (const pcid of [1, 2]) {
      cr3(pcid, false);
      frame(VA);
    }
    m.write64(at, BigInt(FRAME + 0x5000) | P);
    cr3(1, false);
    expect(frame(VA)).toBe(FRAME + 0x5000);
    cr3(2, true);
    expect(frame(VA)).toBe(FRAME);
    cr3(2, false); // the same PCID again
    expect(frame(VA)).toBe(FRAME + 0x5000);
  });

  test("global translations serve every PCID, and no MOV to CR3 drops them (4.10.2.4)", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P | G);
    cr3(1, false);
    frame(VA);
    m.write64(at, BigInt(FRAME + 0x1000) | P | G);
    for (const [pcid, keep] of [
      [2, false],
      [3, true],
      [1, false],
    ] as const) {
      cr3(pcid, keep);
      expect(frame(VA)).toBe(FRAME);
    }
  });

  test("INVLPG: the page of the current PCID, and global ones", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P);
    const shared = tables.map(VA + PAGE, FRAME, P | G);
    for (const pcid of [1, 2]) {
      cr3(pcid, false);
      frame(VA);
      frame(VA + PAGE);
    }
    m.write64(at, BigInt(FRAME + 0x5000) | P);
    m.write64(shared, BigInt(FRAME + 0x6000) | P | G);
    must(m, "invalidate", L.DS, VA);
    expect(frame(VA)).toBe(FRAME + 0x5000);
    cr3(1, true);
    expect(frame(VA)).toBe(FRAME);
    must(m, "invalidate", L.DS, VA + PAGE);
    cr3(2, true);
    expect(frame(VA + PAGE)).toBe(FRAME + 0x6000);
  });

  test("INVLPG before the page is used again: what the context has kept goes as well, large pages whole", () => {
    const { m, tables, cr3, frame } = contexts();
    const large = VA & ~0x1f_ffffn;
    const other = large + 0x20_0000n;
    const at = tables.map(large, 0x40_0000, P, 2);
    tables.map(other, 0x40_0000, P, 2);
    cr3(1, false);
    for (const va of [large + 5n * PAGE, large + 9n * PAGE, other]) frame(va);
    cr3(2, true);
    frame(large + 5n * PAGE);
    m.write64(at, 0x80_0000n | P | PS);
    m.write64(tables.entry(other, 2), 0x80_0000n | P | PS);
    cr3(1, true);
    must(m, "invalidate", L.DS, large);
    expect(frame(large + 5n * PAGE)).toBe(0x80_5000);
    expect(frame(large + 9n * PAGE)).toBe(0x80_9000);
    expect(frame(other)).toBe(0x40_0000);
    cr3(2, true);
    expect(frame(large + 5n * PAGE)).toBe(0x40_5000);
  });

  // SDM vol. 3A, 4.10.4.1: what invalidates the TLB, and what does not
  test("a page fault drops what its context has of the page (4.10.4.1)", () => {
    const { m, tables, cr3, reaches } = contexts();
    const at = tables.map(VA, FRAME, P);
    for (const pcid of [1, 2]) {
      cr3(pcid, false);
      reaches(VA);
    }
    m.write64(at, 0n);
    expect(reaches(VA)).toBe(FRAME);
    expect(m.faultOf("translate", VA, L.ACCESS_WRITE)?.error).toBe(2);
    expect(reaches(VA)).toBeUndefined();
    cr3(1, true);
    expect(reaches(VA)).toBe(FRAME);
  });

  test("setting CR4.PCIDE drops nothing, what was there is of PCID 000H; clearing it drops everything", () => {
    const { m, tables, cr3, frame } = contexts();
    const without = CR4.PAE | PGE;
    must(m, "writeControl", 4, without);
    const at = tables.map(VA, FRAME, P);
    const shared = tables.map(VA + PAGE, FRAME, P | G);
    frame(VA);
    frame(VA + PAGE);
    m.write64(at, BigInt(FRAME + 0x1000) | P);
    m.write64(shared, BigInt(FRAME + 0x1000) | P | G);
    must(m, "writeControl", 4, without | PCIDE);
    expect(frame(VA)).toBe(FRAME);
    cr3(1, true);
    expect(frame(VA)).toBe(FRAME + 0x1000);
    cr3(0, true);
    expect(frame(VA)).toBe(FRAME);
    must(m, "writeControl", 4, without);
    expect(frame(VA)).toBe(FRAME + 0x1000);
    expect(frame(VA + PAGE)).toBe(FRAME + 0x1000);
    must(m, "writeControl", 4, without | PCIDE);
    m.write64(at, BigInt(FRAME + 0x2000) | P);
    cr3(1, true); // had a translation before PCIDE was cleared
    expect(frame(VA)).toBe(FRAME + 0x2000);
  });

  test("rights are those of the moment: WP, SMAP and the dirty bit bind what comes back", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P | U | W);
    cr3(1, false);
    must(m, "translate", VA, L.ACCESS_WRITE);
    const second = tables.map(VA + PAGE, FRAME, P | W);
    frame(VA + PAGE);
    cr3(2, true);
    must(m, "writeControl", 4, CR4.PAE | PGE | PCIDE | CR4.SMAP);
    cr3(1, true);
    expect(m.faultOf("translate", VA, READ)?.error).toBe(1);
    expect(m.read64(second) & 0x40n).toBe(0n);
    must(m, "translate", VA + PAGE, L.ACCESS_WRITE);
    expect(m.read64(second) & 0x40n).toBe(0x40n);
    expect(m.read64(at) & 0x40n).toBe(0x40n);
  });
});

describe("INVPCID (SDM vol. 2, INVPCID)", () => {
  /** What is still stale in PCIDs 1 and 2 and in a global page after INVPCID for PCID 1 from PCID `from`. */
  function left(type: number, from: number): string {
    const { m, tables, cr3, frame } = contexts();
    const at = [tables.map(VA, FRAME, P), tables.map(VA + PAGE, FRAME, P)];
    const shared = tables.map(VA + 2n * PAGE, FRAME, P | G);
    for (const pcid of [1, 2]) {
      cr3(pcid, false);
      for (let i = 0n; i < 3n; i++) frame(VA + i * PAGE);
    }
    for (const entry of at) m.write64(entry, BigInt(FRAME + 0x1000) | P);
    m.write64(shared, BigInt(FRAME + 0x1000) | P | G);
    cr3(from, true);
    must(m, "invalidateContext", type, type < 2 ? 1 : 0, VA);
    const stale: string[] = [];
    if (frame(VA + 2n * PAGE) === FRAME) stale.push("global");
    for (const pcid of [1, 2])
      for (const page of [0, 1]) {
        cr3(pcid, true);
        if (frame(VA + BigInt(page) * PAGE) === FRAME) stale.push(`${pcid}:${page}`);
      }
    return stale.join(" ");
  }

  for (const from of [1, 2, 3]) {
    test(`each type drops what it names and no more, from PCID ${from}`, () => {
      expect(left(ADDRESS, from)).toBe("global 1:1 2:0 2:1");
      expect(left(CONTEXT, from)).toBe("global 2:0 2:1");
      expect(left(ALL, from)).toBe("");
      expect(left(ALL_LOCAL, from)).toBe("global");
    });
  }

  test("an address' global translation stays", () => {
    const { m, tables, cr3, frame } = contexts();
    const at = tables.map(VA, FRAME, P | G);
    cr3(1, false);
    frame(VA);
    m.write64(at, BigInt(FRAME + 0x1000) | P | G);
    must(m, "invalidateContext", ADDRESS, 1, VA);
    expect(frame(VA)).toBe(FRAME);
  });
});

describe("random orders against a model that forgets by the rules alone (SDM vol. 3A, 4.10.4.1)", () => {
  const PAGES = 6;
  const PCIDS = 5;
  for (const seed of [1, 2, 3, 4]) {
    test(`seed ${seed}`, () => {
      let x = seed * 0x9e37_79b9;
      const random = (below: number) => {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return (x >>> 0) % below;
      };
      const { m, tables, cr3, reaches } = contexts();
      const address = (page: number) => VA + BigInt(page) * PAGE;
      /** Pages from 4 on are global. */
      const global = (page: number) => page >= 4;
      const held = new Map<string, number>();
      let current = 0;
      const key = (page: number, pcid: number) => `${global(page) ? "g" : pcid}:${page}`;
      const forget = (hit: (owner: string, page: number) => boolean) => {
        for (const k of [...held.keys()]) {
          const [owner, page] = k.split(":") as [string, string];
          if (hit(owner, Number(page))) held.delete(k);
        }
      };
      const entries = Array.from({ length: PAGES }, (_, i) =>
        tables.map(address(i), FRAME, global(i) ? P | G : P),
      );
      let stale = 0;
      for (let i = 0; i < 3000; i++) {
        const page = random(PAGES);
        const pcid = random(PCIDS);
        const at = entries[page]!;
        const from = current;
        const what = random(12);
        if (what < 2)
          m.write64(
            at,
            random(8) === 0 ? 0n : BigInt(FRAME + random(64) * 0x1000) | P | (global(page) ? G : 0n),
          );
        else if (what < 7) {
          const entry = m.read64(at);
          const now = entry & P ? Number(entry & 0xff_f000n) : undefined;
          const expected = held.get(key(page, current)) ?? now;
          expect([seed, i, page, current, reaches(address(page))]).toEqual([
            seed,
            i,
            page,
            current,
            expected,
          ]);
          if (expected !== undefined) held.set(key(page, current), expected);
          if (expected !== now) stale++;
        } else if (what < 10) {
          const keep = random(4) !== 0;
          cr3(pcid, keep);
          current = pcid;
          if (!keep) forget((owner) => owner === String(pcid));
        } else if (what === 10) {
          must(m, "invalidate", L.DS, address(page));
          forget((owner, p) => p === page && (owner === "g" || owner === String(from)));
        } else {
          const type = random(24) === 0 ? ALL : [ADDRESS, ADDRESS, CONTEXT, ALL_LOCAL][random(4)]!;
          must(m, "invalidateContext", type, type < 2 ? pcid : 0, address(page));
          if (type === ALL) held.clear();
          else
            forget(
              (owner, p) =>
                owner !== "g" &&
                (type === ALL_LOCAL || (owner === String(pcid) && (type === CONTEXT || p === page))),
            );
        }
      }
      expect(stale).toBeGreaterThan(100);
    });
  }
});
