// The interrupt message bus between the I/O APIC, message-signalled interrupts and the local APICs: Intel
// SDM vol. 3A, "Determining IPI Destination". It works on the shared mailboxes alone, so every thread has
// its own instance and all of them see the same cores.
// Invariant: a fixed interrupt is accepted only by an APIC that its software has enabled; NMI, INIT and
// SIPI need only the hardware to be enabled.

import {
  BROADCAST,
  delivery,
  describeMessage,
  destination8,
  esr,
  type InterruptBus,
  type InterruptMessage,
} from "../devices/apic-message.js";
import type { Trace } from "../devices/device.js";
import { extended, hardwareEnabled, SharedMailbox, softwareEnabled, word } from "./mailbox.js";

const FLAT_MODEL = 0xf;

export class Interrupts implements InterruptBus {
  readonly #mailboxes: SharedMailbox[];
  readonly #trace: Trace;

  constructor(mailboxes: readonly Int32Array[], trace: Trace) {
    this.#mailboxes = mailboxes.map((words) => new SharedMailbox(words));
    this.#trace = trace;
  }

  /** RESET of every mailbox; the board's business, before any core runs. */
  reset(): void {
    for (const [core, mailbox] of this.#mailboxes.entries()) mailbox.reset(core);
  }

  deliver(message: InterruptMessage): void {
    if (message.mode === delivery.lowestPriority) {
      const core = this.#lowestPriority(message);
      if (core !== undefined) this.#post(core, message);
      else this.#nobody(message);
      return;
    }
    let reached = false;
    for (const [core, mailbox] of this.#mailboxes.entries()) {
      if (core === message.except || !addressed(mailbox.words, message)) continue;
      reached = true;
      this.#post(mailbox, message);
    }
    if (!reached) this.#nobody(message);
  }

  /**
   * A message-signalled interrupt: a bus master's store to 0xFEEx_xxxx (SDM, "Message Address Register Format"). With the
   * redirection hint it goes to one of those that it names, the one with the lowest priority.
   */
  message(address: number, data: number): void {
    const [hint, logical] = [(address & 8) !== 0, (address & 4) !== 0];
    const mode = (data >>> 8) & 7;
    this.deliver({
      destination: destination8((address >>> 12) & 0xff),
      logical,
      mode: mode === delivery.fixed && hint && logical ? delivery.lowestPriority : mode,
      vector: data & 0xff,
      level: (data & 0x8000) !== 0,
    });
  }

  /** The INIT# pin of every processor. */
  initialiseAll(): void {
    for (const mailbox of this.#mailboxes) mailbox.postInit();
  }

  /** Level of a local interrupt pin, wired to every processor. */
  setPin(pin: 0 | 1, level: boolean): void {
    for (const mailbox of this.#mailboxes) mailbox.setPin(pin, level);
  }

  /** Of the addressed cores the one with the lowest task priority; the lower APIC wins a tie. */
  #lowestPriority(message: InterruptMessage): SharedMailbox | undefined {
    let best: SharedMailbox | undefined;
    let bestPriority = 256;
    for (const [core, mailbox] of this.#mailboxes.entries()) {
      if (core === message.except || !addressed(mailbox.words, message)) continue;
      if ((Atomics.load(mailbox.words, word.state) & softwareEnabled) === 0) continue;
      const priority = Atomics.load(mailbox.words, word.taskPriority);
      if (priority >= bestPriority) continue;
      best = mailbox;
      bestPriority = priority;
    }
    return best;
  }

  #post(mailbox: SharedMailbox, message: InterruptMessage): void {
    switch (message.mode) {
      case delivery.fixed:
      case delivery.lowestPriority:
        if ((Atomics.load(mailbox.words, word.state) & softwareEnabled) === 0) return;
        if (message.vector < 16) mailbox.postError(esr.receiveIllegalVector);
        else mailbox.post(message.vector, message.level);
        return;
      case delivery.nmi:
        mailbox.postNmi();
        return;
      case delivery.init:
        mailbox.postInit();
        return;
      case delivery.startup:
        mailbox.postStartup(message.vector);
        return;
      case delivery.external:
        mailbox.postExternal();
        return;
      default:
        this.#trace("interrupts", `${describeMessage(message)}: this delivery mode is not implemented`);
    }
  }

  #nobody(message: InterruptMessage): void {
    this.#trace("interrupts", `${describeMessage(message)}: no core accepts it`);
  }
}

/** Whether the local APIC behind these words takes a message for this destination. */
function addressed(words: Int32Array, { destination, logical }: InterruptMessage): boolean {
  const state = Atomics.load(words, word.state);
  if ((state & hardwareEnabled) === 0) return false;
  if (destination === BROADCAST) return true;
  if (!logical) return Atomics.load(words, word.apicId) === destination;
  const own = Atomics.load(words, word.logicalDestination) >>> 0;
  // "Logical x2APIC ID": cluster in the upper half, one bit for each APIC of it in the lower.
  if ((state & extended) !== 0)
    return own >>> 16 === destination >>> 16 && (own & destination & 0xffff) !== 0;
  const address = own >>> 24;
  if (Atomics.load(words, word.destinationFormat) >>> 28 === FLAT_MODEL) return (address & destination) !== 0;
  const cluster = destination >> 4;
  return (cluster === address >> 4 || cluster === 15) && (address & destination & 15) !== 0;
}
