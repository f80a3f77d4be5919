// R2 on whole machines: a home leaves, and gives its pages to the next home, which leaves in the same move and gives them to a third one, which dies
// in the same move as well. The first one, which was their home, has lost sight of them: whoever gave them to the dead must tell.
// Frames are lost by what they say, so that each move is interrupted where it has to be (test/c/left.c; passedOnToTheDead in leave-stories.ts).
import type { SeededCluster } from "../../emulator/cluster.js";
import { kernelPath, readImage } from "../../emulator/images.js";
import { Declarations } from "../../emulator/timeline/declarations.js";
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const [STAYS, HOME, NEXT, DIES, BRIDGE] = [1, 2, 3, 4, 5];
/** In milliseconds. */
const [LEAVES, LOOKS, END] = [30, 150, 250];
/** Ethernet, IPv4, UDP. */
const HEADERS = 14 + 20 + 8;
const stems = Array.from({ length: 26 ** 3 }, (_, i) =>
  [Math.floor(i / 676), Math.floor(i / 26) % 26, i % 26].map((c) => String.fromCharCode(97 + c)).join(""),
);

type Phase = "FLUSHED" | "FROZEN" | "HANDED_IN";

/** Reads of a frame whether its sender says that it has ended a phase of a view (kernel/syslink/marks.ts). */
export class Marks {
  readonly #numbers: (file: string, name: string) => number;
  constructor() {
    const declarations = new Declarations(kernelPath, readImage("kernel", kernelPath));
    this.#numbers = (file, name) => declarations.number(`kernel/syslink/${file}`, name);
  }
  in(frame: Uint8Array, phase: Phase, view: number): boolean {
    const bytes = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const [command, item] = [
      this.#numbers("commands", "COMMAND_VIEW"),
      this.#numbers("commands", "ITEM_ACKS"),
    ];
    const begin = HEADERS + this.#numbers("link", "LINK_HEADER_BYTES");
    for (let at = begin; at + 32 <= frame.length; at += 8) {
      const isMark = bytes.getUint16(at + 12, true) === command && bytes.getUint16(at + 16, true) === item;
      const ended = isMark && bytes.getUint32(at + 20, true) === this.#numbers("marks", phase);
      if (ended && bytes.getBigUint64(at + 24, true) === BigInt(view)) return true;
    }
    return false;
  }
}

/** Of a frame between machines; 0: for all, or for the bridge. */
const receiverOf = (frame: Uint8Array): number => (frame[0] === 0x52 ? frame[5]! : 0);

/** What happens when a frame with such a mark is sent, before it is on the wire; each once, in this order. */
function interrupts({ network }: SeededCluster): void {
  const marks = new Marks();
  const steps: [from: number, to: number, phase: Phase, view: number, does: () => void][] = [
    // The next home has what it was given, and does not hear that this is all.
    [STAYS, NEXT, "HANDED_IN", 2, () => network.deafen([[STAYS, NEXT]])],
    // It leaves as well, by a view that all members have.
    [NEXT, STAYS, "FLUSHED", 3, () => network.deafen([])],
    // The first home does not hear that all have frozen, and has not handed in anew when the third one dies.
    [DIES, HOME, "FROZEN", 3, () => network.deafen([[DIES, HOME]])],
    [NEXT, DIES, "HANDED_IN", 3, () => network.partition([[STAYS, HOME, NEXT, BRIDGE], [DIES]])],
  ];
  network.tap((sender, frame) => {
    const [step] = steps;
    if (step === undefined) return;
    const [from, to, phase, view, does] = step;
    if (sender !== from || receiverOf(frame) !== to || !marks.in(frame, phase, view)) return;
    steps.shift();
    does();
  });
}

export async function passedOnToTheDead(seed: number, kernel?: Uint8Array): Promise<FaultRun> {
  const isHome = (name: string, home: number, members: readonly number[]) => homeOf(name, members) === home;
  const [first, second] = stems.filter(
    (name) =>
      isHome(name, HOME, [STAYS, HOME, NEXT, DIES]) &&
      isHome(name, NEXT, [STAYS, NEXT, DIES]) &&
      isHome(name, DIES, [STAYS, DIES]),
  );
  return withFaults(
    cProgram("left").host,
    [NEXT, LOOKS, first!, second!, HOME],
    [
      [
        LEAVES,
        (cluster) => {
          interrupts(cluster);
          for (const out of [HOME, NEXT]) {
            cluster.nodes[out - 1]!.machine.pressPowerButton();
            cluster.run(cluster.schedule.now + 1_000_000);
          }
        },
      ],
    ],
    { machines: 4, seed, append: "linkloss=60 blocked=600", ...(kernel && { kernel }) },
    END,
  );
}

const filesOf = (run: FaultRun): string[][] => {
  const said = run.said(STAYS, /^left: \w+ page/).map(({ text }) => text.replace(/^left: \w+ /, ""));
  return [said.slice(0, 4), said.slice(4)];
};
const isTold = (lines: readonly string[]) =>
  lines.filter((line) => line.endsWith("is lost")).length === 1 &&
  lines.filter((line) => line.endsWith("holds 0")).length === 3;
/** By some seeds the one that dies was not given the pages yet. */
const isThere = (lines: readonly string[]) =>
  [...lines].sort().join() === "page 0 holds 7,page 1 holds 0,page 2 holds 8,page 5 holds 0";

/** By some, machine 1 hears a step too late, is left out and comes back: all that it had mapped is gone, and what it opens then is there. */
const isNew = (run: FaultRun): boolean => run.said(STAYS, /this one is left out$/).length > 0;
const isGone = (lines: readonly string[]) =>
  lines.length === 4 && lines.every((line) => line.endsWith("is lost"));

/** What is wrong with what machine 1 says of the two files; nothing: undefined. */
export function wrongOfPassedOn(run: FaultRun): string | undefined {
  const files = filesOf(run);
  if (files.every(isTold) || files.every(isThere)) return undefined;
  return isNew(run) && isGone(files[0]!) && isThere(files[1]!) ? undefined : run.text();
}

/** The pages went with the machine that dies, and that was told. */
export const toldOfPassedOn = (run: FaultRun): boolean => filesOf(run).every(isTold);
