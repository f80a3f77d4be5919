// From RIP to a decoded block: finds the bytes through segmentation and paging, marks them as code (code-marks.ts),
// has them decoded (decode.ts) and puts them into the core's cache (blocks.ts). Intel SDM vol. 3A, 6.15 (#GP for
// instructions of more than 15 bytes and beyond the segment), 4.7 (page faults on fetches).
// Invariant: the page after an instruction's first is touched only when the instruction needs bytes of it.

import { type BlockDecoder, joined, startsWith } from "./block-decoder.js";
import { Blocks, type CodePlace, type SecondPage } from "./blocks.js";
import type { BusLock } from "./bus-lock.js";
import { CodeMarks } from "./code-marks.js";
import { MODE_KEY } from "./decode.js";
import {
  ACCESS_EXECUTE,
  BLOCK_HEADER_BYTES,
  BLOCK_PHYSICAL,
  BLOCK_SECOND_PAGE,
  CODE_GENERATIONS,
  CS,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  MODE,
  MODE_64,
  ON_BUS_BIT,
  OP_LENGTH,
  RIP,
  SEG_BASE,
  SEG_LIMIT,
  SEGMENT_BYTES,
  SEGMENTS,
  TLB_CODE_BANK,
  TLB_PHYSICAL,
  ZERO_WORD,
} from "./layout.js";
import { tlbEntryOffset } from "./lowering/tlb.js";
import { coreAddress, type EnginePlan } from "./memory-plan.js";

const PAGE = 4096;
const LENGTH_MAX = 15;
/** Enough that programs which share the registers do not take turns at forgetting; at least the four that are enabled. */
const GUEST_STOPS_MAX = 64;
const CS_AT = SEGMENTS + CS * SEGMENT_BYTES;
const UD = 6;
const GP = 13;
const ON_BUS = 1n << BigInt(ON_BUS_BIT);

export interface CodeReaderOptions {
  readonly memory: WebAssembly.Memory;
  readonly plan: EnginePlan;
  readonly bus: BusLock;
  /** The microcode's. */
  translate(core: number, linear: bigint, access: bigint): bigint;
  /** The wasm address of a physical address in RAM or ROM, else 0; the microcode's. */
  hostOf(physical: bigint): bigint;
  readonly decoder: BlockDecoder;
  /** After a block was decoded: its handlers have to be in the table before it runs. */
  handlersNeeded(): void;
  /** A core has forgotten its blocks. */
  forgotten(core: number): void;
  fetchedFromDevice(core: number, linear: bigint): void;
}

/** A page that holds code. */
interface CodePage {
  readonly bytes: Uint8Array;
  readonly number: number;
  readonly generationAt: number;
  readonly generation: number;
}

/** Leaves an exception pending. `c` is the core's address. */
export function raise(words: Int32Array, c: number, vector: number, error?: number): void {
  words[(c + FAULT_VECTOR) >>> 2] = vector;
  words[(c + FAULT_ERROR) >>> 2] = error ?? 0;
  words[(c + FAULT_HAS_ERROR) >>> 2] = error === undefined ? 0 : 1;
}

export class CodeReader {
  readonly #o: CodeReaderOptions;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #marks: CodeMarks;
  readonly #blocks: (Blocks | undefined)[] = [];
  /** Offsets within a page at which a block must not run through, nor be entered unseen: see stopAt(). */
  #stops: ReadonlySet<number> = new Set();
  #debuggerStops: ReadonlySet<number> = new Set();
  readonly #guestStops = new Set<number>();

  constructor(options: CodeReaderOptions) {
    const { buffer } = options.memory;
    this.#o = options;
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#marks = new CodeMarks(buffer, options.bus, options.plan.cores);
  }
  #get(address: number): number {
    return this.#words[address >>> 2];
  }
  #faulted(c: number): boolean {
    return this.#get(c + FAULT_VECTOR) >= 0;
  }

  #blocksOf(core: number): Blocks {
    let blocks = this.#blocks[core];
    if (blocks === undefined) {
      const { memory, plan } = this.#o;
      const at = plan.cacheBase + core * plan.cacheBytes;
      blocks = new Blocks(memory.buffer, at, plan.cacheBytes, () => this.#o.forgotten(core));
      this.#blocks[core] = blocks;
    }
    return blocks;
  }
  /** Everything that a core has decoded, by an engine before this one too: their cache is the same memory. */
  forget(core: number): void {
    this.#blocksOf(core).flush();
  }

  /** The core's TLB comes from elsewhere: stores to pages that hold code are looked at again. */
  slowStores(core: number): void {
    this.#marks.slowStores(coreAddress(core));
  }

  /** Stores to the page of RAM at this wasm address take the slow way from now on, for who waits for one (monitor.ts). */
  watchPage(core: number, host: number): void {
    const page = Math.floor((host - this.#o.plan.ramBase) / PAGE);
    this.#marks.mark(core, CODE_GENERATIONS + page * 4, page);
  }

  /**
   * From now on an instruction at one of these page offsets is a block of its own which generated code never finds:
   * the run loop gets to see it before it runs. Offsets, since one page may have many addresses.
   */
  stopAt(offsets: ReadonlySet<number>): void {
    this.#debuggerStops = offsets;
    this.#setStops();
  }
  /** The same for a breakpoint of the guest's. It stays: to forget what is decoded costs more than a stop too many. */
  stopGuestAt(offset: number): void {
    if (this.#guestStops.has(offset)) return;
    if (this.#guestStops.size >= GUEST_STOPS_MAX)
      this.#guestStops.delete(this.#guestStops.values().next().value!);
    this.#guestStops.add(offset);
    this.#setStops();
  }
  #setStops(): void {
    this.#stops = new Set([...this.#debuggerStops, ...this.#guestStops]);
    for (const blocks of this.#blocks) blocks?.flush();
  }
  get stops(): boolean {
    return this.#stops.size > 0;
  }

  isStop(core: number): boolean {
    return this.#stops.has(Number(this.linearRip(core) & 0xfffn));
  }
  /** The linear address of a core's next instruction. */
  linearRip(core: number): bigint {
    const c = coreAddress(core);
    return this.#segmented(c, this.#view.getBigUint64(c + RIP, true)).linear;
  }

  /** The block at RIP, decoded unless it is there. undefined: an exception is pending. */
  decode(core: number): number | undefined {
    const c = coreAddress(core);
    const rip = this.#view.getBigUint64(c + RIP, true);
    const { linear, room } = this.#segmented(c, rip);
    if (room <= 0) {
      raise(this.#words, c, GP, 0);
      return undefined;
    }
    const page = this.#fetchPage(core, c, linear);
    if (page === undefined) return undefined;
    const offset = Number(linear & 0xfffn);
    const place: CodePlace = {
      rip,
      physical: (page.number * PAGE + offset) >>> 0,
      key: this.#get(c + MODE) & MODE_KEY,
      bytes: page.bytes.subarray(offset, Math.min(PAGE, offset + room)),
      generationAt: page.generationAt,
      generation: page.generation,
    };
    const known = this.#blocksOf(core).find(place);
    return known !== 0 ? known : this.#decodeAt(core, c, place, linear, room);
  }

  /** The bytes of a block's first instruction. */
  bytesOf(block: number): Uint8Array {
    const [op, physical] = [block + BLOCK_HEADER_BYTES, this.#get(block + BLOCK_PHYSICAL) >>> 0];
    const length = this.#bytes[op + OP_LENGTH];
    const inFirst = Math.min(length, PAGE - (physical % PAGE));
    const first = this.#stored(physical, inFirst);
    if (inFirst === length) return first;
    return joined(first, this.#stored(this.#get(block + BLOCK_SECOND_PAGE) * PAGE, length - inFirst));
  }
  #stored(physical: number, length: number): Uint8Array {
    const at = Number(this.#o.hostOf(BigInt(physical)));
    return this.#bytes.slice(at, at + length);
  }

  /** Where RIP points, and how many bytes from there on the code segment has. */
  #segmented(c: number, rip: bigint): { linear: bigint; room: number } {
    if ((this.#get(c + MODE) & MODE_64) !== 0) return { linear: rip, room: PAGE + LENGTH_MAX };
    const limit = this.#get(c + CS_AT + SEG_LIMIT) >>> 0;
    const base = this.#view.getBigUint64(c + CS_AT + SEG_BASE, true);
    return { linear: BigInt.asUintN(32, base + rip), room: limit - Number(rip) + 1 };
  }

  #decodeAt(core: number, c: number, place: CodePlace, linear: bigint, room: number): number | undefined {
    const offset = place.physical % PAGE;
    let second: SecondPage | undefined;
    const alone = this.#stops.has(offset);
    const until = alone ? 1 : this.#distanceToStop(offset);
    for (;;) {
      const decoded = this.#o.decoder.decode(c, place.bytes, place.key, second?.bytes, until);
      if (decoded === undefined) {
        if (second === undefined && room > PAGE - offset)
          second = this.#secondPage(core, c, place, linear, room);
        else raise(this.#words, c, GP, 0); // it runs over the end of the code segment
        if (this.#faulted(c)) return undefined;
        const known = second === undefined ? 0 : this.#blocksOf(core).find(place, second);
        if (known !== 0) return known;
        continue;
      }
      // Once its lines are marked no change of the code goes unnoticed; one that was faster is seen here.
      const inFirst = Math.min(decoded.length, PAGE - offset);
      const fresh = this.#marks.claim(core, place.generationAt, offset, inFirst);
      const more = second !== undefined && this.#marks.claim(core, second.generationAt, 0, LENGTH_MAX);
      const now = second === undefined ? place.bytes : joined(place.bytes, second.bytes);
      if ((fresh || more) && !startsWith(now, decoded.bytes, decoded.length)) continue;
      const block = this.#blocksOf(core).add(place, decoded, second, alone);
      this.#o.handlersNeeded();
      return block;
    }
  }

  /** Bytes from an offset to the next stop of its page. */
  #distanceToStop(offset: number): number {
    let distance = PAGE;
    for (const stop of this.#stops) if (stop > offset) distance = Math.min(distance, stop - offset);
    return distance;
  }

  /** The page into which the first instruction runs on. undefined: an exception is pending. */
  #secondPage(
    core: number,
    c: number,
    place: CodePlace,
    linear: bigint,
    room: number,
  ): SecondPage | undefined {
    const inPage = PAGE - (place.physical % PAGE);
    const after = (linear | 0xfffn) + 1n;
    const next = place.key & MODE_64 ? after : BigInt.asUintN(32, after);
    const page = this.#fetchPage(core, c, next);
    if (page === undefined) return undefined;
    const bytes = page.bytes.subarray(0, Math.min(LENGTH_MAX, room - inPage));
    return { bytes, page: page.number, generationAt: page.generationAt, generation: page.generation };
  }

  /** The page that holds code at a linear address, marked as such. undefined: an exception is pending. */
  #fetchPage(core: number, c: number, linear: bigint): CodePage | undefined {
    const host = this.#o.translate(c, linear, BigInt(ACCESS_EXECUTE));
    if (this.#faulted(c)) return undefined;
    if ((BigInt.asUintN(64, host) & ON_BUS) !== 0n) {
      this.#o.fetchedFromDevice(core, linear);
      raise(this.#words, c, UD);
      return undefined;
    }
    const { ramBase, ramBytes } = this.#o.plan;
    const at = Number(BigInt.asUintN(32, host)) - Number(linear & 0xfffn);
    const bytes = this.#bytes.subarray(at, at + PAGE);
    const number = this.#get(this.#get(c + TLB_CODE_BANK) + tlbEntryOffset(linear) + TLB_PHYSICAL);
    const inRam = at >= ramBase && at < ramBase + ramBytes;
    const generationAt = inRam ? CODE_GENERATIONS + ((at - ramBase) / PAGE) * 4 : ZERO_WORD;
    const generation = inRam ? this.#marks.mark(core, generationAt, number) : 0;
    return { bytes, number, generationAt, generation };
  }
}
