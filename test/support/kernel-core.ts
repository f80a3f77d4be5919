// The kernel's core in Node: cores that one thread plays in turn, a console, and the devices that it touches on the way
// (local APIC, ports), recorded.
import { KernelWasm } from "./kernel-wasm.js";

export class KernelCore {
  readonly kernel: KernelWasm;
  /** Writes to the local APIC's interrupt command register: [target APIC id, command]. */
  readonly commands: [number, number][] = [];
  /** Writes to ports other than the UART's: [port, value]. */
  readonly ports: [number, number][] = [];
  /** What PAUSE does: the kernel waits for another core. */
  onPause: () => void = () => {
    throw new Error("the kernel waits for another core, and the test has none");
  };
  text = "";
  #core = 0;
  #block = 0;

  constructor(cores = 1, imports: Record<string, (...args: never[]) => unknown> = {}) {
    let target = 0;
    const none = () => {};
    this.kernel = new KernelWasm({
      coreBlock: () => this.#block,
      cli: none,
      sti: none,
      readFlags: () => 0x202n,
      pause: () => this.onPause(),
      hlt: () => {
        throw new Error(`halted: ${this.text}`);
      },
      mmioRead32: () => 0,
      mmioWrite32: (address: bigint, value: number) => {
        if (address === 0xfee0_0310n) target = value >>> 24;
        else if (address === 0xfee0_0300n) this.commands.push([target, value]);
        else throw new Error(`write to device register ${address.toString(16)}`);
      },
      in8: (port: number) => (port === 0x3fd ? 0x60 : 0), // an idle UART: THRE and TEMT
      in16: () => 1,
      out8: (port: number, value: number) => {
        if (port === 0x3f8) this.text += String.fromCharCode(value);
        else this.ports.push([port, value]);
      },
      out16: (port: number, value: number) => void this.ports.push([port, value]),
      readCr2: () => 0n,
      readCr3: () => 0n,
      stackPointer: () => 0,
      instructionPointer: () => 0n,
      ...imports,
    } as Record<string, (...args: never[]) => unknown>);
    for (let core = 0; core < cores; core++) {
      this.on(core);
      this.call("unitCore", core);
    }
    this.on(0);
  }

  /** The core that runs from now on. */
  on(core: number): this {
    this.#core = core;
    this.#block = Number(this.kernel.call("unitCoreBlock")(core));
    return this;
  }

  get core(): number {
    return this.#core;
  }

  /** As an unsigned number. */
  call(name: string, ...args: (number | bigint)[]): number {
    const result: unknown = this.kernel.call(name)(...args);
    return typeof result === "bigint" ? Number(result) : ((result as number) ?? 0) >>> 0;
  }

  /** Gives the frame allocator `frames` frames, 4 MiB-aligned; returns the first and the end. */
  memory(frames: number): { first: number; end: number } {
    const map = this.kernel.room(1 << 20);
    const first = 0x100_0000;
    const end = first + frames * 4096;
    this.call("framesStart", map, end);
    this.call("framesAdd", first, end);
    return { first, end };
  }

  /** A zero-terminated text in the kernel's memory. */
  write(address: number, text: string): void {
    this.kernel.bytes.set(new TextEncoder().encode(`${text}\0`), address);
  }

  read(address: number): string {
    let end = address;
    while (this.kernel.bytes[end] !== 0) end++;
    return new TextDecoder().decode(this.kernel.bytes.slice(address, end));
  }
}

/** A small generator of the xorshift family. */
export function random(seed: number): (below: number) => number {
  let x = (seed * 0x9e37_79b9 + 1) >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % below;
  };
}
