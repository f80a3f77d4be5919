// The real-time clock of a PC: Motorola MC146818A data sheet, with the century byte at 0x32 that ACPI's
// FADT names. Index and data ports. Nothing ticks: the date is a function of machine time, and the flags
// of register C are what has gone by since the last look.
// The day of the week is a counter of its own, which begins as the date says. Bytes that name no time (31 February, on
// the way from 31 January to 28 February) stay as written until their counter goes on.
// Not there: daylight saving (DSE), the square wave, which a PC does not connect, and other time bases than 32.768 kHz.
// Invariant: `irq` is asserted exactly while an enabled flag of register C is set.

import { ticksAt, timeOfTick } from "../clock.js";
import { type Alarm, type Clock, Line, RegisterFile, type Trace } from "./device.js";

const SECOND = 1_000_000_000;
const DAY = 86_400;
const MONTHS = 12;
/** "The first update cycle begins one-half second" after the divider's reset. */
const HALF_SECOND = SECOND / 2;
/** The update cycle: UIP shows 244 us before it and during its 1984 us. */
const UPDATE = 2_228_000;
const CRYSTAL = 32_768;
const NVRAM_BYTES = 128;

const register = { a: 0x0a, b: 0x0b, c: 0x0c, d: 0x0d, century: 0x32 } as const;
/** Date fields by register; alarms stand at 1, 3 and 5. */
const field = { second: 0, minute: 2, hour: 4, weekday: 6, day: 7, month: 8, year: 9 } as const;
const alarmField = [1, 3, 5] as const;
/** How long a counter stands still, but for those that go on at midnight at the earliest. */
const secondsOf: Readonly<Record<number, number>> = {
  [field.second]: 1,
  [field.minute]: 60,
  [field.hour]: 3600,
};
const dateFields: readonly number[] = [...Object.values(field), register.century];
const UIP = 0x80;
const b = {
  set: 0x80,
  periodic: 0x40,
  alarm: 0x20,
  update: 0x10,
  binary: 4,
  hours24: 2,
  daylight: 1,
} as const;
/** Register A, DV2-DV0: the time base, of which a PC has 32.768 kHz; 110 and 111 hold the divider chain. */
const divider = { bits: 0x70, normal: 0x20, reset: 0x60 } as const;
const SQUARE_WAVE = 8;
const IRQF = 0x80;
const FLAGS = b.periodic | b.alarm | b.update;
const VALID = 0x80; // register D: the battery is good
const PM = 0x80;
/** Alarm bytes from here on match anything; any other is compared with the register's byte. */
const WILDCARD = 0xc0;

const reset = (startTime: number) => ({
  index: 0,
  a: 0x26,
  b: b.hours24 as number,
  c: 0,
  /** Seconds since 1970 at machine time `origin`. */
  seconds: startTime,
  origin: 0,
  /** Days that the day of the week is ahead of the date's. */
  weekdayAhead: 0,
  /** Date registers' bytes that name no time, until their counters go on. */
  odd: {} as Record<string, number>,
  /** While SET or the divider's reset holds the clock: the date registers' bytes, plain memory until it goes on. */
  held: null as Record<string, number> | null,
  nvram: new Array<number>(NVRAM_BYTES).fill(0),
  /** Up to where flags have been collected: whole seconds, and ticks of the periodic rate. */
  secondsSeen: startTime,
  ticksSeen: 0,
});
type State = ReturnType<typeof reset>;

export class Rtc {
  readonly irq = new Line();
  readonly registers: RegisterFile;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #trace: Trace;
  #state: State;

  /** `startTime`: seconds since 1970 (UTC) at machine time 0; `memory`: what the battery has kept, by register. */
  constructor(
    startTime: number,
    clock: Clock,
    alarm: Alarm,
    trace: Trace,
    memory: ReadonlyMap<number, number> = new Map(),
  ) {
    if (!Number.isSafeInteger(startTime)) throw new RangeError(`rtc: ${startTime} is no number of seconds`);
    this.#clock = clock;
    this.#alarm = alarm;
    this.#trace = trace;
    this.#state = reset(startTime);
    for (const [at, byte] of memory) this.#state.nvram[at] = byte;
    const select = (index: number) => void Object.assign(this.#state, { index });
    this.registers = new RegisterFile(
      "rtc",
      2,
      {
        INDEX: [0, 1, { write: select }], // bit 7 masks NMI, which nothing here raises
        DATA: [1, 1, { read: () => this.#read(), write: (value) => this.#write(value) }],
      },
      trace,
      0xff,
    );
  }

  /** Puts a byte into the memory that the battery keeps. */
  keep(at: number, byte: number): void {
    this.#state.nvram[at] = byte;
  }

  // --- The date ---

  /** Whole seconds since 1970, as the clock shows them. */
  #now(): number {
    const { seconds, origin, held } = this.#state;
    return held !== null ? seconds : seconds + Math.floor((this.#clock.now() - origin) / SECOND);
  }

  /** The value of a date register, before BCD. */
  #dateField(index: number): number {
    const date = new Date(this.#now() * 1000);
    switch (index) {
      case field.second:
        return date.getUTCSeconds();
      case field.minute:
        return date.getUTCMinutes();
      case field.hour:
        return date.getUTCHours();
      case field.weekday:
        return ((date.getUTCDay() + this.#state.weekdayAhead) % 7) + 1;
      case field.day:
        return date.getUTCDate();
      case field.month:
        return date.getUTCMonth() + 1;
      case field.year:
        return date.getUTCFullYear() % 100;
      default:
        return Math.floor(date.getUTCFullYear() / 100);
    }
  }

  /** A date register's byte. */
  #dateByte(index: number): number {
    const { held, odd, seconds } = this.#state;
    const since = (time: number) => Math.floor(time / (secondsOf[index] ?? DAY));
    const kept = held?.[index] ?? (since(this.#now()) === since(seconds) ? odd[index] : undefined);
    return kept ?? this.#encode(index, this.#dateField(index));
  }

  #dateBytes(): Record<string, number> {
    return Object.fromEntries(dateFields.map((index) => [index, this.#dateByte(index)]));
  }

  /** Changes one field of the date, which need not be one then. */
  #setDateByte(index: number, byte: number): void {
    const { held } = this.#state;
    if (held !== null) held[index] = byte;
    else this.#setDate({ ...this.#dateBytes(), [index]: byte });
  }

  /** The divider chain goes on, so the second ends when it would have. */
  #setDate(bytes: Record<string, number>): void {
    const state = this.#state;
    const value = (index: number, last: number) => Math.min(this.#decode(index, bytes[index]), last);
    const year = value(register.century, 99) * 100 + value(field.year, 99);
    const month = value(field.month, MONTHS);
    const day = value(field.day, midnight(year, month + 1, 0).getUTCDate());
    const date = midnight(year, month, day);
    date.setUTCHours(value(field.hour, 23), value(field.minute, 59), value(field.second, 59));
    state.seconds = date.getTime() / 1000;
    state.origin += Math.floor((this.#clock.now() - state.origin) / SECOND) * SECOND;
    state.secondsSeen = state.seconds;
    state.weekdayAhead = (((value(field.weekday, 99) - 1 - date.getUTCDay()) % 7) + 7) % 7;
    const real = (index: number) => this.#encode(index, this.#dateField(index));
    state.odd = Object.fromEntries(
      dateFields.filter((index) => bytes[index] !== real(index)).map((index) => [index, bytes[index]]),
    );
  }

  /** The date registers are held: their bytes are what they were, in the format of that time. */
  #stop(): void {
    const state = this.#state;
    if (state.held !== null) return;
    const bytes = this.#dateBytes();
    state.seconds = this.#now();
    state.origin += Math.floor((this.#clock.now() - state.origin) / SECOND) * SECOND;
    state.held = bytes;
  }

  /** Unless something else holds them they go on from what they hold, by the format of now. */
  #resume(): void {
    const state = this.#state;
    if (state.held === null || (state.b & b.set) !== 0 || dividerReset(state)) return;
    const bytes = state.held;
    state.held = null;
    this.#setDate(bytes);
  }

  /** A field's bytes: BCD unless DM says binary, hours in 12 with PM in bit 7 unless 24/12 says 24. */
  #encode(index: number, value: number): number {
    const isHour = index === field.hour || index === alarmField[2];
    const twelve = isHour && (this.#state.b & b.hours24) === 0;
    const shown = twelve ? ((value + 11) % 12) + 1 : value;
    const digits = (this.#state.b & b.binary) !== 0 ? shown : (Math.floor(shown / 10) << 4) | (shown % 10);
    return digits | (twelve && value >= 12 ? PM : 0);
  }

  #decode(index: number, bytes: number): number {
    const isHour = index === field.hour || index === alarmField[2];
    const twelve = isHour && (this.#state.b & b.hours24) === 0;
    const digits = twelve ? bytes & ~PM : bytes;
    const value = (this.#state.b & b.binary) !== 0 ? digits : (digits >> 4) * 10 + (digits & 15);
    return twelve ? (value % 12) + ((bytes & PM) !== 0 ? 12 : 0) : value;
  }

  // --- Registers ---

  #read(): number {
    const index = this.#state.index & 0x7f;
    if (dateFields.includes(index)) return this.#dateByte(index);
    switch (index) {
      case register.a:
        return this.#state.a | (this.#updating() ? UIP : 0);
      case register.b:
        return this.#state.b;
      case register.c:
        return this.#readFlags();
      case register.d:
        return VALID;
      default:
        return this.#state.nvram[index];
    }
  }

  #write(value: number): void {
    const index = this.#state.index & 0x7f;
    this.#collect();
    if (dateFields.includes(index)) this.#setDateByte(index, value);
    else if (index === register.a) this.#setA(value & 0x7f);
    else if (index === register.b) this.#setB(value);
    else if (index === register.c || index === register.d)
      this.#trace("rtc", `write to register ${index === register.c ? "C" : "D"}, which is read-only`);
    else this.#state.nvram[index] = value; // alarms too
    this.#drive();
  }

  #setA(value: number): void {
    const wasReset = dividerReset(this.#state);
    if (dividerReset({ a: value })) this.#stop();
    this.#state.a = value;
    if (wasReset && !dividerReset(this.#state)) this.#state.origin = this.#clock.now() - HALF_SECOND;
    if (!dividerReset(this.#state) && (value & divider.bits) !== divider.normal)
      this.#trace("rtc", `register A: time base DV ${(value & divider.bits) >> 4} is not implemented`);
    this.#resume();
    this.#state.ticksSeen = this.#ticks();
  }

  #setB(value: number): void {
    if ((value & b.daylight) !== 0)
      this.#trace("rtc", "register B: DSE (daylight saving) is not implemented");
    if ((value & SQUARE_WAVE) !== 0) this.#trace("rtc", "register B: SQWE (square wave) is not implemented");
    if ((value & b.set) !== 0) this.#stop();
    // "SET ... clears UIE."
    this.#state.b = (value & b.set) !== 0 ? value & ~b.update : value;
    this.#resume();
  }

  #updating(): boolean {
    if (this.#state.held !== null) return false;
    return (this.#clock.now() - this.#state.origin) % SECOND >= SECOND - UPDATE;
  }

  #readFlags(): number {
    this.#collect();
    const flags = this.#state.c | (interrupting(this.#state) ? IRQF : 0);
    this.#state.c = 0;
    this.#drive();
    return flags;
  }

  // --- Flags, line and time ---

  /** Ticks per second of the periodic interrupt; 0 when it is off. */
  #rate(): number {
    const select = this.#state.a & 15;
    if (select === 0 || dividerReset(this.#state)) return 0;
    return CRYSTAL >> (select < 3 ? select + 6 : select - 1);
  }

  #ticks(): number {
    const rate = this.#rate();
    return rate === 0 ? 0 : ticksAt(this.#clock.now(), rate);
  }

  /** Sets the flags of what has gone by since the last time. */
  #collect(): void {
    const state = this.#state;
    const [now, ticks] = [this.#now(), this.#ticks()];
    if (ticks !== state.ticksSeen) state.c |= b.periodic;
    if (now > state.secondsSeen) state.c |= b.update;
    // An alarm that matches at all matches within a day.
    for (let second = Math.max(state.secondsSeen + 1, now - DAY + 1); second <= now; second++)
      if (this.#alarmMatches(second)) state.c |= b.alarm;
    state.ticksSeen = ticks;
    state.secondsSeen = now;
  }

  #alarmMatches(second: number): boolean {
    const time = [second % 60, Math.floor(second / 60) % 60, Math.floor(second / 3600) % 24];
    return alarmField.every((index, part) => {
      const byte = this.#state.nvram[index];
      return byte >= WILDCARD || byte === this.#encode(index, time[part]);
    });
  }

  /** The alarm's callback. */
  timerExpired(): void {
    this.#collect();
    this.#drive();
  }

  /** The only place where line and alarm move. The alarm stands only while an interrupt is waited for. */
  #drive(): void {
    this.irq.set(interrupting(this.#state));
    this.#setAlarm();
  }

  #setAlarm(): void {
    const { b: enabled, c, held, origin, seconds } = this.#state;
    const waits = enabled & ~c;
    const rate = this.#rate();
    let deadline = Number.POSITIVE_INFINITY;
    if ((waits & b.periodic) !== 0 && rate > 0) deadline = timeOfTick(this.#state.ticksSeen + 1, rate);
    if ((waits & (b.update | b.alarm)) !== 0 && held === null)
      deadline = Math.min(deadline, origin + (this.#state.secondsSeen - seconds + 1) * SECOND);
    this.#alarm.set(deadline);
  }

  /** RESET leaves date, alarms and memory to the battery; it clears the interrupt enables and flags. */
  reset(): void {
    this.#collect();
    this.#state.b &= ~(FLAGS | SQUARE_WAVE);
    this.#state.c = 0;
    this.#drive();
  }

  snapshot(): State {
    return structuredClone(this.#state);
  }

  restore(state: object): void {
    this.#state = structuredClone(state) as State;
    this.irq.settle(interrupting(this.#state));
    this.#setAlarm();
  }
}

/** Months are 1 to 12, days 1 to 31; what is beyond counts on from there. */
const midnight = (year: number, month: number, day: number): Date => {
  const date = new Date(0); // Date.UTC takes the first hundred years for those of the 20th century
  date.setUTCFullYear(year, month - 1, day);
  return date;
};
const dividerReset = ({ a }: Pick<State, "a">) => (a & divider.reset) === divider.reset;
const interrupting = ({ b: enabled, c }: State) => (enabled & c & FLAGS) !== 0;
