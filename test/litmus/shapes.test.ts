// The table of litmus tests holds what the model computes, and the model what the papers say.
import { expect, test } from "vitest";
import { allowedBy, shapes } from "../support/shapes.js";
import { allowed, fenced, parseShape } from "../support/tso.js";

const sorted = (outcomes: ReadonlySet<string>): string => [...outcomes].sort().join(" ");

test("kernel/user/liblitmus.ts is what the model computes", () => {
  const computed = shapes.map(({ name, text }) => {
    const plain = sorted(allowed(parseShape(text)));
    return `${name} ${text} ${plain} ! ${sorted(allowed(parseShape(fenced(text, "mfence"))))}`;
  });
  const written = shapes.map(
    (s) => `${s.name} ${s.text} ${s.allowed.join(" ")} ! ${s.allowedFenced.join(" ")}`,
  );
  expect(written).toEqual(computed);
  expect(new Set(shapes.map((s) => s.name)).size).toBe(shapes.length);
});

test.each(["lock", "xchg"])("%s orders as MFENCE does", (fence) => {
  for (const { name } of shapes)
    expect(sorted(allowedBy(`${name}+${fence}`)), name).toBe(sorted(allowedBy(`${name}+mfence`)));
});

/** Sewell et al., CACM 2010, section 2 and 3; Intel SDM vol. 3A, 9.2.3; Owens et al.: n4b, n5, n6. */
const published: [name: string, outcome: string, allowed: boolean][] = [
  ["SB", "0,0", true], // 9.2.3.4
  ["SB+mfence", "0,0", false],
  ["SB-xchgs", "0,0", false], // 9.2.3.9
  ["SB+rfi", "1,0,1,0", true], // 9.2.3.5, n3
  ["MP", "1,0", false], // 9.2.3.2
  ["LB", "1,1", false], // 9.2.3.3
  ["WRC", "1,1,0", false], // 9.2.3.6
  ["IRIW", "1,0,1,0", false], // 9.2.3.7
  ["IRIW-xchgs", "1,0,1,0", false], // 9.2.3.8
  ["CoRR2", "1,2,2,1", false], // iwp2.7
  ["n4b", "2,1", false],
  ["n5", "2,1", false],
  ["n6", "1,0,1", true],
  ["R", "0,2", true],
  ["2+2W", "1,1", false],
];
// SDM vol. 3A, 9.2.3.2 (MP), SDM vol. 3A, 9.2.3.3 (LB), SDM vol. 3A, 9.2.3.4 (SB), SDM vol. 3A, 9.2.3.5 (SB+rfi),
// SDM vol. 3A, 9.2.3.6 (WRC), SDM vol. 3A, 9.2.3.7 (IRIW), SDM vol. 3A, 9.2.3.8 (IRIW-xchgs), SDM vol. 3A, 9.2.3.9 (SB-xchgs)
test.each(published)("%s: %s is allowed: %s", (name, outcome, wanted) => {
  expect(allowedBy(name).has(outcome)).toBe(wanted);
});

test("without a buffer the model is sequentially consistent; with one entry it is between the two", () => {
  for (const { name } of shapes) {
    const [none, one, all] = [0, 1, Number.POSITIVE_INFINITY].map((entries) => allowedBy(name, { entries }));
    for (const outcome of none!) expect(one!.has(outcome), `${name} ${outcome}`).toBe(true);
    for (const outcome of one!) expect(all!.has(outcome), `${name} ${outcome}`).toBe(true);
  }
  expect(allowedBy("SB", { entries: 0 }).has("0,0")).toBe(false);
  expect(allowedBy("SB", { entries: 1 }).has("0,0")).toBe(true);
});

test("a split operand may be seen in halves", () => {
  const text = "x=257|x";
  expect(sorted(allowed(parseShape(text)))).toBe("0 257");
  expect(sorted(allowed(parseShape(text), { split: () => true }))).toBe("0 1 256 257");
});
