// What the viewer of a report's page draws with: colours by the page's style, lines, texts that fit.

const styles = () => getComputedStyle(document.documentElement);

export const color = (name: string): string => styles().getPropertyValue(`--${name}`).trim();

let palette = new Map<string, string>();

export const paint = (name: string): string => {
  const known = palette.get(name);
  if (known !== undefined) return known;
  const value = color(name);
  palette.set(name, value);
  return value;
};

export function context(of: HTMLCanvasElement, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  const width = of.clientWidth;
  of.style.height = `${height}px`;
  of.width = Math.round(width * ratio);
  of.height = Math.round(height * ratio);
  const c = of.getContext("2d")!;
  c.scale(ratio, ratio);
  c.clearRect(0, 0, width, height);
  c.font = "12px system-ui, sans-serif";
  c.textBaseline = "middle";
  return c;
}

export function line(
  c: CanvasRenderingContext2D,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  name: string,
  thick = 1,
): void {
  c.strokeStyle = paint(name);
  c.lineWidth = thick;
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}

const CAPTION_LEAST = 24;

/** As much of a text as there is room for. */
export function caption(
  c: CanvasRenderingContext2D,
  text: string,
  left: number,
  right: number,
  at: number,
): void {
  if (right - left < CAPTION_LEAST) return;
  c.save();
  c.beginPath();
  c.rect(left, at - 12, right - left, 16);
  c.clip();
  c.fillStyle = paint("mark");
  c.fillText(text, left, at);
  c.restore();
}

export function fitted(c: CanvasRenderingContext2D, text: string, room: number): string {
  if (c.measureText(text).width <= room) return text;
  let cut = text;
  while (cut.length > 3 && c.measureText(`…${cut}`).width > room) cut = cut.slice(1);
  return `…${cut}`;
}

/** Light and dark change places. */
export function forgetColors(): void {
  palette = new Map();
}
