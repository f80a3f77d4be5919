// The report's page: one HTML file with everything in it: style, data, and the viewer's script. It asks for nothing else, so it
// opens from a disk, without a server.

import { readFileSync } from "node:fs";
import { viewerPaths } from "../images.js";
import type { Timeline } from "./data.js";

/** In light and dark: grounds, then what segments and arrows are painted with. */
// biome-ignore format: a table reads by columns
const colors: readonly (readonly [name: string, light: string, dark: string])[] = [
  ["ground",  "#ffffff",   "#15181d"],
  ["text",    "#1c2128",   "#e6e9ee"],
  ["faint",   "#69727d",   "#98a2ae"],
  ["grid",    "#e3e7ec",   "#2a3038"],
  ["I",       "#f1f3f6",   "#1e232a"],
  ["S",       "#5b93e8",   "#4c86dd"],
  ["O",       "#9a75e0",   "#8b66d6"],
  ["E",       "#46ad78",   "#3b9f6c"],
  ["M",       "#dd5468",   "#d0475c"],
  ["asks",    "#f3cd62",   "#b9922a"],
  ["wants",   "#f0a144",   "#c77c22"],
  ["leaving", "#a9b3bf",   "#65707d"],
  ["failed",  "#222222",   "#f0f0f0"],
  ["on",      "#ffffff",   "#ffffff"],
  ["ink",     "#2b2410",   "#ffffff"],
  ["arrow",   "#7b8794",   "#8d98a5"],
  ["carries", "#1f62c9",   "#7db1ff"],
  ["again",   "#d18b00",   "#e5b04a"],
  ["fault",   "#dd546822", "#d0475c33"],
  ["mark",    "#c24a5c",   "#e07585"],
];

const variables = (column: 1 | 2): string => colors.map((row) => `--${row[0]}:${row[column]}`).join(";");

const style = `
:root{color-scheme:light dark;${variables(1)}}
@media (prefers-color-scheme:dark){:root{${variables(2)}}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:14px/1.45 system-ui,sans-serif}
header,section{padding:10px 16px}
h1{font-size:18px;margin:0 0 2px}
code{font-size:12px;color:var(--faint)}
.figures{margin:4px 0 0}
.cut{color:var(--mark);margin:4px 0 0}
.tools{display:flex;flex-wrap:wrap;gap:8px;align-items:center;padding:6px 16px;border-block:1px solid var(--grid);position:sticky;top:0;background:var(--ground);z-index:1}
button,select,summary{font:inherit;color:inherit;background:var(--I);border:1px solid var(--grid);border-radius:6px;padding:3px 9px;cursor:pointer}
select{max-width:26em}
details{position:relative}
#kinds{position:absolute;background:var(--ground);border:1px solid var(--grid);border-radius:6px;padding:8px;display:grid;gap:2px;max-height:60vh;overflow:auto;white-space:nowrap;z-index:2}
#legend{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:12px;color:var(--faint)}
#legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:5px;vertical-align:-1px;border:1px solid var(--grid)}
canvas{display:block;width:100%}
#lanes{touch-action:none;cursor:crosshair}
#tip{position:fixed;display:none;pointer-events:none;white-space:pre-line;max-width:46em;background:var(--ground);border:1px solid var(--faint);border-radius:6px;padding:5px 9px;font-size:12px;box-shadow:0 3px 12px #0003;z-index:3}
#details{min-height:1.5em;font-weight:600}
#list{display:grid;max-height:260px;overflow:auto;margin-top:6px}
#list button{text-align:left;border:0;background:none;font-size:12px;padding:1px 4px;border-radius:3px}
#list button:hover,#list .chosen{background:var(--grid)}
.faint{color:var(--faint);font-size:12px}
:focus-visible{outline:2px solid var(--S);outline-offset:1px}`;

const html = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

/**
 * The scripts as the build made them, one behind the other: modules in one page cannot import each other, so each may use what
 * those before it declare.
 */
const script = (): string =>
  viewerPaths
    .map((path) =>
      readFileSync(path, "utf8")
        .replace(/^import [\s\S]*?;$/gm, "")
        .replace(/^export \{.*\};?$/gm, "")
        .replace(/^export /gm, "")
        .replace(/^\/\/# sourceMappingURL=.*$/m, ""),
    )
    .join("\n");

export function reportPage(timeline: Timeline): string {
  const { title, command, counts, cut, machines, end } = timeline;
  const n = (value: number) => value.toLocaleString("en-US");
  // In a script element "<" could end it.
  const json = JSON.stringify(timeline).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${html(title)}</title>
<style>${style}
</style>
<header>
<h1>${html(title)}</h1>
<code>${html(command)}</code>
<p class="figures">${machines.length} machines, ${(end / 1e6).toFixed(2)} ms of virtual time, ${n(counts.frames)} frames, ${n(counts.messages)} messages of ${n(counts.bytes)} bytes, ${n(counts.changes)} changes of state.</p>
${cut.map((text) => `<p class="cut">${html(text)}</p>`).join("\n")}
</header>
<div class="tools" role="toolbar" aria-label="What is shown">
<label>Pages <select id="pages"></select></label>
<details><summary>Messages</summary><div id="kinds"></div></details>
<span><button id="left" aria-label="earlier">◀</button> <button id="right" aria-label="later">▶</button>
<button id="in" aria-label="zoom in">+</button> <button id="out" aria-label="zoom out">−</button>
<button id="whole">whole run</button></span>
<span><button id="previous">previous message</button> <button id="next">next message</button></span>
<span id="more" class="faint"></span>
</div>
<section><div id="legend"></div></section>
<canvas id="overview" aria-hidden="true"></canvas>
<canvas id="lanes" tabindex="0" role="application" aria-label="A lane a machine: states of pages over time, arrows are messages. Arrow keys move, plus and minus zoom, 0 shows the whole run, n and p go from message to message."></canvas>
<section>
<div id="details" aria-live="polite"></div>
<div class="faint"><span id="count"></span>. Wheel: zoom; drag: move; keys ← → + − 0 n p, with the lanes in focus. Blue arrows carry a page, amber ones were sent again; a shaded time is a fault; paler states come with a range of pages.</div>
<div id="list"></div>
</section>
<div id="tip" role="tooltip"></div>
<script type="application/json" id="data">${json}</script>
<script type="module">
${script()}
</script>
</html>
`;
}
