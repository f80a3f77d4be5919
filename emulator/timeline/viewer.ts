// The script of a report's page (page.ts puts it in, behind viewer-model.ts): draws a Timeline (data.ts) on a canvas, a lane a
// machine, and in it a row a page, coloured by its cache state; arrows are messages. It needs nothing but the page that it is in.

import type { MessageRow } from "./data.js";
import {
  AGAIN,
  ARRIVED,
  AT,
  busiest,
  data,
  FLAGS,
  FROM,
  first,
  key,
  lookOf,
  looks,
  machineCount,
  NAME,
  OBJECT,
  PAGE,
  type Row,
  rowOf,
  SENT,
  type Segment,
  STATE,
  TO,
  WITH_DIFFERENCE,
  WITH_PAGE,
} from "./viewer-model.js";
import { caption, color, context, fitted, forgetColors, line, paint } from "./viewer-paint.js";
import { pageName, stateWords, time, toLine, words } from "./viewer-words.js";

// --- What is chosen ---

const ROWS_MAX = 12;
let rows: Row[] = [];
/** Until something is sent or shared there is nothing to see. */
const begin = Math.max(
  0,
  Math.min(data.messages[0]?.[SENT] ?? data.end, data.changes[0]?.[AT] ?? data.end) * 0.999 - 20_000,
);
let from = Math.max(begin, (data.changes[0]?.[AT] ?? begin) - 0.03 * data.end);
let to = data.end;
let selected: MessageRow | null = null;
let shownMessages: MessageRow[] = [];
/** Datagrams that only keep a link are hidden at first. */
const quiet = /^(acknowledgement|empty|HELLO|piece|ARP|VOTE VIEW|VOTE WITNESS)/;
const hidden = new Set(data.names.map((name, i) => (quiet.test(name) ? i : -1)).filter((i) => i >= 0));

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const canvas = $<HTMLCanvasElement>("lanes");
const overview = $<HTMLCanvasElement>("overview");
const tip = $("tip");
const pages = $<HTMLSelectElement>("pages");

function choose(): void {
  const value = pages.value;
  const wanted =
    value === "busiest"
      ? busiest
      : value.startsWith("object ")
        ? busiest.filter(({ object }) => object === Number(value.slice(7)))
        : busiest.filter(({ object, page }) => `${object} ${page}` === value);
  rows = wanted
    .slice(0, ROWS_MAX)
    .sort((a, b) => a.object - b.object || a.page - b.page)
    .map(({ object, page }) => rowOf(object, page));
  const only = value === "busiest" ? null : new Set(wanted.map(({ object, page }) => key(object, page)));
  shownMessages = data.messages.filter(
    (m) => !hidden.has(m[NAME]) && (only === null || only.has(key(m[OBJECT], m[PAGE]))),
  );
  $("more").textContent =
    wanted.length > rows.length ? `the ${rows.length} busiest of ${wanted.length} pages are shown` : "";
  draw();
}

function fill(): void {
  const option = (value: string, text: string, into: HTMLElement) => {
    const o = document.createElement("option");
    o.value = value;
    o.textContent = text;
    into.append(o);
  };
  option("busiest", "the busiest pages, all messages", pages);
  data.objects.forEach((name, object) => {
    const of = busiest.filter((entry) => entry.object === object);
    if (of.length === 0) return;
    const group = document.createElement("optgroup");
    group.label = name;
    option(`object ${object}`, `${name}: all ${of.length} pages`, group);
    for (const { page, count } of of.slice(0, 200).sort((a, b) => a.page - b.page))
      option(`${object} ${page}`, `${name} page ${page} (${count})`, group);
    pages.append(group);
  });
  const counts = data.names.map(() => 0);
  for (const m of data.messages) counts[m[NAME]]!++;
  data.names
    .map((name, i) => ({ name, i, count: counts[i]! }))
    .sort((a, b) => a.name.localeCompare(b.name))
    .forEach(({ name, i, count }) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !hidden.has(i);
      box.onchange = () => {
        if (box.checked) hidden.delete(i);
        else hidden.add(i);
        choose();
      };
      label.append(box, ` ${name} (${count})`);
      $("kinds").append(label);
    });
  const legend = $("legend");
  for (const [, look, says] of [...looks].reverse()) {
    const item = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.background = color(look);
    item.append(swatch, says);
    legend.append(item);
  }
}

// --- Drawing ---

const GUTTER = 150;
const AXIS = 24;
const TITLE = 26;
const ROW = 15;
const GAP = 14;
/** With more messages in sight than that, how many there are is drawn. */
const ARROWS_MAX = 2500;

const laneHeight = () => TITLE + rows.length * ROW + GAP;
const laneTop = (station: number) => AXIS + (station - 1) * laneHeight();
const bridgeTop = () => AXIS + machineCount * laneHeight();
const x = (at: number) => GUTTER + ((at - from) / (to - from)) * (canvas.clientWidth - GUTTER);
const timeAt = (px: number) => from + ((px - GUTTER) / (canvas.clientWidth - GUTTER)) * (to - from);

/** Where a message leaves a station, or comes to it. */
function y(station: number, m: MessageRow): number {
  if (station > machineCount) return bridgeTop() + TITLE / 2;
  const row = rows.findIndex(({ object, page }) => object === m[OBJECT] && page === m[PAGE]);
  return laneTop(station) + (row < 0 ? TITLE - 8 : TITLE + (row + 0.5) * ROW);
}

let pending = false;
function draw(): void {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    drawLanes();
    drawOverview();
  });
}

function drawLanes(): void {
  const height = bridgeTop() + TITLE + 8;
  const c = context(canvas, height);
  const width = canvas.clientWidth;
  drawAxis(c, width, height);
  drawMarks(c, height);
  for (let machine = 1; machine <= machineCount; machine++) drawLane(c, machine, width);
  c.fillStyle = paint("text");
  c.fillText("bridge", 8, bridgeTop() + TITLE / 2);
  line(c, GUTTER, bridgeTop() + TITLE / 2, width, bridgeTop() + TITLE / 2, "grid");
  c.save();
  c.beginPath();
  c.rect(GUTTER, 0, width - GUTTER, height);
  c.clip();
  drawMessages(c);
  c.restore();
}

function drawAxis(c: CanvasRenderingContext2D, width: number, height: number): void {
  const least = (to - from) / Math.max(2, (width - GUTTER) / 110);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least)!;
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    line(c, x(at), AXIS - 6, x(at), height, "grid");
    c.fillStyle = paint("faint");
    c.fillText(time(at, step), x(at) + 3, AXIS / 2 - 1);
  }
}

function drawMarks(c: CanvasRenderingContext2D, height: number): void {
  let captions = 0;
  for (const mark of data.marks) {
    const until = mark.until ?? mark.at;
    if (until < from || mark.at > to) continue;
    const [left, right] = [Math.max(x(mark.at), GUTTER), x(until)];
    const top = mark.machine === 0 ? AXIS - 8 : laneTop(mark.machine);
    const bottom = mark.machine === 0 ? height : top + laneHeight() - GAP + 4;
    if (mark.until !== undefined) {
      c.fillStyle = paint("fault");
      c.fillRect(left, top, Math.max(2, right - left), bottom - top);
      const at = mark.machine === 0 ? bottom - 4 - 13 * (captions++ % 3) : top + 12;
      caption(c, mark.text, left + 3, Math.min(right, canvas.clientWidth), at);
    }
    line(c, left, top, left, bottom, "mark", mark.until === undefined ? 1 : 2);
  }
}

function drawLane(c: CanvasRenderingContext2D, machine: number, width: number): void {
  const top = laneTop(machine);
  line(c, 0, top - GAP / 2 + 4, width, top - GAP / 2 + 4, "grid");
  c.fillStyle = paint("text");
  c.font = "bold 12px system-ui, sans-serif";
  c.fillText(data.machines[machine - 1]!, 8, top + TITLE / 2);
  c.font = "11px system-ui, sans-serif";
  rows.forEach((row, i) => {
    const at = top + TITLE + i * ROW;
    c.fillStyle = paint("faint");
    c.fillText(fitted(c, `${data.objects[row.object]} ${row.page}`, GUTTER - 20), 14, at + ROW / 2);
    c.fillStyle = paint("I");
    c.fillRect(GUTTER, at + 1, width - GUTTER, ROW - 3);
    drawSegments(c, row.segments[machine - 1]!, at + 1, ROW - 3);
  });
}

/** Of several in one pixel the last is drawn. */
function drawSegments(
  c: CanvasRenderingContext2D,
  segments: readonly Segment[],
  top: number,
  height: number,
): void {
  const pixel = (to - from) / Math.max(1, canvas.clientWidth - GUTTER);
  for (let i = first(segments, (s) => s.to > from); i < segments.length; i++) {
    let segment = segments[i]!;
    if (segment.from > to) break;
    if (segment.to - segment.from < pixel / 2) {
      const next = first(segments, (s) => s.to > segment.from + pixel / 2);
      if (next > i) i = Math.min(next, segments.length - 1);
      segment = segments[i]!;
    }
    const look = lookOf[segment.row[STATE]]!;
    if (look === "I") continue;
    const [left, right] = [Math.max(x(segment.from), GUTTER), Math.min(x(segment.to), canvas.clientWidth)];
    c.globalAlpha = segment.ranged ? 0.35 : 1;
    c.fillStyle = paint(look);
    c.fillRect(left, top, Math.max(0.75, right - left), height);
    if (right - left > 26 && !segment.ranged) {
      c.fillStyle = paint(/^(asks|wants)$/.test(look) ? "ink" : "on");
      const label =
        look.length === 1 ? look : data.states[segment.row[STATE]]!.toLowerCase().replace("_", " ");
      if (c.measureText(label).width < right - left - 5) c.fillText(label, left + 3, top + height / 2 + 0.5);
    }
  }
  c.globalAlpha = 1;
}

const longest = data.messages.reduce((most, m) => Math.max(most, m[ARRIVED] - m[SENT]), 0);

function inSight(): MessageRow[] {
  const begin = first(shownMessages, (m) => m[SENT] >= from - longest);
  const end = first(shownMessages, (m) => m[SENT] > to);
  return shownMessages.slice(begin, end).filter((m) => Math.max(m[ARRIVED], m[SENT]) >= from);
}

function drawMessages(c: CanvasRenderingContext2D): void {
  const sight = inSight();
  $("count").textContent =
    `${sight.length} messages in sight, ${time(from, (to - from) / 10)} to ${time(to, (to - from) / 10)}`;
  list(sight);
  if (sight.length > ARROWS_MAX) drawDensity(c, sight);
  else {
    c.globalAlpha = sight.length > 500 ? 0.5 : 0.9;
    for (const m of sight)
      if (m !== selected)
        arrow(
          c,
          m,
          m[FLAGS] & AGAIN ? "again" : m[FLAGS] & (WITH_PAGE | WITH_DIFFERENCE) ? "carries" : "arrow",
          1,
        );
  }
  c.globalAlpha = 1;
  if (selected !== null) arrow(c, selected, "text", 2.5);
}

function arrow(c: CanvasRenderingContext2D, m: MessageRow, name: string, thick: number): void {
  const lost = m[ARRIVED] < 0;
  const [x1, y1] = [x(m[SENT]), y(m[FROM], m)];
  const [x2, y2] = lost ? [x1 + 8, y1 + (m[TO] > m[FROM] ? 8 : -8)] : [x(m[ARRIVED]), y(m[TO], m)];
  line(c, x1, y1, x2, y2, lost ? "failed" : name, m[FLAGS] & WITH_PAGE ? thick + 0.7 : thick);
  c.fillStyle = paint(lost ? "failed" : name);
  if (lost) {
    c.fillText("×", x2 - 2, y2);
    return;
  }
  const angle = Math.atan2(y2 - y1, x2 - x1);
  c.beginPath();
  c.moveTo(x2, y2);
  for (const turn of [2.7, -2.7]) c.lineTo(x2 + 7 * Math.cos(angle + turn), y2 + 7 * Math.sin(angle + turn));
  c.fill();
}

/** How many messages each station sends, pixel by pixel, in its title's line. */
function drawDensity(c: CanvasRenderingContext2D, sight: readonly MessageRow[]): void {
  const counts = new Map<number, number>();
  let most = 1;
  for (const m of sight) {
    const k = m[FROM] * 65536 + Math.floor(x(m[SENT]) / 2);
    const n = (counts.get(k) ?? 0) + 1;
    counts.set(k, n);
    most = Math.max(most, n);
  }
  c.fillStyle = paint("arrow");
  for (const [k, n] of counts) {
    const station = Math.floor(k / 65536);
    const bottom = (station > machineCount ? bridgeTop() : laneTop(station)) + TITLE - 4;
    const height = 2 + (TITLE - 8) * (n / most);
    c.fillRect((k % 65536) * 2, bottom - height, 2, height);
  }
}

const share = (at: number) => (at - begin) / (data.end - begin);

function drawOverview(): void {
  const c = context(overview, 34);
  const width = overview.clientWidth - GUTTER;
  const bins = new Array<number>(Math.max(1, Math.floor(width / 2))).fill(0);
  for (const m of shownMessages) bins[Math.min(bins.length - 1, Math.floor(share(m[SENT]) * bins.length))]!++;
  const most = Math.max(1, ...bins);
  c.fillStyle = paint("faint");
  c.fillText("whole run", 8, 17);
  c.fillStyle = paint("arrow");
  bins.forEach((n, i) => {
    if (n > 0) c.fillRect(GUTTER + i * 2, 32 - 28 * (n / most), 1.5, 28 * (n / most));
  });
  c.fillStyle = paint("fault");
  for (const { at, until } of data.marks)
    if (until !== undefined)
      c.fillRect(GUTTER + share(at) * width, 0, Math.max(1, (share(until) - share(at)) * width), 34);
  c.strokeStyle = paint("text");
  c.lineWidth = 1.5;
  const left = GUTTER + share(from) * width;
  c.strokeRect(left, 1, Math.max(3, (share(to) - share(from)) * width), 32);
}

// --- Words ---

function list(sight: readonly MessageRow[]): void {
  const body = $("list");
  body.replaceChildren(
    ...sight.slice(0, 200).map((m) => {
      const button = document.createElement("button");
      button.textContent = words(m);
      button.className = m === selected ? "chosen" : "";
      button.onclick = () => select(m);
      return button;
    }),
  );
  if (sight.length > 200) body.append(`and ${sight.length - 200} more: zoom in`);
}

function select(m: MessageRow | null): void {
  selected = m;
  $("details").textContent = m === null ? "" : words(m);
  if (m !== null && (m[SENT] < from || m[SENT] > to))
    show(m[SENT] - (to - from) / 2, m[SENT] + (to - from) / 2);
  else draw();
}

function step(by: 1 | -1): void {
  const now = selected === null ? from : selected[SENT];
  const index =
    selected === null
      ? first(shownMessages, (m) => m[SENT] >= now) - (by === 1 ? 1 : 0)
      : shownMessages.indexOf(selected);
  const next = shownMessages[index + by];
  if (next !== undefined) select(next);
}

/** What is under the pointer, in words. */
function under(px: number, py: number): { text: string; message: MessageRow | null } {
  let best: MessageRow | null = null;
  let nearest = 6;
  const sight = inSight();
  if (sight.length <= ARROWS_MAX)
    for (const m of sight) {
      if (m[ARRIVED] < 0) continue;
      const distance = toLine(px, py, x(m[SENT]), y(m[FROM], m), x(m[ARRIVED]), y(m[TO], m));
      if (distance < nearest) [best, nearest] = [m, distance];
    }
  if (best !== null && nearest < 3) return { text: words(best), message: best };
  const at = timeAt(px);
  const machine = Math.floor((py - AXIS) / laneHeight()) + 1;
  const row = rows[Math.floor((py - laneTop(machine) - TITLE) / ROW)];
  const marks = data.marks.filter(
    (mark) =>
      (mark.machine === 0 || mark.machine === machine) &&
      x(mark.at) - 4 <= px &&
      px <= x(mark.until ?? mark.at) + 4,
  );
  const said = marks.map((mark) => `${time(mark.at)}: ${mark.text}`);
  if (machine >= 1 && machine <= machineCount && row !== undefined) {
    const segment = row.segments[machine - 1]!.find((s) => s.from <= at && at < s.to);
    const name = `${data.machines[machine - 1]}, ${pageName(row.object, row.page)}`;
    said.unshift(segment === undefined ? `${name}: no record` : `${name}: ${stateWords(segment)}`);
  }
  if (best !== null) return { text: words(best), message: best };
  return { text: said.join("\n"), message: null };
}

// --- Moving about ---

const LEAST_SPAN = 2000;
function show(left: number, right: number): void {
  const span = Math.min(Math.max(right - left, LEAST_SPAN), data.end - begin);
  from = Math.max(begin, Math.min((left + right - span) / 2, data.end - span));
  to = from + span;
  draw();
}
const zoom = (factor: number, around = (from + to) / 2) =>
  show(around - (around - from) * factor, around + (to - around) * factor);
const pan = (part: number) => show(from + (to - from) * part, to + (to - from) * part);

const keys: Readonly<Record<string, () => void>> = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), PageUp: () => pan(-0.9), PageDown: () => pan(0.9),
  "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => show(begin, data.end),
  Home: () => show(begin, begin + to - from), End: () => show(data.end - (to - from), data.end),
  n: () => step(1), p: () => step(-1), Escape: () => select(null),
}; // biome-ignore format: a table

canvas.onkeydown = (event) => {
  const action = keys[event.key];
  if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
};
canvas.onwheel = (event) => {
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
    pan((event.deltaX || event.deltaY) / 1000);
  else zoom(1.0015 ** event.deltaY, timeAt(event.offsetX));
};
let grabbed: { x: number; from: number; to: number } | null = null;
canvas.onpointerdown = (event) => {
  grabbed = { x: event.offsetX, from, to };
  canvas.setPointerCapture(event.pointerId);
};
canvas.onpointermove = (event) => {
  if (grabbed !== null && Math.abs(event.offsetX - grabbed.x) > 3) {
    const moved = ((event.offsetX - grabbed.x) / (canvas.clientWidth - GUTTER)) * (grabbed.to - grabbed.from);
    show(grabbed.from - moved, grabbed.to - moved);
    return;
  }
  const { text } = under(event.offsetX, event.offsetY);
  tip.textContent = text;
  tip.style.display = text === "" ? "none" : "block";
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 16}px`;
};
canvas.onpointerleave = () => {
  tip.style.display = "none";
};
canvas.onpointerup = (event) => {
  if (grabbed !== null && Math.abs(event.offsetX - grabbed.x) <= 3)
    select(under(event.offsetX, event.offsetY).message);
  grabbed = null;
};
overview.onpointerdown = overview.onpointermove = (event) => {
  if (event.buttons === 0) return;
  const at = begin + ((event.offsetX - GUTTER) / (overview.clientWidth - GUTTER)) * (data.end - begin);
  show(at - (to - from) / 2, at + (to - from) / 2);
};
for (const [id, action] of [["in", "+"], ["out", "-"], ["left", "ArrowLeft"], ["right", "ArrowRight"], ["whole", "0"], ["next", "n"], ["previous", "p"]] as const)
  $(id).onclick = () => keys[action]!(); // biome-ignore format: a table
pages.onchange = choose;
window.onresize = draw;
matchMedia("(prefers-color-scheme: dark)").onchange = () => {
  forgetColors();
  $("legend")
    .querySelectorAll("i")
    .forEach((swatch, i) => {
      swatch.style.background = color([...looks].reverse()[i]![1]);
    });
  draw();
};
fill();
choose();
/** Begin where something happens, at a span in which single messages can be told apart. */
const [opening] = location.hash.slice(1).split("-").map(Number);
if (opening !== undefined && !Number.isNaN(opening) && location.hash.includes("-"))
  show(opening, Number(location.hash.split("-")[1]));
