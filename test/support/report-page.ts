// A report's page (emulator/timeline) without a browser: its script runs in a context of its own, on a document that knows as much as it
// asks for, and on canvases that remember what was drawn.
import { createContext, Script } from "node:vm";

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** The name of a colour of the page's style. */
  readonly color: string;
}
export interface Line {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly color: string;
}
export interface Text {
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

const CHARACTER = 6;

/** What a canvas shows: all since it was last cleared, in the order of drawing. */
export class Drawing {
  rectangles: Rectangle[] = [];
  lines: Line[] = [];
  texts: Text[] = [];
  fillStyle = "";
  strokeStyle = "";
  lineWidth = 1;
  globalAlpha = 1;
  font = "";
  textBaseline = "";
  #path: { x: number; y: number }[] = [];

  clearRect(): void {
    this.rectangles = [];
    this.lines = [];
    this.texts = [];
  }
  fillRect(x: number, y: number, width: number, height: number): void {
    this.rectangles.push({ x, y, width, height, color: this.fillStyle });
  }
  fillText(text: string, x: number, y: number): void {
    this.texts.push({ x, y, text });
  }
  measureText = (text: string) => ({ width: text.length * CHARACTER });
  beginPath(): void {
    this.#path = [];
  }
  moveTo(x: number, y: number): void {
    this.#path.push({ x, y });
  }
  lineTo(x: number, y: number): void {
    this.#path.push({ x, y });
  }
  stroke(): void {
    for (let i = 1; i < this.#path.length; i++) {
      const [a, b] = [this.#path[i - 1]!, this.#path[i]!];
      this.lines.push({ x1: a.x, y1: a.y, x2: b.x, y2: b.y, color: this.strokeStyle });
    }
  }
  /** Arrow heads, clips and frames are not remembered. */
  fill(): void {}
  rect(): void {}
  clip(): void {}
  save(): void {}
  restore(): void {}
  scale(): void {}
  strokeRect(): void {}

  /** The colour on top at a point; undefined where nothing was filled. */
  at(x: number, y: number): string | undefined {
    return this.rectangles.findLast((r) => r.x <= x && x < r.x + r.width && r.y <= y && y < r.y + r.height)
      ?.color;
  }
}

type Handler = (event: Record<string, unknown>) => void;

export class Element {
  readonly tag: string;
  readonly style: Record<string, string> = {};
  children: (Element | string)[] = [];
  textContent = "";
  value = "";
  label = "";
  className = "";
  type = "";
  checked = false;
  readonly clientWidth = 1150;
  readonly offsetWidth = 100;
  readonly drawing = new Drawing();
  onclick: Handler | null = null;
  onchange: Handler | null = null;
  onkeydown: Handler | null = null;
  onpointermove: Handler | null = null;

  constructor(tag: string) {
    this.tag = tag;
  }
  append(...children: (Element | string)[]): void {
    this.children.push(...children);
  }
  replaceChildren(...children: Element[]): void {
    this.children = children;
  }
  querySelectorAll(tag: string): Element[] {
    return this.all().filter((element) => element.tag === tag);
  }
  getContext(): Drawing {
    return this.drawing;
  }
  /** Elements in it, at any depth. */
  all(): Element[] {
    return this.children.flatMap((child) => (typeof child === "string" ? [] : [child, ...child.all()]));
  }
  text(): string {
    return (
      this.textContent +
      this.children.map((child) => (typeof child === "string" ? child : child.text())).join("")
    );
  }
}

export class ReportPage {
  readonly #elements = new Map<string, Element>();
  readonly #frames: (() => void)[] = [];

  constructor(html: string) {
    for (const [, tag, id] of html.matchAll(/<(\w+) [^>]*?\bid="(\w+)"/g))
      this.#elements.set(id!, new Element(tag!));
    this.element("data").textContent = /id="data">([\s\S]*?)<\/script>/.exec(html)![1]!;
    this.element("pages").value = "busiest";
    const script = /<script type="module">([\s\S]*?)<\/script>/.exec(html)![1]!;
    const colors = new Set([...html.matchAll(/--(\w+):#/g)].map(([, name]) => name!));
    const getPropertyValue = (variable: string) => {
      const name = variable.slice(2);
      if (!colors.has(name)) throw new Error(`the page's style has no ${variable}`);
      return name;
    };
    const context = createContext({
      document: {
        documentElement: new Element("html"),
        getElementById: (id: string) => this.#elements.get(id) ?? null,
        createElement: (tag: string) => new Element(tag),
      },
      window: { devicePixelRatio: 1, innerWidth: 1200 },
      location: { hash: "" },
      getComputedStyle: () => ({ getPropertyValue }),
      matchMedia: () => ({}),
      requestAnimationFrame: (frame: () => void) => this.#frames.push(frame),
    });
    new Script(script, { filename: "report-page.js" }).runInContext(context);
    this.#draw();
  }

  element(id: string): Element {
    const element = this.#elements.get(id);
    if (element === undefined) throw new Error(`the page has no element ${id}`);
    return element;
  }

  get lanes(): Drawing {
    return this.element("lanes").drawing;
  }

  press(key: string): void {
    this.element("lanes").onkeydown!({ key, preventDefault: () => {} });
    this.#draw();
  }

  click(id: string): void {
    this.element(id).onclick!({});
    this.#draw();
  }

  choose(value: string): void {
    this.element("pages").value = value;
    this.element("pages").onchange!({});
    this.#draw();
  }

  /** What the page says of a point of the lanes. */
  hover(x: number, y: number): string {
    this.element("lanes").onpointermove!({ offsetX: x, offsetY: y, clientX: x, clientY: y });
    return this.element("tip").textContent;
  }

  #draw(): void {
    for (const frame of this.#frames.splice(0)) frame();
  }
}
