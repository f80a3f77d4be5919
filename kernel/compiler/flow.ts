// The control flow of a wasm function and which locals are live where, by the usual backward equations.
// Blocks are stretches of instruction indices; what no path reaches has no block that counts.
import type { Instruction, WasmFunction } from "./wasm.js";

export interface BasicBlock {
  /** Instructions from `start` up to, not including, `end`. */
  start: number;
  end: number;
  readonly next: BasicBlock[];
  reachable: boolean;
  /** Locals live at the beginning and at the end. */
  readonly liveIn: Set<number>;
  readonly liveOut: Set<number>;
}

export const isRead = (name: string) => name === "local.get";
export const isWrite = (name: string) => name === "local.set" || name === "local.tee";

interface Open {
  readonly kind: string;
  /** Where a branch to this label goes. */
  readonly target: BasicBlock;
  readonly otherwise: BasicBlock | undefined;
}

class FlowReader {
  readonly blocks: BasicBlock[] = [];
  readonly #open: Open[] = [];
  #current: BasicBlock;

  constructor(readonly f: WasmFunction) {
    this.#current = this.#begin(this.#make(), 0);
  }

  #make(): BasicBlock {
    return { start: 0, end: 0, next: [], reachable: false, liveIn: new Set(), liveOut: new Set() };
  }

  #begin(block: BasicBlock, at: number): BasicBlock {
    block.start = at;
    block.end = at;
    this.blocks.push(block);
    return block;
  }

  /** Ends the current block behind instruction `at` and goes on in another. */
  #switch(block: BasicBlock, at: number): void {
    this.#current.end = at;
    this.#current = this.#begin(block, at);
  }

  #target(depth: number): BasicBlock {
    return this.#open.at(-1 - depth)!.target;
  }

  read(): BasicBlock[] {
    const exit = this.#make();
    this.#open.push({ kind: "function", target: exit, otherwise: undefined });
    this.f.body.forEach((instruction, at) => {
      this.#step(instruction, at);
    });
    return this.blocks;
  }

  #step({ opcode: { name }, index, labels }: Instruction, at: number): void {
    const here = this.#current;
    switch (name) {
      case "block":
        this.#open.push({ kind: name, target: this.#make(), otherwise: undefined });
        break;
      case "loop": {
        const header = this.#make();
        here.next.push(header);
        this.#switch(header, at + 1);
        this.#open.push({ kind: name, target: header, otherwise: undefined });
        break;
      }
      case "if": {
        const [then, otherwise] = [this.#make(), this.#make()];
        here.next.push(then, otherwise);
        this.#switch(then, at + 1);
        this.#open.push({ kind: name, target: this.#make(), otherwise });
        break;
      }
      case "else": {
        const { kind, target, otherwise } = this.#open.pop()!;
        here.next.push(target);
        this.#switch(otherwise!, at + 1);
        this.#open.push({ kind, target, otherwise: undefined });
        break;
      }
      case "end":
        this.#end(at);
        break;
      case "br_if": {
        const rest = this.#make();
        here.next.push(this.#target(index), rest);
        this.#switch(rest, at + 1);
        break;
      }
      case "br":
        here.next.push(this.#target(index));
        this.#switch(this.#make(), at + 1);
        break;
      case "br_table":
        for (const depth of labels) here.next.push(this.#target(depth));
        this.#switch(this.#make(), at + 1);
        break;
      case "return":
      case "unreachable":
        this.#switch(this.#make(), at + 1);
        break;
      default:
    }
  }

  #end(at: number): void {
    const { kind, target, otherwise } = this.#open.pop()!;
    if (kind === "loop") return;
    this.#current.next.push(target);
    if (otherwise !== undefined) {
      this.#switch(otherwise, at);
      otherwise.next.push(target);
    }
    this.#switch(target, at + 1);
  }
}

function markReachable(entry: BasicBlock): void {
  const waiting = [entry];
  for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
    if (block.reachable) continue;
    block.reachable = true;
    waiting.push(...block.next);
  }
}

/** Live at the beginning: read before written, or live at the end and not written. */
function transfer(f: WasmFunction, block: BasicBlock): boolean {
  const live = new Set(block.liveOut);
  for (let at = block.end - 1; at >= block.start; at--) {
    const { opcode, index } = f.body[at]!;
    if (isWrite(opcode.name)) live.delete(index);
    else if (isRead(opcode.name)) live.add(index);
  }
  if (live.size === block.liveIn.size) return false; // it only grows
  for (const local of live) block.liveIn.add(local);
  return true;
}

/** Basic blocks in the order of their instructions, with liveness; the first is the entry. */
export function readFlow(f: WasmFunction): BasicBlock[] {
  const blocks = new FlowReader(f).read();
  markReachable(blocks[0]!);
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = blocks.length - 1; n >= 0; n--) {
      const block = blocks[n]!;
      if (!block.reachable) continue;
      for (const next of block.next) for (const local of next.liveIn) block.liveOut.add(local);
      if (transfer(f, block)) changed = true;
    }
  }
  return blocks;
}
