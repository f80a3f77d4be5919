// Bugs in who the cluster is, planted around the compiled membership (test/support/membership.ts has them by name): seeds, or a story.
import { KernelWasm } from "../kernel-wasm.js";
import { cut, heal, Members, Split, trial } from "../membership.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

const kernel = new KernelWasm();
const bytes = kernel.constant("MEMBERSHIP_BYTES");
const rooms = [kernel.room(1024), ...Array.from({ length: 5 }, () => kernel.room(bytes))];
/** What happens to two machines, or three, is told; the other bugs: anything, from seeds. */
export const stories: Record<string, (members: Members) => void> = {
  // 1 and 3 do not hear each other; 2 does, and votes for 1. That it speaks to 3 no more does not get through at once.
  "voters heard nothing of whom they leave out": (members) => {
    members.run(200);
    members.hears[1]![3] = false;
    members.hears[3]![1] = false;
    members.run(995);
    members.hears[3]![2] = false;
    members.run(1000);
  },
  "a bridge that forgot has its old life": (members) => {
    members.run(200);
    cut(members, [0, 1], [2]);
    members.run(3000);
    members.restartBridge();
    cut(members, [1], [0, 2]);
    members.run(3000);
  },
  // 2 goes on alone and dies: when it starts again, only the bridge knows of its view.
  "the bridge tells no view": (members) => {
    members.run(200);
    cut(members, [1], [0, 2]);
    members.run(3000);
    members.machine(2).alive = false;
    heal(members);
    members.boot(2);
    members.run(4000);
    if (!members.whole()) throw new Split(`one of two stays left out:\n${members.state()}`);
  },
};
const sizeOf = (planted: string) => (planted.startsWith("voters") ? 3 : 2);

export const membershipBugs = [
  "leases are not kept",
  "a bridge that forgot has its old life",
  "a new life vouches for the old one",
  "the witness votes for everyone",
  "voters heard nothing of whom they leave out",
  "the bridge tells no view",
] as const;

/** The story of that bug, with or without it. */
export function tell(name: string, planted = ""): void {
  const members = new Members(kernel, sizeOf(name), 1, rooms);
  members.planted = planted;
  stories[name]!(members);
}

export const membershipFound = (planted: string): Finding[] =>
  atRandom(
    stories[planted] === undefined ? 150 : 1,
    1,
    (seed) => {
      if (stories[planted] !== undefined) {
        tell(planted, planted);
        return;
      }
      const members = new Members(kernel, 2 + (seed % 3), seed, rooms);
      members.planted = planted;
      trial(members, seed);
      heal(members);
      members.run(1500);
    },
    (error) => error instanceof Split,
  );

export const membershipPlants: readonly Planted[] = membershipBugs.map((name) => ({
  name,
  where: "syslink/membership.ts, members.ts",
  find: () => membershipFound(name),
}));
