// What the viewer of a report's page says in words.

import type { MessageRow } from "./data.js";
import {
  AGAIN,
  ARRIVED,
  BYTES,
  DIRECTORY,
  data,
  FIRST,
  FLAGS,
  FROM,
  LAST,
  machineCount,
  NAME,
  OBJECT,
  OWNER,
  PAGE,
  SENT,
  type Segment,
  STATE,
  TO,
  WITH_DIFFERENCE,
  WITH_PAGE,
} from "./viewer-model.js";

export const pageName = (object: number, page: number) => `${data.objects[object] ?? "?"} page ${page}`;

/** Nanoseconds as people read them, as exactly as one step needs. */
export function time(at: number, step = 1): string {
  if (step >= 1e6) return `${(at / 1e6).toFixed(step >= 1e7 ? 0 : 1)} ms`;
  return `${(at / 1e6).toFixed(step >= 1e5 ? 2 : step >= 1e4 ? 3 : step >= 1e3 ? 4 : 6)} ms`;
}

export function words(m: MessageRow): string {
  const where =
    m[OBJECT] < 0 ? "" : ` of ${m[PAGE] < 0 ? data.objects[m[OBJECT]] : pageName(m[OBJECT], m[PAGE])}`;
  const station = (n: number) =>
    n > machineCount ? "bridge" : n === 0 ? "nobody" : (data.machines[n - 1] ?? "?");
  const extra = [
    m[FLAGS] & WITH_PAGE ? "with the page" : "",
    m[FLAGS] & WITH_DIFFERENCE ? "with a difference" : "",
    m[FLAGS] & AGAIN ? "sent again" : "",
    m[ARRIVED] < 0 ? "lost" : `under way ${((m[ARRIVED] - m[SENT]) / 1000).toFixed(1)} us`,
  ].filter((text) => text !== "");
  return `${data.names[m[NAME]]}${where}: ${station(m[FROM])} to ${station(m[TO])} at ${time(m[SENT])}, ${m[BYTES]} bytes, ${extra.join(", ")}`;
}

export function stateWords({ row, from, to, ranged }: Segment): string {
  const home =
    row[DIRECTORY] < 0
      ? ""
      : `; home: ${data.states[row[DIRECTORY]]}${row[OWNER] > 0 ? ` by ${data.machines[row[OWNER] - 1]}` : ""}`;
  const range = ranged
    ? ` with its range, pages ${row[FIRST]} to ${row[LAST] >= 2 ** 40 - 1 ? "the end" : row[LAST]}`
    : "";
  return `${data.states[row[STATE]]}${range} from ${time(from)} for ${((to - from) / 1000).toFixed(1)} us${home}`;
}

export function toLine(px: number, py: number, x1: number, y1: number, x2: number, y2: number): number {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const t =
    length === 0 ? 0 : Math.max(0, Math.min(1, ((px - x1) * (x2 - x1) + (py - y1) * (y2 - y1)) / length));
  return Math.hypot(px - x1 - t * (x2 - x1), py - y1 - t * (y2 - y1));
}
