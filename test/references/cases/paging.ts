// Page tables with any bits, accessed in every way from both rings, by all three kinds of paging.

import { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at, quad } from "../tables.js";

const CR0 = 0x8000_0033;
const WP = 0x1_0000;
const AM = 0x4_0000;
const [SMEP, SMAP, PGE] = [0x10_0000, 0x20_0000, 0x80];
const PAGE = at.data;
const EDGE = PAGE + 0x1000 - 3;

// biome-ignore format: a list
const ways = [
  `mov eax, [${PAGE}]`, `mov [${PAGE}], eax`, `add dword ptr [${PAGE + 8}], 1`, `mov eax, [${EDGE}]`, `mov [${EDGE}], eax`,
  `xchg [${EDGE}], eax`, `lock xadd [${PAGE}], eax`, `cmpxchg [${PAGE}], ecx`, `movups xmm0, [${PAGE + 0xff0}]`, `movups [${PAGE + 0xff0}], xmm0`,
  `cmp dword ptr [${PAGE}], 1`, `bts dword ptr [${PAGE}], 3`, `bt dword ptr [${PAGE}], 3`, `push dword ptr [${PAGE}]`, `pop dword ptr [${PAGE}]`,
  `fld qword ptr [${EDGE}]`, `prefetcht0 [${PAGE}]`, `clflush [${PAGE}]`,
  `inc byte ptr [${PAGE}]`, `sub word ptr [${EDGE + 2}], 1`, `setc byte ptr [${PAGE}]`, `invlpg [${PAGE}]`, `cmpxchg8b [${PAGE}]`,
  `mov esi, ${PAGE};; mov edi, ${PAGE + 0x1ff0};; mov ecx, 8;; rep movsd`, `mov edi, ${PAGE + 0xff8};; mov ecx, 4;; rep stosd`,
  `mov esi, ${PAGE + 0xff8};; mov ecx, 4;; rep lodsd`, `mov esi, ${PAGE + 0xff0};; mov edi, ${PAGE};; mov ecx, 9;; repe cmpsd`,
  `mov eax, ${PAGE};; jmp eax`, `mov eax, ${PAGE};; call eax`, `mov eax, ${PAGE + 0xfff};; jmp eax`,
  `mov esp, ${PAGE + 4};; push eax`, `mov esp, ${PAGE + 0x1002};; push eax`, `mov esp, ${PAGE + 0x1002};; pop eax`,
  `mov esp, ${PAGE + 0x1002};; db 0xe8, 0, 0, 0, 0`, `mov ebp, ${PAGE + 0x10};; db 0xc8, 8, 0, 2`,
  `stac;; mov eax, [${PAGE}]`, `stac;; mov [${PAGE}], eax;; clac`,
];

type Kind = "two" | "pae" | "long";

function entryOf(d: Draw, kind: Kind, page: number): bigint {
  if (d.rarely(3)) return BigInt(page << 12) | 7n;
  let e = BigInt(page << 12) | (d.rarely(6) ? 0n : 1n) | BigInt(d.below(256) & 0x7e);
  if (d.rarely(8)) e |= 0x80n; // PAT
  if (d.rarely(4)) e |= 0x100n;
  if (d.rarely(4)) e |= BigInt(d.below(8) << 9);
  if (kind !== "two" && d.rarely(4)) e |= 1n << 63n;
  return e;
}

/** An upper entry, present and where it was, with bits that do not matter. AMD reserves bit 8 of a PML4E, others not. */
function upper(d: Draw, kind: Kind): [number, number][] {
  const table = {
    two: [at.directory, at.table],
    pae: [at.paeDirectory, at.paeTable],
    long: [at.longDirectory, at.longTable],
  };
  const [entry, next] = table[kind] as [number, number];
  const value = next | 7 | d.pick([0, 0x20, 0x40, 0x100]);
  if (kind === "two") return [[entry, value]];
  if (kind === "long" && d.rarely(2))
    return quad(at.longPointers, BigInt(at.longDirectory | 7 | d.pick([0, 0x20, 0x40, 0x100])));
  return quad(entry, BigInt(value));
}

export function paging(mode: Mode, seed: number, count: number): Case[] {
  const d = new Draw(seed);
  return Array.from({ length: count }, (): Case => {
    const kind: Kind = mode === "long" ? "long" : d.pick(["two", "pae"]);
    const words: [number, number][] = [
      [PAGE, 0x40cd_40cd],
      [PAGE + 0xffc, 0xcd40_cd90],
      [PAGE + 0x1000, 0x40cd_4040],
    ];
    const table = { two: at.table, pae: at.paeTable, long: at.longTable }[kind];
    for (const page of [PAGE >>> 12, (PAGE >>> 12) + 1]) {
      const e = entryOf(d, kind, page);
      if (kind === "two") words.push([table + 4 * page, Number(e)]);
      else words.push(...quad(table + 8 * page, e));
    }
    if (d.rarely(3)) words.push(...upper(d, kind));
    if (kind === "pae") words.push([at.doubleTss + 0x1c, at.paePointers]);
    const ring = d.pick([0, 3] as const);
    const bits = mode === "long" ? d.pick([64, 32] as const) : 32;
    const way = d.pick(ways);
    const may = (bit: number, once: number) => (d.rarely(once) ? bit : 0);
    return {
      name: `paging ${kind}`,
      code:
        bits === 64
          ? way.replace(/(push|pop|jmp|call) e/g, "$1 r").replace(/(push|pop) dword/, "$1 qword")
          : way,
      bits,
      ring,
      words,
      registers: {
        cr0: CR0 | (WP ^ may(WP, 3)) | (AM ^ may(AM, 4)),
        // The case's own code is a page of the user's: SMEP would keep ring 0 from it.
        cr4: (kind === "two" ? 0x610 : 0x630) | (ring === 3 ? may(SMEP, 3) : 0) | may(SMAP, 3) | may(PGE, 5),
        flags: d.pick([2, 2, 0x4_0002]),
        efer: kind === "two" ? 0 : (mode === "long" ? 0x501 : 0) | (0x800 ^ may(0x800, 4)),
        cr3: { two: at.directory, pae: at.paePointers, long: at.pml4 }[kind],
      },
    };
  });
}
