// Numbers that machines tell each other, or that one part of the coherence engine tells another: within an enumeration each is another
// one. (Those of the protocol's table: coherence-table.test.ts.)
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

type Names = readonly [file: string, names: RegExp];

/** By file below kernel/: names of each enumeration. */
const enumerations: readonly Names[] = [
  ["coherence/access.ts", /^(?!CMP$|LOG_XMM$)/],
  ["coherence/client.ts", /^ASK_/],
  ["coherence/early.ts", /^EARLY_/],
  ["coherence/instruction.ts", /^FROM_/],
  ["coherence/instruction.ts", /^REX_/],
  ["coherence/lock-pieces.ts", /^(SHARED|EXCLUSIVE)_LOCK$/],
  ["coherence/lock-space.ts", /^SAY_LOCK/],
  ["coherence/lock-table.ts", /^LOCK_(WANTED|ASKED|GRANTED|HELD|ENDED)$/],
  ["coherence/lock-table.ts", /^LOCK_(FREE|LACKS|OBSTACLE|GRANT|REFUSED|FROZEN|CANCEL)$/],
  ["coherence/locked.ts", /^(NOTHING|TO_REGISTER|TO_ACCUMULATOR)$/],
  ["coherence/locked.ts", /^(KEEP$|AS_)/],
  ["coherence/mirrors.ts", /^MIRROR_/],
  ["coherence/named.ts", /^OPEN_/],
  ["coherence/moves.ts", /^(FROZEN|HANDED_IN)$/],
  ["coherence/moves.ts", /^(OURS|TOLD)$/],
  ["coherence/object-locks.ts", /^LOCKS_/],
  ["coherence/object-names.ts", /^NUMBERED_(?!BYTES$)/],
  ["coherence/operation.ts", /^(ADD|AND|OR|XOR|EXCHANGE|COMPARE_EXCHANGE|BORROW)$/],
  ["coherence/records.ts", /^SAY_/],
  ["coherence/records.ts", /^ACT_/],
  ["coherence/records.ts", /^OPERATION_/],
  ["coherence/records.ts", /^RIGHT_/],
  ["coherence/revocations.ts", /^(WRITE_ONLY|EVERYTHING)$/],
  ["coherence/shared-futex.ts", /^(WOKEN|HOME_DIED|OWNER_LOST)$/],
  ["coherence/shedding.ts", /^RELIEF_/],
  ["coherence/shedding.ts", /^SHED_/],
  ["coherence/takeover.ts", /^REPORT_/],
  ["syslink/commands.ts", /^COMMAND_(?!UNKNOWN$)/],
  ["syslink/commands.ts", /^ITEM_(?!UNKNOWN$|MISSING$|LENGTH$|TWICE$)/],
  ["syslink/link.ts", /^LINK_(DOWN|UP|LOST)$/],
  ["syslink/marks.ts", /^(FLUSHED|FROZEN|HANDED_IN|REBUILT|LEFT|HEALED|INTERRUPTED)$/],
  ["syslink/membership.ts", /^(IDLE|PREPARING|ACCEPTING)$/],
  ["syslink/view.ts", /^VOTE_(?!TYPE$|GROUP$|MAGIC$)/],
];
/** An enumeration of which each file has a part: why a message is refused. */
const reasons: readonly Names[] = [
  [
    "syslink/message.ts",
    /^(GOOD|MISALIGNED|HEADER_CUT|(LENGTH|ITEM)_(SHORT|BEYOND)|ITEM_CUT|TOO_DEEP|BUFFER_TOO_LARGE|PADDING_DIRTY|REFERENCE_.*|RECURSION_EMPTY)$/,
  ],
  ["syslink/commands.ts", /^(COMMAND_UNKNOWN|ITEM_(UNKNOWN|MISSING|LENGTH|TWICE))$/],
];
/** Bits of one word each. */
const flags: readonly Names[] = [
  ["coherence/moves.ts", /^(FROM_HOME|NAMED|DOUBTS|LOSSY)$/],
  ["coherence/directory.ts", /^FOUND(_|$)/],
  ["coherence/lock-space.ts", /^LOCK_T/],
  ["coherence/lock-table.ts", /^DO_/],
  ["coherence/records.ts", /^(RIGHT|WITH_DATA|DATA_DIRTY|HAS_COPY|TAKE_IT|SAME_DATA)$/],
  ["coherence/records.ts", /^(RIGHT|WITH_DATA|DATA_DIRTY|PARTLY|TAKE_IT|SAME_DATA)$/],
  ["coherence/records.ts", /^(PARTLY|ONCE|UNHEARD)$/],
  ["coherence/page-moves.ts", /^(RESTORE|ALONE|FETCH|TELL)$/],
  ["coherence/page-moves.ts", /^(EMPTIES|RESTORES)$/],
  ["coherence/reports.ts", /^REPORTED_/],
  ["coherence/shelves.ts", /^(CUT_ENDS|PROMPT)$/],
  ["coherence/steps.ts", /^(ASKS|TAKES|GIVES|COPIES|KNOWN)$/],
  ["coherence/wills.ts", /^(NAMED|ANEW)$/],
  ["syslink/link.ts", /^(SEQUENCED|HELLO|FRAGMENT|FRAGMENT_LAST|REFUSED|KNOWN)$/],
];
/** Prefixes that some constants share by chance, or since they measure one thing. */
const others = new Set(["shared-futex FUTEX", "view VOTE"]);

interface Constant {
  readonly name: string;
  readonly value: number;
}

/** The file's integer constants. */
function constantsOf(text: string): Constant[] {
  const found = text.matchAll(
    /^(?:export )?const ([A-Z][A-Z0-9_]*): u(?:8|16|32|64) = (0x[0-9a-f_]+|\d[\d_]*);/gm,
  );
  return [...found].map(([, name, value]) => ({ name: name!, value: Number(value!.replaceAll("_", "")) }));
}

/** Constants with the value of one before. */
function doubles(constants: readonly Constant[]): string[] {
  const names = new Map<number, string>();
  return constants.flatMap(({ name, value }) => {
    const before = names.get(value);
    names.set(value, name);
    return before === undefined ? [] : [`${before} and ${name} are both ${value}`];
  });
}

/** Constants with a bit of one before. */
function overlaps(constants: readonly Constant[]): string[] {
  return constants.flatMap(({ name, value }, index) =>
    constants
      .slice(0, index)
      .filter((before) => (before.value & value) !== 0)
      .map((before) => `${before.name} and ${name} share ${before.value & value}`),
  );
}

const read = (file: string) => readFileSync(`kernel/${file}`, "utf8");

/** At least two. */
function membersOf([file, names]: Names, text = read(file)): Constant[] {
  const members = constantsOf(text).filter(({ name }) => names.test(name));
  expect(members.length).toBeGreaterThan(1);
  return members;
}

test.each(enumerations)("%s: %s", (...each) => {
  expect(doubles(membersOf(each))).toEqual([]);
});

test("why a message is refused", () => {
  expect(doubles(reasons.flatMap((each) => membersOf(each)))).toEqual([]);
});

test.each(flags)("flags, %s: %s", (...each) => {
  expect(overlaps(membersOf(each))).toEqual([]);
});

test("two of one value are seen", () => {
  const text = read("coherence/takeover.ts").replace(/(REPORT_AWAY: u32 =) \d+/, "$1 4");
  expect(doubles(membersOf(["coherence/takeover.ts", /^REPORT_/], text))).toEqual([
    "REPORT_HAD and REPORT_AWAY are both 4",
  ]);
});

test("two flags with one bit are seen", () => {
  const text = read("coherence/moves.ts").replace(/(LOSSY: u32 =) \d+/, "$1 6");
  expect(overlaps(membersOf(flags[0]!, text))).toEqual([
    "NAMED and LOSSY share 2",
    "DOUBTS and LOSSY share 4",
  ]);
});

/** Of the protocol and the links: what no table above has. table.ts has its own test. */
const unlisted = ["coherence", "syslink"].flatMap((folder) =>
  readdirSync(`kernel/${folder}`)
    .filter((file) => file !== "table.ts")
    .map((file) => {
      const known = (name: string) =>
        [...enumerations, ...reasons, ...flags].some(
          ([of, names]) => of === `${folder}/${file}` && names.test(name),
        );
      const constants = constantsOf(read(`${folder}/${file}`)).filter(({ name }) => !known(name));
      return { file: file.replace(".ts", ""), constants };
    }),
);

test("three constants with one prefix are an enumeration of a table above, or are named", () => {
  const missing = unlisted.flatMap(({ file, constants }) => {
    const prefixes = constants
      .filter(({ name }) => name.includes("_"))
      .map(({ name }) => name.split("_")[0]!);
    return [...new Set(prefixes)]
      .filter((prefix) => prefixes.filter((each) => each === prefix).length >= 3)
      .map((prefix) => `${file} ${prefix}`);
  });
  expect(missing.filter((each) => !others.has(each))).toEqual([]);
  expect([...others].filter((each) => !missing.includes(each))).toEqual([]);
});

test("three constants in a row that count up, or double, are an enumeration of a table above", () => {
  const rows = unlisted.flatMap(({ file, constants }) =>
    constants.slice(2).flatMap((last, index) => {
      const [first, middle] = [constants[index]!, constants[index + 1]!];
      const [one, two, three] = [first.value, middle.value, last.value];
      const counts = two === one + 1 && three === two + 1;
      const doubled = one > 0 && two === 2 * one && three === 2 * two;
      return counts || doubled ? [`${file}: ${first.name} ${middle.name} ${last.name}`] : [];
    }),
  );
  expect(rows).toEqual([]);
});
