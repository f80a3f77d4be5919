// Bugs in names, and in what carries them: the kernel is built with one line changed, and runs programs on clusters that know what they must find.
import { seeded } from "../cluster.js";
import { cProgram } from "../guest.js";
import { outlived, writerDies, writerLeaves } from "../links.js";
import { dies, goesOn, heals, openedMany, opener, remembered, subtree, systemOf } from "../names.js";
import { type Bug, type Judged, plantsOf } from "./on-clusters.js";

export const nameJudges = {
  /** What machines do at once to names. */
  named: async (seed, kernel) => {
    const run = await seeded(cProgram("named").host, [systemOf(seed), 6], {
      machines: 3,
      seed,
      limit: 3e9,
      ...(kernel && { kernel }),
    });
    const wrong = run.lines.find((line) => /\| named: machine \d+: /.test(line));
    return run.lines.some((line) => line.endsWith("wrong 0"))
      ? undefined
      : (wrong ?? "it has not come to its end");
  },
  /** What names cost below a directory. */
  cost: async (seed, kernel) => {
    const machines = 2 + (seed % 3);
    const { sent } = await subtree(systemOf(seed), machines, seed, kernel);
    const [first] = [...sent(1, "alone"), ...sent(machines, "beside")];
    return first;
  },
  /** Who was left out comes back. */
  back: async (seed, kernel) => {
    const run = await remembered(seed, 0, [dies(3, seed), heals], kernel);
    return goesOn(run, 3) ? undefined : "machine 3 makes no names any more";
  },
  /** Files that are opened while a machine leaves. */
  opens: async (seed, kernel) => {
    // It takes an answer that is on its way in that moment: one run in twenty has one.
    for (let each = 12 * seed; each < 12 * (seed + 1); each++)
      if (!openedMany(await opener(each, kernel))) return "somebody waits for ever";
    return undefined;
  },
  /** Links of files, and the machine that made them goes. */
  links: async (seed, kernel) => {
    const { said, wanted } = await outlived(seed % 2 === 0 ? writerDies : writerLeaves, seed, kernel);
    const wrong = said.findIndex((line, i) => line !== wanted[i]);
    if (wrong >= 0) return said[wrong];
    return said.length === wanted.length ? undefined : "it has not come to its end";
  },
} satisfies Readonly<Record<string, Judged>>;

const bugs: readonly Bug<keyof typeof nameJudges>[] = [
  {
    name: "the home does not pass on that a machine wants a directory's range",
    judge: "cost",
    file: "coherence/grants.ts",
    from: "    if (first <= last) claimed(object, from, first, last);\n",
    to: "",
  },
  {
    name: "a home keeps what it has of a directory's range",
    judge: "cost",
    file: "coherence/holdings.ts",
    from: "  if (from != engine.self) ownGiveUp(engine, object, first, last);\n",
    to: "",
  },
  {
    name: "who makes a directory does not get the right to lock what is below it",
    judge: "cost",
    file: "fs/tree-changes.ts",
    from: "  if (error >= 0) directoryClaimLocks(child);\n",
    to: "",
  },
  {
    name: "directories are locked to be read",
    judge: "named",
    file: "coherence/lock-calls.ts",
    from: "(load<u64>(range, 8) << 12) | 4095, EXCLUSIVE_LOCK);",
    to: "(load<u64>(range, 8) << 12) | 4095, SHARED_LOCK);",
  },
  {
    name: "who makes a file does not look again when it has the lock",
    judge: "named",
    file: "fs/tree-changes.ts",
    from: "  error = absent(place, name, bytes, entry);\n  if (error >= 0) error = numberedOpen(",
    to: "  error = 0;\n  if (error >= 0) error = numberedOpen(",
  },
  {
    name: "renames of directories go on beside each other",
    judge: "named",
    file: "fs/tree-rename.ts",
    from: "      count = lockAddRename(work.ranges, count);\n",
    to: "",
  },
  {
    name: "a directory that has been removed is as good as any",
    judge: "named",
    file: "fs/names.ts",
    from: "if (bucket === 0 && isOurs(page, place) && changetype<Bucket>(page).removed !== 0) return -ESTALE;",
    to: "",
  },
  {
    name: "of two machines that want a new shared object both get it",
    judge: "named",
    file: "coherence/by-name.ts",
    from: "if (how == OPEN_NEW && changetype<usize>(objectByName(name, bytes, false)) != 0)",
    to: "if (false)",
  },
  {
    name: "who was left out goes on with the names that it had",
    judge: "back",
    file: "fs/names.ts",
    from: "return isOpen(objectAt(place.system)) ? 0 : openAgain(place.system);",
    to: "return 0;",
  },
  {
    name: "what is opened while its home is frozen is asked about at once",
    judge: "opens",
    file: "coherence/objects.ts",
    from: "    if (client.command == ASK_OPEN) homeOpened(object);\n",
    to: "",
  },
  {
    name: "a home's heir is not told which names are links",
    judge: "links",
    file: "coherence/wills.ts",
    from: "  linkPut(writer, object);\n",
    to: "",
  },
  {
    name: "a new home is not told which names are links",
    judge: "links",
    file: "coherence/homes.ts",
    from: "  linkPut(writer, object);\n",
    to: "",
  },
  {
    name: "a file ends with its first name",
    judge: "links",
    file: "coherence/object-list.ts",
    from: "if (object.name != 0 || object.links != 0) return;",
    to: "if (object.name != 0) return;",
  },
];

export const namePlants = plantsOf(nameJudges, bugs);
