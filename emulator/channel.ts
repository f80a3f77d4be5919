// The way from a core's thread to the board's thread, in live mode: one channel a core, in shared memory. The core
// writes a request, rings the board (a message on its port) and sleeps until it is answered. Writes to device
// memory are posted: the core goes on, and waits only before its next request, as on a real bus.
// Requests have tickets, which all channels of a machine draw from one word, and the board does them in that order: a store
// to device memory is uncacheable, so whoever has seen what its core did afterwards finds it done (SDM vol. 3A, 12.3).
// Invariant: at most one request stands in a channel; only the core writes IDLE -> REQUEST, only the board back.

export const CHANNEL_WORDS = 16;

const STATE = 0;
const OPERATION = 1;
const ADDRESS = 2; // low 32 bits
const ADDRESS_HIGH = 3;
const SIZE = 4;
const VALUE = 5;
const TICKET = 7;
/** Set by the board when the cores are to end; not part of a request. */
const CONTROL = 6;

const IDLE = 0;
const REQUEST = 1;

export const operation = {
  portRead: 0,
  portWrite: 1,
  read: 2,
  write: 3,
  interruptAcknowledge: 4,
  endOfInterrupt: 5,
} as const;

export const control = { run: 0, end: 1 } as const;

/** What the board does for a core. */
export interface BoardService {
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  read(physical: number, size: number): number;
  write(physical: number, size: number, value: number): void;
  interruptAcknowledge(): number;
  endOfInterrupt(vector: number): void;
}

/** The core's end. Blocks its thread, so never to be used on the board's. */
export class CoreChannel implements BoardService {
  readonly #words: Int32Array;
  readonly #tickets: Int32Array;
  readonly #ring: () => void;

  /** `tickets`: one word for all channels of the machine. */
  constructor(words: Int32Array, tickets: Int32Array, ring: () => void) {
    this.#words = words;
    this.#tickets = tickets;
    this.#ring = ring;
  }

  /** True when the board wants the core's thread to end. */
  get ending(): boolean {
    return Atomics.load(this.#words, CONTROL) === control.end;
  }

  portRead(port: number, size: number): number {
    return this.#ask(operation.portRead, port, size, 0);
  }
  portWrite(port: number, size: number, value: number): void {
    this.#ask(operation.portWrite, port, size, value); // not posted: the write is done when OUT is
  }
  read(physical: number, size: number): number {
    return this.#ask(operation.read, physical, size, 0);
  }
  write(physical: number, size: number, value: number): void {
    this.#post(operation.write, physical, size, value);
  }
  interruptAcknowledge(): number {
    return this.#ask(operation.interruptAcknowledge, 0, 0, 0);
  }
  endOfInterrupt(vector: number): void {
    this.#post(operation.endOfInterrupt, vector, 0, 0);
  }

  #post(code: number, address: number, size: number, value: number): void {
    this.#wait();
    const words = this.#words;
    words[OPERATION] = code;
    words[ADDRESS] = address | 0;
    words[ADDRESS_HIGH] = Math.floor(address / 0x1_0000_0000);
    words[SIZE] = size;
    words[VALUE] = value | 0;
    words[TICKET] = Atomics.add(this.#tickets, 0, 1);
    Atomics.store(words, STATE, REQUEST);
    this.#ring();
  }

  #ask(code: number, address: number, size: number, value: number): number {
    this.#post(code, address, size, value);
    this.#wait();
    return this.#words[VALUE]! >>> 0;
  }

  #wait(): void {
    while (Atomics.load(this.#words, STATE) === REQUEST) {
      if (this.ending) return; // the board has gone: the answer no longer matters
      Atomics.wait(this.#words, STATE, REQUEST, 1000);
    }
  }
}

/** The board's end. */
export class BoardChannel {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** The ticket of the request that stands in the channel; undefined: there is none. */
  get ticket(): number | undefined {
    return Atomics.load(this.#words, STATE) === REQUEST ? this.#words[TICKET] : undefined;
  }

  /** Does the request. */
  serve(board: BoardService): void {
    const words = this.#words;
    const address = (words[ADDRESS]! >>> 0) + words[ADDRESS_HIGH]! * 0x1_0000_0000;
    const size = words[SIZE]!;
    const value = words[VALUE]! >>> 0;
    words[VALUE] = perform(board, words[OPERATION]!, address, size, value) | 0;
    Atomics.store(words, STATE, IDLE);
    Atomics.notify(words, STATE);
  }

  /** Tells the core's thread to end. */
  end(): void {
    Atomics.store(this.#words, CONTROL, control.end);
    Atomics.notify(this.#words, STATE);
  }
}

/** Does all requests that stand in a machine's channels, the oldest first; false: there is none. */
export function serveAll(channels: readonly BoardChannel[], board: BoardService): boolean {
  let served = false;
  for (let left = channels.length; left > 0; left--) {
    let next = oldest(channels);
    if (next === undefined) break;
    // What was asked before it can have come since its channel was looked at: it is there by now.
    for (let again = oldest(channels)!; again !== next; again = oldest(channels)!) next = again;
    next.serve(board);
    served = true;
  }
  return served;
}

function oldest(channels: readonly BoardChannel[]): BoardChannel | undefined {
  let found: BoardChannel | undefined;
  let least = 0;
  for (const channel of channels) {
    const { ticket } = channel;
    if (ticket === undefined || (found !== undefined && ((ticket - least) | 0) > 0)) continue; // they wrap
    found = channel;
    least = ticket;
  }
  return found;
}

function perform(board: BoardService, code: number, address: number, size: number, value: number): number {
  switch (code) {
    case operation.portRead:
      return board.portRead(address, size);
    case operation.portWrite:
      board.portWrite(address, size, value);
      return 0;
    case operation.read:
      return board.read(address, size);
    case operation.write:
      board.write(address, size, value);
      return 0;
    case operation.interruptAcknowledge:
      return board.interruptAcknowledge();
    case operation.endOfInterrupt:
      board.endOfInterrupt(address);
      return 0;
    default:
      throw new Error(`core channel: unknown operation ${code}`);
  }
}
