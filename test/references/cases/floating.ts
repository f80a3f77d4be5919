// When floating-point exceptions come: #NM, #MF and #XM with any of CR0.MP, EM, TS and CR4.OSFXSR, OSXMMEXCPT, any masks,
// and instructions that wait, do not wait, or only look. CR0.NE is set: without it the exception is the board's business.

import type { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at } from "../tables.js";

const D = at.data;

// biome-ignore format: a list
const causes = [
  "fld1;; fldz;; fdivp st1, st0", "fldz;; fldz;; fdivp st1, st0", "fld1;; fchs;; fsqrt", "fstp st0", "fld1;; fld1;; fld1;; fld1;; fld1;; fld1;; fld1;; fld1;; fld1", "fld1;; fld dword ptr [0x11100];; fdivp st1, st0", `fld tword ptr [${D + 0x110}];; fmul st0, st0`, `fld tword ptr [${D + 0x110}];; fstp dword ptr [${D}]`, `fld tword ptr [${D + 0x110}];; fistp word ptr [${D}]`, `fld qword ptr [${D + 0x120}]`, "fld1;; fldpi;; faddp st1, st0", `fld dword ptr [${D + 0x130}]`, `fldcw [${D + 0x140}]`, `mov edx, ${D + 0x180};; db 0xd9, 0x22`, "nop",
];
// biome-ignore format: a list
const later = [
  "fwait", "fnop", "fld1", "fnstsw ax", "fnstcw [0x11000]", "fnclex;; fwait", "fninit;; fwait", "emms", "movq mm0, mm1", "movd [0x11000], mm0", "mov edx, 0x11000;; db 0xd9, 0x32;; fwait", "mov edx, 0x11000;; db 0xdd, 0x32;; fwait", `mov edx, ${D + 0x180};; db 0xd9, 0x22`, "fldcw [0x11140]", "mov eax, [0x7fff0000]", "fld dword ptr [0x7fff0000]", "fstp dword ptr [0x7fff0000]", "movups xmm0, [0x7fff0000]", "ffree st0", "fincstp", "fcomi st0, st1", "fcmove st0, st1", "cvtpi2ps xmm0, mm0", "cvtps2pi mm0, xmm0", "cvtpi2pd xmm0, [0x11000]", "cvtpi2ps xmm0, [0x11000]", "movq2dq xmm0, mm0", "movdq2q mm0, xmm0", "db 0x0f, 0x77", "db 0xdb, 0xe4", "db 0xdb, 0xe0", "db 0xdb, 0xe1", "db 0xdf, 0xe0", "palignr mm0, mm1, 3", "pshufb mm0, [0x11001]", "sfence", "prefetchnta [0x11000]", "movnti [0x11000], eax", "ldmxcsr [0x11150]", "stmxcsr [0x11000]", "crc32 eax, ecx", "popcnt eax, ecx", "pause", "lfence", "clflush [0x11000]", "xor ecx, ecx;; xgetbv", "int 0x41", "fisttp word ptr [0x11000]", "fxam",
];
// biome-ignore format: a list
const packed = [
  "divps xmm0, xmm1", "divss xmm0, xmm1", "sqrtps xmm0, [0x11200]", "mulps xmm0, [0x11210]", "addpd xmm1, [0x11220]", "cvtps2dq xmm0, [0x11200]", "cvttss2si eax, [0x11100]", "cvtsd2si eax, [0x11120]", "comiss xmm0, [0x11100]", "ucomiss xmm0, [0x11130]", "maxps xmm0, [0x11200]", "cmpps xmm0, [0x11210], 1", "cvtsd2ss xmm0, [0x11120]", "roundps xmm0, [0x11200], 0", "dpps xmm0, [0x11200], 0xff", "haddps xmm0, [0x11210]", "addps xmm0, [0x11204]", "mulpd xmm0, [0x11fff]", "divps xmm0, [0x13ff8]", "cvtdq2ps xmm0, [0x11200]", "rcpps xmm0, [0x11200]", "sqrtsd xmm0, [0x7fff0000]", "cvtps2pi mm0, [0x11200]", "cvttpd2pi mm0, [0x11220]", "movaps xmm0, [0x11204]", "movntps [0x11204], xmm0", "pcmpistri xmm0, xmm1, 1",
];

export function floating(mode: Mode): (d: Draw) => Case {
  return (d) => {
    const bits = mode === "long" ? d.pick([64, 32] as const) : 32;
    const float = () =>
      d.pick([
        0x3f80_0000, 0x7f80_0001, 0x0000_0001, 0x7f7f_ffff, 0x0080_0000, 0x8000_0000, 0x7fc0_0000,
        0x4f00_0000, 0xff80_0000, 0xbf80_0001,
      ]);
    const words: [number, number][] = [[at.landing, 0x40cd_40cd]];
    for (let i = 0; i < 12; i++) words.push([D + 0x200 + 4 * i, float()]);
    words.push([D + 0x100, float()], [D + 0x120, float()], [D + 0x124, float()], [D + 0x130, float()]);
    words.push(
      [D + 0x110, d.bits()],
      [D + 0x114, 0x8000_0000 | d.bits()],
      [D + 0x118, d.pick([0x7ffe, 1, 0, 0x7fff, 0x3fff])],
    );
    words.push(
      [D + 0x140, 0x300 | d.below(64)],
      [D + 0x148, 0x1f80 & ~(d.below(64) << 7)],
      [D + 0x150, d.pick([0x1f80, 0x1fa0, 0x1_0000, 0x1fbf, 0x3f])],
    );
    words.push([D + 0x218, 0x1f80]); // MXCSR, to FXRSTOR
    // An environment of 32 bits: control, status, tag
    words.push(
      [D + 0x180, 0x340 | d.below(64)],
      [D + 0x184, d.pick([0, 0x3f, 0x8081, 1])],
      [D + 0x188, 0xffff],
    );
    for (let i = 3; i < 7; i++) words.push([D + 0x180 + 4 * i, 0]);
    const unmask = d.rarely(4) ? "" : `fldcw [${D + 0x140}];; `;
    const code = d.rarely(3)
      ? `ldmxcsr [${D + 0x148}];; movups xmm0, [${D + 0x200}];; movups xmm1, [${D + 0x210}];; ${d.pick(packed)}`
      : `${unmask}${d.pick(causes)};; ${d.pick(later)};; ${d.pick(later)}`;
    const cr0 = 0x8001_0033 ^ d.pick([0, 0, 0, 2, 4, 8, 0xa, 0xc, 6, 0xe, 0x4_0000]);
    const cr4 = (mode === "long" ? 0x620 : 0x610) ^ d.pick([0, 0, 0, 0x200, 0x400, 0x600]);
    return {
      name: `floating ${mode}`,
      code,
      bits,
      ring: d.pick([0, 3] as const),
      words,
      registers: { cr0, cr4, flags: d.pick([2, 2, 0x4_0002]) },
    };
  };
}
