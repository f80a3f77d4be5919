// What a report's page draws, against the data in it: its script runs on canvases that remember (test/support/report-page.ts).
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { runSeeded } from "../../emulator/cluster.js";
import { kernelPath } from "../../emulator/images.js";
import { AGAIN, type Timeline, WITH_DIFFERENCE, WITH_PAGE } from "../../emulator/timeline/data.js";
import { Report } from "../../emulator/timeline/report.js";
import { seededOptions } from "../support/cluster.js";
import { ReportPage } from "../support/report-page.js";

/** From the page's left to where time begins; a row's height without the gap to the next. */
const GUTTER = 150;
const SEGMENT = 12;
const ARROWS = ["arrow", "carries", "again", "failed"];

let html = "";
let data: Timeline;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "buslock-report-page-"));
  try {
    const { options } = await seededOptions("counter", [300], { cores: 1, seed: 11 });
    const report = new Report({ folder, kernelPath, kernel: options.kernel, title: "counter", command: "" });
    await runSeeded({ ...options, onCluster: (cluster) => report.follow(cluster) });
    report.write();
    html = readFileSync(report.path, "utf8");
    data = JSON.parse(/id="data">([\s\S]*?)<\/script>/.exec(html)![1]!) as Timeline;
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);

/** Pixels of a time, by the words of the axis; and back. */
function scale(page: ReportPage): { x: (at: number) => number; at: (x: number) => number } {
  const marks = page.lanes.texts.flatMap(({ x, text }) =>
    /^[\d.]+ ms$/.test(text) ? [{ x: x - 3, at: Number.parseFloat(text) * 1e6 }] : [],
  );
  expect(marks.length).toBeGreaterThan(2);
  const [one, other] = [marks[0]!, marks.at(-1)!];
  const pixels = (other.x - one.x) / (other.at - one.at);
  for (const mark of marks) expect(mark.x).toBeCloseTo(one.x + (mark.at - one.at) * pixels, 1);
  return { x: (at) => one.x + (at - one.at) * pixels, at: (x) => one.at + (x - one.x) / pixels };
}

/** The colour of a state, as the legend of the page has it; "I" is the ground. */
function look(state: string): string {
  if (/FAILED|ORPHANED|LOST|RECOVER/.test(state)) return "failed";
  if (/LEAVING|LOWERING/.test(state)) return "leaving";
  if (/_WRITE$|^COLLECTING/.test(state)) return "wants";
  if (/_READ$|OPERATE/.test(state)) return "asks";
  return state[0]!;
}

/** What a machine has of a page: changes of its record, and of the range that it is in where it has none. */
function stateAt(machine: number, object: number, page: number, at: number): string {
  let [record, range] = ["", ""];
  for (const [when, of, which, first, state, , , last] of data.changes) {
    if (when > at) break;
    if (of !== machine || which !== object) continue;
    const name = state < 0 ? "" : data.states[state]!;
    if (last < 0) {
      if (first === page) record = name;
    } else if (state < 0 || (first <= page && page <= last)) range = name;
  }
  return record || range || "INVALID";
}

const rowTop = (page: ReportPage, machine: number, name: string): number => {
  const labels = page.lanes.texts.filter(({ x, text }) => x < GUTTER && text === name);
  return labels[machine - 1]!.y;
};

test("each pixel of a row has the colour of the state that its machine's page is in then", () => {
  const page = new ReportPage(html);
  const object = data.objects.indexOf("/shm/counter");
  page.choose(`${object} 0`);
  const looks = new Set<string>();
  let compared = 0;
  for (let zoom = 0; zoom < 5; zoom++) {
    const { at } = scale(page);
    data.machines.forEach((_, index) => {
      const y = rowTop(page, index + 1, "/shm/counter 0");
      for (let x = GUTTER + 2; x < 1148; x++) {
        const states = [-1.5, -0.5, 0.5, 1.5, 2.5].map((by) =>
          look(stateAt(index + 1, object, 0, at(x + by))),
        );
        // Within a pixel of a change either is right.
        if (new Set(states).size > 1) continue;
        // A state's name may stand there; it is no rectangle.
        expect(page.lanes.at(x + 0.5, y), `machine ${index + 1} at ${at(x + 0.5)}`).toBe(states[0]);
        looks.add(states[0]!);
        compared++;
      }
    });
    page.press("+");
  }
  expect(compared).toBeGreaterThan(5000);
  for (const seen of ["I", "M", "wants"]) expect([...looks]).toContain(seen);
});

test("each message that is not hidden is an arrow from when and where it was sent to when and where it came", () => {
  const page = new ReportPage(html);
  for (let zoom = 0; zoom < 2; zoom++) page.press("+");
  const { x, at } = scale(page);
  const [from, to] = [at(GUTTER), at(1150)];
  const shown = new Set(
    page
      .element("kinds")
      .all()
      .filter(({ tag, children }) => tag === "label" && (children[0] as { checked: boolean }).checked)
      .map((label) => / (.*) \((\d+)\)/.exec(label.text())!)
      .map(([, name, count]) => {
        const kind = data.names.indexOf(name!);
        expect(data.messages.filter((message) => message[4] === kind).length, name).toBe(Number(count));
        return kind;
      }),
  );
  const wanted = data.messages.filter(
    ([sent, arrived, , , name]) => shown.has(name) && sent <= to && Math.max(sent, arrived) >= from,
  );
  const arrows = page.lanes.lines.filter(({ color }) => ARROWS.includes(color));
  expect(wanted.length).toBeGreaterThan(20);
  expect(arrows.length).toBe(wanted.length);
  expect(page.element("count").textContent).toMatch(new RegExp(`^${wanted.length} messages in sight`));
  expect(page.element("list").all().length).toBe(Math.min(200, wanted.length));
  wanted.forEach(([sent, arrived, sender, receiver, , , , , flags], i) => {
    const arrow = arrows[i]!;
    expect(arrow.x1).toBeCloseTo(x(sent), 0);
    if (arrived >= 0) expect(arrow.x2).toBeCloseTo(x(arrived), 0);
    const carries = (flags & (WITH_PAGE | WITH_DIFFERENCE)) !== 0;
    const color = arrived < 0 ? "failed" : flags & AGAIN ? "again" : carries ? "carries" : "arrow";
    expect(arrow.color).toBe(color);
    // Lanes lie below each other in the order of the machines, the bridge below all.
    expect(Math.sign(arrow.y2 - arrow.y1)).toBe(Math.sign(receiver - sender));
  });
});

test("what is chosen and what is pointed at is said in words", () => {
  const page = new ReportPage(html);
  page.click("next");
  const chosen = page.element("details").textContent;
  expect(chosen).toMatch(/ to \w+ at [\d.]+ ms, \d+ bytes, /);
  page.click("next");
  expect(page.element("details").textContent).not.toBe(chosen);
  page.click("previous");
  expect(page.element("details").textContent).toBe(chosen);
  const object = data.objects.indexOf("/shm/counter");
  page.choose(`${object} 0`);
  page.click("whole");
  const { x } = scale(page);
  const lasts = data.changes.findLast(
    ([, machine, which, first, state]) =>
      machine === 1 && which === object && first === 0 && data.states[state] !== undefined,
  )!;
  const said = page.hover((x(lasts[0]) + x(data.end)) / 2, rowTop(page, 1, "/shm/counter 0") + SEGMENT / 4);
  expect(said).toContain(`${data.machines[0]}, /shm/counter page 0: ${stateAt(1, object, 0, data.end)}`);
});
