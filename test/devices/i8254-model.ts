// The 8254 clock by clock, as its data sheet tells it (231164, "Mode Definitions" and "Operation Common to All Modes"):
// a second opinion on pit.ts, which counts nothing. What the data sheet leaves open is undefined here.

const decimal = (digits: number) =>
  [12, 8, 4, 0].reduce((value, shift) => value * 10 + ((digits >> shift) & 15), 0);
const digitsOf = (value: number) =>
  [1000, 100, 10, 1].reduce((digits, weight) => (digits << 4) | (Math.floor(value / weight) % 10), 0);

export class Counter8254 {
  out = true;
  gate: boolean;
  // "Control Word Register"
  mode = 0;
  #modeBits = 0;
  #bcd = false;
  access = 3;
  // "CR" and "CE"; undefined before the first count
  #register: number | undefined;
  #element: number | undefined;
  #nullCount = true;
  #lowByte: number | undefined;
  #highNext = false;
  #countLatch: number | undefined;
  #statusLatch: number | undefined;
  // Control Logic
  #loads = false;
  #trigger = false;
  #strobing = false;
  /** Modes 0, 1, 4, 5: OUT has something to tell when the element reaches 0. */
  #ready = false;
  /** Mode 3: the count that the half period began with was odd. */
  #odd = false;

  constructor(gate: boolean) {
    this.gate = gate;
  }

  control(word: number): void {
    this.#modeBits = (word >> 1) & 7;
    this.mode = this.#modeBits & 2 ? this.#modeBits & 3 : this.#modeBits;
    this.access = (word >> 4) & 3;
    this.#bcd = (word & 1) !== 0;
    this.out = this.mode !== 0;
    this.#nullCount = true;
    this.#register = this.#element = this.#lowByte = this.#countLatch = this.#statusLatch = undefined;
    this.#highNext = this.#loads = this.#trigger = this.#strobing = this.#ready = false;
  }

  write(byte: number): void {
    if (this.access === 3 && this.#lowByte === undefined) {
      this.#lowByte = byte;
      if (this.mode === 0) this.out = false; // "Writing the first byte disables counting. OUT is set low immediately"
      return;
    }
    const digits = this.access === 1 ? byte : (byte << 8) | (this.#lowByte ?? 0);
    this.#lowByte = undefined;
    this.#register = (this.#bcd ? decimal(digits) : digits) || this.#size;
    this.#nullCount = true;
    if (this.mode === 0) this.out = false;
    if (this.mode === 0 || this.mode === 4) this.#loads = true;
    if ((this.mode === 2 || this.mode === 3) && this.#element === undefined) this.#loads = true;
  }

  get highByteNext(): boolean {
    return this.#lowByte !== undefined;
  }

  setGate(gate: boolean): void {
    if (gate && !this.gate && this.#register !== undefined) this.#trigger = true;
    if (!gate && (this.mode === 2 || this.mode === 3)) this.out = true;
    this.gate = gate;
  }

  clock(): void {
    const trigger = this.#trigger && this.mode !== 0 && this.mode !== 4;
    this.#trigger = false;
    if (this.#strobing) this.out = true;
    this.#strobing = false;
    if (this.#loads || trigger) this.#load();
    else if (this.#element !== undefined && this.#counts) this.#count(this.#element);
  }

  get #counts(): boolean {
    if (this.mode === 0 && this.#lowByte !== undefined) return false;
    return this.gate || this.mode === 1 || this.mode === 5;
  }

  get #size(): number {
    return this.#bcd ? 10_000 : 65_536;
  }

  #load(): void {
    this.#reload();
    this.#loads = false;
    this.#ready = true;
    if (this.mode === 1) this.out = false;
    if (this.mode === 2 || this.mode === 3) this.out = true;
  }

  #reload(): void {
    const count = this.#register as number;
    this.#odd = this.mode === 3 && count % 2 === 1;
    this.#element = this.#odd ? count - 1 : count;
    this.#nullCount = false;
  }

  #count(element: number): void {
    if (this.mode === 2) {
      if (element === 1) this.#reload();
      else this.#element = element - 1;
      this.out = this.#element !== 1;
    } else if (this.mode === 3) {
      if (element === (this.#odd && this.out ? 0 : 2)) {
        this.out = !this.out;
        this.#reload();
      } else this.#element = element - 2;
    } else {
      this.#element = element === 0 ? this.#size - 1 : element - 1;
      if (element === 1 && this.#ready) this.#expire();
    }
  }

  #expire(): void {
    this.#ready = false;
    this.#strobing = this.mode >= 4;
    this.out = !this.#strobing;
  }

  latch(count: boolean, status: boolean): void {
    if (count) this.#countLatch ??= this.#digits();
    if (status)
      this.#statusLatch ??=
        (this.out ? 0x80 : 0) |
        (this.#nullCount ? 0x40 : 0) |
        (this.access << 4) |
        (this.#modeBits << 1) |
        (this.#bcd ? 1 : 0);
  }

  /** NaN before the first count, where the data sheet says nothing. */
  #digits(): number {
    if (this.#element === undefined) return Number.NaN;
    return this.#bcd ? digitsOf(this.#element) : this.#element & 0xffff;
  }

  read(): number | undefined {
    if (this.#statusLatch !== undefined) {
      const status = this.#statusLatch;
      this.#statusLatch = undefined;
      return status;
    }
    const digits = this.#countLatch ?? this.#digits();
    const high = this.access === 2 || this.#highNext;
    if (this.access === 3) this.#highNext = !this.#highNext;
    if (!this.#highNext) this.#countLatch = undefined;
    return Number.isNaN(digits) ? undefined : high ? digits >> 8 : digits & 0xff;
  }
}
