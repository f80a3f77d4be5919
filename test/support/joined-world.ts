// The page protocol over real links: the cluster of coherence.ts, whose messages go through the compiled links of joined-wire.ts. Everybody
// is judged: the engines by coherence.ts, the links by what they deliver: each message once, in its order, in the session that it was
// said in, and everything that was said to who lives and has not cut the link.
import { type Setup, type Step, World } from "./coherence.js";
import type { Saved, Wire } from "./coherence-state.js";
import { Words } from "./fingerprint.js";
import { Lines, type LinesSaved, type Trouble, type WireStep } from "./joined-wire.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";

export interface JoinedSaved extends Saved {
  lines: LinesSaved;
}

/** What goes wrong on the wire, and need not. */
const troubles = new Set<Step["do"]>(["repeat", "lose", "sever", "early"]);
export const isTrouble = (step: Step): boolean => troubles.has(step.do);

export class JoinedWorld extends World {
  readonly lines: Lines;
  readonly #words = new Words();

  constructor(kernel: KernelWasm, setup: Setup, trouble: Trouble) {
    super(kernel, setup);
    this.lines = new Lines(kernel, setup.machines, trouble);
  }

  #said(from: number, to: number): number {
    return this.lines.heard(from, to) + this.wire(from, to).length;
  }

  /** Behind the end of a link nobody hears anything. */
  override put(from: number, to: number, message: Wire): void {
    if (this.lines.say(from, to, this.#said(from, to) + 1)) super.put(from, to, message);
    else this.losses.tell(message.word);
  }

  #hear(from: number, to: number): void {
    if (!this.hears(to, from))
      throw new Violation(`machine ${to} hears a life of machine ${from} that it knows to be over`);
    if (this.wire(from, to).length === 0)
      throw new Violation(`machine ${to} hears what machine ${from} has not said in this life of both`);
    super.take({ do: "deliver", from, to });
  }

  // --- Stepping ---

  override steps(kills = 0): Step[] {
    const steps = super.steps(kills).filter((step) => step.do !== "deliver");
    this.lines.pairs((from, to) => {
      if (!this.machine(to).alive || (this.isOver(to) && this.isOver(from))) return;
      const waits = this.wire(from, to).length > 0 && this.hears(to, from);
      const again = this.machine(from).alive && this.lines.isUp(from, to);
      steps.push(...this.lines.steps(from, to, waits, again));
    });
    return steps;
  }

  override rests(steps: readonly Step[]): boolean {
    return super.rests(steps.filter((step) => !isTrouble(step)));
  }

  override take(step: Step): void {
    switch (step.do) {
      case "arrive":
      case "repeat":
      case "lose":
      case "sever":
      case "mend":
      case "timeout":
      case "early":
        this.#takeOnWire(step);
        break;
      case "notice":
        super.take(step);
        this.#cut(step.machine, 1 << step.dead);
        break;
      case "install": {
        const { deaf } = this.machine(step.machine).membership;
        super.take(step);
        this.#cut(step.machine, this.machine(step.machine).membership.deaf & ~deaf);
        break;
      }
      case "return": {
        super.take(step);
        const peers = this.living().filter((other) => other !== step.machine);
        this.lines.begin(step.machine, peers);
        break;
      }
      default:
        super.take(step);
    }
  }

  #takeOnWire(step: WireStep): void {
    const { from, to } = step;
    const wire = this.wire(from, to);
    const [first] = wire;
    const waiting = wire.length;
    if (this.planted === "messages are taken as they come" && step.do === "arrive" && step.index > 0)
      wire.reverse();
    this.lines.take(step, () => this.#hear(from, to));
    const taken = wire.length < waiting;
    if (this.planted === "a repeated datagram is taken" && step.do === "repeat" && taken) {
      wire.unshift(first!);
      this.#hear(from, to);
    }
  }

  /** `deaf`: bit per machine to which its link is cut. What it has said to them may arrive still, and is not said again. */
  #cut(number: number, deaf: number): void {
    for (const dead of this.numbers)
      if (dead !== number && (deaf & (1 << dead)) !== 0) this.lines.cut(number, dead);
  }

  // --- Saving ---

  override save(): JoinedSaved {
    return { ...super.save(), lines: this.lines.save((from, to) => this.#said(from, to)) };
  }

  override load(saved: JoinedSaved): void {
    super.load(saved);
    this.lines.load(saved.lines, (from, to) => this.#said(from, to));
  }

  override fingerprint(to: Uint32Array): void {
    super.fingerprint(to);
    this.#words.clear();
    this.#words.copy(to, 0, 4);
    this.lines.words(this.#words);
    this.#words.fingerprint(to);
  }
}
