// What a kernel has to complain about: lines of `dmesg -r` of level 4 (warning) or worse, and lines of any level with a word
// that tells of something wrong. The measure is the same kernel on QEMU's PC: what it says there as well is the kernel's own
// or any PC's. Numbers do not count.

import { Guest, type GuestOptions } from "./linux-guest.js";

const words = [
  ...["ae_\\w+", "bad", "blank", "bogus", "broken", "bug", "can't", "cannot", "conflict\\w*", "corrupt\\w*"],
  ...["couldn't", "disabl\\w*", "does not", "doesn't", "err\\w*", "fail\\w*", "hung", "ignor\\w*", "illegal"],
  ...[
    "inconsistent",
    "insecure",
    "invalid",
    "lockup",
    "lost",
    "mismatch\\w*",
    "missing",
    "no",
    "nobody",
    "none",
  ],
  ...["not", "oops", "out of", "overflow\\w*", "panic", "refus\\w*", "reject\\w*", "retains", "skipp\\w*"],
  ...["spurious", "stall\\w*", "taint\\w*", "timed? ?out", "too", "unable", "unexpected", "unknown"],
  ...["unreliable", "unstable", "unsupported", "warn\\w*", "wrong"],
];
const complains = new RegExp(`\\b(${words.join("|")})\\b`, "i");
const LEVEL_WARNING = 4;

/**
 * What is said here and not there, with the reason.
 * Linux takes x2APIC only with an IOMMU that remaps interrupts, and knows that of AMD only if CONFIG_AMD_IOMMU is set: the
 * kernel for clouds has it not, and says this on every AMD processor with x2APIC. QEMU 7.2 has no x2APIC without KVM.
 * QEMU announces no performance counters of AMD. Where Linux finds no local APIC (acpi=off) it says so in the middle of the
 * line about them, whose end is a line of its own then, and without a level counts as a warning.
 */
const expected: readonly (readonly [level: number, line: RegExp, reason: string])[] = [
  [6, /^x2apic: IRQ remapping doesn't support X2APIC mode$/, "CPUID announces x2APIC, and there is no IOMMU"],
  [4, /^AMD PMU driver\.$/, "the end of a line of information"],
  [
    6,
    /^Calibrating delay loop \(skipped\), value calculated using timer frequency\.\. /,
    "any PC whose TSC could be measured says so; QEMU's cannot on a busy host without an ACPI timer",
  ],
];

/** What a kernel says of a live machine whose host has other work than it; on QEMU it says the same then. */
const busyHost = new RegExp(
  [
    ...["^hrtimer: interrupt took", "^clocksource: .*(skew|unstable|watchdog|retried)"],
    ...[
      "^perf: interrupt took too long",
      "^tsc: (Fast TSC calibration failed|Unable to calibrate against PIT)",
    ],
  ].join("|"),
);

interface Line {
  readonly level: number;
  readonly text: string;
}

/** "<6>[    0.123456] text" */
function linesOf(dmesg: string): Line[] {
  return dmesg.split("\n").flatMap((line) => {
    const match = /^<(\d+)>\[\s*[\d.]+\] (.*)$/.exec(line.trim());
    return match === null ? [] : [{ level: Number(match[1]) & 7, text: match[2]! }];
  });
}

const withoutNumbers = (text: string) => text.toLowerCase().replace(/(0x)?[\da-f]*\d[\da-f]*/g, "#");

/** Complaints of the first log that are neither in the second nor expected. */
export function complaints(ours: string, theirs: string, { live = false } = {}): string[] {
  const lines = linesOf(ours);
  if (lines.length < 100) throw new Error(`that is no log of a boot:\n${ours}`);
  const excused = ({ level, text }: Line) =>
    expected.some(([at, line]) => at === level && line.test(text)) || (live && busyHost.test(text));
  const known = new Set(linesOf(theirs).map(({ text }) => withoutNumbers(text)));
  return lines
    .filter(({ level, text }) => level <= LEVEL_WARNING || complains.test(text))
    .filter((line) => !known.has(withoutNumbers(line.text)) && !excused(line))
    .map(({ level, text }) => `<${level}> ${text}`);
}

/** The log of the same boot on QEMU, after commands; empty where it is not installed, which makes every complaint ours. */
export async function qemuLog(options: GuestOptions, commands: readonly string[] = []): Promise<string> {
  if (Guest.qemuMissing !== "") {
    console.warn(`no log to compare with, because ${Guest.qemuMissing}`);
    return "";
  }
  const guest = Guest.qemu(options);
  try {
    await guest.prompted();
    for (const line of commands) await guest.run(line);
    return await guest.run("dmesg -r");
  } finally {
    guest.kill();
  }
}
