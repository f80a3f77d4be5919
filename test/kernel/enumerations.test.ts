// Numbers that machines tell each other, or that one part of the coherence engine tells another: within an enumeration each is another
// one. (Those of the protocol's table: coherence-table.test.ts.)
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** By file below kernel/: names of each enumeration. */
const enumerations: readonly (readonly [file: string, names: RegExp])[] = [
  ["coherence/client.ts", /^ASK_/],
  ["coherence/homes.ts", /^(FROM_HOME|NAMED|DOUBTS|LOSSY)$/],
  ["coherence/homes.ts", /^(FROZEN|HANDED_IN)$/],
  ["coherence/instruction.ts", /^FROM_/],
  ["coherence/instruction.ts", /^REX_/],
  ["coherence/lock-space.ts", /^SAY_LOCK/],
  ["coherence/lock-table.ts", /^LOCK_(WANTED|ASKED|GRANTED|HELD|ENDED)$/],
  ["coherence/lock-table.ts", /^LOCK_(FREE|LACKS|OBSTACLE|GRANT|REFUSED|FROZEN|CANCEL)$/],
  ["coherence/lock-table.ts", /^DO_/],
  ["coherence/locked.ts", /^AS_/],
  ["coherence/mirrors.ts", /^MIRROR_/],
  ["coherence/object-locks.ts", /^LOCKS_/],
  ["coherence/operation.ts", /^(ADD|AND|OR|XOR|EXCHANGE|COMPARE_EXCHANGE|BORROW)$/],
  ["coherence/records.ts", /^SAY_/],
  ["coherence/records.ts", /^ACT_/],
  ["coherence/records.ts", /^OPERATION_/],
  ["coherence/records.ts", /^RIGHT_/],
  ["coherence/takeover.ts", /^REPORT_/],
  ["syslink/commands.ts", /^COMMAND_(?!UNKNOWN$)/],
  ["syslink/commands.ts", /^ITEM_/],
  ["syslink/link.ts", /^LINK_(DOWN|UP|LOST)$/],
  ["syslink/marks.ts", /^(FLUSHED|FROZEN|HANDED_IN|REBUILT|LEFT|HEALED|INTERRUPTED)$/],
  ["syslink/message.ts", /^(LENGTH|REFERENCE)_/],
  ["syslink/view.ts", /^VOTE_(?!TYPE$|GROUP$|MAGIC$)/],
];
/** Prefixes that some constants share by chance, or since they measure one thing. */
const others = new Set(["access XMM", "shared-futex FUTEX", "message ITEM", "view VOTE"]);

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

const read = (file: string) => readFileSync(`kernel/${file}`, "utf8");

test.each(enumerations)("%s: %s", (file, names) => {
  const members = constantsOf(read(file)).filter(({ name }) => names.test(name));
  expect(members.length).toBeGreaterThan(1);
  expect(doubles(members)).toEqual([]);
});

test("two of one value are seen", () => {
  const text = read("coherence/takeover.ts").replace(/(REPORT_AWAY: u32 =) \d+/, "$1 4");
  const members = constantsOf(text).filter(({ name }) => name.startsWith("REPORT_"));
  expect(doubles(members)).toEqual(["REPORT_HAD and REPORT_AWAY are both 4"]);
});

test("three constants with one prefix are an enumeration of the table above, or are named", () => {
  const missing = ["coherence", "syslink"].flatMap((folder) =>
    readdirSync(`kernel/${folder}`)
      .filter((file) => file !== "table.ts")
      .flatMap((file) => {
        const known = (name: string) =>
          enumerations.some(([of, names]) => of === `${folder}/${file}` && names.test(name));
        const prefixes = constantsOf(read(`${folder}/${file}`))
          .filter(({ name }) => name.includes("_") && !known(name))
          .map(({ name }) => name.split("_")[0]!);
        return [...new Set(prefixes)]
          .filter((prefix) => prefixes.filter((each) => each === prefix).length >= 3)
          .map((prefix) => `${file.replace(".ts", "")} ${prefix}`);
      }),
  );
  expect(missing.filter((each) => !others.has(each))).toEqual([]);
  expect([...others].filter((each) => !missing.includes(each))).toEqual([]);
});
