// The compiled engine of every machine of a small cluster (kernel/coherence/engine.ts), side by side in one wasm memory:
// where its records lie, its functions, what it wants done. What happens around it is coherence.ts's.
import type { Words } from "./fingerprint.js";
import type { Call, KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";

/** Room for ranges of a machine's object. */
const RANGES = 16;
export const LAST = 2n ** 40n - 1n;

const functions = {
  ask: "engineAsk",
  operate: "engineOperate",
  message: "engineMessage",
  gone: "engineGone",
  peerDied: "enginePeerDied",
  forgetPeer: "forgetPeer",
  dead: "engineDead",
  alive: "engineAlive",
  isHere: "pageIsHere",
  mayHaveWritten: "mayHaveWritten",
  keep: "directoryKeep",
  stands: "directoryStands",
  putState: "rangesPutState",
  recalling: "rangeSetRecalling",
  state: "pageState",
  directory: "pageDirectory",
  freeze: "engineFreeze",
  reported: "engineReported",
  given: "engineGiven",
  adopt: "engineAdopt",
  thaw: "engineThaw",
  unanswered: "engineUnanswered",
  open: "pageOpen",
  awaits: "engineAwaits",
  isSole: "pageIsSole",
  mayMerge: "pageMayMerge",
  merge: "pageMerge",
  mayDrop: "pageMayDrop",
  mayFetch: "pageMayFetch",
  dropBegins: "dropBegins",
  drop: "pageDrop",
  restore: "pageRestore",
  serial: "pageSerial",
  forsaken: "pageForsaken",
  dirty: "pageDirty",
  records: "rangeSetRecords",
  owner: "pageOwner",
  sharers: "pageSharers",
  strangerAnswers: "strangerAnswers",
  strangerSays: "strangerSays",
  strangerTells: "strangerTells",
  failsForNobody: "failsForNobody",
  setView: "engineSetView",
  setGuesses: "engineSetGuesses",
  setFlushes: "engineSetFlushes",
  reverted: "pageReverted",
  ranged: "pageRanged",
  setRanged: "pageSetRanged",
  setLost: "pageSetLost",
  setWaited: "pageSetWaited",
  lossFreezes: "lossFreezes",
  isUntold: "pageIsUntold",
  lossRefuses: "lossRefuses",
  lossTold: "lossTold",
  reverts: "pageReverts",
  lose: "rangesLose",
  lost: "rangesLost",
  rangeIsLost: "rangeIsLost",
  rangeState: "rangeState",
  holders: "rangesHolders",
  holdersFrom: "holdersFrom",
  recallBegins: "recallBegins",
  claimBegins: "claimBegins",
  ownDrop: "ownDrop",
  holderKeeps: "holderKeeps",
  holderGives: "holderGives",
  holderDied: "holderDied",
  rangesMoved: "rangesMoved",
  rangesForsaken: "rangesForsaken",
  holdsAll: "holdsAll",
  mayGiveUp: "mayGiveUp",
  holdingsGiven: "holdingsGiven",
  holdingsNamed: "holdingsNamed",
  breaks: "pageBreak",
  keptAdopt: "keptAdopt",
  keptFreeze: "keptFreeze",
  keptHandIn: "keptHandIn",
  keptRebuilds: "keptRebuilds",
  keptRebuilts: "keptRebuilts",
  keptReport: "keptReport",
  keptThaws: "keptThaws",
  keptWants: "keptWants",
  mayStow: "mayStow",
  objectKeptFlags: "objectKeptFlags",
  objectKeptOf: "objectKeptOf",
  objectKeptStands: "objectKeptStands",
  pageStands: "pageStands",
  reportIsRoomless: "reportIsRoomless",
  reportsClear: "reportsClear",
  reportsGive: "reportsGive",
  reportsPut: "reportsPut",
  isBroken: "pageIsBroken",
  pageFramed: "pageFramed",
  pageIsRoomless: "pageIsRoomless",
  mayGive: "mayGive",
  pageChosen: "pageChosen",
  pageChosenFlags: "pageChosenFlags",
  pageGives: "pageGives",
  pageHandedIn: "pageHandedIn",
  pageRebuildBegins: "pageRebuildBegins",
  pageRebuilds: "pageRebuilds",
  pageReports: "pageReports",
  pageTells: "pageTells",
  moveBegins: "moveBegins",
  moveDied: "moveDied",
  moveFreezesPage: "moveFreezesPage",
  moveGives: "moveGives",
  moveHears: "moveHears",
  moveIsFlushed: "moveIsFlushed",
  moveLoses: "moveLoses",
  movePut: "movePut",
  moveRebuilds: "moveRebuilds",
  moveSays: "moveSays",
  moveThaws: "moveThaws",
  moveWord: "moveWord",
  objectHere: "objectHere",
  objectPage: "objectPage",
  objectKept: "objectKept",
  objectKeptSerial: "objectKeptSerial",
  objectRenumbered: "objectRenumbered",
  pageMade: "pageMade",
  keptRangeEnd: "keptRangeEnd",
  frameTake: "frameTake",
  keptRelief: "keptRelief",
  reliefOffers: "reliefOffers",
  rangeShedOf: "rangeShedOf",
  rangeLeaves: "rangeLeaves",
  mayTakeFrom: "mayTakeFrom",
  pageStays: "pageStays",
  holder: "rangeHolder",
  rangeOwner: "rangeOwner",
  transaction: "pageTransaction",
  carve: "rangesCarve",
  isFrozen: "pageIsFrozen",
  bereft: "engineBereft",
  asked: "engineAsked",
  offeredTo: "engineOfferedTo",
  offeredFor: "engineOfferedFor",
  claimed: "engineClaimed",
  hasOffered: "engineHasOffered",
  offerGiven: "engineOfferGiven",
  best: "engineBest",
  fetches: "engineFetches",
  fetched: "engineFetched",
  bestOf: "pageBest",
  engineRestored: "engineRestored",
  target: "pageTarget",
  mirror: "pageMirror",
  copies: "pageCopies",
  mirrorArrived: "mirrorArrived",
  mirrorClosed: "mirrorClosed",
  mirrorCut: "mirrorCut",
  mirrorDied: "mirrorDied",
  mirrorEnded: "mirrorEnded",
  mirrorForget: "mirrorForget",
  mirrorLacks: "mirrorLacks",
  mirrorFresh: "mirrorFresh",
  mirrorNext: "mirrorNext",
  mirrorSent: "mirrorSent",
  mirrorSet: "mirrorSet",
  mirrorTaken: "mirrorTaken",
  mirrorThawed: "mirrorThawed",
  mirrorWritten: "mirrorWritten",
  shelf: "pageShelf",
  shelfBest: "shelfBest",
  shelfCame: "shelfCame",
  shelfIsOwn: "shelfIsOwn",
  shelfTake: "shelfTake",
} as const;

/** What an engine wants done, in order. */
export interface Wanted {
  kind: number;
  to: number;
  flags: number;
  /** A PageMessage. */
  message: Uint8Array;
}

export interface Shape {
  machines: number;
  pages: number;
  /** Pages begin without records, as parts of their object's ranges. */
  ranges: boolean;
  /** They are granted one by one all the same. */
  narrow?: boolean;
  /** What decides how a machine goes on has serial numbers and mirrors in it. */
  mirrored?: boolean;
  /** Readers guess who owns a page, and ask him as well. */
  guesses?: boolean;
}

/** What is left of a record that has merged; `former`: that a former life of the machine had (remains.ts). */
export interface Kept {
  serial: bigint;
  flags: number;
  former?: boolean;
  /** While its object is frozen: what no range says then. */
  stands?: number;
}

/** Of a page: it has a record, or what is left of one; and a frame. */
export interface PageKept {
  exists: boolean;
  framed: boolean;
  kept?: Kept | undefined;
}

export interface ObjectKnown {
  home: number;
  moving: number;
  renumbered: number;
  frozen: number;
}

export class Engines {
  readonly do: Record<keyof typeof functions, Call>;
  /** Constants of the kernel. */
  readonly c: Record<string, number>;
  readonly #kernel: KernelWasm;
  readonly #shape: Shape;
  readonly #region: number;
  readonly #bytes: number;
  readonly #message: number;
  readonly #actions: number;
  readonly #local: number;
  readonly #stride: number;
  readonly #engineBytes: number;
  readonly #setBytes: number;
  readonly #first: number;
  readonly #pageBytes: number;
  readonly #recordBytes: number;
  readonly #protocolBytes: number;
  readonly #serialAt: number;
  readonly #rangeCount: Call;
  readonly #words: Uint32Array;

  constructor(kernel: KernelWasm, shape: Shape) {
    this.#kernel = kernel;
    this.#shape = shape;
    this.c = Object.fromEntries(kernel.constants());
    this.do = Object.fromEntries(
      Object.entries(functions).map(([name, exported]) => [name, kernel.call(exported)]),
    ) as Record<keyof typeof functions, Call>;
    const round = (bytes: number) => (bytes + 15) & ~15;
    this.#words = new Uint32Array(kernel.memory.buffer);
    this.#protocolBytes = kernel.call(shape.mirrored ? "pageEngineBytes" : "pageProtocolBytes")();
    this.#serialAt = kernel.call("pageProtocolBytes")();
    this.#rangeCount = kernel.call("rangeSetCount");
    this.#engineBytes = round(kernel.call("engineRecordBytes")());
    this.#setBytes = round(kernel.call("rangeSetBytes")());
    this.#pageBytes = round(kernel.call("pageRecordBytes")());
    this.#recordBytes = this.#pageBytes + round(shape.machines * this.c["PEER_BYTES"]!);
    this.#first = this.#engineBytes + 2 * (this.#setBytes + RANGES * this.c["RANGE_BYTES"]!);
    this.#stride = this.#first + shape.pages * this.#recordBytes;
    this.#bytes = shape.machines * this.#stride;
    this.#region = kernel.room(this.#bytes);
    this.#actions = kernel.room(this.c["ACTIONS_MAX"]! * this.c["ACTION_BYTES"]!);
    this.#local = kernel.room(this.c["LOCAL_BYTES"]! + 64);
    this.#message = kernel.room(this.c["PAGE_MESSAGE_BYTES"]!);
  }

  engine(machine: number): number {
    return this.#region + (machine - 1) * this.#stride;
  }
  set(machine: number): number {
    return this.engine(machine) + this.#engineBytes;
  }
  /** What was handed in to it of pages without records. */
  reports(machine: number): number {
    return this.set(machine) + this.#setBytes + RANGES * this.c["RANGE_BYTES"]!;
  }
  page(machine: number, page: number): number {
    return this.engine(machine) + this.#first + page * this.#recordBytes;
  }

  /** A machine with nothing in memory. `life`: it numbers its transactions differently in each. */
  createMachine(machine: number, life: number): void {
    const { machines } = this.#shape;
    const at = this.engine(machine);
    this.#kernel.bytes.fill(0, at, at + this.#stride);
    this.#kernel.call("engineCreate")(at, machine, machines, this.#actions, this.#local, 1000 * life);
    this.do.setGuesses(at, this.#shape.guesses ? 1 : 0);
    this.createSet(machine);
  }

  /** Of an object of which nothing is known. */
  createSet(machine: number): void {
    this.#kernel.call("rangesCreate")(this.set(machine), this.set(machine) + this.#setBytes, RANGES);
    this.#kernel.call("rangeSetLimit")(this.set(machine), BigInt(this.#shape.pages));
    if (this.#shape.narrow) this.#kernel.call("rangeSetNarrow")(this.set(machine));
    const reports = this.reports(machine);
    this.#kernel.call("rangesCreate")(reports, reports + this.#setBytes, RANGES);
    this.do.reportsClear(reports);
  }

  createPage(machine: number, page: number, home: number): void {
    const at = this.page(machine, page);
    const { ranges } = this.#shape;
    this.#kernel.bytes.fill(0, at, at + this.#recordBytes);
    this.#kernel.call("pageSetIndex")(at, BigInt(page));
    this.#kernel.call("pageCreate")(at, home, at + this.#pageBytes, ranges ? this.set(machine) : 0);
  }

  /** What the machine knows of an object, as the kernel has it until the next call; of no pages of it. */
  #object(machine: number, { home, moving, frozen, renumbered }: ObjectKnown): number {
    const set = this.#shape.ranges ? this.set(machine) : 0;
    const reports = frozen === 0 ? 0 : this.reports(machine);
    return this.do.objectHere(set, reports, home, moving, frozen, renumbered);
  }

  /** The same, of its only object, with pages. */
  object(machine: number, object: ObjectKnown, pages: readonly PageKept[]): number {
    const at = this.#object(machine, object);
    // As if the last page had come first.
    for (let page = pages.length - 1; page >= 0; page--) {
      const { exists, kept } = pages[page]!;
      if (exists) this.do.objectPage(this.page(machine, page));
      else if (kept) this.#kept(page, pages[page]!);
    }
    return at;
  }

  #kept(page: number, { kept, framed }: PageKept): void {
    const { serial, flags, former = false, stands = 0 } = kept!;
    this.do.objectKept(page, serial, flags, framed || former ? 1 : 0, former ? 1 : 0, stands);
  }

  /** The page gets a record; true: it has a frame of before. */
  makePage(machine: number, page: number, object: ObjectKnown, here: PageKept): boolean {
    const at = this.page(machine, page);
    this.#kernel.bytes.fill(0, at, at + this.#recordBytes);
    this.#object(machine, object);
    if (here.kept) this.#kept(page, here);
    return this.do.pageMade(this.engine(machine), at, page, at + this.#pageBytes) !== 0;
  }

  /** pageSerial(), without a bigint. */
  serialWords(machine: number, page: number): [changes: number, era: number] {
    const at = (this.page(machine, page) + this.#serialAt) >> 2;
    return [this.#words[at]!, this.#words[at + 1]!];
  }

  /** The page's message is about to leave; it may be changed. */
  refuses(machine: number, page: number, message: Uint8Array): void {
    const action = this.#actions;
    this.#kernel.bytes.set(message, action + 8);
    this.do.lossRefuses(this.page(machine, page), action);
    message.set(this.#kernel.bytes.subarray(action + 8, action + 8 + message.length));
  }

  /** The address of the message, for engineMessage(). */
  put(message: Uint32Array): number {
    this.#words.set(message, this.#message >> 2);
    return this.#message;
  }

  /** Lets the engine work, and gives what it wants done. */
  run(machine: number, work: () => void): Wanted[] {
    try {
      work();
    } catch (error) {
      const illegal = this.#kernel.call("engineIllegal")(this.engine(machine));
      throw new Violation(
        `machine ${machine}: ${error instanceof Error ? error.message : error} (state ${illegal >> 8}, event ${illegal & 255})`,
      );
    }
    const size = this.c["ACTION_BYTES"]!;
    return Array.from({ length: this.#kernel.call("engineActionCount")(this.engine(machine)) }, (_, i) => {
      const action = this.#kernel.bytes.slice(this.#actions + i * size, this.#actions + (i + 1) * size);
      const message = action.slice(8, 8 + this.c["PAGE_MESSAGE_BYTES"]!);
      return { kind: action[0]!, to: action[1]!, flags: action[2]!, message };
    });
  }

  save(): Uint8Array {
    return this.#kernel.bytes.slice(this.#region, this.#region + this.#bytes);
  }
  load(saved: Uint8Array): void {
    this.#kernel.bytes.set(saved, this.#region);
  }

  /** What decides how the machine goes on; `pages`: those that have records. */
  digest(words: Words, machine: number, pages: readonly number[]): void {
    const part = (at: number, bytes: number) => words.copy(this.#words, at >> 2, bytes >> 2);
    part(this.engine(machine) + 16, 4); // lastTransaction
    if (this.#shape.mirrored)
      for (const kind of [1, 2]) words.put(this.do.mirrorNext(this.engine(machine), 0, kind));
    // Behind the set's last range lies what was there before.
    const count = this.#rangeCount(this.set(machine));
    words.put(count);
    part(this.set(machine) + this.#setBytes, count * this.c["RANGE_BYTES"]!);
    const reports = this.reports(machine);
    const reported = this.#rangeCount(reports);
    if (reported > 1) part(reports + this.#setBytes, reported * this.c["RANGE_BYTES"]!);
    for (const page of pages) {
      const at = this.page(machine, page);
      part(at, this.#protocolBytes);
      words.put(this.do.open(at));
      // Serial numbers name bytes, which are told apart by their values.
      const peerBytes = this.c[this.#shape.mirrored ? "PEER_BYTES" : "PEER_SERIALS"]!;
      for (let m = 0; m < this.#shape.machines; m++)
        part(at + this.#pageBytes + m * this.c["PEER_BYTES"]!, peerBytes);
    }
  }
}
