// The bootstrap processor of a live machine, on the board's own thread, between the events of its loop: a frame that
// comes while the core sleeps is handled where it came in, and what the core answers goes out by a call, where threads would
// have to wake one another twice. While the core runs, the loop gets its turn after every slice.
//
// Whoever waits for the board's thread meanwhile is not kept waiting: a core that asks for something breaks off the slice
// (`boardBusy`), and while this core waits for the bus lock the requests of others are served (`meanwhile`), since one of
// them may stand in the way of the lock.
// Invariant: while the core sleeps, it is looked at after whatever may wake it: its own board, its alarm, and, by its
// mailbox, the other cores.

import type { AlarmClock } from "./alarm.js";
import { attention, SharedMailbox, word } from "./board/mailbox.js";
import type { BoardService } from "./channel.js";
import { LiveCore, type LiveCoreData } from "./live-core.js";
import type { Tracer } from "./trace.js";

export interface BoardCoreOptions {
  readonly board: BoardService;
  readonly tracer: Tracer | null;
  readonly alarm: AlarmClock;
  /** One word: 1 while this core runs. Others that want the board raise `attention.stop` then. */
  readonly boardBusy: Int32Array;
  /** Does what the other cores ask of the board. */
  readonly serveOthers: () => void;
  /** After every slice in which the core reached the board. */
  readonly boardUsed: () => void;
  /** The core can not go on. */
  readonly ended: (why: string) => void;
}

export class BoardCore {
  readonly #o: BoardCoreOptions;
  readonly #core: LiveCore;
  readonly #alone: boolean;
  #scheduled = false;
  /** A promise stands on the mailbox. */
  #watching = false;
  #over = false;
  #used = false;

  constructor(data: LiveCoreData, o: BoardCoreOptions) {
    this.#o = o;
    this.#alone = data.cores === 1;
    this.#core = new LiveCore(data, this.#noting(o.board), o.tracer, () => o.serveOthers());
  }

  /** The board, after what other cores have asked of it before; and a note that it was used. */
  #noting(board: BoardService): BoardService {
    const use = <T>(access: () => T): T => {
      this.#used = true;
      this.#o.serveOthers();
      return access();
    };
    return {
      portRead: (port, size) => use(() => board.portRead(port, size)),
      portWrite: (port, size, value) => use(() => board.portWrite(port, size, value)),
      read: (physical, size) => use(() => board.read(physical, size)),
      write: (physical, size, value) => use(() => board.write(physical, size, value)),
      interruptAcknowledge: () => use(() => board.interruptAcknowledge()),
      endOfInterrupt: (vector) => use(() => board.endOfInterrupt(vector)),
    };
  }

  /** The board did something that may concern the core. */
  wake(): void {
    if (!this.#scheduled && Atomics.load(this.#core.words, word.attention) !== 0) this.look();
  }

  /** The core is looked at when the present event has been dealt with: of several frames that came at once it sees all. */
  look(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    queueMicrotask(this.#slice);
  }

  end(): void {
    this.#over = true;
    new SharedMailbox(this.#core.words).attend(attention.stop); // when it is the core that ends the machine
  }

  readonly #slice = (): void => {
    if (this.#over) return;
    // Until here the slice counts as scheduled: what it does to the board itself asks for no look.
    const runs = this.#run();
    if (this.#over) return;
    if (runs || Atomics.load(this.#core.words, word.attention) !== 0) setImmediate(this.#slice);
    else this.#sleep();
  };

  #run(): boolean {
    const { boardBusy } = this.#o;
    this.#used = false;
    let runs = false;
    Atomics.store(boardBusy, 0, 1);
    try {
      runs = this.#core.run();
    } catch (error) {
      this.#o.ended((error as Error).stack ?? String(error));
    }
    Atomics.store(boardBusy, 0, 0);
    this.#o.serveOthers();
    if (this.#used) this.#o.boardUsed();
    const { shutdown } = this.#core;
    if (shutdown !== null) this.#o.ended(shutdown);
    return runs;
  }

  #sleep(): void {
    this.#scheduled = false;
    this.#o.alarm.set(this.#core.deadline);
    if (this.#alone || this.#watching) return;
    const watch = Atomics.waitAsync(this.#core.words, word.attention, 0);
    if (watch.async) {
      this.#watching = true;
      void watch.value.then(() => {
        this.#watching = false;
        this.look();
      });
    } else {
      this.#scheduled = true;
      setImmediate(this.#slice);
    }
  }
}
