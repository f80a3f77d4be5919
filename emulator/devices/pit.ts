// The 8254 programmable interval timer, Intel data sheet, and port 0x61, through which a PC reaches channel
// 2's gate and output. Nothing counts: what a counter holds and how its output stands are functions of
// machine time and of the moment at which the counting element was loaded.
// Times inside are ticks of the 1.193182 MHz clock. A count written at tick t is loaded at t + 1.
// Invariant: OUT of channel 0 is `irq`; the alarm stands at the tick of its next change.

import { ticksAt, timeOfTick } from "../clock.js";
import { type Alarm, type Clock, Line, RegisterFile, type Trace } from "./device.js";

/** No tick: a count that began with its low half may seem to have been loaded before power-on, so -1 is one. */
const NEVER = Number.MIN_SAFE_INTEGER;
const CHANNELS = 3;

const resetChannel = () => ({
  mode: 0,
  /** M2-M0 as written, since the status gives them "exactly as written": modes 2 and 3 have two names each. */
  modeBits: 0,
  bcd: false,
  /** Bytes accessed: 1 low, 2 high, 3 low then high. */
  access: 3,
  gate: true,
  /** The count register as last written (0: not yet), and the count that the counting element was loaded with. */
  reload: 0,
  count: 0,
  /** Null count: what was written last has not been loaded. */
  fresh: true,
  /** Tick at which the counting element held `count`; NEVER before it is loaded. */
  loadedAt: NEVER as number,
  /** Ticks counted when the gate (or in mode 0 the first byte of a new count) stopped it; NEVER while it runs. */
  heldAt: NEVER as number,
  /** Tick at which `reload` is loaded, whatever the gate does until then: the next one, after a count or a trigger. */
  loadAt: NEVER as number,
  /** Modes 2 and 3: tick at which a new count is loaded if the counter runs on: the end of the period. */
  reloadAt: NEVER as number,
  /** Mode 4: the strobe is over, and the gate has moved `loadedAt` since. */
  strobed: false,
  lowWritten: NEVER as number,
  highRead: false,
  countLatch: NEVER as number,
  statusLatch: NEVER as number,
});
type Channel = ReturnType<typeof resetChannel>;

const reset = () => ({
  channels: Array.from({ length: CHANNELS }, resetChannel),
  /** Port 0x61, the bits that software writes. */
  speaker: 0,
  /** OUT 0 as last driven, and the tick of its next change, or NEVER. */
  out: false,
  nextChange: NEVER as number,
});
type State = ReturnType<typeof reset>;

export class Pit {
  readonly irq = new Line();
  readonly registers: RegisterFile;
  /** Port 0x61, "NMI status and control": the timer's part of it. */
  readonly speaker: RegisterFile;
  readonly #hertz: number;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  #state = reset();

  constructor(hertz: number, clock: Clock, alarm: Alarm, trace: Trace) {
    this.#hertz = hertz;
    this.#clock = clock;
    this.#alarm = alarm;
    const counter = (index: number) => ({
      read: () => this.#read(this.#state.channels[index]),
      write: (value: number) => this.#write(index, value),
    });
    this.registers = new RegisterFile(
      "pit",
      4,
      {
        COUNTER0: [0, 1, counter(0)],
        COUNTER1: [1, 1, counter(1)],
        COUNTER2: [2, 1, counter(2)],
        CONTROL: [3, 1, { write: (value) => this.#control(value) }],
      },
      trace,
      0xff,
    );
    const speaker = { read: () => this.#readSpeaker(), write: (value: number) => this.#writeSpeaker(value) };
    this.speaker = new RegisterFile("speaker", 1, { NMI_SC: [0, 1, speaker] }, trace, 0xff);
    this.reset();
  }

  // --- Registers ---

  #control(value: number): void {
    this.timerExpired();
    const select = value >> 6;
    if (select === 3) {
      this.#readBack(value);
      return;
    }
    const channel = this.#state.channels[select];
    const access = (value >> 4) & 3;
    if (access === 0) {
      this.#latchCount(channel);
      return;
    }
    const mode = (value >> 1) & 7;
    const { gate } = channel;
    this.#state.channels[select] = {
      ...resetChannel(),
      gate,
      access,
      mode: mode >= 6 ? mode - 4 : mode,
      modeBits: mode,
      bcd: (value & 1) !== 0,
    };
    if (select === 0) this.#drive(this.#tick());
  }

  #readBack(value: number): void {
    for (const [index, channel] of this.#state.channels.entries()) {
      if ((value & (2 << index)) === 0) continue;
      if ((value & 0x20) === 0) this.#latchCount(channel);
      if ((value & 0x10) === 0 && channel.statusLatch === NEVER) channel.statusLatch = this.#status(channel);
    }
  }

  #latchCount(channel: Channel): void {
    if (channel.countLatch === NEVER) channel.countLatch = this.#digits(channel);
  }

  #status(channel: Channel): number {
    const tick = this.#tick();
    settle(channel, tick);
    const out = output(channel, tick) ? 0x80 : 0;
    const nullCount = channel.fresh ? 0x40 : 0;
    return out | nullCount | (channel.access << 4) | (channel.modeBits << 1) | (channel.bcd ? 1 : 0);
  }

  #read(channel: Channel): number {
    if (channel.statusLatch !== NEVER) {
      const status = channel.statusLatch;
      channel.statusLatch = NEVER;
      return status;
    }
    const digits = channel.countLatch !== NEVER ? channel.countLatch : this.#digits(channel);
    const high = channel.access === 2 || (channel.access === 3 && channel.highRead);
    if (channel.access === 3) channel.highRead = !channel.highRead;
    if (!channel.highRead) channel.countLatch = NEVER; // its last byte is being read
    return high ? digits >> 8 : digits & 0xff;
  }

  /** The counting element as the bus shows it: binary or four decimal digits. */
  #digits(channel: Channel): number {
    const tick = this.#tick();
    settle(channel, tick);
    const count = counted(channel, tick);
    return channel.bcd ? toDecimal(count % 10_000) : count & 0xffff;
  }

  #write(index: number, value: number): void {
    this.timerExpired();
    const channel = this.#state.channels[index];
    if (channel.access === 3 && channel.lowWritten === NEVER) {
      const tick = this.#tick();
      settle(channel, tick);
      channel.lowWritten = value;
      // Mode 0: "Writing the first byte disables counting. OUT is set low immediately." (output says so too)
      if (channel.mode === 0) hold(channel, tick);
    } else {
      const digits = channel.access === 1 ? value : (value << 8) | Math.max(channel.lowWritten, 0);
      channel.lowWritten = NEVER;
      const count = channel.bcd ? fromDecimal(digits) : digits;
      load(channel, count === 0 ? full(channel) : count, this.#tick());
    }
    if (index === 0) this.#drive(this.#tick());
  }

  #readSpeaker(): number {
    const tick = this.#tick();
    const channel = this.#state.channels[2];
    settle(channel, tick);
    // A refresh request every 18 ticks of channel 1, as the PC's firmware programs it, toggles bit 4.
    const refresh = Math.floor(tick / 18) & 1;
    return this.#state.speaker | (refresh << 4) | (output(channel, tick) ? 0x20 : 0);
  }

  #writeSpeaker(value: number): void {
    this.#state.speaker = value & 0x0f;
    setGate(this.#state.channels[2], (value & 1) !== 0, this.#tick());
  }

  // --- Time ---

  #tick(): number {
    return ticksAt(this.#clock.now(), this.#hertz);
  }

  /** The alarm's callback: every change of OUT 0 up to now, or the last ones when many went by at once. */
  timerExpired(): void {
    const now = this.#tick();
    for (let step = 0; step < 4; step++) {
      const due = this.#state.nextChange;
      if (due === NEVER || due > now) return;
      this.#drive(due);
    }
    this.#drive(now);
  }

  /** The only place, with the alarm, where the line moves. */
  #drive(tick: number): void {
    const channel = this.#state.channels[0];
    settle(channel, tick);
    this.#state.out = output(channel, tick);
    this.#state.nextChange = nextChange(channel, tick);
    this.#setAlarm();
    this.irq.set(this.#state.out);
  }

  #setAlarm(): void {
    const { nextChange } = this.#state;
    this.#alarm.set(nextChange === NEVER ? Number.POSITIVE_INFINITY : timeOfTick(nextChange, this.#hertz));
  }

  // --- Life ---

  reset(): void {
    this.#state = reset();
    this.#state.channels[2].gate = false; // port 0x61 bit 0
    this.#drive(this.#tick());
  }

  snapshot(): State {
    return structuredClone(this.#state);
  }

  restore(state: object): void {
    this.#state = structuredClone(state) as State;
    this.irq.settle(this.#state.out);
    this.#setAlarm();
  }
}

// --- One channel, as a function of the tick ---

const full = (channel: Channel) => (channel.bcd ? 10_000 : 65_536);
const periodic = (channel: Channel) => channel.mode === 2 || channel.mode === 3;
/** A low gate stops the counter. */
const gated = ({ mode }: Channel) => mode !== 1 && mode !== 5;
const highHalf = (count: number) => Math.ceil(count / 2);

/** Ticks since the counting element held `count`; negative before it was loaded. */
function elapsed(channel: Channel, tick: number): number {
  if (channel.loadedAt === NEVER) return -1;
  return channel.heldAt !== NEVER ? channel.heldAt : tick - channel.loadedAt;
}

function hold(channel: Channel, tick: number): void {
  if (channel.loadedAt !== NEVER) channel.heldAt = elapsed(channel, tick);
}

/** A complete count was written: until it is loaded the counting element goes on with what it has. */
function load(channel: Channel, count: number, tick: number): void {
  settle(channel, tick);
  channel.reload = count;
  channel.fresh = true;
  const { mode } = channel;
  if (mode === 1 || mode === 5) return; // loaded by the trigger
  if (!periodic(channel) || channel.loadedAt === NEVER) channel.loadAt = tick + 1;
  else if (channel.gate && channel.loadAt === NEVER) channel.reloadAt = periodEnd(channel, tick);
}

/** Modes 2 and 3: the tick at which a new count takes over: the end of the period, or of the half period. */
function periodEnd(channel: Channel, tick: number): number {
  const { count } = channel;
  const phase = elapsed(channel, tick) % count;
  const half = highHalf(count);
  const left = channel.mode === 3 && phase < half ? half - phase : count - phase;
  return tick + left;
}

/** Loads the counting element if that is due. */
function settle(channel: Channel, tick: number): void {
  const { loadAt, reloadAt } = channel;
  const due = loadAt !== NEVER ? loadAt : reloadAt;
  if (due === NEVER || tick < due) return;
  const afterHighHalf =
    due === reloadAt && channel.mode === 3 && output(channel, due - 1) && channel.count > 1;
  const stopped = gated(channel) && (!channel.gate || (channel.mode === 0 && channel.lowWritten !== NEVER));
  channel.count = channel.reload;
  // In mode 3 the new count may begin with its low half.
  channel.loadedAt = afterHighHalf ? due - highHalf(channel.count) : due;
  channel.heldAt = stopped ? 0 : NEVER;
  channel.loadAt = NEVER;
  channel.reloadAt = NEVER;
  channel.fresh = false;
  channel.strobed = false;
}

function setGate(channel: Channel, gate: boolean, tick: number): void {
  if (gate === channel.gate) return;
  settle(channel, tick);
  channel.gate = gate;
  const { mode } = channel;
  if (!gate) {
    // The period has no end any more: a new count waits for the trigger.
    channel.reloadAt = NEVER;
    if (gated(channel)) hold(channel, tick);
  } else if (mode !== 0 && mode !== 4) {
    // The rising edge starts a new count; until its tick modes 2 and 3 stand where they were stopped.
    if (channel.reload !== 0) channel.loadAt = tick + 1;
  } else if (channel.heldAt !== NEVER && !(mode === 0 && channel.lowWritten !== NEVER)) {
    channel.strobed ||= channel.heldAt >= channel.count && tick > channel.loadedAt + channel.count;
    channel.loadedAt = tick - channel.heldAt;
    channel.heldAt = NEVER;
  }
}

function output(channel: Channel, tick: number): boolean {
  const { mode, count } = channel;
  const ticks = elapsed(channel, tick);
  if (mode === 0) return !channel.fresh && channel.lowWritten === NEVER && ticks >= count;
  if (ticks < 0 || (periodic(channel) && channel.heldAt !== NEVER)) return true;
  if (mode === 1) return ticks >= count;
  if (mode === 2) return ticks % count !== count - 1;
  if (mode === 3) return ticks % count < highHalf(count);
  // The strobe ends with its tick, also where the gate has stopped the counter at it.
  return channel.strobed || ticks !== count || tick !== channel.loadedAt + count;
}

/** What a read of the counting element gives. */
function counted(channel: Channel, tick: number): number {
  const { mode, count } = channel;
  const ticks = elapsed(channel, tick);
  if (ticks < 0) return channel.reload;
  if (mode === 2) return count - (ticks % count);
  if (mode === 3) {
    // Counts down by two in each half; an odd count is loaded less one.
    const phase = ticks % count;
    return (count & ~1) - 2 * (phase < highHalf(count) ? phase : phase - highHalf(count));
  }
  const size = full(channel);
  return (((count - ticks) % size) + size) % size;
}

/** The next tick after `tick` at which the output may change, or NEVER. */
function nextChange(channel: Channel, tick: number): number {
  const due = channel.loadAt !== NEVER ? channel.loadAt : channel.reloadAt;
  const turn = nextTurn(channel, tick);
  if (due === NEVER || turn === NEVER) return Math.max(due, turn);
  return Math.min(due, turn);
}

/** The same while nothing is loaded. */
function nextTurn(channel: Channel, tick: number): number {
  const { mode, count, loadedAt } = channel;
  if (loadedAt === NEVER || channel.heldAt !== NEVER) return NEVER;
  const ticks = tick - loadedAt;
  if (periodic(channel)) {
    const base = tick - (ticks % count);
    const turn = base + (mode === 2 ? count - 1 : highHalf(count));
    return tick < turn ? turn : base + count;
  }
  if (ticks < count) return loadedAt + count;
  return (mode === 4 || mode === 5) && ticks === count ? loadedAt + count + 1 : NEVER;
}

const toDecimal = (count: number): number =>
  ((Math.floor(count / 1000) % 10) << 12) |
  ((Math.floor(count / 100) % 10) << 8) |
  ((Math.floor(count / 10) % 10) << 4) |
  (count % 10);

const fromDecimal = (digits: number): number =>
  (digits >> 12) * 1000 + ((digits >> 8) & 15) * 100 + ((digits >> 4) & 15) * 10 + (digits & 15);
